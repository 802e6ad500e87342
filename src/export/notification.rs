//! S3's XML of a notification configuration as the JSON of the AWS CLI.

use roxmltree::Node;
use serde_json::{Map, Value, json};

/// The kinds of destinations: S3's element, its member for the ARN, and the CLI's names for both (S3's XML has names that are
/// older than the API's).
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("TopicConfiguration", "Topic", "TopicConfigurations", "TopicArn"),
    ("QueueConfiguration", "Queue", "QueueConfigurations", "QueueArn"),
    ("CloudFunctionConfiguration", "CloudFunction", "LambdaFunctionConfigurations", "LambdaFunctionArn"),
];

/// Turns a configuration into JSON; nothing at all is an empty one. `None` if an element is not known: whoever writes the JSON
/// back would lose it.
pub(super) fn as_json(xml: &str) -> Option<Value> {
    let mut all = Map::new();
    if xml.trim().is_empty() {
        return Some(Value::Object(all));
    }
    let document = roxmltree::Document::parse(xml).ok()?;
    for node in document.root_element().children().filter(Node::is_element) {
        let name = node.tag_name().name();
        if name == "EventBridgeConfiguration" {
            all.insert(name.to_owned(), json!({}));
            continue;
        }
        let (_, member, list, arn) = KINDS.iter().find(|(element, ..)| *element == name)?;
        let list = all.entry(*list).or_insert_with(|| json!([]));
        list.as_array_mut()?.push(destination(node, member, arn)?);
    }
    Some(Value::Object(all))
}

fn destination(node: Node<'_, '_>, member: &str, arn: &str) -> Option<Value> {
    let mut one = Map::new();
    let mut events = Vec::new();
    for child in node.children().filter(Node::is_element) {
        let text = child.text().unwrap_or_default();
        match child.tag_name().name() {
            "Id" => drop(one.insert("Id".to_owned(), json!(text))),
            "Event" => events.push(json!(text)),
            "Filter" => drop(one.insert("Filter".to_owned(), filter(child)?)),
            name if name == member => drop(one.insert(arn.to_owned(), json!(text))),
            _ => return None,
        }
    }
    one.insert("Events".to_owned(), json!(events));
    Some(Value::Object(one))
}

fn filter(node: Node<'_, '_>) -> Option<Value> {
    let mut rules = Vec::new();
    for key in node.children().filter(Node::is_element) {
        let known = key.tag_name().name() == "S3Key";
        for rule in key.children().filter(Node::is_element) {
            let mut one = Map::new();
            for part in rule.children().filter(Node::is_element) {
                let name = part.tag_name().name();
                if !known || rule.tag_name().name() != "FilterRule" || !["Name", "Value"].contains(&name) {
                    return None;
                }
                one.insert(name.to_owned(), json!(part.text().unwrap_or_default()));
            }
            rules.push(Value::Object(one));
        }
    }
    Some(json!({"Key": {"FilterRules": rules}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_becomes_json_and_what_is_not_is_said() {
        let one = "<NotificationConfiguration><QueueConfiguration><Id>q</Id><Queue>arn:q</Queue><Event>s3:a</Event><Event>s3:b</Event>\
            <Filter><S3Key><FilterRule><Name>prefix</Name><Value>x/</Value></FilterRule></S3Key></Filter></QueueConfiguration>\
            <EventBridgeConfiguration/></NotificationConfiguration>";
        let expected = json!({"QueueConfigurations": [{"Id": "q", "QueueArn": "arn:q",
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "x/"}]}}, "Events": ["s3:a", "s3:b"]}],
            "EventBridgeConfiguration": {}});
        assert_eq!(as_json(one), Some(expected));
        assert_eq!(as_json(" "), Some(json!({})));
        assert_eq!(as_json(&one.replace("<Id>q</Id>", "<New/>")), None);
        assert_eq!(as_json(&one.replace("EventBridgeConfiguration", "NewConfiguration")), None);
        assert_eq!(as_json(&one.replace("S3Key", "S3Tag")), None);
    }
}
