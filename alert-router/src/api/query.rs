//! What a client asks for of alerts.

use daemon::http::{Reply, Request, StatusCode};
use regex::Regex;
use serde_json::json;

use super::{error, to_json};
use crate::{
    alert::Pairs,
    config::{Config, Route},
    core::{Core, silence::SilenceId, store::Held},
    go_regex,
    matcher::Matcher,
};

/// The parameters of `/api/v2/alerts` and `/api/v2/alerts/groups`.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) active: bool,
    pub(super) silenced: bool,
    pub(super) inhibited: bool,
    /// Of groups.
    pub(super) muted: bool,
    pub(super) matchers: Vec<Matcher>,
    receiver: Option<Regex>,
    receiver_matchers: Vec<Matcher>,
}

/// What keeps an alert quiet at a moment.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    pub(super) inhibited_by: Option<crate::alert::Fingerprint>,
    pub(super) silenced_by: Vec<SilenceId>,
}

impl Quiet {
    pub(super) fn of(core: &Core, held: &Held, now: jiff::Timestamp) -> Self {
        Self {
            inhibited_by: core
                .inhibitor()
                .inhibited_by(&held.texts, core.store(), now),
            silenced_by: core
                .silences()
                .silencing(&held.texts, held.texts.labels(), now),
        }
    }

    pub(super) const fn is_active(&self) -> bool {
        self.inhibited_by.is_none() && self.silenced_by.is_empty()
    }
}

/// A parameter that is true or false, as go-openapi reads it.
pub(super) fn flag(name: &str, value: &str) -> Result<bool, Box<Reply>> {
    match value {
        // Go's `strconv.ParseBool`; without a value it is the default, which is true everywhere.
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => {
            let text = format!("{name} in query must be of type boolean: {value:?}");
            Err(Box::new(to_json(
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!({"code": 601, "message": text}),
            )))
        }
    }
}

fn matcher(value: &str) -> Result<Vec<Matcher>, String> {
    Matcher::parse_all(value).map_err(|it| it.to_string())
}

pub(super) fn filter(value: &str) -> Result<Vec<Matcher>, Box<Reply>> {
    matcher(value).map_err(|it| Box::new(error(StatusCode::BAD_REQUEST, &it)))
}

impl Query {
    pub(super) fn read(request: &Request) -> Result<Self, Box<Reply>> {
        let mut query = Self {
            active: true,
            silenced: true,
            inhibited: true,
            muted: true,
            matchers: Vec::new(),
            receiver: None,
            receiver_matchers: Vec::new(),
        };
        for (name, value) in request.query_pairs() {
            match name.as_str() {
                "filter" => query.matchers.append(&mut filter(&value)?),
                "receiver_matchers" => {
                    let some = matcher(&value).map_err(|it| {
                        let text = format!("failed to parse receiver_matchers param: {it}");
                        Box::new(error(StatusCode::BAD_REQUEST, &text))
                    });
                    query.receiver_matchers.append(&mut some?);
                }
                "receiver" if !value.is_empty() => {
                    match go_regex::compile(&format!("^(?:{value})$")) {
                        Ok(regex) => query.receiver = Some(regex),
                        Err(reason) => {
                            let text = format!(
                                "failed to parse receiver param: error parsing regexp: {reason}: `{value}`"
                            );
                            return Err(Box::new(error(StatusCode::BAD_REQUEST, &text)));
                        }
                    }
                }
                "active" => query.active = flag(&name, &value)?,
                "silenced" => query.silenced = flag(&name, &value)?,
                "inhibited" => query.inhibited = flag(&name, &value)?,
                "muted" => query.muted = flag(&name, &value)?,
                // An alert is active or suppressed when it is asked for.
                "unprocessed" => drop(flag(&name, &value)?),
                _ => {}
            }
        }
        Ok(query)
    }

    /// Whether an alert's labels and receivers are wanted.
    pub(super) fn wants(&self, core: &Core, held: &Held) -> bool {
        self.matchers.iter().all(|it| it.matches(&held.texts))
            && (!self.has_receiver() || {
                let routes = core.receivers(held);
                let names = || routes.iter().map(|it| it.receiver.as_str());
                let regex = self.receiver.as_ref();
                regex.is_none_or(|it| names().any(|name| it.is_match(name)))
                    && (self.receiver_matchers.is_empty()
                        || names().any(|it| self.wants_labels_of(core.config(), it)))
            })
    }

    const fn has_receiver(&self) -> bool {
        self.receiver.is_some() || !self.receiver_matchers.is_empty()
    }

    /// Whether the groups of a route are wanted.
    pub(super) fn wants_route(&self, core: &Core, route: &Route) -> bool {
        self.receiver
            .as_ref()
            .is_none_or(|it| it.is_match(&route.receiver))
            && (self.receiver_matchers.is_empty()
                || self.wants_labels_of(core.config(), &route.receiver))
    }

    fn wants_labels_of(&self, config: &Config, receiver: &str) -> bool {
        let nothing = Pairs::new();
        let labels = config.receiver(receiver).map_or(&nothing, |it| &it.labels);
        self.receiver_matchers.iter().all(|it| it.matches(labels))
    }

    /// Whether alerts that are kept quiet so are wanted.
    pub(super) const fn wants_quiet(&self, quiet: &Quiet) -> bool {
        (self.active || !quiet.is_active())
            && (self.silenced || quiet.silenced_by.is_empty())
            && (self.inhibited || quiet.inhibited_by.is_none())
    }
}
