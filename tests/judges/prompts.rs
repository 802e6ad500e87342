//! The keys at a question, on a real terminal: they edit as in a shell, Tab completes paths, and a list is narrowed by what is typed alone.

use crate::needs::TERMINAL;
use crate::support::compare::same;
use crate::support::pty::{CTRL_C, ENTER, TERM, talk};
use crate::wizard::{command, error_of, printed, served};
use libtest_mimic::Trial;
use snapbox::str;
use std::process::Command;

/// What comes before the questions that these tests are about.
const SET: [&str; 5] = ["setup", "--dev-profile", "dev", "--prod-profile", "prod"];

/// A set-up that isn't carried out, with the rest of its questions.
const REST: [(&str, &str); 1] = [("Everything else has a default", ENTER)];
/// The question between the source and the zip.
const OUTPUT: (&str, &str) = ("Output bucket", ENTER);

fn dry<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SET.iter().chain(&["--dry-run"]).chain(more).copied().collect()
}

/// What each key makes of a typed text. `!` isn't allowed in a name, so that what became of it is told, and asked for again.
const EDITED: [(&str, &str, &str); 24] = [
    ("Ctrl-U", "my site\u{15}!", "!"),
    ("Ctrl-U in the middle", "ab!\u{2}\u{2}\u{15}", "b!"),
    ("Ctrl-W", "my site\u{17}!", "my !"),
    ("Ctrl-A", "b!\u{1}a", "ab!"),
    ("Ctrl-E", "b!\u{1}a\u{5}c", "ab!c"),
    ("Ctrl-K", "!ab\u{1}\u{6}\u{b}", "!"),
    ("Ctrl-B", "ab!\u{2}c", "abc!"),
    ("Ctrl-F", "ab!\u{1}\u{6}c", "acb!"),
    ("Ctrl-D", "ab!\u{1}\u{4}", "b!"),
    ("Ctrl-Y", "a! b\u{17}\u{1}\u{19}", "ba! "),
    ("Ctrl-U and Ctrl-Y", "a!\u{15}\u{19}\u{19}", "a!a!"),
    ("Ctrl-H", "ab!c\u{8}", "ab!"),
    ("Backspace", "ab!c\u{7f}", "ab!"),
    ("Alt-B", "a! site\u{1b}bb", "a! bsite"),
    ("Alt-F", "a! site\u{1}\u{1b}f\u{1b}fc", "a! sitec"),
    ("Alt-D", "a! site\u{1b}b\u{1b}d", "a! "),
    ("Alt-Backspace", "a! site\u{1b}\u{7f}", "a! "),
    ("Ctrl-Left", "a! site\u{1b}[1;5Db", "a! bsite"),
    ("Ctrl-Right", "a! site\u{1}\u{1b}[1;5C\u{1b}[1;5Cc", "a! sitec"),
    ("Home and End", "b!\u{1b}[Ha\u{1b}[Fc", "ab!c"),
    ("Left and Delete", "ab!\u{1b}[D\u{1b}[D\u{1b}[3~", "a!"),
    ("a paste", "\u{1b}[200~a!b\r\n\u{1b}[201~", "a!b"),
    ("keys without a meaning", "a\u{f}\u{11}\u{12}\u{13}\u{14}\u{16}\u{18}\u{1a}\u{1b}x\u{1b}[5~\t\u{1b}[A!", "a!"),
    ("letters of other alphabets", "tür!\u{1}\u{6}\u{6}\u{4}", "tü!"),
];

fn every_editing_key_edits() {
    let served = served();
    let typed: Vec<(String, String)> =
        EDITED.iter().map(|(_, keys, text)| (format!("{keys}\r"), format!("`{}` is not a pipeline name", text.trim()))).collect();
    let mut script: Vec<(&str, &str)> = Vec::new();
    for (keys, told) in &typed {
        script.extend([("Name of the pipeline", keys.as_str()), (told.as_str(), "")]);
    }
    // What was typed wrongly is gone, and what is taken is what stands there.
    script.extend([
        ("Name of the pipeline", "my\u{15}site\r"),
        ("Key of the source zip", "\u{17}a b.zip\u{1b}b\u{15}\r"),
        OUTPUT,
        ("Zip to upload now", ENTER),
    ]);
    script.extend(REST);
    let talk = talk(&command(&served, &dry(&["--input-bucket", "site-input"])), &script, 160);
    let told = talk.told;
    assert!(told >= script.len(), "{told}: {:?}\n{}", EDITED.get(told / 2), talk.ended(script.len(), 0).text());
    let words = printed(&talk).join(" ");
    assert!(words.contains("--pipeline site ") && words.contains("--object-key b.zip"), "{words}");
}

