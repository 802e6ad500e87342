//! `xdeploy who-am-i`.

use super::session;
use crate::error::Result;
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::Ui;
use serde_json::json;

pub async fn run(common: &CommonFlags, ui: &Ui) -> Result<u8> {
    let settings = Settings::resolve(common, &DeploymentFlags::default())?;
    let accounts = session::connect(ui, &settings).await?;
    for account in [&accounts.dev, &accounts.prod] {
        let whose = match account.is_of_environment() {
            true => session::of_environment(account).to_owned(),
            false => format!("  (profile {})", account.profile),
        };
        ui.result(&format!("{:<4} {}  {:<14}  {}{whose}", account.side.to_string(), account.id, account.region, account.caller));
    }
    ui.json(&json!({"schema": "xdeploy.who-am-i/1", "accounts": session::accounts_json(&accounts)}));
    Ok(0)
}
