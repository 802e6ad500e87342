//! Every link of the chain broken in turn: the proof must name the link, the document and the account.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xdeploy::deploy::proof::{Judged, Level, Proof, judge};
use xdeploy::model::Verdict;
use xdeploy::policy;

use crate::naive::evaluator;
use crate::snapshots::{DEV, PROD, set_ups};
use crate::support::depth::{self, sampled};

/// A document of the snapshot: where it is, what its name holds, and whose it is.
struct Paper {
    pointer: String,
    naming: String,
    account: String,
}

fn account_of(arn: &str) -> String {
    arn.split(':').nth(4).unwrap().to_owned()
}

fn members(value: &Value, pointer: &str) -> Vec<(String, Value)> {
    let found = value.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    found.into_iter().collect()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn papers(snapshot: &Value) -> Vec<Paper> {
    let mut found = Vec::new();
    for role in ["service_role", "deploy_role", "event_role"] {
        let Some(arn) = snapshot[role]["arn"].as_str() else { continue };
        let naming = format!("trust policy of role {}", snapshot[role]["name"].as_str().unwrap());
        found.push(Paper { pointer: format!("/{role}/trust"), naming, account: account_of(arn) });
        for (name, _) in members(snapshot, &format!("/{role}/inline")) {
            found.push(Paper { pointer: format!("/{role}/inline/{}", escaped(&name)), naming: name, account: account_of(arn) });
        }
    }
    for (arn, _) in members(snapshot, "/policies") {
        let naming = arn.rsplit('/').next().unwrap().to_owned();
        found.push(Paper { pointer: format!("/policies/{}/document", escaped(&arn)), naming, account: account_of(&arn) });
    }
    for (region, slot) in members(snapshot, "/keys") {
        let arn = slot["found"]["arn"].as_str().unwrap();
        found.push(Paper { pointer: format!("/keys/{region}/found/policy"), naming: arn.to_owned(), account: account_of(arn) });
    }
    for (region, slot) in members(snapshot, "/artifact_buckets") {
        let naming = format!("policy of bucket {}", slot["name"].as_str().unwrap());
        found.push(Paper { pointer: format!("/artifact_buckets/{region}/found/policy"), naming, account: DEV.to_owned() });
    }
    for (arn, _) in members(snapshot, "/customer_keys") {
        let pointer = format!("/customer_keys/{}/known/policy", escaped(&arn));
        found.push(Paper { pointer, account: account_of(&arn), naming: arn });
    }
    found
}

/// Says whether a link that isn't allowed names this document and account.
fn names(link: &Judged, naming: &str, account: &str) -> bool {
    link.because.iter().any(|by| by.effect == "Deny" && by.document.contains(naming) && by.account == account)
        || link.missing.iter().any(|lack| lack.document.contains(naming) && lack.account == account)
}

/// The links that are not what they were; none may vanish.
#[track_caller]
fn changed<'p>(before: &Proof, after: &'p Proof) -> Vec<&'p Judged> {
    let names = |proof: &Proof| proof.links.iter().map(|link| link.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(before), names(after));
    let verdict = |name: &str| before.links.iter().find(|link| link.name == name).map(|link| link.verdict);
    after.links.iter().filter(|link| verdict(&link.name) != Some(link.verdict)).collect()
}

/// All ways to take something away from a document, or to narrow it, each with what was done.
fn thinned(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let statements = document["Statement"].as_array().cloned().unwrap_or_else(|| vec![document["Statement"].clone()]);
    for (index, statement) in statements.iter().enumerate() {
        let with = |changed: Option<Value>| {
            let mut all = statements.clone();
            match changed {
                Some(changed) => all[index] = changed,
                None => drop(all.remove(index)),
            }
            if all.is_empty() {
                // AWS holds no document without a statement: one is left that has nothing to say.
                let mut idle = deny("none:Nothing", statement.get("Principal").is_some(), statement.get("Resource").is_some());
                idle["Sid"] = json!("Idle");
                all.push(idle);
            }
            let mut document = document.clone();
            document["Statement"] = json!(all);
            document
        };
        if statement["Effect"] == "Deny" {
            let mut bare = statement.clone();
            bare.as_object_mut().unwrap().remove("Condition");
            found.push((format!("condition of Deny {index} gone"), with(Some(bare))));
            continue;
        }
        found.push((format!("statement {index} gone"), with(None)));
        for member in ["Action", "Resource"] {
            let list = statement[member].as_array().cloned().unwrap_or_default();
            for (at, gone) in list.iter().enumerate().filter(|_| list.len() > 1) {
                let mut less = list.clone();
                less.remove(at);
                let mut thin = statement.clone();
                thin[member] = json!(less);
                found.push((format!("{gone} of statement {index} gone"), with(Some(thin))));
            }
        }
        for (at, gone) in statement["Principal"]["AWS"].as_array().into_iter().flatten().enumerate() {
            let mut less = statement["Principal"]["AWS"].as_array().unwrap().clone();
            less.remove(at);
            if !less.is_empty() {
                let mut thin = statement.clone();
                thin["Principal"]["AWS"] = json!(less);
                found.push((format!("principal {gone} of statement {index} gone"), with(Some(thin))));
            }
        }
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            for (key, _) in keys.as_object().unwrap() {
                let mut other = statement.clone();
                other["Condition"][operator][key] = json!(if operator == "Bool" { "false" } else { "arn:aws:iam::999999999999:role/x" });
                found.push((format!("{operator} {key} of statement {index} asks for something else"), with(Some(other))));
            }
        }
    }
    found
}

