//! How many requests, and how many of them one after the other, each command needs.

use crate::support::{Bed, Caller, Checked};
use crate::worlds;
use std::time::{Duration, Instant};

/// One round trip to AWS.
const ROUND_TRIP: Duration = Duration::from_millis(50);

struct Row {
    what: String,
    requests: usize,
    writes: usize,
    chain: Vec<String>,
    took: Duration,
}

fn measure(bed: &Bed, what: String, args: &[&str]) -> (Row, Checked) {
    bed.proxy.clear();
    let started = Instant::now();
    let output = bed.run(args).success();
    let took = started.elapsed();
    let chain = bed.proxy.longest_chain().into_iter().map(|call| call.operation).collect();
    let row = Row { what, requests: bed.proxy.requests().len(), writes: bed.proxy.writes().len(), chain, took };
    (row, output)
}

fn budget(caller: &str, of: impl Fn() -> Caller) -> Vec<Row> {
    let bed = Bed::with_callers(of(), of());
    let args = worlds::empty(&bed);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    bed.proxy.set_latency(ROUND_TRIP);
    let (first, first_output) = measure(&bed, format!("{caller}: first set-up"), &args);
    // On a loaded machine requests that were sent together are answered one after the other; that can only lengthen a chain,
    // so the shortest of three is still an upper bound.
    let shortest = |what: &str, args: &[&str]| {
        let runs = (0..3).map(|_| measure(&bed, format!("{caller}: {what}"), args));
        runs.min_by_key(|(row, _)| row.chain.len()).unwrap()
    };
    let (second, second_output) = shortest("second set-up", &args);
    let verify = [&["verify"], &args[1..5]].concat();
    let (verify, verify_output) = shortest("verify", &verify);
    for row in [&first, &second, &verify] {
        println!(
            "{:<22} {:>3} requests, {:>2} writes, {:>2} in a row, {:>5} ms  {}",
            row.what,
            row.requests,
            row.writes,
            row.chain.len(),
            row.took.as_millis(),
            row.chain.join(" ")
        );
    }
    assert!(first.requests <= 50, "{} requests\n{}", first.requests, first_output.calls);
    assert!(first.chain.len() <= 14, "{:?}\n{}", first.chain, first_output.calls);
    for (row, output) in [(&second, &second_output), (&verify, &verify_output)] {
        assert_eq!(row.writes, 0, "{}", output.calls);
        assert!(row.chain.len() <= 5, "{}: {:?}\n{}", row.what, row.chain, output.calls);
    }
    vec![first, second, verify]
}

#[test]
fn users_need_few_requests() {
    budget("IAM user", || Caller::User { path: "/".to_owned() });
}

#[test]
fn sso_sessions_need_few_requests() {
    budget("SSO session", Caller::sso);
}
