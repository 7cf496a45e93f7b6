//! Sections of the file: which keys one has, of which shapes, and with which defaults; and reading one by that table, as strictly as
//! Alertmanager does.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, time::Duration};

use daemon::Secret;

use super::{
    SecretSource, duration, go_url,
    yaml::{Any, Content, Meaning, Mistake, Node, Scalar, closest},
};
use crate::{
    calendar::{self, RangeOf},
    go_regex,
    matcher::{Matcher, Mode},
    template,
};

/// A table of keys, in the order in which Alertmanager shows them.
pub(super) struct Section {
    /// How people know it.
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
    /// What must hold of its keys together; it may fill in what follows from others.
    pub(super) check: fn(&mut Record) -> Result<(), Mistake>,
}

pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// The text that stands for it when it is not given.
    default: Option<&'static str>,
    /// Whether it is shown when it is empty.
    pub(super) always: bool,
    /// Whether it is none of Alertmanager's; then it is not shown.
    pub(super) ours: bool,
    /// Whether Alertmanager 0.25 does not know it, whose amtool (Debian 12's) refuses a configuration that has it; then it is not
    /// shown where the file does not have it.
    pub(super) newer: bool,
}

/// What a value must be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// One of these, or empty.
    Word(&'static [&'static str]),
    Secret,
    /// One that counts as given when it is empty.
    MaybeSecret,
    Bool,
    MaybeBool,
    Int,
    Uint,
    Float,
    /// `1d12h`.
    Span,
    MaybeSpan,
    /// `1h30m0.5s`, or a number of nanoseconds.
    GoSpan,
    /// The same without numbers.
    GoSpanText,
    Url,
    SecretUrl,
    /// Or a template.
    SecretTemplate,
    ProxyUrl,
    HostPort,
    Texts,
    SecretList,
    /// Texts by their names.
    Pairs,
    /// Lists of secrets by their names.
    SecretLists,
    Any,
    AnyMap,
    Matchers,
    /// Regular expressions by labels' names.
    Regexes,
    Ranges(RangeOf),
    Zone,
    Section(&'static Section),
    MaybeSection(&'static Section),
    Sections(&'static Section),
    /// By their names.
    NamedSections(&'static Section),
    /// Or a text, which is the value of this key.
    SectionOrText(&'static Section, &'static str),
}

/// A section that was read.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) section: &'static Section,
    slots: Vec<Slot>,
}

#[derive(Clone)]
struct Slot {
    /// Of the value, when it was given.
    line: Option<u64>,
    value: Value,
}

#[derive(Clone, Default)]
pub(super) enum Value {
    /// Not given, or null: empty, false, zero.
    #[default]
    Nothing,
    Text(String),
    Secret(Secret),
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Nanoseconds(i64),
    Texts(Vec<String>),
    Secrets(Vec<Secret>),
    Pairs(BTreeMap<String, String>),
    SecretLists(BTreeMap<String, Vec<Secret>>),
    Any(Any),
    Matchers(Vec<Matcher>),
    Ranges(Vec<RangeInclusive<i64>>),
    Record(Record),
    Records(Vec<Record>),
    Named(BTreeMap<String, Record>),
}

impl Key {
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            default: None,
            always: false,
            ours: false,
            newer: false,
        }
    }

    pub(super) const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    pub(super) const fn always(self) -> Self {
        Self {
            always: true,
            ..self
        }
    }

    pub(super) const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    pub(super) const fn newer(self) -> Self {
        Self {
            newer: true,
            ..self
        }
    }
}

/// For sections that need no check.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where the checks of others stand"
)]
pub(super) const fn anything(_: &mut Record) -> Result<(), Mistake> {
    Ok(())
}

/// Reads nodes.
pub(super) struct Reader {
    pub(super) mode: Mode,
    /// Of nodes: aliases may make many of few.
    left: usize,
}

impl Reader {
    /// More nodes than a file of people has.
    const MOST: usize = 1_000_000;

    pub(super) const fn new(mode: Mode) -> Self {
        Self {
            mode,
            left: Self::MOST,
        }
    }

    pub(super) fn section(
        &mut self,
        section: &'static Section,
        node: &Node,
    ) -> Result<Record, Mistake> {
        let mut record = Record::new(section);
        record.line = node.line;
        self.fill(&mut record, node)?;
        (section.check)(&mut record)?;
        Ok(record)
    }

