//! What keys mean at a question: those that a shell's line has, whatever the terminal sends for them.

use crate::model::is_acted_on;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tui_input::InputRequest;

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyPress {
    /// Takes what stands there.
    Enter,
    /// Ends the question without an answer.
    Cancel,
    /// Ends the program.
    Interrupt,
    /// Completes what is typed.
    Complete,
    /// Changes the line, or moves in it.
    Edit(InputRequest),
    /// Several characters at once.
    Paste(String),
    /// Moves in a list, or in the line where there is none.
    CursorMove(CursorMove),
    /// Deletes what stands at the cursor; ends the question where nothing is typed, as the end of a file does.
    DeleteOrEnd,
    /// The terminal has another size.
    Resized,
}

/// A way to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorMove {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
}

/// Says what an event means; `None` for what means nothing, which types nothing either.
pub(super) fn press(event: Event) -> Option<KeyPress> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(key),
        Event::Paste(text) => Some(KeyPress::Paste(text)),
        Event::Resize(..) => Some(KeyPress::Resized),
        _ => None,
    }
}

fn of_key(key: KeyEvent) -> Option<KeyPress> {
    use InputRequest as Request;
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::META);
    Some(match key.code {
        KeyCode::Enter => KeyPress::Enter,
        KeyCode::Esc => KeyPress::Cancel,
        KeyCode::Tab => KeyPress::Complete,
        KeyCode::Backspace if alt || control => KeyPress::Edit(Request::DeletePrevWord),
        KeyCode::Backspace => KeyPress::Edit(Request::DeletePrevChar),
        KeyCode::Delete if alt || control => KeyPress::Edit(Request::DeleteNextWord),
        KeyCode::Delete => KeyPress::Edit(Request::DeleteNextChar),
        KeyCode::Left if alt || control => KeyPress::Edit(Request::GoToPrevWord),
        KeyCode::Right if alt || control => KeyPress::Edit(Request::GoToNextWord),
        KeyCode::Left => KeyPress::CursorMove(CursorMove::Left),
        KeyCode::Right => KeyPress::CursorMove(CursorMove::Right),
        KeyCode::Up => KeyPress::CursorMove(CursorMove::Up),
        KeyCode::Down => KeyPress::CursorMove(CursorMove::Down),
        KeyCode::PageUp => KeyPress::CursorMove(CursorMove::PageUp),
        KeyCode::PageDown => KeyPress::CursorMove(CursorMove::PageDown),
        KeyCode::Home => KeyPress::CursorMove(CursorMove::Home),
        KeyCode::End => KeyPress::CursorMove(CursorMove::End),
        KeyCode::Char(letter) if control && !alt => return of_control(letter),
        KeyCode::Char(letter) if alt && !control => match letter.to_ascii_lowercase() {
            'b' => KeyPress::Edit(Request::GoToPrevWord),
            'f' => KeyPress::Edit(Request::GoToNextWord),
            'd' => KeyPress::Edit(Request::DeleteNextWord),
            _ => return None,
        },
        KeyCode::Char(letter) if !control => KeyPress::Edit(Request::InsertChar(letter)),
        _ => return None,
    })
}

fn of_control(letter: char) -> Option<KeyPress> {
    use InputRequest as Request;
    Some(match letter.to_ascii_lowercase() {
        'a' => KeyPress::Edit(Request::GoToStart),
        'b' => KeyPress::Edit(Request::GoToPrevChar),
        'c' => KeyPress::Interrupt,
        'd' => KeyPress::DeleteOrEnd,
        'e' => KeyPress::Edit(Request::GoToEnd),
        'f' => KeyPress::Edit(Request::GoToNextChar),
        'g' => KeyPress::Cancel,
        'h' => KeyPress::Edit(Request::DeletePrevChar),
        'j' | 'm' => KeyPress::Enter,
        'i' => KeyPress::Complete,
        'k' => KeyPress::Edit(Request::DeleteTillEnd),
        'n' => KeyPress::CursorMove(CursorMove::Down),
        'p' => KeyPress::CursorMove(CursorMove::Up),
        'u' => KeyPress::Edit(Request::DeleteFromStart),
        'w' => KeyPress::Edit(Request::DeletePrevWord),
        'y' => KeyPress::Edit(Request::Yank),
        _ => return None,
    })
}

