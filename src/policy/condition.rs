//! The condition operators (facts G.5).

use super::context::{Context, Found};
use super::node::Nodes;
use super::parsed::{Condition, Order, Quantifier, Test};
use super::pattern::{self, Filled};
use super::values;
use std::cmp::Ordering;

/// Yes, no, or it hangs on a key that isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tri {
    No,
    Maybe,
    Yes,
}

impl Tri {
    pub(crate) fn of(yes: bool) -> Tri {
        if yes { Tri::Yes } else { Tri::No }
    }

    pub(crate) fn not(self) -> Tri {
        match self {
            Tri::No => Tri::Yes,
            Tri::Maybe => Tri::Maybe,
            Tri::Yes => Tri::No,
        }
    }

    pub(crate) fn filled(value: Filled<bool>) -> Tri {
        match value {
            Filled::Known(yes) => Tri::of(yes),
            Filled::Nothing => Tri::No,
            Filled::Unknown => Tri::Maybe,
        }
    }
}

/// What comparing one value of a request with the values of a policy gave, before negation.
enum Compared {
    Found(Tri),
    /// Decided whatever the sign of the operator: a value that is no ARN or no address (facts G.5).
    Settled(bool),
}

fn ordered(order: Order, ordering: Option<Ordering>) -> bool {
    ordering.is_some_and(|ordering| match order {
        Order::Equal => ordering == Ordering::Equal,
        Order::Less => ordering == Ordering::Less,
        Order::LessOrEqual => ordering != Ordering::Greater,
        Order::Greater => ordering == Ordering::Greater,
        Order::GreaterOrEqual => ordering != Ordering::Less,
    })
}

/// A place in which a condition is judged.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) context: &'a Context<'a>,
    /// Policy variables count.
    pub(crate) variables: bool,
    /// The statement denies.
    pub(crate) deny: bool,
}

fn text_test(values: Nodes<'_>, place: Place<'_>, test: impl Fn(&str) -> bool) -> Tri {
    let mut found = Tri::No;
    for value in values.scalars() {
        let whole = if place.variables && pattern::has_variables(&value) {
            pattern::literal(&value, true, place.context)
        } else if test(&value) {
            return Tri::Yes;
        } else {
            continue;
        };
        found = found.max(match whole {
            Filled::Known(text) => Tri::of(test(&text)),
            Filled::Nothing => Tri::No,
            Filled::Unknown => Tri::Maybe,
        });
    }
    found
}

