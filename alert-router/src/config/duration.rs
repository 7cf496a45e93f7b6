//! Durations as Prometheus writes them: `1d12h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// A duration of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no duration such as 30s, 5m, 1h30m or 1d"
            ))
        })
    }
}

/// Units from years to milliseconds, each once and in this order (Prometheus' `common/model`, `ParseDuration`); `0` alone.
fn parse(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut units) = (text, UNITS.as_slice());
    let mut total = 0_u64;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, factor) = units.get(at)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        units = units.get(at + 1..)?;
        rest = tail;
    }
    // As many as fit Go's nanoseconds.
    (total < 9_223_372_036_854).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn durations() {
        for (text, expect) in [
            ("0", Some(0)),
            ("30s", Some(30_000)),
            ("1d12h", Some(129_600_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1y2w", Some(32_745_600_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("1m1h", None),
            ("1s1s", None),
            ("1.5h", None),
            ("300y", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse(text), expect.map(Duration::from_millis), "{text:?}");
        }
    }
}
