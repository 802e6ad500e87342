//! JSON in which no object has a member twice: AWS rejects such a document (IAM-Grammar), and taking the last one would
//! silently drop a condition.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

struct Strict(Value);

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            found.push(value);
        }
        Ok(Value::Array(found))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if found.contains_key(&name) {
                return Err(Error::custom(format!("`{name}` is there twice")));
            }
            found.insert(name, value);
        }
        Ok(Value::Object(found))
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(Reader).map(Strict)
    }
}

/// Decides one line as `xdeploy simulate` reads it; a line that is no request is an `error`.
pub fn simulate_line(line: &[u8]) -> Value {
    match serde_json::from_slice::<Strict>(line) {
        Ok(Strict(request)) => super::simulate(&request),
        Err(error) => {
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|request| request.get("id").cloned());
            super::simulate::broken(id.unwrap_or(Value::Null), format!("the line can't be read: {error}"))
        }
    }
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
        assert_eq!(serde_json::from_slice::<Strict>(plain).unwrap().0, serde_json::from_slice::<Value>(plain).unwrap());
    }
}
