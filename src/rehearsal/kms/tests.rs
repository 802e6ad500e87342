use super::{EncryptionContext, decrypt, generate_data_key};
use crate::rehearsal::state::Holder;
use crate::rehearsal::wire::Caller;
use crate::rehearsal::{DEV, PROD, Rehearsal};
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState, MultiRegionKeyType, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Value, json};

fn world() -> (Rehearsal, Client, Client) {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let client = |account: &str| Client::new(&rehearsal.config(rehearsal.keys(account), "us-east-1"));
    let (dev, prod) = (client(DEV), client(PROD));
    (rehearsal, dev, prod)
}

fn root(account: &str) -> Value {
    let arn = format!("arn:aws:iam::{account}:root");
    json!({"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": arn}, "Action": "kms:*", "Resource": "*"})
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn use_by(principal: &str) -> Value {
    json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"})
}

fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
    let error = result.unwrap_err();
    format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
}

async fn key(client: &Client, text: &str) -> String {
    let made = client.create_key().policy(text).send().await.unwrap();
    made.key_metadata().unwrap().arn().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_has_a_policy_a_name_tags_and_a_life() {
    let (_, dev, _) = world();
    let tag = Tag::builder().tag_key("xdeploy:pipeline").tag_value("web").build().unwrap();
    let made = dev.create_key().description("for artifacts").tags(tag.clone()).send().await.unwrap();
    let metadata = made.key_metadata().unwrap();
    let (id, arn) = (metadata.key_id().to_owned(), metadata.arn().unwrap().to_owned());
    assert_eq!(arn, format!("arn:aws:kms:us-east-1:111111111111:key/{id}"));
    dev.create_alias().alias_name("alias/s3deploykey").target_key_id(&id).send().await.unwrap();
    let again = code(dev.create_alias().alias_name("alias/s3deploykey").target_key_id(&arn).send().await);
    assert!(again.starts_with("AlreadyExistsException: An alias with the name arn:aws:kms:us-east-1:111111111111:alias/s3deploykey"));
    for name in [&id, &arn, "alias/s3deploykey", "arn:aws:kms:us-east-1:111111111111:alias/s3deploykey"] {
        let got = dev.describe_key().key_id(name).send().await.unwrap();
        assert_eq!(got.key_metadata().unwrap().arn(), Some(arn.as_str()));
    }
    let absent = code(dev.describe_key().key_id("alias/none").send().await);
    assert_eq!(absent, "NotFoundException: Alias arn:aws:kms:us-east-1:111111111111:alias/none is not found.");
    let elsewhere = arn.replace("us-east-1", "eu-west-1");
    assert_eq!(code(dev.describe_key().key_id(elsewhere).send().await), "NotFoundException: Invalid arn eu-west-1");
    let got = dev.get_key_policy().key_id(&id).send().await.unwrap();
    let shown: Value = serde_json::from_str(got.policy().unwrap()).unwrap();
    assert_eq!(shown["Statement"], json!([root(DEV)]));
    assert_eq!(dev.list_resource_tags().key_id(&id).send().await.unwrap().tags(), [tag]);
    dev.enable_key_rotation().key_id(&id).send().await.unwrap();
    assert!(dev.get_key_rotation_status().key_id(&id).send().await.unwrap().key_rotation_enabled());
    assert_eq!(dev.list_keys().send().await.unwrap().keys().len(), 1);
    assert_eq!(dev.list_aliases().send().await.unwrap().aliases()[0].target_key_id(), Some(id.as_str()));

    dev.disable_key().key_id(&id).send().await.unwrap();
    let encrypt = || dev.encrypt().key_id("alias/s3deploykey").plaintext(Blob::new("text")).send();
    assert_eq!(code(encrypt().await), format!("DisabledException: {arn} is disabled."));
    dev.enable_key().key_id(&id).send().await.unwrap();
    encrypt().await.unwrap();
    assert!(code(dev.schedule_key_deletion().key_id(&id).pending_window_in_days(6).send().await).starts_with("ValidationException"));
    let going = dev.schedule_key_deletion().key_id(&id).pending_window_in_days(7).send().await.unwrap();
    assert_eq!(going.key_state(), Some(&KeyState::PendingDeletion));
    assert_eq!(code(encrypt().await), format!("KMSInvalidStateException: {arn} is pending deletion."));
    assert!(!dev.get_key_rotation_status().key_id(&id).send().await.unwrap().key_rotation_enabled());
    dev.cancel_key_deletion().key_id(&id).send().await.unwrap();
    dev.delete_alias().alias_name("alias/s3deploykey").send().await.unwrap();
    assert!(code(dev.delete_alias().alias_name("alias/s3deploykey").send().await).starts_with("NotFoundException"));
}

#[tokio::test]
async fn a_key_policy_names_who_is_there_and_keeps_the_caller_in() {
    let (rehearsal, dev, _) = world();
    let refused = |statements: Vec<Value>| dev.create_key().policy(policy(&statements)).send();
    let absent = "arn:aws:iam::222222222222:role/prods3role";
    let message = "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.";
    assert_eq!(code(refused(vec![root(DEV), use_by(absent)]).await), message);
    let locked = "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.";
    assert_eq!(code(refused(vec![use_by("arn:aws:iam::111111111111:user/caller")]).await), locked);
    assert_eq!(code(refused(vec![root(PROD)]).await), locked);
    assert!(dev.list_keys().send().await.unwrap().keys().is_empty());

    let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(PROD), "us-east-1"));
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "sts:AssumeRole"}]});
    let make = || iam.create_role().role_name("prods3role").assume_role_policy_document(trust.to_string()).send();
    let id = make().await.unwrap().role.unwrap().role_id().to_owned();
    let arn = key(&dev, &policy(&[root(DEV)])).await;
    dev.put_key_policy().key_id(&arn).policy(policy(&[root(DEV), use_by(absent)])).send().await.unwrap();
    let shown = || async { dev.get_key_policy().key_id(&arn).send().await.unwrap().policy().unwrap().to_owned() };
    assert_eq!(shown().await, policy(&[root(DEV), use_by(absent)]));
    // A new role of the name is another principal (facts D.2).
    iam.delete_role().role_name("prods3role").send().await.unwrap();
    assert!(shown().await.contains(&id));
    make().await.unwrap();
    assert!(shown().await.contains(&id));
    dev.put_key_policy().key_id(&arn).policy(policy(&[root(DEV), use_by(absent)])).send().await.unwrap();
    assert!(!shown().await.contains(&id));
}