    /// Later keys rule over those of a `<<`, and those of a `<<` over earlier ones.
    fn fill(&mut self, record: &mut Record, node: &Node) -> Result<(), Mistake> {
        let Content::Map(pairs) = &node.content else {
            let reason = format!("{}: expected keys and values", record.section.name);
            return Err(Mistake::at(node.line, reason));
        };
        let mut done = vec![false; record.section.keys.len()];
        for (key, value) in pairs {
            self.count(key)?;
            if key.is_merge() {
                for merged in value.merged()? {
                    self.fill(record, merged)?;
                }
                continue;
            }
            let Content::Scalar(name) = &key.content else {
                let reason = format!("{}: a key must be a word", record.section.name);
                return Err(Mistake::at(key.line, reason));
            };
            let found = record.section.keys.iter().zip(&mut record.slots);
            let found = found.zip(&mut done).find(|it| it.0.0.name == name.text);
            let Some(((key_of, slot), done)) = found else {
                return Err(Mistake::at(key.line, unknown(&name.text, record.section)));
            };
            if *done {
                return Err(Mistake::at(
                    key.line,
                    format!("{} is given twice", name.text),
                ));
            }
            *done = true;
            let before = std::mem::take(&mut slot.value);
            let before = if slot.line.is_some() {
                before
            } else {
                Value::Nothing
            };
            slot.value = joined(before, self.value(key_of, value)?)
                .map_err(|name| twice(value, &name, key_of))?;
            slot.line = Some(value.line);
        }
        Ok(())
    }

