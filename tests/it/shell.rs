//! What a shell asks for: completions, manual pages, and an answer at once.

use clap::CommandFactory;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xdeploy");

/// A home with two profiles and a settings file.
fn home() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config"), "[profile deva]\nregion = us-east-1\n[profile devb]\n[profile prod]\n").unwrap();
    fs::write(dir.path().join("credentials"), "[legacy]\naws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
    fs::write(dir.path().join("xdeploy.toml"), "[pipeline]\nname = \"web\"\n").unwrap();
    dir
}

fn in_home(dir: &Path, program: &str, args: &[&str]) -> Output {
    let folder = Path::new(PROGRAM).parent().unwrap().display().to_string();
    Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"))
        .env("TERM", "dumb")
        .env("AWS_CONFIG_FILE", dir.join("config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", dir.join("credentials"))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// What bash offers after these words, by its own rules.
fn offered(dir: &Path, words: &str) -> Vec<String> {
    let script = format!(
        "source <(xdeploy completions bash)\n\
         COMP_LINE={words:?}; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; COMP_KEY=9\n\
         read -ra COMP_WORDS <<< \"$COMP_LINE\"\n\
         [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')\n\
         COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))\n\
         complete -p xdeploy > /dev/null || exit 9\n\
         _clap_complete_xdeploy xdeploy \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = in_home(dir, "bash", &["--norc", "-c", &script]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_profiles_and_pipelines() {
    let dir = home();
    let dir = dir.path();
    assert_eq!(offered(dir, "xdeploy ver"), ["verify"]);
    assert_eq!(offered(dir, "xdeploy setup --dev-pro"), ["--dev-profile"]);
    assert_eq!(offered(dir, "xdeploy setup --dev-profile dev"), ["deva", "devb"]);
    assert_eq!(offered(dir, "xdeploy --prod-profile "), ["deva", "devb", "legacy", "prod"]);
    assert_eq!(offered(dir, "xdeploy ecs-check --profile l"), ["legacy"]);
    assert_eq!(offered(dir, "xdeploy verify --pipeline "), ["web"]);
    assert_eq!(offered(dir, "xdeploy rehearse --break deploy-d"), ["deploy-decrypt", "deploy-describe-key"]);
    assert_eq!(offered(dir, "xdeploy schema ecs"), ["ecs-check", "ecs-denial"]);
    assert_eq!(offered(dir, "xdeploy plan --policies "), ["article", "least-privilege"]);
}

/// zsh and fish are asked themselves where they are installed; their scripts are looked at anyway.
#[test]
fn the_other_shells_have_scripts_too() {
    let dir = home();
    for (shell, marks, check) in [
        ("zsh", ["#compdef xdeploy", "COMPLETE_XDEPLOY"], Some(["-n", "script"])),
        ("fish", ["complete ", "COMPLETE_XDEPLOY"], Some(["--no-execute", "script"])),
        ("powershell", ["Register-ArgumentCompleter", "COMPLETE_XDEPLOY"], None),
    ] {
        let output = in_home(dir.path(), PROGRAM, &["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && marks.iter().all(|mark| script.contains(mark)), "{shell}: {script}");
        match check.filter(|_| is_there(shell)) {
            Some(check) => {
                fs::write(dir.path().join("script"), script).unwrap();
                assert!(in_home(dir.path(), shell, &check).status.success(), "{shell} can't read its script");
            }
            None => println!("skipped: {shell} is not installed, so that only the text of its script is checked"),
        }
    }
    if is_there("fish") {
        let script = "xdeploy completions fish | source; complete -C 'xdeploy setup --dev-profile dev'";
        let output = in_home(dir.path(), "fish", &["-c", script]);
        assert_eq!(String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>(), ["deva", "devb"]);
    }
}

#[test]
fn files_that_can_not_be_read_complete_to_nothing() {
    let dir = home();
    fs::write(dir.path().join("config"), "[[[").unwrap();
    fs::write(dir.path().join("xdeploy.toml"), "= = =").unwrap();
    assert_eq!(offered(dir.path(), "xdeploy setup --dev-profile dev"), [""]);
    assert_eq!(offered(dir.path(), "xdeploy verify --pipeline "), [""]);
}

#[test]
fn every_command_has_a_manual_page_that_a_reader_takes() {
    let dir = tempfile::tempdir().unwrap();
    let output = in_home(dir.path(), PROGRAM, &["man", "pages"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let commands = xdeploy::cli::Cli::command();
    let wanted: BTreeSet<String> =
        commands.get_subcommands().map(|sub| format!("xdeploy-{}.1", sub.get_name())).chain(["xdeploy.1".to_owned()]).collect();
    let files = fs::read_dir(dir.path().join("pages")).unwrap();
    let found: BTreeSet<String> = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, wanted);
    for name in &wanted {
        let text = fs::read_to_string(dir.path().join("pages").join(name)).unwrap();
        let title = name.trim_end_matches(".1");
        assert!(text.contains(&format!(".TH {title} 1")), "{name}: {}", &text[..200.min(text.len())]);
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{name}");
    }
    let setup = fs::read_to_string(dir.path().join("pages/xdeploy-setup.1")).unwrap();
    assert!(setup.contains("XDEPLOY_INPUT_BUCKET"), "a page names the variables");
    if is_there("groff") {
        for name in &wanted {
            let page = dir.path().join("pages").join(name).display().to_string();
            let output = in_home(dir.path(), "groff", &["-man", "-Tutf8", "-ww", "-z", &page]);
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
        }
    } else {
        println!("skipped: groff is not installed, so that only the structure of the pages is checked");
    }
    let first = in_home(dir.path(), PROGRAM, &["man"]);
    let page = fs::read_to_string(dir.path().join("pages/xdeploy.1")).unwrap();
    assert_eq!(String::from_utf8_lossy(&first.stdout).trim_end(), page.trim_end());
}

#[test]
fn a_misspelt_command_is_guessed() {
    let dir = home();
    let output = in_home(dir.path(), PROGRAM, &["verfy"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr.contains("a similar subcommand exists: 'verify'"), "{stderr}");
    let output = in_home(dir.path(), PROGRAM, &["who-am-i", "--dev-profile", "devaa", "--prod-profile", "prod"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("hint: did you mean `--dev-profile deva`?"), "{stderr}");
}

/// The targets are 5 ms for `--version` and 10 ms for `--help`, of an optimised program; this one isn't, so that it only shows that
/// neither reads a file, starts a runtime or asks anybody.
#[test]
fn it_starts_at_once() {
    let dir = home();
    for flag in ["--version", "--help"] {
        let once = || {
            let started = Instant::now();
            assert!(in_home(dir.path(), PROGRAM, &[flag]).status.success());
            started.elapsed()
        };
        let least = (0..20).map(|_| once()).min().unwrap();
        println!("xdeploy {flag}: {:.1} ms at the least, not optimised", least.as_secs_f64() * 1000.0);
        assert!(least < Duration::from_millis(50), "{flag}: {least:?}");
    }
}
