//! What templates work with: Go's values and their types, as far as templates of alerts can meet them.

use std::{collections::BTreeMap, sync::Arc};

use super::time::{Time, Zone};

/// A text of Go's: bytes, mostly of UTF-8.
pub(super) type Bytes = Arc<[u8]>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// No value at all, which is not the same as an empty interface's.
    Invalid,
    /// `interface {}` with nothing in it.
    Nil,
    Bool(bool),
    Int(Int, i64),
    Byte(u8),
    Float(f64),
    Complex(f64, f64),
    Text(Text, Bytes),
    Time(Time),
    Location(Zone),
    List(List, Arc<Vec<Self>>),
    Map(Map, Arc<BTreeMap<Bytes, Self>>),
    Struct(Struct, Arc<Vec<Self>>),
    /// To a struct.
    Pointer(Struct, Arc<Vec<Self>>),
}

/// Types of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Int {
    Plain,
    Wide,
    Duration,
    Month,
    Weekday,
}

/// Types of texts: those of `html/template` say that no escaping is needed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    String,
    Html,
    Url,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Strings,
    /// `template.Strings`
    NamedStrings,
    /// `template.Pairs`
    Pairs,
    /// `template.Alerts`
    Alerts,
    /// `[]template.Alert`
    SomeAlerts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    /// `map[string]interface {}`
    Any,
    /// `template.KV`
    Kv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Struct {
    Data,
    Alert,
    Pair,
}

/// Types of parameters of functions and methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// `interface {}`
    Any,
    /// `reflect.Value`: anything, and nothing as well.
    Reflect,
    String,
    Int,
    /// `[]string`
    Strings,
    /// `[]interface {}`
    Anys,
    Time,
    Duration,
    /// `*time.Location`
    Location,
}

impl Struct {
    /// The fields, in their order, and as JSON calls them.
    pub(super) const fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Data => &[
                ("Receiver", "receiver"),
                ("Status", "status"),
                ("Alerts", "alerts"),
                ("NotificationReason", "notification_reason"),
                ("GroupLabels", "groupLabels"),
                ("CommonLabels", "commonLabels"),
                ("CommonAnnotations", "commonAnnotations"),
                ("RouteLabels", "routeLabels"),
                ("ExternalURL", "externalURL"),
                // Not for templates: its name starts with a small letter.
                ("routeLabelsRendered", ""),
            ],
            Self::Alert => &[
                ("Status", "status"),
                ("Labels", "labels"),
                ("Annotations", "annotations"),
                ("StartsAt", "startsAt"),
                ("EndsAt", "endsAt"),
                ("GeneratorURL", "generatorURL"),
                ("Fingerprint", "fingerprint"),
            ],
            Self::Pair => &[("Name", "Name"), ("Value", "Value")],
        }
    }

    const fn type_name(self) -> &'static str {
        match self {
            Self::Data => "template.Data",
            Self::Alert => "template.Alert",
            Self::Pair => "template.Pair",
        }
    }
}

impl Type {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::String => "string",
            Self::Int => "int",
            Self::Strings => "[]string",
            Self::Anys => "[]interface {}",
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
            Self::Location => "*time.Location",
        }
    }

    /// What nil is of this type; None where there is none.
    pub(super) fn nil(self) -> Option<Value> {
        match self {
            Self::Any => Some(Value::Nil),
            Self::Reflect => Some(Value::Invalid),
            Self::Strings => Some(Value::List(List::Strings, Arc::default())),
            Self::Anys => Some(Value::List(List::Any, Arc::default())),
            Self::Location => Some(Value::Location(Zone::Utc)),
            Self::String | Self::Int | Self::Time | Self::Duration => None,
        }
    }

    /// Whether a value may be given to it (Go specification, "Assignability").
    pub(super) const fn takes(self, value: &Value) -> bool {
        match self {
            Self::Any | Self::Reflect => true,
            Self::String => matches!(value, Value::Text(Text::String, _)),
            Self::Int => matches!(value, Value::Int(Int::Plain, _)),
            Self::Strings => matches!(value, Value::List(List::Strings | List::NamedStrings, _)),
            Self::Anys => matches!(value, Value::List(List::Any, _)),
            Self::Time => matches!(value, Value::Time(_)),
            Self::Duration => matches!(value, Value::Int(Int::Duration, _)),
            Self::Location => matches!(value, Value::Location(_)),
        }
    }
}

