//! JSON, written straight into the answer: 100,000 alerts are not made into values first.

use jiff::Timestamp;

use crate::alert::packed::PairsOf;

/// A text in quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    // Writing into memory does not fail.
    drop(serde_json::to_writer(out, text));
}

/// `{"name":"value",…}`.
pub(super) fn pairs(out: &mut Vec<u8>, pairs: PairsOf<'_>) {
    out.push(b'{');
    for (at, (name, value)) in pairs.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        text(out, value);
    }
    out.push(b'}');
}

/// Items with commas between them, in brackets.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Milliseconds and `Z`, in quotes, as Alertmanager's clients read it.
pub(super) fn time(out: &mut Vec<u8>, time: Timestamp) {
    let civil = jiff::tz::Offset::UTC.to_datetime(time);
    let mut number = |mut value: u32, digits: usize, after: u8| {
        let mut text = [b'0'; 4];
        for place in text.iter_mut().take(digits).rev() {
            *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
        }
        out.extend(text.iter().take(digits));
        out.push(after);
    };
    let part = |it: i8| u32::try_from(it).unwrap_or(0);
    number(0, 0, b'"');
    number(u32::try_from(civil.year()).unwrap_or(0), 4, b'-');
    number(part(civil.month()), 2, b'-');
    number(part(civil.day()), 2, b'T');
    number(part(civil.hour()), 2, b':');
    number(part(civil.minute()), 2, b':');
    number(part(civil.second()), 2, b'.');
    number(u32::try_from(civil.millisecond()).unwrap_or(0), 3, b'Z');
    number(0, 0, b'"');
}

#[cfg(test)]
mod tests {
    use crate::alert::{Pairs, packed::Packed};

    #[test]
    fn times() {
        for (text, expect) in [
            ("2026-01-02T03:04:05.6789Z", "\"2026-01-02T03:04:05.678Z\""),
            ("1970-01-01T00:00:00Z", "\"1970-01-01T00:00:00.000Z\""),
            ("9999-12-30T22:00:00.999Z", "\"9999-12-30T22:00:00.999Z\""),
            ("0001-01-01T00:00:00Z", "\"0001-01-01T00:00:00.000Z\""),
        ] {
            let mut out = Vec::new();
            super::time(&mut out, text.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        }
    }

    #[test]
    fn pairs_and_lists() {
        let pairs = |text: &str| -> Pairs {
            let pairs = text
                .split_terminator(',')
                .map(|it| it.split_once('=').unwrap());
            pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
        };
        for (text, expect) in [
            ("", "{}"),
            ("a=b,c=\"\n\\", "{\"a\":\"b\",\"c\":\"\\\"\\n\\\\\"}"),
        ] {
            let mut out = Vec::new();
            let packed = Packed::of(&pairs(text), &Pairs::new(), "");
            super::pairs(&mut out, packed.labels());
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        }
        let mut out = Vec::new();
        super::list(&mut out, ["a", "b"].into_iter(), super::text);
        assert_eq!(out, b"[\"a\",\"b\"]");
    }
}
