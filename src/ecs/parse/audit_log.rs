//! The agent's audit log: who asked for which task's credentials, and what it answered (facts C.4).
//!
//! The agent writes path and user agent unescaped, and a path may even hold a line break (`%0A`), so that whoever reaches the
//! endpoint can write lines of its own: the log is good evidence against mistakes, and none against a hostile container.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

/// A moment, to the second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: u64,
    /// The same as RFC 3339, as the agent wrote it.
    pub text: String,
}

impl Time {
    fn parse(text: &str) -> Option<Time> {
        let time = humantime::parse_rfc3339(text).ok()?;
        Some(Time { seconds: time.duration_since(UNIX_EPOCH).ok()?.as_secs(), text: text.to_owned() })
    }
}

/// Whose credentials were given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// `GetCredentials`: the task role's.
    TaskRole,
    /// `GetCredentialsExecutionRole`: the execution role's.
    ExecutionRole,
    /// What a later agent may write.
    Other(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Event::TaskRole => "GetCredentials",
            Event::ExecutionRole => "GetCredentialsExecutionRole",
            Event::Other(name) => name,
        })
    }
}

/// What only the line of an answered request has, which is the second half of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Whose credentials were given.
    pub event: Event,
    /// The version of the line's format; 2 since there are execution roles.
    pub version: u32,
    /// The cluster's name, if the agent knew it.
    pub cluster: Option<String>,
    /// The container instance's ARN, if the agent knew it.
    pub container_instance: Option<String>,
}

/// One request for credentials (or, with 429, one for metadata that used up the shared limit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When it was answered.
    pub time: Time,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Who asked, `address:port`: the container's address (bridge), 169.254.172.x (awsvpc), the host's own (host).
    pub source: Option<String>,
    /// The path without the credentials' id, such as `/v2/credentials`.
    pub path: String,
    /// The user agent; empty for JavaScript v3, and `python-urllib3/…` for botocore.
    pub user_agent: String,
    /// The task's ARN; none for every error.
    pub task: Option<String>,
    /// The last four fields; error lines end before them.
    pub answered: Option<Answered>,
}

fn field(text: &str) -> Option<String> {
    (text != "-").then(|| text.to_owned())
}

fn or_dash(text: Option<&String>) -> &str {
    text.map_or("-", String::as_str)
}

/// As the agent writes it, without the line break.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { time, status, source, path, user_agent, task, answered } = self;
        write!(f, "{} {status} {} \"{path}\" \"{user_agent}\" {} ", time.text, or_dash(source.as_ref()), or_dash(task.as_ref()))?;
        match answered {
            Some(Answered { event, version, cluster, container_instance }) => {
                write!(f, "{event} {version} {} {}", or_dash(cluster.as_ref()), or_dash(container_instance.as_ref()))
            }
            None => Ok(()),
        }
    }
}

impl Line {
    /// Says whether the task role's credentials were given.
    pub fn gave_task_role(&self) -> bool {
        self.status == 200 && self.answered.as_ref().is_some_and(|answered| answered.event == Event::TaskRole)
    }

    /// Gives the address that asked, without its port.
    pub fn address(&self) -> Option<String> {
        let source = self.source.as_deref()?;
        Some(source.parse::<SocketAddr>().map_or_else(|_| source.to_owned(), |address| address.ip().to_string()))
    }
}

/// Reads one line; `None` for one that is no line of this log, or only the beginning of one.
pub fn parse(line: &str) -> Option<Line> {
    let (time, rest) = line.split_once(' ')?;
    let (status, rest) = rest.split_once(' ')?;
    let (source, rest) = rest.split_once(' ')?;
    // Whoever asks can put quotes into the two quoted fields, and none behind them.
    let (quoted, last) = rest.strip_prefix('"')?.rsplit_once('"')?;
    let (path, user_agent) = quoted.split_once("\" \"")?;
    let last: Vec<&str> = last.strip_prefix(' ')?.split_ascii_whitespace().collect();
    let (task, answered) = match last.as_slice() {
        [task] => (*task, None),
        [task, event, version, cluster, container_instance] => {
            let event = match *event {
                "GetCredentials" => Event::TaskRole,
                "GetCredentialsExecutionRole" => Event::ExecutionRole,
                other => Event::Other(other.to_owned()),
            };
            let version = version.parse().ok()?;
            (*task, Some(Answered { event, version, cluster: field(cluster), container_instance: field(container_instance) }))
        }
        _ => return None,
    };
    let three_digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    Some(Line {
        time: Time::parse(time)?,
        status: three_digits.then(|| status.parse().ok())??,
        source: field(source),
        path: path.to_owned(),
        user_agent: user_agent.to_owned(),
        task: field(task),
        answered,
    })
}

