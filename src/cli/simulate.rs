//! `xdeploy simulate`.

use crate::error::{Error, Result, file_error};
use crate::policy::{self, Decided};
use crate::ui;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requests, one JSON object a line; `-` or nothing reads standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub async fn run(args: &Args) -> Result<u8> {
    let file = match args.file.as_ref().filter(|path| path.as_os_str() != "-") {
        Some(path) => Some((std::fs::File::open(path).map_err(|error| file_error("read", path, &error))?, path.clone())),
        None => None,
    };
    // On a thread of its own, so that Ctrl-C is heard while it waits for a line.
    let answered = tokio::task::spawn_blocking(move || {
        let failed = AtomicBool::new(false);
        let (file, path) = file.unzip();
        let told = ui::answer_lines(file, |line| {
            let (decided, answer) = policy::answer_line(line);
            if decided == Decided::Error {
                failed.store(true, Ordering::Relaxed);
            }
            answer
        });
        match told {
            Ok(()) => Ok(failed.into_inner()),
            Err(error) => Err(match path {
                Some(path) => file_error("read", &path, &error),
                None => {
                    Error::failed("could not go on with the requests").because(error.to_string()).hint("check what the requests come from")
                }
            }),
        }
    });
    let failed = answered.await.map_err(|error| Error::internal(error.to_string()))??;
    Ok(u8::from(failed))
}
