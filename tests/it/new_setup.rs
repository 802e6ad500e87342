//! A set-up where nothing is there yet.

use crate::support::Bed;

#[test]
fn a_new_setup_then_no_changes() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let args = ["setup", "--input-bucket", &input, "--output-bucket", &output, "--yes"];
    let first = bed.run(&args).success();
    println!("{}", first.report());
    println!("{}", bed.proxy.table());
    bed.proxy.clear();
    let second = bed.run(&args).success();
    println!("{}", second.report());
    println!("{}", bed.proxy.table());
    println!("{}", serde_json::to_string_pretty(&bed.dump()).unwrap());
    assert!(bed.proxy.writes().is_empty());
    assert!(second.stdout.contains("No changes."));
}