/// Reads a file, and counts the lines that can't be read (empty ones don't count).
pub fn parse_all(text: &str) -> (Vec<Line>, usize) {
    let written = text.lines().filter(|line| !line.trim().is_empty());
    let (mut lines, mut unreadable) = (Vec::new(), 0);
    for line in written {
        match parse(line) {
            Some(line) => lines.push(line),
            None => unreadable += 1,
        }
    }
    (lines, unreadable)
}

/// How often something was given to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetches {
    /// The first time that the log knows of.
    pub first: Time,
    /// The last time.
    pub last: Time,
    /// How often.
    pub count: usize,
    /// Who asked, by the user agents.
    pub user_agents: BTreeSet<String>,
}

/// How often an address was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// 400: no id, or one that the agent doesn't know (the task stopped, or the agent lost its state).
    pub bad_request: usize,
    /// 429: too many requests, also such for metadata.
    pub too_many: usize,
    /// 503: the agent has just started.
    pub not_ready: usize,
    /// The last of these.
    pub last: Option<Time>,
}

/// What the log says in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The time of the oldest line: what is older than a container proves nothing about it (facts C.2).
    pub oldest: Option<Time>,
    /// The time of the newest line.
    pub newest: Option<Time>,
    /// Task roles' credentials, by the task's ARN.
    pub task_roles: BTreeMap<String, Fetches>,
    /// Execution roles' credentials, by the task's ARN.
    pub execution_roles: BTreeMap<String, Fetches>,
    /// Refusals, by the address without its port; `-` where the agent didn't know it.
    pub refused: BTreeMap<String, Refused>,
}

/// Sums up lines in any order. Those whose user agent starts with `own_agent` are our own probes and count for nothing but the
/// oldest and newest time; an empty `own_agent` counts everything.
pub fn summary<'a>(lines: impl IntoIterator<Item = &'a Line>, own_agent: &str) -> Summary {
    let mut summary = Summary::default();
    for line in lines {
        if summary.oldest.as_ref().is_none_or(|oldest| line.time < *oldest) {
            summary.oldest = Some(line.time.clone());
        }
        if summary.newest.as_ref().is_none_or(|newest| line.time > *newest) {
            summary.newest = Some(line.time.clone());
        }
        if !own_agent.is_empty() && line.user_agent.starts_with(own_agent) {
            continue;
        }
        match (line.status, &line.task, line.answered.as_ref().map(|answered| &answered.event)) {
            (200, Some(task), Some(Event::TaskRole)) => fetched(&mut summary.task_roles, task, line),
            (200, Some(task), Some(Event::ExecutionRole)) => fetched(&mut summary.execution_roles, task, line),
            (400 | 429 | 503, ..) => refused(&mut summary.refused, line),
            _ => {}
        }
    }
    summary
}

fn fetched(tasks: &mut BTreeMap<String, Fetches>, task: &str, line: &Line) {
    let fetches = tasks.entry(task.to_owned()).or_insert_with(|| Fetches {
        first: line.time.clone(),
        last: line.time.clone(),
        count: 0,
        user_agents: BTreeSet::new(),
    });
    fetches.count += 1;
    fetches.first = fetches.first.clone().min(line.time.clone());
    fetches.last = fetches.last.clone().max(line.time.clone());
    fetches.user_agents.insert(line.user_agent.clone());
}

