//! Numbers as Go prints them, so that our output can be held against Prometheus' own exporters byte by byte.

use std::fmt::{self, Write as _};

/// Appends `value` as Go's `strconv.FormatFloat(value, 'g', -1, 64)` does: the shortest digits that read back the
/// same, with an exponent below 1e-04 and from 1e+06 on (Go's `strconv/ftoa.go`, case `'g'`: for the shortest digits
/// the decision is taken with a precision of 6).
pub fn go_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    if value == 0.0 {
        return out.extend_from_slice(if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        });
    }
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return small_integer(out, value);
    }
    // `{:e}` gives the shortest digits: `d.ddde-7`.
    let mut text = Short::default();
    if write!(text, "{value:e}").is_err() {
        // Seventeen digits, a sign, a point and an exponent always fit.
        return out.extend_from_slice(b"NaN");
    }
    let text = text.as_str();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    out.extend_from_slice(sign.as_bytes());
    if !(-4..6).contains(&exponent) {
        out.extend_from_slice(mantissa.as_bytes());
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let exponent = exponent.unsigned_abs();
        if exponent < 10 {
            out.push(b'0');
        }
        return decimal(out, exponent);
    }
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let point = exponent + 1;
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend((point..0).map(|_| b'0'));
        out.extend(digits);
        return;
    }
    let mut written = 0;
    for digit in digits {
        if written == point {
            out.push(b'.');
        }
        out.push(digit);
        written += 1;
    }
    out.extend((written..point).map(|_| b'0'));
}

/// Most samples are small whole numbers: no detour through the shortest digits.
fn small_integer(out: &mut Vec<u8>, value: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the caller saw a whole number below 1e6"
    )]
    let whole = value.abs() as u32;
    if value < 0.0 {
        out.push(b'-');
    }
    decimal(out, whole);
}

/// Digits of a number above zero.
fn decimal(out: &mut Vec<u8>, mut rest: u32) {
    let start = out.len();
    while rest > 0 {
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Text on the stack: no allocation for each of many thousand numbers.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    len: usize,
}

impl Short {
    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.len).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Appends `value` as OpenMetrics wants it: always with a point or an exponent, as the reference implementations do.
pub(crate) fn open_float(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    go_float(out, value);
    let plain = |bytes: &[u8]| bytes.iter().all(|it| it.is_ascii_digit() || *it == b'-');
    if out.get(start..).is_some_and(plain) {
        out.extend_from_slice(b".0");
    }
}

/// Reads a number as Go's `expfmt` does: what `strconv.ParseFloat` takes, but neither hexadecimal nor underscores.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["inf", "infinity"]
        .iter()
        .any(|it| unsigned.eq_ignore_ascii_case(it))
    {
        return Some(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    // Rust also reads `+nan` and such; only digits may start a number here. Out of range is an error in Go.
    let starts = unsigned.starts_with(|it: char| it.is_ascii_digit() || it == '.');
    let number = starts.then(|| text.parse::<f64>().ok()).flatten()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{go_float, open_float, parse_float};

    fn text(write: fn(&mut Vec<u8>, f64), value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    /// Right column: printed by Go 1.26 `strconv.FormatFloat(v, 'g', -1, 64)`.
    #[test]
    fn as_go_prints() {
        for (value, expect) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (42.0, "42"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (123_456.7, "123456.7"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.00001, "1e-05"),
            (100.25, "100.25"),
            (10.0, "10"),
            (-12.5, "-12.5"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(go_float, value), expect);
        }
    }

    #[test]
    fn open_metrics_has_a_point() {
        for (value, expect) in [
            (0.0, "0.0"),
            (7.0, "7.0"),
            (-3.0, "-3.0"),
            (1e6, "1e+06"),
            (0.5, "0.5"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(text(open_float, value), expect);
        }
    }

    #[test]
    fn what_is_a_number() {
        for (text, expect) in [
            ("1", Some(1.0)),
            ("+1.5e3", Some(1500.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("+Inf", Some(f64::INFINITY)),
            ("-infinity", Some(f64::NEG_INFINITY)),
            ("", None),
            ("0x1", None),
            ("1_0", None),
            ("1e999", None),
            ("one", None),
            ("-", None),
            ("+NaN", None),
            ("infinit", None),
        ] {
            assert_eq!(parse_float(text), expect, "{text:?}");
        }
        assert!(parse_float("NaN").is_some_and(f64::is_nan));
    }

    /// What is written reads back the same, over many magnitudes.
    #[test]
    fn round_trip() {
        let mut value = 1.234_567_890_123e-300;
        while value < 1e300 {
            for sign in [1.0, -1.0] {
                let number = sign * value;
                assert_eq!(parse_float(&text(go_float, number)), Some(number));
                assert_eq!(parse_float(&text(open_float, number)), Some(number));
            }
            value *= 7.3;
        }
    }
}
