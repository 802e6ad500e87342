use super::super::{DEV, PROD, Rehearsal};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Delete, ObjectCannedAcl, ObjectIdentifier,
    ObjectOwnership, Tag, VersioningConfiguration,
};
use serde_json::json;

fn client(rehearsal: &Rehearsal, account: &str, region: &str) -> Client {
    Client::new(&rehearsal.config(rehearsal.keys(account), region))
}

fn code<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let error = result.err().expect("an error");
    error.code().map(str::to_owned).or_else(|| Some(error.raw_response()?.status().as_u16().to_string())).unwrap_or_default()
}

async fn bucket(client: &Client, name: &str, ownership: ObjectOwnership) {
    client.create_bucket().bucket(name).object_ownership(ownership).send().await.unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.unwrap();
}

#[tokio::test]
async fn buckets_are_made_found_and_refused_as_s3_does() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "eu-west-1");
    let (dev, prod) = (client(&rehearsal, DEV, "us-east-1"), client(&rehearsal, PROD, "eu-west-1"));
    let tag = Tag::builder().key("a").value("b & c").build().unwrap();
    let tagged = CreateBucketConfiguration::builder().tags(tag.clone()).build();
    dev.create_bucket().bucket("dev-bucket").create_bucket_configuration(tagged).send().await.unwrap();
    assert_eq!(dev.get_bucket_tagging().bucket("dev-bucket").send().await.unwrap().tag_set(), [tag]);
    dev.create_bucket().bucket("dev-bucket").send().await.unwrap();
    assert_eq!(code(prod.create_bucket().bucket("prod-bucket").send().await), "IllegalLocationConstraintException");
    let there = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    let make = |name: &str| prod.create_bucket().bucket(name).create_bucket_configuration(there.clone()).send();
    make("prod-bucket").await.unwrap();
    assert_eq!(code(make("prod-bucket").await), "BucketAlreadyOwnedByYou");
    assert_eq!(code(make("dev-bucket").await), "BucketAlreadyExists");
    assert_eq!(code(make("Prod").await), "InvalidBucketName");

    let head = dev.head_bucket().bucket("dev-bucket").expected_bucket_owner(DEV).send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("us-east-1"));
    assert_eq!(code(dev.head_bucket().bucket("absent").send().await), "NotFound");
    assert_eq!(code(dev.head_bucket().bucket("dev-bucket").expected_bucket_owner(PROD).send().await), "403");
    let elsewhere = dev.head_bucket().bucket("prod-bucket").send().await.unwrap_err();
    let answer = elsewhere.raw_response().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("x-amz-bucket-region")), (301, Some("eu-west-1")));
    let strange = client(&rehearsal, DEV, "eu-west-1").head_bucket().bucket("prod-bucket").send().await.unwrap_err();
    let answer = strange.raw_response().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("x-amz-bucket-region")), (403, Some("eu-west-1")));
    assert_eq!(code(dev.get_bucket_versioning().bucket("prod-bucket").send().await), "PermanentRedirect");
    let policy = dev.get_bucket_policy().bucket("dev-bucket").send().await.unwrap_err();
    assert!(policy.request_id().is_some() && policy.code() == Some("NoSuchBucketPolicy"));

    let list = dev.list_buckets().prefix("dev-").max_buckets(1).send().await.unwrap();
    assert_eq!(list.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(), ["dev-bucket"]);
    assert!(list.continuation_token().is_none() && list.owner().and_then(|owner| owner.id()).is_some());
    dev.delete_bucket().bucket("dev-bucket").send().await.unwrap();
    assert_eq!(code(dev.delete_bucket().bucket("dev-bucket").send().await), "NoSuchBucket");
}

