//! Silences, as Alertmanager's API v2 has them.

use std::sync::Arc;

use daemon::http::{self, Reply, Request, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Api, MAX_BODY,
    alerts::{invalid, not_kept},
    body, error, json as write, not_json,
    query::{filter, flag},
    refusal, to_json,
};
use crate::{
    alert::Pairs,
    core::silence::{Silence, SilenceError, SilenceId, SilenceState, Wish},
    engine::{Refusal, Stopping},
    matcher::{Matcher, Operator},
};

/// More matchers than anybody writes.
const MAX_MATCHERS: usize = 1000;

/// The order of the keys is that of Alertmanager's models.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: String,
    status: Status,
    updated_at: Time,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    annotations: &'a Pairs,
    comment: &'a str,
    created_by: &'a str,
    ends_at: Time,
    matchers: Vec<ShownMatcher<'a>>,
    starts_at: Time,
}

#[derive(Serialize)]
struct Status {
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownMatcher<'a> {
    is_equal: bool,
    is_regex: bool,
    name: &'a str,
    value: &'a str,
}

struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::with_capacity(26);
        write::time(&mut text, self.0);
        let text = String::from_utf8_lossy(&text);
        serializer.serialize_str(text.trim_matches('"'))
    }
}

fn shown(silence: &Silence, now: Timestamp) -> Shown<'_> {
    let matchers = silence.matchers.iter().map(|it| ShownMatcher {
        is_equal: matches!(it.operator, Operator::Equal | Operator::Regex),
        is_regex: matches!(it.operator, Operator::Regex | Operator::NotRegex),
        name: &it.name,
        value: &it.value,
    });
    Shown {
        id: silence.id.to_string(),
        status: Status {
            state: silence.state(now).as_str(),
        },
        updated_at: Time(silence.updated_at),
        annotations: &silence.annotations,
        comment: &silence.comment,
        created_by: &silence.created_by,
        ends_at: Time(silence.ends_at),
        matchers: matchers.collect(),
        starts_at: Time(silence.starts_at),
    }
}

impl Api {
    pub(super) async fn get_silences(&self, request: &Request) -> Result<Reply, Stopping> {
        let mut matchers = Vec::new();
        let (mut active, mut pending, mut expired) = (true, true, true);
        for (name, value) in request.query_pairs() {
            let read = match name.as_str() {
                "filter" => filter(&value).map(|mut it| matchers.append(&mut it)),
                "active" => flag(&name, &value).map(|it| active = it),
                "pending" => flag(&name, &value).map(|it| pending = it),
                "expired" => flag(&name, &value).map(|it| expired = it),
                _ => Ok(()),
            };
            if let Err(refusal) = read {
                return Ok(*refusal);
            }
        }
        // They are shared: this copies no texts.
        let (all, now) = self
            .engine
            .look(|core, now| (core.silences().iter().cloned().collect::<Vec<_>>(), now))
            .await?;
        let mut wanted: Vec<_> = all
            .into_iter()
            .map(|it| (it.state(now), it))
            .filter(|(state, it)| {
                let is_wanted = match state {
                    SilenceState::Active => active,
                    SilenceState::Pending => pending,
                    SilenceState::Expired => expired,
                };
                is_wanted && matchers.iter().all(|wanted| has(it, wanted))
            })
            .collect();
        wanted.sort_by(|(state, a), (other, b)| {
            state.cmp(other).then_with(|| match state {
                SilenceState::Active => a.ends_at.cmp(&b.ends_at),
                SilenceState::Pending => a.starts_at.cmp(&b.starts_at),
                SilenceState::Expired => b.ends_at.cmp(&a.ends_at),
            })
        });
        let shown: Vec<_> = wanted.iter().map(|it| shown(&it.1, now)).collect();
        Ok(to_json(StatusCode::OK, &shown))
    }

