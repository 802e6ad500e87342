//! What keys are for: wrapping and opening, with AES-256-GCM under the key's material.

use super::{By, Key, Kms, Named, member, needed, validation};
use crate::rehearsal::authorise::Asked;
use crate::rehearsal::document::Document;
use crate::rehearsal::state::{Alias, State};
use crate::rehearsal::wire::{Caller, Fault, Outcome};
use aws_smithy_types::base64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A data key, plain and wrapped.
#[derive(Debug, Clone)]
pub(crate) struct DataKey {
    /// The ARN of the key that wraps it.
    pub key: String,
    pub plain: [u8; 32],
    pub wrapped: Vec<u8>,
}

/// What data is bound to: `aws:s3:arn` and the object's ARN, or the bucket's with a bucket key.
pub(crate) type EncryptionContext = BTreeMap<String, String>;

/// How a ciphertext of ours begins.
const MAGIC: &[u8] = b"KMS1";
/// The name that S3's own key has in every account (facts E.7).
const S3_ALIAS: &str = "alias/aws/s3";

fn internal() -> Fault {
    Fault::new(500, "KMSInternalException", "")
}

fn cipher(key: &Key) -> Outcome<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, &key.material).map(LessSafeKey::new).map_err(|_| internal())
}

/// Writes a context so that no two are alike.
fn bound(context: &EncryptionContext) -> Vec<u8> {
    json!(context).to_string().into_bytes()
}

/// A ciphertext: which key, and what it wrapped.
struct Ciphertext<'b> {
    arn: &'b str,
    nonce: [u8; NONCE_LEN],
    sealed: &'b [u8],
}

fn wrap(state: &mut State, key: &Key, context: &EncryptionContext, plain: &[u8]) -> Outcome<Vec<u8>> {
    let nonce: [u8; NONCE_LEN] = state.random.bytes();
    let mut sealed = plain.to_vec();
    let aad = Aad::from(bound(context));
    cipher(key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).map_err(|_| internal())?;
    let mut blob = MAGIC.to_vec();
    blob.push(u8::try_from(key.arn.len()).map_err(|_| internal())?);
    blob.extend_from_slice(key.arn.as_bytes());
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(&sealed);
    Ok(blob)
}

fn read(blob: &[u8]) -> Option<Ciphertext<'_>> {
    let (length, rest) = blob.strip_prefix(MAGIC)?.split_first()?;
    let (arn, rest) = rest.split_at_checked(usize::from(*length))?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    Some(Ciphertext { arn: std::str::from_utf8(arn).ok()?, nonce: nonce.try_into().ok()?, sealed })
}

fn unwrap_data(key: &Key, context: &EncryptionContext, ciphertext: &Ciphertext<'_>) -> Outcome<Vec<u8>> {
    let mut bytes = ciphertext.sealed.to_vec();
    let (nonce, aad) = (Nonce::assume_unique_for_key(ciphertext.nonce), Aad::from(bound(context)));
    let wrong = |_| Fault::new(400, "InvalidCiphertextException", "");
    let length = cipher(key)?.open_in_place(nonce, aad, &mut bytes).map_err(wrong)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

fn with_context<'q>(asked: Asked<'q>, context: &EncryptionContext) -> Asked<'q> {
    let asked = asked.with("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
    if context.is_empty() {
        return asked;
    }
    let keys: Vec<&str> = context.keys().map(String::as_str).collect();
    let asked = asked.with("kms:EncryptionContextKeys", json!(keys));
    context.iter().fold(asked, |asked, (key, value)| asked.with(&format!("kms:EncryptionContext:{key}"), value.as_str()))
}

/// Makes a data key for a caller; S3 sets [`Caller::via`]. The key is an ARN, an id or an alias of the caller's account.
pub(crate) fn generate_data_key(
    state: &mut State,
    caller: &Caller,
    region: &str,
    key: &str,
    context: &EncryptionContext,
) -> Outcome<DataKey> {
    let mut kms = Kms { state, caller, region, call: None, input: Value::Null };
    if key == S3_ALIAS && caller.via.is_some() {
        kms.s3_key()?;
    }
    kms.generate("kms:GenerateDataKey", key, context)
}

