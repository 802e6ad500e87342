//! How many requests one core decides in a second, and what each allocates: `cargo bench --bench decisions`.
//!
//! Ends with 1 when a row is below what it needs: five documents read from a `Value`, and the proof of a whole chain. Under `cargo test` every row
//! runs once and nothing is judged. A new row is one more line in [`rows`].
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use xdeploy::model::Verdict;
use xdeploy::policy;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/snapshots.rs"]
mod snapshots;

// It wants no unsafe code here, which an allocator of our own would.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What each row must reach that is judged, a second: 200,000 decisions, and a whole chain in two milliseconds.
const NEEDED: [(&str, f64); 2] = [(FIVE_DOCUMENTS, 200_000.0), (CHAIN, 500.0)];
const FIVE_DOCUMENTS: &str = "five documents";
const CHAIN: &str = "the proof of a whole chain of a default set-up";
/// Other programs only ever make a round slower, so the best of several counts.
const ROUNDS: usize = 20;
const ROUND: Duration = Duration::from_millis(50);

/// What is measured: a name and what is done once.
type Row = (&'static str, Box<dyn FnMut()>);

fn main() -> ExitCode {
    let judged = std::env::args().any(|argument| argument == "--bench");
    let mut slow = false;
    println!("{:<58}{:>10}{:>10}{:>14}{:>8}", "one core", "a second", "µs each", "allocations", "bytes");
    for (name, mut once) in rows() {
        once();
        if !judged {
            continue;
        }
        let each = fastest(&mut once);
        let (allocations, bytes) = allocated(&mut once);
        let needed = NEEDED.iter().find(|(judged, _)| *judged == name).map(|(_, needed)| *needed);
        println!("{name:<58}{:>10.0}{:>10.2}{allocations:>14.1}{bytes:>8.0}", 1.0 / each, each * 1e6);
        if let Some(needed) = needed.filter(|needed| 1.0 / each < *needed) {
            println!("  too slow: {needed:.0} a second are needed");
            slow = true;
        }
    }
    if slow { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Seconds that one call takes.
fn fastest(once: &mut dyn FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (started, mut calls) = (Instant::now(), 0_u32);
        while calls % 64 != 0 || started.elapsed() < ROUND {
            once();
            calls += 1;
        }
        best = best.min(started.elapsed().as_secs_f64() / f64::from(calls));
    }
    best
}

/// Allocations and allocated bytes of one call.
fn allocated(once: &mut dyn FnMut()) -> (f64, f64) {
    const CALLS: usize = 100;
    let region = Region::new(ALLOCATOR);
    for _ in 0..CALLS {
        once();
    }
    let change = region.change();
    ((change.allocations + change.reallocations) as f64 / CALLS as f64, change.bytes_allocated as f64 / CALLS as f64)
}

fn decided(request: Value, expected: &str) -> Box<dyn FnMut()> {
    assert_eq!(policy::decide(&request).decided.word(), expected, "{}", policy::simulate(&request));
    Box::new(move || _ = black_box(policy::decide(black_box(&request))))
}

/// Every row; the first is the one that is judged.
fn rows() -> Vec<Row> {
    let line = five_documents().to_string();
    vec![
        (FIVE_DOCUMENTS, decided(five_documents(), "allowed")),
        ("the same from JSON text to JSON text", Box::new(move || _ = black_box(policy::answer_line(black_box(line.as_bytes()))))),
        ("the same, denied, with what each side lacks", decided(denied(), "implicitly-denied")),
        ("one statement", decided(one_statement(), "allowed")),
        ("policy variables and wildcards within an ARN's parts", decided(variables(), "allowed")),
        ("a bucket policy of a hundred statements", decided(many_statements(), "allowed")),
        ("an unknown key that makes no difference", decided(unknown_key("aws:SourceVpce", "o-example1234"), "allowed")),
        ("an unknown key that decides", decided(unknown_key("aws:PrincipalOrgID", "o-other"), "unknown")),
        (CHAIN, chain()),
    ]
}

/// From what both accounts hold to a verdict for each call.
fn chain() -> Box<dyn FnMut()> {
    let mut all = snapshots::set_ups();
    let set_up = all.swap_remove(0);
    assert_eq!(set_up.proof().verdict(), Verdict::Allowed);
    Box::new(move || _ = black_box(black_box(&set_up).proof()))
}

/// A role session reads an object of another account: two identity policies, a boundary, a level of service control
/// policies and a bucket policy, with seven conditions.
fn five_documents() -> Value {
    json!({
        "id": 1,
        "principal": "arn:aws:sts::222222222222:assumed-role/prods3role/1790620314627",
        "principalRole": "arn:aws:iam::222222222222:role/service-role/prods3role",
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::artifacts-eu-west-1/releases/web/2026-11-22/site.zip",
        "resourceAccount": "111111111111",
        "derive": true,
        "context": {
            "aws:PrincipalOrgID": "o-example1234", "aws:SecureTransport": true, "aws:SourceIp": "10.20.30.40",
            "aws:RequestedRegion": "eu-west-1", "aws:CurrentTime": "2026-11-22T16:00:00Z", "s3:TlsVersion": 1.3
        },
        "identityPolicies": [
            {"Version": "2012-10-17", "Statement": [
                {"Sid": "Objects", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
                    "Resource": ["arn:aws:s3:::artifacts-eu-west-1/*", "arn:aws:s3:::output/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
                {"Sid": "Buckets", "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucket*"],
                    "Resource": ["arn:aws:s3:::artifacts-eu-west-1", "arn:aws:s3:::output"]}]},
            {"Version": "2012-10-17", "Statement": [
                {"Sid": "Keys", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
                    "Resource": "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555",
                    "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}},
                {"Sid": "NoDeletes", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}]}
        ],
        "permissionBoundaries": [{"Version": "2012-10-17", "Statement": [
            {"Sid": "Services", "Effect": "Allow", "Action": ["s3:*", "kms:*", "logs:*"], "Resource": "*",
                "Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-central-1"]}}},
            {"Sid": "NoUsers", "Effect": "Deny", "Action": "iam:*", "Resource": "*"}]}],
        "scps": [[{"Version": "2012-10-17", "Statement": [
            {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Sid": "InOurRegions", "Effect": "Deny", "NotAction": ["iam:*", "sts:*", "organizations:*"], "Resource": "*",
                "Condition": {"StringNotLike": {"aws:RequestedRegion": "eu-*"}}}]}]],
        "resourcePolicy": {"Version": "2012-10-17", "Statement": [
            {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": ["arn:aws:s3:::artifacts-eu-west-1", "arn:aws:s3:::artifacts-eu-west-1/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Sid": "Readers", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:role/service-role/prods3role"},
                "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": "arn:aws:s3:::artifacts-eu-west-1/*",
                "Condition": {
                    "StringEquals": {"aws:PrincipalOrgID": "o-example1234"},
                    "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]},
                    "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/service-role/*"}
                }}]}
    })
}

