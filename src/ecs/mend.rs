//! Makes the changes of `--fix`, keeps what was there, and puts it back where a change made things worse.

use super::fixes::{Change, Fix};
use crate::error::{Error, Result, file_error};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the programs of a fix.
pub trait Hands {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// What it said.
    fn run(&mut self, command: &[String]) -> std::result::Result<String, String>;
}

/// The hands of whoever runs this program on the host itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own;

impl Hands for Own {
    fn run(&mut self, command: &[String]) -> std::result::Result<String, String> {
        let (program, arguments) = command.split_first().ok_or("an empty command")?;
        let output = std::process::Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output();
        let output = output.map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it failed, and says nothing").to_owned()),
        }
    }
}

/// What takes a change back.
#[derive(Debug)]
enum Back {
    /// A file was there: its copy.
    Restore(PathBuf, PathBuf),
    /// There was no file.
    Remove(PathBuf),
    /// A program.
    Run(Vec<String>),
}

/// What was done, so that it can be undone.
#[derive(Debug, Default)]
pub struct Done {
    backs: Vec<Back>,
    /// The copies that were kept, by their paths.
    pub backups: Vec<PathBuf>,
}

impl Done {
    /// Says whether nothing can be taken back.
    pub fn is_final(&self) -> bool {
        self.backs.is_empty()
    }
}

/// Makes sure that what runs here may mend the host that was looked at.
///
/// # Errors
/// The containers were asked of another machine, or it isn't root that runs this.
pub fn may(docker_host: Option<&str>, root: bool) -> Result<()> {
    if docker_host.is_some_and(|host| !host.starts_with("unix://")) {
        return Err(Error::refused("--docker-host is another machine's, and --fix would change this one").hint("run it there"));
    }
    match root {
        true => Ok(()),
        false => Err(Error::refused("only root can mend a host").hint("run it with sudo")),
    }
}

/// Makes the changes of a fix below a root; where one fails, those before it are taken back.
///
/// # Errors
/// A file can't be read or written, or a program failed.
pub fn apply(root: &Path, fix: &Fix, hands: &mut dyn Hands) -> Result<Done> {
    let mut done = Done::default();
    for change in &fix.changes {
        if let Err(error) = make(root, change, hands, &mut done) {
            let left = undo(done, hands);
            let error = error.hint("nothing of this fix was kept");
            return Err(left.into_iter().fold(error, |error, what| error.because(format!("taking back failed: {what}"))));
        }
    }
    Ok(done)
}

fn make(root: &Path, change: &Change, hands: &mut dyn Hands, done: &mut Done) -> Result<()> {
    let failed = |command: &str, why: String| Error::failed(format!("`{command}` failed")).because(why);
    match change {
        Change::Run { command, back } => {
            hands.run(command).map_err(|why| failed(&command.join(" "), why))?;
            done.backs.extend(back.clone().map(Back::Run));
        }
        Change::Save { program, path } => {
            let text = hands.run(std::slice::from_ref(program)).map_err(|why| failed(program, why))?;
            write(root, path, |_| text.clone(), done)?;
        }
        Change::File { path, edit } => write(root, path, |text| edit.apply(text), done)?,
    }
    Ok(())
}

/// Changes a file's text: what was there is copied beside it first, and the new text takes its place in one step, so that whoever is
/// stopped at any moment leaves the old file or the new one.
fn write(root: &Path, inside: &str, change: impl Fn(&str) -> String, done: &mut Done) -> Result<()> {
    let path = &root.join(inside.trim_start_matches('/'));
    // A link on the way may lead out of the root: of a folder that somebody else made, or of a host in an unusual order.
    let below = Path::new(inside.trim_start_matches('/')).ancestors().skip(1).filter(|part| !part.as_os_str().is_empty());
    for part in below {
        let folder = root.join(part);
        if fs::symlink_metadata(&folder).is_ok_and(|found| !found.is_dir()) {
            return Err(Error::refused(format!("{} is no plain folder, and what is below it is left alone", folder.display()))
                .hint("change what it leads to by hand"));
        }
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(file_error("read", path, &error)),
    };
    if found.as_ref().is_some_and(|found| !found.is_file()) {
        return Err(
            Error::refused(format!("{} is no plain file, and is left alone", path.display())).hint("change what it leads to by hand")
        );
    }
    if found.as_ref().is_some_and(|found| std::os::unix::fs::MetadataExt::nlink(found) > 1) {
        return Err(Error::refused(format!("{} has another name as well, which would keep the old text", path.display()))
            .hint("change it by hand, or give the other name up"));
    }
    let old = match &found {
        Some(_) => fs::read_to_string(path).map_err(|error| file_error("read", path, &error))?,
        None => String::new(),
    };
    let new = change(&old);
    if found.is_some() && new == old {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| file_error("make", folder, &error))?;
    }
    match &found {
        Some(_) => {
            let backup = free(path);
            put(&backup, &old, Some(path))?;
            done.backups.push(backup.clone());
            if let Err(error) = put(path, &new, Some(path)) {
                // What stands for nothing is not left behind.
                let _ = fs::remove_file(&backup);
                done.backups.pop();
                return Err(error);
            }
            done.backs.push(Back::Restore(path.to_owned(), backup));
        }
        None => {
            put(path, &new, None)?;
            done.backs.push(Back::Remove(path.to_owned()));
        }
    }
    Ok(())
}

/// Finds a name beside a file that nothing has.
fn free(path: &Path) -> PathBuf {
    let name = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".before-xdeploy".to_owned() } else { format!(".before-xdeploy.{number}") });
        PathBuf::from(name)
    };
    (0..).map(name).find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| name(0))
}

/// Writes a file with all that another one has beside its text.
fn put(path: &Path, text: &str, like: Option<&Path>) -> Result<()> {
    crate::files::write_whole(path, text, like).map_err(|error| file_error("write", path, &error))
}

/// Takes changes back, the last one first, and gives what could not be taken back.
pub fn undo(done: Done, hands: &mut dyn Hands) -> Vec<String> {
    let mut left = Vec::new();
    for back in done.backs.into_iter().rev() {
        match back {
            Back::Run(command) => {
                if let Err(why) = hands.run(&command) {
                    left.push(format!("`{}`: {why}", command.join(" ")));
                }
            }
            Back::Restore(path, backup) => {
                if let Err(error) = fs::rename(&backup, &path) {
                    left.push(format!("{} back to {}: {error}", backup.display(), path.display()));
                }
            }
            Back::Remove(path) => {
                if let Err(error) = fs::remove_file(&path) {
                    left.push(format!("{}: {error}", path.display()));
                }
            }
        }
    }
    left
}