#[test]
fn a_set_up_is_proven_whole() {
    for set_up in set_ups() {
        let proof = set_up.proof();
        assert_eq!(proof.verdict(), Verdict::Allowed, "{}: {:#?}", set_up.name, proof.broken().collect::<Vec<_>>());
        assert_eq!(proof.broken().count(), 0, "{}: {:#?}", set_up.name, proof.broken().collect::<Vec<_>>());
        // The article grants more than the chain needs: one note. Least privilege doesn't: none.
        let findings: Vec<_> = proof.findings.iter().map(|finding| (finding.level, finding.text.as_str())).collect();
        match set_up.name.starts_with("least privilege") {
            true => assert_eq!(findings, [], "{}", set_up.name),
            false => assert!(matches!(findings[..], [(Level::Note, _)]), "{findings:#?}"),
        }
    }
}

#[test]
fn what_is_taken_out_of_a_document_is_named() {
    for set_up in sampled("set-ups", set_ups(), 1) {
        let (base, whole) = (set_up.proof(), set_up.value());
        let mut broken = BTreeSet::new();
        let mut tried = 0;
        for paper in papers(&whole) {
            let document = whole.pointer(&paper.pointer).unwrap_or_else(|| panic!("no {}", paper.pointer));
            for (what, thin) in thinned(document) {
                let mut less = whole.clone();
                *less.pointer_mut(&paper.pointer).unwrap() = thin;
                let proof = set_up.broken(less);
                tried += 1;
                for link in changed(&base, &proof) {
                    assert_eq!(link.verdict, Verdict::Denied, "{}: {what} in {}: {link:#?}", set_up.name, paper.naming);
                    assert!(names(link, &paper.naming, &paper.account), "{}: {what} in {}: {link:#?}", set_up.name, paper.naming);
                    broken.insert(link.name.clone());
                }
            }
        }
        let all: BTreeSet<String> = base.links.iter().map(|link| link.name.clone()).collect();
        assert_eq!(broken, all, "{}: of {tried} changes none broke the difference", set_up.name);
    }
}

/// Denies one action to everybody.
fn deny(action: &str, with_principal: bool, resource: bool) -> Value {
    let mut statement = json!({"Sid": "Broken", "Effect": "Deny", "Action": action});
    if with_principal {
        statement["Principal"] = json!("*");
    }
    if resource {
        statement["Resource"] = json!("*");
    }
    statement
}

