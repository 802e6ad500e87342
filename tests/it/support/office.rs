//! Two users who can't see each other's account.

use super::scene::normal;
use super::served::Served;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use xdeploy::model::Side;
use xdeploy::rehearsal::{DEV, PROD};

/// Two accounts, and a home for each of two users with the profile of one account alone; a file goes between the homes.
pub struct Office {
    pub served: Served,
    /// What both say besides who they are.
    pub about: Vec<String>,
}

/// Who did something, how it ended, and what was said.
pub struct Done {
    pub code: Option<i32>,
    pub said: String,
}

impl Done {
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.said);
        self.said
    }

    #[track_caller]
    pub fn refused(self, why: &str) -> String {
        assert_eq!(self.code, Some(3), "{}", self.said);
        assert!(self.said.contains(why), "{why}\n{}", self.said);
        self.said
    }
}

impl Office {
    pub fn new(about: &[&str], output_region: &str) -> Office {
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

    pub fn home(&self, side: Side) -> PathBuf {
        self.served.dir.path().join(format!("home-of-{side}"))
    }

    pub fn file(&self, side: Side) -> PathBuf {
        self.home(side).join("handoff.json")
    }

    /// Sends the file to the other side, if there is one.
    pub fn send(&self, from: Side) {
        if self.file(from).exists() {
            std::fs::copy(self.file(from), self.file(from.other())).unwrap();
        }
    }

    pub fn command(&self, side: Side, command: &str, args: &[&str]) -> Command {
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

    /// The same user with exactly these words.
    pub fn bare(&self, side: Side, words: &[&str], like: Command) -> Command {
        let home = self.home(side);
        let mut command = self.served.command(words);
        command.current_dir(&home).envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    pub fn run(&self, side: Side, command: &str, args: &[&str]) -> Done {
        let output = self.command(side, command, args).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Done { code: output.status.code(), said }
    }

    /// One side's whole turn: set up without a question, and send the file.
    pub fn turn(&self, side: Side) -> Done {
        let done = self.set_up(side, &[]);
        self.send(side);
        done
    }

    pub fn set_up(&self, side: Side, more: &[&str]) -> Done {
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

    pub fn state(&self) -> Value {
        normal(&self.served.rehearsal.dump())
    }

    /// Nobody asked anything of the account that isn't theirs.
    #[track_caller]
    pub fn nobody_looked_across(&self) {
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
