//! Every key of the file, with its shape and its default: Alertmanager 0.34.1's, in the order in which it shows them, and ours.

mod http;
mod receivers;

use self::http::{HEADER, TLS, http_config};
pub(super) use self::{
    http::{HTTP, JWT_BEARER},
    receivers::{KINDS, RECEIVER},
};
use super::{
    section::{Key, Record, Section, Shape, Value, anything, check_label},
    yaml::Mistake,
};
use crate::calendar::{RangeOf, TimeRange};

const fn text(name: &'static str) -> Key {
    Key::new(name, Shape::Text)
}

const fn secret(name: &'static str) -> Key {
    Key::new(name, Shape::Secret)
}

const fn flag(name: &'static str) -> Key {
    Key::new(name, Shape::Bool)
}

const fn texts(name: &'static str) -> Key {
    Key::new(name, Shape::Texts)
}

const fn pairs(name: &'static str) -> Key {
    Key::new(name, Shape::Pairs)
}

const fn sections(name: &'static str, section: &'static Section) -> Key {
    Key::new(name, Shape::Sections(section))
}

/// The file.
pub(super) static FILE: Section = Section {
    name: "the configuration",
    keys: &[
        Key::new("global", Shape::MaybeSection(&GLOBAL)).or(""),
        Key::new("route", Shape::MaybeSection(&ROUTE)),
        sections("inhibit_rules", &INHIBIT_RULE),
        sections("receivers", &RECEIVER),
        texts("templates").always(),
        sections("mute_time_intervals", &TIME_INTERVALS),
        sections("time_intervals", &TIME_INTERVALS),
        Key::new("tracing", Shape::Section(&TRACING)),
        Key::new("event_recorder", Shape::Section(&EVENT_RECORDER)),
        pairs("repair_commands").ours(),
        sections("heartbeats", &HEARTBEAT).ours(),
        Key::new("heartbeat_url", Shape::SectionOrText(&HEARTBEAT_URL, "url")).ours(),
    ],
    check: anything,
};

/// What receivers take when they do not say it themselves.
pub(super) static GLOBAL: Section = Section {
    name: "global",
    keys: &[
        Key::new("resolve_timeout", Shape::Span).always().or("5m"),
        http_config().or(""),
        Key::new("jira_api_url", Shape::Url),
        text("smtp_from"),
        text("smtp_hello").or("localhost"),
        Key::new("smtp_smarthost", Shape::HostPort),
        text("smtp_auth_username"),
        secret("smtp_auth_password"),
        text("smtp_auth_password_file"),
        secret("smtp_auth_secret"),
        text("smtp_auth_secret_file"),
        text("smtp_auth_identity"),
        flag("smtp_require_tls").always().or("true"),
        Key::new("smtp_tls_config", Shape::MaybeSection(&TLS))
            .or("")
            .newer(),
        Key::new("smtp_force_implicit_tls", Shape::MaybeBool),
        Key::new("slack_api_url", Shape::SecretUrl),
        text("slack_api_url_file"),
        secret("slack_app_token"),
        text("slack_app_token_file"),
        Key::new("slack_app_url", Shape::Url)
            .or("https://slack.com/api/chat.postMessage")
            .newer(),
        Key::new("pagerduty_url", Shape::Url).or("https://events.pagerduty.com/v2/enqueue"),
        Key::new("opsgenie_api_url", Shape::Url).or("https://api.opsgenie.com/"),
        secret("opsgenie_api_key"),
        text("opsgenie_api_key_file"),
        Key::new("wechat_api_url", Shape::Url).or("https://qyapi.weixin.qq.com/cgi-bin/"),
        secret("wechat_api_secret"),
        text("wechat_api_secret_file"),
        text("wechat_api_corp_id"),
        Key::new("victorops_api_url", Shape::Url)
            .or("https://alert.victorops.com/integrations/generic/20131114/alert/"),
        secret("victorops_api_key"),
        text("victorops_api_key_file"),
        Key::new("telegram_api_url", Shape::Url).or("https://api.telegram.org"),
        secret("telegram_bot_token"),
        text("telegram_bot_token_file"),
        Key::new("webex_api_url", Shape::Url).or("https://webexapis.com/v1/messages"),
        Key::new("rocketchat_api_url", Shape::Url)
            .or("https://open.rocket.chat/")
            .newer(),
        Key::new("rocketchat_token", Shape::MaybeSecret),
        text("rocketchat_token_file"),
        Key::new("rocketchat_token_id", Shape::MaybeSecret),
        text("rocketchat_token_id_file"),
        Key::new("mattermost_webhook_url", Shape::SecretUrl),
        text("mattermost_webhook_url_file"),
    ],
    check: check_global,
};