#[test]
fn a_deny_anywhere_is_named() {
    for set_up in sampled("set-ups", set_ups(), 1) {
        let (base, whole) = (set_up.proof(), set_up.value());
        let mut actions = BTreeSet::new();
        for link in &base.links {
            let fresh = actions.insert(link.action);
            for paper in papers(&whole).into_iter().filter(|_| fresh) {
                let mut denied = whole.clone();
                let document = denied.pointer_mut(&paper.pointer).unwrap();
                let trust = paper.pointer.ends_with("/trust");
                let stands = trust || paper.pointer.contains("/found/") || paper.pointer.contains("/known/");
                document["Statement"].as_array_mut().unwrap().push(deny(link.action, stands, !trust));
                let proof = set_up.broken(denied);
                for hit in changed(&base, &proof) {
                    let named = |by: &xdeploy::deploy::proof::Deciding| {
                        by.document.contains(&paper.naming) && by.account == paper.account && by.statement == "Broken"
                    };
                    assert!(hit.because.iter().any(named) && hit.verdict == Verdict::Denied, "{}: {hit:#?}", paper.naming);
                    assert_eq!(hit.action, link.action);
                }
            }
            // At least the caller's own policies and the resource's can deny each call.
            for (caller, document) in documents_of(&whole, link) {
                let mut denied = whole.clone();
                *denied.pointer_mut(&document).unwrap() = {
                    let mut document = whole.pointer(&document).unwrap().clone();
                    document["Statement"].as_array_mut().unwrap().push(deny(
                        link.action,
                        caller == Where::Resource,
                        caller != Where::Trust,
                    ));
                    if caller == Where::Trust {
                        document["Statement"].as_array_mut().unwrap().last_mut().unwrap()["Principal"] = json!("*");
                    }
                    document
                };
                let proof = set_up.broken(denied);
                assert!(
                    changed(&base, &proof).iter().any(|hit| hit.name == link.name),
                    "{}: a Deny in {document} doesn't break {}",
                    set_up.name,
                    link.name
                );
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Caller,
    Resource,
    Trust,
}

/// One document of the caller and the one of the resource, where there are any.
fn documents_of(whole: &Value, link: &Judged) -> Vec<(Where, String)> {
    let mut found = Vec::new();
    for role in ["service_role", "event_role"] {
        if whole[role]["arn"] == link.who.as_str() {
            let (name, _) = members(whole, &format!("/{role}/inline")).remove(0);
            found.push((Where::Caller, format!("/{role}/inline/{}", escaped(&name))));
        }
    }
    if whole["deploy_role"]["arn"] == link.who.as_str() {
        let (arn, _) = members(whole, "/policies").into_iter().find(|(arn, _)| arn.ends_with("outputbucketdeployaccess")).unwrap();
        found.push((Where::Caller, format!("/policies/{}/document", escaped(&arn))));
    }
    for role in ["service_role", "deploy_role", "event_role"] {
        if whole[role]["arn"] == link.resource.as_str() {
            found.push((Where::Trust, format!("/{role}/trust")));
        }
    }
    for (region, slot) in members(whole, "/keys") {
        if slot["found"]["arn"] == link.resource.as_str() {
            found.push((Where::Resource, format!("/keys/{region}/found/policy")));
        }
    }
    for (region, slot) in members(whole, "/artifact_buckets") {
        let bucket = format!("arn:aws:s3:::{}", slot["name"].as_str().unwrap());
        if link.resource == bucket || link.resource.starts_with(&format!("{bucket}/")) {
            found.push((Where::Resource, format!("/artifact_buckets/{region}/found/policy")));
        }
    }
    assert!(!found.is_empty(), "{}", link.name);
    found
}

#[test]
fn buckets_without_a_policy_of_ours_can_deny_too() {
    for set_up in set_ups() {
        let (base, whole) = (set_up.proof(), set_up.value());
        for (slot, bucket, account) in [("input", "in-bucket", DEV), ("output", "out-bucket", PROD)] {
            let mut denied = whole.clone();
            denied[slot]["found"]["policy"] = json!({"Version": "2012-10-17", "Statement": [deny("s3:*", true, true)]});
            let proof = set_up.broken(denied);
            let hits = changed(&base, &proof);
            let on: Vec<_> = base.links.iter().filter(|link| link.resource.contains(bucket)).map(|link| &link.name).collect();
            assert_eq!(hits.iter().map(|hit| &hit.name).collect::<Vec<_>>(), on);
            assert!(hits.iter().all(|hit| names(hit, &format!("policy of bucket {bucket}"), account)), "{hits:#?}");
            // What can't be read can't be told.
            let mut unread = whole.clone();
            unread[slot]["found"]["policy_unread"] = json!("AccessDenied");
            let proof = set_up.broken(unread);
            let hits = changed(&base, &proof);
            assert!(hits.iter().all(|hit| hit.verdict == Verdict::CannotTell && hit.reasons[0].contains(bucket)), "{hits:#?}");
            assert_eq!((hits.len(), proof.verdict()), (on.len(), Verdict::CannotTell));
        }
    }
}

/// Allows everything but one action.
fn all_but(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": action, "Resource": "*"}]})
}

#[test]
fn boundaries_and_organisation_policies_are_named() {
    for set_up in sampled("set-ups", set_ups(), 1) {
        let (base, whole) = (set_up.proof(), set_up.value());
        for link in base.links.iter().filter(|link| link.who.starts_with("arn:")) {
            let account = account_of(&link.who);
            let role =
                ["service_role", "deploy_role", "event_role"].into_iter().find(|role| whole[role]["arn"] == link.who.as_str()).unwrap();
            let arn = format!("arn:aws:iam::{account}:policy/limit");
            let mut limited = whole.clone();
            limited[role]["boundary"] = json!({"arn": arn, "document": {"known": all_but(link.action)}});
            let proof = set_up.broken(limited);
            let hits = changed(&base, &proof);
            let named = |hit: &&Judged| names(hit, &format!("permissions boundary {arn}"), &account);
            // A policy that names the session's role alone would still need the boundary; nothing here names a session.
            assert!(hits.iter().any(|hit| hit.name == link.name) && hits.iter().all(named), "{}: {hits:#?}", link.name);

            let mut unread = whole.clone();
            unread[role]["boundary"] = json!({"arn": arn, "document": {"unknown": "AccessDenied"}});
            let proof = set_up.broken(unread);
            assert!(changed(&base, &proof).iter().all(|hit| hit.verdict == Verdict::CannotTell && hit.who == link.who));

            let side = if account == DEV { "dev_organisation" } else { "prod_organisation" };
            let level = |target: &str, document: Value| json!({"target": target, "policies": {"Guard": document}});
            let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
            let mut guarded = whole.clone();
            guarded[side] = json!({"id": {"known": "o-example"}, "management": false, "rcps": {"known": []},
                "scps": {"known": [level("r-root", everything.clone()), level("ou-web", all_but(link.action))]}});
            let proof = set_up.broken(guarded.clone());
            let hits = changed(&base, &proof);
            assert!(hits.iter().any(|hit| hit.name == link.name), "{}", link.name);
            assert!(hits.iter().all(|hit| names(hit, "service control policy on ou-web", &account)), "{hits:#?}");
            assert!(proof.assumptions.iter().all(|text| !text.contains(&format!("{} (", if account == DEV { "dev" } else { "prod" }))));
            // The management account is not limited (ORG-SCP).
            guarded[side]["management"] = json!(true);
            assert!(changed(&base, &set_up.broken(guarded)).is_empty());

            let owner = if link.account == DEV { "dev_organisation" } else { "prod_organisation" };
            let mut guarded = whole.clone();
            let mut denies = deny(link.action, true, true);
            denies["Sid"] = json!("Perimeter");
            guarded[owner] = json!({"id": {"known": "o-example"}, "management": false, "scps": {"known": []},
                "rcps": {"known": [level("r-root", json!({"Version": "2012-10-17", "Statement": [denies]}))]}});
            let proof = set_up.broken(guarded);
            let hits = changed(&base, &proof);
            let covered = !link.action.starts_with("codepipeline:");
            assert_eq!(hits.iter().any(|hit| hit.name == link.name), covered, "{}", link.name);
            assert!(hits.iter().all(|hit| names(hit, "resource control policy Guard on r-root", &link.account)), "{hits:#?}");
        }
    }
}

/// No session policy can be read, and CodePipeline isn't known to set one; if there were one, it would be named.
#[test]
fn a_session_policy_would_be_named() {
    for set_up in set_ups() {
        for mut link in set_up.links().into_iter().filter(|link| link.who.starts_with("arn:")) {
            for request in &mut link.requests {
                request["sessionPolicy"] = json!([all_but(link.row.action)]);
            }
            let (name, account) = (link.name.clone(), account_of(&link.who));
            let judged = judge(link);
            assert_eq!((judged.verdict, judged.name.as_str()), (Verdict::Denied, name.as_str()));
            assert!(names(&judged, "session", &account), "{judged:#?}");
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    for set_up in set_ups() {
        let (base, whole) = (set_up.proof(), set_up.value());
        for (region, slot) in members(&whole, "/keys") {
            let arn = slot["found"]["arn"].as_str().unwrap();
            for state in ["Disabled", "PendingDeletion", "PendingImport", "Unavailable", "Creating"] {
                let mut disabled = whole.clone();
                disabled["keys"][&region]["found"]["state"] = json!(state);
                let proof = set_up.broken(disabled);
                let on: Vec<_> = base.links.iter().filter(|link| link.resource == arn).map(|link| &link.name).collect();
                let hits = changed(&base, &proof);
                assert_eq!(hits.iter().map(|hit| &hit.name).collect::<Vec<_>>(), on);
                assert!(hits.iter().all(|hit| hit.verdict == Verdict::Denied
                    && hit.reasons[0].contains(state)
                    && hit.reasons[0].contains(arn)
                    && hit.reasons[0].contains(DEV)));
            }
            // An AWS managed key, or none: production can't read what it encrypted (facts E.7).
            let mut managed = whole.clone();
            managed["keys"][&region]["found"]["manager"] = json!("AWS");
            let proof = set_up.broken(managed);
            let decrypt = proof.links.iter().find(|link| link.name == "deploy-decrypt").unwrap();
            let reads = set_up.snapshot.prod.region == region;
            assert_eq!(decrypt.verdict, if reads { Verdict::Denied } else { Verdict::Allowed });
            if reads {
                assert!(decrypt.verdict == Verdict::Denied && decrypt.reasons[0].contains("AWS managed key"), "{decrypt:#?}");
            }
            let mut elsewhere = whole.clone();
            let moved = arn.replace(&region, "ap-south-1");
            elsewhere = serde_json::from_str(&elsewhere.to_string().replace(arn, &moved)).unwrap();
            let proof = set_up.broken(elsewhere);
            let hits: Vec<_> = proof.links.iter().filter(|link| link.resource == moved).collect();
            assert!(!hits.is_empty() && hits.iter().all(|hit| hit.verdict == Verdict::Denied && hit.reasons[0].contains("ap-south-1")));
        }
    }
}

#[test]
fn roles_that_were_made_again_are_named() {
    for set_up in set_ups() {
        let (base, whole) = (set_up.proof(), set_up.value());
        for role in ["service_role", "deploy_role"] {
            let arn = whole[role]["arn"].as_str().unwrap();
            for paper in papers(&whole) {
                // What IAM, KMS and S3 show of a principal that was deleted; a condition stays what it was (facts D.2).
                let mut dead = whole.pointer(&paper.pointer).unwrap().clone();
                for statement in dead["Statement"].as_array_mut().unwrap().iter_mut().filter(|statement| statement["Principal"].is_object())
                {
                    let named = statement["Principal"].to_string().replace(&format!("\"{arn}\""), "\"AROAEXAMPLEEXAMPLE\"");
                    statement["Principal"] = serde_json::from_str(&named).unwrap();
                }
                if Some(&dead) == whole.pointer(&paper.pointer) {
                    continue;
                }
                let mut recreated = whole.clone();
                *recreated.pointer_mut(&paper.pointer).unwrap() = dead;
                let proof = set_up.broken(recreated);
                let hits = changed(&base, &proof);
                assert!(hits.iter().all(|hit| hit.verdict == Verdict::Denied && names(hit, &paper.naming, &paper.account)), "{hits:#?}");
                let told = proof.findings.iter().any(|finding| {
                    finding.text.contains("AROAEXAMPLEEXAMPLE")
                        && finding.text.contains(&paper.naming)
                        && finding.text.contains(&paper.account)
                });
                assert!(told && !hits.is_empty(), "{}: {:?}", paper.naming, proof.findings);
            }
            // Gone altogether.
            let mut gone = whole.clone();
            gone[role] = Value::Null;
            let proof = set_up.broken(gone);
            let hits = changed(&base, &proof);
            let concerned = |link: &&Judged| link.who == arn || link.resource == arn;
            assert_eq!(hits.len(), base.links.iter().filter(concerned).count());
            assert!(hits.iter().all(|hit| hit.verdict == Verdict::Denied && hit.reasons[0].contains(arn)), "{hits:#?}");
        }
    }
}

#[test]
fn what_is_no_call_is_found() {
    let set_up = &set_ups()[0];
    let whole = set_up.value();
    let source = "/pipeline/declaration/stages/0/actions/0/configuration";
    let deploy = "/pipeline/declaration/stages/1/actions/0";
    let after = |change: &dyn Fn(&mut Value)| {
        let mut value = whole.clone();
        change(&mut value);
        let proof = set_up.broken(value);
        (proof.verdict(), proof.findings.iter().map(|finding| finding.text.clone()).collect::<Vec<_>>().join("\n"))
    };
    let told = |change: &dyn Fn(&mut Value), verdict: Verdict, text: &str| {
        let (got, findings) = after(change);
        assert!(got == verdict && findings.contains(text), "{got:?}: {findings}");
    };
    told(
        &|value| value["input"]["found"]["versioning"] = json!("Suspended"),
        Verdict::Denied,
        "versioning of input bucket in-bucket is suspended",
    );
    told(&|value| value["input"]["found"]["versioning"] = json!(""), Verdict::Denied, "versioning of input bucket in-bucket is off");
    told(
        &|value| value.pointer_mut(deploy).unwrap()["configuration"]["CannedACL"] = json!("public-read"),
        Verdict::Denied,
        "sets ACL public-read, but ACLs are off",
    );
    told(
        &|value| drop(value.pointer_mut(deploy).unwrap().as_object_mut().unwrap().remove("roleArn")),
        Verdict::Denied,
        "the deploy action names no role",
    );
    told(
        &|value| value.pointer_mut(source).unwrap()["PollForSourceChanges"] = json!("true"),
        Verdict::Allowed,
        "each upload starts two runs",
    );
    told(
        &|value| value.pointer_mut(deploy).unwrap()["configuration"]["Extract"] = json!("True"),
        Verdict::Denied,
        "Extract is `True`; only `true` and `false` work",
    );
    told(
        &|value| value.pointer_mut(deploy).unwrap()["configuration"]["Extract"] = json!("false"),
        Verdict::Denied,
        "neither extracts nor names an object key",
    );
    told(
        &|value| {
            value["rule"] = Value::Null;
            value.pointer_mut(source).unwrap()["PollForSourceChanges"] = json!("true");
            value["pipeline"]["polling_disabled"] = json!(true);
        },
        Verdict::Allowed,
        "has switched polling off after 30 idle days",
    );
    told(&|value| value["rule"] = Value::Null, Verdict::Allowed, "no upload starts the pipeline by itself");
    told(&|value| value["input"]["found"]["notification"] = json!(""), Verdict::Denied, "never hears of an upload");
}

/// What a least-privilege set-up may grant without a link that needs it, with the reason.
const EXEMPT: [(&str, &str); 4] = [
    ("Enable IAM User Permissions", "without it nobody could administer the key (facts B.4, E.17)"),
    ("Allow access for Key Administrators", "A1.2: people, not the pipeline"),
    ("Theirs", "somebody else's statement"),
    ("kms:DescribeKey", "facts A.5 and F.2 name it beside what is called"),
];

/// Sufficient: `a_set_up_is_proven_whole`. Necessary: whatever is taken away is missed by some link.
#[test]
fn least_privilege_grants_nothing_that_no_link_needs() {
    for set_up in set_ups().into_iter().filter(|set_up| set_up.name.starts_with("least privilege")) {
        let (base, whole) = (set_up.proof(), set_up.value());
        assert_eq!(base.broken().count(), 0);
        let mut idle = Vec::new();
        let mut tried = 0;
        for paper in papers(&whole) {
            let document = whole.pointer(&paper.pointer).unwrap();
            for (what, statement, thin) in thinned_with_statement(document) {
                let mut less = whole.clone();
                *less.pointer_mut(&paper.pointer).unwrap() = thin;
                tried += 1;
                if changed(&base, &set_up.broken(less)).is_empty() {
                    let exempt = |(name, _): &(&str, &str)| {
                        let only = |value: &Value| value == &json!(name) || value == &json!([name]);
                        statement["Sid"] == *name
                            || what.contains(&format!("\"{name}\""))
                            || (what.ends_with("gone") && only(&statement["Action"]))
                    };
                    if !EXEMPT.iter().any(exempt) {
                        idle.push(format!("{}: {what}: {statement}", paper.naming));
                    }
                }
            }
        }
        assert!(tried > 40, "{}: only {tried} changes", set_up.name);
        assert!(idle.is_empty(), "{}, of {tried} changes:\n{}", set_up.name, idle.join("\n"));
    }
}

/// As [`thinned`], but only what takes a grant away, with the statement that is thinned.
fn thinned_with_statement(document: &Value) -> Vec<(String, Value, Value)> {
    let statements = document["Statement"].as_array().cloned().unwrap_or_else(|| vec![document["Statement"].clone()]);
    let all = thinned(document).into_iter().filter(|(what, _)| what.ends_with(" gone") && !what.starts_with("condition of Deny"));
    all.map(|(what, thin)| {
        let index = statements.iter().position(|statement| {
            let there = thin["Statement"].as_array().unwrap();
            !there.contains(statement)
        });
        (what, statements[index.unwrap()].clone(), thin)
    })
    .collect()
}

/// The second, naive evaluator judges each call as the first does: as it is, and with each document thinned.
#[test]
fn both_evaluators_agree_on_every_call() {
    let mut compared = 0;
    for set_up in sampled("set-ups", set_ups(), 1) {
        let whole = set_up.value();
        let mut agree = |what: &str, value: &Value, only: Option<&BTreeSet<String>>| {
            for link in set_up.links_of(value).iter().filter(|link| only.is_none_or(|only| only.contains(&link.name))) {
                for request in &link.requests {
                    let (ours, theirs) = (policy::decide(request).decided.word(), evaluator::decide(request).name());
                    compared += 1;
                    assert_eq!(ours, theirs, "{}: {}: {what}: {request:#}", set_up.name, link.name);
                }
            }
        };
        agree("whole", &whole, None);
        let base = set_up.proof();
        for paper in papers(&whole) {
            for (what, thin) in thinned(whole.pointer(&paper.pointer).unwrap()) {
                let mut less = whole.clone();
                *less.pointer_mut(&paper.pointer).unwrap() = thin;
                let names = changed(&base, &set_up.broken(less.clone())).iter().map(|link| link.name.clone()).collect();
                agree(&what, &less, Some(&names));
            }
        }
    }
    assert!(compared > if depth::full() { 800 } else { 80 }, "only {compared}");
}

#[test]
fn a_bucket_whose_encryption_cannot_be_read_cannot_be_told() {
    for set_up in set_ups() {
        for (bucket, link) in [("input", "source-decrypt"), ("output", "output-encrypt")] {
            let mut unread = set_up.value();
            unread[bucket]["found"]["encryption"] = json!({"unknown": "AccessDenied"});
            let proof = set_up.broken(unread);
            let Some(found) = proof.links.iter().find(|found| found.name == link) else { panic!("{}: no {link}", set_up.name) };
            // The action's own key goes before the bucket's.
            let told = bucket == "output" && set_up.name.ends_with("the action's key");
            let expected = if told { Verdict::Allowed } else { Verdict::CannotTell };
            assert_eq!((found.verdict, proof.verdict()), (expected, expected), "{}: {found:#?}", set_up.name);
        }
    }
}

/// As CDK makes it: each action has a role of its own.
#[test]
fn a_source_action_with_a_role_of_its_own_is_judged_by_it() {
    let set_up = &set_ups()[0];
    let arn = format!("arn:aws:iam::{DEV}:role/cdk/source");
    let mut value = set_up.value();
    value["pipeline"]["declaration"]["stages"][0]["actions"][0]["roleArn"] = json!(arn);
    let service_role = value["service_role"]["arn"].clone();
    let unread = set_up.broken(value.clone());
    let link = |proof: &Proof, name: &str| proof.links.iter().find(|link| link.name == name).unwrap().clone();
    assert_eq!(link(&unread, "source-read").verdict, Verdict::Denied);
    value["other_roles"][&arn] = json!({"known": {"name": "source", "arn": arn, "tags": {}, "attached": [], "attached_documents": {},
        "trust": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": service_role}, "Action": "sts:AssumeRole"}]},
        "inline": {"all": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}]}}}});
    let proof = set_up.broken(value.clone());
    assert_eq!(proof.verdict(), Verdict::Allowed, "{:#?}", proof.broken().collect::<Vec<_>>());
    assert!(link(&proof, "source-role").resource == arn && link(&proof, "artifact-encrypt").who == arn);
    value["other_roles"][&arn]["known"]["inline"]["all"]["Statement"][0]["Action"] = json!("s3:*");
    let proof = set_up.broken(value);
    let denied = link(&proof, "artifact-encrypt");
    assert!(denied.verdict == Verdict::Denied && names(&denied, "the policies of role source", DEV), "{denied:#?}");
}

fn found<'p>(proof: &'p Proof, name: &str) -> &'p Judged {
    proof.links.iter().find(|link| link.name == name).unwrap()
}

