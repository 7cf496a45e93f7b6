//! YAML to a tree of nodes with their lines, and what a scalar means, as in Go's `yaml.v2`, which Alertmanager reads with.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span};

/// Where and why a text is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Counted from 1, when it is known.
    pub(super) line: Option<u64>,
    pub(super) reason: String,
}

/// What stands at a place of the file. An alias is the node itself.
#[derive(Debug)]
pub(super) struct Node {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Arc<Node>>),
    Map(Vec<(Arc<Node>, Arc<Node>)>),
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Neither quoted nor a block: the text decides on the type.
    pub(super) plain: bool,
    /// `!!str` and its kin.
    pub(super) tag: Option<String>,
    /// Whether some of it comes from the environment: then it is a text, unless something else is wanted.
    pub(super) filled: bool,
}

/// What a scalar means by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    Int(i64),
    /// One that is too large for [`Self::Int`].
    Uint(u64),
    Float(f64),
    Text,
}

/// A value without a shape, `interface{}` in Go.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Any {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    /// In the order of the file.
    Map(Vec<(Self, Self)>),
}

impl Mistake {
    pub(super) fn at(line: u64, reason: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            reason: reason.into(),
        }
    }
}

/// A mistake whose place nobody knows.
impl From<String> for Mistake {
    fn from(reason: String) -> Self {
        Self { line: None, reason }
    }
}

/// What a text is filled with from elsewhere; None when it stays as it is.
pub(super) type Fill<'a> = &'a dyn Fn(&str) -> Result<Option<String>, String>;

/// Reads the first document; None when there is none. Each value, but no key, goes through `fill`.
pub(super) fn parse(text: &str, fill: Option<Fill<'_>>) -> Result<Option<Arc<Node>>, Mistake> {
    let options = granit_parser::options! {
        block_scalar_eof_without_line_feed: true,
        emit_comments: false,
    };
    let mut builder = Builder {
        fill,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| Mistake::at(line(error.marker().line()), error.info()))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.event(event, &span)?;
    }
    Ok(builder.root)
}

fn line(line: usize) -> u64 {
    u64::try_from(line).unwrap_or(u64::MAX)
}

/// Puts events together.
struct Builder<'a> {
    fill: Option<Fill<'a>>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Arc<Node>>,
    root: Option<Arc<Node>>,
}

/// A list or mapping whose end is yet to come.
struct Open {
    line: u64,
    anchor: usize,
    is_map: bool,
    nodes: Vec<Arc<Node>>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Mistake> {
        let line = line(span.start.line());
        let mut open = |anchor, is_map| {
            self.open.push(Open {
                line,
                anchor,
                is_map,
                nodes: Vec::new(),
            });
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|it| match it.core_suffix() {
                    Some(suffix) => format!("!!{suffix}"),
                    None if it.handle() == "tag:yaml.org,2002:" => format!("!!{}", it.suffix()),
                    None => format!("{}{}", it.handle(), it.suffix()),
                });
                let text = if tag.as_deref() == Some("!!binary") {
                    Cow::Owned(binary(&text).map_err(|it| Mistake::at(line, it))?)
                } else {
                    text
                };
                let filled = self.filled(&text).map_err(|it| Mistake::at(line, it))?;
                let content = Content::Scalar(Scalar {
                    filled: filled.is_some(),
                    text: filled.unwrap_or_else(|| text.into_owned()),
                    plain: style == ScalarStyle::Plain,
                    tag,
                });
                self.done(anchor, Node { line, content });
            }
            Event::SequenceStart(_, anchor, _) => open(anchor, false),
            Event::MappingStart(_, anchor, _) => open(anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let content = if open.is_map {
                        let mut nodes = open.nodes.into_iter();
                        let mut pairs = Vec::new();
                        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                            pairs.push((key, value));
                        }
                        Content::Map(pairs)
                    } else {
                        Content::List(open.nodes)
                    };
                    let line = open.line;
                    self.done(open.anchor, Node { line, content });
                }
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).map(Arc::clone).ok_or_else(|| {
                    Mistake::at(line, "an alias stands within what it is an alias of")
                })?;
                self.add(node);
            }
            _ => {}
        }
        Ok(())
    }

    fn filled(&self, text: &str) -> Result<Option<String>, String> {
        let (Some(fill), true) = (self.fill, text.contains('$')) else {
            return Ok(None);
        };
        let at_key = |it: &Open| it.is_map && it.nodes.len().is_multiple_of(2);
        if self.open.last().is_some_and(at_key) {
            return Ok(None);
        }
        let key = self.open.iter().rev().find(|it| it.is_map);
        let key = key.and_then(|it| it.nodes.last()?.text()).unwrap_or("");
        fill(text).map_err(|reason| format!("{key}: {reason}"))
    }

    fn done(&mut self, anchor: usize, node: Node) {
        let node = Arc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        self.add(node);
    }

    fn add(&mut self, node: Arc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
    }
}

