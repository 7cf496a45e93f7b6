//! The functions of Go's templates (`text/template`, "Functions") and Alertmanager's own (its `template.DefaultFuncs`).

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use jiff::Timestamp;

use crate::go_regex;

use super::{
    exec::MAX_OUTPUT,
    json,
    print::{first_character, is_print, sprint, sprintf, sprintln},
    time::{self, Time, Zone},
    value::{Bytes, Int, List, Map, Struct, Text, Type, Value},
};

/// A function's parameters: the fixed ones, and the type of those that may follow.
pub(super) struct Signature {
    pub(super) fixed: &'static [Type],
    pub(super) more: Option<Type>,
}

type Result<T, E = String> = std::result::Result<T, E>;

/// The parameters of a function; None when there is none of that name.
pub(super) fn signature(name: &str) -> Option<Signature> {
    use Type::{Any, Anys, Reflect, String, Strings, Time};
    let (fixed, more): (&'static [Type], Option<Type>) = match name {
        "and" | "or" | "call" | "index" | "slice" | "eq" => (&[Reflect], Some(Reflect)),
        "not" | "len" => (&[Reflect], None),
        "ne" | "lt" | "le" | "gt" | "ge" => (&[Reflect, Reflect], None),
        "html" | "js" | "print" | "println" | "urlquery" | "list" | "dict" => (&[], Some(Any)),
        "printf" => (&[String], Some(Any)),
        "toUpper" | "toLower" | "title" | "trimSpace" | "safeHtml" | "safeUrl" | "urlUnescape"
        | "routeLabels" | "base64encode" | "base64decode" => (&[String], None),
        "join" => (&[String, Strings], None),
        "match" | "toDate" | "mustToDate" => (&[String, String], None),
        "reReplaceAll" => (&[String, String, String], None),
        "stringSlice" => (&[], Some(String)),
        "date" | "tz" => (&[String, Time], None),
        "now" => (&[], None),
        "since" => (&[Time], None),
        "humanizeDuration" | "toJson" => (&[Any], None),
        "append" => (&[Anys], Some(Any)),
        _ if name.starts_with('_') && super::html::is_escaper(name) => (&[], Some(Any)),
        _ => return None,
    };
    Some(Signature { fixed, more })
}