fn check_global(it: &mut Record) -> Result<(), Mistake> {
    for key in [
        "smtp_auth_password",
        "smtp_auth_secret",
        "slack_api_url",
        "slack_app_token",
        "opsgenie_api_key",
        "wechat_api_secret",
        "victorops_api_key",
        "telegram_bot_token",
        "rocketchat_token",
        "rocketchat_token_id",
        "mattermost_webhook_url",
    ] {
        it.at_most_one(&[key, &format!("{key}_file")])?;
    }
    // People had the API's address as the webhook's and the token in http_config, when there was no key for it.
    let same = |it: &Record| {
        let url = it.secret("slack_api_url");
        url.is_some_and(|url| url.expose() == it.text("slack_app_url"))
    };
    if !same(it) {
        for token in ["slack_app_token", "slack_app_token_file"] {
            it.at_most_one(&[token, "slack_api_url"])?;
            it.at_most_one(&[token, "slack_api_url_file"])?;
        }
    }
    Ok(())
}

pub(super) static ROUTE: Section = Section {
    name: "route",
    keys: &[
        text("receiver"),
        texts("group_by"),
        pairs("match"),
        Key::new("match_re", Shape::Regexes),
        Key::new("matchers", Shape::Matchers),
        texts("mute_time_intervals"),
        texts("active_time_intervals"),
        flag("continue").always(),
        sections("routes", &ROUTE),
        Key::new("group_wait", Shape::MaybeSpan),
        Key::new("group_interval", Shape::MaybeSpan),
        Key::new("repeat_interval", Shape::MaybeSpan),
        pairs("labels"),
        Key::new("digest", Shape::MaybeSection(&DIGEST)).ours(),
    ],
    check: |it| check_labels(it, "match"),
};

static DIGEST: Section = Section {
    name: "route.digest",
    keys: &[
        Key::new("groups", Shape::Uint),
        Key::new("window", Shape::Span).or("1m"),
    ],
    check: |it| {
        if !(1..=1_000_000).contains(&it.count("groups")) {
            let reason = "route.digest needs groups: how many may fire within the window before there is one digest in their place";
            return Err(it.wrong("groups", reason));
        }
        if it.span("window").is_none_or(|it| it.is_zero()) {
            return Err(it.wrong("window", "route.digest.window must be longer than zero"));
        }
        Ok(())
    },
};

fn check_labels(it: &Record, key: &str) -> Result<(), Mistake> {
    let Value::Pairs(pairs) = it.get(key) else {
        return Ok(());
    };
    for name in pairs.keys() {
        check_label(name)
            .map_err(|reason| it.wrong(key, format!("{}.{key}: {reason}", it.section.name)))?;
    }
    Ok(())
}

static INHIBIT_RULE: Section = Section {
    name: "inhibit_rules",
    keys: &[
        text("name"),
        pairs("source_match"),
        Key::new("source_match_re", Shape::Regexes),
        Key::new("source_matchers", Shape::Matchers),
        pairs("target_match"),
        Key::new("target_match_re", Shape::Regexes),
        Key::new("target_matchers", Shape::Matchers),
        texts("equal"),
    ],
    check: |it| {
        check_labels(it, "source_match")?;
        check_labels(it, "target_match")
    },
};

static TIME_INTERVALS: Section = Section {
    name: "time_intervals",
    keys: &[
        text("name").always(),
        sections("time_intervals", &TIME_INTERVAL).always(),
    ],
    check: |it| {
        if it.has("name") {
            Ok(())
        } else {
            Err(it.wrong("name", "time_intervals: one without a name"))
        }
    },
};

static TIME_INTERVAL: Section = Section {
    name: "time_intervals.time_intervals",
    keys: &[
        sections("times", &TIME_RANGE),
        Key::new("weekdays", Shape::Ranges(RangeOf::Weekdays)),
        Key::new("days_of_month", Shape::Ranges(RangeOf::DaysOfMonth)),
        Key::new("months", Shape::Ranges(RangeOf::Months)),
        Key::new("years", Shape::Ranges(RangeOf::Years)),
        Key::new("location", Shape::Zone),
    ],
    check: anything,
};

static TIME_RANGE: Section = Section {
    name: "times",
    keys: &[text("start_time").always(), text("end_time").always()],
    check: |it| {
        let range = TimeRange::parse(it.text("start_time"), it.text("end_time"));
        range
            .map(drop)
            .map_err(|reason| it.wrong("start_time", reason))
    },
};

