//! `xdeploy schema`.

use crate::error::{Error, Result};
use crate::model::json_text;
use crate::report;
use crate::ui::Ui;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  xdeploy schema verify > verify.schema.json")]
pub struct Args {
    /// The document, such as `plan`, or `config` for xdeploy.toml; without it they are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, ui: &Ui) -> Result<u8> {
    let Some(name) = &args.name else {
        for (name, what) in report::schemas() {
            ui.result(&format!("{name:<12} {what}"));
        }
        let list: Vec<Value> = report::schemas().map(|(name, what)| json!({"name": name, "of": what})).collect();
        ui.json(&json!({"schema": "xdeploy.schema/1", "documents": list}));
        return Ok(0);
    };
    let schema = report::schema(name).ok_or_else(|| {
        let names: Vec<&str> = report::schemas().map(|(name, _)| name).collect();
        let error = Error::usage(format!("there is no schema of `{name}`"));
        let near = names.iter().min_by_key(|known| strsim::levenshtein(known, name));
        let error = match near.filter(|known| strsim::levenshtein(known, name) <= 3) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        };
        error.hint(format!("there are {}", names.join(", ")))
    })?;
    ui.document(&json_text(&schema));
    ui.json(&schema);
    Ok(0)
}
