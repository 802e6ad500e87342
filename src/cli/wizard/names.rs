//! Everything that has a default, in the article's order: shown with it, and changed where that is wanted.

use super::{Place, Wizard};
use crate::aws::choices;
use crate::cli::ask;
use crate::deploy::blueprint::Names;
use crate::deploy::snapshot::Identity;
use crate::error::Result;
use crate::model::{ChangeDetection, Policies, RoleName};
use crate::settings::{DeploymentFlags, Settings};
use crate::ui::Choice;
use clap::ValueEnum;
use serde_json::Value;

/// Something with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Done,
    KeyAlias,
    Administrators,
    ServiceRole,
    ArtifactBucket,
    Detection,
    Extract,
    DeployPath,
    OutputPolicy,
    ArtifactPolicy,
    DeployRole,
    AssumePolicy,
    EventRule,
    EventRole,
    Policies,
}

/// The items by article step; those that an existing pipeline has decided aren't offered for it.
const ITEMS: [(Item, &str, &str, bool); 14] = [
    (Item::KeyAlias, "A1.1", "alias of the KMS key", true),
    (Item::Administrators, "A1.2", "key administrators", true),
    (Item::ServiceRole, "A2.1", "service role", false),
    (Item::ArtifactBucket, "A2.2", "artifact bucket", false),
    (Item::Detection, "A2.3", "what starts the pipeline", true),
    (Item::Extract, "A2.5", "extract the zip", false),
    (Item::DeployPath, "A2.5", "folder to deploy into", false),
    (Item::OutputPolicy, "A4.1", "policy for the output bucket", true),
    (Item::ArtifactPolicy, "A4.2", "policy for key and artifacts", true),
    (Item::DeployRole, "A4.3", "cross-account role", true),
    (Item::AssumePolicy, "A6", "policy to assume that role", true),
    (Item::EventRule, "A2.3", "EventBridge rule", true),
    (Item::EventRole, "A2.3", "EventBridge's role", true),
    (Item::Policies, "all", "how much the policies grant", true),
];

