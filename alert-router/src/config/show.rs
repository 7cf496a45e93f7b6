//! The configuration as Alertmanager shows it: every default filled in, secrets as `<secret>`, in YAML that looks as Go's `yaml.v2`
//! writes it.

mod natural;

use super::{
    duration, go_url,
    section::{Key, Record, Section, Shape, Value},
    yaml::{Any, is_text},
};

const SECRET: &str = "<secret>";

/// What is to be written.
enum Tree {
    /// As it is: a number, true, null.
    Bare(String),
    Text(String),
    List(Vec<Self>),
    /// On one line.
    Flow(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Which keys are shown that have defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defaults {
    /// All, as Alertmanager 0.34 shows them.
    #[cfg(test)]
    All,
    /// Those that Alertmanager 0.25 knows, too.
    Older,
}

/// Writes a section.
pub(super) fn section(record: &Record, defaults: Defaults) -> String {
    let mut out = String::new();
    tree(record, defaults).block(&mut out, 0, false);
    out
}

fn tree(record: &Record, defaults: Defaults) -> Tree {
    let is_shown = |key: &Key, is_given: bool| match defaults {
        #[cfg(test)]
        Defaults::All => true,
        Defaults::Older => is_given || !key.newer,
    };
    let keys = record
        .values()
        .filter(|(key, _, is_given)| !key.ours && is_shown(key, *is_given));
    let keys = keys.map(|(key, value, _)| (key, value));
    let keys = keys.filter(|(key, value)| key.always || !is_zero(key.shape, value));
    Tree::Map(
        keys.map(|(key, value)| (Tree::Text(key.name.to_owned()), of(key, value, defaults)))
            .collect(),
    )
}

fn of(key: &Key, value: &Value, defaults: Defaults) -> Tree {
    let texts = |list: &[String]| list.iter().cloned().map(Tree::Text).collect();
    match value {
        Value::Nothing => nothing(key.shape, defaults),
        Value::Text(it) => Tree::Text(it.clone()),
        Value::Secret(it) if matches!(key.shape, Shape::ProxyUrl) => {
            Tree::Text(go_url::redacted(it.expose()).unwrap_or_default())
        }
        Value::Secret(it) => secret(it.expose()),
        Value::Bool(it) => Tree::Bare(it.to_string()),
        Value::Int(it) => Tree::Bare(it.to_string()),
        Value::Uint(it) => Tree::Bare(it.to_string()),
        Value::Float(it) => float(*it),
        Value::Nanoseconds(it) => Tree::Text(match key.shape {
            Shape::Span | Shape::MaybeSpan => duration::prometheus_text(*it),
            _ => duration::go_text(*it),
        }),
        Value::Texts(it) => Tree::List(texts(it)),
        Value::Secrets(it) => Tree::List(it.iter().map(|it| secret(it.expose())).collect()),
        Value::Pairs(it) => map(it.iter().map(|(name, text)| {
            let text = if text.is_empty() && matches!(key.shape, Shape::Regexes) {
                Tree::Bare("null".to_owned())
            } else {
                Tree::Text(text.clone())
            };
            (Any::Text(name.clone()), text)
        })),
        Value::SecretLists(it) => map(it.iter().map(|(name, list)| {
            let list = list.iter().map(|it| secret(it.expose())).collect();
            (Any::Text(name.clone()), Tree::List(list))
        })),
        Value::Any(it) => any(it),
        Value::Matchers(it) => Tree::List(it.iter().map(|it| Tree::Text(it.to_string())).collect()),
        Value::Ranges(it) => Tree::Flow(match key.shape {
            Shape::Ranges(of) => it.iter().map(|it| Tree::Text(of.text(it))).collect(),
            _ => Vec::new(),
        }),
        Value::Record(it) => tree(it, defaults),
        Value::Records(it) => Tree::List(it.iter().map(|it| tree(it, defaults)).collect()),
        Value::Named(it) => map(it
            .iter()
            .map(|(name, record)| (Any::Text(name.clone()), tree(record, defaults)))),
    }
}

fn secret(text: &str) -> Tree {
    if text.is_empty() {
        Tree::Bare("null".to_owned())
    } else {
        Tree::Text(SECRET.to_owned())
    }
}

/// What is shown of a key that is always shown and has no value.
fn nothing(shape: Shape, defaults: Defaults) -> Tree {
    match shape {
        Shape::Text | Shape::Word(_) | Shape::HostPort | Shape::Zone => Tree::Text(String::new()),
        Shape::Bool => Tree::Bare("false".to_owned()),
        Shape::Int | Shape::Uint | Shape::Float => Tree::Bare("0".to_owned()),
        Shape::Span | Shape::GoSpan | Shape::GoSpanText => Tree::Text("0s".to_owned()),
        Shape::Texts
        | Shape::SecretList
        | Shape::Matchers
        | Shape::Ranges(_)
        | Shape::Sections(_) => Tree::List(Vec::new()),
        Shape::Pairs | Shape::SecretLists | Shape::AnyMap | Shape::Regexes => Tree::Map(Vec::new()),
        Shape::Section(section) | Shape::SectionOrText(section, _) => {
            tree(&empty(section), defaults)
        }
        Shape::Secret
        | Shape::MaybeSecret
        | Shape::MaybeBool
        | Shape::MaybeSpan
        | Shape::Url
        | Shape::SecretUrl
        | Shape::SecretTemplate
        | Shape::ProxyUrl
        | Shape::Any
        | Shape::MaybeSection(_)
        | Shape::NamedSections(_) => Tree::Bare("null".to_owned()),
    }
}

/// Without the defaults.
fn empty(section: &'static Section) -> Record {
    let mut record = Record::new(section);
    for key in section.keys {
        record.set(key.name, Value::Nothing);
    }
    record
}

/// Whether Go would call it empty: what is only pointed to is so when there is no pointer.
fn is_zero(shape: Shape, value: &Value) -> bool {
    let is_pointer = matches!(
        shape,
        Shape::MaybeSecret
            | Shape::MaybeBool
            | Shape::MaybeSpan
            | Shape::Url
            | Shape::SecretUrl
            | Shape::ProxyUrl
            | Shape::Zone
            | Shape::Any
            | Shape::MaybeSection(_)
            | Shape::NamedSections(_)
    );
    match value {
        Value::Nothing => true,
        _ if is_pointer => false,
        Value::Text(it) => it.is_empty(),
        Value::Secret(it) => it.expose().is_empty(),
        Value::Bool(it) => !it,
        Value::Int(it) | Value::Nanoseconds(it) => *it == 0,
        Value::Uint(it) => *it == 0,
        Value::Float(it) => *it == 0.0,
        Value::Texts(it) => it.is_empty(),
        Value::Secrets(it) => it.is_empty(),
        Value::Pairs(it) => it.is_empty(),
        Value::SecretLists(it) => it.is_empty(),
        Value::Any(it) => matches!(it, Any::Map(pairs) if pairs.is_empty()),
        Value::Matchers(it) => it.is_empty(),
        Value::Ranges(it) => it.is_empty(),
        Value::Record(it) => it.values().all(|(key, value, _)| is_zero(key.shape, value)),
        Value::Records(it) => it.is_empty(),
        Value::Named(it) => it.is_empty(),
    }
}

fn any(value: &Any) -> Tree {
    match value {
        Any::Null => Tree::Bare("null".to_owned()),
        Any::Bool(it) => Tree::Bare(it.to_string()),
        Any::Int(it) => Tree::Bare(it.to_string()),
        Any::Uint(it) => Tree::Bare(it.to_string()),
        Any::Float(it) => float(*it),
        Any::Text(it) => Tree::Text(it.clone()),
        Any::List(it) => Tree::List(it.iter().map(any).collect()),
        Any::Map(it) => map(it.iter().map(|(key, value)| (key.clone(), any(value)))),
    }
}

fn float(value: f64) -> Tree {
    Tree::Bare(if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        value.to_string()
    })
}

/// Sorted as Go sorts: numbers first; in texts letters after all else, and digits by the number that they make.
fn map(pairs: impl Iterator<Item = (Any, Tree)>) -> Tree {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|a, b| natural::order(&a.0, &b.0));
    Tree::Map(
        pairs
            .into_iter()
            .map(|(key, value)| (any(&key), value))
            .collect(),
    )
}

