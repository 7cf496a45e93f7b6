//! Moments and durations as amtool reads and shows them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    config,
    template::{GoTime, go_time},
};

/// `2006-01-02T15:04:05-07:00`, in the layouts of Go.
const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
/// As Alertmanager's API writes it.
const WRITTEN: &str = "2006-01-02T15:04:05.000Z07:00";

/// A moment with the offset that it was written with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment(GoTime);

impl Moment {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let time = go_time(RFC3339, text);
        time.map(Self).map_err(|_error| {
            format!("{text:?} is no time of RFC 3339 such as 2026-01-02T15:04:05+01:00")
        })
    }

    pub(super) const fn utc(at: Timestamp) -> Self {
        Self(GoTime::utc(at))
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.0.at
    }

    /// In a layout of Go's, such as `2006-01-02 15:04:05 MST`.
    pub(super) fn format(&self, layout: &str) -> String {
        self.0.format(layout)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format(WRITTEN))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Prometheus' durations: `1d12h`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .ok_or_else(|| format!("{text:?} is no duration such as 30s, 5m, 1h30m or 1d"))
}

/// Go's durations, `1h30m` and `1.5h`, and Prometheus' beside them, so that a day needs not be counted in hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    go_duration(text).map_or_else(|| span(text), Ok)
}

/// Without a sign: nothing here lasts less than no time.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() || text.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|it: char| it.is_ascii_digit() || it == '.');
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    // As many as fit Go's nanoseconds.
    (total < 9_223_372_036.0)
        .then(|| Duration::try_from_secs_f64(total).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Moment, duration, span};

    #[test]
    fn durations() {
        for (text, expect) in [
            ("30s", Some(30.0)),
            ("1h30m", Some(5400.0)),
            ("1.5h", Some(5400.0)),
            ("250ms", Some(0.25)),
            ("1d", Some(86_400.0)),
            ("2w", Some(1_209_600.0)),
            ("0", Some(0.0)),
            ("", None),
            ("5", None),
            ("-5s", None),
            ("h", None),
            (".h", None),
            ("9999999999h", None),
        ] {
            let expect = expect.map(Duration::from_secs_f64);
            assert_eq!(duration(text).ok(), expect, "{text}");
        }
        assert_eq!(span("1.5h").ok(), None);
        assert_eq!(
            span("5").unwrap_err(),
            "\"5\" is no duration such as 30s, 5m, 1h30m or 1d"
        );
    }

    #[test]
    fn moments() {
        for (text, expect) in [
            ("2026-01-02T03:04:05Z", Ok("2026-01-02 03:04:05 UTC")),
            ("2026-01-02T03:04:05.678Z", Ok("2026-01-02 03:04:05 UTC")),
            ("2026-01-02T03:04:05+02:00", Ok("2026-01-02 03:04:05 +0200")),
            (
                "now",
                Err("\"now\" is no time of RFC 3339 such as 2026-01-02T15:04:05+01:00"),
            ),
            (
                "2026-13-02T03:04:05Z",
                Err(
                    "\"2026-13-02T03:04:05Z\" is no time of RFC 3339 such as 2026-01-02T15:04:05+01:00",
                ),
            ),
        ] {
            let found = Moment::parse(text).map(|it| it.format("2006-01-02 15:04:05 MST"));
            let found = found.as_deref().map_err(String::as_str);
            assert_eq!(found, expect, "{text}");
        }
        let moment = Moment::parse("2026-01-02T03:04:05.6+02:00").unwrap();
        assert_eq!(
            serde_json::to_string(&moment).unwrap(),
            "\"2026-01-02T03:04:05.600+02:00\""
        );
    }
}