fn refused(addresses: &mut BTreeMap<String, Refused>, line: &Line) {
    let refused = addresses.entry(line.address().unwrap_or_else(|| "-".to_owned())).or_default();
    match line.status {
        400 => refused.bad_request += 1,
        429 => refused.too_many += 1,
        _ => refused.not_ready += 1,
    }
    refused.last = refused.last.take().max(Some(line.time.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/web/0123456789abcdef0123456789abcdef";
    const GOOD: &str = "2026-11-20T10:00:00Z 200 172.17.0.2:40312 \"/v2/credentials\" \"aws-sdk-nodejs/2.1693.0 linux/v20.11.0 callback\" \
        arn:aws:ecs:eu-west-1:111122223333:task/web/0123456789abcdef0123456789abcdef GetCredentials 2 web \
        arn:aws:ecs:eu-west-1:111122223333:container-instance/web/aaaabbbbccccddddeeeeffff00001111";
    const BAD: &str = "2026-11-20T10:00:01Z 400 [fd00::2]:40313 \"/v2/credentials\" \"\" - ";

    #[test]
    fn an_answered_request_has_ten_fields() {
        let line = parse(GOOD).unwrap();
        assert_eq!((line.time.seconds, line.status), (1_795_168_800, 200));
        assert_eq!(line.path, "/v2/credentials");
        assert_eq!(line.user_agent, "aws-sdk-nodejs/2.1693.0 linux/v20.11.0 callback");
        assert_eq!(line.task.as_deref(), Some(TASK));
        assert_eq!(line.address().as_deref(), Some("172.17.0.2"));
        assert!(line.gave_task_role());
        let answered = line.answered.clone().unwrap();
        assert_eq!((answered.version, answered.cluster.as_deref()), (2, Some("web")));
        assert_eq!(line.to_string(), GOOD);
    }

    #[test]
    fn an_error_line_ends_after_six_fields_and_a_space() {
        let line = parse(BAD).unwrap();
        assert_eq!((line.status, line.task.clone(), line.answered.clone()), (400, None, None));
        assert_eq!(line.address().as_deref(), Some("fd00::2"));
        assert_eq!(line.to_string(), BAD);
        assert_eq!(parse(BAD.trim_end()), Some(line));
    }

    #[test]
    fn quotes_in_a_user_agent_forge_nothing() {
        let forged = BAD.replace("\"\"", "\"x\" arn:aws:ecs:r:1:task/t GetCredentials 2 web arn\"");
        let line = parse(&forged).unwrap();
        assert_eq!((line.status, line.task, line.answered), (400, None, None));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for text in [
            "",
            " ",
            "2026-11-20T10:00:00Z",
            "yesterday 200 - \"/\" \"\" - ",
            "2026-11-20T10:00:00Z +20 - \"/\" \"\" - ",
            "2026-11-20T10:00:00Z 200 - \"/\" \"\"",
            "2026-11-20T10:00:00Z 200 - \"/\" \"\" - GetCredentials 2",
            "2026-11-20T10:00:00Z 200 - / - - ",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        let cut = &GOOD[..GOOD.len() - 100];
        let (lines, unreadable) = parse_all(&format!("{GOOD}\r\n\n{BAD}\n{cut}"));
        assert_eq!((lines.len(), unreadable), (2, 1));
        assert_eq!(lines[0], parse(GOOD).unwrap());
    }

    #[test]
    fn a_summary_counts_by_task_and_by_address() {
        let later = GOOD.replace("10:00:00", "11:00:00").replace("aws-sdk-nodejs", "other");
        let execution = GOOD.replace("GetCredentials", "GetCredentialsExecutionRole").replace("10:00:00", "09:00:00");
        let throttled = BAD.replace(" 400 ", " 429 ").replace("/v2/credentials", "/v4/metadata");
        let own = BAD.replace("\"\"", "\"xdeploy/1\"").replace("10:00:01", "23:00:00");
        let text = [later.as_str(), GOOD, &execution, BAD, &throttled, BAD, &own].join("\n");
        let (lines, _) = parse_all(&text);
        let summary = summary(&lines, "xdeploy/");
        let fetches = &summary.task_roles[TASK];
        assert_eq!((fetches.count, fetches.user_agents.len()), (2, 2));
        assert_eq!((fetches.first.text.as_str(), fetches.last.text.as_str()), ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"));
        assert_eq!(summary.execution_roles[TASK].count, 1);
        let refused = &summary.refused["fd00::2"];
        assert_eq!((refused.bad_request, refused.too_many, refused.not_ready), (2, 1, 0));
        assert_eq!(refused.last.as_ref().unwrap().text, "2026-11-20T10:00:01Z");
        assert_eq!(summary.oldest.unwrap().text, "2026-11-20T09:00:00Z");
        assert_eq!(summary.newest.unwrap().text, "2026-11-20T23:00:00Z");
    }

    fn lines() -> impl Strategy<Value = Line> {
        let word = || proptest::option::of("[a-zA-Z0-9:/_.]{1,40}");
        let event = prop_oneof![Just(Event::TaskRole), Just(Event::ExecutionRole), Just(Event::Other("GetSomething".to_owned()))];
        let answered = (event, 1..100_u32, word(), word());
        let text = (0..4_000_000_000_u64)
            .prop_map(|seconds| humantime::format_rfc3339_seconds(UNIX_EPOCH + std::time::Duration::from_secs(seconds)).to_string());
        (text, 100..1000_u16, word(), "[^\"\r\n]{0,30}", "[^\r\n]{0,40}", word(), proptest::option::of(answered)).prop_map(
            |(text, status, source, path, user_agent, task, answered)| Line {
                time: Time::parse(&text).unwrap(),
                status,
                source,
                path,
                user_agent,
                task,
                answered: answered.map(|(event, version, cluster, container_instance)| Answered {
                    event,
                    version,
                    cluster,
                    container_instance,
                }),
            },
        )
    }

    proptest! {
        #[test]
        fn generated_lines_come_back(line in lines()) {
            prop_assert_eq!(parse(&line.to_string()), Some(line));
        }

        #[test]
        fn nothing_panics(line in "\\PC*", cut in 0..400_usize) {
            let _ = parse(&line);
            let _ = parse(&format!("2026-11-20T10:00:00Z 200 - \"{line}"));
            let beginning: String = GOOD.chars().take(cut).collect();
            let _ = summary(&parse_all(&beginning).0, &line);
        }
    }
}
