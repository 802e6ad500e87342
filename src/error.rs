//! The one error type: its kind decides the exit code, its hints say what to do.

use std::fmt;

/// What sort of failure it was; decides the exit code (`conventions.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bad command line or settings file: 64.
    Usage,
    /// No usable credentials, or the wrong account: 4.
    Credentials,
    /// Refused by a rule, or the answer was no: 3.
    Refused,
    /// AWS said no: 1.
    Denied,
    /// An AWS error, or a thing that is definitely bad: 1.
    Failed,
    /// The world moved between reading and writing: 1.
    Conflict,
    /// Something needed could not be read: 5.
    CannotTell,
    /// Ctrl-C: 130.
    Interrupted,
    /// A bug of ours: 1.
    Internal,
}

/// Every exit code with its meaning, as the reference has it.
pub const EXIT_CODES: [(u8, &str); 8] = [
    (0, "done, nothing to do, or every check passed"),
    (1, "failed: an AWS error, the world moved, a call of the pipeline is denied, or something else is definitely bad"),
    (2, "differences found although the proof holds, only with `--detailed-exitcode`"),
    (3, "refused or cancelled: a rule, a plan whose proof is denied, the answer no, or an answer was needed and there is no terminal"),
    (4, "no usable credentials, or the wrong account"),
    (5, "could not tell: something needed could not be read or is not known, or `release --timeout` is over"),
    (64, "bad command line or settings file"),
    (130, "interrupted, after the calls under way had finished"),
];

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Usage,
        Kind::Credentials,
        Kind::Refused,
        Kind::Denied,
        Kind::Failed,
        Kind::Conflict,
        Kind::CannotTell,
        Kind::Interrupted,
        Kind::Internal,
    ];

    /// Gives the process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 64,
            Kind::Credentials => 4,
            Kind::Refused => 3,
            Kind::Denied | Kind::Failed | Kind::Conflict | Kind::Internal => 1,
            Kind::CannotTell => 5,
            Kind::Interrupted => 130,
        }
    }

    /// Gives the stable word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Credentials => "credentials",
            Kind::Refused => "refused",
            Kind::Denied => "denied",
            Kind::Failed => "failed",
            Kind::Conflict => "conflict",
            Kind::CannotTell => "cannot-tell",
            Kind::Interrupted => "interrupted",
            Kind::Internal => "internal",
        }
    }
}

/// A failure: what failed on what, why, and what to do about it.
#[derive(Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed, on what.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do, most useful first.
    pub hints: Vec<String>,
}

/// The result of everything that can fail for a user's reason.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Makes a bad-command-line error.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// Makes a refusal.
    pub fn refused(message: impl Into<String>) -> Error {
        Error::new(Kind::Refused, message)
    }

    /// Makes a plain failure.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(Kind::Failed, message)
    }

    /// Makes a bug report.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message).hint("this is a bug of xdeploy: please report it with the command that you ran")
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hints.push(hint.into());
        self
    }

    /// Adds a cause below the ones that are there.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Error {
        self.causes.push(cause.into());
        self
    }

    /// Puts a new message on top; the old one becomes the first cause.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Error {
        let old = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, old);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Lists an error and what lies below it as one text each, without repeating itself.
pub fn chain_of(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts
}

/// Turns a failure to read or write a local file into ours, naming the file.
pub fn file_error(what: &str, path: &std::path::Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        std::io::ErrorKind::PermissionDenied => "check who may access it",
        std::io::ErrorKind::AlreadyExists => "name another file, or move this one away: it is never overwritten",
        _ => "check the path and the disk",
    };
    Error::failed(format!("could not {what} {}", path.display())).because(error.to_string()).hint(hint)
}
