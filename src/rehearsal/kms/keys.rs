//! Keys: making them, their policies, and their life.

use super::{By, Key, KeyState, Kms, Named, Tags, invalid_state, member, needed, not_found, unsupported, validation};
use crate::rehearsal::authorise::{Asked, resource_side_allows};
use crate::rehearsal::document::{Document, first_absent};
use crate::rehearsal::grammar::{self, Kind};
use crate::rehearsal::regions;
use crate::rehearsal::state::{Role, epoch};
use crate::rehearsal::wire::{Fault, Outcome};
use serde_json::{Value, json};

/// The documented limit of a key policy (facts D.1).
const POLICY: usize = 32_768;
const DAY: u64 = 24 * 60 * 60 * 1000;
/// How long a new replica is `Creating` (facts C says seconds): the next call finds it ready.
const CREATING: u64 = 40;

fn malformed(text: impl Into<String>) -> Fault {
    Fault::new(400, "MalformedPolicyDocumentException", text)
}

pub(super) fn tags(input: &Value) -> Outcome<Tags> {
    let list = input.get("Tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let pair = |tag: &Value| Some((member(tag, "TagKey")?.to_owned(), member(tag, "TagValue").unwrap_or_default().to_owned()));
    let tags: Tags = list.iter().filter_map(pair).collect();
    if tags.len() != list.len() {
        return Err(Fault::new(400, "TagException", "Duplicate tag keys"));
    }
    match tags.keys().find(|key| key.starts_with("aws:") || key.is_empty() || key.len() > 128) {
        Some(_) => Err(Fault::new(400, "TagException", "Tag keys that start with \"aws:\" are reserved.")),
        None if tags.len() > 50 => Err(Fault::new(400, "LimitExceededException", "Too many tags")),
        None => Ok(tags),
    }
}

impl Kms<'_> {
    /// Reads a policy that a key is to have (facts D.1, E.16, E.17).
    fn policy(&self, arn: &str, account: &str) -> Outcome<Document> {
        let Some(text) = member(&self.input, "Policy") else {
            return Ok(Document::new(self.state, &default_policy(&self.state.partition, account)));
        };
        if text.is_empty() || !grammar::is_latin(text) {
            let pattern = r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+";
            return Err(validation(format!("1 validation error detected: Value at 'policy' failed to satisfy constraint: {pattern}")));
        }
        if text.len() > POLICY {
            return Err(Fault::new(400, "LimitExceededException", "The policy is longer than the maximum policy length"));
        }
        let value = grammar::read(text, Kind::Key).map_err(malformed)?;
        if first_absent(self.state, &value).is_some() {
            return Err(malformed("Policy contains a statement with one or more invalid principals."));
        }
        let bypass = self.input.get("BypassPolicyLockoutSafetyCheck").and_then(Value::as_bool).unwrap_or(false);
        let later = Asked::new("kms:PutKeyPolicy", arn, account, self.region).with("kms:CallerAccount", account).under(Some(value));
        if !bypass && !resource_side_allows(self.state, self.caller, &later) {
            return Err(malformed("The new key policy will not allow you to update the key policy in the future."));
        }
        Ok(Document::new(self.state, text))
    }

    /// Asks for the right to make a key in a region, with tags.
    fn may_create(&mut self, region: &str, arn: &str, multi_region: bool, tags: &Tags) -> Outcome<()> {
        let account = self.caller.account.clone();
        let with = |asked: Asked<'static>| {
            let asked = asked.with("kms:KeySpec", "SYMMETRIC_DEFAULT").with("kms:KeyUsage", "ENCRYPT_DECRYPT");
            let asked = asked.with("kms:KeyOrigin", "AWS_KMS").with("kms:MultiRegion", multi_region).request_tags(tags);
            Asked { region: region.to_owned(), ..asked }
        };
        let asked = with(self.asked("kms:CreateKey", "*", &account));
        self.may(asked)?;
        if tags.is_empty() {
            return Ok(());
        }
        // There is no key policy yet, so the account's own policies decide.
        let own = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}]});
        let any = format!("{}/*", arn.split_once('/').map_or(arn, |(start, _)| start));
        let asked = with(self.asked("kms:TagResource", arn, &account)).under(Some(own)).shown(any);
        self.may(asked)
    }

    pub(super) fn create_key(&mut self) -> Outcome<Value> {
        for (name, only) in [
            ("KeySpec", "SYMMETRIC_DEFAULT"),
            ("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"),
            ("KeyUsage", "ENCRYPT_DECRYPT"),
            ("Origin", "AWS_KMS"),
        ] {
            if member(&self.input, name).is_some_and(|given| given != only) {
                return Err(unsupported(format!("The rehearsal has {only} keys only")));
            }
        }
        let (description, tags) = (self.description()?, tags(&self.input)?);
        let multi_region = self.input.get("MultiRegion").and_then(Value::as_bool).unwrap_or(false);
        let id = if multi_region { format!("mrk-{}", self.state.random.hex(32)) } else { self.state.random.uuid() };
        let (account, region) = (self.caller.account.clone(), self.region.to_owned());
        let arn = self.arn(&format!("key/{id}"));
        self.may_create(&region, &arn, multi_region, &tags)?;
        if multi_region {
            self.service_linked_role()?;
        }
        let policy = self.policy(&arn, &account)?;
        let key = Key {
            arn,
            description,
            policy,
            tags,
            account,
            id: id.clone(),
            region: region.clone(),
            created: self.state.clock,
            primary: multi_region.then(|| region.clone()),
            material: self.state.random.bytes(),
            ..Key::default()
        };
        let metadata = self.metadata(&key);
        self.own()?.keys.insert((region, id), key);
        Ok(json!({"KeyMetadata": metadata}))
    }

    /// The first multi-Region key brings a service-linked role into the account (facts C).
    fn service_linked_role(&mut self) -> Outcome<()> {
        let (name, path) = ("AWSServiceRoleForKeyManagementServiceMultiRegionKeys", "/aws-service-role/mrk.kms.amazonaws.com/");
        if self.own()?.roles.contains_key(name) {
            return Ok(());
        }
        let account = self.caller.account.clone();
        let arn = self.own()?.iam_arn(&format!("role{path}{name}"));
        let asked = self.asked("iam:CreateServiceLinkedRole", &arn, &account).with("iam:AWSServiceName", "mrk.kms.amazonaws.com");
        self.may(asked)?;
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "mrk.kms.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        let role = Role {
            name: name.to_owned(),
            path: path.to_owned(),
            arn,
            id: self.state.random.id("AROA"),
            created: self.state.clock,
            longest_session: 3600,
            trust: Document::new(self.state, &trust.to_string()),
            ..Role::default()
        };
        self.own()?.roles.insert(name.to_owned(), role);
        Ok(())
    }

    pub(super) fn replicate_key(&mut self) -> Outcome<Value> {
        let region = needed(&self.input, "ReplicaRegion")?.to_owned();
        let named = self.resolve(needed(&self.input, "KeyId")?, By::IdOrArn)?;
        let (description, tags) = (self.description()?, tags(&self.input)?);
        let key = self.permit("kms:ReplicateKey", &named, |asked| asked.with("kms:ReplicaRegion", region.as_str()))?;
        if key.primary.as_deref() != Some(key.region.as_str()) {
            return Err(unsupported(format!("{} is not a multi-Region primary key.", key.arn)));
        }
        // Within the key's partition only (KMS-ReplicateKey).
        if !regions::exists(&self.state.partition, &region) || region == key.region {
            return Err(validation(format!("{region} is not a region that the key can be replicated to")));
        }
        self.enabled(&key)?;
        let there = Named { region: region.clone(), ..named };
        let arn = self.key_arn(&there);
        self.may_create(&region, &arn, true, &tags)?;
        if self.key(&there).is_some() {
            return Err(Fault::new(400, "AlreadyExistsException", format!("{arn} already exists.")));
        }
        let policy = self.policy(&arn, &key.account)?;
        let replica = Key {
            arn,
            description,
            policy,
            tags,
            region: region.clone(),
            created: self.state.clock,
            state: KeyState::Creating(self.state.clock + CREATING),
            rotation: None,
            ..key
        };
        let (shown, tags) = (replica.policy.text(self.state), tag_values(&replica.tags));
        let id = replica.id.clone();
        self.own()?.keys.insert((region, id), replica.clone());
        Ok(json!({"ReplicaKeyMetadata": self.metadata(&replica), "ReplicaPolicy": shown, "ReplicaTags": tags}))
    }

    fn description(&self) -> Outcome<String> {
        let text = member(&self.input, "Description").unwrap_or_default();
        let wrong = "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192";
        (text.chars().count() <= 8192).then(|| text.to_owned()).ok_or_else(|| validation(wrong))
    }

    /// Writes what DescribeKey shows.
    fn metadata(&self, key: &Key) -> Value {
        let state = key.state(self.state.clock);
        let mut metadata = json!({
            "AWSAccountId": key.account, "KeyId": key.id, "Arn": key.arn, "CreationDate": epoch(key.created),
            "Enabled": state == KeyState::Enabled, "Description": key.description, "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": state.word(), "Origin": "AWS_KMS", "KeyManager": if key.aws_managed { "AWS" } else { "CUSTOMER" },
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": key.primary.is_some(),
        });
        match state {
            KeyState::PendingDeletion { at, .. } => metadata["DeletionDate"] = epoch(at),
            KeyState::PendingReplicaDeletion { days } => metadata["PendingDeletionWindowInDays"] = json!(days),
            _ => {}
        }
        if let Some(primary) = &key.primary {
            let of = |region: &str| {
                let arn = format!("arn:{}:kms:{region}:{}:key/{}", self.state.partition, key.account, key.id);
                json!({"Arn": arn, "Region": region})
            };
            let replicas: Vec<Value> = self.replicas(key).iter().map(|region| of(region)).collect();
            let kind = if key.is_replica() { "REPLICA" } else { "PRIMARY" };
            metadata["MultiRegionConfiguration"] = json!({"MultiRegionKeyType": kind, "PrimaryKey": of(primary), "ReplicaKeys": replicas});
        }
        metadata
    }

    /// Lists the regions in which a multi-Region key has replicas.
    fn replicas(&self, key: &Key) -> Vec<String> {
        let keys = self.state.accounts.get(&key.account).into_iter().flat_map(|account| account.keys.values());
        let keys = keys.filter(|own| own.id == key.id && own.is_replica() && !own.is_gone(self.state.clock));
        keys.map(|own| own.region.clone()).collect()
    }

    pub(super) fn describe_key(&mut self) -> Outcome<Value> {
        let (_, key) = self.permit_named("kms:DescribeKey", By::AliasToo)?;
        Ok(json!({"KeyMetadata": self.metadata(&key)}))
    }

    fn default_name(&self, optional: bool) -> Outcome<()> {
        match member(&self.input, "PolicyName") {
            Some("default") => Ok(()),
            None if optional => Ok(()),
            _ => Err(not_found("No such policy exists".to_owned())),
        }
    }

    pub(super) fn get_key_policy(&mut self) -> Outcome<Value> {
        let (_, key) = self.permit_named("kms:GetKeyPolicy", By::IdOrArn)?;
        self.default_name(true)?;
        Ok(json!({"Policy": key.policy.text(self.state), "PolicyName": "default"}))
    }

    pub(super) fn put_key_policy(&mut self) -> Outcome<Value> {
        needed(&self.input, "Policy")?;
        let (named, key) = self.permit_named("kms:PutKeyPolicy", By::IdOrArn)?;
        self.default_name(true)?;
        self.alive(&key)?;
        let policy = self.policy(&key.arn, &key.account)?;
        self.key_mut(&named)?.policy = policy;
        Ok(Value::Null)
    }

    pub(super) fn list_key_policies(&mut self) -> Outcome<Value> {
        self.permit_named("kms:ListKeyPolicies", By::IdOrArn)?;
        self.page("PolicyNames", vec![json!("default")])
    }

    pub(super) fn enable_rotation(&mut self) -> Outcome<Value> {
        let days = self.input.get("RotationPeriodInDays").and_then(Value::as_u64).unwrap_or(365);
        let (named, key) = self.permit_named("kms:EnableKeyRotation", By::IdOrArn)?;
        if !(90..=2560).contains(&days) {
            return Err(validation(format!("RotationPeriodInDays {days} must be between 90 and 2560")));
        }
        self.may_rotate(&key)?;
        self.key_mut(&named)?.rotation = Some(days);
        Ok(Value::Null)
    }

    pub(super) fn disable_rotation(&mut self) -> Outcome<Value> {
        let (named, key) = self.permit_named("kms:DisableKeyRotation", By::IdOrArn)?;
        self.may_rotate(&key)?;
        self.key_mut(&named)?.rotation = None;
        Ok(Value::Null)
    }

    /// A multi-Region key's rotation is set on the primary (facts C).
    fn may_rotate(&self, key: &Key) -> Outcome<()> {
        if key.is_replica() {
            return Err(unsupported(format!("{} is a replica key.", key.arn)));
        }
        self.enabled(key)
    }

    pub(super) fn rotation_status(&mut self) -> Outcome<Value> {
        let (_, key) = self.permit_named("kms:GetKeyRotationStatus", By::IdOrArn)?;
        if matches!(key.state(self.state.clock), KeyState::Creating(_)) {
            return Err(invalid_state(format!("{} is creating.", key.arn)));
        }
        let primary = key.primary.as_ref().filter(|_| key.is_replica());
        let ruling = primary.and_then(|region| self.own_key(region, &key.id)).unwrap_or(&key);
        let pending = matches!(key.state, KeyState::PendingDeletion { .. } | KeyState::PendingReplicaDeletion { .. });
        let mut answer = json!({"KeyId": key.arn, "KeyRotationEnabled": ruling.rotation.is_some() && !pending});
        if let Some(days) = ruling.rotation {
            answer["RotationPeriodInDays"] = json!(days);
            answer["NextRotationDate"] = epoch(ruling.created + days * DAY);
        }
        Ok(answer)
    }

    fn own_key(&self, region: &str, id: &str) -> Option<&Key> {
        self.state.accounts.get(&self.caller.account)?.keys.get(&(region.to_owned(), id.to_owned()))
    }

    pub(super) fn enable_key(&mut self) -> Outcome<Value> {
        let (named, key) = self.permit_named("kms:EnableKey", By::IdOrArn)?;
        self.alive(&key)?;
        self.key_mut(&named)?.state = KeyState::Enabled;
        Ok(Value::Null)
    }

    pub(super) fn disable_key(&mut self) -> Outcome<Value> {
        let (named, key) = self.permit_named("kms:DisableKey", By::IdOrArn)?;
        self.alive(&key)?;
        self.key_mut(&named)?.state = KeyState::Disabled;
        Ok(Value::Null)
    }

    pub(super) fn schedule_deletion(&mut self) -> Outcome<Value> {
        let days = self.input.get("PendingWindowInDays").and_then(Value::as_u64).unwrap_or(30);
        let named = self.resolve(needed(&self.input, "KeyId")?, By::IdOrArn)?;
        let key = self.permit("kms:ScheduleKeyDeletion", &named, |asked| asked.with("kms:ScheduleKeyDeletionPendingWindowInDays", days))?;
        if !(7..=30).contains(&days) {
            return Err(validation(format!("PendingWindowInDays {days} must be between 7 and 30")));
        }
        self.alive(&key)?;
        let at = self.state.clock + days * DAY;
        let waits = key.primary.is_some() && !key.is_replica() && !self.replicas(&key).is_empty();
        let state = if waits { KeyState::PendingReplicaDeletion { days } } else { KeyState::PendingDeletion { at, days } };
        self.key_mut(&named)?.state = state;
        // The last replica that goes lets its primary's own time begin.
        if let (true, Some(primary)) = (key.is_replica(), &key.primary) {
            self.primary_may_go(primary, &key);
        }
        let mut answer = json!({"KeyId": key.arn, "KeyState": state.word(), "PendingWindowInDays": days});
        if !waits {
            answer["DeletionDate"] = epoch(at);
        }
        Ok(answer)
    }

    fn primary_may_go(&mut self, primary: &str, replica: &Key) {
        let Some(account) = self.state.accounts.get_mut(&replica.account) else { return };
        let pending = |key: &Key| matches!(key.state, KeyState::PendingDeletion { .. });
        let others = account.keys.values().any(|key| key.id == replica.id && key.is_replica() && !pending(key));
        // Replicas wait themselves, so the primary's time begins when theirs is over.
        let after = account.keys.values().filter(|key| key.id == replica.id && key.is_replica());
        let after = after.filter_map(|key| if let KeyState::PendingDeletion { at, .. } = key.state { Some(at) } else { None }).max();
        if let (false, Some(after), Some(key)) = (others, after, account.keys.get_mut(&(primary.to_owned(), replica.id.clone())))
            && let KeyState::PendingReplicaDeletion { days } = key.state
        {
            key.state = KeyState::PendingDeletion { at: after + days * DAY, days };
        }
    }

    pub(super) fn cancel_deletion(&mut self) -> Outcome<Value> {
        let (named, key) = self.permit_named("kms:CancelKeyDeletion", By::IdOrArn)?;
        if !matches!(key.state, KeyState::PendingDeletion { .. } | KeyState::PendingReplicaDeletion { .. }) {
            return Err(invalid_state(format!("{} is not pending deletion.", key.arn)));
        }
        self.key_mut(&named)?.state = KeyState::Disabled;
        Ok(json!({"KeyId": key.arn}))
    }

    pub(super) fn update_description(&mut self) -> Outcome<Value> {
        needed(&self.input, "Description")?;
        let description = self.description()?;
        let (named, key) = self.permit_named("kms:UpdateKeyDescription", By::IdOrArn)?;
        self.alive(&key)?;
        self.key_mut(&named)?.description = description;
        Ok(Value::Null)
    }
}

/// Gives the policy of a key that is made without one (facts B.4, statement 1).
fn default_policy(partition: &str, account: &str) -> String {
    json!({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [{
        "Sid": "Enable IAM User Permissions", "Effect": "Allow",
        "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")}, "Action": "kms:*", "Resource": "*"}]})
    .to_string()
}

pub(super) fn tag_values(tags: &Tags) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect()
}
