//! What a parameter of the query makes of a request: S3's API names an operation so on a bucket's or an object's sub-resource, and a
//! request with a parameter that isn't heeded would be another one: `PUT ?retention` a new object, `DELETE ?tagging` a deletion.

/// A sub-resource of S3's API, and the methods that are answered here: on a bucket, and on an object.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const NONE: &[&str] = &[];
const READ: &[&str] = &["GET"];
const CHANGE: &[&str] = &["GET", "PUT"];
const WHOLE: &[&str] = &["GET", "PUT", "DELETE"];

/// All that S3's API has (the operations of the SDK's model, 1.157); for any other parameter a request is what it is without.
const ROWS: [Row; 42] = [
    ("abac", NONE, NONE),
    ("accelerate", NONE, NONE),
    ("acl", CHANGE, CHANGE),
    ("analytics", NONE, NONE),
    ("annotation", NONE, NONE),
    ("attributes", NONE, NONE),
    ("cors", READ, NONE),
    ("delete", &["POST"], NONE),
    ("encryption", WHOLE, NONE),
    ("intelligent-tiering", NONE, NONE),
    ("inventory", NONE, NONE),
    ("legal-hold", NONE, NONE),
    ("lifecycle", READ, NONE),
    ("location", READ, NONE),
    ("logging", NONE, NONE),
    ("metadataAnnotationTable", NONE, NONE),
    ("metadataConfiguration", NONE, NONE),
    ("metadataInventoryTable", NONE, NONE),
    ("metadataJournalTable", NONE, NONE),
    ("metadataTable", NONE, NONE),
    ("metrics", NONE, NONE),
    ("notification", CHANGE, NONE),
    ("object-lock", NONE, NONE),
    ("ownershipControls", WHOLE, NONE),
    ("partNumber", NONE, NONE),
    ("policy", WHOLE, NONE),
    ("policyStatus", READ, NONE),
    ("publicAccessBlock", WHOLE, NONE),
    ("renameObject", NONE, NONE),
    ("replication", NONE, NONE),
    ("requestPayment", READ, NONE),
    ("restore", NONE, NONE),
    ("retention", NONE, NONE),
    ("select", NONE, NONE),
    ("session", NONE, NONE),
    ("tagging", WHOLE, CHANGE),
    ("torrent", NONE, NONE),
    ("uploadId", NONE, NONE),
    ("uploads", NONE, NONE),
    ("versioning", CHANGE, NONE),
    ("versions", READ, NONE),
    ("website", READ, NONE),
];

/// Gives the sub-resource that a request is about and that isn't answered with its method.
pub(super) fn lacking<'q>(method: &str, of_bucket: bool, mut parameters: impl Iterator<Item = &'q str>) -> Option<&'q str> {
    parameters.find(|name| {
        let row = ROWS.iter().find(|(known, _, _)| known == name);
        row.is_some_and(|(_, bucket, object)| !(if of_bucket { bucket } else { object }).contains(&method))
    })
}