/// Accepted: nothing is traced.
static TRACING: Section = Section {
    name: "tracing",
    keys: &[
        Key::new("client_type", Shape::Word(&["http", "grpc"])).or("grpc"),
        text("endpoint"),
        Key::new("sampling_fraction", Shape::Float),
        flag("insecure"),
        Key::new("tls_config", Shape::MaybeSection(&TLS)),
        Key::new("headers", Shape::NamedSections(&HEADER)),
        Key::new("compression", Shape::Word(&["", "gzip"])),
        Key::new("timeout", Shape::Span),
    ],
    check: |it| it.one_of(&["endpoint"]),
};

/// Accepted: what happened is kept otherwise.
static EVENT_RECORDER: Section = Section {
    name: "event_recorder",
    keys: &[
        sections("file_outputs", &FILE_OUTPUT),
        sections("webhook_outputs", &WEBHOOK_OUTPUT),
        sections("kafka_outputs", &KAFKA_OUTPUT),
        sections("stdout_outputs", &STDOUT_OUTPUT),
    ],
    check: anything,
};

static FILE_OUTPUT: Section = Section {
    name: "event_recorder.file_outputs",
    keys: &[text("path").always()],
    check: |it| it.one_of(&["path"]),
};

static WEBHOOK_OUTPUT: Section = Section {
    name: "event_recorder.webhook_outputs",
    keys: &[
        Key::new("url", Shape::SecretUrl).always(),
        http_config(),
        Key::new("timeout", Shape::Span),
        Key::new("workers", Shape::Int),
        Key::new("max_retries", Shape::Int),
        Key::new("retry_backoff", Shape::Span),
        flag("batch"),
        Key::new("batch_max_events", Shape::Int),
        Key::new("batch_max_bytes", Shape::Int),
        Key::new("batch_flush_interval", Shape::Span),
    ],
    check: |it| {
        it.one_of(&["url"])?;
        for key in [
            "batch_max_events",
            "batch_max_bytes",
            "batch_flush_interval",
        ] {
            if matches!(it.get(key), Value::Int(count) if *count < 0) {
                return Err(it.wrong(key, format!("{key} is negative")));
            }
            if it.has(key) && !it.flag("batch") {
                return Err(it.wrong(key, format!("{key} needs batch: true")));
            }
        }
        Ok(())
    },
};

static KAFKA_OUTPUT: Section = Section {
    name: "event_recorder.kafka_outputs",
    keys: &[
        texts("brokers").always(),
        text("topic").always(),
        text("client_id"),
        Key::new("format", Shape::Word(&["", "json", "protobuf"])),
        Key::new("acks", Shape::Word(&["", "none", "leader", "all"])),
        Key::new(
            "compression",
            Shape::Word(&["", "none", "gzip", "snappy", "lz4", "zstd"]),
        ),
        Key::new("buffer_size", Shape::Int),
        Key::new("tls_config", Shape::MaybeSection(&TLS)),
    ],
    check: |it| {
        it.one_of(&["brokers"])?;
        if it.texts("brokers").iter().any(String::is_empty) {
            return Err(it.wrong("brokers", "brokers: an entry is empty"));
        }
        if !it.has("format") {
            it.set("format", Value::Text("json".to_owned()));
        }
        it.one_of(&["topic"])
    },
};

static STDOUT_OUTPUT: Section = Section {
    name: "event_recorder.stdout_outputs",
    keys: &[],
    check: anything,
};

static HEARTBEAT: Section = Section {
    name: "heartbeats",
    keys: &[
        text("name"),
        Key::new("matchers", Shape::Matchers),
        Key::new("timeout", Shape::Span),
        text("receiver"),
    ],
    check: |it| {
        for key in ["matchers", "timeout", "receiver"] {
            it.one_of(&[key])?;
        }
        Ok(())
    },
};

static HEARTBEAT_URL: Section = Section {
    name: "heartbeat_url",
    keys: &[
        Key::new("url", Shape::SecretUrl),
        text("url_file"),
        Key::new("interval", Shape::Span).or("1m"),
        http_config(),
    ],
    check: |it| {
        it.one_of(&["url", "url_file"])?;
        it.at_most_one(&["url", "url_file"])?;
        if it.span("interval").is_none_or(|it| it.is_zero()) {
            return Err(it.wrong(
                "interval",
                "heartbeat_url.interval must be longer than zero",
            ));
        }
        Ok(())
    },
};