/// A name that nobody meant was the worst: `my-site`, Ctrl-U, and `site` made a pipeline `my-siteusite`.
fn no_letter_of_a_control_key_gets_into_a_name() {
    let served = served();
    let all: String =
        "\u{1}\u{2}\u{5}\u{6}\u{8}\u{b}\u{c}\u{e}\u{f}\u{10}\u{11}\u{12}\u{13}\u{14}\u{15}\u{16}\u{17}\u{18}\u{19}\u{1a}".to_owned();
    let name = format!("{all}web\r");
    let key = format!("{all}a.zip\r");
    let script: Vec<(&str, &str)> =
        [("Name of the pipeline", name.as_str()), ("Key of the source zip", &key), OUTPUT, ("Zip to upload now", ENTER)]
            .into_iter()
            .chain(REST)
            .collect();
    let talk = talk(&command(&served, &dry(&["--input-bucket", "site-input"])), &script, 160);
    let words = printed(&talk).join(" ");
    assert!(words.contains("--pipeline web ") && words.contains("--object-key a.zip"), "{words}");
}

fn a_list_is_narrowed_by_what_is_typed_alone() {
    let served = served();
    let script = [
        ("Name of the pipeline", ENTER),
        // Control keys type nothing; what fits nothing is told, and nothing is taken.
        ("Input bucket", "\u{1}\u{5}\u{b}\u{17}\u{14}site-nowhere"),
        ("no match", ENTER),
        ("no match", "\u{15}"),
        ("a-plain-bucket", "plai\u{17}site-in\r"),
        ("Key of the source zip", ENTER),
        OUTPUT,
        ("Zip to upload now", ENTER),
        ("Everything else has a default", "nothing\u{15}key admin\r"),
        // A mark is set, what fits is narrowed, and the mark stays.
        ("Who administers the key", " \u{15}nobody"),
        ("no match", "\u{15}\r"),
        ("Everything else has a default", ENTER),
    ];
    let talk = talk(&command(&served, &dry(&[])), &script, 120);
    talk.ended(script.len(), 0);
    let words = printed(&talk).join(" ");
    assert!(
        words.contains("--input-bucket site-input") && words.contains("--key-administrator arn:aws:iam::111111111111:user/caller"),
        "{words}"
    );
}

fn a_zip_is_found_by_tab_in_quotes_and_at_home() {
    let served = served();
    let home = served.dir.path();
    let sample = xdeploy::deploy::release::sample().unwrap();
    std::fs::create_dir(home.join("site files")).unwrap();
    for name in ["My Site.zip", "site files/a.zip", "site files/b.zip"] {
        std::fs::write(home.join(name), &sample).unwrap();
    }
    let quoted = format!("'{}/My Site.zip' \r", home.display());
    let pasted = format!("\u{1b}[200~'{}/My Site.zip' \u{1b}[201~\r", home.display());
    let escaped = format!("{}/My\\ Site.zip\r", home.display());
    let whole = format!("--artifact '{}/My Site.zip'", home.display());
    let nested = format!("--artifact '{}/site files/b.zip'", home.display());
    for (typed, told) in [
        ("My\t\r", "--artifact 'My Site.zip'"),
        ("~/My\t\r", whole.as_str()),
        ("~/My Site.zip\r", &whole),
        ("\"~/My\t\r", &whole),
        (&quoted, &whole),
        (&pasted, &whole),
        (&escaped, &whole),
        // Behind a folder it goes on.
        ("~/si\tb\t\r", &nested),
    ] {
        let script: Vec<(&str, &str)> =
            [("Name of the pipeline", ENTER), ("Key of the source zip", ENTER), OUTPUT, ("Zip to upload now", typed)]
                .into_iter()
                .chain(REST)
                .collect();
        let talk = talk(&command(&served, &dry(&["--input-bucket", "site-input"])), &script, 200);
        talk.ended(script.len(), 0);
        let words = printed(&talk).join(" ");
        assert!(words.contains(told), "{typed:?}: {words}");
    }
    let script = [
        ("Name of the pipeline", ENTER),
        ("Key of the source zip", ENTER),
        OUTPUT,
        ("Zip to upload now", "site files/\t"),
        ("a.zip  b.zip", "zz\t"),
        ("no match", CTRL_C),
    ];
    let talk = talk(&command(&served, &dry(&["--input-bucket", "site-input"])), &script, 120);
    assert_eq!(talk.code, 130, "{}", talk.text());
}

