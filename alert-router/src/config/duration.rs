//! Durations: as Prometheus writes them, `1d12h`, and as Go does, `1h30m0.5s`. All are of whole nanoseconds.

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// From the longest to the shortest.
const PROMETHEUS: [(&str, i64); 7] = [
    ("y", 365 * 24 * HOUR),
    ("w", 7 * 24 * HOUR),
    ("d", 24 * HOUR),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
];

/// In whichever order.
const GO: [(&str, i64); 8] = [
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// Units from years to milliseconds, each once and in this order (Prometheus' `common/model`, `ParseDuration`); `0` alone.
pub(super) fn prometheus(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut units) = (text, PROMETHEUS.as_slice());
    let mut total = 0_i64;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, factor) = units.get(at)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*factor)?)?;
        units = units.get(at + 1..)?;
        rest = tail;
    }
    Some(total)
}

/// As Prometheus writes it: years and weeks only where nothing is left over.
pub(super) fn prometheus_text(nanoseconds: i64) -> String {
    let mut left = nanoseconds / MILLISECOND * MILLISECOND;
    if left == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if left < 0 {
        out.push('-');
        left = left.saturating_neg();
    }
    for (unit, factor) in PROMETHEUS {
        if matches!(unit, "y" | "w") && left % factor != 0 {
            continue;
        }
        if left >= factor {
            out.push_str(&(left / factor).to_string());
            out.push_str(unit);
            left %= factor;
        }
    }
    out
}

/// A sign, and numbers with a fraction and a unit (Go's `time.ParseDuration`); `0` alone.
pub(super) fn go(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Some(0);
    }
    let mut rest = unsigned;
    let mut total = 0_i128;
    while !rest.is_empty() || unsigned.is_empty() {
        let (number, tail) =
            rest.split_at(rest.find(|it: char| !it.is_ascii_digit() && it != '.')?);
        let letters = tail.find(|it: char| it.is_ascii_digit() || it == '.');
        let (unit, tail) = tail.split_at(letters.unwrap_or(tail.len()));
        let (_, factor) = GO.iter().find(|it| it.0 == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let factor = i128::from(*factor);
        let value = |it: &str| {
            if it.is_empty() {
                Some(0)
            } else {
                it.parse::<i64>().ok()
            }
        };
        total += i128::from(value(whole)?) * factor;
        // What is finer than a nanosecond is cut off.
        let fraction: String = fraction.chars().take(18).collect();
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total += i128::from(value(&fraction)?) * factor / scale;
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// As Go writes it: `1h30m0s`, `1.5s`, `10ms`.
pub(super) fn go_text(nanoseconds: i64) -> String {
    let fraction = |value: i64, unit: i64| {
        let text = format!(
            "{}.{:0width$}",
            value / unit,
            value % unit,
            width = unit.ilog10().try_into().unwrap_or(0)
        );
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let left = nanoseconds.saturating_abs();
    if left == 0 {
        return "0s".to_owned();
    }
    if left < 1_000 {
        return format!("{sign}{left}ns");
    }
    if left < MILLISECOND {
        return format!("{sign}{}µs", fraction(left, 1_000));
    }
    if left < SECOND {
        return format!("{sign}{}ms", fraction(left, MILLISECOND));
    }
    let seconds = fraction(left % MINUTE, SECOND);
    let (hours, minutes) = (left / HOUR, left % HOUR / MINUTE);
    if hours > 0 {
        format!("{sign}{hours}h{minutes}m{seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m{seconds}s")
    } else {
        format!("{sign}{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::{go, go_text, prometheus, prometheus_text};

    #[test]
    fn of_prometheus() {
        for (text, expect, written) in [
            ("0", Some(0), "0s"),
            ("30s", Some(30_000), "30s"),
            ("1d12h", Some(129_600_000), "1d12h"),
            ("1h30m", Some(5_400_000), "1h30m"),
            ("90m", Some(5_400_000), "1h30m"),
            ("500ms", Some(500), "500ms"),
            ("1y2w", Some(32_745_600_000), "379d"),
            ("2w", Some(1_209_600_000), "2w"),
            ("730d", Some(63_072_000_000), "2y"),
            ("", None, ""),
            ("5", None, ""),
            ("s", None, ""),
            ("-5s", None, ""),
            ("1m1h", None, ""),
            ("1s1s", None, ""),
            ("1.5h", None, ""),
            ("300y", None, ""),
            ("99999999999999999999s", None, ""),
        ] {
            let found = prometheus(text);
            assert_eq!(found, expect.map(|it: i64| it * 1_000_000), "{text:?}");
            if let Some(found) = found {
                assert_eq!(prometheus_text(found), written, "{text:?}");
            }
        }
    }

    #[test]
    fn of_go() {
        for (text, expect, written) in [
            ("0", Some(0), "0s"),
            ("10s", Some(10_000_000_000), "10s"),
            ("1h", Some(3_600_000_000_000), "1h0m0s"),
            ("90m", Some(5_400_000_000_000), "1h30m0s"),
            ("1.5s", Some(1_500_000_000), "1.5s"),
            (".5m", Some(30_000_000_000), "30s"),
            ("1m1h", Some(3_660_000_000_000), "1h1m0s"),
            ("250ms", Some(250_000_000), "250ms"),
            ("1500us", Some(1_500_000), "1.5ms"),
            ("7ns", Some(7), "7ns"),
            ("-5s", Some(-5_000_000_000), "-5s"),
            ("+5s", Some(5_000_000_000), "5s"),
            ("1d", None, ""),
            ("5", None, ""),
            (".s", None, ""),
            ("", None, ""),
            ("-", None, ""),
            ("1e3s", None, ""),
            ("9999999999h", None, ""),
        ] {
            let found = go(text);
            assert_eq!(found, expect, "{text:?}");
            if let Some(found) = found {
                assert_eq!(go_text(found), written, "{text:?}");
            }
        }
    }
}
