//! `xdeploy release`.
use crate::error::Result;
use crate::settings::CommonFlags;
use crate::ui::Ui;
#[derive(Debug, clap::Args)]
pub struct Args {}
pub async fn run(_common: &CommonFlags, _args: &Args, _ui: &Ui) -> Result<u8> {
    Ok(1)
}
