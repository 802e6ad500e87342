//! One person, one account, on the emulators and in a terminal.

use crate::needs::{EMULATORS, TERMINAL};
use crate::support::Bed;
use crate::support::office::Office;
use libtest_mimic::Trial;
use xdeploy::model::Side;

/// Both halves on the emulators, each with its own profile.
fn on_emulators(world: fn(&Bed) -> Vec<String>) {
    let both = Bed::new();
    let args = world(&both);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    both.run(&args).success();
    let expected = both.normalise(&serde_json::to_string_pretty(&both.dump()).unwrap());
    let bed = Bed::new();
    let args = world(&bed);
    for (side, account) in [(Side::Dev, &bed.prod.id), (Side::Prod, &bed.dev.id), (Side::Dev, &bed.prod.id)] {
        let side = side.to_string();
        let (profile, other) = match side.as_str() {
            "dev" => ("--dev-profile", "--prod-account"),
            _ => ("--prod-profile", "--dev-account"),
        };
        let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
        words.extend(["--side", &side, profile, &side, other, account]);
        bed.proxy.clear();
        let output = bed.xdeploy(&words);
        assert_eq!(output.status, 0, "{}", output.report());
        let own = if side == "dev" { &bed.dev.id } else { &bed.prod.id };
        for request in bed.proxy.requests() {
            assert_eq!(&request.account, own, "{request:?}");
        }
    }
    let found = bed.normalise(&serde_json::to_string_pretty(&bed.dump()).unwrap());
    assert!(found == expected, "another end:\n{found}\ninstead of\n{expected}");
}

fn two_users_on_the_emulators() {
    on_emulators(crate::worlds::empty);
}

fn two_users_adopt_what_the_console_made_on_the_emulators() {
    on_emulators(crate::worlds::console);
}

fn production_is_asked_by_name() {
    let office = Office::new(&[], "us-east-1");
    office.turn(Side::Dev).success();
    let mut command = office.command(Side::Prod, "setup", &[]);
    command.env("TERM", "xterm-256color");
    let talk = crate::support::pty::talk(
        &command,
        &[("Let pipeline crossaccountdeploy of account 111111111111 deploy to site-output", "y\r")],
        120,
    );
    talk.ended(1, 0);
    let text = talk.text();
    assert!(text.contains("Send handoff.json to whoever runs development (111111111111)"), "{text}");
    office.send(Side::Prod);
    let said = office.turn(Side::Dev).success();
    assert!(said.contains("Both sides are done"), "{said}");
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![TERMINAL; production_is_asked_by_name];
    all.extend(trials![EMULATORS;
        two_users_on_the_emulators,
        two_users_adopt_what_the_console_made_on_the_emulators,
    ]);
    all
}
