//! Numbers, dates and addresses as the condition operators compare them (facts G.5).

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A decimal number of any length: sign, digits without leading zeroes, digits after the point without trailing ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    whole: String,
    part: String,
}

/// Reads a decimal number; exponents only as far as JSON numbers are written with them.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match rest.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok().filter(|e| e.unsigned_abs() <= 400)?),
        None => (rest, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && part.is_empty()) || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (mut whole, mut part) = (whole.to_owned(), part.to_owned());
    for _ in 0..exponent.max(0) {
        whole.push(if part.is_empty() { '0' } else { part.remove(0) });
    }
    for _ in 0..exponent.min(0).abs() {
        part.insert(0, whole.pop().unwrap_or('0'));
    }
    let whole = whole.trim_start_matches('0').to_owned();
    let part = part.trim_end_matches('0').to_owned();
    let negative = negative && !(whole.is_empty() && part.is_empty());
    Some(Decimal { negative, whole, part })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |one: &Decimal, other: &Decimal| {
            one.whole.len().cmp(&other.whole.len()).then_with(|| one.whole.cmp(&other.whole)).then_with(|| one.part.cmp(&other.part))
        };
        match (self.negative, other.negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Milliseconds since 1970 of seconds since then, as a number is compared with `aws:EpochTime`.
pub(crate) fn epoch(text: &str) -> Option<i64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
    if !seconds.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok().filter(|seconds: &i64| *seconds < 1_000_000_000_000_000)?;
    Some(seconds * 1000 + milliseconds(part)?)
}

/// Milliseconds since 1970 of a date in the W3C profile of ISO 8601, or of seconds since 1970.
///
/// Four digits alone are a year: that is what the profile says, and an epoch so small is nobody's. A time without a zone
/// is UTC.
pub(crate) fn date(text: &str) -> Option<i64> {
    let number = text.strip_prefix('+').unwrap_or(text);
    if text.len() != 4 && number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return epoch(text);
    }
    let (day, time) = match text.split_once(['T', 't']) {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut parts = day.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    let date = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    if parts.next().is_some() || (time.is_some() && day.len() != 10) {
        return None;
    }
    let midnight = days(year, month, date)? * 86_400_000;
    let Some(time) = time else { return Some(midnight) };
    let (clock, offset) = if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        (clock, 0)
    } else if let Some(at) = time.find(['+', '-']) {
        let (clock, zone) = time.split_at_checked(at)?;
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let zone = zone.get(1..)?;
        let (hours, minutes) = zone.split_once(':').or_else(|| zone.split_at_checked(2))?;
        (clock, sign * (digits(hours, 2)?.min(24) * 60 + digits(minutes, 2).filter(|m| *m < 60)?))
    } else {
        (time, 0)
    };
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 2).filter(|h| *h < 24)?;
    let minutes = digits(parts.next()?, 2).filter(|m| *m < 60)?;
    let (seconds, part) = match parts.next() {
        None => (0, 0),
        Some(text) => {
            let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
            (digits(seconds, 2).filter(|s| *s <= 60)?, milliseconds(part)?)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    Some(midnight + ((hours * 60 + minutes - offset) * 60 + seconds) * 1000 + part)
}

fn milliseconds(part: &str) -> Option<i64> {
    if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{part}000").get(..3)?.parse().ok()
}

/// Reads an IPv4 address; its numbers may begin with zeroes (facts G.5).
fn v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = parts.next().filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// Reads an address of a request: an IPv4 address inside an IPv6 one is that IPv4 address (facts G.5).
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    if let Some(address) = v4(text) {
        return Some(IpAddr::V4(address));
    }
    let address: Ipv6Addr = text.parse().ok()?;
    Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
}

/// First and last address of a network of a policy, which keeps the family it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    V4(u32, u32),
    V6(u128, u128),
}