/// What may or may not be among the files, or in a request, is never guessed.
#[test]
fn what_hangs_on_what_nobody_knows_cannot_be_told() {
    let set_up = &set_ups()[0];
    let with_output_policy = |statement: Value| {
        let mut value = set_up.value();
        value["output"]["found"]["policy"] = json!({"Version": "2012-10-17", "Statement": [statement]});
        set_up.broken(value)
    };
    let deny = |resource: &str, condition: Value| json!({"Sid": "Guard", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource, "Condition": condition});
    let proof = with_output_policy(deny("arn:aws:s3:::out-bucket/*.js", json!({})));
    let link = found(&proof, "output-write");
    assert!(link.verdict == Verdict::CannotTell && link.reasons[0].contains("out-bucket/x.js"), "{link:#?}");
    for resource in ["arn:aws:s3:::out-bucket/secret.txt", "arn:aws:s3:::*.js", "arn:aws:s3:::out*/css/?.css"] {
        let proof = with_output_policy(deny(resource, json!({})));
        assert_eq!(found(&proof, "output-write").verdict, Verdict::CannotTell, "{resource}");
    }
    let mut value = set_up.value();
    let scp = json!({"target": "r-root", "policies": {"NoScripts": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*.js"}]}}});
    value["prod_organisation"] =
        json!({"id": {"known": "o-example"}, "management": false, "scps": {"known": [scp]}, "rcps": {"known": []}});
    assert_eq!(found(&set_up.broken(value), "output-write").verdict, Verdict::CannotTell);
    let all = "arn:aws:s3:::out-bucket/*";
    for (condition, verdict) in [
        (json!({"NumericLessThan": {"s3:TlsVersion": "1.2"}}), Verdict::Allowed),
        (json!({"NumericLessThan": {"s3:TlsVersion": "1.3"}}), Verdict::CannotTell),
        (json!({"NumericLessThan": {"s3:TlsVersion": "1.4"}}), Verdict::Denied),
        (json!({"Bool": {"aws:SecureTransport": "false"}}), Verdict::Allowed),
        (json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-ours"}}), Verdict::CannotTell),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), Verdict::CannotTell),
        (json!({"ArnNotEquals": {"aws:PrincipalArn": format!("arn:aws:iam::{PROD}:role/prods3role")}}), Verdict::Allowed),
        // Whether files come with the artifact key is not known, so neither is the header.
        (json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}), Verdict::CannotTell),
        (json!({"StringEquals": {"s3:x-amz-acl": "public-read"}}), Verdict::Allowed),
    ] {
        let proof = with_output_policy(deny(all, condition.clone()));
        assert_eq!(found(&proof, "output-write").verdict, verdict, "{condition}");
    }
}

/// AWS doesn't document whether CodePipeline says for whom it takes a role (facts F.3).
#[test]
fn a_trust_policy_with_a_source_account_cannot_be_told() {
    let set_up = &set_ups()[0];
    let mut value = set_up.value();
    value["service_role"]["trust"]["Statement"][0]["Condition"] = json!({"StringEquals": {"aws:SourceAccount": DEV}});
    let proof = set_up.broken(value.clone());
    assert_eq!((found(&proof, "service-role").verdict, proof.verdict()), (Verdict::CannotTell, Verdict::CannotTell));
    value["service_role"]["trust"]["Statement"][0]["Condition"] = json!({"StringEquals": {"aws:SourceAccount": PROD}});
    assert_eq!(found(&set_up.broken(value), "service-role").verdict, Verdict::Denied);
}

#[test]
fn a_canned_acl_is_in_the_request() {
    let set_up = set_ups().into_iter().find(|set_up| set_up.name.ends_with("canned ACL")).unwrap();
    for (acl, verdict) in [("bucket-owner-full-control", Verdict::Allowed), ("private", Verdict::Denied)] {
        let mut value = set_up.value();
        value["output"]["found"]["policy"] = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",
            "Action": ["s3:PutObject", "s3:PutObjectAcl"], "Resource": "*", "Condition": {"StringNotEquals": {"s3:x-amz-acl": acl}}}]});
        let proof = set_up.broken(value);
        assert_eq!((found(&proof, "output-write").verdict, found(&proof, "output-write-acl").verdict), (verdict, verdict), "{acl}");
    }
}

