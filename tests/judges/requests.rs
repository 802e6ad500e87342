//! How many requests, and how many of them one after the other, each command needs.
//!
//! A first set-up ends with reading everything again and proving the chain on that; its requests are counted up to the last
//! write, and the reading after it by itself.

use crate::needs::EMULATORS;
use crate::support::{Bed, Caller, Checked, longest_chain};
use crate::worlds;
use libtest_mimic::Trial;
use std::time::{Duration, Instant};

/// One round trip to AWS.
const ROUND_TRIP: Duration = Duration::from_millis(50);

struct Row {
    what: &'static str,
    requests: usize,
    afterwards: usize,
    writes: usize,
    chain: Vec<String>,
    took: Duration,
}

fn measure(bed: &Bed, what: &'static str, args: &[&str]) -> (Row, Checked) {
    bed.proxy.clear();
    let started = Instant::now();
    let output = bed.run(args).success();
    let took = started.elapsed();
    let all = bed.proxy.requests();
    let last = all.iter().rposition(|request| request.is_write);
    let counted = last.map_or(all.as_slice(), |last| &all[..=last]).to_vec();
    let afterwards = all.len() - counted.len();
    let chain = longest_chain(all).into_iter().map(|call| call.operation).collect();
    let row = Row { what, requests: counted.len(), afterwards, writes: bed.proxy.writes().len(), chain, took };
    (row, output)
}

/// Measures all three, prints them, and gives what is over budget.
fn over_budget(caller: &str, of: &dyn Fn() -> Caller, round_trip: Duration) -> Option<String> {
    let bed = Bed::with_callers(of(), of());
    let args = worlds::empty(&bed);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    bed.proxy.set_latency(round_trip);
    let first = measure(&bed, "first set-up", &args);
    let second = measure(&bed, "second set-up", &args);
    let verify = measure(&bed, "verify", &[&["verify"], &args[1..5]].concat());
    let mut over = None;
    for ((row, output), longest) in [(&first, 19), (&second, 5), (&verify, 5)] {
        println!(
            "{caller:<11} {:<13} {:>2} requests and {:>2} to prove it again, {:>2} writes, {:>2} in a row, {:>4} ms at {} ms each  {}",
            row.what,
            row.requests,
            row.afterwards,
            row.writes,
            row.chain.len(),
            row.took.as_millis(),
            round_trip.as_millis(),
            row.chain.join(" ")
        );
        if row.chain.len() > longest {
            over = Some(format!("{}: {} in a row: {:?}\n{}", row.what, row.chain.len(), row.chain, output.calls));
        }
    }
    // Two of them look at the policies of a key and a bucket that were made a moment ago, before they are written; up to twelve in each
    // account, three of them in a row, look before the first write at the caller's permissions, at the organisation and at what the account holds.
    assert!(first.0.requests <= 77, "{} requests\n{}", first.0.requests, first.1.calls);
    assert_eq!((second.0.writes, verify.0.writes), (0, 0));
    over
}

fn budget(caller: &str, of: &dyn Fn() -> Caller) {
    // On a busy machine calls that go out together may seem to wait for each other; slower calls tell the two apart.
    if over_budget(caller, of, ROUND_TRIP).is_some() {
        assert_eq!(over_budget(caller, of, ROUND_TRIP * 6), None);
    }
}

fn users_need_few_requests() {
    budget("IAM user", &|| Caller::User { path: "/".to_owned() });
}

fn sso_sessions_need_few_requests() {
    budget("SSO session", &Caller::sso);
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        users_need_few_requests,
        sso_sessions_need_few_requests,
    ]
}
