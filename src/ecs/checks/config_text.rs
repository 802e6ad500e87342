//! XD-ECS-013: the agent's configuration is written as its reader takes it.

use super::about::{CONFIG, Flag, Flavour, later, next, unread};
use crate::ecs::environment::{TASK_ENI, TASK_ROLE, TASK_ROLE_HOST, Variable, exported, meant};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-013",
    title: "the agent's configuration is written as its reader takes it",
    why: "ecs-init and Docker take quotes, `export`, blanks and trailing comments literally, so that a flag is off although the file looks right",
    fix: "write NAME=true, without anything before, around or behind it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B2"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, CONFIG) {
        return vec![finding];
    }
    let flavour = Flavour::of(facts);
    if facts.config.is_empty() {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "there is no /etc/ecs/ecs.config")];
    }
    let mut found = Vec::new();
    for file in &facts.config {
        if let (Flavour::ByHand, Err(mistake)) = (flavour, &file.docker) {
            let message = format!("Docker refuses {} as a whole: line {} {}", file.path, mistake.line, mistake.what);
            found.push(
                Finding::new(&CHECK, Outcome::Fail, message)
                    .at(&file.path, Some(mistake.line))
                    .mend("take blanks and `export` out of the names"),
            );
            continue;
        }
        let read = if flavour == Flavour::ByHand { file.docker.as_ref().ok() } else { Some(&file.ecs_init) };
        found.extend(
            read.into_iter().flat_map(|environment| &environment.0).filter_map(|variable| mistake(facts, flavour, &file.path, variable)),
        );
    }
    if found.is_empty() {
        let files: Vec<&str> = facts.config.iter().map(|file| file.path.as_str()).collect();
        found.push(Finding::new(&CHECK, Outcome::Pass, format!("{} reads as it looks", files.join(" and "))));
    }
    found
}

/// The switches that decide about credentials; another one that is written wrongly is only told of.
const DECIDE: [&str; 3] = [TASK_ROLE, TASK_ROLE_HOST, TASK_ENI];

fn mistake(facts: &HostFacts, flavour: Flavour, path: &str, variable: &Variable) -> Option<Finding> {
    let name = meant(&variable.name);
    if !name.starts_with("ECS_") || variable.name.trim_start().starts_with(['#', ';']) {
        return None;
    }
    let value = variable.told();
    let what = if exported(&variable.name).is_some() {
        let word = variable.name.split_whitespace().next().unwrap_or_default();
        Some(format!("`{word}` becomes a part of the name `{}`", variable.name))
    } else if variable.name != name {
        Some(format!("the blank before `=` becomes a part of the name `{}`", variable.name))
    } else if DECIDE.contains(&name) {
        let invalid = |text: &&str| matches!(Flag::of(Some(text)), Flag::Invalid(_));
        value.filter(invalid).map(|text| format!("{name} is `{text}`, which the agent doesn't take for a boolean"))
    } else {
        value
            .filter(|text| text.len() > 1 && text.starts_with(['"', '\'']) && text.ends_with(['"', '\'']))
            .map(|_| format!("the quotes become a part of {name}'s value"))
    }?;
    // What is said again rightly further down counts.
    let right = next(facts, flavour, name).place.is_some_and(|(file, line)| (file, line) != (path, variable.line));
    let outcome = if DECIDE.contains(&name) && !(right && later(facts, flavour, name) == Flag::On) { Outcome::Fail } else { Outcome::Warn };
    let wanted = if DECIDE.contains(&name) { format!("{name}=true") } else { format!("{name}=… without quotes and blanks") };
    let finding = Finding::new(&CHECK, outcome, format!("line {} of {path}: {what}", variable.line)).at(path, Some(variable.line));
    Some(finding.of_variable(name).mend(format!("write `{wanted}` there")).mend(flavour.restart(facts)))
}
