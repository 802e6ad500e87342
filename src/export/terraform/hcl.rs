//! HCL from JSON, with references in the place of what other resources make.

use crate::error::{Error, Result};
use hcl::expr::{Expression, Heredoc, Object, ObjectKey, TemplateExpr, Traversal, Variable};
use hcl::structure::{Block, Body};
use hcl::template::Template;
use serde_json::Value;
use std::collections::BTreeMap;

/// What texts stand for that only an apply gives: an ARN, and the reference to it.
#[derive(Debug, Default)]
pub(super) struct References {
    known: BTreeMap<String, Expression>,
}

impl References {
    /// Learns that a text is what a reference gives, such as `aws_iam_role.deploy_role.arn`.
    pub(super) fn learn(&mut self, text: impl Into<String>, reference: &str) -> Result<()> {
        self.known.insert(text.into(), path(reference)?);
        Ok(())
    }

    /// Turns a text into an expression: the reference that gives it, or itself.
    pub(super) fn text(&self, text: &str) -> Expression {
        let itself = || if plain(text).0.is_none() { Expression::String(text.to_owned()) } else { quoted(text) };
        self.known.get(text).cloned().unwrap_or_else(itself)
    }

    /// Turns JSON into an expression.
    pub(super) fn value(&self, value: &Value) -> Expression {
        match value {
            Value::Null => Expression::Null,
            Value::Bool(on) => Expression::Bool(*on),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Expression::from(whole),
                (None, Some(broken)) => Expression::from(broken),
                (None, None) => Expression::String(number.to_string()),
            },
            Value::String(text) => self.text(text),
            Value::Array(list) => Expression::Array(list.iter().map(|one| self.value(one)).collect()),
            Value::Object(members) => {
                let member =
                    |(name, value): (&String, &Value)| (ObjectKey::Expression(Expression::String(name.clone())), self.value(value));
                Expression::Object(members.iter().map(member).collect::<Object<_, _>>())
            }
        }
    }

    /// Turns a document into a here-document of JSON with references in it. Nothing in it is escaped but `${` and `%{`.
    pub(super) fn document(&self, document: &Value) -> Result<Expression> {
        let internal = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
        let text = serde_json::to_string_pretty(document).map_err(|error| internal(&error))?;
        let mut template = Template::new();
        let mut rest = text.as_str();
        // What stands for something is always the whole text.
        let next = |rest: &str| {
            let found = |(known, reference)| Some((rest.find(&format!("\"{known}\""))?, known, reference));
            self.known
                .iter()
                .filter_map(found)
                .min_by_key(|(at, ..)| *at)
                .map(|(at, known, reference)| (at, known.len(), reference.clone()))
        };
        while let Some((at, length, reference)) = next(rest) {
            template = with_literal(template, &rest[..=at]).add_interpolation(reference);
            rest = &rest[at + 1 + length..];
        }
        let template = with_literal(template, rest).add_literal("\n");
        let template = hcl::format::to_string(&template).map_err(|error| internal(&error))?;
        let delimiter = hcl::Identifier::new("JSON").map_err(|error| internal(&error))?;
        Ok(Expression::from(TemplateExpr::Heredoc(Heredoc::new(delimiter, template))))
    }
}

/// Splits off what the library escapes rightly: up to a `$${` or `%%{`, which it takes for an escape. Gives that mark, the
/// text before it, and the text after its first letter.
fn plain(text: &str) -> (Option<&str>, &str, &str) {
    let at = ["$${", "%%{"].iter().filter_map(|mark| text.find(mark)).min();
    match at {
        // From the first of several: one that stays in front of a template would make that an escape.
        Some(at) => {
            let letter = text[at..].chars().next().unwrap_or_default();
            let at = text[..at].trim_end_matches(letter).len();
            (Some(&text[at..=at]), &text[..at], &text[at + 1..])
        }
        None => (None, text, ""),
    }
}

/// Adds a text to a template; the first letter of `$${` is a template of its own, `${"$"}`.
fn with_literal(mut template: Template, text: &str) -> Template {
    let (mut mark, mut literal, mut rest) = plain(text);
    while let Some(letter) = mark {
        template = template.add_literal(literal).add_interpolation(Expression::String(letter.to_owned()));
        (mark, literal, rest) = plain(rest);
    }
    template.add_literal(literal)
}

/// Gives a text with a `$${` in it as a template in quotes.
fn quoted(text: &str) -> Expression {
    let escaped = |text: &str| {
        let quoted = hcl::format::to_string(&Expression::String(text.to_owned())).unwrap_or_default();
        quoted.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
    };
    let (mut mark, mut literal, mut rest) = plain(text);
    let mut whole = escaped(literal);
    while let Some(letter) = mark {
        (mark, literal, rest) = plain(rest);
        whole = format!("{whole}${{\"{letter}\"}}{}", escaped(literal));
    }
    Expression::from(TemplateExpr::QuotedString(whole))
}

/// Reads a reference such as `aws.dev` or `var.dev_profile`.
pub(super) fn path(text: &str) -> Result<Expression> {
    let mut parts = text.split('.');
    let first = parts.next().unwrap_or_default();
    let variable = Variable::new(first).map_err(|error| Error::internal(error.to_string()))?;
    let rest = parts.fold(Traversal::builder(variable), |built, part| built.attr(hcl::Identifier::sanitized(part)));
    Ok(Expression::from(rest.build()))
}

/// Gives tags as an object.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Expression {
    let member =
        |(key, value): (&String, &String)| (ObjectKey::Expression(Expression::String(key.clone())), Expression::String(value.clone()));
    Expression::Object(tags.iter().map(member).collect::<Object<_, _>>())
}

/// Writes a block as text.
pub(super) fn written(block: Block) -> Result<String> {
    let body = Body::builder().add_block(block).build();
    hcl::format::to_string(&body).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcl::eval::{Context, Evaluate};
    use serde_json::json;

    const STRANGE: &str = "${*} ${aws:username} %{if x} $${a} $$${b} %%{c} \\ \"quoted\" 'it' \n <<JSON\nJSON\n";

    fn read_back(expression: Expression) -> String {
        let block = Block::builder("output").add_label("x").add_attribute(("value", expression)).build();
        let body = hcl::parse(&written(block).unwrap()).unwrap();
        let attribute = body.blocks().next().unwrap().body().attributes().next().unwrap().clone();
        let mut context = Context::new();
        context.declare_var(hcl::Identifier::new("aws_iam_role").unwrap(), hcl::value!({ r = { arn = "arn:aws:iam::1:role/r" } }));
        attribute.expr().evaluate(&context).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn what_other_languages_would_read_stays_what_it_is() {
        let mut references = References::default();
        references.learn("(later)", "aws_iam_role.r.arn").unwrap();
        assert_eq!(read_back(references.text(STRANGE)), STRANGE);
        assert_eq!(read_back(references.text("(later)")), "arn:aws:iam::1:role/r");
        let document = json!({STRANGE: [STRANGE, "(later)", 1, true, null, "(later) and more"], "Principal": {"AWS": "(later)"}});
        let expected = document.to_string().replace("\"(later)\"", "\"arn:aws:iam::1:role/r\"");
        let found: Value = serde_json::from_str(&read_back(references.document(&document).unwrap())).unwrap();
        assert_eq!(found, serde_json::from_str::<Value>(&expected).unwrap());
    }
}
