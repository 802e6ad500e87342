//! Lists, aliases and tags.

use super::keys::{tag_values, tags};
use super::{By, Kms, Named, invalid_state, member, needed, not_found, validation};
use crate::rehearsal::state::{Alias, epoch};
use crate::rehearsal::wire::{Fault, Outcome};
use serde_json::{Value, json};

impl Kms<'_> {
    pub(super) fn list_keys(&mut self) -> Outcome<Value> {
        let asked = self.asked("kms:ListKeys", "*", &self.caller.account);
        self.may(asked)?;
        let (region, clock) = (self.region, self.state.clock);
        let keys = self.own()?.keys.values().filter(|key| key.region == region && !key.is_gone(clock));
        let keys = keys.map(|key| json!({"KeyId": key.id, "KeyArn": key.arn})).collect();
        self.page("Keys", keys)
    }

    pub(super) fn list_aliases(&mut self) -> Outcome<Value> {
        let asked = self.asked("kms:ListAliases", "*", &self.caller.account);
        self.may(asked)?;
        let only = match member(&self.input, "KeyId") {
            Some(key) => Some(self.resolve(key, By::IdOrArn)?.id),
            None => None,
        };
        let start = self.arn("");
        let region = self.region;
        let aliases = self.own()?.aliases.iter().filter(|((own, _), _)| own == region);
        let aliases = aliases.filter(|(_, alias)| only.as_ref().is_none_or(|only| alias.key == *only));
        let shown = |((_, name), alias): (&(String, String), &Alias)| {
            let created = epoch(alias.created);
            json!({"AliasName": name, "AliasArn": format!("{start}{name}"), "TargetKeyId": alias.key, "CreationDate": created,
                "LastUpdatedDate": created})
        };
        let aliases = aliases.map(shown).collect();
        self.page("Aliases", aliases)
    }

    fn alias_name(&self) -> Outcome<String> {
        let name = needed(&self.input, "AliasName")?;
        let right = |character: char| character.is_ascii_alphanumeric() || ":/_-".contains(character);
        if name.len() > 256 || !name.chars().all(right) {
            let message = "1 validation error detected: Value at 'aliasName' failed to satisfy constraint: \
                           Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$";
            return Err(validation(message));
        }
        if !name.starts_with("alias/") || name.len() == "alias/".len() {
            return Err(validation(
                "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
            ));
        }
        // AWS's own names can't be taken (facts D.1).
        if name.starts_with("alias/aws/") {
            return Err(Fault::new(400, "NotAuthorizedException", ""));
        }
        Ok(name.to_owned())
    }

    /// A call on an alias needs the right to the alias, and to the key behind it.
    fn may_alias(&mut self, action: &'static str, name: &str, key: Option<&Named>) -> Outcome<()> {
        let arn = self.arn(name);
        let asked = self.asked(action, &arn, &self.caller.account);
        self.may(asked)?;
        match key {
            Some(named) if named.account != self.caller.account => Err(not_found(format!("Key '{}' does not exist", named.id))),
            Some(named) => self.permit(action, named, |asked| asked).map(drop),
            None => Ok(()),
        }
    }

    fn target(&self) -> Outcome<Named> {
        self.resolve(needed(&self.input, "TargetKeyId")?, By::IdOrArn)
    }

    fn can_be_named(&self, named: &Named) -> Outcome<()> {
        let Some(key) = self.key(named) else { return Ok(()) };
        if key.aws_managed {
            return Err(Fault::new(400, "NotAuthorizedException", ""));
        }
        self.alive(key).map_err(|_| invalid_state(format!("{} is pending deletion.", key.arn)))
    }

    pub(super) fn create_alias(&mut self) -> Outcome<Value> {
        let (name, target) = (self.alias_name()?, self.target()?);
        self.may_alias("kms:CreateAlias", &name, Some(&target))?;
        let (place, created) = ((self.region.to_owned(), name), self.state.clock);
        let arn = self.arn(&place.1);
        let aliases = &self.own()?.aliases;
        if aliases.contains_key(&place) {
            return Err(Fault::new(400, "AlreadyExistsException", format!("An alias with the name {arn} already exists")));
        }
        // Facts D.1.
        if aliases.values().filter(|alias| alias.key == target.id).count() >= 50 {
            return Err(Fault::new(400, "LimitExceededException", "The key has 50 aliases already"));
        }
        self.can_be_named(&target)?;
        self.own()?.aliases.insert(place, Alias { key: target.id, created });
        Ok(Value::Null)
    }

    fn aliased(&mut self, name: &str) -> Outcome<Named> {
        let (region, account, arn) = (self.region.to_owned(), self.caller.account.clone(), self.arn(name));
        let found = self.own()?.aliases.get(&(region.clone(), name.to_owned()));
        let id = found.ok_or_else(|| not_found(format!("Alias {arn} is not found.")))?.key.clone();
        Ok(Named { account, region, id, alias: None })
    }

    pub(super) fn update_alias(&mut self) -> Outcome<Value> {
        let (name, target) = (self.alias_name()?, self.target()?);
        let before = self.aliased(&name)?;
        self.may_alias("kms:UpdateAlias", &name, Some(&before))?;
        self.permit("kms:UpdateAlias", &target, |asked| asked)?;
        self.can_be_named(&target)?;
        let (place, created) = ((self.region.to_owned(), name), self.state.clock);
        self.own()?.aliases.insert(place, Alias { key: target.id, created });
        Ok(Value::Null)
    }

    pub(super) fn delete_alias(&mut self) -> Outcome<Value> {
        let name = self.alias_name()?;
        let before = self.aliased(&name);
        // A key that has gone since has no policy to ask.
        let key = before.as_ref().ok().filter(|named| self.key(named).is_some());
        self.may_alias("kms:DeleteAlias", &name, key)?;
        before?;
        let place = (self.region.to_owned(), name);
        self.own()?.aliases.remove(&place);
        Ok(Value::Null)
    }

    pub(super) fn tag(&mut self) -> Outcome<Value> {
        let tags = tags(&self.input)?;
        let named = self.resolve(needed(&self.input, "KeyId")?, By::IdOrArn)?;
        let key = self.permit("kms:TagResource", &named, |asked| asked.request_tags(&tags))?;
        self.alive(&key)?;
        self.key_mut(&named)?.tags.extend(tags);
        Ok(Value::Null)
    }

    pub(super) fn untag(&mut self) -> Outcome<Value> {
        let keys = crate::rehearsal::document::texts(self.input.get("TagKeys"));
        let (named, key) = self.permit_named("kms:UntagResource", By::IdOrArn)?;
        self.alive(&key)?;
        self.key_mut(&named)?.tags.retain(|key, _| !keys.contains(key));
        Ok(Value::Null)
    }

    pub(super) fn list_tags(&mut self) -> Outcome<Value> {
        let (_, key) = self.permit_named("kms:ListResourceTags", By::IdOrArn)?;
        self.page("Tags", tag_values(&key.tags))
    }

    /// Nobody makes grants here.
    pub(super) fn list_grants(&mut self) -> Outcome<Value> {
        self.permit_named("kms:ListGrants", By::IdOrArn)?;
        self.page("Grants", Vec::new())
    }
}
