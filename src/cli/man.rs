//! `xdeploy man`.

use super::Cli;
use crate::error::{Error, Result, file_error};
use crate::files;
use crate::ui::Ui;
use clap::{Command, CommandFactory};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  xdeploy man | man -l -\n  xdeploy man ~/.local/share/man/man1    # then `man xdeploy-setup`")]
pub struct Args {
    /// Write the pages of all commands into this folder; without it, the first page is printed
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// A page of the manual as roff.
fn page(command: Command) -> Result<String> {
    let mut text = Vec::new();
    let internal = |error: std::io::Error| Error::internal(error.to_string());
    clap_mangen::Man::new(command)
        .manual("xdeploy")
        .source(concat!("xdeploy ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)
        .map_err(internal)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The pages by their names: `xdeploy`, `xdeploy-setup`, …
fn pages() -> Result<Vec<(String, String)>> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let mut pages = vec![("xdeploy".to_owned(), page(whole.clone())?)];
    for sub in whole.get_subcommands() {
        let name = format!("xdeploy-{}", sub.get_name());
        pages.push((name, page(sub.clone())?));
    }
    Ok(pages)
}

pub fn run(args: &Args, ui: &Ui) -> Result<u8> {
    let pages = pages()?;
    let Some(folder) = &args.folder else {
        let (_, first) = pages.into_iter().next().ok_or_else(|| Error::internal("a manual without pages"))?;
        ui.document(first.trim_end());
        ui.json(&json!({"schema": "xdeploy.man/1", "page": first}));
        return Ok(0);
    };
    std::fs::create_dir_all(folder).map_err(|error| file_error("make the folder", folder, &error))?;
    let mut written = Vec::new();
    for (name, text) in pages {
        let path = folder.join(format!("{name}.1"));
        files::write_whole(&path, &text, None).map_err(|error| file_error("write the page", &path, &error))?;
        ui.result(&path.display().to_string());
        written.push(path.display().to_string());
    }
    ui.json(&json!({"schema": "xdeploy.man/1", "files": written}));
    Ok(0)
}
