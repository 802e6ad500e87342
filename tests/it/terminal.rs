//! Questions on a real terminal: a pseudo-terminal that python opens.

use crate::support::{Bed, emulators};

/// Runs the program on a terminal, types the keys when the question stands there, and prints the exit code and the screen.
const DRIVER: &str = r#"
import os, pty, select, sys, time
keys, question, program = sys.argv[1].encode().decode("unicode_escape").encode("latin-1"), sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program[0], program)
screen, typed, deadline = b"", False, time.time() + 60
while time.time() < deadline:
    ready, _, _ = select.select([terminal], [], [], 0.2)
    if ready:
        try:
            got = os.read(terminal, 65536)
        except OSError:
            break
        if not got:
            break
        screen += got
        # A terminal answers when it is asked where the cursor is.
        if b"\x1b[6n" in got:
            os.write(terminal, b"\x1b[1;1R")
    if not typed and question in screen:
        time.sleep(0.3)
        os.write(terminal, keys)
        typed = True
_, status = os.waitpid(pid, 0)
sys.stdout.write("exit %d\n" % os.waitstatus_to_exitcode(status))
sys.stdout.write(screen.decode("utf-8", "replace"))
"#;

fn on_a_terminal(bed: &Bed, keys: &str, question: &str, args: &[&str]) -> String {
    let mut all = vec!["-c", DRIVER, keys, question, env!("CARGO_BIN_EXE_xdeploy")];
    let args = bed.args(args);
    all.extend(args.iter().map(String::as_str));
    let mut command = bed.command_of(&emulators().python, &all);
    command.env("TERM", "xterm-256color");
    bed.spawn_command(command).wait().success().stdout.clone()
}

#[test]
fn setup_asks_and_only_a_yes_changes_something() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let args = ["setup", "--input-bucket", &input, "--output-bucket", &output];
    for (what, keys, code) in [("n", "n\\r", 3), ("just Enter", "\\r", 3), ("Esc", "\\x1b", 3), ("Ctrl-C", "\\x03", 130)] {
        let screen = on_a_terminal(&bed, keys, "Apply this plan?", &args);
        assert!(screen.starts_with(&format!("exit {code}\n")), "{what}: {screen}");
        assert!(bed.proxy.writes().is_empty(), "{what}");
    }
    let screen = on_a_terminal(&bed, "y\\r", "Apply this plan?", &args);
    assert!(screen.starts_with("exit 0\n"), "{screen}");
    assert!(!bed.proxy.writes().is_empty());
    bed.proxy.clear();
    let screen = on_a_terminal(&bed, "", "no question", &args);
    assert!(screen.contains("No changes."), "{screen}");
}

#[test]
fn teardown_wants_the_pipelines_name_typed() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let _ = bed.run(&["setup", "--input-bucket", &input, "--output-bucket", &output, "--yes"]).success();
    bed.proxy.clear();
    for (what, keys, code) in [("y", "y\\r", 3), ("Esc", "\\x1b", 3), ("Ctrl-C", "\\x03", 130)] {
        let screen = on_a_terminal(&bed, keys, "Type the pipeline's name", &["teardown"]);
        assert!(screen.starts_with(&format!("exit {code}\n")), "{what}: {screen}");
        assert!(bed.proxy.writes().is_empty(), "{what}");
    }
    let screen = on_a_terminal(&bed, "crossaccountdeploy\\r", "Type the pipeline's name", &["teardown"]);
    assert!(screen.starts_with("exit 0\n"), "{screen}");
}

#[test]
fn colour_is_for_terminals_and_can_be_turned_off() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let args = ["plan", "--input-bucket", &input, "--output-bucket", &output];
    assert!(on_a_terminal(&bed, "", "no question", &args).contains("\x1b[1m"));
    let never: Vec<&str> = args.into_iter().chain(["--color", "never"]).collect();
    assert!(!on_a_terminal(&bed, "", "no question", &never).contains("\x1b[1m"));
    let piped = bed.run(&args).success();
    assert!(!piped.stdout.contains('\x1b') && !piped.stderr.contains('\x1b'));
}
