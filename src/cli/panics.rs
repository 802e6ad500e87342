//! The last net: a panic anywhere becomes an internal error, printed and reported as any other.

use crate::error::{Error, Result};
use crate::model::printable;
use futures_util::FutureExt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::OnceLock;

/// Where the first panic was, and what it said.
static FIRST: OnceLock<String> = OnceLock::new();

/// Keeps what a panic says, in the place of the library's own words on stderr.
pub fn watch() {
    panic::set_hook(Box::new(|info| {
        let _ = FIRST.set(describe(info));
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let said = payload.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| payload.downcast_ref::<String>().cloned());
    // The builder's own folders say nothing to whoever reads this; the crate, the file and the line do.
    let place = info.location().map(|place| {
        let path = place.file();
        let from_crate = path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map_or(path, |(_, rest)| rest);
        format!("{from_crate}:{}", place.line())
    });
    printable(format!("{}: {}", place.unwrap_or_default(), said.unwrap_or_default()))
}

/// The error that stands for a panic.
fn error(said: &str) -> Error {
    Error::internal("xdeploy stopped at a fault of its own").because(said)
}

/// Gives the error of the first panic, if there was one.
pub fn first() -> Option<Error> {
    FIRST.get().map(|said| error(said))
}

/// Runs work to its end, or to its panic.
///
/// # Errors
/// It panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| first().unwrap_or_else(|| error("")))
}

/// The same for what waits.
///
/// # Errors
/// The work's own, or it panicked.
pub async fn finished<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(first().unwrap_or_else(|| error(""))))
}

/// Panics where a test asked for it; a release has no such place.
#[cfg(debug_assertions)]
#[allow(clippy::panic)]
pub fn provoked(place: &str) {
    if crate::settings::variable("XDEPLOY_TEST_PANIC").is_some_and(|asked| asked == place) {
        panic::panic_any("as a test asked");
    }
}

/// Does nothing: only a test's binary can be asked to panic.
#[cfg(not(debug_assertions))]
pub fn provoked(_place: &str) {}