#[tokio::test]
async fn another_account_needs_the_key_policy_and_its_own() {
    let (rehearsal, dev, prod) = world();
    let arn = key(&dev, &policy(&[root(DEV)])).await;
    let sealed = dev.encrypt().key_id(&arn).plaintext(Blob::new("secret")).encryption_context("a", "b").send().await.unwrap();
    let blob = sealed.ciphertext_blob().unwrap().clone();
    assert!(!blob.as_ref().windows(6).any(|window| window == b"secret"));
    let open = |client: &Client| client.decrypt().ciphertext_blob(blob.clone()).encryption_context("a", "b").send();
    assert_eq!(open(&dev).await.unwrap().plaintext().unwrap().as_ref(), b"secret");
    let wrong = dev.decrypt().ciphertext_blob(blob.clone()).encryption_context("a", "c").send().await;
    assert!(code(wrong).starts_with("InvalidCiphertextException"));
    let denied = code(open(&prod).await);
    assert!(denied.starts_with("AccessDeniedException: User: arn:aws:iam::222222222222:user/caller is not authorized"), "{denied}");
    assert!(denied.contains("no resource-based policies allow access"), "{denied}");
    assert!(code(prod.describe_key().key_id(&arn).send().await).starts_with("AccessDeniedException"));
    dev.put_key_policy().key_id(&arn).policy(policy(&[root(DEV), use_by(PROD)])).send().await.unwrap();
    open(&prod).await.unwrap();
    prod.describe_key().key_id(&arn).send().await.unwrap();
    assert!(code(prod.get_key_policy().key_id(&arn).send().await).starts_with("AccessDeniedException"));
    // Its own side.
    let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(PROD), "us-east-1"));
    iam.detach_user_policy().user_name("caller").policy_arn("arn:aws:iam::aws:policy/AdministratorAccess").send().await.unwrap();
    assert!(code(open(&prod).await).ends_with("because no identity-based policy allows the kms:Decrypt action"));
    // Nor does a policy help within the account where the key policy leaves it nothing.
    let only = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:user/caller"}, "Action": "kms:PutKeyPolicy", "Resource": "*"});
    let arn = key(&dev, &policy(&[only])).await;
    let denied = code(dev.describe_key().key_id(&arn).send().await);
    assert!(denied.ends_with("because no resource-based policy allows the kms:DescribeKey action"), "{denied}");
}

