//! Codes of MFA devices: asked for in a terminal, or given with `--mfa-code`.

use super::ask;
use crate::aws::{Connector, MfaQuestion};
use crate::error::Result;
use crate::model::is_mfa_code;
use crate::settings::environment;
use crate::ui::{Answer, Ui};

/// Prepares connections that may ask for codes.
///
/// # Errors
/// As [`Connector::new`].
pub async fn connector(ui: &Ui) -> Result<Connector<'_>> {
    let connector = Connector::new(environment()).await?;
    Ok(connector.asking(ui.mfa_codes().to_vec(), Box::new(move |question| code(ui, question))))
}

/// Asks for the code that a device shows; `None` if there is nobody to ask, or the answer was that it goes without.
fn code(ui: &Ui, question: MfaQuestion<'_>) -> Result<Option<String>> {
    if !ui.is_interactive() {
        return Ok(None);
    }
    let MfaQuestion { profile, serial, optional, used } = question;
    if used {
        ui.status(&format!("the code of {serial} was used: wait until it shows the next one"));
    }
    let text = format!("MFA code of {serial} (profile {profile}):");
    let help = if optional { "six digits; Enter alone goes on without, as the AWS CLI does" } else { "six digits" };
    loop {
        let answer = match ui.secret(&text, help) {
            Answer::NobodyToAsk => return Ok(None),
            answer => ask::given(answer, &text, "pass `--mfa-code`")?,
        };
        match answer.trim() {
            "" if optional => return Ok(None),
            code if is_mfa_code(code) => return Ok(Some(code.to_owned())),
            _ => ui.warning("a code has six digits"),
        }
    }
}
