//! Wildcards and policy variables in texts, resources and actions (facts G.4, G.5).

use super::context::{Context, Found};

/// One step of a pattern, over UTF-16 units: that is what `?` counts (facts G.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Unit(u16),
    /// A letter in either case; only used where answers are tried (`unknown.rs`).
    AnyCase(u16),
    One,
    Star,
    /// `?` that stays within its ARN segment.
    OneInside,
    /// `*` that stays within its ARN segment.
    StarInside,
}

const COLON: u16 = b':' as u16;

impl Token {
    fn is_star(self) -> bool {
        matches!(self, Token::Star | Token::StarInside)
    }

    fn takes(self, unit: u16) -> bool {
        match self {
            Token::Unit(own) => own == unit,
            Token::AnyCase(own) => own == unit || (own < 128 && unit < 128 && (own as u8).eq_ignore_ascii_case(&(unit as u8))),
            Token::One | Token::Star => true,
            Token::OneInside | Token::StarInside => unit != COLON,
        }
    }
}

/// The places of a pattern that a text has reached.
pub(crate) type Places = Vec<bool>;

fn close(tokens: &[Token], places: &mut Places) {
    for (place, token) in tokens.iter().enumerate() {
        if places[place] && token.is_star() {
            places[place + 1] = true;
        }
    }
}

pub(crate) fn begin(tokens: &[Token]) -> Places {
    let mut places = vec![false; tokens.len() + 1];
    places[0] = true;
    close(tokens, &mut places);
    places
}

pub(crate) fn steps(tokens: &[Token], places: &Places, units: &[u16]) -> Places {
    let (mut places, mut next) = (places.clone(), Places::new());
    for unit in units {
        step_into(tokens, &places, *unit, &mut next);
        std::mem::swap(&mut places, &mut next);
    }
    places
}

fn step_into(tokens: &[Token], places: &Places, unit: u16, next: &mut Places) {
    next.clear();
    next.resize(tokens.len() + 1, false);
    for (place, token) in tokens.iter().enumerate() {
        if places[place] && token.takes(unit) {
            next[if token.is_star() { place } else { place + 1 }] = true;
        }
    }
    close(tokens, next);
}

pub(crate) fn ends(places: &Places) -> bool {
    places.last().copied().unwrap_or(false)
}

/// Says whether a pattern matches a whole text.
pub(crate) fn matches(tokens: &[Token], text: &str) -> bool {
    let (mut places, mut next) = (begin(tokens), Places::new());
    for unit in text.encode_utf16() {
        step_into(tokens, &places, unit, &mut next);
        std::mem::swap(&mut places, &mut next);
    }
    ends(&places)
}

/// Says whether a text holds wildcards.
pub(crate) fn is_wild(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'*' | b'?'))
}

/// Says whether a text may hold policy variables.
pub(crate) fn has_variables(text: &str) -> bool {
    // Most texts hold no dollar at all, and looking for one byte is quick.
    text.as_bytes().contains(&b'$') && text.contains("${")
}

/// Says whether bytes can be compared in place of UTF-16 units: only `?` tells the two apart (facts G.5).
fn bytes_will_do(pattern: &str, text: &str) -> bool {
    text.is_ascii() || !pattern.as_bytes().contains(&b'?')
}

/// Matches a whole text with a pattern in which `*` and `?` take everything; the texts must be such that bytes will do.
fn plain(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let Some(first) = pattern.iter().position(|byte| matches!(byte, b'*' | b'?')) else { return pattern == text };
    match (pattern.split_at_checked(first), text.split_at_checked(first)) {
        (Some((start, rest)), Some((own, left))) => start == own && (rest == b"*" || glob(rest, left, |own, byte| own == byte)),
        _ => false,
    }
}

/// A part of a text of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text in which wildcards mean something.
    Text(&'a str),
    /// A character in which they don't: `${*}`.
    Literal(&'a str),
    Variable {
        key: &'a str,
        default: Option<&'a str>,
    },
}

/// Cuts a text at its policy variables; what isn't a whole variable is text.
pub(crate) fn pieces(text: &str, variables: bool) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while variables && let Some((before, after)) = rest.split_once("${") {
        let Some((piece, left)) = variable(after) else { break };
        if !before.is_empty() {
            found.push(Piece::Text(before));
        }
        found.push(piece);
        rest = left;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

fn variable(after: &str) -> Option<(Piece<'_>, &str)> {
    let end = after.find(['}', ','])?;
    let (name, rest) = after.split_at_checked(end)?;
    if let Some(left) = rest.strip_prefix('}') {
        let piece = match name {
            "*" | "?" | "$" => Piece::Literal(name),
            key => Piece::Variable { key: key.trim(), default: None },
        };
        return Some((piece, left));
    }
    let quoted = rest.strip_prefix(',')?.trim_start().strip_prefix('\'')?;
    let (default, left) = quoted.split_once('\'')?;
    let left = left.trim_start().strip_prefix('}')?;
    Some((Piece::Variable { key: name.trim(), default: Some(default) }, left))
}

/// What a text is with its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filled<T> {
    Known(T),
    /// A variable has no value and no default: nothing is equal to it or like it (IAM-Vars).
    Nothing,
    /// A variable's value isn't known.
    Unknown,
}

impl<T> Filled<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Filled<U> {
        match self {
            Filled::Known(value) => Filled::Known(change(value)),
            Filled::Nothing => Filled::Nothing,
            Filled::Unknown => Filled::Unknown,
        }
    }
}

