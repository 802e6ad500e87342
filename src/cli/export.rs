//! `xdeploy export`.

use super::{session, sides, wizard};
use crate::deploy::observe::{Organisations, Purpose};
use crate::deploy::plan::Plan;
use crate::error::{Error, Result};
use crate::export::{self, Format, Sheet};
use crate::files;
use crate::model::Side;
use crate::settings::{CommonFlags, DeploymentFlags, Settings, with_file};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Whose part is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The development account's.
    Dev,
    /// The production account's.
    Prod,
    /// All of it.
    Both,
}

impl Part {
    fn side(self) -> Option<Side> {
        match self {
            Part::Dev => Some(Side::Dev),
            Part::Prod => Some(Side::Prod),
            Part::Both => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  xdeploy export --format awscli > set-up.sh    # with the settings of xdeploy.toml\n  xdeploy export --format cloudformation --out templates\n  xdeploy export --plan plan.json --format terraform > main.tf    # asks nothing of AWS"
)]
pub struct Args {
    #[command(flatten)]
    pub deployment: DeploymentFlags,
    /// Whose part
    #[arg(long, value_name = "SIDE", env = "XDEPLOY_SIDE", default_value = "both")]
    pub side: Part,
    /// The file that goes between the two sides, where the other side's profile isn't said [default: handoff.json]
    #[arg(long, value_name = "FILE", env = "XDEPLOY_HANDOFF")]
    pub handoff: Option<PathBuf>,
    /// What to write it as
    #[arg(long, value_name = "FORMAT", env = "XDEPLOY_FORMAT")]
    pub format: Format,
    /// Export this saved plan, without asking AWS
    #[arg(long, value_name = "FILE", env = "XDEPLOY_PLAN")]
    pub plan: Option<PathBuf>,
    /// Folder to write the files to [default: one file goes to standard output]
    #[arg(long, value_name = "FOLDER", env = "XDEPLOY_OUT")]
    pub out: Option<PathBuf>,
    /// Write over files of the folder that say something else, such as an earlier export
    #[arg(long, env = "XDEPLOY_OVERWRITE", value_parser = FalseyValueParser::new())]
    pub overwrite: bool,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let plan = plan(common, args, ui).await?;
    let sheets = export::of_plan(&plan, args.side.side(), args.format)?;
    match (&args.out, sheets.as_slice()) {
        (Some(folder), sheets) => {
            std::fs::create_dir_all(folder).map_err(|error| crate::error::file_error("make the folder", folder, &error))?;
            if !args.overwrite {
                refuse_to_overwrite(folder, sheets)?;
            }
            for sheet in sheets {
                let path = folder.join(&sheet.name);
                files::write_whole(&path, &sheet.text, None).map_err(|error| crate::error::file_error("write", &path, &error))?;
                ui.status(&format!("{} written", path.display()));
            }
        }
        (None, [sheet]) => ui.document(&sheet.text),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|sheet| sheet.name.as_str()).collect();
            return Err(Error::usage(format!("there are several files: {}", names.join(", "))).hint("pass `--out FOLDER` to write them"));
        }
    }
    let files: Vec<_> = sheets.iter().map(|sheet| json!({"name": sheet.name, "text": sheet.text})).collect();
    ui.json(&json!({"schema": "xdeploy.export/1", "files": files}));
    Ok(0)
}

/// A later export holds only what is missing by then: applied in the place of an earlier one, it would delete what that made.
fn refuse_to_overwrite(folder: &Path, sheets: &[Sheet]) -> Result<()> {
    for sheet in sheets {
        let path = folder.join(&sheet.name);
        let there = match std::fs::read(&path) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            // What can't be read may say anything.
            Err(error) => return Err(crate::error::file_error("read", &path, &error)),
        };
        if there != sheet.text.as_bytes() {
            return Err(Error::refused(format!("{} is there already and says something else", path.display())).hint(
                "name another folder: an export holds only what is missing, and applied in the place of an earlier one it would delete \
                 what that made; pass `--overwrite` if the one that is there was never applied",
            ));
        }
    }
    Ok(())
}

async fn plan(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<Plan> {
    if let Some(path) = &args.plan {
        let plan = Plan::load(path)?;
        // Nobody is asked, so that it can't be completed.
        return if plan.is_redacted() { plan.made_again(path) } else { Ok(plan) };
    }
    let (common, flags) = with_file(common, &args.deployment)?;
    if let Some(side) = args.side.side() {
        let other = match side {
            Side::Dev => &common.prod_profile,
            Side::Prod => &common.dev_profile,
        };
        if other.is_none() {
            let how = sides::How { side, file: args.handoff.clone(), reads_only: true, renew: false };
            let one = sides::open(ui, common, flags, &how).await?;
            sides::introduce(ui, &one);
            return one.plan(one.read(ui, Purpose::Setup).await?, None);
        }
    }
    wizard::refuse_missing(&common, &flags)?;
    let settings = Settings::of(common, flags)?;
    let accounts = session::connect(ui, &settings).await?;
    session::introduce(ui, &accounts);
    session::make_plan(ui, &accounts, &settings, None, Organisations::Never).await
}
