//! JSON as the evaluator reads it: a [`Value`] that a caller holds, or a line that was read without copying it.

use serde_json::{Number, Value};
use std::borrow::Cow;
use std::slice;

/// A line's JSON; its texts stay in the line unless they hold escapes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In order, no name twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Any JSON, by reference.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    Value(&'a Value),
    Json(&'a Json<'a>),
}

impl<'a> Node<'a> {
    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Node::Value(Value::String(text)) => Some(text),
            Node::Json(Json::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn truth(self) -> Option<bool> {
        match self {
            Node::Value(Value::Bool(yes)) | Node::Json(Json::Bool(yes)) => Some(*yes),
            _ => None,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self, Node::Value(Value::Null) | Node::Json(Json::Null))
    }

    /// A text, a boolean or a number as text: they count the same in a condition and in a context (facts G.4).
    pub(crate) fn scalar(self) -> Option<Cow<'a, str>> {
        match self {
            Node::Value(Value::Number(number)) | Node::Json(Json::Number(number)) => Some(number.to_string().into()),
            _ => self.text().or_else(|| self.truth().map(|yes| if yes { "true" } else { "false" })).map(Cow::Borrowed),
        }
    }

    pub(crate) fn is_scalar(self) -> bool {
        matches!(self, Node::Value(Value::Number(_)) | Node::Json(Json::Number(_))) || self.text().is_some() || self.truth().is_some()
    }

    /// The members, if it is an object.
    pub(crate) fn members(self) -> Option<Members<'a>> {
        match self {
            Node::Value(Value::Object(members)) => Some(Members::Value(members.iter())),
            Node::Json(Json::Object(members)) => Some(Members::Json(members.iter())),
            _ => None,
        }
    }

    /// The member of this name, if it is an object and has it.
    pub(crate) fn member(self, name: &str) -> Option<Node<'a>> {
        self.members()?.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The items, if it is a list.
    pub(crate) fn items(self) -> Option<Nodes<'a>> {
        match self {
            Node::Value(Value::Array(list)) => Some(Nodes::Values(list)),
            Node::Json(Json::List(list)) => Some(Nodes::Jsons(list)),
            _ => None,
        }
    }

    /// The items of a list, or the one thing that stands for a list of it.
    pub(crate) fn listed(self) -> Nodes<'a> {
        self.items().unwrap_or(match self {
            Node::Value(value) => Nodes::Values(slice::from_ref(value)),
            Node::Json(json) => Nodes::Jsons(slice::from_ref(json)),
        })
    }

    pub(crate) fn to_value(self) -> Value {
        match self {
            Node::Value(value) => value.clone(),
            Node::Json(Json::Null) => Value::Null,
            Node::Json(Json::Bool(yes)) => Value::Bool(*yes),
            Node::Json(Json::Number(number)) => Value::Number(number.clone()),
            Node::Json(Json::Text(text)) => Value::String(text.clone().into_owned()),
            Node::Json(Json::List(list)) => Value::Array(list.iter().map(|one| Node::Json(one).to_value()).collect()),
            Node::Json(Json::Object(members)) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone().into_owned(), Node::Json(value).to_value())).collect())
            }
        }
    }
}

/// The members of an object, in order.
#[derive(Debug, Clone)]
pub(crate) enum Members<'a> {
    Value(serde_json::map::Iter<'a>),
    Json(slice::Iter<'a, (Cow<'a, str>, Json<'a>)>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Members::Value(members) => members.next().map(|(name, value)| (name.as_str(), Node::Value(value))),
            Members::Json(members) => members.next().map(|(name, value)| (name.as_ref(), Node::Json(value))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Members::Value(members) => members.size_hint(),
            Members::Json(members) => members.size_hint(),
        }
    }
}

/// A list, or the one thing that stands for a list of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Nodes<'a> {
    Values(&'a [Value]),
    Jsons(&'a [Json<'a>]),
}

impl<'a> Nodes<'a> {
    pub(crate) const NONE: Nodes<'static> = Nodes::Values(&[]);

    pub(crate) fn len(self) -> usize {
        match self {
            Nodes::Values(list) => list.len(),
            Nodes::Jsons(list) => list.len(),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(self) -> Items<'a> {
        match self {
            Nodes::Values(list) => Items::Values(list.iter()),
            Nodes::Jsons(list) => Items::Jsons(list.iter()),
        }
    }

    /// The texts among the items.
    pub(crate) fn texts(self) -> impl Iterator<Item = &'a str> {
        self.iter().filter_map(Node::text)
    }

    /// The texts, booleans and numbers among the items, as text.
    pub(crate) fn scalars(self) -> impl Iterator<Item = Cow<'a, str>> {
        self.iter().filter_map(Node::scalar)
    }
}

/// The items of a list, in order.
#[derive(Debug, Clone)]
pub(crate) enum Items<'a> {
    Values(slice::Iter<'a, Value>),
    Jsons(slice::Iter<'a, Json<'a>>),
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        match self {
            Items::Values(items) => items.next().map(Node::Value),
            Items::Jsons(items) => items.next().map(Node::Json),
        }
    }
}