/// F20: what is wrong with a file came without its cause and its hint.
fn a_zip_that_is_missing_is_told_with_cause_and_hint() {
    let served = served();
    std::fs::write(served.dir.path().join("no.zip"), "text").unwrap();
    for (typed, wanted) in [
        (
            "none.zip\r",
            str![[r#"
warning: could not read none.zip
  caused by: No such file or directory (os error 2)

hint: check the path

"#]],
        ),
        (
            "no.zip\r",
            str![[r#"
warning: no.zip is not a zip file
  caused by: invalid Zip archive: Could not find EOCD

hint: zip the site's files, for example `zip -r site.zip .` within its folder; `--no-extract` deploys any file as it is

"#]],
        ),
    ] {
        let script = [
            ("Name of the pipeline", ENTER),
            ("Key of the source zip", ENTER),
            OUTPUT,
            ("Zip to upload now", typed),
            ("hint: ", ""),
            ("Zip to upload now", CTRL_C),
        ];
        let talk = talk(&command(&served, &dry(&["--input-bucket", "site-input"])), &script, 120);
        same(&error_of(talk.ended(script.len(), 130)), wanted);
    }
}

/// A yes or no that is neither is told, and asked for again; Ctrl-D on an empty line ends it, as the end of a file does.
fn a_confirmation_takes_yes_and_no_alone() {
    let served = served();
    let args = [&SET[..], &["--input-bucket", "site-input", "--output-bucket", "site-output"]].concat();
    let script = [("Apply this plan", "maybe\r"), ("Invalid answer", "\u{15}n\r")];
    let _ = talk(&command(&served, &args), &script, 100).ended(2, 3);
    let _ = talk(&command(&served, &args), &[("Apply this plan", "\u{4}")], 100).ended(1, 3);
    let _ = talk(&command(&served, &args), &[("Apply this plan", "yo\u{8}\r")], 100).ended(1, 0);
}

fn simulate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    command.args(args).env_clear().env("TERM", "xterm-256color");
    command
}

/// A blocked read of the terminal outlived the signal.
fn ctrl_c_ends_what_waits_for_input_at_once() {
    let request = "{\"action\": \"s3:GetObject\"}\r";
    for (args, waits) in [
        (&["simulate"][..], "one JSON object a line"),
        (&["simulate", "-"], "one JSON object a line"),
        (&["explain", "-"], "paste the message"),
    ] {
        for signal in [CTRL_C, TERM] {
            let talked = talk(&simulate(args), &[(waits, signal)], 80);
            talked.ended(1, 130);
            assert!(talked.text().contains("error: interrupted"), "{}", talked.text());
        }
    }
    // Also after an answer, which comes before more is read; and the end of the input ends it as ever.
    let _ = talk(&simulate(&["simulate"]), &[("one JSON object a line", request), ("\"error\"", CTRL_C)], 80).ended(2, 130);
    let _ = talk(&simulate(&["simulate"]), &[("one JSON object a line", request), ("\"error\"", "\u{4}")], 80).ended(2, 1);
    // Nobody is told to type where it comes from elsewhere.
    let output = simulate(&["simulate"]).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

pub fn trials() -> Vec<Trial> {
    trials![TERMINAL;
        every_editing_key_edits,
        no_letter_of_a_control_key_gets_into_a_name,
        a_list_is_narrowed_by_what_is_typed_alone,
        a_zip_is_found_by_tab_in_quotes_and_at_home,
        a_zip_that_is_missing_is_told_with_cause_and_hint,
        a_confirmation_takes_yes_and_no_alone,
        ctrl_c_ends_what_waits_for_input_at_once,
    ]
}
