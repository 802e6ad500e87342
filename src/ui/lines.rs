//! Answers to lines of standard input, in order.

use crate::model::inert_json;
use std::io::{IsTerminal, Write};

/// How much is read at once; a longer line makes the room for it.
const READ: usize = 1 << 18;
/// Less than this isn't worth a second thread.
const WORTH_A_THREAD: usize = 1 << 14;

/// Reads a file, or standard input, and prints an answer for each line, in order; empty lines are passed over.
///
/// Holds what one read gave. What can be answered is answered and told before the next read, which may have to wait. A
/// reader that went away ends it.
pub fn answer_lines(file: Option<std::fs::File>, answer: impl Fn(&[u8]) -> String + Sync) -> std::io::Result<()> {
    let mut source: Box<dyn std::io::Read> = match file {
        Some(file) => Box::new(file),
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                let _ = writeln!(anstream::stderr(), "type or paste requests, one JSON object a line; Ctrl-D on a line of its own ends it");
            }
            Box::new(stdin)
        }
    };
    let mut room = vec![0; READ];
    let mut held = 0;
    loop {
        if held == room.len() {
            room.resize(room.len() * 2, 0);
        }
        let count = match source.read(&mut room[held..]) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let end = held + count;
        let whole = match room[held..end].iter().rposition(|byte| *byte == b'\n') {
            Some(at) => held + at + 1,
            None if count == 0 => end,
            None => 0,
        };
        let told = answers(&room[..whole], &answer);
        // Held no longer than it takes: whoever ends the program while this waits for a line needs it as well.
        let mut out = std::io::stdout().lock();
        match out.write_all(&told).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
        drop(out);
        if count == 0 {
            return Ok(());
        }
        room.copy_within(whole..end, 0);
        held = end - whole;
    }
}

/// Answers whole lines, on two threads where there are many.
fn answers(lines: &[u8], answer: &(impl Fn(&[u8]) -> String + Sync)) -> Vec<u8> {
    let alone = |lines: &[u8]| {
        let mut told = Vec::with_capacity(lines.len() / 4);
        for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            told.extend_from_slice(inert_json(answer(line)).as_bytes());
            told.push(b'\n');
        }
        told
    };
    let middle = lines.len() / 2;
    match lines[middle..].iter().position(|byte| *byte == b'\n') {
        Some(at) if lines.len() > WORTH_A_THREAD => {
            let (first, second) = lines.split_at(middle + at + 1);
            let (mut told, more) = std::thread::scope(|scope| {
                let more = scope.spawn(|| alone(second));
                (alone(first), more.join())
            });
            told.extend(more.unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
            told
        }
        _ => alone(lines),
    }
}
