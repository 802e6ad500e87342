use super::super::{DEV, Rehearsal};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::types::{Tag, Target};

fn client(rehearsal: &Rehearsal) -> Client {
    Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"))
}

#[tokio::test]
async fn rules_have_targets_and_tags() {
    let events = client(&Rehearsal::new("aws", "us-east-1", "us-east-1"));
    let absent = events.describe_rule().name("rule").send().await.unwrap_err();
    assert_eq!(absent.code(), Some("ResourceNotFoundException"));
    let put = || events.put_rule().name("rule").event_pattern("{\"source\": [\"aws.s3\"]}");
    put().description("d").tags(Tag::builder().key("a").value("b").build().unwrap()).send().await.unwrap();
    // What is left out is reset, and tags stay.
    put().tags(Tag::builder().key("c").value("d").build().unwrap()).send().await.unwrap();
    let rule = events.describe_rule().name("rule").send().await.unwrap();
    assert_eq!((rule.description(), rule.state().map(|state| state.as_str())), (None, Some("ENABLED")));
    let tags = events.list_tags_for_resource().resource_arn(rule.arn().unwrap()).send().await.unwrap();
    assert_eq!(tags.tags().iter().map(|tag| tag.key()).collect::<Vec<_>>(), ["a"]);

    let aim = "arn:aws:codepipeline:us-east-1:111111111111:web";
    let target = Target::builder().id("1").arn(aim);
    let without = events.put_targets().rule("rule").targets(target.clone().build().unwrap()).send().await.unwrap_err();
    assert_eq!(without.code(), Some("ValidationException"));
    let role = target.role_arn("arn:aws:iam::111111111111:role/absent").build().unwrap();
    let refused = events.put_targets().rule("rule").targets(role).send().await.unwrap_err();
    assert!(refused.message().unwrap().contains("cannot be assumed by principal"));
    let queue = Target::builder().id("2").arn("arn:aws:sqs:us-east-1:111111111111:queue").build().unwrap();
    events.put_targets().rule("rule").targets(queue).send().await.unwrap();
    assert_eq!(events.list_targets_by_rule().rule("rule").send().await.unwrap().targets().len(), 1);
    let delete = || events.delete_rule().name("rule").send();
    assert!(delete().await.unwrap_err().message().unwrap().contains("since it has targets"));
    events.remove_targets().rule("rule").ids("2").send().await.unwrap();
    delete().await.unwrap();
    assert!(events.list_rules().send().await.unwrap().rules().is_empty());
}
