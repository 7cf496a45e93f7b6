//! What is answered: an array with an element for each request, in their order, read as it stands without a tree of it in memory.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// No JSON, or not the shape of an answer.
    #[error("the answer is not Jolokia's: {0}")]
    Shape(#[from] serde_json::Error),
    /// Jolokia refuses the whole call, as its policy does with what it forbids.
    #[error("Jolokia answers with status {status}: {error}")]
    Refused { status: u16, error: String },
    /// Some requests are not answered.
    #[error("{found} of {asked} requests are answered")]
    Short { asked: usize, found: usize },
}

/// How one request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Fine,
    /// There is no such bean, or it has no such attribute.
    Missing,
    /// Anything else.
    Failed,
}

/// Texts of errors are cut here.
const MAX_ERROR: usize = 200;

/// What the `value` of an answer is read as. What has another shape is read as if there were nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want<'a> {
    /// Numbers of some attributes, in their order. The value of one attribute stands alone; those of more are in a map.
    Numbers(&'a [&'static str]),
    /// An array of numbers.
    Counts,
    /// A map of numbers.
    Map,
    /// An array of names, as a search gives.
    Names,
    /// All of it, within bounds.
    Tree,
}

/// What it was read as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Got {
    Numbers(Found),
    Counts(Vec<f64>),
    Map(Vec<(String, f64)>),
    Names(Vec<String>),
    Tree(Tree),
}

/// Reads an answer of `asked` elements, and gives each with its place.
///
/// # Errors
/// When it is no answer, or one with fewer elements; what came before is given to `take` all the same.
pub(crate) fn read<'a>(
    text: &[u8],
    asked: usize,
    want: impl Fn(usize) -> Want<'a>,
    mut take: impl FnMut(usize, Status, Option<Got>),
) -> Result<(), AnswerError> {
    let mut refused = None;
    let mut found = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let visitor = Answer {
        asked,
        want: &want,
        take: &mut take,
        found: &mut found,
        refused: &mut refused,
    };
    let end = deserializer
        .deserialize_any(visitor)
        .and_then(|()| deserializer.end());
    if let Some((status, error)) = refused {
        return Err(AnswerError::Refused { status, error });
    }
    end?;
    if found < asked {
        return Err(AnswerError::Short { asked, found });
    }
    Ok(())
}

struct Answer<'s, W, T> {
    asked: usize,
    want: &'s W,
    take: &'s mut T,
    found: &'s mut usize,
    refused: &'s mut Option<(u16, String)>,
}

impl<'de, 'a, W, T> Visitor<'de> for Answer<'_, W, T>
where
    W: Fn(usize) -> Want<'a>,
    T: FnMut(usize, Status, Option<Got>),
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of answers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let place = *self.found;
            let want = (place < self.asked).then(|| (self.want)(place));
            let Some(element) = seq.next_element_seed(Element(want))? else {
                return Ok(());
            };
            if place >= self.asked {
                return Err(A::Error::custom("more answers than requests"));
            }
            *self.found += 1;
            let (status, value) = (element.status(), element.value);
            (self.take)(place, status, value.filter(|_| status == Status::Fine));
        }
    }

    /// An error of the whole call stands alone.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let element = Element(None).visit_map(map)?;
        let status = element.code.unwrap_or(500);
        *self.refused = Some((status, element.error));
        Ok(())
    }
}

struct Element<'a>(Option<Want<'a>>);

struct Parts {
    code: Option<u16>,
    error: String,
    value: Option<Got>,
}