#[tokio::test]
async fn objects_have_versions_markers_and_headers() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let s3 = client(&rehearsal, DEV, "us-east-1");
    bucket(&s3, "my.dotted.bucket", ObjectOwnership::BucketOwnerEnforced).await;
    let put = |body: &'static str| {
        let request = s3.put_object().bucket("my.dotted.bucket").key("a b/ä.txt").body(ByteStream::from_static(body.as_bytes()));
        request.content_type("text/plain").cache_control("no-store").metadata("sha", "abc").send()
    };
    let (first, second) = (put("one").await.unwrap(), put("two").await.unwrap());
    assert_eq!(first.e_tag(), Some("\"f97c5d29941bfb1b2fdab0874906ab82\""));
    let get = |version: Option<&str>| {
        let request = s3.get_object().bucket("my.dotted.bucket").key("a b/ä.txt").set_version_id(version.map(str::to_owned));
        async { request.send().await }
    };
    let got = get(None).await.unwrap();
    assert_eq!((got.content_type(), got.cache_control(), got.version_id()), (Some("text/plain"), Some("no-store"), second.version_id()));
    assert_eq!(got.metadata().and_then(|metadata| metadata.get("sha")).map(String::as_str), Some("abc"));
    assert_eq!(got.server_side_encryption().map(|sse| sse.as_str()), Some("AES256"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"two");
    assert_eq!(get(first.version_id()).await.unwrap().body.collect().await.unwrap().to_vec(), b"one");
    let again = s3.put_object().bucket("my.dotted.bucket").key("a b/ä.txt").if_none_match("*").send().await;
    assert_eq!(code(again), "PreconditionFailed");
    let source = "my.dotted.bucket/a%20b/%C3%A4.txt";
    s3.copy_object().bucket("my.dotted.bucket").key("copy").copy_source(source).send().await.unwrap();
    let head = s3.head_object().bucket("my.dotted.bucket").key("copy").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_type()), (Some(3), Some("text/plain")));

    let deleted = s3.delete_object().bucket("my.dotted.bucket").key("a b/ä.txt").send().await.unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    assert_eq!(code(get(None).await), "NoSuchKey");
    assert_eq!(code(get(deleted.version_id()).await), "MethodNotAllowed");
    let list = s3.list_objects_v2().bucket("my.dotted.bucket").fetch_owner(true).send().await.unwrap();
    assert_eq!(list.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["copy"]);
    assert_eq!(code(s3.delete_bucket().bucket("my.dotted.bucket").send().await), "BucketNotEmpty");
    let all = s3.list_object_versions().bucket("my.dotted.bucket").send().await.unwrap();
    assert_eq!((all.versions().len(), all.delete_markers().len()), (3, 1));
    let names = all.versions().iter().map(|version| (version.key(), version.version_id()));
    let names = names.chain(all.delete_markers().iter().map(|marker| (marker.key(), marker.version_id())));
    let id = |(key, version): (Option<&str>, Option<&str>)| {
        ObjectIdentifier::builder().key(key.unwrap()).version_id(version.unwrap()).build().unwrap()
    };
    let delete = Delete::builder().set_objects(Some(names.map(id).collect())).build().unwrap();
    let done = s3.delete_objects().bucket("my.dotted.bucket").delete(delete).send().await.unwrap();
    assert_eq!((done.deleted().len(), done.errors().len()), (4, 0));
    s3.delete_bucket().bucket("my.dotted.bucket").send().await.unwrap();
}

#[tokio::test]
async fn lists_come_in_pages_and_folders() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let s3 = client(&rehearsal, DEV, "us-east-1");
    s3.create_bucket().bucket("paged").send().await.unwrap();
    for key in ["a/1", "a/2", "b", "c/1"] {
        s3.put_object().bucket("paged").key(key).send().await.unwrap();
    }
    let (mut keys, mut token) = (Vec::new(), None);
    loop {
        let page = s3.list_objects_v2().bucket("paged").max_keys(3).set_continuation_token(token).send().await.unwrap();
        keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(keys, ["a/1", "a/2", "b", "c/1"]);
    let folders = s3.list_objects_v2().bucket("paged").delimiter("/").send().await.unwrap();
    assert_eq!(folders.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect::<Vec<_>>(), ["a/", "c/"]);
    assert_eq!(folders.contents().len(), 1);
}