impl Network {
    pub(crate) fn has(self, address: IpAddr) -> bool {
        match (self, address) {
            (Network::V4(first, last), IpAddr::V4(address)) => (first..=last).contains(&u32::from(address)),
            (Network::V6(first, last), IpAddr::V6(address)) => (first..=last).contains(&u128::from(address)),
            _ => false,
        }
    }
}

/// Reads a network of a policy (facts G.5): what an IPv6 one has of an IPv4 one in it stays IPv6 and so meets no request, and one with
/// host bits never matches, so it is none.
pub(crate) fn network(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => {
            let digits = length.strip_prefix('+').unwrap_or(length);
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            (address, Some(is_number.then_some(digits)?.parse::<u32>().ok()?))
        }
        None => (text, None),
    };
    if let Some(address) = v4(address) {
        let host = u32::MAX.checked_shr(length.unwrap_or(32)).unwrap_or(0);
        let first = u32::from(address) & !host;
        return (length.unwrap_or(32) <= 32).then_some(Network::V4(first, first | host));
    }
    // Nor is an IPv6 network taken whose end is written with dots.
    let first = u128::from(address.parse::<Ipv6Addr>().ok().filter(|_| !address.contains('.'))?);
    let host = u128::MAX.checked_shr(length.unwrap_or(128)).unwrap_or(0);
    (length.unwrap_or(128) <= 128 && first & host == 0).then_some(Network::V6(first, first | host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_decimals_of_any_length() {
        let less = |a: &str, b: &str| decimal(a).unwrap() < decimal(b).unwrap();
        assert!(less("9", "10") && less("-10", "-9") && less("-1", "0") && less("0.5", "0.51"));
        assert!(less("123456789012345678901234567890.1", "123456789012345678901234567890.2"));
        for (a, b) in [("+007", "7"), ("1.50", "1.5"), ("1e2", "100"), ("100.0", "1.0E+2"), ("5e-1", ".5"), ("-0", "0")] {
            assert_eq!(decimal(a), decimal(b), "{a} {b}");
        }
        for bad in ["", "x", "1x", ".", "--1", "1e", "1e999", "0x10", "١"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_iso_or_epoch() {
        assert_eq!(date("1970-01-02"), Some(86_400_000));
        assert_eq!(date("2020-04-01T00:00:00Z"), Some(1_585_699_200_000));
        assert_eq!(date("1585699200"), Some(1_585_699_200_000));
        assert_eq!(date("+1585699200"), date("1585699200"));
        assert_eq!(date("2020-04-01T02:00:00.5+02:00"), Some(1_585_699_200_500));
        assert_eq!(date("2020-04-01T00:00Z"), date("2020-04-01"));
        assert_eq!(date("2020"), date("2020-01-01"));
        assert_eq!(date("2024-02-29").map(|d| d / 86_400_000), Some(19_782));
        for bad in
            ["", "2023-02-29", "2020-13-01", "2020-04-01T25:00:00Z", "tomorrow", "2020-4-1", "1.2.3", "+", "T", "é", "2020-04T00:00Z"]
        {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_follow_what_was_observed() {
        let has = |network: &str, one: &str| super::network(network).is_some_and(|n| address(one).is_some_and(|a| n.has(a)));
        assert!(has("203.0.113.0/24", "203.0.113.9") && has("203.0.113.5/24", "203.0.113.9") && has("10.0.0.1", "10.0.0.1"));
        assert!(has("0.0.0.0/0", "255.255.255.255") && has("::/0", "2001:db8::1") && has("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(has("2001:db8::4/127", "2001:db8::5") && !has("2001:db8::5/64", "2001:db8::5"));
        assert!(has("192.000.002.0/+24", "192.0.2.9") && has("192.0.2.0/024", "::ffff:192.0.2.9"));
        assert!(!has("::ffff:192.0.2.0/120", "192.0.2.9") && !has("::ffff:c000:200/120", "::ffff:192.0.2.9"));
        assert!(!has("0.0.0.0/0", "2001:db8::1") && !has("10.0.0.0/33", "10.0.0.0") && !has("10.0.0.0/", "10.0.0.0"));
    }
}