    fn count(&mut self, node: &Node) -> Result<(), Mistake> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Mistake::at(
                node.line,
                "aliases make more of the file than a million values",
            )
        })?;
        Ok(())
    }

    fn value(&mut self, key: &Key, node: &Node) -> Result<Value, Mistake> {
        self.count(node)?;
        let wrong = |reason: &str| Mistake::at(node.line, format!("{}: {reason}", key.name));
        if node.is_null() {
            return Ok(Value::Nothing);
        }
        match key.shape {
            Shape::Section(section) | Shape::MaybeSection(section) => {
                if !matches!(node.content, Content::Map(_)) {
                    return Err(wrong("expected keys and values"));
                }
                return Ok(Value::Record(self.section(section, node)?));
            }
            Shape::SectionOrText(section, name) => {
                let mut record = Record::new(section);
                record.line = node.line;
                if matches!(node.content, Content::Map(_)) {
                    let default = key.default.unwrap_or_default();
                    record.set(name, Value::Text(default.to_owned()));
                    self.fill(&mut record, node)?;
                    (section.check)(&mut record)?;
                    return Ok(Value::Record(record));
                }
                let scalar = scalar(node).map_err(|it| wrong(&it))?;
                let shape = section.keys.iter().find(|it| it.name == name);
                let shape = shape.map_or(Shape::Text, |it| it.shape);
                let value = plain_value(shape, scalar).map_err(|reason| wrong(&reason))?;
                record.set(name, value);
                (section.check)(&mut record)?;
                return Ok(Value::Record(record));
            }
            Shape::Sections(section) => {
                let mut records = Vec::new();
                for item in list(node).map_err(wrong)? {
                    self.count(item)?;
                    if item.is_null() {
                        let reason = format!("{}: an entry is empty", key.name);
                        return Err(Mistake::at(item.line, reason));
                    }
                    records.push(self.section(section, item)?);
                }
                return Ok(Value::Records(records));
            }
            Shape::NamedSections(section) => {
                let mut records = BTreeMap::new();
                for (name, item) in self.pairs(key, node)? {
                    let record = if item.is_null() {
                        Record::new(section)
                    } else {
                        self.section(section, item)?
                    };
                    if records.insert(name.clone(), record).is_some() {
                        return Err(twice(item, &name, key));
                    }
                }
                return Ok(Value::Named(records));
            }
            Shape::Texts | Shape::SecretList | Shape::Matchers | Shape::Ranges(_) => {
                return self.list(key, node);
            }
            Shape::Pairs | Shape::Regexes | Shape::SecretLists => return self.map(key, node),
            Shape::Any => return Ok(Value::Any(self.any(node)?)),
            Shape::AnyMap => {
                let mut found: Vec<(Any, Any)> = Vec::new();
                for (name, item) in self.pairs(key, node)? {
                    let value = self.any(item)?;
                    if found.iter().any(|it| it.0 == Any::Text(name.clone())) {
                        return Err(twice(item, &name, key));
                    }
                    found.push((Any::Text(name), value));
                }
                return Ok(Value::Any(Any::Map(found)));
            }
            _ => {}
        }
        let scalar = scalar(node).map_err(|it| wrong(&it))?;
        plain_value(key.shape, scalar).map_err(|reason| wrong(&reason))
    }

    fn list(&mut self, key: &Key, node: &Node) -> Result<Value, Mistake> {
        let wrong =
            |at: &Node, reason: &str| Mistake::at(at.line, format!("{}: {reason}", key.name));
        let mut texts = Vec::new();
        for item in list(node).map_err(|reason| wrong(node, reason))? {
            self.count(item)?;
            let text = if item.is_null() {
                ""
            } else {
                &scalar(item).map_err(|reason| wrong(item, &reason))?.text
            };
            texts.push((item, text));
        }
        match key.shape {
            Shape::Matchers => {
                let mut matchers = Vec::new();
                for (item, text) in texts {
                    let some = Matcher::parse_all_with(text, self.mode);
                    matchers.extend(some.map_err(|error| wrong(item, &error.to_string()))?);
                }
                matchers.sort_by(Matcher::order);
                Ok(Value::Matchers(matchers))
            }
            Shape::Ranges(of) => {
                let mut ranges = Vec::new();
                for (item, text) in texts {
                    let range = of.parse(text);
                    ranges.push(range.map_err(|reason| Mistake::at(item.line, reason))?);
                }
                Ok(Value::Ranges(ranges))
            }
            Shape::SecretList => Ok(Value::Secrets(
                texts
                    .into_iter()
                    .map(|it| Secret::new(it.1.to_owned()))
                    .collect(),
            )),
            _ => Ok(Value::Texts(
                texts.into_iter().map(|it| it.1.to_owned()).collect(),
            )),
        }
    }

    fn map(&mut self, key: &Key, node: &Node) -> Result<Value, Mistake> {
        let wrong = |at: &Node, reason: &str, name: &str| {
            Mistake::at(at.line, format!("{}.{name}: {reason}", key.name))
        };
        let mut texts = BTreeMap::new();
        let mut lists = BTreeMap::new();
        for (name, item) in self.pairs(key, node)? {
            if matches!(key.shape, Shape::SecretLists) {
                let Value::Texts(secrets) = self.list(&Key::new(key.name, Shape::Texts), item)?
                else {
                    continue;
                };
                let secrets = secrets.into_iter().map(Secret::new).collect();
                if lists.insert(name.clone(), secrets).is_some() {
                    return Err(twice(item, &name, key));
                }
                continue;
            }
            let text = if item.is_null() {
                if matches!(key.shape, Shape::Regexes) {
                    return Err(wrong(item, "expected a regular expression", &name));
                }
                String::new()
            } else {
                let scalar = scalar(item).map_err(|reason| wrong(item, &reason, &name))?;
                scalar.text.clone()
            };
            if matches!(key.shape, Shape::Regexes) {
                check_label(&name).map_err(|reason| wrong(item, &reason, &name))?;
                go_regex::compile(&format!("^(?:{text})$")).map_err(|reason| {
                    let reason = format!("{text:?} is no regular expression: {reason}");
                    wrong(item, &reason, &name)
                })?;
            }
            if texts.insert(name.clone(), text).is_some() {
                return Err(twice(item, &name, key));
            }
        }
        Ok(if matches!(key.shape, Shape::SecretLists) {
            Value::SecretLists(lists)
        } else {
            Value::Pairs(texts)
        })
    }

    /// Keys that are texts with their values, those of a `<<` among them.
    fn pairs<'a>(&mut self, key: &Key, node: &'a Node) -> Result<Vec<(String, &'a Node)>, Mistake> {
        let wrong =
            |at: &Node, reason: &str| Mistake::at(at.line, format!("{}: {reason}", key.name));
        let Content::Map(pairs) = &node.content else {
            return Err(wrong(node, "expected keys and values"));
        };
        let mut found = Vec::new();
        for (name, item) in pairs {
            self.count(name)?;
            self.count(item)?;
            if name.is_merge() {
                for merged in item.merged()? {
                    found.extend(self.pairs(key, merged)?);
                }
                continue;
            }
            let text = if name.is_null() {
                String::new()
            } else {
                let name = scalar(name).map_err(|_| wrong(name, "a key must be a text"))?;
                name.text.clone()
            };
            found.push((text, &**item));
        }
        Ok(found)
    }

    pub(super) fn any(&mut self, node: &Node) -> Result<Any, Mistake> {
        self.count(node)?;
        match &node.content {
            Content::Scalar(scalar) => {
                let meaning = scalar.meaning().map_err(|it| Mistake::at(node.line, it))?;
                Ok(match meaning {
                    Meaning::Null => Any::Null,
                    Meaning::Bool(it) => Any::Bool(it),
                    Meaning::Int(it) => Any::Int(it),
                    Meaning::Uint(it) => Any::Uint(it),
                    Meaning::Float(it) => Any::Float(it),
                    Meaning::Text => Any::Text(scalar.text.clone()),
                })
            }
            Content::List(items) => {
                let items: Result<_, _> = items.iter().map(|it| self.any(it)).collect();
                Ok(Any::List(items?))
            }
            Content::Map(pairs) => {
                let mut found: Vec<(Any, Any)> = Vec::new();
                for (key, value) in pairs {
                    let more = if key.is_merge() {
                        let mut more = Vec::new();
                        for merged in value.merged()? {
                            if let Any::Map(pairs) = self.any(merged)? {
                                more.extend(pairs);
                            }
                        }
                        more
                    } else {
                        if !matches!(key.content, Content::Scalar(_)) {
                            return Err(Mistake::at(key.line, "a key must be a text or a number"));
                        }
                        vec![(self.any(key)?, self.any(value)?)]
                    };
                    for (key, item) in more {
                        if found.iter().any(|it| it.0 == key) {
                            let reason = match key {
                                Any::Text(key) => format!("{key} is given twice"),
                                _ => "a key is given twice".to_owned(),
                            };
                            return Err(Mistake::at(value.line, reason));
                        }
                        found.push((key, item));
                    }
                }
                Ok(Any::Map(found))
            }
        }
    }
}