    pub(super) async fn get_silence(&self, id: &str) -> Result<Reply, Stopping> {
        let id = match path_id(id) {
            Ok(id) => id,
            Err(refusal) => return Ok(*refusal),
        };
        let look = move |core: &crate::core::Core, now| (core.silences().get(id).cloned(), now);
        let (silence, now): (Option<Arc<Silence>>, _) = self.engine.look(look).await?;
        Ok(match silence {
            Some(silence) => to_json(StatusCode::OK, &shown(&silence, now)),
            None => http::text(StatusCode::NOT_FOUND, ""),
        })
    }

    pub(super) async fn delete_silence(&self, id: &str) -> Result<Reply, Stopping> {
        let id = match path_id(id) {
            Ok(id) => id,
            Err(refusal) => return Ok(*refusal),
        };
        Ok(match self.engine.expire_silence(id).await? {
            Ok(()) => http::text(StatusCode::OK, ""),
            Err(Refusal::NotKept(reason)) => not_kept(&reason),
            Err(Refusal::Wrong(SilenceError::NotFound)) => http::text(StatusCode::NOT_FOUND, ""),
            Err(Refusal::Wrong(other)) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, &other.to_string())
            }
        })
    }

    pub(super) async fn post_silence(&self, request: Request) -> Result<Reply, Stopping> {
        if let Some(refusal) = not_json(&request) {
            return Ok(refusal);
        }
        let _room = self.room(&request).await;
        let bytes = match request.body(MAX_BODY).await {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal),
        };
        let now = Timestamp::now();
        let wish = match parse(&bytes, now) {
            Ok(wish) => wish,
            Err(refusal) => return Ok(*refusal),
        };
        let Some(fresh) = fresh() else {
            return Ok(error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the system gives no random numbers",
            ));
        };
        Ok(match self.engine.set_silence(wish, fresh).await? {
            Ok(id) => to_json(StatusCode::OK, &json!({"silenceID": id.to_string()})),
            Err(Refusal::NotKept(reason)) => not_kept(&reason),
            Err(Refusal::Wrong(SilenceError::NotFound)) => {
                error(StatusCode::NOT_FOUND, "silence not found")
            }
            Err(Refusal::Wrong(other)) => error(StatusCode::BAD_REQUEST, &other.to_string()),
        })
    }
}

fn fresh() -> Option<SilenceId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(SilenceId::random(bytes))
}

/// Whether one of a silence's matchers is the wanted one.
fn has(silence: &Silence, wanted: &Matcher) -> bool {
    silence.matchers.iter().any(|it| {
        it.name == wanted.name && it.operator == wanted.operator && it.value == wanted.value
    })
}

fn path_id(text: &str) -> Result<SilenceId, Box<Reply>> {
    text.parse().map_err(|()| {
        let text = format!("silenceID in path must be of type uuid: {text:?}");
        Box::new(invalid(601, &text))
    })
}