impl Value {
    pub(super) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(Text::String, text.as_ref().into())
    }

    pub(super) fn int(value: usize) -> Self {
        Self::Int(Int::Plain, i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn strings(kind: List, texts: impl IntoIterator<Item = Bytes>) -> Self {
        let texts = texts.into_iter().map(|it| Self::Text(Text::String, it));
        Self::List(kind, Arc::new(texts.collect()))
    }

    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Invalid => "<nil>",
            Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(Int::Plain, _) => "int",
            Self::Int(Int::Wide, _) => "int64",
            Self::Int(Int::Duration, _) => "time.Duration",
            Self::Int(Int::Month, _) => "time.Month",
            Self::Int(Int::Weekday, _) => "time.Weekday",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::Text(Text::String, _) => "string",
            Self::Text(Text::Html, _) => "template.HTML",
            Self::Text(Text::Url, _) => "template.URL",
            Self::Time(_) => "time.Time",
            Self::Location(_) => "*time.Location",
            Self::List(List::Any, _) => "[]interface {}",
            Self::List(List::Strings, _) => "[]string",
            Self::List(List::NamedStrings, _) => "template.Strings",
            Self::List(List::Pairs, _) => "template.Pairs",
            Self::List(List::Alerts, _) => "template.Alerts",
            Self::List(List::SomeAlerts, _) => "[]template.Alert",
            Self::Map(Map::Any, _) => "map[string]interface {}",
            Self::Map(Map::Kv, _) => "template.KV",
            Self::Struct(kind, _) => kind.type_name(),
            Self::Pointer(Struct::Data, _) => "*template.Data",
            Self::Pointer(Struct::Alert, _) => "*template.Alert",
            Self::Pointer(Struct::Pair, _) => "*template.Pair",
        }
    }

    /// Whether `if` takes it for true: what is not zero, or not empty.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Invalid | Self::Nil => false,
            Self::Bool(it) => *it,
            Self::Int(_, it) => *it != 0,
            Self::Byte(it) => *it != 0,
            Self::Float(it) => *it != 0.0,
            Self::Complex(a, b) => *a != 0.0 || *b != 0.0,
            Self::Text(_, it) => !it.is_empty(),
            Self::List(_, it) => !it.is_empty(),
            Self::Map(_, it) => !it.is_empty(),
            Self::Time(_) | Self::Location(_) | Self::Struct(..) | Self::Pointer(..) => true,
        }
    }

    /// What an empty interface has inside.
    pub(super) fn concrete(self) -> Self {
        match self {
            Self::Nil => Self::Invalid,
            other => other,
        }
    }

    /// What `String()` gives, for types that have it.
    pub(super) fn stringer(&self) -> Option<Vec<u8>> {
        match self {
            Self::Time(it) => Some(it.to_string().into_bytes()),
            Self::Location(it) => Some(it.name().as_bytes().to_vec()),
            Self::Int(Int::Duration, it) => Some(super::time::duration(*it).into_bytes()),
            Self::Int(Int::Month, it) => Some(super::time::month(*it).into_bytes()),
            Self::Int(Int::Weekday, it) => Some(super::time::weekday(*it).into_bytes()),
            Self::List(List::Pairs, pairs) => Some(pairs_text(pairs)),
            Self::Map(Map::Kv, map) => Some(pairs_text(&sorted_pairs(map))),
            _ => None,
        }
    }
}

/// The pairs of a map, `alertname` first.
pub(super) fn sorted_pairs(map: &BTreeMap<Bytes, Value>) -> Vec<Value> {
    let is_name = |it: &&(&Bytes, &Value)| **it.0 == *b"alertname";
    let first = map.iter().filter(|it| is_name(&it));
    let others = map.iter().filter(|it| !is_name(&it));
    first
        .chain(others)
        .map(|(name, value)| {
            let name = Value::Text(Text::String, Arc::clone(name));
            Value::Struct(Struct::Pair, Arc::new(vec![name, value.clone()]))
        })
        .collect()
}

/// `a=b, c=d`
fn pairs_text(pairs: &[Value]) -> Vec<u8> {
    let mut text = Vec::new();
    for pair in pairs {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(&field(pair, 0));
        text.push(b'=');
        text.extend_from_slice(&field(pair, 1));
    }
    text
}

/// A struct's field that is a text.
pub(super) fn field(value: &Value, at: usize) -> Bytes {
    match value {
        Value::Struct(_, fields) | Value::Pointer(_, fields) => match fields.get(at) {
            Some(Value::Text(_, text)) => Arc::clone(text),
            _ => Arc::default(),
        },
        _ => Arc::default(),
    }
}