fn truth(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

fn compare(condition: &Condition<'_>, value: &str, place: Place<'_>) -> Compared {
    let values = condition.values;
    let any = |test: &dyn Fn(&str) -> bool| Compared::Found(Tri::of(values.scalars().any(|value| test(&value))));
    match condition.operator.test {
        Test::StringEquals => Compared::Found(text_test(values, place, |text| text == value)),
        Test::StringEqualsIgnoreCase => {
            let same = |text: &str| {
                if text.is_ascii() && value.is_ascii() {
                    text.eq_ignore_ascii_case(value)
                } else {
                    text.to_lowercase() == value.to_lowercase()
                }
            };
            Compared::Found(text_test(values, place, same))
        }
        Test::Bool => Compared::Found(text_test(values, place, |text| truth(text) == truth(value))),
        Test::StringLike => {
            let mut found = Tri::No;
            for text in values.scalars() {
                found = found.max(Tri::filled(pattern::is_like(&text, place.variables, place.context, value)));
                if found == Tri::Yes {
                    break;
                }
            }
            Compared::Found(found)
        }
        Test::Arn => {
            if !pattern::is_arn(value) {
                return Compared::Settled(false);
            }
            let mut found = Tri::No;
            for text in values.scalars() {
                found = found.max(match pattern::is_like_arn(&text, place.variables, place.context, value) {
                    Filled::Known(Some(yes)) => Tri::of(yes),
                    // Observed: an operand that is no ARN can't grant, and counts for a Deny (STK-iam).
                    Filled::Known(None) if found == Tri::Yes => Tri::Yes,
                    Filled::Known(None) => return Compared::Settled(place.deny),
                    Filled::Nothing => Tri::No,
                    Filled::Unknown => Tri::Maybe,
                });
                if found == Tri::Yes {
                    break;
                }
            }
            Compared::Found(found)
        }
        Test::Numeric(order) => {
            let value = values::decimal(value);
            any(&|text| ordered(order, value.as_ref().zip(values::decimal(text).as_ref()).map(|(value, own)| value.cmp(own))))
        }
        Test::Date(order) => {
            let value = values::date(value);
            any(&|text| ordered(order, value.zip(values::date(text)).map(|(value, own)| value.cmp(&own))))
        }
        Test::Ip => match values::address(value) {
            Some(address) => any(&|text| values::network(text).is_some_and(|network| network.has(address))),
            None => Compared::Settled(false),
        },
        Test::Binary => {
            let value = aws_smithy_types::base64::decode(value).ok();
            any(&|text| value.is_some() && aws_smithy_types::base64::decode(text).ok() == value)
        }
        Test::Null => Compared::Settled(false),
    }
}

/// Says whether one value of a request passes, as one of several or alone.
pub(crate) fn one(condition: &Condition<'_>, value: &str, place: Place<'_>) -> Tri {
    match compare(condition, value, place) {
        Compared::Found(found) if condition.operator.negated => found.not(),
        Compared::Found(found) => found,
        Compared::Settled(yes) => Tri::of(yes),
    }
}

/// Judges a key of which is known that it is there, and a moment later than `after`.
fn later(condition: &Condition<'_>, after: i64) -> Tri {
    let compared = |order: Order, own: Option<i64>| match own {
        None => Tri::No,
        Some(own) if own <= after => Tri::of(matches!(order, Order::Greater | Order::GreaterOrEqual)),
        Some(_) => Tri::Maybe,
    };
    let any = |test: &dyn Fn(&str) -> Tri| condition.values.scalars().map(|value| test(&value)).max().unwrap_or(Tri::No);
    let found = match condition.operator.test {
        Test::Date(order) => any(&|text| compared(order, values::date(text))),
        Test::Numeric(order) => any(&|text| match values::epoch(text) {
            None if values::decimal(text).is_some() => Tri::Maybe,
            own => compared(order, own),
        }),
        _ => return Tri::Maybe,
    };
    if condition.operator.negated { found.not() } else { found }
}

/// Says whether one key under one operator holds.
pub(crate) fn holds(condition: &Condition<'_>, place: Place<'_>) -> Tri {
    let found = place.context.find(condition.key);
    let after = if found == Found::Unknown { place.context.later_than(condition.key) } else { None };
    if condition.operator.test == Test::Null {
        let absent = match found {
            Found::Unknown if after.is_some() => false,
            Found::Unknown => return Tri::Maybe,
            Found::Absent => true,
            Found::One(_) => false,
            // A key without a value is null: "the key exists and its value is not null" is what `false` asks (IAM-CondOps).
            Found::Many(values) => values.is_empty(),
        };
        // Observed: every text but `true` asks for presence (facts G.5).
        return Tri::of(condition.values.scalars().any(|value| value.eq_ignore_ascii_case("true") == absent));
    }
    match after {
        Some(after) => later(condition, after),
        None => judged(condition, found, place),
    }
}

fn judged(condition: &Condition<'_>, found: Found<'_>, place: Place<'_>) -> Tri {
    let operator = condition.operator;
    match (found, operator.quantifier) {
        (Found::Unknown, _) => Tri::Maybe,
        (Found::Absent, Quantifier::Scalar) => Tri::of(operator.if_exists || operator.negated),
        (Found::Absent, Quantifier::ForAll) => Tri::Yes,
        (Found::Absent, Quantifier::ForAny) => Tri::of(operator.if_exists),
        (Found::One(value), _) => one(condition, value, place),
        // Observed: never, negated and IfExists included (facts G.5).
        (Found::Many(_), Quantifier::Scalar) => Tri::No,
        (Found::Many(values), Quantifier::ForAll) => values.iter().map(|value| one(condition, value, place)).min().unwrap_or(Tri::Yes),
        (Found::Many(values), Quantifier::ForAny) => values.iter().map(|value| one(condition, value, place)).max().unwrap_or(Tri::No),
    }
}