/// Calls a function with arguments of its types.
pub(super) fn call(name: &str, arguments: Vec<Value>, now: Timestamp) -> Result<Value> {
    let first = || arguments.first().cloned().unwrap_or(Value::Invalid);
    let second = || arguments.get(1).cloned().unwrap_or(Value::Invalid);
    let text = |at: usize| match arguments.get(at) {
        Some(Value::Text(_, text)) => time::text(text),
        _ => String::new(),
    };
    let bytes = |at: usize| match arguments.get(at) {
        Some(Value::Text(_, text)) => Arc::clone(text),
        _ => Bytes::default(),
    };
    let moment = |at: usize| match arguments.get(at) {
        Some(Value::Time(time)) => time.clone(),
        _ => Time::utc(time::zero()),
    };
    Ok(match name {
        "call" => {
            let of = first();
            return Err(match of {
                Value::Invalid | Value::Nil => "call of nil".to_owned(),
                of => format!("non-function of type {}", of.type_name()),
            });
        }
        "not" => Value::Bool(!first().truth()),
        "len" => Value::int(length(&first())?),
        "index" => index(first(), arguments.get(1..).unwrap_or_default())?,
        "slice" => slice(&first(), arguments.get(1..).unwrap_or_default())?,
        "eq" => Value::Bool(equal(&first(), arguments.get(1..).unwrap_or_default())?),
        "ne" => Value::Bool(!equal(&first(), &[second()])?),
        "lt" => Value::Bool(less(&first(), &second())?),
        "le" => Value::Bool(less(&first(), &second())? || equal(&first(), &[second()])?),
        "gt" => Value::Bool(!(less(&first(), &second())? || equal(&first(), &[second()])?)),
        "ge" => Value::Bool(!less(&first(), &second())?),
        "print" => Value::text(sprint(&arguments)),
        "println" => Value::text(sprintln(&arguments)),
        "printf" => {
            let format = bytes(0);
            let rest = arguments.get(1..).unwrap_or_default();
            Value::text(bounded(sprintf(&format, rest))?)
        }
        "html" => Value::text(html_escaped(&evaluated(&arguments))),
        "js" => Value::text(js_escaped(&evaluated(&arguments))),
        "urlquery" => Value::text(query_escaped(&evaluated(&arguments))),
        "toUpper" => Value::text(mapped(&bytes(0), |it| it.to_uppercase())),
        "toLower" => Value::text(mapped(&bytes(0), |it| it.to_lowercase())),
        "title" => Value::text(title(&text(0))),
        "trimSpace" => Value::text(trimmed(&bytes(0))),
        "join" => join(&bytes(0), &second())?,
        "match" => {
            let regex = go_regex::compile(&text(0)).map_err(|why| bad_regex(&text(0), &why))?;
            Value::Bool(regex.is_match(&text(1)))
        }
        "reReplaceAll" => {
            let regex = go_regex::compile(&text(0)).map_err(|why| {
                format!(
                    "regexp: Compile({}): {}",
                    super::print::quote(text(0).as_bytes(), '`', false),
                    bad_regex(&text(0), &why)
                )
            })?;
            Value::text(bounded(
                regex
                    .replace_all(&text(2), text(1).as_str())
                    .into_owned()
                    .into_bytes(),
            )?)
        }
        "safeHtml" => Value::Text(Text::Html, bytes(0)),
        "safeUrl" => Value::Text(Text::Url, bytes(0)),
        "urlUnescape" => Value::text(query_unescaped(&bytes(0))?),
        "routeLabels" => Value::text(""),
        "stringSlice" => Value::List(List::Strings, Arc::new(arguments)),
        "date" => Value::text(moment(1).format(&text(0))),
        "tz" => {
            let Time { at, .. } = moment(1);
            let zone = Zone::load(&text(0))?;
            Value::Time(Time { at, zone })
        }
        "now" => Value::Time(Time {
            at: now,
            zone: Zone::local(),
        }),
        "since" => {
            let nanos = now.as_nanosecond() - moment(0).at.as_nanosecond();
            let nanos = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            Value::Int(Int::Duration, i64::try_from(nanos).unwrap_or_default())
        }
        "humanizeDuration" => Value::text(humanized(&first())?),
        "toDate" => {
            let parsed = time::parse(&text(0), &text(1));
            Value::Time(parsed.unwrap_or_else(|_unreadable| Time::utc(time::zero())))
        }
        "mustToDate" => Value::Time(time::parse(&text(0), &text(1))?),
        "toJson" => Value::text(json::marshal(&first())?),
        "base64encode" => Value::text(URL_SAFE.encode(bytes(0))),
        "base64decode" => {
            let decoded = URL_SAFE.decode(bytes(0));
            Value::text(decoded.map_err(|_error| "illegal base64 data".to_owned())?)
        }
        "list" => Value::List(List::Any, Arc::new(arguments)),
        "append" => {
            let mut items = match first() {
                Value::List(_, items) => items.to_vec(),
                _ => Vec::new(),
            };
            items.extend_from_slice(arguments.get(1..).unwrap_or_default());
            Value::List(List::Any, Arc::new(items))
        }
        "dict" => dict(&arguments)?,
        _ => Value::Text(Text::String, super::html::escaped(name, &arguments).into()),
    })
}

/// One text may not be made so long that it takes all memory.
fn bounded(text: Vec<u8>) -> Result<Vec<u8>> {
    if text.len() > MAX_OUTPUT {
        return Err(format!("a text of more than {MAX_OUTPUT} bytes"));
    }
    Ok(text)
}

