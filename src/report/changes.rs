//! The changes of a plan in lines, the same for a terminal and for a pull request.

use crate::deploy::difference::{Difference, Member, of};
use crate::deploy::kept::Kept;
use crate::deploy::write::{Call, Step, Write};
use crate::model::Side;
use crate::policy::{Element, Fate, StatementDiff};

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `+`, `~` or `-`.
    pub sign: char,
    /// How far it stands to the right: 0 for a statement or a member, 1 for an element.
    pub depth: usize,
    /// What it says; never wrapped, however long.
    pub text: String,
}

/// What one step of the article does in one account, and what it leaves.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The step.
    pub step: Step,
    /// The account.
    pub account: Side,
    /// What is written.
    pub writes: Vec<&'a Write>,
    /// What stays.
    pub kept: Vec<&'a Kept>,
}

/// Groups writes in their order, with what stays in each step; a step that only keeps stands where the article has it.
pub fn groups<'a>(writes: &'a [Write], kept: &'a [Kept]) -> Vec<Group<'a>> {
    let mut all: Vec<Group<'a>> = Vec::new();
    let empty = |step, account| Group { step, account, writes: Vec::new(), kept: Vec::new() };
    for write in writes {
        match all.last_mut().filter(|group| (group.step, group.account) == (write.step, write.account)) {
            Some(group) => group.writes.push(write),
            None => all.push(Group { writes: vec![write], ..empty(write.step, write.account) }),
        }
    }
    for one in kept {
        let found = all.iter().position(|group| (group.step, group.account) == (one.step, one.account));
        let at = found.unwrap_or_else(|| {
            let at = all.iter().position(|group| group.step > one.step).unwrap_or(all.len());
            all.insert(at, empty(one.step, one.account));
            at
        });
        all[at].kept.push(one);
    }
    all
}

/// Gives the lines of what a write of a plan changes.
pub fn lines(write: &Write, all: &[Write]) -> Vec<Line> {
    match of(write, all) {
        Difference::None => Vec::new(),
        Difference::Members(members) => members.iter().map(member).collect(),
        Difference::Policy(difference) => {
            let mut found: Vec<Line> = difference.members.iter().flat_map(|one| values(one, 0, one.name.len())).collect();
            for one in &difference.statements {
                statement(one, &mut found);
            }
            found
        }
    }
}

/// The same for a terminal: a new statement is one line, and of another new document its title says what it is.
pub fn short(write: &Write, all: &[Write]) -> Vec<Line> {
    match of(write, all) {
        Difference::Policy(difference) => {
            let mut found: Vec<Line> = difference.members.iter().flat_map(|one| values(one, 0, one.name.len())).collect();
            for one in &difference.statements {
                match one.fate {
                    Fate::Added => found.push(sentence(one)),
                    Fate::Changed | Fate::Removed => statement(one, &mut found),
                }
            }
            found
        }
        // What an update only adds to a pipeline, such as a role, is all that it does.
        Difference::Members(members) if is_pipeline(&write.call) || members.iter().any(|member| member.before.is_some()) => {
            members.iter().map(member).collect()
        }
        Difference::Members(_) | Difference::None => Vec::new(),
    }
}

fn is_pipeline(call: &Call) -> bool {
    matches!(call, Call::UpdatePipeline { .. })
}

/// A new statement in one line: `Sid: Allow actions on resources for principals if condition`.
fn sentence(one: &StatementDiff) -> Line {
    const CLAUSES: [(&str, &str); 6] = [
        ("", "Action"),
        ("all but ", "NotAction"),
        ("on ", "Resource"),
        ("on all but ", "NotResource"),
        ("for ", "Principal"),
        ("for all but ", "NotPrincipal"),
    ];
    let value = |wanted: &str| {
        let found = one
            .elements
            .iter()
            .filter(|element| element.name == wanted || element.name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.')));
        let values: Vec<&str> = found.flat_map(|element| element.added.iter().map(String::as_str)).collect();
        values.join(", ")
    };
    let conditions: Vec<String> = one
        .elements
        .iter()
        .filter_map(|element| Some(format!("{} {}", element.name.strip_prefix("Condition.")?, element.added.join(", "))))
        .collect();
    let mut text = if one.sid.is_empty() { "statement: ".to_owned() } else { format!("statement {}: ", one.sid) };
    text.push_str(&value("Effect"));
    for (word, element) in CLAUSES {
        let found = value(element);
        if !found.is_empty() {
            text.push_str(&format!(" {word}{found}"));
        }
    }
    if !conditions.is_empty() {
        text.push_str(&format!(" if {}", conditions.join(" and ")));
    }
    Line { sign: '+', depth: 0, text }
}

fn member(member: &Member) -> Line {
    let (sign, text) = match (&member.before, &member.after) {
        (Some(before), Some(after)) => ('~', format!("{}  {before} -> {after}", member.path)),
        (Some(value), None) => ('-', format!("{}  {value}", member.path)),
        (None, value) => ('+', format!("{}  {}", member.path, value.as_deref().unwrap_or_default())),
    };
    Line { sign, depth: 0, text: text.trim_end().to_owned() }
}

fn statement(one: &StatementDiff, found: &mut Vec<Line>) {
    let named = |sid: &str| if sid.is_empty() { "without Sid".to_owned() } else { sid.to_owned() };
    let was = one.was.as_ref().map(|sid| format!(" (was {})", named(sid))).unwrap_or_default();
    let sign = match one.fate {
        Fate::Added => '+',
        Fate::Changed => '~',
        Fate::Removed => '-',
    };
    found.push(Line { sign, depth: 0, text: format!("statement {}{was}", named(&one.sid)) });
    let width = one.elements.iter().map(|element| element.name.len()).max().unwrap_or_default();
    for element in &one.elements {
        match one.fate {
            Fate::Changed => found.extend(values(element, 1, width)),
            // Whoever reads a whole statement reads it as it is written.
            _ => {
                let all: Vec<&str> = element.added.iter().chain(&element.removed).map(String::as_str).collect();
                found.push(Line { sign, depth: 1, text: format!("{:<width$}  {}", element.name, all.join(", ")) });
            }
        }
    }
}

/// A line for each value of an element.
fn values(element: &Element, depth: usize, width: usize) -> Vec<Line> {
    let line = |sign, value: &String| Line { sign, depth, text: format!("{:<width$}  {value}", element.name) };
    let gone = element.removed.iter().map(|value| line('-', value));
    gone.chain(element.added.iter().map(|value| line('+', value))).collect()
}
