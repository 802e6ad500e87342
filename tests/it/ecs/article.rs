//! Each sentence of article B has a check that answers it.

use xdeploy::ecs::checks;

/// The sentences of `mission.md`, B, and the checks that answer them.
const SENTENCES: &[(&str, &str, &[&str])] = &[
    ("B", "the role must be named in the task definition", &["XD-ECS-070", "XD-ECS-071"]),
    ("B", "be found by the task", &["XD-ECS-080", "XD-ECS-060"]),
    (
        "B",
        "When a task can't find its task role, it silently uses the EC2 instance's role instead.",
        &["XD-ECS-041", "XD-ECS-076", "XD-ECS-073", "XD-ECS-077"],
    ),
    (
        "B1",
        "The ECS container agent runs",
        &["XD-ECS-001", "XD-ECS-002", "XD-ECS-003", "XD-ECS-004", "XD-ECS-005", "XD-ECS-006", "XD-ECS-054"],
    ),
    ("B2", "ECS_ENABLE_TASK_IAM_ROLE=true for the bridge and default network modes", &["XD-ECS-010", "XD-ECS-013"]),
    ("B2", "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true for the host network mode", &["XD-ECS-011", "XD-ECS-013"]),
    ("B2", "After a change restart the agent", &["XD-ECS-014"]),
    ("B3", "The role trusts ECS tasks", &["XD-ECS-020", "XD-ECS-021"]),
    ("B4", "If the agent has an HTTP_PROXY, it also has NO_PROXY", &["XD-ECS-030", "XD-ECS-031", "XD-ECS-032", "XD-ECS-033"]),
    ("B5", "The application's AWS SDK is from July 2016 or later.", &["XD-ECS-040", "XD-ECS-041"]),
    (
        "B6",
        "the iptables rules for the credentials endpoint are set",
        &["XD-ECS-050", "XD-ECS-051", "XD-ECS-052", "XD-ECS-053", "XD-ECS-058"],
    ),
    ("B6", "and saved, since a reboot drops them", &["XD-ECS-055", "XD-ECS-056"]),
    ("B7", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI exists for PID 1 alone", &["XD-ECS-060", "XD-ECS-061"]),
];

#[test]
fn every_sentence_is_answered_by_a_check() {
    for (point, sentence, ids) in SENTENCES {
        assert!(!ids.is_empty(), "{sentence}");
        for id in *ids {
            let check = checks::find(id).unwrap_or_else(|| panic!("{id}, for {sentence}"));
            assert!(!check.article.is_empty(), "{id} answers {point}");
        }
    }
    let points: Vec<&str> = SENTENCES.iter().map(|(point, _, _)| *point).collect();
    for point in ["B1", "B2", "B3", "B4", "B5", "B6", "B7"] {
        assert!(points.contains(&point), "{point}");
    }
}

#[test]
fn every_check_names_its_point_and_explains_itself() {
    let mut ids = std::collections::BTreeSet::new();
    for (check, _) in checks::every() {
        assert!(ids.insert(check.id) && check.id.len() == 10 && check.id.starts_with("XD-ECS-0"), "{}", check.id);
        for text in [check.title, check.why, check.fix] {
            assert!(text.len() > 10 && !text.ends_with('.'), "{}: {text}", check.id);
        }
        assert!(check.docs.starts_with("https://docs.aws.amazon.com/"), "{}", check.id);
        assert!(check.article.iter().all(|point| point.starts_with('B')), "{}", check.id);
    }
}
