//! The tour of the README: everything the program does, on two emulated accounts.

use crate::needs::EMULATORS;
use crate::support::compare::readme_block;
use crate::support::{Action, Bed};
use crate::world::World;
use libtest_mimic::Trial;
use serde_json::json;
use std::fmt::Write;

/// The tour of the README: everything the program does, on two emulated accounts.
fn readme_tour() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    // Played: no emulator runs a pipeline, so this writes what the deploy action would.
    let (prod, bucket) = (bed.prod.clone(), output.clone());
    bed.proxy.on_request(move |request| {
        if request.is("ListActionExecutions") {
            for key in ["css/site.css", "error.html", "images/logo.svg", "index.html"] {
                prod.call("s3", "put_object", json!({"Bucket": bucket, "Key": key, "Body": "x", "ServerSideEncryption": "AES256"}));
            }
        }
        Action::Forward
    });
    bed.profile_file("");
    std::fs::write(
        bed.dir().join("xdeploy.toml"),
        format!("[dev]\nprofile = \"dev\"\ninput-bucket = \"{input}\"\n\n[[target]]\nprofile = \"prod\"\noutput-bucket = \"{output}\"\n"),
    )
    .unwrap();
    let mut transcript = String::new();
    for (command, code) in [
        ("cat xdeploy.toml", 0),
        ("xdeploy setup --yes", 0),
        ("xdeploy setup --yes", 0),
        ("xdeploy release --sample --start-after 0s", 0),
        ("xdeploy verify", 0),
        ("xdeploy teardown", 3),
        ("xdeploy teardown --confirm crossaccountdeploy", 0),
    ] {
        let program = env!("CARGO_BIN_EXE_xdeploy");
        let line = command.replacen("xdeploy ", &format!("{program} "), usize::from(command.starts_with("xdeploy")));
        let out = bed.spawn_command(bed.command_of("/bin/sh".as_ref(), &["-c", &format!("exec {line} 2>&1")])).wait().code(code);
        let text = bed.normalise(&out.stdout);
        print!("\n$ {command}\n{text}");
        let _ = write!(transcript, "$ {command}\n{}\n", text.trim_end());
    }
    // A version id of S3 is random and has no shape that could be told from other words.
    let mut lines: Vec<String> = transcript.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some(at) = line.find(" as version ") {
            line.truncate(at);
            line.push_str(" as version VERSION-ID");
        }
    }
    readme_block("tour", &format!("```console\n{}\n```\n", lines.join("\n")));
}

/// What a broken chain looks like.
fn readme_broken() {
    let world = World::new();
    world.setup(&[]).success();
    let policy = json!({"RoleName": "prods3role", "PolicyArn": world.prod_arn("policy/devkmss3access")});
    world.prod().call("iam", "detach_role_policy", policy);
    let output = world.command("verify", &[]).code(1);
    let text = world.bed.normalise(&output.stdout);
    let mut shown: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("  allowed ")) {
        // A caller of whom nothing is left to say.
        if shown.last().is_some_and(|last| !last.is_empty() && !last.starts_with(' ') && !line.starts_with(' ') && is_caller(last)) {
            shown.pop();
        }
        shown.push(line);
    }
    readme_block("broken", &format!("```console\n$ xdeploy verify\n{}\n```\n", shown.join("\n").trim_end()));
}

fn is_caller(line: &str) -> bool {
    line.starts_with("arn:") || line.ends_with(".amazonaws.com")
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        readme_tour,
        readme_broken,
    ]
}
