//! `ecs-check --fix` while AWS is asked.

use crate::needs::EMULATORS;
use crate::support::compare::same;
use crate::support::{Action, Bed};
use crate::tree::{Kind, Tree};
use libtest_mimic::Trial;
use snapbox::str;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn quoted() -> Tree {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.append("etc/ecs/ecs.config", "ECS_ENABLE_TASK_IAM_ROLE=\"true\"\n");
    tree
}

fn ctrl_c_between_two_changes() {
    let tree = quoted();
    let bed = Bed::new();
    let go = std::sync::Arc::new(AtomicBool::new(false));
    let (asked, held) = (AtomicUsize::new(0), std::sync::Arc::clone(&go));
    // The second look is the one after the first change.
    bed.proxy.on_request(move |request| {
        let second = request.is("GetCallerIdentity") && asked.fetch_add(1, Ordering::SeqCst) == 1;
        while second && !held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Action::Forward
    });
    let running = bed.spawn(&["ecs-check", "--root", tree.path().to_str().unwrap(), "--fix", "--yes", "--profile", "dev"]);
    let called = |calls: &[crate::support::Request]| calls.iter().filter(|call| call.is("GetCallerIdentity")).count();
    bed.proxy.wait_until(Duration::from_secs(20), |calls| called(calls) == 2);
    running.signal("INT");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !running.stderr().contains("interrupted") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    go.store(true, Ordering::SeqCst);
    let output = running.wait().code(130);
    same(
        &output.stderr.replace(&tree.path().display().to_string(), "ROOT"),
        str![[r#"
write the agent's configuration as its reader takes it, with task roles on …
interrupted: finishing the calls under way (once more to stop at once)
  what was there: ROOT/etc/ecs/ecs.config.before-xdeploy
error: interrupted between two changes

hint: run the same command again: what is done stays done

"#]],
    );
    assert!(!std::fs::read_to_string(tree.path().join("etc/ecs/ecs.config")).unwrap().contains("\"true\""), "the first change was kept");
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        ctrl_c_between_two_changes,
    ]
}
