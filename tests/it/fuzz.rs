//! Properties that hold for every document and every line, tried on generated ones.
//!
//! Coverage-guided fuzzing needs a nightly toolchain, which the project doesn't ask of anybody, so inputs come from
//! `proptest`; `PROPTEST_CASES` makes it try more. What was once found, and what is tricky by design, lies in `corpus/` and is
//! replayed every time: a file is one line as `xdeploy simulate` reads it.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use xdeploy::policy;

use crate::naive::generator;

fn config(cases: u32) -> ProptestConfig {
    // A found input is kept by hand, in `corpus/`, where everybody sees it.
    ProptestConfig { cases: ProptestConfig::default().cases.max(cases), failure_persistence: None, ..ProptestConfig::default() }
}

// ---------------------------------------------------------------------------------------------------------------------
// Documents

const OURS: [&str; 2] = ["XdeployWebObjects", "XdeployWebBucket"];

/// Anything that may stand in a document, not too deep.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "\\PC{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), vec(("[A-Za-z:]{0,8}", inner), 0..4).prop_map(object)]
    })
}

fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

/// A statement of somebody else, in any order and form, with members that mean nothing.
fn statement() -> impl Strategy<Value = Value> {
    let sid = prop_oneof![
        Just(None),
        Just(Some(json!(""))),
        "[A-Za-z0-9 ]{1,8}".prop_map(|sid| Some(json!(sid))),
        Just(Some(json!("Xdeploy"))),
        anything().prop_map(Some)
    ];
    let effect = prop_oneof![Just(json!("Allow")), Just(json!("Deny"))];
    let action = prop_oneof![Just(json!("s3:GetObject")), Just(json!(["s3:Get*", "S3:getobject"])), Just(json!([]))];
    let more = vec(("[A-Z][a-z]{0,6}", anything()), 0..4);
    (sid, effect, action, more, any::<bool>()).prop_map(|(sid, effect, action, more, sid_last)| {
        let mut members: Vec<(String, Value)> = Vec::new();
        let sid: Vec<(String, Value)> = sid.into_iter().map(|sid| ("Sid".to_owned(), sid)).collect();
        if !sid_last {
            members.extend(sid.clone());
        }
        members.push(("Effect".to_owned(), effect));
        members.extend(more.into_iter().filter(|(name, _)| name != "Sid"));
        members.push(("Action".to_owned(), action));
        if sid_last {
            members.extend(sid);
        }
        object(members)
    })
}

/// A document with at least one statement: AWS saves no other, and `remove` says `None` for what has none left.
fn document() -> impl Strategy<Value = Value> {
    let statements = prop_oneof![
        vec(statement(), 1..5).prop_map(Value::from),
        vec(prop_oneof![4 => statement(), 1 => anything()], 1..4).prop_map(Value::from),
        statement(),
    ];
    let version = prop_oneof![Just(None), Just(Some(json!("2008-10-17"))), Just(Some(json!("2012-10-17"))), anything().prop_map(Some)];
    (version, vec(("[A-Za-z]{1,6}", anything()), 0..3), statements, any::<bool>(), any::<bool>()).prop_map(
        |(version, more, statements, statement_first, version_last)| {
            let mut members = vec![("Statement".to_owned(), statements)];
            let more = more.into_iter().filter(|(name, _)| name != "Statement" && name != "Version");
            let version: Vec<_> = version.into_iter().map(|version| ("Version".to_owned(), version)).collect();
            members.splice(if statement_first { 1..1 } else { 0..0 }, more);
            members.splice(if version_last { members.len()..members.len() } else { 0..0 }, version);
            object(members)
        },
    )
}

/// The one thing that can't be given back: whether a single statement stood alone or in a list. A list of one means the same
/// (IAM-Grammar), and nothing in a list of two says what it was.
fn with_a_list(document: &Value) -> Value {
    let mut document = document.clone();
    if document["Statement"].is_object() {
        document["Statement"] = json!([document["Statement"].take()]);
    }
    document
}

fn ours() -> (Vec<Value>, BTreeSet<String>) {
    let statement = |sid: &str| json!({"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"});
    (OURS.map(statement).to_vec(), OURS.map(str::to_owned).into())
}

proptest! {
    #![proptest_config(config(400))]

    // Texts are compared, as equal objects may have another order.
    #[test]
    fn merging_and_removing_gives_any_document_back(document in document()) {
        let (statements, sids) = ours();
        let merged = policy::merge(Some(&document), &statements);
        prop_assert_eq!(policy::statements(&merged).len(), policy::statements(&document).len() + 2);
        prop_assert_eq!(policy::merge(Some(&merged), &statements).to_string(), merged.to_string());
        let back = policy::remove(&merged, &sids).map(|back| back.to_string());
        prop_assert_eq!(back, Some(with_a_list(&document).to_string()));
    }

    #[test]
    fn nothing_to_merge_or_to_remove_changes_nothing(document in document()) {
        prop_assert_eq!(policy::merge(Some(&document), &[]).to_string(), document.to_string());
        prop_assert_eq!(policy::remove(&document, &ours().1).map(|same| same.to_string()), Some(document.to_string()));
    }

    #[test]
    fn what_is_ours_keeps_its_place_and_others_theirs(document in document(), at in any::<prop::sample::Index>()) {
        let (statements, sids) = ours();
        let mut there = with_a_list(&document);
        let list = there["Statement"].as_array_mut().unwrap();
        let at = at.index(list.len() + 1);
        list.insert(at, json!({"Sid": OURS[0], "Effect": "Deny"}));
        let merged = policy::merge(Some(&there), &statements);
        prop_assert_eq!(policy::statements(&merged)[at], &statements[0]);
        prop_assert_eq!(policy::remove(&merged, &sids).map(|back| back.to_string()), Some(with_a_list(&document).to_string()));
    }

    #[test]
    fn a_document_grants_what_it_grants(one in anything(), other in document()) {
        prop_assert!(policy::same_grants(&one, &one) && policy::same_grants(&other, &other));
        policy::same_grants(&one, &other);
        policy::merge(Some(&one), &ours().0);
        policy::remove(&one, &ours().1);
    }
}

