//! The questions of `xdeploy setup`, in the article's order: what is missing is asked for, and each answer is checked at once.
//!
//! Nothing is changed here: the answers become the flags that somebody else would have given.

mod buckets;
pub mod command_line;
mod names;
mod profiles;

pub use command_line::command_line;

use super::ask;
use crate::aws::{Account, Connector, choices};
use crate::deploy::declaration;
use crate::deploy::observe::read_pipeline_version;
use crate::deploy::zipfile;
use crate::error::{Error, Result};
use crate::model::{ObjectKey, PipelineName, Side};
use crate::settings::{CommonFlags, DEFAULT_PIPELINE, DeploymentFlags, environment};
use crate::ui::{Choice, Ui};
use serde_json::Value;
use std::path::PathBuf;

/// What was said, by flags, variables, the settings file and answers.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Who and where.
    pub common: CommonFlags,
    /// What.
    pub flags: DeploymentFlags,
    /// The zip to upload.
    pub artifact: Option<PathBuf>,
}

/// Says what a set-up can't do without and nobody said, as flags; a pipeline that exists says the buckets itself.
pub fn missing(common: &CommonFlags, flags: &DeploymentFlags) -> Vec<&'static str> {
    let said = [
        ("--dev-profile", common.dev_profile.is_some()),
        ("--prod-profile", common.prod_profile.is_some()),
        ("--input-bucket", flags.input_bucket.is_some()),
        ("--output-bucket", flags.output_bucket.is_some()),
    ];
    said.into_iter().filter(|(_, said)| !said).map(|(flag, _)| flag).collect()
}

/// Refuses what can't be asked for, with everything that is missing at once.
///
/// # Errors
/// A profile isn't said.
pub fn refuse_missing(common: &CommonFlags, flags: &DeploymentFlags) -> Result<()> {
    if common.dev_profile.is_some() && common.prod_profile.is_some() {
        return Ok(());
    }
    let missing = missing(common, flags);
    let error = Error::usage(format!("not said: {}", missing.join(", ")))
        .hint("pass them, set them in xdeploy.toml, or run `xdeploy setup` in a terminal, where it asks for them");
    let buckets = missing.contains(&"--input-bucket") || missing.contains(&"--output-bucket");
    Err(if buckets { error.because("the buckets need not be said where the pipeline is there already") } else { error })
}

/// The conversation so far.
struct Wizard<'a> {
    ui: &'a Ui,
    connector: Connector,
    answers: Answers,
    /// Somebody was asked something.
    asked: bool,
}

/// Both accounts, and where the pipeline is.
struct Place {
    dev: Account,
    prod: Account,
    region: String,
}

/// Asks for what is missing, and says whether anything was: a pipeline that is there says its buckets itself.
///
/// # Errors
/// Esc, Ctrl-C, or the AWS files can't be read.
pub async fn ask(ui: &Ui, answers: Answers) -> Result<(Answers, bool)> {
    let connector = Connector::new(environment()).await?;
    let mut wizard = Wizard { ui, connector, answers, asked: false };
    let place = wizard.accounts().await?;
    let declaration = wizard.pipeline(&place).await?;
    if declaration.is_none() {
        wizard.input_bucket(&place).await?;
        wizard.object_key(&place).await?;
        wizard.output_bucket(&place).await?;
        wizard.artifact()?;
    }
    if wizard.asked {
        wizard.options(&place, declaration.as_ref()).await?;
    }
    Ok((wizard.answers, wizard.asked))
}