impl Parts {
    fn status(&self) -> Status {
        match self.code {
            Some(200) => Status::Fine,
            Some(404) => Status::Missing,
            _ => Status::Failed,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = Parts;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = Parts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Parts {
            code: None,
            error: String::new(),
            value: None,
        };
        while let Some(key) = map.next_key_seed(Key)? {
            match key {
                Field::Value => match self.0.take() {
                    Some(seed) => parts.value = Some(map.next_value_seed(seed)?),
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
                Field::Status => parts.code = map.next_value_seed(Code)?,
                Field::Error => parts.error = map.next_value_seed(Short)?,
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(parts)
    }
}

enum Field {
    Value,
    Status,
    Error,
    Other,
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(match text {
            "value" => Field::Value,
            "status" => Field::Status,
            "error" => Field::Error,
            _ => Field::Other,
        })
    }
}

/// A status; None when it is none.
struct Code;

impl<'de> DeserializeSeed<'de> for Code {
    type Value = Option<u16>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let number = Number.deserialize(deserializer)?;
        let whole = number.filter(|it| it.fract() == 0.0 && (0.0..1000.0).contains(it));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "its range is checked"
        )]
        Ok(whole.map(|it| it as u16))
    }
}

/// A text, cut.
struct Short;

impl<'de> DeserializeSeed<'de> for Short {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let text = Text.deserialize(deserializer)?;
        let text: String = text.chars().filter(|it| !it.is_control()).collect();
        Ok(text.chars().take(MAX_ERROR).collect())
    }
}

/// A text; empty when it is none.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_f64<E>(self, _: f64) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<String, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(String::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(String::new())
    }
}

/// A number; None for what is none, `"NaN"` and infinities included: there is nothing to show then.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = Option<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number).filter(|it| it.is_finite()))
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_bool<E>(self, is: bool) -> Result<Self::Value, E> {
        Ok(Some(f64::from(u8::from(is))))
    }

    /// Texts are for what JSON has no number for, or for longs with `serializeLong=string`.
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let number = text.parse::<f64>().ok();
        Ok(number.filter(|it| it.is_finite()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// At most so many attributes of a bean are read at a time.
pub(crate) const MAX_ATTRIBUTES: usize = 12;

pub(crate) type Found = [Option<f64>; MAX_ATTRIBUTES];

/// Things in arrays and maps that are kept of one value; the rest is passed over.
const MAX_ITEMS: usize = 200_000;

impl<'de> DeserializeSeed<'de> for Want<'_> {
    type Value = Got;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Got, D::Error> {
        if let Self::Numbers([_]) = self {
            let mut found = Found::default();
            if let Some(first) = found.first_mut() {
                *first = Number.deserialize(deserializer)?;
            }
            return Ok(Got::Numbers(found));
        }
        if let Self::Tree = self {
            let left = std::cell::Cell::new(MAX_ITEMS);
            return Branch(&left).deserialize(deserializer).map(Got::Tree);
        }
        deserializer.deserialize_any(self)
    }
}

impl Want<'_> {
    fn nothing(self) -> Got {
        match self {
            Self::Numbers(_) => Got::Numbers(Found::default()),
            Self::Counts => Got::Counts(Vec::new()),
            Self::Map => Got::Map(Vec::new()),
            Self::Names => Got::Names(Vec::new()),
            Self::Tree => Got::Tree(Tree::None),
        }
    }
}