#[tokio::test]
async fn a_multi_region_key_has_a_replica_with_a_policy_of_its_own() {
    let (rehearsal, dev, _) = world();
    let there = Client::new(&rehearsal.config(rehearsal.keys(DEV), "eu-west-1"));
    let single = key(&dev, &policy(&[root(DEV)])).await;
    let replicate = |key: &str| dev.replicate_key().key_id(key).replica_region("eu-west-1").send();
    assert!(code(replicate(&single).await).starts_with("UnsupportedOperationException"));
    let made = dev.create_key().multi_region(true).send().await.unwrap();
    let id = made.key_metadata().unwrap().key_id().to_owned();
    assert!(id.starts_with("mrk-"));
    let replica = replicate(&id).await.unwrap();
    assert_eq!(replica.replica_key_metadata().unwrap().key_state(), Some(&KeyState::Creating));
    assert!(code(replicate(&id).await).starts_with("AlreadyExistsException"));
    let got = there.describe_key().key_id(&id).send().await.unwrap();
    let metadata = got.key_metadata().unwrap();
    assert_eq!(metadata.key_state(), Some(&KeyState::Enabled));
    let configuration = metadata.multi_region_configuration().unwrap();
    assert_eq!(configuration.multi_region_key_type(), Some(&MultiRegionKeyType::Replica));
    assert_eq!(configuration.primary_key().unwrap().region(), Some("us-east-1"));
    dev.enable_key_rotation().key_id(&id).send().await.unwrap();
    assert!(there.get_key_rotation_status().key_id(&id).send().await.unwrap().key_rotation_enabled());
    assert!(code(there.enable_key_rotation().key_id(&id).send().await).starts_with("UnsupportedOperationException"));
    let sealed = dev.generate_data_key().key_id(&id).key_spec(DataKeySpec::Aes256).send().await.unwrap();
    let opened = there.decrypt().ciphertext_blob(sealed.ciphertext_blob().unwrap().clone()).send().await.unwrap();
    assert_eq!(opened.plaintext(), sealed.plaintext());
    let sealed = dev.encrypt().key_id(&single).plaintext(Blob::new("text")).send().await.unwrap();
    let elsewhere = code(there.decrypt().ciphertext_blob(sealed.ciphertext_blob().unwrap().clone()).send().await);
    assert!(elsewhere.contains("does not exist in this region"), "{elsewhere}");
    let going = dev.schedule_key_deletion().key_id(&id).send().await.unwrap();
    assert_eq!(going.key_state(), Some(&KeyState::PendingReplicaDeletion));
    there.schedule_key_deletion().key_id(&id).send().await.unwrap();
    let got = dev.describe_key().key_id(&id).send().await.unwrap();
    assert_eq!(got.key_metadata().unwrap().key_state(), Some(&KeyState::PendingDeletion));
}

#[tokio::test]
async fn s3_calls_for_who_calls_it() {
    let (rehearsal, dev, _) = world();
    let through = json!({"Effect": "Allow", "Principal": {"AWS": PROD}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
            "ArnLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::bucket/*"}}});
    let arn = key(&dev, &policy(&[root(DEV), through])).await;
    let state = &mut *rehearsal.lock();
    let (key, _) = state.access_keys.iter().find(|(_, key)| key.account == PROD && matches!(key.holder, Holder::User(_))).unwrap();
    let direct =
        Caller { account: PROD.to_owned(), arn: format!("arn:aws:iam::{PROD}:user/caller"), key: Some(key.clone()), ..Caller::default() };
    let s3 = Caller { via: Some("s3.us-east-1.amazonaws.com".to_owned()), ..direct.clone() };
    let context = |arn: &str| EncryptionContext::from([("aws:s3:arn".to_owned(), arn.to_owned())]);
    let (right, wrong) = (context("arn:aws:s3:::bucket/key"), context("arn:aws:s3:::other/key"));
    let data = generate_data_key(state, &s3, "us-east-1", &arn, &right).unwrap();
    assert_eq!(data.key, arn);
    assert_eq!(decrypt(state, &s3, "us-east-1", &data.wrapped, &right).unwrap(), data.plain);
    assert_eq!(decrypt(state, &direct, "us-east-1", &data.wrapped, &right).unwrap_err().code, "AccessDenied");
    assert_eq!(generate_data_key(state, &s3, "us-east-1", &arn, &wrong).unwrap_err().code, "AccessDenied");
    // AWS's own key is for its account, and through S3, alone.
    let dev = Caller { account: DEV.to_owned(), arn: format!("arn:aws:iam::{DEV}:user/caller"), ..s3.clone() };
    let own = generate_data_key(state, &dev, "us-east-1", "alias/aws/s3", &right).unwrap();
    assert!(decrypt(state, &dev, "us-east-1", &own.wrapped, &right).is_ok());
    assert_eq!(decrypt(state, &s3, "us-east-1", &own.wrapped, &right).unwrap_err().code, "AccessDenied");
    assert_eq!(state.accounts[DEV].keys.values().filter(|key| key.aws_managed).count(), 1);
}