impl Tree {
    /// Writes what stands on lines of its own, or behind a dash, whose line has begun.
    fn block(&self, out: &mut String, indent: usize, begun: bool) {
        match self {
            Self::Map(pairs) if !pairs.is_empty() => {
                for (at, (key, value)) in pairs.iter().enumerate() {
                    if at > 0 || !begun {
                        pad(out, indent);
                    }
                    out.push_str(&key.inline());
                    out.push(':');
                    match value {
                        Self::Map(it) if !it.is_empty() => {
                            out.push('\n');
                            value.block(out, indent + 2, false);
                        }
                        // A list's dashes stand below its key.
                        Self::List(it) if !it.is_empty() => {
                            out.push('\n');
                            value.block(out, indent, false);
                        }
                        _ => {
                            out.push(' ');
                            value.end_of_line(out, indent + 2);
                        }
                    }
                }
            }
            Self::List(items) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 || !begun {
                        pad(out, indent);
                    }
                    out.push_str("- ");
                    item.block(out, indent + 2, true);
                }
            }
            _ => self.end_of_line(out, indent),
        }
    }

    fn end_of_line(&self, out: &mut String, indent: usize) {
        match self {
            Self::Text(text) if text.contains('\n') && can_be_literal(text) => {
                literal(out, text, indent);
            }
            _ => {
                out.push_str(&self.inline());
                out.push('\n');
            }
        }
    }

    fn inline(&self) -> String {
        match self {
            Self::Bare(it) => it.clone(),
            Self::Text(it) => quoted(it, false),
            Self::List(_) => "[]".to_owned(),
            Self::Map(_) => "{}".to_owned(),
            Self::Flow(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|it| match it {
                        Self::Text(it) => quoted(it, true),
                        _ => it.inline(),
                    })
                    .collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a reader of YAML gets the same text back from a block.
fn can_be_literal(text: &str) -> bool {
    !text.chars().any(is_special) && !text.contains(" \n") && !text.ends_with(' ')
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let lines = text.strip_suffix('\n');
    out.push_str(match lines {
        None => "-\n",
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+\n",
        Some(_) => "\n",
    });
    for line in lines.unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// A character that stands as an escape only.
fn is_special(character: char) -> bool {
    !matches!(character,
        '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
        || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A text on one line: as it is, when it is read so; else in quotes.
fn quoted(text: &str, in_flow: bool) -> String {
    if text
        .chars()
        .any(|it| is_special(it) || it == '\n' || it == '\u{85}')
        || !is_text(text)
        || is_base_60(text)
        || is_date(text)
    {
        return double_quoted(text);
    }
    let inner = text
        .chars()
        .zip(text.chars().skip(1).map(Some).chain([None]));
    let before = [None].into_iter().chain(text.chars().map(Some));
    let ends = |next: Option<char>| next.is_none_or(|it| it == ' ');
    let indicated = inner.zip(before).any(|((it, next), before)| match it {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`'
            if before.is_none() =>
        {
            true
        }
        '-' if before.is_none() => ends(next),
        '?' if before.is_none() => ends(next) || in_flow,
        ':' => ends(next) || in_flow,
        '#' => before == Some(' '),
        ',' | '?' | '[' | ']' | '{' | '}' => in_flow,
        _ => false,
    });
    let document = text.starts_with("---") || text.starts_with("...");
    if indicated || document || text.starts_with(' ') || text.ends_with(' ') {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        text.to_owned()
    }
}

/// `12:30`, which older readers take for a number.
fn is_base_60(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut parts = rest.split(':');
    let first = parts.next().unwrap_or("");
    let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b'_');
    first.starts_with(|it: char| it.is_ascii_digit())
        && is_number(first)
        && is_number(fraction)
        && rest.contains(':')
        && parts.all(|it| {
            let digits = it.bytes().all(|it| it.is_ascii_digit());
            digits && (it.len() == 1 || it.len() == 2 && it.starts_with(|it| it < '6'))
        })
}

/// `2030-01-31`, alone or with a time, which older readers take for a moment.
fn is_date(text: &str) -> bool {
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let day = rest.split(['T', 't', ' ']).next().unwrap_or(rest);
    year.len() == 4
        && digits(year)
        && [month, day]
            .iter()
            .all(|it| (1..=2).contains(&it.len()) && digits(it))
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            it if is_special(it) => {
                let code = u32::from(it);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                });
            }
            it => out.push(it),
        }
    }
    out.push('"');
    out
}