/// Gives what a pasted text is on one line: without what ends it, and without control characters.
pub(super) fn on_one_line(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    text.chars()
        .map(|letter| if matches!(letter, '\n' | '\r' | '\t') { ' ' } else { letter })
        .filter(|letter| !is_acted_on(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tui_input::Input;

    fn played(typed: &str, keys: &[(KeyCode, KeyModifiers)]) -> (String, usize) {
        let mut line = Input::from(typed);
        for (code, modifiers) in keys {
            match press(Event::Key(KeyEvent::new(*code, *modifiers))) {
                Some(KeyPress::Edit(request)) => {
                    line.handle(request);
                }
                Some(KeyPress::DeleteOrEnd) => {
                    line.handle(InputRequest::DeleteNextChar);
                }
                Some(KeyPress::CursorMove(CursorMove::Left)) => {
                    line.handle(InputRequest::GoToPrevChar);
                }
                other => assert_eq!(other, None, "{code:?}"),
            }
        }
        (line.value().to_owned(), line.cursor())
    }

    #[test]
    fn every_editing_key_does_what_it_does_in_a_shell() {
        const CTRL: KeyModifiers = KeyModifiers::CONTROL;
        const ALT: KeyModifiers = KeyModifiers::ALT;
        const NONE: KeyModifiers = KeyModifiers::NONE;
        let key = KeyCode::Char;
        let left = (KeyCode::Left, NONE);
        for (keys, text, at) in [
            (&[(key('u'), CTRL)][..], "", 0),
            (&[left, left, (key('u'), CTRL)], "te", 0),
            (&[(key('w'), CTRL)], "my ", 3),
            (&[(KeyCode::Backspace, ALT)], "my ", 3),
            (&[(key('a'), CTRL), (key('k'), CTRL)], "", 0),
            (&[(key('a'), CTRL), (key('d'), CTRL)], "y site", 0),
            (&[(key('a'), CTRL), (key('f'), CTRL), (key('k'), CTRL)], "m", 1),
            (&[(key('a'), CTRL), (key('e'), CTRL), (key('b'), CTRL)], "my site", 6),
            (&[(key('w'), CTRL), (key('a'), CTRL), (key('y'), CTRL)], "sitemy ", 4),
            (&[(key('u'), CTRL), (key('y'), CTRL), (key('y'), CTRL)], "my sitemy site", 14),
            (&[(key('b'), ALT)], "my site", 3),
            (&[(KeyCode::Left, CTRL)], "my site", 3),
            (&[(key('a'), CTRL), (key('f'), ALT)], "my site", 3),
            (&[(key('a'), CTRL), (KeyCode::Right, CTRL)], "my site", 3),
            (&[(key('a'), CTRL), (key('d'), ALT)], "site", 0),
            (&[(key('h'), CTRL)], "my sit", 6),
            (&[(KeyCode::Backspace, NONE)], "my sit", 6),
        ] {
            assert_eq!(played("my site", keys), (text.to_owned(), at), "{keys:?}");
        }
        // What has no meaning here types nothing.
        for letter in 'a'..='z' {
            let (text, _) = match press(Event::Key(KeyEvent::new(key(letter), CTRL))) {
                Some(KeyPress::Edit(_)) => played("", &[(key(letter), CTRL)]),
                _ => (String::new(), 0),
            };
            assert_eq!(text, "", "Ctrl-{letter}");
            assert_eq!(played("x", &[(key(letter), CTRL | ALT)]).0, "x");
            assert!(played("", &[(key(letter), ALT)]).0.is_empty());
        }
    }

    #[test]
    fn a_paste_is_one_line() {
        assert_eq!(on_one_line("'/a b.zip'\r\n"), "'/a b.zip'");
        assert_eq!(on_one_line("a\tb\nc\u{1b}[31m"), "a b c[31m");
    }
}
