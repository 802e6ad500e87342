//! Users with exactly one policy.

use super::Rehearsal;
use super::grammar::{self, Kind, SIZE, characters};
use super::state::{Holder, Policy, User, Version};
use serde_json::{Value, json};

/// How many managed policies a user may have (facts D.1).
const ATTACHED: usize = 10;

impl Rehearsal {
    /// Makes a user who may what this policy says and nothing else, and gives its access key id and secret.
    ///
    /// A policy that is longer than a managed one may be is attached as several. A user of this name is replaced.
    ///
    /// # Errors
    /// There is no such account, or IAM would not take the policy; the text says why.
    pub fn hire(&self, account: &str, name: &str, policy: &Value) -> Result<(String, String), String> {
        let state = &mut *self.lock();
        let (created, id) = (state.clock, state.random.id("AIDA"));
        let held = state.accounts.get_mut(account).ok_or_else(|| format!("there is no account {account}"))?;
        let mut attached = Vec::new();
        for (index, document) in parts(policy)?.into_iter().enumerate() {
            let name = format!("{name}-{}", index + 1);
            let arn = held.iam_arn(&format!("policy/{name}"));
            let versions = vec![Version { number: 1, document, created }];
            let made = Policy { arn: arn.clone(), name, path: "/".to_owned(), versions, default: 1, next: 2, ..Policy::default() };
            held.policies.insert(arn.clone(), made);
            attached.push(arn);
        }
        let arn = held.iam_arn(&format!("user/{name}"));
        let user = User { name: name.to_owned(), path: "/".to_owned(), arn, id, created, attached, ..User::default() };
        held.users.insert(name.to_owned(), user);
        let key = state.new_key(account, Holder::User(name.to_owned()), None);
        let secret = state.access_keys.get(&key).map(|key| key.secret.clone()).unwrap_or_default();
        Ok((key, secret))
    }
}

/// The policy as documents that IAM takes.
fn parts(policy: &Value) -> Result<Vec<String>, String> {
    grammar::read(&policy.to_string(), Kind::Identity)?;
    let whole = |statements: &[Value]| json!({"Version": policy["Version"], "Statement": statements}).to_string();
    let one = std::slice::from_ref(&policy["Statement"]);
    let mut parts: Vec<Vec<Value>> = Vec::new();
    for statement in policy["Statement"].as_array().map_or(one, Vec::as_slice) {
        match parts.last_mut().filter(|part| characters(&whole(&[part, std::slice::from_ref(statement)].concat())) <= SIZE) {
            Some(part) => part.push(statement.clone()),
            None => parts.push(vec![statement.clone()]),
        }
    }
    let documents: Vec<String> = parts.iter().map(|part| whole(part)).collect();
    match documents.iter().map(|document| characters(document)).max() {
        Some(longest) if longest > SIZE => Err(format!("a statement has {longest} characters, and a policy may have {SIZE}")),
        _ if documents.len() > ATTACHED => Err(format!("{} policies would be attached, and a user may have {ATTACHED}", documents.len())),
        _ => Ok(documents),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::DEV;

    fn policy(statements: usize, roles: usize) -> Value {
        let roles: Vec<String> = (0..roles).map(|role| format!("arn:aws:iam::111111111111:role/{role:040}")).collect();
        let statement = |_| json!({"Effect": "Allow", "Action": "iam:GetRole", "Resource": roles});
        json!({"Version": "2012-10-17", "Statement": (0..statements).map(statement).collect::<Vec<_>>()})
    }

    #[tokio::test]
    async fn a_hired_user_may_what_its_policy_says_and_nothing_else() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let mut long = policy(3, 60);
        long["Statement"].as_array_mut().unwrap().push(json!({"Effect": "Allow", "Action": "iam:ListRoles", "Resource": "*"}));
        let keys = rehearsal.hire(DEV, "least", &long).unwrap();
        let iam = aws_sdk_iam::Client::new(&rehearsal.config(keys, "us-east-1"));
        iam.list_roles().send().await.unwrap();
        iam.list_users().send().await.unwrap_err();
        let admin = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
        let attached = admin.list_attached_user_policies().user_name("least").send().await.unwrap();
        assert_eq!(attached.attached_policies().len(), 3, "two long statements don't fit one policy");
    }

    #[test]
    fn what_iam_would_not_take_is_refused() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        assert!(rehearsal.hire(DEV, "a", &json!({"Statement": [{"Effect": "Allow"}]})).is_err());
        assert!(rehearsal.hire(DEV, "a", &policy(1, 200)).unwrap_err().contains("may have 6144"));
        assert!(rehearsal.hire(DEV, "a", &policy(11, 60)).unwrap_err().contains("may have 10"));
        assert!(rehearsal.hire("333333333333", "a", &policy(1, 1)).is_err());
    }

    #[tokio::test]
    async fn a_copy_is_a_world_of_its_own() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let s3 = |rehearsal: &Rehearsal| aws_sdk_s3::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
        s3(&rehearsal).create_bucket().bucket("one").send().await.unwrap();
        let copy = rehearsal.fork();
        s3(&copy).create_bucket().bucket("two").send().await.unwrap();
        assert_eq!(s3(&copy).list_buckets().send().await.unwrap().buckets().len(), 2);
        assert_eq!(s3(&rehearsal).list_buckets().send().await.unwrap().buckets().len(), 1);
        assert_eq!((copy.log().len(), rehearsal.log().len()), (2, 2), "each its own since they parted");
    }
}
