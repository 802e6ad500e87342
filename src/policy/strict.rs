//! JSON in which no object has a member twice: AWS rejects such a document (IAM-Grammar), and taking the last one would
//! silently drop a condition.

use super::answer::{Decided, Decision};
use super::node::{Json, Node};
use super::simulate::{decide_node, id};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Up to so many members, comparing each with each is quicker than hashing.
const FEW: usize = 32;

struct Text<'a>(Cow<'a, str>);

struct TextReader;

impl<'de> Visitor<'de> for TextReader {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(value.into()))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Text<'de>, E> {
        Ok(Text(value.to_owned().into()))
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'de>, D::Error> {
        deserializer.deserialize_str(TextReader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
    }
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(value.into()))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(value.to_owned().into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut found = Vec::new();
        while let Some(value) = list.next_element()? {
            found.push(value);
        }
        Ok(Json::List(found))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut found: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut names: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some((Text(name), value)) = members.next_entry::<Text<'de>, Json<'de>>()? {
            if found.len() == FEW {
                names.extend(found.iter().map(|(name, _)| name.clone()));
            }
            let twice = if found.len() < FEW { found.iter().any(|(own, _)| *own == name) } else { !names.insert(name.clone()) };
            if twice {
                return Err(Error::custom(format!("`{name}` is there twice")));
            }
            found.push((name, value));
        }
        Ok(Json::Object(found))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Decides one line, and gives the request's `id`.
fn decide_line(line: &[u8]) -> (Value, Decision) {
    // Looking for what is no UTF-8 once is quicker than text by text.
    let read = std::str::from_utf8(line).map_or_else(|_| serde_json::from_slice(line), serde_json::from_str::<Json<'_>>);
    match read {
        Ok(request) => {
            let request = Node::Json(&request);
            (id(request), decide_node(request))
        }
        Err(error) => {
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|request| request.get("id").cloned());
            (id.unwrap_or(Value::Null), Decision::error(vec![format!("the line can't be read: {error}")], Vec::new()))
        }
    }
}

/// Decides one line as `xdeploy simulate` reads it; a line that is no request is an `error`.
pub fn simulate_line(line: &[u8]) -> Value {
    let (id, decision) = decide_line(line);
    decision.to_json(&id)
}

/// Decides one line as [`simulate_line`] does, and gives the verdict as the line that `xdeploy simulate` prints.
pub fn answer_line(line: &[u8]) -> (Decided, String) {
    let (id, decision) = decide_line(line);
    (decision.decided, decision.to_line(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_there_twice_is_an_error() {
        let line = br#"{"id": 5, "identityPolicies": {"Statement": {"Condition": {"Bool": {}, "Bool": {}}}}}"#;
        let answer = simulate_line(line);
        assert_eq!((&answer["decision"], &answer["id"]), (&Value::from("error"), &Value::from(5)));
        assert!(answer["errors"][0].as_str().unwrap().contains("`Bool` is there twice"), "{answer}");
        let plain = br#"[1, -2, 2.5, 1e30, true, null, "a", {"b": []}]"#;
        assert_eq!(
            Node::Json(&serde_json::from_slice::<Json<'_>>(plain).unwrap()).to_value(),
            serde_json::from_slice::<Value>(plain).unwrap()
        );
    }
}