/// A text in Base64, on as many lines as there are.
fn binary(text: &str) -> Result<String, String> {
    let text: String = text
        .chars()
        .filter(|it| !matches!(it, '\r' | '\n'))
        .collect();
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| "what follows !!binary is no Base64")?;
    String::from_utf8(bytes).map_err(|_| "what follows !!binary is no text".to_owned())
}

impl Node {
    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(it) => it.meaning() == Ok(Meaning::Null),
            Content::List(_) | Content::Map(_) => false,
        }
    }

    /// `<<`, whose value's keys are meant as if they stood here.
    pub(super) fn is_merge(&self) -> bool {
        match &self.content {
            Content::Scalar(it) => {
                it.text == "<<"
                    && (it.plain && it.tag.is_none() || it.tag.as_deref() == Some("!!merge"))
            }
            Content::List(_) | Content::Map(_) => false,
        }
    }

    /// The mappings that a `<<` names. Of several, the first rules: it comes last.
    pub(super) fn merged(&self) -> Result<Vec<&Self>, Mistake> {
        let is_map = |it: &Self| matches!(it.content, Content::Map(_));
        let found = match &self.content {
            Content::Map(_) => vec![self],
            Content::List(list) => list.iter().rev().map(|it| &**it).collect(),
            Content::Scalar(_) => Vec::new(),
        };
        if found.iter().all(|it| is_map(it)) && !matches!(self.content, Content::Scalar(_)) {
            Ok(found)
        } else {
            let reason = "<< needs keys and values, or a list of such";
            Err(Mistake::at(self.line, reason))
        }
    }
}

impl Scalar {
    /// What it means; an error when its tag says something else.
    pub(super) fn meaning(&self) -> Result<Meaning, String> {
        let tag = self.tag.as_deref().unwrap_or("");
        let found = match tag {
            "" if !self.plain || self.filled => Meaning::Text,
            "" | "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp" => meaning(&self.text),
            _ => Meaning::Text,
        };
        match (tag, found) {
            ("!!bool", Meaning::Bool(_))
            | ("!!int", Meaning::Int(_) | Meaning::Uint(_))
            | ("!!float", Meaning::Float(_))
            | ("!!null", Meaning::Null) => Ok(found),
            #[expect(
                clippy::cast_precision_loss,
                reason = "the file asks for a float of an integer"
            )]
            ("!!float", Meaning::Int(it)) => Ok(Meaning::Float(it as f64)),
            ("!!bool" | "!!int" | "!!float" | "!!null", _) => {
                Err(format!("what follows {tag} is none"))
            }
            _ => Ok(found),
        }
    }

    /// The same for a place where a boolean or a number is wanted: there the environment may give one.
    pub(super) fn wanted(&self) -> Result<Meaning, String> {
        if self.filled && self.tag.is_none() {
            Ok(meaning(&self.text))
        } else {
            self.meaning()
        }
    }
}

/// What a plain text is resolved to (`resolve.go` of yaml.v2): YAML 1.1 without numbers of base 60.
fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Meaning::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Meaning::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Meaning::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Meaning::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => float(text).map_or(Meaning::Text, Meaning::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let plain = text.replace('_', "");
            integer(&plain)
                .or_else(|| float(&plain).map(Meaning::Float))
                .unwrap_or(Meaning::Text)
        }
        _ => Meaning::Text,
    }
}