/// Opens what a key wrapped for a caller.
pub(crate) fn decrypt(state: &mut State, caller: &Caller, region: &str, wrapped: &[u8], context: &EncryptionContext) -> Outcome<Vec<u8>> {
    let mut kms = Kms { state, caller, region, call: None, input: Value::Null };
    Ok(kms.open("kms:Decrypt", wrapped, context)?.1)
}

impl Kms<'_> {
    /// Makes the key that S3 uses where none is named, the first time.
    fn s3_key(&mut self) -> Outcome<()> {
        let place = (self.region.to_owned(), S3_ALIAS.to_owned());
        if self.own()?.aliases.contains_key(&place) {
            return Ok(());
        }
        let (id, account, partition) = (self.state.random.uuid(), self.caller.account.clone(), self.state.partition.clone());
        let through = json!({"kms:CallerAccount": account, "kms:ViaService": format!("s3.{}.amazonaws.com", self.region)});
        let policy = json!({"Version": "2012-10-17", "Id": "auto-s3-2", "Statement": [
            {"Sid": "Allow access through S3 for all principals in the account that are authorized to use S3", "Effect": "Allow",
             "Principal": {"AWS": "*"}, "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
             "Resource": "*", "Condition": {"StringEquals": through}},
            {"Sid": "Allow direct access to key metadata to the account", "Effect": "Allow",
             "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")}, "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
             "Resource": "*"}]});
        let key = Key {
            arn: self.arn(&format!("key/{id}")),
            account,
            id: id.clone(),
            region: self.region.to_owned(),
            aws_managed: true,
            description: "Default key that protects my S3 objects when no other key is defined".to_owned(),
            created: self.state.clock,
            policy: Document::new(self.state, &policy.to_string()),
            rotation: Some(365),
            material: self.state.random.bytes(),
            ..Key::default()
        };
        let created = self.state.clock;
        let (region, own) = (self.region.to_owned(), self.own()?);
        own.keys.insert((region, id.clone()), key);
        own.aliases.insert(place, Alias { key: id, created });
        Ok(())
    }

    fn generate(&mut self, action: &'static str, key: &str, context: &EncryptionContext) -> Outcome<DataKey> {
        let key = self.usable(action, key, context)?;
        let plain: [u8; 32] = self.state.random.bytes();
        Ok(DataKey { wrapped: wrap(self.state, &key, context, &plain)?, key: key.arn, plain })
    }

    fn usable(&mut self, action: &'static str, key: &str, context: &EncryptionContext) -> Outcome<Key> {
        let named = self.resolve(key, By::AliasToo)?;
        let key = self.permit(action, &named, |asked| with_context(asked, context))?;
        self.enabled(&key)?;
        Ok(key)
    }

    /// Opens a ciphertext with the key that it names.
    fn open(&mut self, action: &'static str, blob: &[u8], context: &EncryptionContext) -> Outcome<(Key, Vec<u8>)> {
        let ciphertext = read(blob).ok_or_else(|| Fault::new(400, "InvalidCiphertextException", ""))?;
        let parts: Vec<&str> = ciphertext.arn.splitn(6, ':').collect();
        let [_, _, _, region, account, name] = parts[..] else { return Err(internal()) };
        let id = name.strip_prefix("key/").unwrap_or(name);
        // Related multi-Region keys open each other's; any other key is in one region only.
        let here = id.starts_with("mrk-") || region == self.region;
        let named = Named { account: account.to_owned(), region: self.region.to_owned(), id: id.to_owned(), alias: None };
        if !here || self.key(&named).is_none() {
            // Facts E.10.
            let message = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                           or you are not allowed to access.";
            return Err(Fault::new(400, "AccessDeniedException", message));
        }
        if let Some(wanted) = member(&self.input, "KeyId").or(member(&self.input, "SourceKeyId")) {
            let wanted = self.resolve(wanted, By::AliasToo)?;
            if (wanted.account.as_str(), wanted.id.as_str()) != (account, id) {
                let message = "The key ID in the request does not identify a CMK that can perform this operation.";
                return Err(Fault::new(400, "IncorrectKeyException", message));
            }
        }
        let key = self.permit(action, &named, |asked| with_context(asked, context))?;
        self.enabled(&key)?;
        let plain = unwrap_data(&key, context, &ciphertext)?;
        Ok((key, plain))
    }

    fn context_of(&self, name: &str) -> EncryptionContext {
        let members = self.input.get(name).and_then(Value::as_object);
        members.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    fn blob(&self, name: &str) -> Outcome<Vec<u8>> {
        base64::decode(needed(&self.input, name)?).map_err(|_| Fault::new(400, "SerializationException", ""))
    }

    pub(super) fn encrypt(&mut self) -> Outcome<Value> {
        let (plain, context) = (self.blob("Plaintext")?, self.context_of("EncryptionContext"));
        if plain.is_empty() || plain.len() > 4096 {
            let constraint = "Member must have length between 1 and 4096";
            return Err(validation(format!(
                "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: {constraint}"
            )));
        }
        let key = needed(&self.input, "KeyId")?.to_owned();
        let key = self.usable("kms:Encrypt", &key, &context)?;
        let blob = wrap(self.state, &key, &context, &plain)?;
        Ok(json!({"CiphertextBlob": base64::encode(blob), "KeyId": key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
    }

    pub(super) fn decrypt(&mut self) -> Outcome<Value> {
        let (blob, context) = (self.blob("CiphertextBlob")?, self.context_of("EncryptionContext"));
        let (key, plain) = self.open("kms:Decrypt", &blob, &context)?;
        Ok(json!({"Plaintext": base64::encode(plain), "KeyId": key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
    }

    pub(super) fn data_key(&mut self, with_plaintext: bool) -> Outcome<Value> {
        let (key, context) = (needed(&self.input, "KeyId")?.to_owned(), self.context_of("EncryptionContext"));
        let length = match (member(&self.input, "KeySpec"), self.input.get("NumberOfBytes").and_then(Value::as_u64)) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (None, Some(length)) if (1..=1024).contains(&length) => usize::try_from(length).unwrap_or(32),
            _ => return Err(validation("Please specify either number of bytes or key spec.")),
        };
        let action = if with_plaintext { "kms:GenerateDataKey" } else { "kms:GenerateDataKeyWithoutPlaintext" };
        let key = self.usable(action, &key, &context)?;
        let plain: Vec<u8> = (0..length).map(|_| self.state.random.next().to_le_bytes()[0]).collect();
        let wrapped = wrap(self.state, &key, &context, &plain)?;
        let mut answer = json!({"CiphertextBlob": base64::encode(wrapped), "KeyId": key.arn});
        if with_plaintext {
            answer["Plaintext"] = json!(base64::encode(plain));
        }
        Ok(answer)
    }

    pub(super) fn re_encrypt(&mut self) -> Outcome<Value> {
        let blob = self.blob("CiphertextBlob")?;
        let (from, to) = (self.context_of("SourceEncryptionContext"), self.context_of("DestinationEncryptionContext"));
        let wanted = needed(&self.input, "DestinationKeyId")?.to_owned();
        let (source, plain) = self.open("kms:ReEncryptFrom", &blob, &from)?;
        let key = self.usable("kms:ReEncryptTo", &wanted, &to)?;
        let wrapped = wrap(self.state, &key, &to, &plain)?;
        Ok(json!({"CiphertextBlob": base64::encode(wrapped), "SourceKeyId": source.arn, "KeyId": key.arn,
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
    }
}