#[tokio::test]
async fn who_writes_owns_unless_acls_are_disabled() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let (dev, prod) = (client(&rehearsal, DEV, "us-east-1"), client(&rehearsal, PROD, "us-east-1"));
    for (name, ownership) in [("enforced", ObjectOwnership::BucketOwnerEnforced), ("writers", ObjectOwnership::ObjectWriter)] {
        bucket(&prod, name, ownership).await;
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": DEV},
            "Action": ["s3:PutObject", "s3:PutObjectAcl"], "Resource": format!("arn:aws:s3:::{name}/*")}]});
        prod.put_bucket_policy().bucket(name).policy(policy.to_string()).send().await.unwrap();
        dev.put_object().bucket(name).key("plain").send().await.unwrap();
        let control = ObjectCannedAcl::BucketOwnerFullControl;
        dev.put_object().bucket(name).key("shared").acl(control).send().await.unwrap();
    }
    let private = dev.put_object().bucket("enforced").key("private").acl(ObjectCannedAcl::Private).send().await;
    assert_eq!(code(private), "AccessControlListNotSupported");
    let get = |name: &str, key: &str| prod.get_object().bucket(name).key(key).send();
    get("enforced", "plain").await.unwrap();
    get("writers", "shared").await.unwrap();
    assert_eq!(code(get("writers", "plain").await), "AccessDenied");
    let owners = async |name: &str| {
        let list = prod.list_objects_v2().bucket(name).fetch_owner(true).send().await.unwrap();
        list.contents().iter().filter_map(|object| object.owner()?.id().map(str::to_owned)).collect::<Vec<_>>()
    };
    let id = async |client: &Client| client.list_buckets().send().await.unwrap().owner().unwrap().id().unwrap().to_owned();
    assert_eq!(owners("enforced").await, vec![id(&prod).await; 2]);
    assert_eq!(owners("writers").await, vec![id(&dev).await; 2]);
}

#[tokio::test]
async fn bucket_policies_are_checked_and_only_the_owner_sees_them() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let (dev, prod) = (client(&rehearsal, DEV, "us-east-1"), client(&rehearsal, PROD, "us-east-1"));
    dev.create_bucket().bucket("artifacts").send().await.unwrap();
    let put = |client: &Client, principal: serde_json::Value| {
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal,
            "Action": "s3:*", "Resource": ["arn:aws:s3:::artifacts", "arn:aws:s3:::artifacts/*"]}]});
        client.put_bucket_policy().bucket("artifacts").policy(policy.to_string()).send()
    };
    assert_eq!(code(put(&dev, json!("*")).await), "AccessDenied");
    assert_eq!(code(put(&dev, json!({"AWS": "arn:aws:iam::222222222222:role/absent"})).await), "MalformedPolicy");
    put(&dev, json!({"AWS": PROD})).await.unwrap();
    assert_eq!(code(prod.get_bucket_policy().bucket("artifacts").send().await), "MethodNotAllowed");
    prod.list_objects_v2().bucket("artifacts").send().await.unwrap();
    assert!(dev.get_bucket_policy().bucket("artifacts").send().await.unwrap().policy().unwrap().starts_with("{\"Version\":\"2012"));
    dev.delete_bucket_policy().bucket("artifacts").send().await.unwrap();
    assert_eq!(code(prod.list_objects_v2().bucket("artifacts").send().await), "AccessDenied");
}

#[tokio::test]
async fn a_header_that_a_policy_asks_for_is_seen() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let dev = client(&rehearsal, DEV, "us-east-1");
    dev.create_bucket().bucket("artifacts").send().await.unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::artifacts/*", "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}}});
    dev.put_bucket_policy().bucket("artifacts").policy(policy.to_string()).send().await.unwrap();
    let put = || dev.put_object().bucket("artifacts").key("key");
    assert_eq!(code(put().send().await), "AccessDenied");
    put().server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::Aes256).send().await.unwrap();
}
