//! `xdeploy permissions`.

use crate::deploy::permissions::{self, CHARACTERS, Command, OPTIONAL, Permission, Scenario};
use crate::error::Result;
use crate::model::{Side, json_text};
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Prints an IAM policy for the user or role behind one profile, and asks AWS nothing. The more is said, the narrower it is: what is \
left out becomes `*`.\n\nStatements whose Sid begins with `XdeployOptionalReads` are reads that a command goes on without, saying what it then can't tell; \
`--required-only` leaves them out.\n\n`--scenario change` is for a role that keeps a set-up: it makes all of nothing, changes the policies, the change \
detection and the deploy path of what setup made, mends it, and need not be the key's administrator. Other names are other resources, so print it again for them.\n\nA key's id isn't known before setup makes it, so actions on keys name all of the region, but deletion, another key policy and \
replication only those with xdeploy's tag; and only keys without an alias can be given it. Two permissions depend on who runs it and what is there: a role (not a user, nor one of IAM Identity Center, nor any with CI=true) that runs a first setup needs iam:GetRole on itself, or \
pass `--key-administrator ARN` to setup; and uploading to a bucket that a customer managed key encrypts needs kms:GenerateDataKey on that key.\n\n\
Examples:\n  xdeploy permissions --command setup --side dev --dev-account 111111111111 --region us-east-1 \\\n    --input-bucket codepipeline-input-bucket \
--output-bucket codepipeline-output-bucket > setup-dev.json\n  xdeploy permissions --command verify --side prod --required-only"
)]
pub struct Args {
    /// Command that is to be run
    #[arg(long, value_name = "COMMAND", env = "XDEPLOY_COMMAND")]
    pub command: Command,
    /// Account whose user or role it is for
    #[arg(long, value_name = "SIDE", env = "XDEPLOY_SIDE")]
    pub side: Side,
    /// What the command will find
    #[arg(long, value_name = "SCENARIO", env = "XDEPLOY_SCENARIO", default_value = "fresh")]
    pub scenario: Scenario,
    /// Leave out the reads that the command goes on without
    #[arg(long, env = "XDEPLOY_REQUIRED_ONLY", value_parser = FalseyValueParser::new())]
    pub required_only: bool,
    /// Setup uploads an artifact as well
    #[arg(long, env = "XDEPLOY_WITH_ARTIFACT", value_parser = FalseyValueParser::new())]
    pub with_artifact: bool,
    #[command(flatten)]
    pub deployment: DeploymentFlags,
}

pub fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    // Nobody is asked who they are, so profiles need no names.
    let nobody = |profile: &Option<String>| profile.clone().or_else(|| Some(String::new()));
    let common = CommonFlags { dev_profile: nobody(&common.dev_profile), prod_profile: nobody(&common.prod_profile), ..common.clone() };
    let settings = Settings::resolve(&common, &args.deployment)?;
    let mut found: Vec<Permission> = permissions::permissions(&settings, args.command, args.scenario, args.with_artifact)?;
    found.retain(|permission| permission.side == args.side);
    let policy = permissions::policy(&found, args.required_only);
    let size = permissions::characters(&policy);
    let parts = permissions::policies(&policy);
    ui.document(&json_text(&policy));
    if parts.len() > 1 {
        ui.warning(&format!(
            "it has {size} characters, and IAM takes {CHARACTERS} in a managed policy: attach it as {}, `--output json` has them as `policies`",
            parts.len()
        ));
    }
    ui.json(&json!({
        "schema": "xdeploy.permissions/1",
        "command": args.command,
        "side": args.side,
        "scenario": args.scenario,
        "characters": size,
        "optional": optional(&policy),
        "policy": policy,
        "policies": parts,
    }));
    Ok(0)
}

/// The Sids of the statements that may be left out.
fn optional(policy: &Value) -> Vec<&str> {
    let statements = policy.get("Statement").and_then(Value::as_array).into_iter().flatten();
    statements.filter_map(|statement| statement.get("Sid")?.as_str()).filter(|sid| sid.starts_with(OPTIONAL)).collect()
}