/// Fills the variables in, giving each part to `add` with whether wildcards mean something in it.
fn fill<'a>(text: &'a str, variables: bool, context: &'a Context<'_>, mut add: impl FnMut(&str, bool)) -> Filled<()> {
    let mut nothing = false;
    for piece in pieces(text, variables) {
        match piece {
            Piece::Text(text) => add(text, true),
            Piece::Literal(text) => add(text, false),
            Piece::Variable { key, default } => match context.find(key) {
                Found::One(value) => add(value, false),
                Found::Unknown => return Filled::Unknown,
                // A multivalued key can't be a variable, with a default neither (facts G.5).
                Found::Many(_) => nothing = true,
                Found::Absent => match default {
                    Some(default) => add(default, false),
                    None => nothing = true,
                },
            },
        }
    }
    if nothing { Filled::Nothing } else { Filled::Known(()) }
}

/// Gives a text without wildcards.
pub(crate) fn literal(text: &str, variables: bool, context: &Context<'_>) -> Filled<String> {
    let mut whole = String::with_capacity(text.len());
    fill(text, variables, context, |part, _| whole.push_str(part)).map(|()| whole)
}

/// Adds a part to a pattern; what a variable brought is text, never a wildcard.
fn add(tokens: &mut Vec<Token>, part: &str, wild: bool) {
    tokens.extend(part.encode_utf16().map(|unit| match u8::try_from(unit) {
        Ok(b'*') if wild => Token::Star,
        Ok(b'?') if wild => Token::One,
        _ => Token::Unit(unit),
    }));
}

/// Gives the pattern of a StringLike value.
pub(crate) fn like(text: &str, variables: bool, context: &Context<'_>) -> Filled<Vec<Token>> {
    let mut tokens = Vec::with_capacity(text.len());
    fill(text, variables, context, |part, wild| add(&mut tokens, part, wild)).map(|()| tokens)
}

/// Says whether a text is like a StringLike value.
pub(crate) fn is_like(pattern: &str, variables: bool, context: &Context<'_>, text: &str) -> Filled<bool> {
    if !(variables && has_variables(pattern)) && bytes_will_do(pattern, text) {
        return Filled::Known(plain(pattern, text));
    }
    like(pattern, variables, context).map(|tokens| matches(&tokens, text))
}

/// Gives the pattern of a value of an ARN operator, whose six parts are matched one by one; `Known(None)`: it is no ARN.
pub(crate) fn arn(text: &str, variables: bool, context: &Context<'_>) -> Filled<Option<Vec<Token>>> {
    like(text, variables, context).map(|mut tokens| {
        let mut colons = 0;
        for token in &mut tokens {
            match token {
                Token::Unit(COLON) => colons += 1,
                Token::Star if colons < 5 => *token = Token::StarInside,
                Token::One if colons < 5 => *token = Token::OneInside,
                _ => {}
            }
        }
        (colons >= 5).then_some(tokens)
    })
}

/// Says whether an ARN is like a value of an ARN operator; `Known(None)`: that value is no ARN.
pub(crate) fn is_like_arn(pattern: &str, variables: bool, context: &Context<'_>, text: &str) -> Filled<Option<bool>> {
    if !(variables && has_variables(pattern)) && bytes_will_do(pattern, text) {
        let (mut pattern, mut text) = (pattern, text);
        let mut same = true;
        for _ in 0..5 {
            let Some((own, pattern_left)) = pattern.split_once(':') else { return Filled::Known(None) };
            match text.split_once(':').filter(|_| same) {
                Some((part, text_left)) => {
                    same = plain(own, part);
                    text = text_left;
                }
                None => same = false,
            }
            pattern = pattern_left;
        }
        return Filled::Known(Some(same && plain(pattern, text)));
    }
    arn(pattern, variables, context).map(|tokens| tokens.map(|tokens| matches(&tokens, text)))
}

/// Says whether a request's value has the six parts of an ARN.
pub(crate) fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.bytes().filter(|b| *b == b':').count() >= 5
}

/// Says whether AWS would save this as an action: a service and a name, or a star.
pub(crate) fn is_action(pattern: &str) -> bool {
    pattern == "*" || pattern.split_once(':').is_some_and(|(service, name)| !(service.is_empty() || name.is_empty()))
}

/// Matches an action; its case doesn't matter (facts G.4).
pub(crate) fn action(pattern: &str, action: &str) -> bool {
    pattern == "*" || (is_action(pattern) && glob(pattern.as_bytes(), action.as_bytes(), |own, byte| own.eq_ignore_ascii_case(byte)))
}

