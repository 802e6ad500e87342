//! Everything that the two accounts hold.

use super::codepipeline::{Execution, Pipeline};
use super::document::Document;
use super::events::Rule;
use super::kms::Key;
use super::s3::Bucket;
use super::settling::Late;
use crate::policy::Decided;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a call takes.
const CALL: u64 = 40;
/// When the rehearsal begins, unless it is told another time: 2026-01-01T00:00:00Z.
pub(super) const START: u64 = 1_767_225_600_000;
/// The names of AWS's own policies that can be attached here.
pub(crate) const ADMINISTRATOR: &str = "AdministratorAccess";

/// The whole world.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Milliseconds since 1970; each call takes a little of it, so that every run is the same.
    pub clock: u64,
    pub calls: u64,
    pub partition: String,
    pub dev_region: String,
    pub prod_region: String,
    pub accounts: BTreeMap<String, Account>,
    /// By name: the names of buckets are global.
    pub buckets: BTreeMap<String, Bucket>,
    pub access_keys: BTreeMap<String, AccessKey>,
    /// Otherwise an access key id is enough: nobody else can reach the memory that this runs in.
    pub checks_signatures: bool,
    pub random: Random,
    /// Every call that was authorised, in order.
    pub log: Vec<Logged>,
    /// What others see of what settles late.
    pub late: Option<Late>,
}

/// One of the two accounts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub id: String,
    pub partition: String,
    /// By name.
    pub users: BTreeMap<String, User>,
    /// By name.
    pub groups: BTreeMap<String, UserGroup>,
    /// By name.
    pub roles: BTreeMap<String, Role>,
    /// Managed policies by ARN.
    pub policies: BTreeMap<String, Policy>,
    /// By region and id.
    pub keys: BTreeMap<(String, String), Key>,
    /// The ids of keys by region and `alias/…`.
    pub aliases: BTreeMap<(String, String), Alias>,
    /// By region and name.
    pub rules: BTreeMap<(String, String), Rule>,
    /// By region and name.
    pub pipelines: BTreeMap<(String, String), Pipeline>,
    /// In the order in which they began.
    pub executions: Vec<Execution>,
}

impl Account {
    /// Gives the ARN of `role/…`, `policy/…` or `root`.
    pub fn iam_arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.id)
    }

    /// Finds a role by its ARN, path and all.
    pub fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.values().find(|role| role.arn == arn)
    }
}

/// What a name of a key stands for.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    pub key: String,
    pub created: u64,
}

/// An IAM user.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub name: String,
    pub path: String,
    pub arn: String,
    /// `AIDA…`
    pub id: String,
    pub created: u64,
    pub tags: BTreeMap<String, String>,
    /// Documents by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
    /// The ARN of a managed policy.
    pub boundary: Option<String>,
    pub mfa: Option<super::mfa::Device>,
}

/// A group of users.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserGroup {
    pub name: String,
    pub arn: String,
    /// `AGPA…`
    pub id: String,
    pub created: u64,
    /// Documents by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
    /// The names of its users.
    pub members: std::collections::BTreeSet<String>,
}

/// An IAM role.
#[derive(Debug, Clone, Default)]
pub(crate) struct Role {
    pub name: String,
    pub path: String,
    pub arn: String,
    /// `AROA…`
    pub id: String,
    pub created: u64,
    pub description: Option<String>,
    /// Seconds.
    pub longest_session: u64,
    pub trust: Document,
    pub tags: BTreeMap<String, String>,
    /// Documents by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
    /// The ARN of a managed policy.
    pub boundary: Option<String>,
}

/// A managed policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub name: String,
    pub path: String,
    pub arn: String,
    /// `ANPA…`
    pub id: String,
    pub created: u64,
    pub updated: u64,
    pub description: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub versions: Vec<Version>,
    /// The number of the version that counts.
    pub default: u64,
    /// The number of the next version; numbers are never used twice.
    pub next: u64,
}

/// A version of a managed policy.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub number: u64,
    pub document: String,
    pub created: u64,
}

impl Policy {
    /// Gives the document that counts.
    pub fn document(&self) -> &str {
        self.versions.iter().find(|version| version.number == self.default).map_or("", |version| version.document.as_str())
    }
}

/// An access key.
#[derive(Debug, Clone)]
pub(crate) struct AccessKey {
    pub account: String,
    pub secret: String,
    pub token: Option<String>,
    /// Milliseconds.
    pub expires: Option<u64>,
    pub holder: Holder,
}

/// Whose an access key is.
#[derive(Debug, Clone)]
pub(crate) enum Holder {
    Root,
    User(String),
    /// What a user's keys got of GetSessionToken.
    UserSession {
        user: String,
        /// With a code.
        mfa: bool,
        issued: u64,
    },
    Session {
        /// The role's name.
        role: String,
        /// The role's unique id.
        id: String,
        session: String,
        policy: Option<Value>,
        issued: u64,
        /// A service made it for itself.
        by_service: bool,
    },
}