fn dict(arguments: &[Value]) -> Result<Value> {
    if !arguments.len().is_multiple_of(2) {
        return Err("dict requires an even number of arguments".to_owned());
    }
    let mut map = BTreeMap::new();
    for pair in arguments.chunks_exact(2) {
        let [Value::Text(Text::String, key), value] = pair else {
            return Err("dict keys must be strings".to_owned());
        };
        map.insert(Arc::clone(key), value.clone());
    }
    Ok(Value::Map(Map::Any, Arc::new(map)))
}

pub(super) fn join(separator: &[u8], list: &Value) -> Result<Value> {
    let Value::List(_, items) = list else {
        return Ok(Value::text(""));
    };
    let mut text = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(separator);
        }
        if let Value::Text(_, it) = item {
            text.extend_from_slice(it);
        }
    }
    Ok(Value::text(bounded(text)?))
}

pub(super) fn length(value: &Value) -> Result<usize> {
    match value {
        Value::Text(_, it) => Ok(it.len()),
        Value::List(_, it) => Ok(it.len()),
        Value::Map(_, it) => Ok(it.len()),
        Value::Nil => Err("len of nil pointer".to_owned()),
        Value::Pointer(kind, fields) => length(&Value::Struct(*kind, Arc::clone(fields))),
        // Go panics, and says it like this.
        Value::Invalid => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        other => Err(format!("len of type {}", other.type_name())),
    }
}

/// `x[1][2]`.
fn index(item: Value, indexes: &[Value]) -> Result<Value> {
    let mut item = item.concrete();
    if item == Value::Invalid {
        return Err("index of untyped nil".to_owned());
    }
    for index in indexes {
        item = match &item {
            Value::Nil | Value::Invalid => return Err("index of nil pointer".to_owned()),
            Value::Text(_, text) => {
                let at = position(index, text.len())?;
                text.get(at)
                    .map(|it| Value::Byte(*it))
                    .ok_or_else(|| "reflect: string index out of range".to_owned())?
            }
            Value::List(_, items) => {
                let at = position(index, items.len())?;
                items
                    .get(at)
                    .cloned()
                    .ok_or_else(|| "reflect: slice index out of range".to_owned())?
            }
            Value::Map(kind, map) => {
                let key = match index {
                    Value::Text(Text::String, key) => key,
                    Value::Invalid | Value::Nil => {
                        return Err("value is nil; should be of type string".to_owned());
                    }
                    other => {
                        let name = other.type_name();
                        return Err(format!("value has type {name}; should be string"));
                    }
                };
                match (map.get(key), kind) {
                    (Some(found), _) => found.clone(),
                    (None, Map::Kv) => Value::text(""),
                    (None, Map::Any) => Value::Nil,
                }
            }
            other => {
                let name = match other {
                    Value::Pointer(kind, fields) => {
                        Value::Struct(*kind, Arc::clone(fields)).type_name()
                    }
                    other => other.type_name(),
                };
                return Err(format!("can't index item of type {name}"));
            }
        };
    }
    Ok(item)
}

fn position(index: &Value, end: usize) -> Result<usize> {
    let number = match index {
        Value::Int(_, it) => *it,
        Value::Byte(it) => i64::from(*it),
        Value::Invalid | Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => {
            let name = other.type_name();
            return Err(format!("cannot index slice/array with type {name}"));
        }
    };
    usize::try_from(number)
        .ok()
        .filter(|it| *it <= end)
        .ok_or_else(|| format!("index out of range: {number}"))
}

