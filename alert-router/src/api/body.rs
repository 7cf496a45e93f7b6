//! Bodies of alerts: read straight into the form in which they are held. One that is wrong is read again, slowly, to say what is wrong
//! as Alertmanager's validation says it.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use daemon::http::StatusCode;
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::alert::{Pairs, Posted, packed::Packed};

/// More alerts in one body than any sender puts there.
const MAX_POSTED: usize = 50_000;

/// Status, code and words of a refusal.
pub(super) type Refusal = (StatusCode, u16, String);

/// Reads a body.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Posted>, Refusal> {
    if let Ok(alerts) = serde_json::from_slice::<Vec<Fast>>(body)
        && alerts.len() <= MAX_POSTED
    {
        return Ok(alerts.into_iter().map(|it| it.0).collect());
    }
    slow(body)
}

/// An alert of a body without mistakes.
struct Fast(Posted);

impl<'de> Deserialize<'de> for Fast {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AlertVisitor)
    }
}

struct AlertVisitor;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    Labels,
    Annotations,
    StartsAt,
    EndsAt,
    #[serde(rename = "generatorURL")]
    GeneratorUrl,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for AlertVisitor {
    type Value = Fast;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fast, A::Error> {
        let mut labels: Option<Texts<'_>> = None;
        let mut annotations = Texts::default();
        let (mut starts_at, mut ends_at) = (None, None);
        let mut generator_url = Text::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Labels => labels = map.next_value()?,
                Key::Annotations => {
                    annotations = map.next_value::<Option<Texts<'_>>>()?.unwrap_or_default();
                }
                Key::StartsAt => starts_at = map.next_value::<Time>()?.0,
                Key::EndsAt => ends_at = map.next_value::<Time>()?.0,
                Key::GeneratorUrl => generator_url = map.next_value()?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let labels = labels.ok_or_else(|| A::Error::custom("no labels"))?;
        if !is_uri(&generator_url.0) {
            return Err(A::Error::custom("no URI"));
        }
        let (labels, annotations) = (labels.sorted(true), annotations.sorted(false));
        let view = |it: &(Text<'_>, Text<'_>)| -> (usize, usize) { (it.0.0.len(), it.1.0.len()) };
        let _ = view;
        Ok(Fast(Posted {
            texts: Packed::new(
                labels.iter().map(|it| (&*it.0.0, &*it.1.0)),
                annotations.iter().map(|it| (&*it.0.0, &*it.1.0)),
                &generator_url.0,
            ),
            starts_at,
            ends_at,
        }))
    }
}

/// A text, in the body where it has no escapes.
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Names to texts.
#[derive(Default)]
struct Texts<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Texts<'a> {
    /// By name; of several with one name the last, as in Go. Labels without a value are none.
    fn sorted(self, drop_empty: bool) -> Vec<(Text<'a>, Text<'a>)> {
        let mut texts = self.0;
        let is_sorted = texts.is_sorted_by(|a, b| a.0.0 < b.0.0);
        if !is_sorted {
            texts.reverse();
            texts.sort_by(|a, b| a.0.0.cmp(&b.0.0));
            texts.dedup_by(|a, b| a.0.0 == b.0.0);
        }
        if drop_empty {
            texts.retain(|it| !it.1.0.is_empty());
        }
        texts
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::with_capacity(8);
                while let Some(pair) = map.next_entry()? {
                    texts.push(pair);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(TextsVisitor)
    }
}

/// A time; none where the text is empty or Go's zero.
struct Time(Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<Text<'_>>::deserialize(deserializer)?;
        let text = text.unwrap_or_default();
        time(&text.0)
            .map(Self)
            .ok_or_else(|| D::Error::custom("no time"))
    }
}

/// A time as Alertmanager's API takes it: RFC 3339, or the same without a zone, which is then UTC.
pub(super) fn time(text: &str) -> Option<Option<Timestamp>> {
    if text.is_empty() {
        return Some(None);
    }
    let time: Timestamp = text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::Offset::UTC.to_timestamp(civil).ok()
    })?;
    // Go's zero time means that none is given.
    Some((time.as_second() > -62_135_596_800).then_some(time))
}

/// What Go's `url.ParseRequestURI` takes, about: an absolute path, or a scheme and something behind it.
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.starts_with('/') || text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|it: char| it.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it));
    let authority = rest.strip_prefix("//").map(|it| {
        let end = it.find(['/', '?', '#']).unwrap_or(it.len());
        it.split_at(end).0
    });
    let is_authority = |it: &str| {
        let host = it.rsplit_once('@').map_or(it, |it| it.1);
        let port = host.rsplit_once(':').filter(|it| !it.1.contains(']'));
        !host.contains(|it: char| it.is_whitespace() || "<>\"\\^`{|}".contains(it))
            && port.is_none_or(|it| it.1.chars().all(|it| it.is_ascii_digit()))
    };
    is_scheme && !text.chars().any(|it| it.is_ascii_control()) && authority.is_none_or(is_authority)
}

fn bad(reason: &str) -> Refusal {
    (
        StatusCode::BAD_REQUEST,
        400,
        format!("parsing alerts body from \"\" failed, because {reason}"),
    )
}

fn slow(body: &[u8]) -> Result<Vec<Posted>, Refusal> {
    let value: Value = serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
    let Value::Array(alerts) = value else {
        return Err(bad("the body is no list of alerts"));
    };
    if alerts.len() > MAX_POSTED {
        return Err(bad(&format!("the body has more than {MAX_POSTED} alerts")));
    }
    alerts
        .into_iter()
        .enumerate()
        .map(|(index, alert)| one(index, alert))
        .collect()
}

