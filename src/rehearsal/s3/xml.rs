//! The XML of S3, written and read.

use crate::rehearsal::wire::{Answer, Fault, Outcome, escape};
use roxmltree::Node;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Writes an element with a text.
pub(crate) fn leaf(name: &str, text: impl std::fmt::Display) -> String {
    format!("<{name}>{}</{name}>", escape(&text.to_string()))
}

/// Writes an element with elements.
pub(crate) fn element(name: &str, inner: impl AsRef<str>) -> String {
    format!("<{name}>{}</{name}>", inner.as_ref())
}

/// Gives a document as an answer.
pub(crate) fn document(root: &str, inner: impl AsRef<str>) -> Answer {
    let body = format!("{HEAD}<{root} xmlns=\"{NAMESPACE}\">{}</{root}>", inner.as_ref());
    Answer { status: 200, headers: vec![("content-type".to_owned(), "application/xml".to_owned())], body: body.into_bytes() }
}

/// Reads a body and hands its root to `read`.
pub(crate) fn read<T>(body: &[u8], read: impl FnOnce(Node<'_, '_>) -> Option<T>) -> Outcome<T> {
    let malformed =
        || Fault::new(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema");
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let document = roxmltree::Document::parse(text).map_err(|_| malformed())?;
    read(document.root_element()).ok_or_else(malformed)
}

/// Gives the first child of this name.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// Gives all children of this name.
pub(crate) fn children<'a, 'i: 'a>(node: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// Gives the text of the first child of this name.
pub(crate) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name).map(|child| child.text().unwrap_or_default())
}

/// Reads `<Tag><Key/><Value/></Tag>` below an element.
pub(crate) fn tags(node: Node<'_, '_>) -> Option<Vec<(String, String)>> {
    children(node, "Tag").map(|tag| Some((text(tag, "Key")?.to_owned(), text(tag, "Value")?.to_owned()))).collect()
}

/// Writes a tag set.
pub(crate) fn tag_set(tags: &[(String, String)]) -> String {
    element("TagSet", tags.iter().map(|(key, value)| element("Tag", leaf("Key", key) + &leaf("Value", value))).collect::<String>())
}