impl Wizard<'_> {
    /// Says before the first question what questions do.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            self.ui.status("Nothing changes before you say yes to the plan; Esc or Ctrl-C ends it.");
        }
    }

    /// Asks for a text that parses; what it can't be is said, and it is asked for again.
    fn parsed<T>(&self, question: &str, default: Option<&str>, help: &str, flag: &str) -> Result<T>
    where
        T: std::str::FromStr<Err = String>,
    {
        let check = |text: &str| text.parse::<T>().map(|_| ());
        let text = ask::given(self.ui.text_with(question, default, help, &check), question, flag)?;
        text.parse().map_err(Error::internal)
    }

    /// A2.1: which pipeline; gives its declaration where it is there already.
    async fn pipeline(&mut self, place: &Place) -> Result<Option<Value>> {
        let there = {
            let _busy = self.ui.busy("looking for pipelines");
            choices::pipelines(&place.dev, &place.region).await
        };
        loop {
            let name = match &self.answers.flags.pipeline {
                Some(said) => said.clone(),
                // Where nothing else is to be asked, the default is what every other command takes.
                None if !self.asked && there.iter().any(|name| name == DEFAULT_PIPELINE) => {
                    DEFAULT_PIPELINE.parse().map_err(Error::internal)?
                }
                None => {
                    self.begin();
                    self.ask_pipeline(&there)?
                }
            };
            let declaration = match self.adoptable(place, &name).await {
                Ok(declaration) => declaration,
                Err(error) if self.answers.flags.pipeline.is_none() => {
                    self.show(&error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if declaration.is_some() {
                self.ui.status(&format!("pipeline {name} is there already: it says the buckets, and is completed"));
            }
            if name.as_str() != DEFAULT_PIPELINE {
                self.answers.flags.pipeline = Some(name);
            }
            return Ok(declaration);
        }
    }

    fn ask_pipeline(&self, there: &[String]) -> Result<PipelineName> {
        let question = "Name of the pipeline:";
        if !there.is_empty() {
            let adopt = there
                .iter()
                .filter_map(|name| Some(Choice::new(format!("{name} (is there: complete it)"), Some(name.parse::<PipelineName>().ok()?))));
            let all: Vec<_> = std::iter::once(Choice::new("a new pipeline", None)).chain(adopt).collect();
            let question = "Which pipeline?";
            if let Some(name) = ask::given(self.ui.select(question, all, 0), question, "pass `--pipeline`")? {
                return Ok(name);
            }
        }
        self.parsed(question, Some(DEFAULT_PIPELINE), "", "pass `--pipeline`")
    }

    /// Gives the declaration of a pipeline that is there, and makes sure that it has an S3 source and an S3 deploy action.
    async fn adoptable(&self, place: &Place, name: &PipelineName) -> Result<Option<Value>> {
        let Some(found) = read_pipeline_version(&place.dev, &place.region, name.as_str(), None).await? else { return Ok(None) };
        let flags = &self.answers.flags;
        let bucket = flags.output_bucket.as_ref().map(|bucket| bucket.as_str());
        declaration::choose_deploy(&found.declaration, bucket, flags.stage.as_deref(), flags.action.as_deref())?;
        if declaration::sources(&found.declaration).is_empty() {
            return Err(Error::refused(format!("pipeline {name} has no S3 source action"))
                .hint("xdeploy sets up pipelines whose source is an S3 object (A2.3); take another, or a new name"));
        }
        Ok(Some(found.declaration))
    }

    /// A2.3: the source object's key, and whether it is there.
    async fn object_key(&mut self, place: &Place) -> Result<()> {
        let default = "sample-website.zip";
        let key: ObjectKey = match &self.answers.flags.object_key {
            Some(said) => said.clone(),
            None => self.parsed("Key of the source zip in it:", Some(default), "", "pass `--object-key`")?,
        };
        let bucket = self.answers.flags.input_bucket.as_ref().map(ToString::to_string).unwrap_or_default();
        if !self.answers.flags.create_buckets && choices::has_object(&place.dev, &place.region, &bucket, key.as_str()).await == Some(false)
        {
            self.ui.status(&format!("s3://{bucket}/{key} isn't there yet: name its file below, or upload it later"));
        }
        if key.as_str() != default {
            self.answers.flags.object_key = Some(key);
        }
        Ok(())
    }

    /// A8: a zip to upload in the same go.
    fn artifact(&mut self) -> Result<()> {
        if self.answers.artifact.is_some() {
            return Ok(());
        }
        let question = "Zip to upload now:";
        let extract = !self.answers.flags.no_extract;
        let check = |text: &str| match text {
            "" => Ok(()),
            path if extract => zipfile::check(path.as_ref()).map(|_| ()).map_err(|error| error.message),
            path => zipfile::fingerprint(path.as_ref()).map(|_| ()).map_err(|error| error.message),
        };
        let help = "a file's path; Enter alone: later, with `xdeploy release FILE`";
        let path = ask::given(self.ui.text_with(question, None, help, &check), question, "pass `--artifact`")?;
        self.answers.artifact = (!path.is_empty()).then(|| path.into());
        Ok(())
    }

    /// Says why an answer won't do.
    fn show(&self, error: &Error) {
        ask::warn(self.ui, "", error);
    }

    fn profile_of(&mut self, side: Side) -> &mut Option<String> {
        match side {
            Side::Dev => &mut self.answers.common.dev_profile,
            Side::Prod => &mut self.answers.common.prod_profile,
        }
    }
}
