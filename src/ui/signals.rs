//! The signals that ask a program to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// They, from the moment on when this was made: Ctrl-C, `kill`, the end of the terminal or of its connection, and `Ctrl-\\`.
///
/// `nohup` has SIGHUP ignored, and that stays so.
#[derive(Debug)]
pub struct TerminationSignals(Vec<Signal>);

impl TerminationSignals {
    /// Begins to catch them. Only within a runtime.
    pub fn listen() -> TerminationSignals {
        let hangs_up = !is_ignored(SignalKind::hangup());
        let wanted =
            [Some(SignalKind::interrupt()), Some(SignalKind::terminate()), Some(SignalKind::quit()), hangs_up.then(SignalKind::hangup)];
        TerminationSignals(wanted.into_iter().flatten().filter_map(|kind| signal(kind).ok()).collect())
    }

    /// Waits for the next one.
    pub async fn recv(&mut self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(self.0.iter_mut().map(|stream| Box::pin(stream.recv()))).await;
    }
}

/// Says whether whoever started this program has a signal ignored; where that isn't to be seen, that it has.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