/// What stands beside a `<<` that has the same key: lists and single values rule alone, of keys and values all are there, and none
/// may be there twice.
fn joined(before: Value, after: Value) -> Result<Value, String> {
    match (before, after) {
        (Value::Pairs(mut before), Value::Pairs(after)) => {
            for (name, text) in after {
                if before.insert(name.clone(), text).is_some() {
                    return Err(name);
                }
            }
            Ok(Value::Pairs(before))
        }
        (_, after) => Ok(after),
    }
}

fn twice(at: &Node, name: &str, key: &Key) -> Mistake {
    Mistake::at(at.line, format!("{}: {name} is given twice", key.name))
}

fn list(node: &Node) -> Result<&[std::sync::Arc<Node>], &'static str> {
    match &node.content {
        Content::List(items) => Ok(items),
        Content::Scalar(_) | Content::Map(_) => Err("expected a list"),
    }
}

fn scalar(node: &Node) -> Result<&Scalar, String> {
    match &node.content {
        Content::Scalar(scalar) => scalar.meaning().map(|_| scalar),
        Content::List(_) => Err("expected a single value, not a list".to_owned()),
        Content::Map(_) => Err("expected a single value, not keys and values".to_owned()),
    }
}

/// A value that is a scalar. What may be a secret does not get into the message.
fn plain_value(shape: Shape, scalar: &Scalar) -> Result<Value, String> {
    let text = || scalar.text.clone();
    let is_secret_url = scalar.text == "<secret>";
    Ok(match shape {
        Shape::Text => Value::Text(text()),
        Shape::Word(words) => {
            if !words.contains(&scalar.text.as_str()) {
                return Err(format!("{:?} is none of {}", scalar.text, words.join(", ")));
            }
            Value::Text(text())
        }
        Shape::Secret | Shape::MaybeSecret => Value::Secret(Secret::new(text())),
        Shape::Bool | Shape::MaybeBool => match scalar.wanted()? {
            Meaning::Bool(it) => Value::Bool(it),
            _ => return Err("expected true or false".to_owned()),
        },
        Shape::Int => match scalar.wanted()? {
            Meaning::Int(it) => Value::Int(it),
            Meaning::Float(it) => Value::Int(whole(it)?),
            _ => return Err("expected a number".to_owned()),
        },
        Shape::Uint => match scalar.wanted()? {
            Meaning::Int(it) => Value::Uint(u64::try_from(it).map_err(|_| "it is negative")?),
            Meaning::Uint(it) => Value::Uint(it),
            Meaning::Float(it) => {
                Value::Uint(u64::try_from(whole(it)?).map_err(|_| "it is negative")?)
            }
            _ => return Err("expected a number".to_owned()),
        },
        Shape::Float => match scalar.wanted()? {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a float is wanted, and an integer may be given"
            )]
            Meaning::Int(it) => Value::Float(it as f64),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a float is wanted, and an integer may be given"
            )]
            Meaning::Uint(it) => Value::Float(it as f64),
            Meaning::Float(it) => Value::Float(it),
            _ => return Err("expected a number".to_owned()),
        },
        Shape::Span | Shape::MaybeSpan => {
            Value::Nanoseconds(duration::prometheus(&scalar.text).ok_or_else(|| {
                format!(
                    "{:?} is no duration such as 30s, 5m, 1h30m or 1d",
                    scalar.text
                )
            })?)
        }
        Shape::GoSpan => match scalar.wanted()? {
            Meaning::Int(it) => Value::Nanoseconds(it),
            Meaning::Float(it) => Value::Nanoseconds(whole(it)?),
            _ => go_span(&scalar.text)?,
        },
        Shape::GoSpanText => go_span(&scalar.text)?,
        Shape::Url => Value::Text(
            go_url::http(&scalar.text)
                .map_err(|reason| format!("{:?} is no URL: {reason}", scalar.text))?,
        ),
        Shape::SecretUrl => {
            if !is_secret_url {
                go_url::http(&scalar.text).map_err(|reason| format!("this is no URL: {reason}"))?;
            }
            Value::Secret(Secret::new(text()))
        }
        Shape::SecretTemplate => {
            if scalar.text.contains("{{") {
                template::check_syntax(&scalar.text).map_err(|error| error.to_string())?;
            } else if !is_secret_url && !scalar.text.is_empty() {
                go_url::http(&scalar.text).map_err(|reason| format!("this is no URL: {reason}"))?;
            }
            Value::Secret(Secret::new(text()))
        }
        Shape::ProxyUrl => {
            go_url::redacted(&scalar.text).map_err(|reason| format!("this is no URL: {reason}"))?;
            Value::Secret(Secret::new(text()))
        }
        Shape::HostPort => {
            if !scalar.text.is_empty() && host_port(&scalar.text).is_none() {
                return Err(format!("{:?} is not of the form host:port", scalar.text));
            }
            Value::Text(text())
        }
        Shape::Zone => {
            calendar::zone(&scalar.text).ok_or_else(|| {
                format!(
                    "{:?} is no time zone such as Europe/Berlin, UTC or Local",
                    scalar.text
                )
            })?;
            Value::Text(if scalar.text.is_empty() {
                "UTC".to_owned()
            } else {
                text()
            })
        }
        // The others are read before this.
        _ => Value::Nothing,
    })
}