impl Wizard<'_> {
    /// Offers to change what has a default until nothing is to be changed.
    pub(super) async fn options(&mut self, place: &Place, declaration: Option<&Value>) -> Result<()> {
        let exists = declaration.is_some();
        let question = "Everything else has a default. Change something?";
        let mut at = 0;
        loop {
            let names = self.names(place, declaration)?;
            let mut all = vec![Choice::new("no: show the plan", Item::Done)];
            for (item, step, what, always) in ITEMS {
                if always || !exists {
                    let value = value(item, &self.answers.flags, &names, place, exists);
                    all.push(Choice::new(format!("{step:<4} {what}: {value}"), item));
                }
            }
            let order: Vec<Item> = all.iter().map(|choice| choice.value).collect();
            let item = ask::given(self.ui.select(question, all, at), question, "pass `--no-input` and the flags that `--help` lists")?;
            if item == Item::Done {
                return Ok(());
            }
            at = order.iter().position(|other| *other == item).unwrap_or_default();
            let before = self.answers.flags.clone();
            self.change(item, &names, place).await?;
            if let Err(error) = Settings::of(self.answers.common.clone(), self.answers.flags.clone()) {
                self.show(&error);
                self.answers.flags = before;
            }
        }
    }

    fn names(&self, place: &Place, declaration: Option<&Value>) -> Result<Names> {
        let settings = Settings::of(self.answers.common.clone(), self.answers.flags.clone())?;
        let (dev, prod) = (Identity::of(&place.dev, &place.region), Identity::of(&place.prod, &place.region));
        Names::resolve(&settings, &dev, &prod, declaration)
    }

    async fn change(&mut self, item: Item, names: &Names, place: &Place) -> Result<()> {
        let flag = "leave it and pass the flag that `--help` lists";
        match item {
            Item::Done => {}
            Item::KeyAlias => self.answers.flags.key_alias = Some(self.parsed("Alias of the KMS key:", Some("s3deploykey"), "", flag)?),
            Item::Administrators => self.answers.flags.key_administrator = self.administrators(place).await?,
            Item::ServiceRole => {
                let name = self.free("Service role, a new name or an existing one's name or ARN:", &names.service_role.name)?;
                self.answers.flags.service_role = (name != names.service_role.name).then_some(name);
            }
            Item::ArtifactBucket => {
                let default = format!("codepipeline-{}-{}", place.region, place.dev.id);
                self.answers.flags.artifact_bucket = Some(self.parsed("Artifact bucket:", Some(&default), "", flag)?);
            }
            Item::Detection => {
                let all = [ChangeDetection::Eventbridge, ChangeDetection::Polling, ChangeDetection::None];
                self.answers.flags.change_detection = Some(self.one_of("What starts the pipeline?", &all)?);
            }
            Item::Policies => {
                let all = [Policies::Article, Policies::LeastPrivilege];
                self.answers.flags.policies = Some(self.one_of("How much do the policies grant?", &all)?);
            }
            Item::Extract => {
                let question = "Deploy the zip itself instead of the files in it?";
                self.answers.flags.no_extract = ask::yes(self.ui, question, "pass `--no-extract`")?;
            }
            Item::DeployPath => {
                let path = self.free("Folder to deploy into (with the zip itself: its key):", "")?;
                self.answers.flags.deploy_path = (!path.is_empty()).then_some(path);
            }
            Item::OutputPolicy => {
                self.answers.flags.output_policy = Some(self.free("Policy for the output bucket:", &names.output_policy.name)?);
            }
            Item::ArtifactPolicy => {
                self.answers.flags.artifact_policy = Some(self.free("Policy for key and artifacts:", &names.artifact_policy.name)?);
            }
            Item::AssumePolicy => {
                self.answers.flags.assume_policy = Some(self.free("Policy to assume the role:", &names.assume_policy.name)?);
            }
            Item::DeployRole => {
                let role: RoleName = self.parsed("Cross-account role:", Some(&names.deploy_role.name), "", flag)?;
                self.answers.flags.deploy_role = (role.as_str() != names.deploy_role.name).then_some(role);
            }
            Item::EventRole => {
                self.answers.flags.event_role = Some(self.parsed("EventBridge's role:", Some(&names.event_role.name), "", flag)?);
            }
            Item::EventRule => self.answers.flags.event_rule = Some(self.free("EventBridge rule:", &names.event_rule)?),
        }
        Ok(())
    }

    fn free(&self, question: &str, default: &str) -> Result<String> {
        let answer = self.ui.text_with(question, Some(default), "", &|_| Ok(()));
        ask::given(answer, question, "pass the flag that `--help` lists")
    }

    fn one_of<T: ValueEnum + Copy>(&self, question: &str, all: &[T]) -> Result<T> {
        let choices = all.iter().filter_map(|one| {
            let value = one.to_possible_value()?;
            let help = value.get_help().map(|help| format!(": {help}")).unwrap_or_default();
            Some(Choice::new(format!("{}{help}", value.get_name()), *one))
        });
        ask::given(self.ui.select(question, choices.collect(), 0), question, "pass the flag that `--help` lists")
    }

    async fn administrators(&self, place: &Place) -> Result<Vec<String>> {
        let question = "Who administers the key?";
        let listed = {
            let _busy = self.ui.busy("listing users and roles");
            choices::administrators(&place.dev).await
        };
        if listed.is_empty() {
            let typed = self.free("ARNs of the users and roles that administer the key, with commas:", "")?;
            return Ok(typed.split(',').map(|arn| arn.trim().to_owned()).filter(|arn| !arn.is_empty()).collect());
        }
        let short = |arn: &String| {
            arn.split_once(":iam::").and_then(|(_, rest)| rest.split_once(':')).map_or(arn.clone(), |(_, name)| name.to_owned())
        };
        let all = listed.iter().map(|arn| Choice::new(short(arn), arn.clone())).collect();
        ask::given(self.ui.select_many(question, all), question, "pass `--key-administrator`")
    }
}

/// What an item is now.
fn value(item: Item, flags: &DeploymentFlags, names: &Names, place: &Place, exists: bool) -> String {
    let word = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
    let kept = if exists { "as it is" } else { "" };
    match item {
        Item::Done => String::new(),
        Item::KeyAlias => word(flags.key_alias.as_ref().map(|alias| alias.as_str().trim_start_matches("alias/").to_owned()), "s3deploykey"),
        Item::Administrators if flags.key_administrator.is_empty() => "you, for a new key".to_owned(),
        Item::Administrators => flags.key_administrator.join(", "),
        Item::ServiceRole => names.service_role.name.clone(),
        Item::ArtifactBucket => {
            let default = format!("the console's, else codepipeline-{}-{}", place.region, place.dev.id);
            word(flags.artifact_bucket.as_ref().map(ToString::to_string), &default)
        }
        Item::Detection => {
            let default = if exists { kept } else { "eventbridge" };
            word(flags.change_detection.map(|how| how.to_string()), default)
        }
        Item::Extract => if flags.no_extract { "no" } else { "yes" }.to_owned(),
        Item::DeployPath => word(flags.deploy_path.clone(), "the top of the bucket"),
        Item::OutputPolicy => names.output_policy.name.clone(),
        Item::ArtifactPolicy => names.artifact_policy.name.clone(),
        Item::DeployRole => names.deploy_role.name.clone(),
        Item::AssumePolicy => names.assume_policy.name.clone(),
        Item::EventRule => names.event_rule.clone(),
        Item::EventRole => names.event_role.name.clone(),
        Item::Policies => {
            let named = flags.policies.and_then(|style| style.to_possible_value()).map(|value| value.get_name().to_owned());
            word(named, if exists { kept } else { "article" })
        }
    }
}
