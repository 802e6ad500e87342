//! Random requests over the grammar, from a seed; what the documentation leaves open is kept out; a failing case is shrunk.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::evaluator::{self, Caller, Decision, Kind};

/// Splitmix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const A: &str = "111111111111";
const B: &str = "222222222222";
const C: &str = "333333333333";

/// Principal, and the role with its path.
const CALLERS: [(&str, Option<&str>); 17] = [
    ("arn:aws:iam::111111111111:user/alice", None),
    ("arn:aws:iam::111111111111:user/team/bob", None),
    ("arn:aws:iam::222222222222:user/carol", None),
    ("arn:aws:sts::111111111111:assumed-role/build/1790620314627", Some("arn:aws:iam::111111111111:role/service-role/build")),
    ("arn:aws:sts::111111111111:assumed-role/build/1790620314627", Some("arn:aws:iam::111111111111:role/service-role/build")),
    ("arn:aws:sts::111111111111:assumed-role/ops/s1", None),
    ("arn:aws:sts::222222222222:assumed-role/prods3role/1790", None),
    ("arn:aws:sts::222222222222:assumed-role/prods3role/1790", Some("arn:aws:iam::222222222222:role/prods3role")),
    ("arn:aws:sts::333333333333:assumed-role/audit/x", Some("arn:aws:iam::333333333333:role/team/audit")),
    ("arn:aws:iam::111111111111:role/ops", None),
    ("arn:aws:iam::222222222222:role/prods3role", None),
    ("arn:aws:sts::111111111111:assumed-role/Linked/x", Some("arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/Linked")),
    ("arn:aws:iam::111111111111:root", None),
    ("arn:aws:iam::222222222222:root", None),
    ("arn:aws:sts::111111111111:federated-user/fay", None),
    ("codepipeline.amazonaws.com", None),
    ("anonymous", None),
];

const TARGETS: [(&str, &str, &str); 17] = [
    ("s3:GetObject", "arn:aws:s3:::artifacts/app/alice/x.zip", A),
    ("s3:GetObject", "arn:aws:s3:::artifacts/app/alice/x.zip", A),
    ("s3:GetObjectVersion", "arn:aws:s3:::artifacts/app/blue/*odd?$", A),
    ("s3:PutObject", "arn:aws:s3:::output/site/Index.html", B),
    ("s3:PutObject", "arn:aws:s3:::output/site/alice/a:b", B),
    ("s3:ListBucket", "arn:aws:s3:::artifacts", A),
    ("s3:GetBucketVersioning", "arn:aws:s3:::output", B),
    ("kms:Decrypt", "arn:aws:kms:eu-west-1:111111111111:key/11aa-22bb", A),
    ("kms:GenerateDataKey", "arn:aws:kms:eu-west-1:111111111111:key/11aa-22bb", A),
    ("kms:CreateGrant", "arn:aws:kms:eu-west-1:222222222222:key/33cc", B),
    ("kms:RetireGrant", "arn:aws:kms:eu-west-1:111111111111:key/11aa-22bb", A),
    ("kms:PutKeyPolicy", "arn:aws:kms:eu-west-1:111111111111:key/11aa-22bb", A),
    ("sts:AssumeRole", "arn:aws:iam::222222222222:role/prods3role", B),
    ("sts:AssumeRole", "arn:aws:iam::222222222222:role/prods3role", B),
    ("sts:AssumeRole", "arn:aws:iam::111111111111:role/service-role/build", A),
    ("sts:AssumeRole", "arn:aws:iam::333333333333:role/team/audit", C),
    ("codepipeline:StartPipelineExecution", "arn:aws:codepipeline:eu-west-1:111111111111:app", A),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Arn,
    Number,
    Date,
    Bool,
    Address,
    Binary,
    Many,
}