/// `x[1:2]`.
fn slice(item: &Value, indexes: &[Value]) -> Result<Value> {
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let length = match item {
        Value::Invalid | Value::Nil => return Err("slice of untyped nil".to_owned()),
        Value::Text(..) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(_, text) => text.len(),
        Value::List(_, items) => items.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut places = [0, length, length];
    for (place, index) in places.iter_mut().zip(indexes) {
        *place = position(index, length)?;
    }
    let [from, to, most] = places;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    if to > most {
        return Err(format!("invalid slice index: {to} > {most}"));
    }
    Ok(match item {
        Value::Text(kind, text) => {
            Value::Text(*kind, text.get(from..to).unwrap_or_default().into())
        }
        Value::List(kind, items) => {
            let some = items.get(from..to).unwrap_or_default();
            Value::List(*kind, Arc::new(some.to_vec()))
        }
        _ => Value::Invalid,
    })
}

/// Kinds that can be compared with each other.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Text,
    Other,
}

const fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int(..) => Kind::Int,
        Value::Byte(_) => Kind::Uint,
        Value::Float(_) => Kind::Float,
        Value::Complex(..) => Kind::Complex,
        Value::Text(..) => Kind::Text,
        _ => Kind::Other,
    }
}

#[expect(clippy::float_cmp, reason = "Go compares the same way")]
fn equal(first: &Value, others: &[Value]) -> Result<bool> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        let truth = match (first, other) {
            (Value::Int(_, a), Value::Byte(b)) | (Value::Byte(b), Value::Int(_, a)) => {
                *a == i64::from(*b)
            }
            (Value::Int(_, a), Value::Int(_, b)) => a == b,
            (Value::Byte(a), Value::Byte(b)) => a == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
            (Value::Text(_, a), Value::Text(_, b)) => a == b,
            (a, b) if kind(a) != kind(b) => {
                let nothing = |it: &Value| matches!(it, Value::Invalid | Value::Nil);
                if !nothing(a) && !nothing(b) {
                    return Err(incompatible(a, b));
                }
                false
            }
            (Value::Invalid | Value::Nil, Value::Invalid | Value::Nil) => true,
            (Value::Invalid | Value::Nil, it) | (it, Value::Invalid | Value::Nil) => {
                // An empty list that came from nothing is nil, too; ours never do.
                let _ = it;
                false
            }
            (a, b) if shape(a) != shape(b) => {
                return Err(format!(
                    "non-comparable types {}: {}, {}: {}",
                    shown(a),
                    a.type_name(),
                    b.type_name(),
                    shown(b)
                ));
            }
            (a, Value::Time(_) | Value::Location(_) | Value::Struct(Struct::Pair, _)) => a == other,
            (a, Value::Pointer(_, b)) => {
                matches!(a, Value::Pointer(_, a) if Arc::ptr_eq(a, b))
            }
            (_, b) => {
                return Err(format!(
                    "non-comparable type {}: {}",
                    shown(b),
                    b.type_name()
                ));
            }
        };
        if truth {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Go's kinds of what is no number or text.
const fn shape(value: &Value) -> u8 {
    match value {
        Value::List(..) => 1,
        Value::Map(..) => 2,
        Value::Time(_) | Value::Struct(..) => 3,
        Value::Location(_) | Value::Pointer(..) => 4,
        _ => 0,
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}

fn shown(value: &Value) -> String {
    String::from_utf8_lossy(&sprint(std::slice::from_ref(value))).into_owned()
}

fn less(a: &Value, b: &Value) -> Result<bool> {
    let bad = || Err("invalid type for comparison".to_owned());
    Ok(match (a, b) {
        (Value::Int(_, a), Value::Int(_, b)) => a < b,
        (Value::Int(_, a), Value::Byte(b)) => *a < i64::from(*b),
        (Value::Byte(a), Value::Int(_, b)) => i64::from(*a) < *b,
        (Value::Byte(a), Value::Byte(b)) => a < b,
        (Value::Float(a), Value::Float(b)) => a < b,
        (Value::Text(_, a), Value::Text(_, b)) => a < b,
        (a, b) if kind(a) == Kind::Other || kind(b) == Kind::Other => return bad(),
        (a, b) if kind(a) != kind(b) => return Err(incompatible(a, b)),
        _ => return bad(),
    })
}

/// The text of arguments for `html`, `js` and `urlquery`.
fn evaluated(arguments: &[Value]) -> Vec<u8> {
    let shown: Vec<Value> = arguments
        .iter()
        .map(|it| match it {
            Value::Invalid | Value::Nil => Value::text("<no value>"),
            Value::Pointer(kind, fields) => Value::Struct(*kind, Arc::clone(fields)),
            other => other.clone(),
        })
        .collect();
    sprint(&shown)
}

fn html_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    out
}

fn js_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some((character, size)) = first_character(text.get(at..).unwrap_or_default()) {
        let bytes = text.get(at..at + size).unwrap_or_default();
        at += size;
        let code = u32::from(character);
        match character {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\'' => out.extend_from_slice(b"\\'"),
            '"' => out.extend_from_slice(b"\\\""),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                out.extend_from_slice(format!("\\u{code:04X}").as_bytes());
            }
            it if it.is_ascii() || is_print(it) => out.extend_from_slice(bytes),
            _ => out.extend_from_slice(format!("\\u{code:04X}").as_bytes()),
        }
    }
    out
}

