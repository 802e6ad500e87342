//! What a bucket holds: its settings, and every version of its objects.

use super::sse::Sealed;
use crate::rehearsal::document::Document;
use std::collections::BTreeMap;

/// A bucket and everything in it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// The account that owns it.
    pub(crate) owner: String,
    pub(crate) region: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) policy: Option<Document>,
    pub(crate) versioning: Versioning,
    pub(crate) encryption: Encryption,
    pub(crate) public_access_block: Option<PublicAccessBlock>,
    /// `None` where the bucket has no such setting: each writer owns what it writes.
    pub(crate) ownership: Option<Ownership>,
    /// The XML as it was put, letter for letter.
    pub(crate) notification: Option<Vec<u8>>,
    /// The versions of each key, the newest last.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Versioning {
    #[default]
    Never,
    Enabled,
    Suspended,
}

/// A bucket's default encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) algorithm: String,
    pub(crate) key: Option<String>,
    pub(crate) bucket_key: bool,
}

impl Default for Encryption {
    /// What every bucket has since January 2023 (facts B.2).
    fn default() -> Encryption {
        Encryption { algorithm: "AES256".to_owned(), key: None, bucket_key: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PublicAccessBlock {
    pub(crate) block_acls: bool,
    pub(crate) ignore_acls: bool,
    pub(crate) block_policy: bool,
    pub(crate) restrict_buckets: bool,
}

impl PublicAccessBlock {
    /// What every bucket has since April 2023 (facts B.2).
    pub(crate) const ALL: PublicAccessBlock =
        PublicAccessBlock { block_acls: true, ignore_acls: true, block_policy: true, restrict_buckets: true };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    Enforced,
    Preferred,
    Writer,
}

impl Ownership {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Ownership::Enforced => "BucketOwnerEnforced",
            Ownership::Preferred => "BucketOwnerPreferred",
            Ownership::Writer => "ObjectWriter",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Ownership> {
        [Ownership::Enforced, Ownership::Preferred, Ownership::Writer].into_iter().find(|ownership| ownership.word() == word)
    }
}

/// One version of an object, or the mark that it was deleted.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `null` where versioning didn't work.
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    /// The account that owns it.
    pub(crate) owner: String,
    /// `None` of a delete marker.
    pub(crate) content: Option<Content>,
}

/// What an object is.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) sealed: Sealed,
    pub(crate) size: usize,
    /// Without its quotes.
    pub(crate) etag: String,
    /// Headers that are kept with the object, lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// `x-amz-meta-…` without that.
    pub(crate) metadata: Vec<(String, String)>,
    /// `crc32` and so on, with its value in base64.
    pub(crate) checksum: (String, String),
    pub(crate) tags: Vec<(String, String)>,
    /// The canned ACL that it was put with.
    pub(crate) acl: String,
}

impl Bucket {
    pub(crate) fn new(name: &str, owner: &str, region: &str, created: i64) -> Bucket {
        Bucket {
            name: name.to_owned(),
            owner: owner.to_owned(),
            region: region.to_owned(),
            created,
            tags: Vec::new(),
            policy: None,
            versioning: Versioning::Never,
            encryption: Encryption::default(),
            public_access_block: Some(PublicAccessBlock::ALL),
            ownership: Some(Ownership::Enforced),
            notification: None,
            objects: BTreeMap::new(),
        }
    }

    /// Gives the newest version of a key, a delete marker included.
    pub(crate) fn newest(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.last()
    }

    /// Gives one version of a key, or the newest.
    pub(crate) fn version(&self, key: &str, id: Option<&str>) -> Option<&Version> {
        match id {
            None => self.newest(key),
            Some(id) => self.objects.get(key)?.iter().find(|version| version.id == id),
        }
    }

    /// Adds a version as the newest; what isn't versioned takes the place of the null version.
    pub(crate) fn add(&mut self, key: &str, version: Version) {
        let versions = self.objects.entry(key.to_owned()).or_default();
        if version.id == "null" {
            versions.retain(|there| there.id != "null");
        }
        versions.push(version);
    }

    /// Takes one version away for good.
    pub(crate) fn remove(&mut self, key: &str, id: &str) -> Option<Version> {
        let versions = self.objects.get_mut(key)?;
        let index = versions.iter().position(|version| version.id == id)?;
        let removed = versions.remove(index);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        Some(removed)
    }
}
