//! Draws a question where it stands: a few lines that are drawn again at each key, on stderr. All of it is ASCII but what is typed.

use crate::model::is_acted_on;
use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::{Color, Print, ResetColor, SetForegroundColor};
use crossterm::terminal::{Clear, ClearType, disable_raw_mode, enable_raw_mode, size};
use crossterm::{execute, queue};
use std::io::{Result, Write, stderr};
use unicode_width::UnicodeWidthChar;

/// A piece of a line, and its colour where there may be one.
#[derive(Debug, Clone)]
pub(super) struct StyledText(pub String, pub Option<Color>);

/// A line before it is broken at the terminal's width.
pub(super) type StyledLine = Vec<StyledText>;

/// Makes a plain piece.
pub(super) fn plain(text: impl Into<String>) -> StyledText {
    StyledText(text.into(), None)
}

/// Makes a piece in a colour.
pub(super) fn coloured(text: impl Into<String>, colour: Color) -> StyledText {
    StyledText(text.into(), Some(colour))
}

/// The terminal while a question stands: keys come one by one, and pasted text comes whole.
#[derive(Debug)]
pub(super) struct PromptFrame {
    painted: bool,
    /// The cursor's row below the frame's first one.
    row: usize,
}

impl PromptFrame {
    /// Takes the terminal.
    pub fn open(painted: bool) -> Result<PromptFrame> {
        enable_raw_mode()?;
        // From here on it is given back in any case.
        let frame = PromptFrame { painted, row: 0 };
        execute!(stderr(), EnableBracketedPaste)?;
        Ok(frame)
    }

    /// The width in columns and the height in rows.
    pub fn size() -> (usize, usize) {
        // A terminal that says nothing, or nothing sensible, is taken for the usual one.
        let (width, height) = size().unwrap_or((80, 24));
        (usize::from(if width == 0 { 80 } else { width }), usize::from(if height == 0 { 24 } else { height }))
    }

    /// Draws lines in the place of what was drawn before; the cursor goes to a line's column.
    pub fn draw(&mut self, lines: &[StyledLine], (line, column): (usize, usize)) -> Result<()> {
        let (width, _) = PromptFrame::size();
        let mut out = stderr();
        queue!(out, Hide)?;
        self.back(&mut out)?;
        let mut rows = 0;
        let mut at = (0, 0);
        for (number, pieces) in lines.iter().enumerate() {
            if number > 0 {
                queue!(out, Print("\r\n"))?;
                rows += 1;
            }
            if number == line {
                at = (rows + column / width, column % width);
            }
            rows += self.write(&mut out, pieces, width)?;
        }
        // A cursor behind a full row stands on the next one.
        while rows < at.0 {
            queue!(out, Print("\r\n"))?;
            rows += 1;
        }
        if rows > at.0 {
            queue!(out, MoveUp(u16::try_from(rows - at.0).unwrap_or(u16::MAX)))?;
        }
        queue!(out, MoveToColumn(u16::try_from(at.1).unwrap_or(u16::MAX)), Show)?;
        self.row = at.0;
        out.flush()
    }

    /// Draws what stays, and goes to the line below.
    pub fn close(mut self, line: &StyledLine) -> Result<()> {
        let (width, _) = PromptFrame::size();
        let mut out = stderr();
        queue!(out, Hide)?;
        self.back(&mut out)?;
        self.write(&mut out, line, width)?;
        queue!(out, Print("\r\n"), Show)?;
        self.row = 0;
        out.flush()
    }

    /// Goes to the frame's first row, and clears all from there on.
    fn back(&self, out: &mut impl Write) -> Result<()> {
        if self.row > 0 {
            queue!(out, MoveUp(u16::try_from(self.row).unwrap_or(u16::MAX)))?;
        }
        queue!(out, MoveToColumn(0), Clear(ClearType::FromCursorDown))
    }

    /// Writes a line broken at the width; gives how many rows it took besides the first.
    fn write(&self, out: &mut impl Write, pieces: &StyledLine, width: usize) -> Result<usize> {
        let (mut rows, mut column) = (0, 0);
        for StyledText(text, colour) in pieces {
            let colour = colour.filter(|_| self.painted);
            if let Some(colour) = colour {
                queue!(out, SetForegroundColor(colour))?;
            }
            let mut row = String::new();
            // What isn't printed would move the cursor to where nobody knows it.
            for letter in text.chars().filter(|letter| !is_acted_on(*letter)) {
                let wide = letter.width().unwrap_or_default();
                if column + wide > width {
                    queue!(out, Print(std::mem::take(&mut row)), Print("\r\n"))?;
                    rows += 1;
                    column = 0;
                }
                row.push(letter);
                column += wide;
            }
            queue!(out, Print(row))?;
            if colour.is_some() {
                queue!(out, ResetColor)?;
            }
        }
        Ok(rows)
    }
}

impl Drop for PromptFrame {
    fn drop(&mut self) {
        let _ = execute!(stderr(), DisableBracketedPaste, Show);
        let _ = disable_raw_mode();
    }
}