/// Key, type, values that a context may have, values that a condition may have besides.
type KeyRow = (&'static str, Type, &'static [&'static str], &'static [&'static str]);

const KEYS: [KeyRow; 19] = [
    (
        "aws:PrincipalArn",
        Type::Arn,
        &[],
        &[
            "arn:aws:iam::*:role/*",
            "arn:aws:iam::111111111111:*",
            "arn:aws:iam::?22222222222:role/prods3role",
            "arn:aws:iam::111111111111:role/service-role/b*",
            "arn:*:iam:*:*:user/*",
        ],
    ),
    ("aws:PrincipalAccount", Type::Text, &[A, B, C], &["1*", "*2"]),
    ("aws:username", Type::Text, &["alice", "bob"], &["al*", "?ob", "ALICE", "*"]),
    (
        "aws:PrincipalTag/team",
        Type::Text,
        &["blue", "Red", "w*"],
        &["b*", "red", "re?", "BLUE", "w${*}", "w*", "${aws:username}", "${aws:username, 'blue'}", "${aws:PrincipalTag/none, 'Red'}"],
    ),
    ("aws:PrincipalOrgID", Type::Text, &["o-one", "o-two"], &["o-*"]),
    ("s3:x-amz-acl", Type::Text, &["private", "bucket-owner-full-control", "\u{1f511}", "\u{1f511}k"], &["??", "???", "bucket-*", "?"]),
    (
        "kms:ViaService",
        Type::Text,
        &["s3.eu-west-1.amazonaws.com", "s3.us-east-1.amazonaws.com"],
        &["s3.*.amazonaws.com", "S3.EU-WEST-1.amazonaws.com"],
    ),
    ("s3:prefix", Type::Text, &["app/alice/", "app/bob/", ""], &["app/${aws:username}/", "app/*", "app/${aws:username, 'bob'}/*"]),
    (
        "aws:SourceArn",
        Type::Arn,
        &["arn:aws:codepipeline:eu-west-1:111111111111:app", "arn:aws:s3:::artifacts", "arn:aws:sns:eu-west-1:222222222222:a:b"],
        &[
            "arn:aws:codepipeline:*:111111111111:*",
            "arn:aws:s3:::art*",
            "arn:aws:s?:*:*:*",
            "arn:aws:sns:eu-west-1:222222222222:*",
            "arn:aws:sns:*:a:b",
        ],
    ),
    ("s3:max-keys", Type::Number, &["10", "10.0", "9", "100", "ten"], &["50", "9.5"]),
    ("aws:MultiFactorAuthAge", Type::Number, &["0", "300", "3600"], &["301", "299.5"]),
    (
        "aws:CurrentTime",
        Type::Date,
        &["2026-01-01T00:00:00Z", "2026-06-30T12:00:00Z", "1767225600", "soon"],
        &["2026-01-01T02:00:00+02:00", "2026-03-01", "1780000000", "2025-12-31T23:59:59Z"],
    ),
    ("aws:SecureTransport", Type::Bool, &["true", "false", "TRUE"], &["False"]),
    ("aws:ViaAWSService", Type::Bool, &["true", "false"], &[]),
    (
        "aws:SourceIp",
        Type::Address,
        &["10.1.2.3", "10.1.3.4", "192.0.2.1", "::ffff:10.1.2.3", "2001:db8::1"],
        &["10.1.2.0/24", "10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.1", "0.0.0.0/0", "2001:db8::/128"],
    ),
    ("saml:doc", Type::Binary, &["YWxpY2U=", "Ym9i"], &["eHh4"]),
    ("aws:TagKeys", Type::Many, &["team", "cost", "stage"], &["st*", "TEAM"]),
    ("kms:EncryptionContextKeys", Type::Many, &["aws:s3:arn", "app"], &["aws:*"]),
    ("aws:CalledVia", Type::Many, &["athena.amazonaws.com", "kms.amazonaws.com"], &["*.amazonaws.com"]),
];

/// One random request, with nothing in it that is an open question; and how many were thrown away before.
pub fn request(random: &mut Random, id: usize) -> (Value, Decision, usize) {
    for thrown_away in 0.. {
        let mut request = Draft { random, request: json!({}), unknown: Vec::new() }.request();
        request["id"] = json!(format!("random-{id}"));
        if let Ok(decision) = settled(&request) {
            return (request, decision, thrown_away);
        }
    }
    unreachable!("a request is found some time")
}

struct Draft<'a> {
    random: &'a mut Random,
    request: Value,
    unknown: Vec<&'static str>,
}

impl Draft<'_> {
    fn request(mut self) -> Value {
        let (principal, role) = CALLERS[self.random.below(CALLERS.len())];
        let (mut action, mut resource, mut account) = TARGETS[self.random.below(TARGETS.len())];
        while principal == "anonymous" && !action.starts_with("s3:") {
            (action, resource, account) = TARGETS[self.random.below(TARGETS.len())];
        }
        self.request =
            json!({"id": "", "principal": principal, "action": self.cased(action, 15), "resource": resource, "resourceAccount": account});
        if let Some(role) = role {
            self.request["principalRole"] = json!(role);
        }
        self.context();
        let caller = Caller::of(&self.request).unwrap();
        let kind = evaluator::resource_kind(&self.request);
        let same_account = caller.account() == Some(account);
        // In three of four, each side is meant to allow, so that what else is there decides.
        let favour = if self.random.percent(75) { 92 } else { 40 };
        if matches!(caller, Caller::Root { .. }) {
            self.request["identityPolicies"] = json!([full_access(false)]);
        } else if caller.account().is_some() {
            let needless = same_account && self.random.percent(25);
            if !needless {
                let count = 1 + usize::from(self.random.percent(25));
                self.request["identityPolicies"] = self.documents(Kind::Identity, count, favour);
            }
            if self.random.percent(20) {
                self.request["permissionBoundaries"] = self.one_or_list(Kind::Boundary, favour);
            }
            if self.random.percent(20) && !matches!(caller, Caller::User { .. }) {
                self.request["sessionPolicy"] = self.one_or_list(Kind::Session, favour);
            }
        }
        let needs_resource_side = !same_account || kind != Kind::Bucket;
        if !action.starts_with("codepipeline:") && (self.random.percent(35) || (needs_resource_side && self.random.percent(90))) {
            self.request["resourcePolicy"] = self.one_or_list(kind, favour);
        }
        if self.random.percent(20) {
            self.request["scps"] = self.levels(Kind::Scp, favour);
        }
        if self.random.percent(15) && !action.starts_with("codepipeline:") {
            self.request["rcps"] = self.levels(Kind::Rcp, favour);
        }
        if self.random.percent(10) && !matches!(caller, Caller::Service(_)) {
            self.request["vpcEndpointPolicies"] = self.one_or_list(Kind::Endpoint, favour);
        }
        if kind == Kind::Bucket && action.starts_with("s3:") && self.random.percent(30) {
            self.request["blockPublicAccess"] = json!(self.random.percent(85));
        }
        if self.unknown.is_empty() && self.random.percent(16) {
            self.spoil();
        }
        self.request
    }

    /// Letters in another case, sometimes.
    fn cased(&mut self, text: &str, chance: usize) -> String {
        match self.random.below(100) {
            n if n < chance / 2 => text.to_lowercase(),
            n if n < chance => text.to_uppercase(),
            _ => text.to_owned(),
        }
    }

    fn context(&mut self) {
        let caller = Caller::of(&self.request).unwrap();
        let how_many_unknown = match self.random.below(100) {
            0..4 => 2,
            4..30 => 1,
            _ => 0,
        };
        while self.unknown.len() < how_many_unknown {
            let key = KEYS[self.random.below(KEYS.len())].0;
            if !self.unknown.contains(&key) {
                self.unknown.push(key);
            }
        }
        let mut context = Map::new();
        for (key, kind, values, _) in KEYS {
            if self.unknown.contains(&key) {
                continue;
            }
            let value = match (key, &caller) {
                ("aws:PrincipalArn" | "aws:PrincipalAccount", _) if caller.account().is_none() => continue,
                ("aws:PrincipalArn", Caller::Role { role, .. }) => json!(role),
                ("aws:PrincipalArn", _) => self.request["principal"].clone(),
                ("aws:PrincipalAccount", _) => json!(caller.account()),
                _ if self.random.percent(30) => continue,
                _ if kind == Type::Many => {
                    let count = self.random.below(3);
                    let members: BTreeSet<&str> = (0..count).map(|_| self.random.pick(values)).collect();
                    json!(members)
                }
                _ => self.as_json(kind, values),
            };
            context.insert(self.cased(key, 10), value);
        }
        self.request["context"] = Value::Object(context);
        if !self.unknown.is_empty() {
            let keys: Vec<String> = self.unknown.clone().into_iter().map(|key| self.cased(key, 10)).collect();
            self.request["unknownContext"] = json!(keys);
        }
    }

    /// A value as text; booleans and whole numbers now and then as JSON has them.
    fn as_json(&mut self, kind: Type, values: &[&str]) -> Value {
        let value = self.random.pick(values);
        let bare = self.random.percent(20);
        match (kind, value) {
            (Type::Bool, "true" | "false") if bare => json!(value == "true"),
            (Type::Number, "10" | "9" | "300" | "50") if bare => json!(value.parse::<i64>().unwrap()),
            _ => json!(value),
        }
    }

    fn documents(&mut self, kind: Kind, count: usize, favour: usize) -> Value {
        (0..count).map(|_| self.document(kind, favour)).collect()
    }

    fn one_or_list(&mut self, kind: Kind, favour: usize) -> Value {
        let document = self.document(kind, favour);
        if self.random.percent(50) { json!([document]) } else { document }
    }

    /// Levels: mostly full access and something beside it.
    fn levels(&mut self, kind: Kind, favour: usize) -> Value {
        let mut levels = Vec::new();
        for _ in 0..=self.random.below(3) {
            let mut level = Vec::new();
            if kind == Kind::Rcp || self.random.percent(60) {
                level.push(full_access(kind == Kind::Rcp));
            }
            if level.is_empty() && self.random.percent(93) || self.random.percent(25) {
                level.push(self.document(kind, favour));
            }
            levels.push(Value::Array(level));
        }
        Value::Array(levels)
    }

    fn document(&mut self, kind: Kind, favour: usize) -> Value {
        let version = match self.random.below(20) {
            0 => None,
            1 => Some("2008-10-17"),
            _ => Some("2012-10-17"),
        };
        let mut statements = Vec::new();
        for _ in 0..=self.random.below(3).min(self.random.below(3)) {
            let aim = self.random.percent(favour);
            statements.push(self.statement(kind, aim, version == Some("2012-10-17")));
        }
        let mut document = Map::new();
        if let Some(version) = version {
            document.insert("Version".to_owned(), json!(version));
        }
        if self.random.percent(5) {
            document.insert("Id".to_owned(), json!("x"));
        }
        let single = statements.len() == 1 && self.random.percent(30);
        document.insert("Statement".to_owned(), if single { statements.remove(0) } else { Value::Array(statements) });
        Value::Object(document)
    }

    fn statement(&mut self, kind: Kind, aim: bool, variables: bool) -> Value {
        // RCPs have Deny only, beside the one of full access.
        let denies = kind == Kind::Rcp || self.random.percent(12);
        let aim = aim && (!denies || self.random.percent(45));
        let mut statement = Map::new();
        if self.random.percent(30) {
            statement.insert("Sid".to_owned(), json!(format!("S{}", self.random.below(10_000))));
        }
        statement.insert("Effect".to_owned(), json!(if denies { "Deny" } else { "Allow" }));
        match kind {
            Kind::Rcp | Kind::Endpoint => {
                statement.insert("Principal".to_owned(), json!("*"));
            }
            Kind::Bucket | Kind::Key if denies && self.random.percent(30) => {
                statement.insert("NotPrincipal".to_owned(), self.exempt());
            }
            Kind::Bucket | Kind::Key | Kind::Trust => {
                statement.insert("Principal".to_owned(), self.principal(aim));
            }
            _ => {}
        }
        let (name, actions) = self.actions(aim);
        statement.insert(name.to_owned(), actions);
        if kind != Kind::Trust {
            let (name, resources) = self.resources(kind, aim, variables);
            statement.insert(name.to_owned(), resources);
        }
        let public = self.is_everyone(&statement);
        let hidden = !self.request["permissionBoundaries"].is_null() || !self.request["sessionPolicy"].is_null();
        let wanted = if self.unknown.is_empty() { 45 } else { 65 };
        let mut blocks = Map::new();
        if self.random.percent(wanted) {
            for _ in 0..=self.random.below(2).min(self.random.below(2)) {
                self.condition(&mut blocks, variables);
            }
        }
        if public && hidden && !denies && aim {
            let arn = self.request["context"].as_object().unwrap().iter().find(|(key, _)| key.eq_ignore_ascii_case("aws:PrincipalArn"));
            if let Some((_, arn)) = arn.map(|(key, arn)| (key.clone(), arn.clone())) {
                blocks.insert("ArnEquals".to_owned(), json!({ "aws:PrincipalArn": arn }));
            }
        }
        if !blocks.is_empty() || self.random.percent(8) {
            statement.insert("Condition".to_owned(), Value::Object(blocks));
        }
        Value::Object(statement)
    }

    fn is_everyone(&self, statement: &Map<String, Value>) -> bool {
        statement.get("Principal").is_some_and(|element| evaluator::principals(element).iter().any(|(_, name)| name == "*"))
    }

    /// Every name that the caller has in a Principal element.
    fn own_names(&self) -> Vec<(&'static str, String)> {
        let caller = Caller::of(&self.request).unwrap();
        let mut names = Vec::new();
        match &caller {
            Caller::User { arn, .. } | Caller::FederatedUser { arn, .. } => names.push(("AWS", arn.clone())),
            Caller::Role { role, session, .. } => {
                names.push(("AWS", role.clone()));
                names.extend(session.iter().map(|session| ("AWS", session.clone())));
            }
            Caller::Service(service) => names.push(("Service", service.clone())),
            Caller::Root { .. } | Caller::Anonymous => {}
        }
        if let Some(account) = caller.account() {
            names.push(("AWS", format!("arn:aws:iam::{account}:root")));
            names.push(("AWS", account.to_owned()));
        }
        names
    }

    fn other_name(&mut self) -> (&'static str, String) {
        let others = [
            ("AWS", "arn:aws:iam::111111111111:user/zoe"),
            ("AWS", "arn:aws:iam::222222222222:role/other"),
            ("AWS", "arn:aws:iam::111111111111:role/build"),
            ("AWS", "arn:aws:sts::111111111111:assumed-role/build/other"),
            ("AWS", "arn:aws:sts::111111111111:assumed-role/service-role/build/1790620314627"),
            ("AWS", "arn:aws:iam::333333333333:root"),
            ("AWS", "444444444444"),
            ("AWS", "AROAEXAMPLEEXAMPLE001"),
            ("AWS", "AIDAEXAMPLEEXAMPLE001"),
            ("AWS", "arn:aws:iam::111111111111:role/*"),
            ("Service", "events.amazonaws.com"),
            ("Federated", "cognito-identity.amazonaws.com"),
            ("Federated", "arn:aws:iam::111111111111:saml-provider/corp"),
            ("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"),
        ];
        let (sort, name) = others[self.random.below(others.len())];
        (sort, name.to_owned())
    }

    fn principal(&mut self, aim: bool) -> Value {
        let own = self.own_names();
        let mut named = Vec::new();
        if aim && self.random.percent(if own.is_empty() { 100 } else { 15 }) {
            if self.random.percent(50) {
                return json!("*");
            }
            named.push(("AWS", "*".to_owned()));
        } else if aim {
            named.push(own[self.random.below(own.len())].clone());
        }
        while named.is_empty() || self.random.percent(20) {
            named.push(self.other_name());
        }
        self.principal_element(named)
    }

    fn principal_element(&mut self, named: Vec<(&'static str, String)>) -> Value {
        let mut element: Map<String, Value> = Map::new();
        for (sort, name) in named {
            let names = element.entry(sort).or_insert_with(|| json!([]));
            names.as_array_mut().unwrap().push(json!(name));
        }
        for names in element.values_mut() {
            if names.as_array().unwrap().len() == 1 && self.random.percent(60) {
                *names = names[0].clone();
            }
        }
        Value::Object(element)
    }

    /// NotPrincipal: every name of the caller, or none of them.
    fn exempt(&mut self) -> Value {
        let own = self.own_names();
        let mut named: Vec<(&'static str, String)> = if self.random.percent(70) {
            own
        } else {
            vec![("AWS", "arn:aws:iam::999999999999:root".to_owned()), ("AWS", "arn:aws:iam::999999999999:user/zoe".to_owned())]
        };
        if named.is_empty() {
            named.push(("Service", "events.amazonaws.com".to_owned()));
        }
        self.principal_element(named)
    }

    fn scalar_or_list(&mut self, mut values: Vec<String>) -> Value {
        if values.len() == 1 && self.random.percent(50) { json!(values.remove(0)) } else { json!(values) }
    }

    fn actions(&mut self, aim: bool) -> (&'static str, Value) {
        let action = self.request["action"].as_str().unwrap().to_owned();
        let (service, name) = action.split_once(':').unwrap();
        let hit = match self.random.below(8) {
            0 => "*".to_owned(),
            1 => format!("{service}:*"),
            2 => format!("{service}:{}*", &name[..3]),
            3 => format!("{service}:?{}", &name[1..]),
            4 => format!("{service}:*{}", &name[name.len() - 4..]),
            5 => self.cased(&action, 100),
            _ => action.clone(),
        };
        let misses = ["s3:DeleteObject", "s3:ListB?cke", "kms:Encrypt", "iam:*", "sts:TagSession", "s3:GetObjectAcl*", "codepipeline:Get*"];
        let miss = self.random.pick(&misses).to_owned();
        if self.random.percent(7) {
            let listed = if aim { miss } else { hit };
            return ("NotAction", self.scalar_or_list(vec![listed]));
        }
        let mut actions = Vec::new();
        if aim {
            actions.push(hit);
        }
        if actions.is_empty() || self.random.percent(25) {
            actions.push(miss);
        }
        ("Action", self.scalar_or_list(actions))
    }

    fn resources(&mut self, kind: Kind, aim: bool, variables: bool) -> (&'static str, Value) {
        let resource = self.request["resource"].as_str().unwrap().to_owned();
        let parts: Vec<&str> = resource.splitn(6, ':').collect();
        let (before, last) = (parts[..5].join(":"), parts[5]);
        if kind == Kind::Key && self.random.percent(85) {
            return ("Resource", json!("*"));
        }
        // A variable stands alone in its list.
        if last.contains("/alice") && self.random.percent(if variables { 22 } else { 8 }) {
            let variable = self.random.pick(&[
                "${aws:username}",
                "${AWS:UserName}",
                "${aws:username, 'alice'}",
                "${aws:username,'bob'}",
                "${aws:PrincipalTag/none}",
                "${aws:PrincipalTag/none, 'alice'}",
            ]);
            return ("Resource", json!(format!("{before}:{}", last.replace("alice", variable))));
        }
        if variables && last.contains("*odd?$") && self.random.percent(60) {
            let tail = self.random.pick(&["${*}odd${?}${$}", "${*}odd?$", "*${?}?", "${?}odd${?}${$}", "x${*}"]);
            return ("Resource", json!(format!("{before}:artifacts/app/blue/{tail}")));
        }
        let hit = match self.random.below(8) {
            0 | 1 => "*".to_owned(),
            2 => format!("{before}:*"),
            3 => format!("{before}:{}*", &last[..last.len() / 2]),
            4 => format!("{before}:?{}", &last[1..]),
            5 => format!("arn:*:{}:*:*:*{}", parts[2], &last[last.len() / 2..]),
            _ => resource.clone(),
        };
        let miss = match self.random.below(8) {
            0 => format!("{resource}/*"),
            1 => resource.to_uppercase().replacen("ARN:AWS", "arn:aws", 1),
            2 => "arn:aws:kms:eu-west-1:111111111111:alias/app".to_owned(),
            3 => "arn:aws:kms:*:*:alias/*".to_owned(),
            4 => format!("{before}:{}?", last),
            5 => "arn:aws:s3:::outputs".to_owned(),
            6 if last.ends_with("/a:b") => "arn:aws:s3:*:*:b".to_owned(),
            6 => "arn:aws:s3:::artifact/*".to_owned(),
            _ => format!("arn:aws:{}:us-east-1:999999999999:{last}", parts[2]),
        };
        if self.random.percent(6) {
            let listed = if aim { miss } else { hit };
            return ("NotResource", self.scalar_or_list(vec![listed]));
        }
        let mut resources = Vec::new();
        if aim {
            resources.push(hit);
        }
        if resources.is_empty() || self.random.percent(25) {
            resources.push(miss);
        }
        ("Resource", self.scalar_or_list(resources))
    }

    fn condition(&mut self, blocks: &mut Map<String, Value>, variables: bool) {
        let mut row = KEYS[self.random.below(KEYS.len())];
        if !self.unknown.is_empty() && self.random.percent(60) {
            let key = self.unknown[self.random.below(self.unknown.len())];
            row = *KEYS.iter().find(|row| row.0 == key).unwrap();
        }
        let (key, kind, of_context, of_condition) = row;
        let comparisons = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"];
        let texts =
            ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"];
        let base = match kind {
            Type::Text | Type::Many => self.random.pick(&texts).to_owned(),
            Type::Arn => {
                self.random.pick(&["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringLike", "StringNotEquals"]).to_owned()
            }
            Type::Number => format!("Numeric{}", self.random.pick(&comparisons)),
            Type::Date => format!("Date{}", self.random.pick(&comparisons)),
            Type::Bool => "Bool".to_owned(),
            Type::Address => self.random.pick(&["IpAddress", "IpAddress", "NotIpAddress"]).to_owned(),
            Type::Binary => "BinaryEquals".to_owned(),
        };
        let present = self.request["context"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.clone());
        let cased = self.cased(key, 15);
        if self.random.percent(10) {
            let holds = self.random.percent(70) == present.is_none();
            let value = if self.random.percent(20) { json!(holds) } else { json!(holds.to_string()) };
            return put(blocks, "Null", cased, value);
        }
        let set = match (kind, self.random.below(100)) {
            (Type::Many, 0..40) | (Type::Text, 0..4) => "ForAnyValue:",
            (Type::Many, 40..80) | (Type::Text, 4..8) => "ForAllValues:",
            _ => "",
        };
        let if_exists = if self.random.percent(15) { "IfExists" } else { "" };
        let mut pool: Vec<String> = of_context.iter().chain(of_condition).map(|value| (*value).to_owned()).collect();
        // What cannot be converted stands in the context only; an address with host bits only where it must match.
        pool.retain(|value| !matches!(value.as_str(), "ten" | "soon" | "" | "w*"));
        if base == "IpAddress" {
            let host_bits = if present == Some(json!("2001:db8::1")) { 10 } else { 1 };
            pool.extend(std::iter::repeat_n("2001:db8::1/32".to_owned(), host_bits));
        }
        pool.retain(|value| !value.contains('$') || (variables && kind == Type::Text) || !value.contains("${*}"));
        let wildcards = base.starts_with("Arn") || base.contains("Like");
        if kind == Type::Arn && !wildcards {
            pool.retain(|value| !value.contains('*'));
        }
        let mut values: Vec<String> = Vec::new();
        let actual = present
            .as_ref()
            .and_then(|value| evaluator::texts(value).first().cloned())
            .filter(|value| !matches!(value.as_str(), "ten" | "soon" | "" | "w*"));
        if let Some(actual) = actual.filter(|_| self.random.percent(65)) {
            values.push(actual);
        } else if pool.is_empty() {
            values.push("arn:aws:iam::111111111111:role/ops".to_owned());
        }
        while values.is_empty() || (!pool.is_empty() && self.random.percent(30)) {
            values.push(pool[self.random.below(pool.len())].clone());
        }
        // A variable stands alone in its list.
        if let Some(variable) = values.iter().find(|value| value.contains("${")).cloned() {
            values = vec![variable];
        }
        let value = match (kind, values.len()) {
            (Type::Bool, 1) if self.random.percent(20) && values[0] == "true" => json!(true),
            (Type::Number, 1) if self.random.percent(20) && values[0] == "50" => json!(50),
            _ => self.scalar_or_list(values),
        };
        put(blocks, &format!("{set}{base}{if_exists}"), cased, value);
    }

    /// One statement of one document is made malformed, in one of the ways that cannot be read as anything else.
    fn spoil(&mut self) {
        let fields = ["identityPolicies", "permissionBoundaries", "sessionPolicy", "resourcePolicy", "vpcEndpointPolicies"];
        let present: Vec<&str> = fields.into_iter().filter(|field| !self.request[*field].is_null()).collect();
        if present.is_empty() {
            return;
        }
        let field = present[self.random.below(present.len())];
        let way = self.random.below(9);
        let beside = self.random.percent(50);
        let document = match &mut self.request[field] {
            Value::Array(documents) => &mut documents[0],
            document => document,
        };
        if !document["Statement"].is_array() {
            document["Statement"] = json!([document["Statement"].clone()]);
        }
        let statements = document["Statement"].as_array_mut().unwrap();
        if beside {
            let copy = statements[0].clone();
            statements.push(copy);
        }
        let statement = statements.last_mut().unwrap();
        let elements = statement.as_object_mut().unwrap();
        match way {
            0 => _ = elements.insert("Effect".to_owned(), json!("allow")),
            1 => _ = elements.shift_remove("Effect"),
            2 => {
                elements.shift_remove("Action");
                elements.shift_remove("NotAction");
            }
            3 => {
                elements.insert("Action".to_owned(), json!("*"));
                elements.insert("NotAction".to_owned(), json!("*"));
            }
            4 => _ = elements.insert("Condition".to_owned(), json!({"StringEqualz": {"aws:username": "alice"}})),
            5 => _ = elements.insert("Condition".to_owned(), json!({"NullIfExists": {"aws:username": "true"}})),
            6 => {
                elements.shift_remove("NotAction");
                elements.insert("Action".to_owned(), json!(7));
            }
            7 => _ = elements.insert("Condition".to_owned(), json!("never")),
            _ => *statement = json!("Allow"),
        }
    }
}

fn put(blocks: &mut Map<String, Value>, operator: &str, key: String, value: Value) {
    let block = blocks.entry(operator).or_insert_with(|| json!({})).as_object_mut().unwrap();
    // The same key twice in one block, in two cases, is left out.
    if !block.keys().any(|name| name.eq_ignore_ascii_case(&key)) {
        block.insert(key, value);
    }
}

fn full_access(with_principal: bool) -> Value {
    let statement = if with_principal {
        json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})
    } else {
        json!({"Effect": "Allow", "Action": "*", "Resource": "*"})
    };
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

// ---------------------------------------------------------------------------------------------------------------------
// What is left open

fn fills_with_default(statement: &Value, key: &str) -> bool {
    statement.to_string().to_ascii_lowercase().contains(&format!("${{{},", key.to_ascii_lowercase()))
}

fn is_tested_as_list(request: &Value, key: &str) -> bool {
    evaluator::conditions(request, key).iter().any(|(operator, _)| operator.starts_with("For"))
}

/// The decision, or the open question (listed in `mod.rs`) that the request would raise.
pub fn settled(request: &Value) -> Result<Decision, &'static str> {
    let caller = Caller::of(request).map_err(|_| "a caller of no known kind")?;
    let kind = evaluator::resource_kind(request);
    let same_account = caller.account() == request["resourceAccount"].as_str();
    let hidden = !request["permissionBoundaries"].is_null() || !request["sessionPolicy"].is_null();
    let blocks_public = request["blockPublicAccess"] == json!(true);
    if matches!(caller, Caller::Root { .. }) && request["identityPolicies"] != json!([full_access(false)]) {
        return Err("1: root without full access");
    }
    for level in evaluator::listed(&request["rcps"]) {
        if !evaluator::listed(level).contains(&&full_access(true)) {
            return Err("2: an RCP level without full access");
        }
    }
    let crosses = |text: &str| text.contains("*:");
    if evaluator::texts(&request["resource"]).iter().any(|resource| resource.matches(':').count() > 5)
        && evaluator::documents(request).iter().any(|(_, document)| {
            let statements = evaluator::statements(document);
            statements
                .iter()
                .any(|s| ["Resource", "NotResource"].iter().any(|name| evaluator::texts(&s[*name]).iter().any(|text| crosses(text))))
        })
    {
        return Err("12: a star at the end of a part, and a resource with colons of its own");
    }
    let unknown = evaluator::texts(&request["unknownContext"]);
    let asks_for_null = |key: &String| evaluator::conditions(request, key).iter().any(|(operator, _)| *operator == "Null");
    if unknown.iter().any(|key| asks_for_null(key) && is_tested_as_list(request, key)) {
        return Err("6: Null and an unknown key that may be an empty list");
    }
    let with_default = |values: &Value| evaluator::texts(values).iter().any(|value| value.contains("${") && value.contains(", '"));
    let mut malformed = false;
    for (of, document) in evaluator::documents(request) {
        for statement in evaluator::statements(document) {
            let fills = |key: &String| fills_with_default(statement, key);
            if unknown.iter().any(|key| fills(key) && is_tested_as_list(request, key)) {
                return Err("14: a variable's default and a key that may be a list");
            }
            for (_, block) in statement["Condition"].as_object().into_iter().flatten() {
                for (key, values) in block.as_object().into_iter().flatten() {
                    if unknown.iter().any(|unknown| unknown.eq_ignore_ascii_case(key)) && with_default(values) {
                        return Err("13: a variable's default against an unknown key, which brute force doesn't try");
                    }
                }
            }
        }
        malformed |= evaluator::is_malformed(of, document);
        for statement in evaluator::statements(document) {
            let conditioned = statement["Condition"].as_object().is_some_and(|blocks| !blocks.is_empty());
            if of == kind
                && statement["Effect"] == "Allow"
                && evaluator::principals(&statement["Principal"]).iter().any(|(_, name)| name == "*")
            {
                if same_account && hidden && !pins_principal_arn(statement) {
                    return Err("3: everybody allowed, with a boundary or a session policy");
                }
                if blocks_public && conditioned {
                    return Err("4: public or not, with a condition");
                }
            }
            for (operator, block) in statement["Condition"].as_object().into_iter().flatten() {
                for key in block.as_object().into_iter().flatten().map(|(key, _)| key) {
                    let value = request["context"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .find(|(name, _)| name.eq_ignore_ascii_case(key))
                        .map(|(_, value)| value);
                    let is_empty = value.is_some_and(|value| value == &json!([]) || value == "");
                    if operator.starts_with("ForAnyValue:") && operator.ends_with("IfExists") && (value.is_none() || is_empty) {
                        return Err("5: ForAnyValue with IfExists and no value");
                    }
                    if is_empty && !operator.starts_with("For") && (operator == "Null" || value == Some(&json!([]))) {
                        return Err("6: a scalar operator or Null and an empty value");
                    }
                    if value == Some(&json!("")) && operator.starts_with("For") {
                        return Err("6: a set operator and an empty text");
                    }
                }
            }
        }
    }
    if malformed && blocks_public {
        return Err("7: a public policy with a malformed statement");
    }
    let outcomes = evaluator::outcomes(request);
    if outcomes.too_many {
        return Err("(too many combinations of unknown values)");
    }
    if outcomes.expected != outcomes.odd {
        return Err("8: odd values of unknown keys");
    }
    let has = |decision| outcomes.expected.contains(&decision);
    if outcomes.expected.len() == 2 && has(Decision::ExplicitlyDenied) && has(Decision::ImplicitlyDenied) {
        return Err("9: denied either way");
    }
    if has(Decision::Error) {
        if outcomes.expected.len() > 1 {
            return Err("10: an error or not, as an unknown key has it");
        }
        let hangs_on_it = evaluator::around_broken_documents(request);
        if !hangs_on_it.is_some_and(|(without, with)| without == Decision::ImplicitlyDenied && with == Decision::Allowed) {
            return Err("11: a malformed statement that makes no difference");
        }
    }
    Ok(match outcomes.expected.first() {
        Some(only) if outcomes.expected.len() == 1 => *only,
        _ => Decision::Unknown,
    })
}

fn pins_principal_arn(statement: &Value) -> bool {
    ["ArnEquals", "ArnLike", "StringEquals", "StringLike"].iter().any(|operator| {
        statement["Condition"][*operator]
            .as_object()
            .is_some_and(|block| block.keys().any(|key| key.eq_ignore_ascii_case("aws:PrincipalArn")))
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// Shrinking

/// What is taken out of a request: statements, conditions, policies, entries, context keys; as long as it still fails.
pub fn shrink(request: &Value, still_fails: &dyn Fn(&Value) -> bool) -> Value {
    let mut smallest = request.clone();
    loop {
        let mut places = Vec::new();
        removable(&smallest, &mut String::new(), &mut places);
        let smaller = places.iter().map(|place| without(&smallest, place)).find(|smaller| settled(smaller).is_ok() && still_fails(smaller));
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return smallest,
        }
    }
}

/// Places, as JSON pointers, outermost first.
fn removable(value: &Value, at: &mut String, places: &mut Vec<String>) {
    const KEPT: [&str; 14] = [
        "id",
        "principal",
        "action",
        "resource",
        "resourceAccount",
        "principalRole",
        "Version",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
    ];
    let children: Vec<(String, &Value, bool)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| {
                (name.replace('~', "~0").replace('/', "~1"), member, !KEPT.contains(&name.as_str()) && name != "Statement")
            })
            .collect(),
        Value::Array(members) => members.iter().enumerate().map(|(index, member)| (index.to_string(), member, members.len() > 1)).collect(),
        _ => return,
    };
    let start = at.len();
    for (name, _, may_go) in &children {
        if *may_go {
            places.push(format!("{at}/{name}"));
        }
    }
    for (name, child, _) in children {
        at.push('/');
        at.push_str(&name);
        removable(child, at, places);
        at.truncate(start);
    }
}

fn without(request: &Value, place: &str) -> Value {
    let mut smaller = request.clone();
    let (parent, name) = place.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    match smaller.pointer_mut(parent) {
        Some(Value::Object(members)) => _ = members.shift_remove(&name),
        Some(Value::Array(members)) => _ = members.remove(name.parse().unwrap()),
        _ => {}
    }
    smaller
}
