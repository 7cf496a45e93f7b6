//! `encoding/json` as templates use it: `toJson`, and values in scripts.

use super::{
    print::{first_character, float},
    value::{Int, Value},
};

/// A value as JSON, with Go's escapes.
///
/// # Errors
/// For numbers that JSON has not.
pub(super) fn marshal(value: &Value) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Invalid | Value::Nil => out.extend_from_slice(b"null"),
        Value::Bool(it) => out.extend_from_slice(if *it { b"true" } else { b"false" }),
        Value::Int(Int::Plain | Int::Wide | Int::Duration | Int::Month | Int::Weekday, it) => {
            out.extend_from_slice(it.to_string().as_bytes());
        }
        Value::Byte(it) => out.extend_from_slice(it.to_string().as_bytes()),
        Value::Float(it) => out.extend_from_slice(number(*it)?.as_bytes()),
        Value::Complex(..) => return Err("json: unsupported type: complex128".to_owned()),
        Value::Text(_, it) => string(it, out),
        Value::Time(it) => string(it.rfc3339().as_bytes(), out),
        Value::Location(_) => out.extend_from_slice(b"{}"),
        Value::List(_, items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Map(_, map) => {
            out.push(b'{');
            for (at, (key, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
        Value::Struct(kind, fields) | Value::Pointer(kind, fields) => {
            out.push(b'{');
            let named = kind.fields().iter().zip(fields.iter());
            let shown = named.filter(|((_, name), _)| !name.is_empty());
            for (at, ((_, name), item)) in shown.enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(name.as_bytes(), out);
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// As ECMAScript writes numbers.
fn number(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        let shown = float(value.abs(), 'g', None);
        let sign = if value < 0.0 { "-" } else { "+" };
        let sign = if value.is_nan() { "" } else { sign };
        return Err(format!("json: unsupported value: {sign}{shown}"));
    }
    let size = value.abs();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = float(size, 'e', None);
        // e-09 is e-9 there.
        let text = text.replace("e-0", "e-");
        return Ok(format!("{sign}{text}"));
    }
    Ok(format!("{sign}{}", float(size, 'f', None)))
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut at = 0;
    while let Some((character, size)) = first_character(text.get(at..).unwrap_or_default()) {
        let bytes = text.get(at..at + size).unwrap_or_default();
        at += size;
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            char::REPLACEMENT_CHARACTER if size == 1 => out.extend_from_slice(b"\\ufffd"),
            _ => out.extend_from_slice(bytes),
        }
    }
    out.push(b'"');
}
