//! What a request says about itself: complete, but for the keys that are named unknown.

use std::borrow::Cow;

/// The value of a key: a list is a multivalued key, whatever its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

/// The keys of a request; names don't care about case (facts G.5).
#[derive(Debug, Clone, Default)]
pub(crate) struct Context<'a> {
    known: Vec<(&'a str, Held<'a>)>,
    unknown: Vec<&'a str>,
    /// Unknown keys that are certain to be a moment later than this one, in milliseconds since 1970.
    later: Vec<(&'a str, i64)>,
}

/// What looking for a key gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Absent,
    Unknown,
    One(&'a str),
    Many(&'a [Cow<'a, str>]),
}

impl<'a> Context<'a> {
    /// Makes a context with room for so many keys.
    pub(crate) fn with_room(keys: usize) -> Context<'a> {
        Context { known: Vec::with_capacity(keys), ..Context::default() }
    }

    /// Sets a key; the last value counts.
    pub(crate) fn set(&mut self, key: &'a str, value: Held<'a>) {
        self.known.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        self.known.push((key, value));
    }

    /// Sets a key unless it is there.
    pub(crate) fn set_default(&mut self, key: &'a str, value: Cow<'a, str>) {
        if self.find(key) == Found::Absent {
            self.known.push((key, Held::One(value)));
        }
    }

    /// Says that a key's value, and whether there is one, isn't known; a value that was given doesn't count then.
    pub(crate) fn forget(&mut self, key: &'a str) {
        if !self.unknown.iter().any(|name| name.eq_ignore_ascii_case(key)) {
            self.unknown.push(key);
        }
    }

    /// Says that a key is there and is a moment later than `after`, in milliseconds since 1970; more isn't known.
    pub(crate) fn forget_all_but(&mut self, key: &'a str, after: i64) {
        self.forget(key);
        self.later.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        self.later.push((key, after));
    }

    /// Gives the moment than which an unknown key is certain to be later, if it is such a key.
    pub(crate) fn later_than(&self, key: &str) -> Option<i64> {
        self.later.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, after)| *after)
    }

    /// Gives the context that would be if an unknown key had this value.
    pub(crate) fn suppose(&self, key: &'a str, value: Option<Held<'a>>) -> Context<'a> {
        let mut supposed = self.clone();
        supposed.unknown.retain(|name| !name.eq_ignore_ascii_case(key));
        supposed.known.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        supposed.later.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        if let Some(value) = value {
            supposed.known.push((key, value));
        }
        supposed
    }

    pub(crate) fn unknown(&self) -> &[&'a str] {
        &self.unknown
    }

    pub(crate) fn find(&self, key: &str) -> Found<'_> {
        if self.unknown.iter().any(|name| name.eq_ignore_ascii_case(key)) {
            return Found::Unknown;
        }
        match self.known.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
            None => Found::Absent,
            Some((_, Held::One(value))) => Found::One(value),
            Some((_, Held::Many(values))) => Found::Many(values),
        }
    }
}
