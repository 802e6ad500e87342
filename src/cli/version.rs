//! What `--version` says, and whether this program is a release.
//!
//! `.ci/release/build` sets the two variables that are read here while it compiles; nothing sets them at run time.

use std::sync::LazyLock;

/// Where the jobs of `xdeploy ci` run.
pub const JOBS_TARGET: &str = "x86_64-unknown-linux-gnu";
/// The file of a release that they download.
pub const JOBS_BINARY: &str = "xdeploy-x86_64-unknown-linux-gnu";

/// The number, the commit where it is known, and the target.
pub static LONG: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("XDEPLOY_BUILD_COMMIT").map(|commit| format!("commit {commit}, ")).unwrap_or_default();
    format!("{} ({commit}{})", env!("CARGO_PKG_VERSION"), target())
});

/// Says whether this was built as the release of its version.
pub fn is_release() -> bool {
    option_env!("XDEPLOY_BUILD_RELEASE") == Some(env!("CARGO_PKG_VERSION"))
}

/// Gives the target triple that this was built for, for those that are released.
pub fn target() -> String {
    let system = match (std::env::consts::OS, cfg!(target_env = "musl"), cfg!(target_env = "gnu")) {
        ("linux", true, _) => "unknown-linux-musl",
        ("linux", ..) => "unknown-linux-gnu",
        ("macos", ..) => "apple-darwin",
        ("windows", _, true) => "pc-windows-gnu",
        ("windows", ..) => "pc-windows-msvc",
        (other, ..) => other,
    };
    format!("{}-{system}", std::env::consts::ARCH)
}
