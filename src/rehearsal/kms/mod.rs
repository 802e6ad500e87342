//! KMS: keys with real material, their policies and their names.

mod keys;
mod names;
mod seal;

pub(crate) use seal::{EncryptionContext, decrypt, generate_data_key};

use super::authorise::{Asked, judge, why};
use super::document::Document;
use super::settling::reads;
use super::state::{Account, State};
use super::wire::{Answer, Call, Caller, Fault, Outcome, json_answer};
use crate::policy::Decided;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Tags = BTreeMap<String, String>;

/// A key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Key {
    pub id: String,
    pub arn: String,
    pub account: String,
    pub region: String,
    /// `AWS` for the key that S3 makes for itself.
    pub aws_managed: bool,
    pub description: String,
    pub created: u64,
    pub state: KeyState,
    /// The region of the primary, for multi-Region keys.
    pub primary: Option<String>,
    pub policy: Document,
    pub tags: Tags,
    /// Days between two rotations, where they are on.
    pub rotation: Option<u64>,
    material: [u8; 32],
}

/// What a key can be used for now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum KeyState {
    #[default]
    Enabled,
    Disabled,
    /// Until so many milliseconds since 1970.
    Creating(u64),
    PendingDeletion {
        /// Milliseconds since 1970.
        at: u64,
        days: u64,
    },
    /// A primary waits for its replicas to go first.
    PendingReplicaDeletion {
        days: u64,
    },
}

impl Key {
    /// Gives the state at a time.
    pub fn state(&self, clock: u64) -> KeyState {
        match self.state {
            KeyState::Creating(until) if until <= clock => KeyState::Enabled,
            state => state,
        }
    }

    fn is_replica(&self) -> bool {
        self.primary.as_ref().is_some_and(|primary| *primary != self.region)
    }

    fn is_gone(&self, clock: u64) -> bool {
        matches!(self.state, KeyState::PendingDeletion { at, .. } if at <= clock)
    }
}

impl KeyState {
    fn word(self) -> &'static str {
        match self {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
            KeyState::Creating(_) => "Creating",
            KeyState::PendingDeletion { .. } => "PendingDeletion",
            KeyState::PendingReplicaDeletion { .. } => "PendingReplicaDeletion",
        }
    }
}

/// How a call names a key.
#[derive(Debug, Clone)]
struct Named {
    account: String,
    region: String,
    id: String,
    /// `alias/…`, if it was named so.
    alias: Option<String>,
}

/// Which operations take an alias for a key (KMS API reference, `KeyId`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    IdOrArn,
    AliasToo,
}

fn not_found(text: String) -> Fault {
    Fault::new(400, "NotFoundException", text)
}

fn invalid_state(text: String) -> Fault {
    Fault::new(400, "KMSInvalidStateException", text)
}

fn unsupported(text: String) -> Fault {
    Fault::new(400, "UnsupportedOperationException", text)
}

fn validation(text: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationException", text)
}

fn member<'v>(input: &'v Value, name: &str) -> Option<&'v str> {
    input.get(name).and_then(Value::as_str)
}

fn needed<'v>(input: &'v Value, name: &str) -> Outcome<&'v str> {
    let lower = format!("{}{}", name.get(..1).unwrap_or_default().to_lowercase(), name.get(1..).unwrap_or_default());
    member(input, name).ok_or_else(|| {
        validation(format!("1 validation error detected: Value null at '{lower}' failed to satisfy constraint: Member must not be null"))
    })
}

/// A call to KMS, by whoever makes it.
struct Kms<'a> {
    state: &'a mut State,
    caller: &'a Caller,
    region: &'a str,
    /// Missing where S3 calls.
    call: Option<&'a Call>,
    input: Value,
}