impl<'de> Visitor<'de> for Want<'_> {
    type Value = Got;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Got, A::Error> {
        match self {
            Self::Numbers(attributes) => {
                let mut found = Found::default();
                while let Some(at) = map.next_key_seed(Place(attributes))? {
                    match at.and_then(|it| found.get_mut(it)) {
                        Some(place) => *place = map.next_value_seed(Number)?,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Got::Numbers(found))
            }
            Self::Map => {
                let mut found = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if let Some(number) = map.next_value_seed(Number)?
                        && found.len() < MAX_ITEMS
                    {
                        found.push((key, number));
                    }
                }
                Ok(Got::Map(found))
            }
            _ => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(self.nothing())
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Got, A::Error> {
        match self {
            Self::Counts => {
                let mut counts = Vec::new();
                while let Some(count) = seq.next_element_seed(Number)? {
                    if counts.len() < MAX_ITEMS {
                        counts.push(count.unwrap_or(0.0));
                    }
                }
                Ok(Got::Counts(counts))
            }
            Self::Names => {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element_seed(Text)? {
                    if names.len() < MAX_ITEMS {
                        names.push(name);
                    }
                }
                Ok(Got::Names(names))
            }
            _ => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(self.nothing())
            }
        }
    }

    fn visit_unit<E>(self) -> Result<Got, E> {
        Ok(self.nothing())
    }

    fn visit_str<E>(self, _: &str) -> Result<Got, E> {
        Ok(self.nothing())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Got, E> {
        Ok(self.nothing())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Got, E> {
        Ok(self.nothing())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Got, E> {
        Ok(self.nothing())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Got, E> {
        Ok(self.nothing())
    }
}

/// A value of any shape.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Tree {
    #[default]
    None,
    Number(f64),
    Bool(bool),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Tree {
    /// The value of a key; of anything else there is none.
    pub(crate) fn get(&self, key: &str) -> &Self {
        const NONE: &Tree = &Tree::None;
        self.entries()
            .iter()
            .find_map(|(its, value)| (its == key).then_some(value))
            .unwrap_or(NONE)
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number, also one that is written as a text.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bool(is) => Some(f64::from(u8::from(*is))),
            Self::Text(text) => text.parse().ok().filter(|it: &f64| it.is_finite()),
            Self::None | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.list().iter().filter_map(Self::text)
    }
}

struct Branch<'a>(&'a std::cell::Cell<usize>);

impl Branch<'_> {
    /// Whether one more thing is kept.
    fn keeps(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

impl<'de> DeserializeSeed<'de> for Branch<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branch<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number as f64))
    }

    fn visit_bool<E>(self, is: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(is))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element_seed(Branch(self.0))? {
            if self.keeps() {
                list.push(element);
            }
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Text)? {
            let value = map.next_value_seed(Branch(self.0))?;
            if self.keeps() {
                entries.push((key, value));
            }
        }
        Ok(Tree::Map(entries))
    }
}

/// The place of an attribute's name.
struct Place<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an attribute")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|it| *it == text))
    }
}

#[cfg(test)]
mod tests {
    use super::{Got, Status, Tree, Want, read};

    type One = (Status, Option<Vec<Option<f64>>>);

