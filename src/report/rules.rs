//! Every rule that has an id of its own, in one list: for `xdeploy explain ID`, references and reports.

use crate::deploy::{failures, rules as deployment};
use crate::ecs::checks;
use crate::model::Check;

/// Lists all rules in the order of their ids within each family: what fails in a deployment (`XD-CP-…`), what is looked at in one
/// (`XD-CALL-…`, `XD-PROOF-…`, `XD-DRIFT-…`, `XD-RELEASE-…`), whether a command ended well (`XD-RUN-001`), what is looked at on a container host (`XD-ECS-…`).
pub fn rules() -> Vec<&'static Check> {
    let failures = failures::rows().iter().map(|row| &row.check);
    let mut hosts: Vec<&'static Check> = checks::every().map(|(check, _)| *check).collect();
    hosts.sort_by_key(|check| check.id);
    failures.chain(deployment::all()).chain(hosts).collect()
}

/// Finds a rule by its id, in capitals or not.
pub fn find(id: &str) -> Option<&'static Check> {
    rules().into_iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_rules_have_one_id_and_each_says_all() {
        let ids: BTreeSet<&str> = rules().iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), rules().len());
        for rule in rules() {
            assert!(rule.docs.starts_with("https://") && !rule.why.is_empty() && !rule.fix.is_empty(), "{rule:?}");
            assert!(!rule.article.is_empty() && find(&rule.id.to_lowercase()) == Some(rule), "{rule:?}");
        }
    }
}