fn denied() -> Value {
    let mut request = five_documents();
    request["scps"][0][0]["Statement"][0]["Action"] = json!("ec2:*");
    request["identityPolicies"][0]["Statement"][0]["Action"] = json!("s3:PutObject");
    request
}

fn one_statement() -> Value {
    json!({
        "id": 1, "principal": "arn:aws:iam::111111111111:user/ann", "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k",
        "resourceAccount": "111111111111",
        "identityPolicies": {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}}
    })
}

fn variables() -> Value {
    let mut request = five_documents();
    request["context"]["aws:PrincipalTag/team"] = json!("web");
    request["identityPolicies"][0]["Statement"][0]["Resource"] = json!("arn:a*s:s3:::artifacts-*/releases/${aws:PrincipalTag/team}/*");
    request["resourcePolicy"]["Statement"][1]["Resource"] = json!("arn:aws:s3:::artifacts-*/releases/${aws:PrincipalTag/team}/*/site.???");
    request
}

fn many_statements() -> Value {
    let mut request = five_documents();
    if let Some(list) = request["resourcePolicy"]["Statement"].as_array_mut() {
        for number in 0..98 {
            list.push(json!({"Sid": format!("Reader{number}"), "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::333333333333:role/reader-{number}")},
                "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": format!("arn:aws:s3:::artifacts-eu-west-1/{number}/*")}));
        }
    }
    request
}

/// The bucket policy asks for a key that isn't known, beside a statement for the organisation `organisation`.
fn unknown_key(key: &str, organisation: &str) -> Value {
    let mut request = five_documents();
    request["unknownContext"] = json!([key]);
    if let Some(list) = request["resourcePolicy"]["Statement"].as_array_mut() {
        let mut through = list[1].clone();
        through["Sid"] = json!("Through");
        through["Condition"] = json!({"StringLike": {(key): ["vpce-1*", organisation]}});
        list.push(through);
    }
    request
}
