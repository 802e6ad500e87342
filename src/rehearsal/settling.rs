//! What settles late (facts D.2): IAM and KMS show at once what was made, and everybody else sees it some calls later.

use super::state::{Account, State};
use super::wire::Call;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Both accounts, by id.
type World = BTreeMap<String, Account>;

/// What other services and the evaluator see of users, roles, policies and keys.
#[derive(Debug, Clone)]
pub(crate) struct Late {
    /// After how many further calls something new is seen.
    calls: u64,
    seen: World,
    /// What will be seen, each from a call on; the earliest first.
    coming: VecDeque<(u64, World)>,
}

impl State {
    /// Lets what changes from now on be seen only after so many further calls.
    pub fn settle_after(&mut self, calls: u64) {
        self.late = (calls > 0).then(|| Late { calls, seen: self.accounts.clone(), coming: VecDeque::new() });
    }

    /// Lets be seen what has had its time; a call begins.
    pub fn settle(&mut self) {
        let now = self.calls;
        let Some(late) = &mut self.late else { return };
        while late.coming.front().is_some_and(|(from, _)| *from <= now) {
            if let Some((_, world)) = late.coming.pop_front() {
                late.seen = world;
            }
        }
    }

    /// Lets everything be seen.
    pub fn settle_all(&mut self) {
        if let Some(late) = &mut self.late {
            late.seen = self.accounts.clone();
            late.coming.clear();
        }
    }

    /// Remembers what a call may have changed.
    pub fn changed_by(&mut self, call: &Call) {
        let Some(late) = &mut self.late else { return };
        let form = call.form();
        let operation = match call.service.as_str() {
            "iam" => form.get("Action").unwrap_or_default(),
            "kms" => call.target(),
            _ => return,
        };
        if !reads(operation) {
            late.coming.push_back((self.calls.saturating_add(late.calls).saturating_add(1), self.accounts.clone()));
        }
    }

    /// Gives an account as other services and the evaluator see it: only its users, roles, policies and keys are to be
    /// looked at.
    pub fn visible(&self, account: &str) -> Option<&Account> {
        self.late.as_ref().map_or(&self.accounts, |late| &late.seen).get(account)
    }

    /// Gives the document of a managed policy as it counts in a decision.
    pub fn visible_document(&self, arn: &str) -> Option<Value> {
        self.document_in(self.late.as_ref().map_or(&self.accounts, |late| &late.seen), arn)
    }
}

/// Says whether an operation changes nothing.
pub(crate) fn reads(operation: &str) -> bool {
    ["Get", "List", "Describe", "Simulate"].iter().any(|word| operation.starts_with(word))
}

#[cfg(test)]
mod tests {
    use crate::rehearsal::{DEV, Rehearsal};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;
    use serde_json::{Value, json};

    const ROLE: &str = "arn:aws:iam::111111111111:role/new";

    fn document(statement: Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    fn trust() -> String {
        document(json!({"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "sts:AssumeRole"}))
    }

    fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
        result.map_or_else(|error| error.code().unwrap_or_default().to_owned(), |_| "done".to_owned())
    }

    /// What the calls after a change are answered, when it is seen after two.
    #[tokio::test]
    async fn a_role_is_seen_by_others_some_calls_later() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1").settle(2);
        let config = rehearsal.config(rehearsal.keys(DEV), "us-east-1");
        let (iam, sts, kms) = (aws_sdk_iam::Client::new(&config), aws_sdk_sts::Client::new(&config), aws_sdk_kms::Client::new(&config));
        let assume = || async { code(sts.assume_role().role_arn(ROLE).role_session_name("one").send().await) };
        iam.create_role().role_name("new").assume_role_policy_document(trust()).send().await.unwrap();
        iam.get_role().role_name("new").send().await.unwrap();
        assert_eq!([assume().await, assume().await], ["AccessDenied", "done"]);

        let nobody = trust().replace("Allow", "Deny");
        iam.update_assume_role_policy().role_name("new").policy_document(&nobody).send().await.unwrap();
        assert_eq!([assume().await, assume().await, assume().await], ["done", "done", "AccessDenied"]);

        iam.create_role().role_name("other").assume_role_policy_document(trust()).send().await.unwrap();
        let by = ROLE.replace("new", "other");
        let by = json!([{"Effect": "Allow", "Principal": {"AWS": [by, DEV]}, "Action": "kms:*", "Resource": "*"}]);
        let by = json!({"Version": "2012-10-17", "Statement": by}).to_string();
        let make = || async { code(kms.create_key().policy(&by).send().await) };
        let malformed = "MalformedPolicyDocumentException";
        assert_eq!([make().await, make().await, make().await], [malformed, malformed, "done"]);
    }

    #[tokio::test]
    async fn a_policy_counts_some_calls_later() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1").settle(2);
        let config = rehearsal.config(rehearsal.keys(DEV), "us-east-1");
        let (iam, kms) = (aws_sdk_iam::Client::new(&config), aws_sdk_kms::Client::new(&config));
        let none = document(json!({"Effect": "Deny", "Action": "kms:ListKeys", "Resource": "*"}));
        let list = || async { code(kms.list_keys().send().await) };
        iam.put_user_policy().user_name("caller").policy_name("none").policy_document(&none).send().await.unwrap();
        assert_eq!([list().await, list().await, list().await], ["done", "done", "AccessDeniedException"]);
        iam.delete_user_policy().user_name("caller").policy_name("none").send().await.unwrap();
        assert_eq!([list().await, list().await, list().await], ["AccessDeniedException", "AccessDeniedException", "done"]);
        let made = iam.create_policy().policy_name("managed").policy_document(&none).send().await.unwrap();
        let arn = made.policy().unwrap().arn().unwrap();
        iam.attach_user_policy().user_name("caller").policy_arn(arn).send().await.unwrap();
        assert_eq!([list().await, list().await, list().await], ["done", "done", "AccessDeniedException"]);
    }

    #[tokio::test]
    async fn a_key_is_there_for_its_readers_at_once_and_for_others_later() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1").settle(2);
        let config = rehearsal.config(rehearsal.keys(DEV), "us-east-1");
        let (kms, s3) = (aws_sdk_kms::Client::new(&config), aws_sdk_s3::Client::new(&config));
        s3.create_bucket().bucket("a-bucket").send().await.unwrap();
        let made = kms.create_key().send().await.unwrap();
        let arn = made.key_metadata().unwrap().arn().unwrap();
        let put = || async {
            let put = s3.put_object().bucket("a-bucket").key("k").server_side_encryption("aws:kms".into()).ssekms_key_id(arn);
            code(put.body(b"text".to_vec().into()).send().await)
        };
        kms.describe_key().key_id(arn).send().await.unwrap();
        assert_eq!([put().await, put().await], ["KMS.NotFoundException", "done"]);
        let made = kms.create_key().send().await.unwrap();
        let arn = made.key_metadata().unwrap().arn().unwrap();
        let rotate = || async { code(kms.enable_key_rotation().key_id(arn).send().await) };
        assert_eq!([rotate().await, rotate().await, rotate().await], ["NotFoundException", "NotFoundException", "done"]);
    }
}