/// Reads a silence; mistakes in the order and words of Alertmanager's validation.
pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Wish, Box<Reply>> {
    let bad = |reason: String| {
        let text = format!("parsing silence body from \"\" failed, because {reason}");
        Box::new(refusal(StatusCode::BAD_REQUEST, 400, &text))
    };
    let value: Value = serde_json::from_slice(body).map_err(|it| bad(it.to_string()))?;
    let Value::Object(mut fields) = value else {
        return Err(bad("the body is no silence".to_owned()));
    };
    let required = |key: &str| Box::new(invalid(602, &format!("{key} in body is required")));
    let text = |fields: &mut Map<String, Value>, key: &str| match fields.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("{key} is no text"))),
    };
    let id = text(&mut fields, "id")?.unwrap_or_default();
    let comment = text(&mut fields, "comment")?;
    let created_by = text(&mut fields, "createdBy")?;
    let (ends, starts) = (text(&mut fields, "endsAt")?, text(&mut fields, "startsAt")?);
    let time = |key: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => match body::time(&text) {
            Some(time) => Ok(Some(time.unwrap_or(Timestamp::MIN))),
            None => Err(bad(format!("{key}, {text:?}, is no time of RFC 3339"))),
        },
    };
    let (ends, starts) = (time("endsAt", ends)?, time("startsAt", starts)?);
    let annotations = match fields.remove("annotations") {
        None | Some(Value::Null) => Pairs::new(),
        Some(it) => serde_json::from_value(it).map_err(|it| bad(format!("annotations: {it}")))?,
    };
    let listed = match fields.remove("matchers") {
        None | Some(Value::Null) => None,
        Some(Value::Array(list)) => Some(list),
        Some(_) => return Err(bad("matchers is no list".to_owned())),
    };
    let comment = comment.ok_or_else(|| required("comment"))?;
    let created_by = created_by.ok_or_else(|| required("createdBy"))?;
    let ends_at = ends.ok_or_else(|| required("endsAt"))?;
    let listed = listed.ok_or_else(|| required("matchers"))?;
    if listed.is_empty() {
        let text = "matchers in body should have at least 1 items";
        return Err(Box::new(invalid(612, text)));
    }
    if listed.len() > MAX_MATCHERS {
        return Err(bad(format!("there are more than {MAX_MATCHERS} matchers")));
    }
    let mut matchers = Vec::new();
    for (at, it) in listed.into_iter().enumerate() {
        matchers.push(read_matcher(at, it, &bad, &required)?);
    }
    let starts_at = starts.ok_or_else(|| required("startsAt"))?;
    let wrong = |text: &str| Box::new(error(StatusCode::BAD_REQUEST, text));
    if starts_at >= ends_at {
        return Err(wrong(
            "Failed to create silence: start time must be before end time",
        ));
    }
    if ends_at < now {
        return Err(wrong(
            "Failed to create silence: end time can't be in the past",
        ));
    }
    let id = if id.is_empty() {
        None
    } else {
        let id = id.parse();
        Some(id.map_err(|()| Box::new(error(StatusCode::NOT_FOUND, "silence not found")))?)
    };
    Ok(Wish {
        id,
        matchers,
        // A start that is not given is now.
        starts_at: if starts_at == Timestamp::MIN {
            now
        } else {
            starts_at
        },
        ends_at,
        created_by,
        comment,
        annotations,
    })
}

fn read_matcher(
    at: usize,
    value: Value,
    bad: &dyn Fn(String) -> Box<Reply>,
    required: &dyn Fn(&str) -> Box<Reply>,
) -> Result<Matcher, Box<Reply>> {
    let Value::Object(mut fields) = value else {
        return Err(bad(format!("matcher {at} is no object")));
    };
    let mut flag = |key: &str| match fields.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(bad(format!(
            "{key} of matcher {at} is neither true nor false"
        ))),
    };
    let (is_equal, is_regex) = (flag("isEqual")?, flag("isRegex")?);
    let mut text = |key: &str| match fields.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("{key} of matcher {at} is no text"))),
    };
    let (name, value) = (text("name")?, text("value")?);
    let is_regex = is_regex.ok_or_else(|| required(&format!("matchers.{at}.isRegex")))?;
    let name = name.ok_or_else(|| required(&format!("matchers.{at}.name")))?;
    let value = value.ok_or_else(|| required(&format!("matchers.{at}.value")))?;
    let operator = match (is_equal.unwrap_or(true), is_regex) {
        (true, false) => Operator::Equal,
        (false, false) => Operator::NotEqual,
        (true, true) => Operator::Regex,
        (false, true) => Operator::NotRegex,
    };
    let wrong = |reason: String| {
        let text = format!("invalid silence: invalid label matcher {at} in set 0: {reason}");
        Box::new(error(StatusCode::BAD_REQUEST, &text))
    };
    if name.is_empty() {
        return Err(wrong(format!("invalid label name {name:?}")));
    }
    Matcher::new(name, operator, value).map_err(|it| wrong(it.to_string()))
}