fn go_span(text: &str) -> Result<Value, String> {
    duration::go(text)
        .map(Value::Nanoseconds)
        .ok_or_else(|| format!("{text:?} is no duration such as 500ms, 30s or 1h30m"))
}

/// Go cuts off what is behind the point.
fn whole(number: f64) -> Result<i64, String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is within the bounds of the type, and its fraction is not wanted"
    )]
    if number.abs() < 9.2e18 {
        Ok(number as i64)
    } else {
        Err("the number is too large".to_owned())
    }
}

/// `host:25`, `[::1]:25`, `:25` (Go's `net.SplitHostPort`, and a port).
pub(super) fn host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .filter(|it| !it.contains(['[', ']']))?,
        None if host.contains([':', '[', ']']) => return None,
        None => host,
    };
    (!port.is_empty() && !port.contains(['[', ']'])).then_some((host, port))
}

/// Labels' names in the old forms of matchers.
pub(super) fn check_label(name: &str) -> Result<(), String> {
    if Mode::Classic.is_label_name(name) {
        Ok(())
    } else {
        Err(format!("{name:?} is no name of a label"))
    }
}

/// `a, b or c`.
pub(super) fn or(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => words.concat(),
    }
}

fn unknown(word: &str, section: &Section) -> String {
    let known: Vec<&str> = section.keys.iter().map(|it| it.name).collect();
    match closest(word, &known) {
        Some(near) => format!("unknown key {word}; did you mean {near}?"),
        None if known.is_empty() => format!("unknown key {word}; there are none here"),
        None => format!("unknown key {word}; known here: {}", known.join(", ")),
    }
}