#[test]
fn a_document_without_statements_has_none_left() {
    for empty in [json!({"Version": "2012-10-17", "Statement": []}), json!({"Version": "2012-10-17"}), json!({})] {
        let (statements, sids) = ours();
        assert_eq!(policy::remove(&policy::merge(Some(&empty), &statements), &sids), None, "{empty}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Lines

/// A verdict, the same twice, and the same as text.
fn verdict(line: &[u8]) -> Value {
    let answer = policy::simulate_line(line);
    assert!(
        ["allowed", "explicitly-denied", "implicitly-denied", "unknown", "error"].iter().any(|word| answer["decision"] == *word),
        "{answer}"
    );
    assert_eq!(answer["decision"] == "error", answer["errors"].is_array() && answer["decision"] != "explicitly-denied", "{answer}");
    assert_eq!(policy::simulate_line(line).to_string(), answer.to_string());
    assert_eq!(policy::answer_line(line).1, answer.to_string());
    if let Ok(request) = serde_json::from_slice::<Value>(line)
        && !answer["errors"][0].as_str().is_some_and(|why| why.contains("is there twice"))
    {
        assert_eq!(policy::simulate(&request).to_string(), answer.to_string());
    }
    answer
}

/// A request that both evaluators are compared on.
fn request() -> impl Strategy<Value = Value> {
    any::<u64>().prop_map(|seed| generator::request(&mut generator::Random::new(seed), 0).0)
}

/// What is put into a line.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    const SCRAPS: [&str; 40] = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "*",
        "?",
        "${",
        "}",
        "${*}",
        "${aws:username}",
        "${a, 'b'}",
        "null",
        "true",
        "1e400",
        "-0",
        "1e-9",
        "\\u0000",
        "\\ud800",
        "\\ud83d\\udd11",
        "é",
        "\u{1f511}",
        "arn:aws:s3:::",
        ":::::",
        "ForAllValues:",
        "IfExists",
        "Null",
        "Deny",
        "Allow",
        "NotPrincipal",
        "NotAction",
        "NotResource",
        "2008-10-17",
        "::ffff:10.0.0.0/104",
        "9999-12-31T23:59:60+24:59",
        "1e-2147483648",
        "\"x\":{},",
    ];
    prop_oneof![
        3 => prop::sample::select(SCRAPS.to_vec()).prop_map(|scrap| scrap.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
    ]
}

/// Where, how much goes, what comes instead.
type Cut = (prop::sample::Index, usize, Vec<u8>);

fn cut(line: &mut Vec<u8>, (at, length, scrap): &Cut) {
    let at = at.index(line.len() + 1);
    let end = line.len().min(at + length);
    line.splice(at..end, scrap.iter().copied());
}

fn values(value: &mut Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter_mut().map(values).sum::<usize>(),
        Value::Object(members) => 1 + members.values_mut().map(values).sum::<usize>(),
        _ => 1,
    }
}

/// Puts something else in place of one value, counted from the outside.
fn put(value: &mut Value, at: &mut usize, new: &Value) {
    if *at == 0 {
        *value = new.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|one| put(one, at, new)),
        Value::Object(members) => members.values_mut().for_each(|one| put(one, at, new)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn any_bytes_get_a_verdict(line in vec(any::<u8>(), 0..200)) {
        verdict(&line);
    }

    #[test]
    fn any_json_gets_a_verdict(value in anything()) {
        verdict(value.to_string().as_bytes());
    }

    #[test]
    fn a_request_with_a_few_bytes_changed_gets_a_verdict(
        request in request(),
        cuts in vec((any::<prop::sample::Index>(), 0..6_usize, scrap()), 1..5),
    ) {
        let mut line = request.to_string().into_bytes();
        cuts.iter().for_each(|one| cut(&mut line, one));
        verdict(&line);
    }

    #[test]
    fn a_request_with_other_values_gets_a_verdict(
        request in request(),
        news in vec((any::<prop::sample::Index>(), prop_oneof![anything(), scrap().prop_map(|s| json!(String::from_utf8_lossy(&s)))]), 1..4),
    ) {
        let mut request = request;
        for (at, new) in news {
            let mut at = at.index(values(&mut request));
            put(&mut request, &mut at, &new);
        }
        verdict(request.to_string().as_bytes());
    }
}

#[test]
fn every_line_of_the_corpus_gets_a_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    for file in files {
        println!("{}: {}", file.file_name().unwrap().display(), verdict(fs::read(&file).unwrap().trim_ascii())["decision"]);
    }
}
