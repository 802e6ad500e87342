//! One person, one account: two users who can't see each other's account come to what one with two profiles makes.

use crate::support::scene::normal;
use crate::support::served::Served;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use xdeploy::model::Side;
use xdeploy::rehearsal::{DEV, PROD};

/// Two accounts, and a home for each of two users with the profile of one account alone; a file goes between the homes.
struct Office {
    served: Served,
    /// What both say besides who they are.
    about: Vec<String>,
}

/// Who did something, how it ended, and what was said.
struct Done {
    code: Option<i32>,
    said: String,
}

impl Done {
    #[track_caller]
    fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.said);
        self.said
    }

    #[track_caller]
    fn refused(self, why: &str) -> String {
        assert_eq!(self.code, Some(3), "{}", self.said);
        assert!(self.said.contains(why), "{why}\n{}", self.said);
        self.said
    }
}

impl Office {
    fn new(about: &[&str], output_region: &str) -> Office {
        let served = Served::new();
        served.bucket(DEV, "us-east-1", "site-input", true);
        served.bucket(PROD, output_region, "site-output", false);
        let office = Office { served, about: about.iter().map(|word| (*word).to_owned()).collect() };
        for side in [Side::Dev, Side::Prod] {
            let home = office.home(side);
            std::fs::create_dir(&home).unwrap();
            for file in ["config", "credentials"] {
                let both = std::fs::read_to_string(office.served.dir.path().join(file)).unwrap();
                let other = format!("{}]", side.other());
                let sections = both.split_inclusive('\n').collect::<String>();
                let own: String = sections
                    .split('[')
                    .skip(1)
                    .filter(|one| !one.starts_with(&other) && !one.starts_with(&format!("profile {other}")))
                    .map(|one| format!("[{one}"))
                    .collect();
                std::fs::write(home.join(file), own).unwrap();
            }
        }
        office
    }

    fn home(&self, side: Side) -> PathBuf {
        self.served.dir.path().join(format!("home-of-{side}"))
    }

    fn file(&self, side: Side) -> PathBuf {
        self.home(side).join("handoff.json")
    }

    /// Sends the file to the other side, if there is one.
    fn send(&self, from: Side) {
        if self.file(from).exists() {
            std::fs::copy(self.file(from), self.file(from.other())).unwrap();
        }
    }

    fn command(&self, side: Side, command: &str, args: &[&str]) -> Command {
        let home = self.home(side);
        let mut words = vec![command.to_owned(), "--side".to_owned(), side.to_string(), format!("--{side}-profile"), side.to_string()];
        words.extend(self.about.iter().cloned());
        words.extend(args.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.served.command(&words);
        command.current_dir(&home).env("HOME", &home);
        command.env("AWS_CONFIG_FILE", home.join("config")).env("AWS_SHARED_CREDENTIALS_FILE", home.join("credentials"));
        command
    }

    fn run(&self, side: Side, command: &str, args: &[&str]) -> Done {
        let output = self.command(side, command, args).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Done { code: output.status.code(), said }
    }

    /// One side's whole turn: set up without a question, and send the file.
    fn turn(&self, side: Side) -> Done {
        let done = self.set_up(side, &[]);
        self.send(side);
        done
    }

    fn set_up(&self, side: Side, more: &[&str]) -> Done {
        let other = match side {
            Side::Dev => ["--prod-account", PROD],
            Side::Prod => ["--dev-account", DEV],
        };
        let mut args = vec!["--yes", "--output-bucket", "site-output"];
        args.extend(other);
        if side == Side::Dev {
            args.extend(["--input-bucket", "site-input"]);
        }
        args.extend(more);
        self.run(side, "setup", &args)
    }

    fn state(&self) -> Value {
        normal(&self.served.rehearsal.dump())
    }

    /// Nobody asked anything of the account that isn't theirs.
    #[track_caller]
    fn nobody_looked_across(&self) {
        for asked in self.served.rehearsal.log() {
            let resource = asked.resource.split(':').nth(4).unwrap_or_default();
            let (own, other) = if asked.caller.contains(DEV) { (DEV, PROD) } else { (PROD, DEV) };
            assert!(
                !asked.caller.contains(":user/") || resource != other,
                "{} of {own} asked {} of {}",
                asked.caller,
                asked.action,
                asked.resource
            );
        }
    }
}

/// What one user with both profiles makes.
fn both_profiles(about: &[&str], output_region: &str) -> Value {
    let office = Office::new(about, output_region);
    let mut args = vec!["setup", "--yes", "--input-bucket", "site-input", "--output-bucket", "site-output"];
    args.extend(about.iter().filter(|word| !word.is_empty()));
    office.served.run(&args);
    office.state()
}

#[track_caller]
fn same_state(found: &Value, expected: &Value, what: &str) {
    if found != expected {
        let (found, expected) = (serde_json::to_string_pretty(found).unwrap(), serde_json::to_string_pretty(expected).unwrap());
        let only = |one: &str, other: &str| one.lines().filter(|line| !other.contains(line)).collect::<Vec<_>>().join("\n");
        panic!("{what}\nmissing:\n{}\ntoo much:\n{}", only(&expected, &found), only(&found, &expected));
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn dev_then_prod_then_dev() {
    let expected = both_profiles(&[], "us-east-1");
    let office = Office::new(&[], "us-east-1");
    let said = office.turn(Side::Dev).success();
    println!("{said}");
    let said = office.turn(Side::Prod).success();
    println!("{said}");
    let said = office.turn(Side::Dev).success();
    println!("{said}");
    same_state(&office.state(), &expected, "dev, prod, dev");
    office.nobody_looked_across();
    assert_eq!(read(&office.file(Side::Dev))["open"]["writes"], serde_json::json!([]));
}