/// `url.QueryEscape`
pub(super) fn query_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            it if it.is_ascii_alphanumeric() => out.push(*it),
            it => out.extend_from_slice(format!("%{it:02X}").as_bytes()),
        }
    }
    out
}

/// `url.QueryUnescape`
fn query_unescaped(text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|it| str::from_utf8(it).ok());
                let good = digits.filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
                let Some(byte) = good.and_then(|it| u8::from_str_radix(it, 16).ok()) else {
                    let bad = after.get(..2.min(after.len())).unwrap_or_default();
                    let bad = String::from_utf8_lossy(bad);
                    return Err(format!("invalid URL escape \"%{bad}\""));
                };
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            other => out.push(*other),
        }
    }
    Ok(out)
}

/// Changes the characters of a text; bytes that are none become the replacement character, as in Go.
fn mapped(text: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut out = String::new();
    let mut at = 0;
    while let Some((character, size)) = first_character(text.get(at..).unwrap_or_default()) {
        at += size;
        let changed = change(character.encode_utf8(&mut [0; 4]));
        // Go maps one character to one: what becomes several stays.
        let mut characters = changed.chars();
        match (characters.next(), characters.next()) {
            (Some(one), None) => out.push(one),
            (Some(one), Some(_)) if character == 'İ' => out.push(one),
            _ => out.push(character),
        }
    }
    out.into_bytes()
}

/// `strings.TrimSpace`
fn trimmed(text: &[u8]) -> Vec<u8> {
    match str::from_utf8(text) {
        Ok(it) => it.trim().as_bytes().to_vec(),
        Err(_) => text.trim_ascii().to_vec(),
    }
}

/// Words with a big first letter and small others (`cases.Title` of American English, which has its own short rules for where
/// words end).
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    let mut was_middle = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_middle = is_middle(character);
        // Two of those that may stand within a word end it.
        if was_middle && is_middle {
            inside = false;
        }
        was_middle = is_middle;
        if character.is_lowercase() || character.is_uppercase() || titled(character).is_some() {
            if inside {
                let ends = !characters.peek().is_some_and(|it| it.is_alphabetic());
                match character {
                    'Σ' if ends => out.push('ς'),
                    it => out.extend(it.to_lowercase()),
                }
            } else {
                inside = true;
                match titled(character) {
                    Some(it) => out.push_str(it),
                    None => out.extend(character.to_uppercase()),
                }
            }
        } else {
            out.push(character);
            inside &= !is_break(character);
        }
    }
    out
}

