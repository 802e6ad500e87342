//! The exported Terraform configuration, applied by the real Terraform with the real provider on two accounts in memory.
//!
//! Terraform is in no package registry. It is used where it is installed, with a provider that a folder holds: nothing is fetched.

use crate::needs::{self, AWS_CLI, Need};
use crate::support::served::{self, BUCKETS, Served};
use crate::support::tools;
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Folders that providers are usually put in, besides those of the user.
const PLACES: [&str; 4] = ["/opt", "/usr/share", "/usr/local/share", "/usr/local/lib"];

/// The provider that was tried.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";

/// Gives the folder of a filesystem mirror that holds the provider.
fn mirror() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".terraform.d"));
    home.into_iter().chain(PLACES.map(PathBuf::from)).find_map(|place| holds_provider(&place, 3))
}

fn holds_provider(folder: &Path, deeper: usize) -> Option<PathBuf> {
    if folder.join(PROVIDER).is_dir() {
        return Some(folder.to_owned());
    }
    let below = fs::read_dir(folder).ok().filter(|_| deeper > 0)?;
    below.flatten().filter(|entry| entry.path().is_dir()).find_map(|entry| holds_provider(&entry.path(), deeper - 1))
}

fn missing() -> Option<String> {
    needs::program("terraform", "of HashiCorp").or_else(|| mirror().is_none().then(|| format!("a folder with the provider {PROVIDER}")))
}

const TERRAFORM: &[Need] = &[missing];

/// A folder with a configuration, and the accounts that it is for.
struct Workspace<'s> {
    served: &'s Served,
    folder: PathBuf,
}

impl Workspace<'_> {
    /// Runs a command that must succeed.
    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.attempt(program, args);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program} {args:?}\n{said}");
        said
    }

    fn attempt(&self, program: &str, args: &[&str]) -> Output {
        let dir = self.served.dir.path();
        let path = std::env::var("PATH").unwrap();
        Command::new(program)
            .args(args)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", format!("{}:{path}", tools().display()))
            .env("HOME", dir)
            .env("AWS_CONFIG_FILE", dir.join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", dir.join("credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.served.port))
            .env("TF_CLI_CONFIG_FILE", self.folder.join("terraform.rc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"))
    }
}

fn the_provider_makes_what_setup_makes_and_then_finds_nothing_to_change() {
    let served = served::served();
    served.run(&[&["export", "--format", "terraform", "--out", "infra"], &BUCKETS[..]].concat());
    let folder = served.dir.path().join("infra");
    let mirror = mirror().unwrap();
    let installation = format!(
        "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n  direct {{\n    exclude = [\"*/*\"]\n  }}\n}}\n",
        mirror.display()
    );
    fs::write(folder.join("terraform.rc"), installation).unwrap();
    // What a loopback needs and AWS doesn't.
    let local = ["dev", "prod"].map(|alias| {
        format!("provider \"aws\" {{\n  alias = \"{alias}\"\n  s3_use_path_style = true\n  skip_metadata_api_check = true\n}}\n")
    });
    fs::write(folder.join("local_override.tf"), local.concat()).unwrap();
    let text = fs::read_to_string(folder.join("main.tf")).unwrap();
    let workspace = Workspace { served: &served, folder };

    workspace.run("terraform", &["init", "-input=false", "-no-color"]);
    let said = workspace.run("terraform", &["apply", "-auto-approve", "-input=false", "-no-color"]);
    let resources = text.lines().filter(|line| line.starts_with("resource ")).count();
    assert!(said.contains(&format!("Apply complete! Resources: {resources} added, 0 changed, 0 destroyed.")), "{said}");
    assert!(resources >= 20, "{resources}");
    let again = |when: &str| {
        let output = workspace.attempt("terraform", &["plan", "-detailed-exitcode", "-input=false", "-no-color"]);
        assert_eq!(output.status.code(), Some(0), "{when}: {}", String::from_utf8_lossy(&output.stdout));
    };
    again("after the first apply");

    // The steps by hand, as the file tells them.
    let steps: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    assert!(steps.iter().any(|step| step.starts_with("aws s3api ")), "{steps:#?}");
    workspace.run("bash", &["-euc", &steps.join("\n")]);

    let said = served.run(&["setup", "--yes"]);
    assert!(said.contains("No changes."), "{said}");
    let said = served.run(&["verify"]);
    assert!(said.contains(" calls allowed.\n"), "{said}");
    again("after setup");
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let name = "terraform::the_provider_makes_what_setup_makes_and_then_finds_nothing_to_change";
    let test = the_provider_makes_what_setup_makes_and_then_finds_nothing_to_change;
    vec![needs::trial_where_there_is(name, TERRAFORM, AWS_CLI, test)]
}