/// What stands for a key that the section has not, and for one that is not given.
static NOTHING: Value = Value::Nothing;

impl Record {
    /// With the defaults.
    pub(super) fn new(section: &'static Section) -> Self {
        let slot = |key: &Key| {
            let value = key.default.and_then(|text| {
                let scalar = Scalar {
                    text: text.to_owned(),
                    plain: true,
                    tag: None,
                    filled: false,
                };
                if let Shape::SectionOrText(section, name) = key.shape {
                    let mut record = Self::new(section);
                    record.set(name, Value::Text(text.to_owned()));
                    return Some(Value::Record(record));
                }
                if let Shape::MaybeSection(section) = key.shape {
                    return Some(Value::Record(Self::new(section)));
                }
                plain_value(key.shape, &scalar).ok()
            });
            Slot {
                line: None,
                value: value.unwrap_or_default(),
            }
        };
        Self {
            line: 0,
            section,
            slots: section.keys.iter().map(slot).collect(),
        }
    }

    /// Keys with their values.
    /// And whether the file has them.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static Key, &Value, bool)> {
        let keys = self.section.keys.iter().zip(&self.slots);
        keys.map(|(key, slot)| (key, &slot.value, slot.line.is_some()))
    }

    fn slot(&self, key: &str) -> Option<&Slot> {
        let found = self.section.keys.iter().zip(&self.slots);
        let slot = found.into_iter().find(|it| it.0.name == key).map(|it| it.1);
        debug_assert!(slot.is_some(), "{} has no key {key}", self.section.name);
        slot
    }

    fn slot_mut(&mut self, key: &str) -> Option<&mut Slot> {
        let found = self.section.keys.iter().zip(&mut self.slots);
        let slot = found.into_iter().find(|it| it.0.name == key).map(|it| it.1);
        debug_assert!(slot.is_some(), "{} has no key {key}", self.section.name);
        slot
    }

    pub(super) fn get(&self, key: &str) -> &Value {
        self.slot(key).map_or(&NOTHING, |it| &it.value)
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        if let Some(slot) = self.slot_mut(key) {
            slot.value = value;
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Value {
        self.slot_mut(key)
            .map(|it| std::mem::take(&mut it.value))
            .unwrap_or_default()
    }

    /// The table of a key that has one.
    pub(super) fn section_of(&self, key: &str) -> &'static Section {
        let found = self.section.keys.iter().find(|it| it.name == key);
        match found.map(|it| it.shape) {
            Some(
                Shape::Section(it)
                | Shape::MaybeSection(it)
                | Shape::Sections(it)
                | Shape::NamedSections(it)
                | Shape::SectionOrText(it, _),
            ) => it,
            _ => self.section,
        }
    }

    /// Whether the user wrote it, even empty.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.slot(key).is_some_and(|it| it.line.is_some())
    }

    /// Whether there is something in it.
    pub(super) fn has(&self, key: &str) -> bool {
        let shape = self.section.keys.iter().find(|it| it.name == key);
        let shape = shape.map(|it| it.shape);
        match self.get(key) {
            Value::Nothing => false,
            Value::Text(it) => !it.is_empty() || matches!(shape, Some(Shape::Url)),
            Value::Secret(it) => {
                !it.expose().is_empty() || matches!(shape, Some(Shape::MaybeSecret))
            }
            Value::Bool(it) => *it || matches!(shape, Some(Shape::MaybeBool)),
            Value::Int(it) | Value::Nanoseconds(it) => *it != 0,
            Value::Uint(it) => *it != 0,
            Value::Float(it) => *it != 0.0,
            Value::Texts(it) => !it.is_empty(),
            Value::Secrets(it) => !it.is_empty(),
            Value::Pairs(it) => !it.is_empty(),
            Value::SecretLists(it) => !it.is_empty(),
            Value::Any(it) => *it != Any::Null,
            Value::Matchers(it) => !it.is_empty(),
            Value::Ranges(it) => !it.is_empty(),
            Value::Record(_) => true,
            Value::Records(it) => !it.is_empty(),
            Value::Named(it) => !it.is_empty(),
        }
    }

    /// A mistake at a key's value, or at the section when it is not given.
    pub(super) fn wrong(&self, key: &str, reason: impl Into<String>) -> Mistake {
        let line = self.slot(key).and_then(|it| it.line);
        let line = line.unwrap_or(self.line);
        Mistake {
            line: (line != 0).then_some(line),
            reason: reason.into(),
        }
    }

    /// Of these, one may be there at most.
    pub(super) fn at_most_one(&self, keys: &[&str]) -> Result<(), Mistake> {
        let mut there = keys.iter().filter(|it| self.has(it));
        match (there.next(), there.next()) {
            (Some(one), Some(other)) => Err(self.wrong(
                other,
                format!(
                    "{}: {one} and {other} exclude each other",
                    self.section.name
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Of these, one must be there at least.
    pub(super) fn one_of(&self, keys: &[&str]) -> Result<(), Mistake> {
        if keys.iter().any(|it| self.has(it)) {
            return Ok(());
        }
        let reason = format!("{} needs {}", self.section.name, or(keys));
        Err(self.wrong(keys.first().copied().unwrap_or(""), reason))
    }

    pub(super) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Value::Text(it) => it,
            _ => "",
        }
    }

    /// The text when the user gave one, even an empty one.
    pub(super) fn given_text(&self, key: &str) -> Option<String> {
        self.is_given(key).then(|| self.text(key).to_owned())
    }

    /// The text when it is not empty.
    pub(super) fn some_text(&self, key: &str) -> Option<String> {
        Some(self.text(key).to_owned()).filter(|it| !it.is_empty())
    }

    pub(super) fn secret(&self, key: &str) -> Option<&Secret> {
        match self.get(key) {
            Value::Secret(it) => Some(it),
            _ => None,
        }
    }

    /// One of a secret and the file that holds it.
    pub(super) fn source(&self, inline: &str, file: &str) -> Option<SecretSource> {
        let file = self.some_text(file).map(PathBuf::from);
        let secret = match self.get(inline) {
            Value::Secret(it) => Some(it.clone()),
            Value::Text(it) => Some(Secret::new(it.clone())),
            _ => None,
        };
        let secret = secret.filter(|it| !it.expose().is_empty());
        secret
            .map(SecretSource::Inline)
            .or_else(|| file.map(SecretSource::File))
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Value::Bool(true))
    }

    pub(super) fn maybe_flag(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Value::Bool(it) => Some(*it),
            _ => None,
        }
    }

    /// None when it is not given; a negative one is zero.
    pub(super) fn span(&self, key: &str) -> Option<Duration> {
        match self.get(key) {
            Value::Nanoseconds(it) => Some(Duration::from_nanos(u64::try_from(*it).unwrap_or(0))),
            _ => None,
        }
    }

    pub(super) fn count(&self, key: &str) -> u64 {
        match self.get(key) {
            Value::Uint(it) => *it,
            Value::Int(it) => u64::try_from(*it).unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn texts(&self, key: &str) -> &[String] {
        match self.get(key) {
            Value::Texts(it) => it,
            _ => &[],
        }
    }

    pub(super) fn pairs(&self, key: &str) -> BTreeMap<String, String> {
        match self.get(key) {
            Value::Pairs(it) => it.clone(),
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn any(&self, key: &str) -> Option<&Any> {
        match self.get(key) {
            Value::Any(it) => Some(it),
            _ => None,
        }
    }

    pub(super) fn matchers(&self, key: &str) -> &[Matcher] {
        match self.get(key) {
            Value::Matchers(it) => it,
            _ => &[],
        }
    }

    pub(super) fn ranges(&self, key: &str) -> Option<Vec<RangeInclusive<i64>>> {
        match self.get(key) {
            Value::Ranges(it) => Some(it.clone()),
            _ => None,
        }
    }

    pub(super) fn record(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Value::Record(it) => Some(it),
            _ => None,
        }
    }

    pub(super) fn record_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self.slot_mut(key).map(|it| &mut it.value) {
            Some(Value::Record(it)) => Some(it),
            _ => None,
        }
    }

    pub(super) fn records(&self, key: &str) -> &[Self] {
        match self.get(key) {
            Value::Records(it) => it,
            _ => &[],
        }
    }

    pub(super) fn records_mut(&mut self, key: &str) -> &mut [Self] {
        match self.slot_mut(key).map(|it| &mut it.value) {
            Some(Value::Records(it)) => it,
            _ => &mut [],
        }
    }

    pub(super) fn named(&self, key: &str) -> impl Iterator<Item = (&String, &Self)> {
        match self.get(key) {
            Value::Named(it) => Some(it.iter()),
            _ => None,
        }
        .into_iter()
        .flatten()
    }
}
