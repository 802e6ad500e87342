//! Questions on a real terminal.

use crate::needs::EMULATORS;
use crate::support::Bed;
use crate::support::compare::same;
use crate::support::pty::{CTRL_C, ENTER, ESC, Talk, abandoned, talk};
use libtest_mimic::Trial;
use snapbox::str;

/// Types the keys when the question stands there; none where no question is expected.
fn on_a_terminal(bed: &Bed, question: &str, keys: &str, args: &[&str]) -> Talk {
    let args = bed.args(args);
    let command = bed.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let script = [(question, keys)];
    talk(&command, if question.is_empty() { &[] } else { &script }, 80)
}

fn setup_asks_and_only_a_yes_changes_something() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let args = ["setup", "--input-bucket", &input, "--output-bucket", &output];
    for (what, keys, code) in [("n", "n\r", 3), ("just Enter", ENTER, 3), ("Esc", ESC, 3), ("Ctrl-C", CTRL_C, 130)] {
        println!("{what}");
        on_a_terminal(&bed, "Apply this plan?", keys, &args).ended(1, code);
        assert!(bed.proxy.writes().is_empty(), "{what}");
    }
    on_a_terminal(&bed, "Apply this plan?", "y\r", &args).ended(1, 0);
    assert!(!bed.proxy.writes().is_empty());
    bed.proxy.clear();
    let screen = on_a_terminal(&bed, "", "", &args);
    assert!(screen.ended(0, 0).text().contains("No changes."), "{screen:?}");
}

fn teardown_wants_the_pipelines_name_typed() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let _ = bed.run(&["setup", "--input-bucket", &input, "--output-bucket", &output, "--yes"]).success();
    bed.proxy.clear();
    for (what, keys, code) in [("y", "y\r", 3), ("Esc", ESC, 3), ("Ctrl-C", CTRL_C, 130)] {
        println!("{what}");
        on_a_terminal(&bed, "Type the pipeline's name", keys, &["teardown"]).ended(1, code);
        assert!(bed.proxy.writes().is_empty(), "{what}");
    }
    on_a_terminal(&bed, "Type the pipeline's name", "crossaccountdeploy\r", &["teardown"]).ended(1, 0);
}

fn a_terminal_that_fails_is_told_of() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let args = bed.args(&["setup", "--input-bucket", &input, "--output-bucket", &output, "--color", "never"]);
    let (code, said) = abandoned(&bed.command(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    let error = said.find("error: ").unwrap_or_else(|| panic!("{said}"));
    same(
        &said[error..],
        str![[r#"
error: the question could not be asked
  caused by: IO error: Input/output error (os error 5)

hint: pass `--yes`, or save it with `xdeploy plan --out FILE` and run `xdeploy apply FILE`

"#]],
    );
    assert_eq!(code, 3);
    assert!(bed.proxy.writes().is_empty());
}

fn colour_is_for_terminals_and_can_be_turned_off() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let args = ["plan", "--input-bucket", &input, "--output-bucket", &output];
    assert!(on_a_terminal(&bed, "", "", &args).raw.contains("\x1b[1m"));
    let never: Vec<&str> = args.into_iter().chain(["--color", "never"]).collect();
    assert!(!on_a_terminal(&bed, "", "", &never).raw.contains("\x1b[1m"));
    let piped = bed.run(&args).success();
    assert!(!piped.stdout.contains('\x1b') && !piped.stderr.contains('\x1b'));
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        setup_asks_and_only_a_yes_changes_something,
        teardown_wants_the_pipelines_name_typed,
        a_terminal_that_fails_is_told_of,
        colour_is_for_terminals_and_can_be_turned_off,
    ]
}
