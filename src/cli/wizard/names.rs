//! Everything that has a default, in the article's order: shown with it, and changed where that is wanted.

use super::{Place, Wizard};
use crate::aws::choices;
use crate::cli::ask;
use crate::deploy::blueprint::Names;
use crate::deploy::snapshot::Identity;
use crate::error::{Error, Result};
use crate::model::{ChangeDetection, Policies, RoleName};
use crate::settings::{DeploymentFlags, Settings};
use crate::ui::{Choice, Objection};
use clap::ValueEnum;
use serde_json::Value;
use std::fmt::Display;
use std::str::FromStr;

/// What an item's question points to where nobody can be asked.
const BY_FLAG: &str = "pass the flag that `--help` lists";
/// The top of the output bucket.
const TOP: &str = ".";

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
        loop {
            let names = self.names(place, declaration, &self.answers.flags)?;
            let mut all = vec![Choice::new("no: show the plan", Item::Done)];
            for (item, step, what, always) in ITEMS {
                if always || !exists {
                    let value = value(item, &self.answers.flags, &names, place, exists);
                    all.push(Choice::new(format!("{step:<4} {what}: {value}"), item));
                }
            }
            let item = ask::given(self.ui.select(question, all, 0), question, "pass `--no-input` and the flags that `--help` lists")?;
            if item == Item::Done {
                return Ok(());
            }
            let before = self.answers.flags.clone();
            self.change(item, &names, place, declaration).await?;
            if let Err(error) = Settings::of(self.answers.common.clone(), self.answers.flags.clone()) {
                self.show(&error);
                self.answers.flags = before;
            }
        }
    }

    fn names(&self, place: &Place, declaration: Option<&Value>, flags: &DeploymentFlags) -> Result<Names> {
        let settings = Settings::of(self.answers.common.clone(), flags.clone())?;
        let (dev, prod) = (Identity::of(&place.dev, &place.region), Identity::of(&place.prod, &place.region));
        Names::resolve(&settings, &dev, &prod, declaration)
    }

    /// Asks for one item; Enter alone leaves it as it is.
    async fn change(&mut self, item: Item, names: &Names, place: &Place, declaration: Option<&Value>) -> Result<()> {
        let flags = self.answers.flags.clone();
        let to = &mut DeploymentFlags::clone(&flags);
        match item {
            Item::Done => {}
            Item::KeyAlias => {
                let now = flags.key_alias.as_ref().map_or("s3deploykey", |alias| alias.as_str().trim_start_matches("alias/"));
                to.key_alias = self.changed("Alias of the KMS key:", now)?.or(flags.key_alias.clone());
            }
            Item::Administrators => to.key_administrator = self.administrators(place, &flags.key_administrator).await?,
            Item::ServiceRole => {
                let now = flags.service_role.clone().unwrap_or_else(|| names.service_role.name.clone());
                if let Some(role) = self.changed::<String>("Service role, a new name or an existing one's name or ARN:", &now)? {
                    // The default's own name is no adopted role.
                    let default =
                        self.names(place, declaration, &DeploymentFlags { service_role: None, ..flags.clone() })?.service_role.name;
                    to.service_role = (role != default).then_some(role);
                }
            }
            Item::ArtifactBucket => {
                let default = format!("codepipeline-{}-{}", place.region, place.dev.id);
                let now = flags.artifact_bucket.as_ref().map_or(default.as_str(), |bucket| bucket.as_str());
                to.artifact_bucket = self.changed("Artifact bucket:", now)?.or(flags.artifact_bucket.clone());
            }
            Item::Detection => {
                let all = [ChangeDetection::Eventbridge, ChangeDetection::Polling, ChangeDetection::None];
                to.change_detection = self.one_of("What starts the pipeline?", &all, flags.change_detection)?;
            }
            Item::Policies => {
                let all = [Policies::Article, Policies::LeastPrivilege];
                to.policies = self.one_of("How much do the policies grant?", &all, flags.policies)?;
            }
            Item::Extract => {
                let question = "What is deployed?";
                let all = vec![Choice::new("the files in the zip", false), Choice::new("the zip itself", true)];
                to.no_extract = ask::given(self.ui.select(question, all, usize::from(flags.no_extract)), question, "pass `--no-extract`")?;
            }
            Item::DeployPath => {
                let now = flags.deploy_path.as_deref().unwrap_or(TOP);
                if let Some(path) = self.changed::<String>("Folder to deploy into (`.` is the top; with the zip itself: its key):", now)? {
                    to.deploy_path = (path != TOP).then_some(path);
                }
            }
            Item::OutputPolicy => {
                to.output_policy =
                    self.changed("Policy for the output bucket:", &names.output_policy.name)?.or(flags.output_policy.clone());
            }
            Item::ArtifactPolicy => {
                to.artifact_policy =
                    self.changed("Policy for key and artifacts:", &names.artifact_policy.name)?.or(flags.artifact_policy.clone());
            }
            Item::AssumePolicy => {
                to.assume_policy = self.changed("Policy to assume the role:", &names.assume_policy.name)?.or(flags.assume_policy.clone());
            }
            Item::DeployRole => {
                if let Some(role) = self.changed::<RoleName>("Cross-account role:", &names.deploy_role.name)? {
                    let default = self.names(place, declaration, &DeploymentFlags { deploy_role: None, ..flags.clone() })?.deploy_role.name;
                    to.deploy_role = (role.as_str() != default).then_some(role);
                }
            }
            Item::EventRole => to.event_role = self.changed("EventBridge's role:", &names.event_role.name)?.or(flags.event_role.clone()),
            Item::EventRule => to.event_rule = self.changed("EventBridge rule:", &names.event_rule)?.or(flags.event_rule.clone()),
        }
        self.answers.flags = std::mem::take(to);
        Ok(())
    }

    /// Asks for a text with what it is now as the default; `None` if it stays so.
    fn changed<T: FromStr<Err: Display>>(&self, question: &str, now: &str) -> Result<Option<T>> {
        let check = |text: &str| text.parse::<T>().map(|_| ()).map_err(|why| Objection::from(why.to_string()));
        let text = ask::given(self.ui.text_with(question, Some(now), "", &check), question, BY_FLAG)?;
        if text == now { Ok(None) } else { text.parse().map(Some).map_err(|why: T::Err| Error::internal(why.to_string())) }
    }

    /// Asks for one of some, or for what is taken where nobody says.
    fn one_of<T: ValueEnum + Copy + PartialEq>(&self, question: &str, all: &[T], now: Option<T>) -> Result<Option<T>> {
        let named = all.iter().filter_map(|one| {
            let value = one.to_possible_value()?;
            let help = value.get_help().map(|help| format!(": {help}")).unwrap_or_default();
            Some(Choice::new(format!("{}{help}", value.get_name()), Some(*one)))
        });
        let choices: Vec<_> = std::iter::once(Choice::new("the default, or as it is", None)).chain(named).collect();
        let at = choices.iter().position(|choice| choice.value == now).unwrap_or_default();
        ask::given(self.ui.select(question, choices, at), question, BY_FLAG)
    }

    async fn administrators(&self, place: &Place, now: &[String]) -> Result<Vec<String>> {
        let question = "Who administers the key?";
        let mut listed = {
            let _busy = self.ui.busy("listing users and roles");
            choices::administrators(&place.dev).await
        };
        if listed.is_empty() {
            let question = "ARNs of the users and roles that administer the key, with commas:";
            let typed = self.changed::<String>(question, &now.join(","))?;
            let arns = |typed: String| typed.split(',').map(|arn| arn.trim().to_owned()).filter(|arn| !arn.is_empty()).collect();
            return Ok(typed.map_or_else(|| now.to_vec(), arns));
        }
        let unlisted: Vec<String> = now.iter().filter(|arn| !listed.contains(arn)).cloned().collect();
        listed.extend(unlisted);
        let short = |arn: &String| {
            arn.split_once(":iam::").and_then(|(_, rest)| rest.split_once(':')).map_or(arn.clone(), |(_, name)| name.to_owned())
        };
        let marked: Vec<usize> = (0..listed.len()).filter(|at| now.contains(&listed[*at])).collect();
        let all = listed.iter().map(|arn| Choice::new(short(arn), arn.clone())).collect();
        let chosen: Vec<String> = ask::given(self.ui.select_many(question, all, &marked), question, "pass `--key-administrator`")?;
        // In another order they are the same.
        let same = chosen.len() == now.len() && chosen.iter().all(|arn| now.contains(arn));
        Ok(if same { now.to_vec() } else { chosen })
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