/// A statement to add is for all files, not for the one that stood for them.
#[test]
fn what_to_add_is_for_all_objects() {
    let set_up = &set_ups()[0];
    let mut value = set_up.value();
    value["policies"][format!("arn:aws:iam::{PROD}:policy/outputbucketdeployaccess")]["document"]["Statement"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    let proof = set_up.broken(value);
    let link = found(&proof, "output-write");
    assert_eq!(link.missing[0].statement.as_ref().unwrap()["Resource"], "arn:aws:s3:::out-bucket/*", "{link:#?}");
    let mut value = set_up.value();
    value["artifact_buckets"]["us-east-1"]["found"]["policy"] = Value::Null;
    let proof = set_up.broken(value);
    let link = found(&proof, "deploy-read");
    let resource = &link.missing[0].statement.as_ref().unwrap()["Resource"];
    assert_eq!(resource, "arn:aws:s3:::codepipeline-us-east-1-111111111111/crossaccountdeploy/*", "{link:#?}");
}

/// What starts nothing any more fails a deployment only if nothing else starts it.
#[test]
fn a_dead_trigger_beside_a_working_one_is_a_warning() {
    let set_up = &set_ups()[0];
    let mut value = set_up.value();
    let mut other = value["rule"].clone();
    other["name"] = json!("theirs");
    other["targets"][0]["RoleArn"] = json!(format!("arn:aws:iam::{DEV}:role/gone"));
    value["other_roles"][format!("arn:aws:iam::{DEV}:role/gone")] = json!({"known": null});
    value["other_rules"] = json!([other]);
    let proof = set_up.broken(value.clone());
    let dead = found(&proof, "start-run:theirs");
    assert!(dead.verdict == Verdict::Denied && dead.may_be_called() && proof.verdict() == Verdict::Allowed, "{dead:#?}");
    value["rule"] = Value::Null;
    let proof = set_up.broken(value);
    assert_eq!((found(&proof, "start-run").verdict, proof.verdict()), (Verdict::Denied, Verdict::Denied));
}

/// The allowing statements of a call that fails for another reason are not what denies it.
#[test]
fn a_stop_is_told_without_the_statements_that_allow() {
    let set_up = &set_ups()[0];
    let mut value = set_up.value();
    value["keys"]["us-east-1"]["found"]["state"] = json!("Disabled");
    let proof = set_up.broken(value);
    let link = found(&proof, "deploy-decrypt");
    assert!(link.verdict == Verdict::Denied && link.because.is_empty() && link.reasons.len() == 1, "{link:#?}");
}
