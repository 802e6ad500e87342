//! Where from and where to: the input bucket (A2.3) and the output bucket (A2.5).

use super::{Place, Wizard};
use crate::aws::Account;
use crate::aws::choices::{self, BucketSeen};
use crate::cli::ask;
use crate::deploy::observe::head_bucket;
use crate::error::{Error, Result};
use crate::model::{BucketName, RegionName, Side};
use crate::ui::Choice;

/// What was chosen from a list of buckets.
#[derive(Debug, Clone)]
enum Picked {
    There(BucketName),
    Typed,
    New,
}

/// A bucket that a person named, and where it is.
struct Named {
    name: BucketName,
    /// `None` for one to be made.
    region: Option<String>,
}

impl Wizard<'_> {
    /// A2.3: a bucket of dev, in the pipeline's region, versioned.
    pub(super) async fn input_bucket(&mut self, place: &Place) -> Result<()> {
        let question = "Input bucket (the source zip is uploaded to it)?";
        self.begin();
        loop {
            let said = self.answers.flags.input_bucket.clone();
            let asked = said.is_none();
            let Some(named) = self.bucket(&place.dev, &place.region, said, question, "--input-bucket").await? else { continue };
            if let Some(region) = named.region.as_ref().filter(|region| **region != place.region) {
                let error = Error::refused(format!("bucket {} is in {region}, the pipeline in {}", named.name, place.region))
                    .hint("a source bucket must be in the pipeline's region: take another, or start again with `--region`");
                if !asked {
                    return Err(error);
                }
                self.show(&error);
                continue;
            }
            let versioned = named.region.is_none() || self.versioned(place, &named.name).await?;
            if !versioned && asked {
                continue;
            }
            self.answers.flags.create_buckets |= named.region.is_none();
            self.answers.flags.input_bucket = Some(named.name);
            return Ok(());
        }
    }

    /// Says whether versioning is on, or will be: where it is off, it offers to turn it on. The plan refuses what was named by a
    /// flag and isn't to be changed.
    async fn versioned(&mut self, place: &Place, bucket: &BucketName) -> Result<bool> {
        if self.answers.flags.enable_versioning || choices::versioned(&place.dev, &place.region, bucket.as_str()).await != Some(false) {
            return Ok(true);
        }
        let question = format!("Versioning of {bucket} is off, and CodePipeline needs it on. Turn it on, as part of the plan?");
        let yes = ask::yes(self.ui, &question, "pass `--enable-versioning`")?;
        self.answers.flags.enable_versioning |= yes;
        Ok(yes)
    }

    /// A2.5: a bucket of prod, wherever it is.
    pub(super) async fn output_bucket(&mut self, place: &Place) -> Result<()> {
        let question = "Output bucket of production (it is deployed to)?";
        loop {
            let said = self.answers.flags.output_bucket.clone();
            let asked = said.is_none();
            let there = self.answers.common.prod_region.as_ref().map_or(place.region.clone(), ToString::to_string);
            let Some(named) = self.bucket(&place.prod, &there, said, question, "--output-bucket").await? else { continue };
            if asked && self.answers.flags.input_bucket.as_ref() == Some(&named.name) {
                self.ui.warning("that is the input bucket: take another");
                continue;
            }
            if let Some(region) = named.region.as_ref().filter(|region| **region != place.region) {
                self.ui
                    .status(&format!("{} is in {region}: the artifact store there gets a bucket and a key of its own (A2.6)", named.name));
            }
            if named.region.is_none() {
                self.answers.flags.create_buckets = true;
                self.region_of_new(place)?;
            }
            self.answers.flags.output_bucket = Some(named.name);
            return Ok(());
        }
    }

    /// Where an output bucket is made; one that is there says it itself.
    fn region_of_new(&mut self, place: &Place) -> Result<()> {
        if self.answers.common.prod_region.is_some() {
            return Ok(());
        }
        let region: RegionName = self.parsed("Region of the new output bucket:", Some(&place.region), "", "pass `--prod-region`")?;
        if region.as_str() != place.region {
            self.answers.common.prod_region = Some(region);
        }
        Ok(())
    }

    /// Asks for a bucket and where it is; `None` takes the answer back.
    async fn bucket(&self, account: &Account, region: &str, said: Option<BucketName>, question: &str, flag: &str) -> Result<Option<Named>> {
        let asked = said.is_none();
        let (name, new) = match said {
            Some(name) => (name, self.answers.flags.create_buckets),
            None => self.choose_bucket(account, region, question, flag).await?,
        };
        let found = {
            let _busy = self.ui.busy(&format!("looking at {name}"));
            head_bucket(account, region, name.as_str()).await
        };
        match found {
            Ok(Some(there)) => Ok(Some(Named { name, region: Some(there) })),
            Ok(None) if new => Ok(Some(Named { name, region: None })),
            Ok(None) => {
                let question =
                    format!("There is no bucket {name} in {} ({}). Make it in {region}, as part of the plan?", account.side, account.id);
                let yes = ask::yes(self.ui, &question, "pass `--create-buckets`")?;
                match (yes, asked) {
                    (true, _) => Ok(Some(Named { name, region: None })),
                    (false, true) => Ok(None),
                    (false, false) => Err(ask::cancelled()),
                }
            }
            Err(error) if asked => {
                self.show(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn choose_bucket(&self, account: &Account, region: &str, question: &str, flag: &str) -> Result<(BucketName, bool)> {
        let is_input = account.side == Side::Dev;
        let there = {
            let _busy = self.ui.busy(&format!("listing the buckets of {} ({})", account.side, account.id));
            choices::buckets(account, region, is_input).await
        };
        let width = there.iter().map(|bucket| bucket.name.len()).max().unwrap_or_default();
        let listed = there.iter().filter(|bucket| !is_input || bucket.region.as_deref().is_none_or(|there| there == region));
        let mut all: Vec<Choice<Picked>> = listed
            .filter_map(|bucket| Some(Choice::new(label(bucket, width, is_input), Picked::There(bucket.name.parse().ok()?))))
            .collect();
        all.push(Choice::new("make a new bucket", Picked::New));
        all.push(Choice::new("type a name", Picked::Typed));
        let flag = format!("pass `{flag}`");
        let new = match ask::given(self.ui.select(question, all, 0), question, &flag)? {
            Picked::There(name) => return Ok((name, false)),
            Picked::Typed => false,
            Picked::New => true,
        };
        let name = self.parsed("Name of the bucket:", None, "3 to 63 lower-case letters, digits, `.` and `-`", &flag)?;
        Ok((name, new))
    }
}

fn label(bucket: &BucketSeen, width: usize, versioning: bool) -> String {
    let region = bucket.region.as_deref().unwrap_or_default();
    let versioned = match bucket.versioned {
        _ if !versioning => "",
        Some(true) => "versioning on",
        Some(false) => "versioning off",
        None => "versioning unknown",
    };
    format!("{:<width$}  {region}  {versioned}", bucket.name).trim_end().to_owned()
}