fn glob(pattern: &[u8], text: &[u8], same: impl Fn(&u8, &u8) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(unit) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(own) if *own == b'?' || same(own, unit) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|own| *own == b'*')
}

/// Says whether AWS would save this as a resource: a star, or an ARN whose service has no wildcard (facts G.4).
pub(crate) fn is_resource(pattern: &str) -> bool {
    let service = || pattern.strip_prefix("arn:")?.split_once(':')?.1.split(':').next();
    pattern == "*" || service().is_some_and(|service| !service.is_empty() && !is_wild(service))
}

/// Says whether no wildcard before the fifth colon has to stay within its segment.
fn roams(head: &str) -> bool {
    let ends = |rest: Option<&u8>| matches!(rest, None | Some(b':'));
    let bytes = head.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'?' && (*byte != b'*' || ends(bytes.get(at + 1))))
}

/// Matches a resource. Wildcards stay within their segment, except that a star which ends its segment may go on beyond
/// the colon, and after the fifth colon everything goes (IAM-Resource). Variables only count there (facts G.5).
pub(crate) fn resource(pattern: &str, resource: &str, variables: bool, context: &Context<'_>) -> Filled<bool> {
    if pattern == "*" {
        return Filled::Known(true);
    }
    if !is_resource(pattern) {
        return Filled::Known(false);
    }
    let fifth = pattern.bytes().enumerate().filter(|(_, byte)| *byte == b':').nth(4).map_or(pattern.len(), |(at, _)| at + 1);
    let (head, tail) = pattern.split_at_checked(fifth).unwrap_or((pattern, ""));
    if !(variables && has_variables(tail)) && bytes_will_do(pattern, resource) && roams(head) {
        return Filled::Known(plain(pattern, resource));
    }
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut units = head.chars().peekable();
    while let Some(unit) = units.next() {
        match unit {
            '*' if units.peek().is_none_or(|next| *next == ':') => tokens.push(Token::Star),
            '*' => tokens.push(Token::StarInside),
            '?' => tokens.push(Token::OneInside),
            other => add(&mut tokens, other.encode_utf8(&mut [0; 4]), false),
        }
    }
    fill(tail, variables, context, |part, wild| add(&mut tokens, part, wild)).map(|()| matches(&tokens, resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like_is(pattern: &str, text: &str) -> bool {
        matches!(like(pattern, true, &Context::default()), Filled::Known(tokens) if matches(&tokens, text))
    }

    #[test]
    fn wildcards_count_utf_16_units() {
        assert!(like_is("a*c?", "abbcd") && !like_is("a*c?", "abbc") && like_is("*", "") && like_is("**a", "a"));
        assert!(!like_is("?", "𐐀") && like_is("??", "𐐀") && like_is("𐐀", "𐐀") && like_is("a*", "a\n/b"));
        assert!(like_is("${*}", "*") && !like_is("${*}", "x") && like_is("${$}{${?}", "${?"));
    }

    #[test]
    fn variables_are_cut_out() {
        assert_eq!(
            pieces("a${aws:username}b${k, 'x, y'}${?}", true),
            [
                Piece::Text("a"),
                Piece::Variable { key: "aws:username", default: None },
                Piece::Text("b"),
                Piece::Variable { key: "k", default: Some("x, y") },
                Piece::Literal("?"),
            ]
        );
        assert_eq!(pieces("${aws:username}", false), [Piece::Text("${aws:username}")]);
        assert_eq!(pieces("a${b", true), [Piece::Text("a${b")]);
    }

    #[test]
    fn resources_match_by_segment() {
        let is = |pattern: &str, text: &str| resource(pattern, text, true, &Context::default()) == Filled::Known(true);
        assert!(is("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y") && !is("arn:aws:s3:::b/*", "arn:aws:s3:::b"));
        assert!(is("arn:aws:iam::*:role/a", "arn:aws:iam::1:role/a") && !is("arn:aws:s3:::B", "arn:aws:s3:::b"));
        assert!(is("arn:aws:s3:*", "arn:aws:s3:::b/x") && is("arn:aws:s3:::*", "arn:aws:s3:::b:c"));
        assert!(!is("arn:aws:*:::b", "arn:aws:s3:::b") && !is("arn:*", "arn:aws:s3:::b") && !is("arn:aws:s3*", "arn:aws:s3:::b"));
        assert!(!is("arn:aws:iam::1*2:x", "arn:aws:iam::1:2:x") && is("arn:aws:iam::1?2:x", "arn:aws:iam::112:x"));
    }

    #[test]
    fn actions_match_in_any_case() {
        assert!(action("S3:get*", "s3:GetObject") && action("*", "s3:GetObject") && action("s3:?etObject", "s3:GetObject"));
        assert!(!action("s3*", "s3:GetObject") && !action("s3:Get", "s3:GetObject") && action("*:*", "s3:GetObject"));
    }
}
