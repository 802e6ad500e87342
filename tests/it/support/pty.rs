//! A real terminal for the program: a pseudo-terminal that python opens, and a person who reads and types.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs the program on a terminal and plays a script of (what must stand there, what is then typed); prints the exit code, how far
/// the script got, the milliseconds until the first output, and all that came.
const DRIVER: &str = r#"
import fcntl, json, os, pty, re, select, struct, sys, termios, time
script, columns, limit, program = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
started = time.time()
pid, terminal = pty.fork()
if pid == 0:
    time.sleep(0.1)
    os.execv(program[0], program)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
screen, told, seen, first, deadline = b"", 0, 0, None, time.time() + limit
while time.time() < deadline:
    ready, _, _ = select.select([terminal], [], [], 0.05)
    if ready:
        try:
            got = os.read(terminal, 65536)
        except OSError:
            break
        if not got:
            break
        first = first or time.time()
        screen += got
        # A terminal answers when it is asked where the cursor is.
        if b"\x1b[6n" in got:
            os.write(terminal, b"\x1b[1;1R")
        continue
    # Nothing comes any more: what stands there waits for somebody.
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode("utf-8", "replace")).replace("\r\n", "").replace("\n", "")
    if told < len(script) and script[told][0] in text[seen:]:
        # What is only to be read is followed by what is to be answered.
        if script[told][1]:
            seen = len(text)
            keys = script[told][1]
            os.kill(pid, 15) if keys == "<TERM>" else os.write(terminal, keys.encode())
        told += 1
if time.time() >= deadline:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
head = [os.waitstatus_to_exitcode(status), told, int(1000 * ((first or deadline) - started)) - 100]
sys.stdout.write(json.dumps(head) + "\n" + screen.decode("utf-8", "replace"))
"#;

/// Runs the program where its terminal gives it nothing: in the background, with nobody left who could bring it back; prints the
/// exit code and all that came.
const ABANDONED: &str = r#"
import os, pty, select, subprocess, sys, time
reader, writer = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    between = os.fork()
    if between == 0:
        os.setpgid(0, 0)
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.01)
            code = subprocess.run(sys.argv[1:]).returncode
            os.write(writer, str(code).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(between, 0)
    # The terminal is there as long as who opened it.
    os._exit(int(os.read(reader, 10) or 99))
os.close(writer)
screen = b""
while True:
    ready, _, _ = select.select([terminal], [], [], 0.05)
    try:
        got = os.read(terminal, 65536) if ready else None
    except OSError:
        break
    if got == b"":
        break
    screen += got or b""
_, status = os.waitpid(pid, 0)
sys.stdout.write(str(os.waitstatus_to_exitcode(status)) + "\n" + screen.decode("utf-8", "replace").replace("\r\n", "\n"))
"#;

/// How long a conversation may take before the program is killed.
const LIMIT: &str = "60";

pub const ENTER: &str = "\r";
pub const ESC: &str = "\u{1b}";
pub const CTRL_C: &str = "\u{3}";
/// No key, but the signal.
pub const TERM: &str = "<TERM>";
pub const DOWN: &str = "\u{1b}[B";

/// What came of a conversation.
#[derive(Debug)]
pub struct Talk {
    /// The exit code.
    pub code: i32,
    /// How many steps of the script were played.
    pub told: usize,
    /// Milliseconds from the start to the first output.
    pub first: i64,
    /// Everything that was written to the terminal, with its control sequences.
    pub raw: String,
}

impl Talk {
    /// The text without control sequences.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.raw.as_str();
        while let Some(at) = rest.find("\u{1b}[") {
            text.push_str(&rest[..at]);
            rest = &rest[at + 2..];
            let end = rest.find(|c: char| c.is_ascii_alphabetic()).map_or(rest.len(), |end| end + 1);
            rest = &rest[end..];
        }
        text.push_str(rest);
        text
    }

    /// What stands on the terminal in the end, as somebody sees it who scrolls back.
    pub fn screen(&self, columns: u16) -> String {
        let mut terminal = vt100::Parser::new(NonZero::new(1000).unwrap(), NonZero::new(columns).unwrap(), 0);
        terminal.process(self.raw.as_bytes());
        let lines: Vec<String> = terminal.screen().rows(0, columns).map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Makes sure that the whole script was played, and of the exit code.
    #[track_caller]
    pub fn ended(&self, steps: usize, code: i32) -> &Talk {
        let text = self.text();
        let end: String = text.chars().skip(text.chars().count().saturating_sub(4000)).collect();
        assert_eq!((self.told, self.code), (steps, code), "{end}");
        self
    }
}

/// Any python that is there; the driver needs nothing but its own library.
fn python() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|file| file.is_file()).expect("python3")
}

/// Lets somebody talk with a program, which `program` is with its environment and arguments.
pub fn talk(program: &Command, script: &[(&str, &str)], columns: u16) -> Talk {
    let script = serde_json::to_string(script).unwrap();
    let (head, raw) = drive(&[DRIVER, &script, &columns.to_string(), LIMIT], program);
    let (code, told, first) = serde_json::from_str::<(i32, usize, i64)>(&head).unwrap();
    Talk { code, told, first, raw }
}

/// Runs a program on a terminal that nobody can bring it to, and gives its exit code and what it wrote.
pub fn abandoned(program: &Command) -> (i32, String) {
    let (code, text) = drive(&[ABANDONED], program);
    (code.parse().unwrap(), text)
}

/// Runs a driver; gives the first line that it prints, and the rest.
fn drive(driver: &[&str], program: &Command) -> (String, String) {
    let mut command = Command::new(python());
    command.arg("-c").args(driver).arg(program.get_program()).args(program.get_args()).env_clear();
    command.env("TERM", "xterm-256color");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(dir) = program.get_current_dir() {
        command.current_dir(dir);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let (head, rest) = said.split_once('\n').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (head.to_owned(), rest.to_owned())
}
