//! JSON as Go's `encoding/json` writes it, which is what receivers of Alertmanager's calls see.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// A body of a call, with the line end that Go's encoder leaves.
pub(super) fn body(value: &impl Serialize) -> Result<String, String> {
    let mut out = Vec::with_capacity(1024);
    let mut serializer = Serializer::with_formatter(&mut out, Go);
    value
        .serialize(&mut serializer)
        .map_err(|error| error.to_string())?;
    out.push(b'\n');
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// Escapes what would mean something in HTML or in scripts, and writes numbers as ECMAScript does.
struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        // A line separator is E2 80 A8 or E2 80 A9 in UTF-8.
        let special = |it: u8| matches!(it, b'<' | b'>' | b'&' | 0xe2);
        let mut from = 0;
        while let Some(found) = rest.bytes().skip(from).position(special) {
            let at = from + found;
            let Some((plain, tail)) = rest.split_at_checked(at) else {
                break;
            };
            let Some(character) = tail.chars().next() else {
                break;
            };
            if matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
                writer.write_all(plain.as_bytes())?;
                write!(writer, "\\u{:04x}", u32::from(character))?;
                rest = tail.get(character.len_utf8()..).unwrap_or_default();
                from = 0;
            } else {
                from = at + character.len_utf8();
            }
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        CompactFormatter.write_char_escape(writer, escape)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let text = if size >= 1.0 {
                text.replace('e', "e+")
            } else {
                text
            };
            return writer.write_all(text.as_bytes());
        }
        write!(writer, "{value}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::body;

    /// The expectations are Go's.
    #[test]
    fn bodies() {
        for (value, expect) in [
            (json!("a<b>&'\"\\"), r#""a\u003cb\u003e\u0026'\"\\""#),
            (
                json!("é\u{2028}€\u{2029}â<"),
                "\"é\\u2028€\\u2029â\\u003c\"",
            ),
            (
                json!("\u{8}\u{c}\n\r\t\u{1}\u{7f}"),
                "\"\\b\\f\\n\\r\\t\\u0001\u{7f}\"",
            ),
            (json!(1.0), "1"),
            (json!(-0.5), "-0.5"),
            (json!(1e21), "1e+21"),
            (json!(1.5e300), "1.5e+300"),
            (json!(1e-7), "1e-7"),
            (json!(123_456_789.125), "123456789.125"),
            (
                json!({"b": [1, null, true], "<": {}}),
                r#"{"\u003c":{},"b":[1,null,true]}"#,
            ),
        ] {
            assert_eq!(body(&value).unwrap(), format!("{expect}\n"));
        }
    }
}