/// A call that was authorised, or refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The number of the HTTP call during which it was asked.
    pub call: u64,
    /// The ARN of a user or session, or a service's name.
    pub caller: String,
    /// IAM's name of the call, such as `kms:Decrypt`.
    pub action: String,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// What the policies say.
    pub verdict: Decided,
    /// What [`crate::policy::decide`] was asked.
    pub request: Arc<Value>,
}

/// Makes ids that are the same in every run (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives as many characters of the alphabet.
    pub fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet = alphabet.as_bytes();
        let mut one = || alphabet.get(usize::try_from(self.next() % alphabet.len().max(1) as u64).unwrap_or(0)).copied().unwrap_or(b'A');
        (0..length).map(|_| char::from(one())).collect()
    }

    /// Gives a unique id of IAM: a prefix such as `AROA`, and 17 characters.
    pub fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17))
    }

    pub fn hex(&mut self, length: usize) -> String {
        self.text("0123456789abcdef", length)
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }

    /// Gives a random UUID (RFC 9562, version 4).
    pub fn uuid(&mut self) -> String {
        let variant = self.text("89ab", 1);
        format!("{}-{}-4{}-{variant}{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }
}

impl State {
    pub fn new(partition: &str, dev_region: &str, prod_region: &str) -> State {
        let mut state = State {
            clock: START,
            calls: 0,
            partition: partition.to_owned(),
            dev_region: dev_region.to_owned(),
            prod_region: prod_region.to_owned(),
            accounts: BTreeMap::new(),
            buckets: BTreeMap::new(),
            access_keys: BTreeMap::new(),
            checks_signatures: false,
            random: Random(0x7265_6865_6172_7361),
            log: Vec::new(),
            late: None,
        };
        for id in [super::DEV, super::PROD] {
            state.found(id);
        }
        state
    }

    /// Makes an account with an administrator.
    pub(super) fn found(&mut self, id: &str) {
        let mut account = Account { id: id.to_owned(), partition: self.partition.clone(), ..Account::default() };
        let managed = format!("arn:{}:iam::aws:policy/{ADMINISTRATOR}", self.partition);
        let name = "caller";
        let user = User {
            name: name.to_owned(),
            path: "/".to_owned(),
            arn: account.iam_arn(&format!("user/{name}")),
            id: self.random.id("AIDA"),
            created: self.clock,
            attached: vec![managed],
            ..User::default()
        };
        account.users.insert(name.to_owned(), user);
        self.accounts.insert(id.to_owned(), account);
        self.new_key(id, Holder::User(name.to_owned()), None);
        self.new_key(id, Holder::Root, None);
    }

    /// Makes an access key and gives its id; one that expires has a token.
    pub fn new_key(&mut self, account: &str, holder: Holder, expires: Option<u64>) -> String {
        let id = self.random.id(if expires.is_some() { "ASIA" } else { "AKIA" });
        let id = id.get(..20).unwrap_or(&id).to_owned();
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let secret = self.random.text(letters, 40);
        let token = expires.map(|_| format!("{}==", self.random.text(letters, 354)));
        self.access_keys.insert(id.clone(), AccessKey { account: account.to_owned(), secret, token, expires, holder });
        id
    }

    /// Counts a call, which takes its time.
    pub fn tick(&mut self) {
        self.calls += 1;
        self.clock += CALL;
        self.settle();
    }

    /// Finds a role by its ARN, in whatever account, as others see it.
    pub fn role(&self, arn: &str) -> Option<&Role> {
        self.visible(account_of(arn))?.role(arn)
    }

    /// Gives the unique id of the user or role that an ARN names now; `None` if there is none, or none is to be seen yet.
    pub fn principal_id(&self, arn: &str) -> Option<&str> {
        let account = self.visible(account_of(arn))?;
        let user = || account.users.values().find(|user| user.arn == arn).map(|user| user.id.as_str());
        account.role(arn).map(|role| role.id.as_str()).or_else(user)
    }

    /// Gives the document of a managed policy, AWS's own included.
    pub fn managed_document(&self, arn: &str) -> Option<Value> {
        self.document_in(&self.accounts, arn)
    }

    pub(super) fn document_in(&self, accounts: &BTreeMap<String, Account>, arn: &str) -> Option<Value> {
        if arn == format!("arn:{}:iam::aws:policy/{ADMINISTRATOR}", self.partition) {
            return Some(json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}));
        }
        let policy = accounts.get(account_of(arn))?.policies.get(arn)?;
        serde_json::from_str(policy.document()).ok()
    }
}

/// Gives the account that stands in an ARN.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// Writes a time as `2026-01-01T00:00:00Z`, with milliseconds where there are some.
pub(crate) fn date_time(milliseconds: u64) -> String {
    let time = aws_smithy_types::DateTime::from_millis(i64::try_from(milliseconds).unwrap_or(0));
    time.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap_or_default()
}

/// Writes a time in whole seconds.
pub(crate) fn date_time_seconds(milliseconds: u64) -> String {
    date_time(milliseconds / 1000 * 1000)
}

/// Gives a time as awsJson has it: seconds since 1970.
pub(crate) fn epoch(milliseconds: u64) -> Value {
    json!(milliseconds as f64 / 1000.0)
}