fn one(index: usize, alert: Value) -> Result<Posted, Refusal> {
    let Value::Object(mut alert) = alert else {
        return Err(bad(&format!("alert {index} is no object")));
    };
    let labels = match alert.remove("labels") {
        None | Some(Value::Null) => {
            let message = format!("{index}.labels in body is required");
            return Err((StatusCode::UNPROCESSABLE_ENTITY, 602, message));
        }
        Some(labels) => pairs(labels)
            .ok_or_else(|| bad(&format!("labels of alert {index} are not names to texts")))?,
    };
    let annotations = match alert.remove("annotations") {
        None | Some(Value::Null) => Pairs::new(),
        Some(it) => pairs(it).ok_or_else(|| {
            bad(&format!(
                "annotations of alert {index} are not names to texts"
            ))
        })?,
    };
    let mut read_time = |key: &str| match alert.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => time(&text).ok_or_else(|| {
            bad(&format!(
                "{key} of alert {index}, {text:?}, is no time of RFC 3339"
            ))
        }),
        Some(_) => Err(bad(&format!("{key} of alert {index} is no text"))),
    };
    let (starts_at, ends_at) = (read_time("startsAt")?, read_time("endsAt")?);
    let generator_url = match alert.remove("generatorURL") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(url)) if is_uri(&url) => url,
        Some(Value::String(url)) => {
            let message = format!("{index}.generatorURL in body must be of type uri: {url:?}");
            return Err((StatusCode::UNPROCESSABLE_ENTITY, 601, message));
        }
        Some(_) => return Err(bad(&format!("generatorURL of alert {index} is no text"))),
    };
    let labels = labels.into_iter().filter(|it| !it.1.is_empty()).collect();
    Ok(Posted {
        texts: Packed::of(&labels, &annotations, &generator_url),
        starts_at,
        ends_at,
    })
}

fn pairs(value: Value) -> Option<Pairs> {
    let Value::Object(map) = value else {
        return None;
    };
    map.into_iter()
        .map(|(name, value)| match value {
            Value::String(value) => Some((name, value)),
            _ => None,
        })
        .collect::<Option<BTreeMap<_, _>>>()
}

#[cfg(test)]
mod tests {
    use super::{is_uri, parse, slow};

    #[test]
    fn bodies() {
        for (body, expect) in [
            ("[]", Ok(0)),
            (r#"[{"labels":{"a":"b"}}]"#, Ok(1)),
            (
                r#"[{"labels":{"a":"b","c":"\u00e9\n","a":"d","e":""},"annotations":null,"startsAt":"2026-01-01T00:00:00.5+09:00","endsAt":"0001-01-01T00:00:00Z","unknown":{"a":[1]}}]"#,
                Ok(1),
            ),
            (
                r#"[{"labels":{"a":"b"},"startsAt":"2026-01-01T00:00:00","endsAt":"","generatorURL":"/x"}]"#,
                Ok(1),
            ),
            (
                r#"[{"labels":{"a":"b"}},{}]"#,
                Err((422, 602, "1.labels in body is required")),
            ),
            (
                r#"[{"labels":{"a":"b"},"generatorURL":"x"}]"#,
                Err((
                    422,
                    601,
                    "0.generatorURL in body must be of type uri: \"x\"",
                )),
            ),
            ("{}", Err((400, 400, "the body is no list of alerts"))),
            ("[1]", Err((400, 400, "alert 0 is no object"))),
            ("[", Err((400, 400, "EOF while parsing"))),
            (
                r#"[{"labels":{"a":1}}]"#,
                Err((400, 400, "labels of alert 0 are not names to texts")),
            ),
            (
                r#"[{"labels":{"a":"b"},"endsAt":"soon"}]"#,
                Err((400, 400, "endsAt of alert 0, \"soon\", is no time")),
            ),
            (
                r#"[{"labels":{"a":"b"},"endsAt":5}]"#,
                Err((400, 400, "endsAt of alert 0 is no text")),
            ),
        ] {
            match (parse(body.as_bytes()), expect) {
                (Ok(posted), Ok(count)) => {
                    assert_eq!(posted.len(), count, "{body}");
                    // Both ways of reading read the same.
                    let other = slow(body.as_bytes()).unwrap();
                    for (one, other) in posted.iter().zip(&other) {
                        assert_eq!(one.texts, other.texts, "{body}");
                        assert_eq!(
                            (one.starts_at, one.ends_at),
                            (other.starts_at, other.ends_at)
                        );
                    }
                }
                (Err((status, code, message)), Err(expect)) => {
                    assert_eq!((status.as_u16(), code), (expect.0, expect.1), "{body}");
                    assert!(message.contains(expect.2), "{message}");
                }
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
    }

    #[test]
    fn uris() {
        for (text, expect) in [
            ("", true),
            ("/x", true),
            ("http://prometheus:9090/graph?g0.expr=up+%3D%3D+0", true),
            ("http://[::1]:9090/", true),
            ("mailto:x@y", true),
            ("x", false),
            ("1http://x", false),
            ("http://a b/", false),
            ("http://x:port/", false),
            ("http://x/\n", false),
        ] {
            assert_eq!(is_uri(text), expect, "{text:?}");
        }
    }
}