    fn numbers(text: &str, asked: &[&[&'static str]]) -> (Vec<One>, String) {
        let mut all = Vec::new();
        let end = read(
            text.as_bytes(),
            asked.len(),
            |at| Want::Numbers(asked[at]),
            |at, status, got| {
                assert_eq!(at, all.len());
                let found = got.map(|it| match it {
                    Got::Numbers(found) => found[..asked[at].len()].to_vec(),
                    other => panic!("{other:?}"),
                });
                all.push((status, found));
            },
        );
        (all, end.err().map(|it| it.to_string()).unwrap_or_default())
    }

    #[test]
    fn values_errors_and_odd_ones() {
        // As Jolokia 2.6 answers, and 1.7, and somebody else.
        let text = r#"[
            {"value":{"99thPercentile":0.5,"Count":28,"Other":[{"x":1}]},"status":200,"timestamp":1795704558},
            {"request":{"type":"read"},"value":7,"timestamp":1,"status":200},
            {"value":{"Count":"ERROR: no (class x)","99thPercentile":{".error":true,"error":"no"}},"status":200},
            {"error_type":"javax.management.InstanceNotFoundException","error":"gone","status":404},
            {"status":500,"error":"boom","value":{"Count":3}},
            {"status":200,"value":"NaN"},
            {"status":200,"value":"Infinity"},
            {"status":200,"value":null},
            {"status":200,"value":true},
            {"status":200,"value":"12"},
            {"status":200}
        ]"#;
        let two: &[&str] = &["Count", "99thPercentile"];
        let one: &[&str] = &["Value"];
        let asked = [two, one, two, one, two, one, one, one, one, one, one];
        let (all, error) = numbers(text, &asked);
        assert_eq!(error, "");
        let fine = |values: &[Option<f64>]| (Status::Fine, Some(values.to_vec()));
        assert_eq!(
            all,
            [
                fine(&[Some(28.0), Some(0.5)]),
                fine(&[Some(7.0)]),
                fine(&[None, None]),
                (Status::Missing, None),
                (Status::Failed, None),
                fine(&[None]),
                fine(&[None]),
                fine(&[None]),
                fine(&[Some(1.0)]),
                fine(&[Some(12.0)]),
                (Status::Fine, None),
            ]
        );
    }

    #[test]
    fn no_answers() {
        let one: &[&str] = &["Value"];
        for (text, parts, expect) in [
            ("", 0, "not Jolokia's"),
            ("<html>", 0, "not Jolokia's"),
            ("7", 0, "not Jolokia's"),
            ("[7]", 0, "not Jolokia's"),
            ("[]", 0, "0 of 2 requests are answered"),
            (r#"[{"status":200,"value":1}]"#, 1, "1 of 2 requests"),
            (r#"[{"status":200,"value":1},{"status":200,"va"#, 1, "EOF"),
            (
                r#"[{"status":200,"value":1},{"status":200,"value":1},{"status":200}]"#,
                2,
                "more answers than requests",
            ),
            (
                r#"[{"status":200,"value":1},{"status":200,"value":1}] x"#,
                2,
                "trailing",
            ),
            (
                r#"{"error":"Reading\n not allowed","status":403}"#,
                0,
                "status 403: Reading not allowed",
            ),
            ("{}", 0, "status 500"),
        ] {
            let (all, error) = numbers(text, &[one, one]);
            assert_eq!(all.len(), parts, "{text}");
            assert!(error.contains(expect), "{text}: {error}");
        }
        // Deeper than any bean.
        let deep = format!("[{{\"value\":{}", "[".repeat(100_000));
        let error = numbers(&deep, &[one]).1;
        assert!(
            error.contains("EOF") || error.contains("recursion"),
            "{error}"
        );
        let mut found = Vec::new();
        let end = read(
            deep.as_bytes(),
            1,
            |_| Want::Tree,
            |at, _, _| found.push(at),
        );
        assert!(end.unwrap_err().to_string().contains("recursion"));
        assert!(found.is_empty());
    }

    #[test]
    fn other_shapes() {
        let values = [
            "[0,1,\"NaN\",3]",
            "{\"a\":1,\"b\":\"x\"}",
            "[\"n\",7]",
            "null",
            "7",
            "\"x\"",
        ];
        let all = |want: Want<'static>| {
            let values = values.map(|it| format!("{{\"status\":200,\"value\":{it}}}"));
            let mut all = Vec::new();
            read(
                format!("[{}]", values.join(",")).as_bytes(),
                values.len(),
                |_| want,
                |_, _, got| all.push(got.unwrap()),
            )
            .unwrap();
            all
        };
        let counts = |it: &[f64]| Got::Counts(it.to_vec());
        assert_eq!(
            all(Want::Counts),
            [
                counts(&[0.0, 1.0, 0.0, 3.0]),
                counts(&[]),
                counts(&[0.0, 7.0]),
                counts(&[]),
                counts(&[]),
                counts(&[])
            ]
        );
        assert_eq!(all(Want::Map)[1], Got::Map(vec![("a".to_owned(), 1.0)]));
        let names = vec!["n".to_owned(), String::new()];
        assert_eq!(all(Want::Names)[2], Got::Names(names));
        let Got::Tree(tree) = &all(Want::Tree)[1] else {
            panic!("no tree");
        };
        assert_eq!(tree.get("a").number(), Some(1.0));
        assert_eq!(tree.get("b").text(), Some("x"));
        assert_eq!(*tree.get("c"), Tree::None);
    }
}