/// With Go's prefixes, a leading zero for octal among them.
fn integer(text: &str) -> Option<Meaning> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|it| it.is_digit(base)) {
        return None;
    }
    let value = i128::from_str_radix(digits, base).ok()?;
    let value = if negative { -value } else { value };
    if let Ok(value) = i64::try_from(value) {
        return Some(Meaning::Int(value));
    }
    // Go reads what is too large for a signed one only without a sign.
    let unsigned = !text.starts_with(['+', '-']);
    unsigned.then(|| u64::try_from(value).ok().map(Meaning::Uint))?
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = unsigned
        .split_once(['e', 'E'])
        .map_or((unsigned, None), |(number, rest)| (number, Some(rest)));
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.is_none_or(|it| {
        let it = it.strip_prefix(['+', '-']).unwrap_or(it);
        !it.is_empty() && digits(it)
    });
    let is_float =
        digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()) && exponent;
    if is_float { text.parse().ok() } else { None }
}

/// Whether a text, written without quotes, is read as the same text.
pub(super) fn is_text(text: &str) -> bool {
    meaning(text) == Meaning::Text
}

impl Any {
    /// As JSON: keys that are no texts are left out, as Alertmanager does.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(it) => Value::Bool(*it),
            Self::Int(it) => Value::from(*it),
            Self::Uint(it) => Value::from(*it),
            Self::Float(it) => Value::from(*it),
            Self::Text(it) => Value::String(it.clone()),
            Self::List(list) => Value::Array(list.iter().map(Self::json).collect()),
            Self::Map(pairs) => Value::Object(object(pairs)),
        }
    }
}

/// The pairs whose keys are texts.
pub(super) fn object(pairs: &[(Any, Any)]) -> Map<String, Value> {
    let text = |(key, value): &(Any, Any)| match key {
        Any::Text(key) => Some((key.clone(), value.json())),
        _ => None,
    };
    pairs.iter().filter_map(text).collect()
}

/// What was probably meant.
pub(super) fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known
        .iter()
        .map(|it| (strsim::damerau_levenshtein(word, it), *it));
    near.filter(|(distance, it)| *distance <= 2.max(it.len() / 4))
        .min()
        .map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::{Meaning, meaning, parse};

    /// Right column: as yaml.v2 resolves it.
    #[test]
    fn scalars() {
        use Meaning::{Bool, Float, Int, Null, Text, Uint};
        for (text, expect) in [
            ("", Null),
            ("~", Null),
            ("NULL", Null),
            ("nULL", Text),
            ("y", Bool(true)),
            ("On", Bool(true)),
            ("oN", Text),
            ("NO", Bool(false)),
            ("12", Int(12)),
            ("-1_000", Int(-1000)),
            ("+3", Int(3)),
            ("0x1F", Int(31)),
            ("0o17", Int(15)),
            ("017", Int(15)),
            ("08", Float(8.0)),
            ("0b101", Int(5)),
            ("-0b101", Int(-5)),
            ("9223372036854775808", Uint(9_223_372_036_854_775_808)),
            ("18446744073709551616", Float(18_446_744_073_709_552_000.0)),
            ("1.5", Float(1.5)),
            ("1.", Float(1.0)),
            (".5", Float(0.5)),
            (".", Text),
            ("1e3", Float(1000.0)),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("1:30", Text),
            ("5m", Text),
            ("-", Text),
            ("0x", Text),
            ("1.2.3", Text),
            ("2026-01-01", Text),
        ] {
            assert_eq!(meaning(text), expect, "{text:?}");
        }
    }

    #[test]
    fn documents() {
        for (text, expect) in [
            ("", Ok(false)),
            ("# nothing\n", Ok(false)),
            ("---\n...\n", Ok(true)),
            ("a: &x [1]\nb: *x\n---\nc: [", Ok(true)),
            ("a: &x [*x]", Err(Some(1))),
            ("a: *x", Err(Some(1))),
            ("a:\n  - b\n c: d", Err(Some(3))),
            ("a: [", Err(Some(1))),
            ("a: \"\n", Err(Some(1))),
        ] {
            let found = parse(text, None)
                .map(|it| it.is_some())
                .map_err(|error| error.line);
            assert_eq!(found, expect, "{text:?}");
        }
    }
}