impl Kms<'_> {
    fn own(&mut self) -> Outcome<&mut Account> {
        let missing = || Fault::new(403, "AccessDenied", "Access Denied");
        self.state.accounts.get_mut(&self.caller.account).ok_or_else(missing)
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:{}:kms:{}:{}:{resource}", self.state.partition, self.region, self.caller.account)
    }

    fn asked(&self, action: &'static str, resource: &str, account: &str) -> Asked<'static> {
        let asked = match self.call {
            Some(call) => Asked::by(call, action, resource, account),
            None => Asked::new(action, resource, account, self.region),
        };
        let asked = asked.with("kms:CallerAccount", self.caller.account.as_str());
        match &self.caller.via {
            Some(via) => asked.with("kms:ViaService", via.as_str()),
            None => asked,
        }
    }

    /// Lets something pass that isn't about a key, or not about one that is there already.
    fn may(&mut self, asked: Asked<'_>) -> Outcome<()> {
        super::authorise::authorise(self.state, self.caller, asked)
    }

    fn key(&self, named: &Named) -> Option<&Key> {
        let account = self.state.accounts.get(&named.account)?;
        let key = account.keys.get(&(named.region.clone(), named.id.clone()))?;
        (!key.is_gone(self.state.clock)).then_some(key)
    }

    /// Gives a key as others see it.
    fn visible(&self, named: &Named) -> Option<&Key> {
        self.state.visible(&named.account)?.keys.get(&(named.region.clone(), named.id.clone()))
    }

    /// Says whether a key that was made a moment ago isn't there yet for this: KMS tells of it at once, but changes and uses
    /// it later (facts D.2, [TF-kms]). AWS's own keys are always there.
    fn is_early(&self, action: &str, named: &Named, key: &Key) -> bool {
        let operation = action.split_once(':').map_or(action, |(_, operation)| operation);
        self.visible(named).is_none() && !key.aws_managed && (self.call.is_none() || !reads(operation))
    }

    fn key_mut(&mut self, named: &Named) -> Outcome<&mut Key> {
        let account = self.state.accounts.get_mut(&named.account);
        let key = account.and_then(|account| account.keys.get_mut(&(named.region.clone(), named.id.clone())));
        key.ok_or_else(|| not_found(format!("Key '{}' does not exist", named.id)))
    }

    /// Finds out which key is meant; one that isn't there is named all the same.
    fn resolve(&self, key: &str, by: By) -> Outcome<Named> {
        let (account, name) = match key.strip_prefix("arn:") {
            None => (self.caller.account.clone(), key),
            Some(_) => {
                let parts: Vec<&str> = key.splitn(6, ':').collect();
                let [_, partition, "kms", region, account, name] = parts[..] else { return Err(not_found(format!("Invalid arn {key}"))) };
                if region != self.region || partition != self.state.partition {
                    return Err(not_found(format!("Invalid arn {region}")));
                }
                match (name.strip_prefix("key/"), name.starts_with("alias/")) {
                    (Some(id), _) => (account.to_owned(), id),
                    (None, true) => (account.to_owned(), name),
                    (None, false) => return Err(not_found(format!("Invalid arn {key}"))),
                }
            }
        };
        let region = self.region.to_owned();
        if !name.starts_with("alias/") {
            let right = |character: char| character.is_ascii_alphanumeric() || character == '-';
            if name.is_empty() || !name.chars().all(right) {
                return Err(not_found(format!("Invalid keyId '{key}'")));
            }
            return Ok(Named { account, region, id: name.to_owned(), alias: None });
        }
        if by == By::IdOrArn {
            return Err(not_found(format!("Invalid keyId '{key}'")));
        }
        let found = self.state.accounts.get(&account).and_then(|account| account.aliases.get(&(region.clone(), name.to_owned())));
        let missing = || not_found(format!("Alias arn:{}:kms:{region}:{account}:{name} is not found.", self.state.partition));
        let id = found.ok_or_else(missing)?.key.clone();
        Ok(Named { account, region, id, alias: Some(name.to_owned()) })
    }

    fn key_arn(&self, named: &Named) -> String {
        format!("arn:{}:kms:{}:{}:key/{}", self.state.partition, named.region, named.account, named.id)
    }

    /// Adds what the key itself says about a call.
    fn about<'q>(&self, mut asked: Asked<'q>, key: &Key, named: &Named) -> Asked<'q> {
        asked = asked
            .with("kms:KeySpec", "SYMMETRIC_DEFAULT")
            .with("kms:KeyUsage", "ENCRYPT_DECRYPT")
            .with("kms:KeyOrigin", "AWS_KMS")
            .with("kms:MultiRegion", key.primary.is_some());
        if key.primary.is_some() {
            asked = asked.with("kms:MultiRegionKeyType", if key.is_replica() { "REPLICA" } else { "PRIMARY" });
        }
        if let Some(alias) = &named.alias {
            asked = asked.with("kms:RequestAlias", alias.as_str());
        }
        let aliases = self.state.accounts.get(&key.account).into_iter().flat_map(|account| &account.aliases);
        let aliases = aliases.filter(|((region, _), alias)| *region == key.region && alias.key == key.id);
        let aliases: Vec<&str> = aliases.map(|((_, name), _)| name.as_str()).collect();
        if !aliases.is_empty() {
            asked = asked.with("kms:ResourceAliases", json!(aliases));
        }
        let policy = self.visible(named).map_or(&key.policy, |seen| &seen.policy);
        asked.resource_tags(&key.tags).under(Some(policy.shown(self.state)))
    }

    /// Lets a call on a key pass that is there and allows it.
    fn permit(&mut self, action: &'static str, named: &Named, more: impl FnOnce(Asked<'static>) -> Asked<'static>) -> Outcome<Key> {
        let arn = self.key_arn(named);
        let foreign = named.account != self.caller.account;
        let there = self.key(named).filter(|key| !self.is_early(action, named, key));
        let Some(key) = there.cloned() else {
            return Err(match foreign {
                true => Fault::denied(self.caller, action, &arn, ELSEWHERE),
                false => not_found(format!("Key '{arn}' does not exist")),
            });
        };
        let asked = more(self.about(self.asked(action, &arn, &named.account), &key, named));
        let decision = judge(self.state, self.caller, &asked);
        if decision.decided == Decided::Allowed {
            return Ok(key);
        }
        let own_side = decision.decided == Decided::ImplicitlyDenied && decision.missing.iter().any(|lack| lack.side == "identity");
        let why = if foreign && !own_side { ELSEWHERE.to_owned() } else { why(&decision, action) };
        Err(Fault::denied(self.caller, action, &arn, &why))
    }

    /// Lets a call pass on the key that `KeyId` names.
    fn permit_named(&mut self, action: &'static str, by: By) -> Outcome<(Named, Key)> {
        let named = self.resolve(needed(&self.input, "KeyId")?, by)?;
        let key = self.permit(action, &named, |asked| asked)?;
        Ok((named, key))
    }

    /// Refuses what a key that is about to go, or isn't there yet, can't do.
    fn alive(&self, key: &Key) -> Outcome<()> {
        match key.state(self.state.clock) {
            KeyState::Enabled | KeyState::Disabled => Ok(()),
            KeyState::Creating(_) => Err(invalid_state(format!("{} is creating.", key.arn))),
            _ => Err(invalid_state(format!("{} is pending deletion.", key.arn))),
        }
    }

    fn enabled(&self, key: &Key) -> Outcome<()> {
        self.alive(key)?;
        match key.state(self.state.clock) {
            KeyState::Disabled => Err(Fault::new(400, "DisabledException", format!("{} is disabled.", key.arn))),
            _ => Ok(()),
        }
    }

    /// Gives a page of a list, from `Marker` on and `Limit` long.
    fn page(&self, name: &str, members: Vec<Value>) -> Outcome<Value> {
        let wrong = |_| Fault::new(400, "InvalidMarkerException", "Could not deserialize marker");
        let from = member(&self.input, "Marker").map_or(Ok(0), str::parse::<usize>).map_err(wrong)?;
        let most = self.input.get("Limit").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok()).unwrap_or(50);
        let more = members.len() > from + most;
        let page: Vec<Value> = members.into_iter().skip(from).take(most).collect();
        let mut answer = json!({name: page, "Truncated": more});
        if more {
            answer["NextMarker"] = json!((from + most).to_string());
        }
        Ok(answer)
    }

    fn operation(&mut self, operation: &str) -> Outcome<Value> {
        match operation {
            "CreateKey" => self.create_key(),
            "ReplicateKey" => self.replicate_key(),
            "DescribeKey" => self.describe_key(),
            "GetKeyPolicy" => self.get_key_policy(),
            "PutKeyPolicy" => self.put_key_policy(),
            "ListKeyPolicies" => self.list_key_policies(),
            "EnableKeyRotation" => self.enable_rotation(),
            "DisableKeyRotation" => self.disable_rotation(),
            "GetKeyRotationStatus" => self.rotation_status(),
            "EnableKey" => self.enable_key(),
            "DisableKey" => self.disable_key(),
            "ScheduleKeyDeletion" => self.schedule_deletion(),
            "CancelKeyDeletion" => self.cancel_deletion(),
            "UpdateKeyDescription" => self.update_description(),
            "ListKeys" => self.list_keys(),
            "ListAliases" => self.list_aliases(),
            "CreateAlias" => self.create_alias(),
            "UpdateAlias" => self.update_alias(),
            "DeleteAlias" => self.delete_alias(),
            "TagResource" => self.tag(),
            "UntagResource" => self.untag(),
            "ListResourceTags" => self.list_tags(),
            "ListGrants" => self.list_grants(),
            "Encrypt" => self.encrypt(),
            "Decrypt" => self.decrypt(),
            "GenerateDataKey" => self.data_key(true),
            "GenerateDataKeyWithoutPlaintext" => self.data_key(false),
            "ReEncrypt" => self.re_encrypt(),
            _ => Err(Fault::new(400, "UnknownOperationException", "")),
        }
    }
}

/// What KMS says of other accounts' keys, whether they are there or not.
const ELSEWHERE: &str = " because the resource does not exist in this Region, no resource-based policies allow access, \
                         or a resource-based policy explicitly denies access";

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    let outcome = call.json().and_then(|input| {
        let mut kms = Kms { state, caller: &call.caller, region: &call.region, call: Some(call), input };
        kms.operation(call.target())
    });
    json_answer(outcome)
}

#[cfg(test)]
mod tests;