/// What may stand between two letters of a word (Unicode, UAX 29: `MidLetter`, `MidNumLet`, `Single_Quote`).
const fn is_middle(character: char) -> bool {
    matches!(
        character,
        '\'' | '.'
            | ':'
            | '\u{b7}'
            | '\u{387}'
            | '\u{55f}'
            | '\u{5f4}'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{2024}'
            | '\u{2027}'
            | '\u{fe13}'
            | '\u{fe52}'
            | '\u{fe55}'
            | '\u{ff07}'
            | '\u{ff0e}'
            | '\u{ff1a}'
    )
}

/// What ends a word: neither letter nor digit, nor what joins them, nor a mark on them.
fn is_break(character: char) -> bool {
    let joins = matches!(
        u32::from(character),
        0x5f | 0x203f | 0x2040 | 0x2054 | 0xfe33 | 0xfe34 | 0xfe4d..=0xfe4f | 0xff3f | 0xad
            | 0x200b..=0x200f | 0x2060..=0x2064
    );
    let ideographs = matches!(
        u32::from(character),
        0x0e00..=0x0eff | 0x3005..=0x309f | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff
    );
    let letter = character.is_alphanumeric() && !ideographs;
    !letter && !joins && !is_middle(character) && !super::print::is_mark(character)
}

/// Characters whose form at the start of a word is none of their others.
const fn titled(character: char) -> Option<&'static str> {
    Some(match character {
        'ß' => "Ss",
        'ǆ' | 'Ǆ' | 'ǅ' => "ǅ",
        'ǉ' | 'Ǉ' | 'ǈ' => "ǈ",
        'ǌ' | 'Ǌ' | 'ǋ' => "ǋ",
        'ǳ' | 'Ǳ' | 'ǲ' => "ǲ",
        'ﬀ' => "Ff",
        'ﬁ' => "Fi",
        'ﬂ' => "Fl",
        'ﬃ' => "Ffi",
        'ﬄ' => "Ffl",
        'ﬅ' | 'ﬆ' => "St",
        _ => return None,
    })
}

fn bad_regex(expression: &str, why: &str) -> String {
    format!("error parsing regexp: {why}: `{expression}`")
}

/// Prometheus' `humanizeDuration`: seconds, as a number or a text, or a duration.
fn humanized(value: &Value) -> Result<String> {
    #[expect(clippy::cast_precision_loss, reason = "as there")]
    let seconds = match value {
        Value::Float(it) => *it,
        Value::Int(Int::Duration, it) => *it as f64 / 1e9,
        Value::Int(Int::Plain | Int::Wide, it) => *it as f64,
        Value::Text(Text::String, text) => {
            let text = time::text(text);
            text.parse::<f64>()
                .map_err(|_error| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))?
        }
        other => {
            return Err(format!("can't convert {} to float", other.type_name()));
        }
    };
    Ok(humanized_seconds(seconds))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "as there: whole units of what fits"
)]
fn humanized_seconds(value: f64) -> String {
    let general = |it: f64| {
        let sign = if it.is_sign_negative() { "-" } else { "" };
        format!("{sign}{}", super::print::float(it.abs(), 'g', Some(4)))
    };
    if !value.is_finite() {
        return match (value.is_nan(), value > 0.0) {
            (true, _) => "NaN".to_owned(),
            (_, true) => "+Inf".to_owned(),
            (_, false) => "-Inf".to_owned(),
        };
    }
    if value == 0.0 {
        return format!("{}s", general(value));
    }
    if value.abs() >= 1.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        let whole = value.abs() as i64;
        let (seconds, minutes) = (whole % 60, whole / 60 % 60);
        let (hours, days) = (whole / 3600 % 24, whole / 86_400);
        if days != 0 {
            return format!("{sign}{days}d {hours}h {minutes}m {seconds}s");
        }
        if hours != 0 {
            return format!("{sign}{hours}h {minutes}m {seconds}s");
        }
        if minutes != 0 {
            return format!("{sign}{minutes}m {seconds}s");
        }
        return format!("{}s", general(value));
    }
    let mut prefix = "";
    let mut value = value;
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}s", general(value))
}
