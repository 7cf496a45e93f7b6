//! Receivers, and the keys of each kind of integration.

use super::{flag, http::http_config, pairs, secret, sections, text, texts};
use crate::config::{
    section::{Key, Record, Section, Shape, Value, anything},
    yaml::{Any, Mistake},
};

/// A kind of integration.
pub(in crate::config) struct Kind {
    /// As in the label `integration` of metrics.
    pub(in crate::config) name: &'static str,
    /// The receiver's key that has a list of them.
    pub(in crate::config) key: &'static str,
}

const fn kind(name: &'static str, key: &'static str) -> Kind {
    Kind { name, key }
}

/// By their names; a receiver's integrations are in this order.
pub(in crate::config) static KINDS: [Kind; 18] = [
    kind("discord", "discord_configs"),
    kind("email", "email_configs"),
    kind("incidentio", "incidentio_configs"),
    kind("jira", "jira_configs"),
    kind("mattermost", "mattermost_configs"),
    kind("msteams", "msteams_configs"),
    kind("msteamsv2", "msteamsv2_configs"),
    kind("opsgenie", "opsgenie_configs"),
    kind("pagerduty", "pagerduty_configs"),
    kind("pushover", "pushover_configs"),
    kind("rocketchat", "rocketchat_configs"),
    kind("slack", "slack_configs"),
    kind("sns", "sns_configs"),
    kind("telegram", "telegram_configs"),
    kind("victorops", "victorops_configs"),
    kind("webex", "webex_configs"),
    kind("webhook", "webhook_configs"),
    kind("wechat", "wechat_configs"),
];

pub(in crate::config) static RECEIVER: Section = Section {
    name: "receivers",
    keys: &[
        text("name").always(),
        pairs("labels").newer(),
        sections("discord_configs", &DISCORD),
        sections("email_configs", &EMAIL),
        sections("incidentio_configs", &INCIDENTIO),
        sections("pagerduty_configs", &PAGERDUTY),
        sections("slack_configs", &SLACK),
        sections("webhook_configs", &WEBHOOK),
        sections("opsgenie_configs", &OPSGENIE),
        sections("wechat_configs", &WECHAT),
        sections("pushover_configs", &PUSHOVER),
        sections("victorops_configs", &VICTOROPS),
        sections("sns_configs", &SNS),
        sections("telegram_configs", &TELEGRAM),
        sections("webex_configs", &WEBEX),
        sections("msteams_configs", &MSTEAMS),
        sections("msteamsv2_configs", &MSTEAMSV2),
        sections("jira_configs", &JIRA),
        sections("rocketchat_configs", &ROCKETCHAT),
        sections("mattermost_configs", &MATTERMOST),
        text("fallback").ours(),
    ],
    check: |it| {
        let name = it.text("name").to_owned();
        if name.is_empty() {
            return Err(it.wrong("name", "receivers: a receiver without a name"));
        }
        let mut labels = it.pairs("labels");
        if labels
            .insert("name".to_owned(), name.clone())
            .is_some_and(|it| it != name)
        {
            let reason = format!("receiver {name:?}: its label \"name\" must be its name");
            return Err(it.wrong("labels", reason));
        }
        it.set("labels", Value::Pairs(labels));
        Ok(())
    },
};

const fn send_resolved(default: &'static str) -> Key {
    flag("send_resolved").always().or(default)
}

const fn url(name: &'static str) -> Key {
    Key::new(name, Shape::Url)
}

const fn secret_url(name: &'static str) -> Key {
    Key::new(name, Shape::SecretUrl)
}

const fn timeout() -> Key {
    Key::new("timeout", Shape::GoSpan).always().newer()
}

/// A webhook's URL, or the file that holds it.
fn check_webhook(it: &mut Record) -> Result<(), Mistake> {
    it.one_of(&["webhook_url", "webhook_url_file"])?;
    it.at_most_one(&["webhook_url", "webhook_url_file"])
}

static DISCORD: Section = Section {
    name: "discord_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret_url("webhook_url"),
        text("webhook_url_file"),
        text("content"),
        text("title").or("{{ template \"discord.default.title\" . }}"),
        text("message").or("{{ template \"discord.default.message\" . }}"),
        text("username"),
        text("avatar_url"),
    ],
    check: check_webhook,
};

static EMAIL: Section = Section {
    name: "email_configs",
    keys: &[
        send_resolved("false"),
        text("to"),
        text("from"),
        text("hello"),
        Key::new("smarthost", Shape::HostPort),
        text("auth_username"),
        secret("auth_password"),
        text("auth_password_file"),
        secret("auth_secret"),
        text("auth_secret_file"),
        text("auth_identity"),
        pairs("headers"),
        text("html").or("{{ template \"email.default.html\" . }}"),
        text("text"),
        Key::new("require_tls", Shape::MaybeBool),
        Key::new("tls_config", Shape::MaybeSection(&super::TLS)),
        Key::new("force_implicit_tls", Shape::MaybeBool),
        Key::new("threading", Shape::Section(&THREADING)),
    ],
    check: |it| {
        it.one_of(&["to"])?;
        let mut headers = std::collections::BTreeMap::new();
        for (name, value) in it.pairs("headers") {
            let name = header_name(&name);
            if headers.contains_key(&name) {
                let reason = format!("email_configs.headers: {name} is given twice");
                return Err(it.wrong("headers", reason));
            }
            headers.insert(name, value);
        }
        let threading = it.record("threading").filter(|it| it.flag("enabled"));
        if let Some(threading) = threading {
            for name in ["References", "In-Reply-To"] {
                if headers.contains_key(name) {
                    let reason = format!("email_configs.headers: threading sets {name} itself");
                    return Err(it.wrong("headers", reason));
                }
            }
            let by_date = threading.text("thread_by_date");
            if !matches!(by_date, "none" | "daily") {
                let reason =
                    format!("threading.thread_by_date: {by_date:?} is none of none, daily");
                return Err(threading.wrong("thread_by_date", reason));
            }
        }
        it.set("headers", Value::Pairs(headers));
        Ok(())
    },
};

static THREADING: Section = Section {
    name: "email_configs.threading",
    keys: &[flag("enabled"), text("thread_by_date")],
    check: anything,
};

/// `reply-to` to `Reply-To`, as Go does; a name that is none stays as it is.
fn header_name(name: &str) -> String {
    let is_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
    if !name.chars().all(is_token) {
        return name.to_owned();
    }
    let mut first = true;
    name.chars()
        .map(|it| {
            let it = if first {
                it.to_ascii_uppercase()
            } else {
                it.to_ascii_lowercase()
            };
            first = it == '-';
            it
        })
        .collect()
}

static INCIDENTIO: Section = Section {
    name: "incidentio_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        url("url").always(),
        text("url_file").always(),
        secret("alert_source_token"),
        text("alert_source_token_file"),
        Key::new("max_alerts", Shape::Uint).always(),
        timeout(),
    ],
    check: |it| {
        it.one_of(&["url", "url_file"])?;
        it.at_most_one(&["url", "url_file"])?;
        it.at_most_one(&["alert_source_token", "alert_source_token_file"])?;
        let token = ["alert_source_token", "alert_source_token_file"];
        let token = token.into_iter().find(|key| it.has(key));
        let Some(http) = it.record("http_config") else {
            return Ok(());
        };
        match (token, http.has("authorization")) {
            (Some(key), true) => Err(it.wrong(
                key,
                format!("incidentio_configs: {key} and http_config.authorization exclude each other"),
            )),
            (None, false) => Err(it.wrong(
                "http_config",
                "incidentio_configs needs alert_source_token or alert_source_token_file or http_config.authorization",
            )),
            (Some(_), false) | (None, true) => Ok(()),
        }
    },
};

static PAGERDUTY: Section = Section {
    name: "pagerduty_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret("service_key"),
        text("service_key_file"),
        secret("routing_key"),
        text("routing_key_file"),
        url("url"),
        text("client").or("{{ template \"pagerduty.default.client\" . }}"),
        text("client_url").or("{{ template \"pagerduty.default.clientURL\" . }}"),
        text("description").or("{{ template \"pagerduty.default.description\" .}}"),
        Key::new("details", Shape::AnyMap),
        sections("images", &PAGERDUTY_IMAGE),
        sections("links", &PAGERDUTY_LINK),
        text("source"),
        text("severity"),
        text("class"),
        text("component"),
        text("group"),
        timeout(),
    ],
    check: |it| {
        it.one_of(&[
            "routing_key",
            "routing_key_file",
            "service_key",
            "service_key_file",
        ])?;
        it.at_most_one(&["routing_key", "routing_key_file"])?;
        it.at_most_one(&["service_key", "service_key_file"])?;
        if !it.has("source") {
            it.set("source", Value::Text(it.text("client").to_owned()));
        }
        let mut details = match it.take("details") {
            Value::Any(Any::Map(details)) => details,
            _ => Vec::new(),
        };
        for (name, text) in [
            ("firing", "{{ .Alerts.Firing | toJson }}"),
            ("resolved", "{{ .Alerts.Resolved | toJson }}"),
            ("num_firing", "{{ .Alerts.Firing | len }}"),
            ("num_resolved", "{{ .Alerts.Resolved | len }}"),
        ] {
            let name = Any::Text(name.to_owned());
            if !details.iter().any(|it| it.0 == name) {
                details.push((name, Any::Text(text.to_owned())));
            }
        }
        it.set("details", Value::Any(Any::Map(details)));
        Ok(())
    },
};

static PAGERDUTY_IMAGE: Section = Section {
    name: "pagerduty_configs.images",
    keys: &[text("src"), text("alt"), text("href")],
    check: anything,
};

static PAGERDUTY_LINK: Section = Section {
    name: "pagerduty_configs.links",
    keys: &[text("href"), text("text")],
    check: anything,
};

static SLACK: Section = Section {
    name: "slack_configs",
    keys: &[
        send_resolved("false"),
        http_config(),
        secret_url("api_url"),
        text("api_url_file"),
        secret("app_token"),
        text("app_token_file"),
        url("app_url").newer(),
        text("channel"),
        text("username").or("{{ template \"slack.default.username\" . }}"),
        text("color").or("{{ template \"slack.default.color\" . }}"),
        text("title").or("{{ template \"slack.default.title\" . }}"),
        text("title_link").or("{{ template \"slack.default.titlelink\" . }}"),
        text("pretext").or("{{ template \"slack.default.pretext\" . }}"),
        text("text").or("{{ template \"slack.default.text\" . }}"),
        text("message_text"),
        sections("fields", &SLACK_FIELD),
        flag("short_fields").always(),
        text("footer").or("{{ template \"slack.default.footer\" . }}"),
        text("fallback").or("{{ template \"slack.default.fallback\" . }}"),
        text("callback_id").or("{{ template \"slack.default.callbackid\" . }}"),
        text("icon_emoji").or("{{ template \"slack.default.iconemoji\" . }}"),
        text("icon_url").or("{{ template \"slack.default.iconurl\" . }}"),
        text("image_url"),
        text("thumb_url"),
        flag("link_names").always(),
        texts("mrkdwn_in"),
        sections("actions", &SLACK_ACTION),
        flag("update_message").always().newer(),
        timeout(),
    ],
    check: |it| {
        it.at_most_one(&["api_url", "api_url_file"])?;
        it.at_most_one(&["app_token", "app_token_file"])?;
        for url in ["api_url", "api_url_file"] {
            it.at_most_one(&[url, "app_token"])?;
            it.at_most_one(&[url, "app_token_file"])?;
        }
        Ok(())
    },
};

static SLACK_FIELD: Section = Section {
    name: "slack_configs.fields",
    keys: &[
        text("title"),
        text("value"),
        Key::new("short", Shape::MaybeBool),
    ],
    check: check_field,
};

fn check_field(it: &mut Record) -> Result<(), Mistake> {
    it.one_of(&["title"])?;
    it.one_of(&["value"])
}

static SLACK_ACTION: Section = Section {
    name: "slack_configs.actions",
    keys: &[
        text("type"),
        text("text"),
        text("url"),
        text("style"),
        text("name"),
        text("value"),
        Key::new("confirm", Shape::MaybeSection(&SLACK_CONFIRM)),
    ],
    check: |it| {
        it.one_of(&["type"])?;
        it.one_of(&["text"])?;
        it.one_of(&["url", "name"])?;
        if it.has("url") {
            // What belongs to a message's own buttons is of no use to a link.
            for key in ["name", "value", "confirm"] {
                it.set(key, Value::Nothing);
            }
        }
        Ok(())
    },
};

static SLACK_CONFIRM: Section = Section {
    name: "slack_configs.actions.confirm",
    keys: &[
        text("text"),
        text("title"),
        text("ok_text"),
        text("dismiss_text"),
    ],
    check: |it| it.one_of(&["text"]),
};

static WEBHOOK: Section = Section {
    name: "webhook_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        Key::new("url", Shape::SecretTemplate),
        text("url_file").always(),
        Key::new("max_alerts", Shape::Uint).always(),
        timeout(),
        Key::new("payload", Shape::Any),
    ],
    check: |it| {
        it.one_of(&["url", "url_file"])?;
        it.at_most_one(&["url", "url_file"])
    },
};

static OPSGENIE: Section = Section {
    name: "opsgenie_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret("api_key"),
        text("api_key_file"),
        url("api_url"),
        text("message").or("{{ template \"opsgenie.default.message\" . }}"),
        text("description").or("{{ template \"opsgenie.default.description\" . }}"),
        text("source").or("{{ template \"opsgenie.default.source\" . }}"),
        pairs("details"),
        text("entity"),
        sections("responders", &OPSGENIE_RESPONDER),
        text("actions"),
        text("tags"),
        text("note"),
        text("priority"),
        flag("update_alerts"),
    ],
    check: |it| it.at_most_one(&["api_key", "api_key_file"]),
};

static OPSGENIE_RESPONDER: Section = Section {
    name: "opsgenie_configs.responders",
    keys: &[text("id"), text("name"), text("username"), text("type")],
    check: |it| {
        it.one_of(&["id", "username", "name"])?;
        let kind = it.text("type");
        let known = ["team", "teams", "user", "escalation", "schedule"];
        if kind.contains("{{") || known.contains(&kind.to_lowercase().as_str()) {
            return Ok(());
        }
        let reason = format!("responders.type: {kind:?} is none of {}", known.join(", "));
        Err(it.wrong("type", reason))
    },
};

static WECHAT: Section = Section {
    name: "wechat_configs",
    keys: &[
        send_resolved("false"),
        http_config(),
        secret("api_secret"),
        text("api_secret_file"),
        text("corp_id"),
        text("message").or("{{ template \"wechat.default.message\" . }}"),
        url("api_url"),
        text("to_user").or("{{ template \"wechat.default.to_user\" . }}"),
        text("to_party").or("{{ template \"wechat.default.to_party\" . }}"),
        text("to_tag").or("{{ template \"wechat.default.to_tag\" . }}"),
        text("agent_id").or("{{ template \"wechat.default.agent_id\" . }}"),
        Key::new("message_type", Shape::Word(&["", "text", "markdown"])),
    ],
    check: |it| {
        if !it.has("message_type") {
            it.set("message_type", Value::Text("text".to_owned()));
        }
        it.at_most_one(&["api_secret", "api_secret_file"])
    },
};

static PUSHOVER: Section = Section {
    name: "pushover_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret("user_key"),
        text("user_key_file"),
        secret("token"),
        text("token_file"),
        text("title").or("{{ template \"pushover.default.title\" . }}"),
        text("message").or("{{ template \"pushover.default.message\" . }}"),
        text("url").or("{{ template \"pushover.default.url\" . }}"),
        text("url_title"),
        text("device"),
        text("sound"),
        text("priority").or("{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}"),
        Key::new("retry", Shape::GoSpanText).or("1m"),
        Key::new("expire", Shape::GoSpanText).or("1h"),
        Key::new("ttl", Shape::GoSpanText),
        flag("html"),
        flag("monospace"),
    ],
    check: |it| {
        for key in ["user_key", "token"] {
            let file = format!("{key}_file");
            it.one_of(&[key, &file])?;
            it.at_most_one(&[key, &file])?;
        }
        it.at_most_one(&["html", "monospace"])
    },
};

static VICTOROPS: Section = Section {
    name: "victorops_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret("api_key"),
        text("api_key_file"),
        url("api_url").always(),
        text("routing_key").always(),
        text("message_type").always().or("CRITICAL"),
        text("state_message")
            .always()
            .or("{{ template \"victorops.default.state_message\" . }}"),
        text("entity_display_name")
            .always()
            .or("{{ template \"victorops.default.entity_display_name\" . }}"),
        text("monitoring_tool")
            .always()
            .or("{{ template \"victorops.default.monitoring_tool\" . }}"),
        pairs("custom_fields"),
    ],
    check: |it| {
        it.one_of(&["routing_key"])?;
        it.at_most_one(&["api_key", "api_key_file"])?;
        let fields = it.pairs("custom_fields");
        for name in [
            "routing_key",
            "message_type",
            "state_message",
            "entity_display_name",
            "monitoring_tool",
            "entity_id",
            "entity_state",
        ] {
            if fields.contains_key(name) {
                let reason =
                    format!("victorops_configs.custom_fields: {name} has a key of its own");
                return Err(it.wrong("custom_fields", reason));
            }
        }
        Ok(())
    },
};

static SNS: Section = Section {
    name: "sns_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        text("api_url"),
        Key::new("sigv4", Shape::Section(&SIGV4)).always(),
        text("topic_arn"),
        text("phone_number"),
        text("target_arn"),
        text("subject").or("{{ template \"sns.default.subject\" . }}"),
        text("message").or("{{ template \"sns.default.message\" . }}"),
        pairs("attributes"),
        flag("use_aws_http_client"),
    ],
    check: |it| {
        // One of them, or all three: so Alertmanager has it.
        let there = ["target_arn", "topic_arn", "phone_number"]
            .into_iter()
            .filter(|key| it.has(key))
            .count();
        if there % 2 == 0 {
            let reason = "sns_configs needs one of target_arn, topic_arn and phone_number";
            return Err(it.wrong("topic_arn", reason));
        }
        Ok(())
    },
};

static SIGV4: Section = Section {
    name: "sns_configs.sigv4",
    keys: &[
        text("region"),
        text("access_key"),
        secret("secret_key"),
        text("profile"),
        text("role_arn"),
        text("external_id"),
        flag("use_fips_sts_endpoint"),
        text("service_name"),
    ],
    check: |it| {
        if it.has("access_key") != it.has("secret_key") {
            let reason = "sigv4: access_key and secret_key belong together";
            return Err(it.wrong("access_key", reason));
        }
        if it.has("external_id") && !it.has("role_arn") {
            return Err(it.wrong("external_id", "sigv4: external_id needs role_arn"));
        }
        Ok(())
    },
};

static TELEGRAM: Section = Section {
    name: "telegram_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        url("api_url").always(),
        secret("bot_token"),
        text("bot_token_file"),
        Key::new("chat_id", Shape::Int),
        text("chat_id_file"),
        Key::new("message_thread_id", Shape::Int),
        text("message").or("{{ template \"telegram.default.message\" . }}"),
        flag("disable_notifications"),
        Key::new(
            "parse_mode",
            Shape::Word(&["", "Markdown", "MarkdownV2", "HTML"]),
        )
        .or("HTML"),
    ],
    check: |it| {
        it.at_most_one(&["bot_token", "bot_token_file"])?;
        it.one_of(&["chat_id", "chat_id_file"])?;
        it.at_most_one(&["chat_id", "chat_id_file"])
    },
};

static WEBEX: Section = Section {
    name: "webex_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        url("api_url"),
        text("message").or("{{ template \"webex.default.message\" . }}"),
        text("room_id").always(),
    ],
    check: |it| {
        it.one_of(&["room_id"])?;
        let http = it.record("http_config");
        if http.is_some_and(|it| it.has("authorization")) {
            return Ok(());
        }
        Err(it.wrong(
            "http_config",
            "webex_configs needs http_config.authorization",
        ))
    },
};

static MSTEAMS: Section = Section {
    name: "msteams_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret_url("webhook_url"),
        text("webhook_url_file"),
        text("title").or("{{ template \"msteams.default.title\" . }}"),
        text("summary").or("{{ template \"msteams.default.summary\" . }}"),
        text("text").or("{{ template \"msteams.default.text\" . }}"),
    ],
    check: check_webhook,
};

static MSTEAMSV2: Section = Section {
    name: "msteamsv2_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret_url("webhook_url"),
        text("webhook_url_file"),
        text("title").or("{{ template \"msteamsv2.default.title\" . }}"),
        text("text").or("{{ template \"msteamsv2.default.text\" . }}"),
    ],
    check: check_webhook,
};

static JIRA: Section = Section {
    name: "jira_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        url("api_url"),
        Key::new("api_type", Shape::Word(&["auto", "cloud", "datacenter"])).or("auto"),
        text("project"),
        Key::new("summary", Shape::SectionOrText(&JIRA_FIELD, "template"))
            .or("{{ template \"jira.default.summary\" . }}"),
        Key::new("description", Shape::SectionOrText(&JIRA_FIELD, "template"))
            .or("{{ template \"jira.default.description\" . }}"),
        texts("labels"),
        text("priority").or("{{ template \"jira.default.priority\" . }}"),
        text("issue_type"),
        text("reopen_transition"),
        text("resolve_transition"),
        text("wont_fix_resolution"),
        Key::new("reopen_duration", Shape::Span),
        Key::new("fields", Shape::AnyMap),
    ],
    check: |it| {
        it.one_of(&["project"])?;
        it.one_of(&["issue_type"])?;
        it.one_of(&["api_type"])
    },
};

static JIRA_FIELD: Section = Section {
    name: "jira_configs",
    keys: &[
        text("template"),
        Key::new("enable_update", Shape::MaybeBool),
    ],
    check: anything,
};

static ROCKETCHAT: Section = Section {
    name: "rocketchat_configs",
    keys: &[
        send_resolved("false"),
        http_config(),
        url("api_url"),
        Key::new("token_id", Shape::MaybeSecret),
        text("token_id_file"),
        Key::new("token", Shape::MaybeSecret),
        text("token_file"),
        text("channel"),
        text("color").or("{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}"),
        text("title").or("{{ template \"rocketchat.default.title\" . }}"),
        text("title_link").or("{{ template \"rocketchat.default.titlelink\" . }}"),
        text("text").or("{{ template \"rocketchat.default.text\" . }}"),
        sections("fields", &ROCKETCHAT_FIELD),
        flag("short_fields").always(),
        text("emoji").or("{{ template \"rocketchat.default.emoji\" . }}"),
        text("icon_url").or("{{ template \"rocketchat.default.iconurl\" . }}"),
        text("image_url"),
        text("thumb_url"),
        flag("link_names").always(),
        sections("actions", &ROCKETCHAT_ACTION),
    ],
    check: |it| {
        it.at_most_one(&["token", "token_file"])?;
        it.at_most_one(&["token_id", "token_id_file"])
    },
};

/// The keys of these two have no tags for YAML in Alertmanager: they are the names of Go's fields in small letters.
static ROCKETCHAT_FIELD: Section = Section {
    name: "rocketchat_configs.fields",
    keys: &[
        Key::new("short", Shape::MaybeBool).always(),
        text("title").always(),
        text("value").always(),
    ],
    check: anything,
};

static ROCKETCHAT_ACTION: Section = Section {
    name: "rocketchat_configs.actions",
    keys: &[
        text("type").always(),
        text("text").always(),
        text("url").always(),
        text("imageurl").always(),
        flag("iswebview").always(),
        text("webviewheightratio").always(),
        text("msg").always(),
        flag("msginchatwindow").always(),
        text("msgprocessingtype").always(),
    ],
    check: anything,
};

static MATTERMOST: Section = Section {
    name: "mattermost_configs",
    keys: &[
        send_resolved("true"),
        http_config(),
        secret_url("webhook_url"),
        text("webhook_url_file"),
        text("channel"),
        text("username").or("{{ template \"mattermost.default.username\" . }}"),
        text("text").or("{{ template \"mattermost.default.text\" . }}"),
        text("fallback").or("{{ template \"mattermost.default.fallback\" . }}"),
        text("color").or("{{ template \"mattermost.default.color\" . }}"),
        text("pretext"),
        text("author_name"),
        text("author_link"),
        text("author_icon"),
        text("title").or("{{ template \"mattermost.default.title\" . }}"),
        text("title_link").or("{{ template \"mattermost.default.titlelink\" . }}"),
        sections("fields", &MATTERMOST_FIELD),
        text("thumb_url"),
        text("footer"),
        text("footer_icon"),
        text("image_url"),
        text("icon_url"),
        text("icon_emoji"),
        sections("attachments", &MATTERMOST_ATTACHMENT),
        text("type"),
        Key::new("props", Shape::MaybeSection(&MATTERMOST_PROPS)),
        Key::new("priority", Shape::MaybeSection(&MATTERMOST_PRIORITY)),
    ],
    check: |it| it.at_most_one(&["webhook_url", "webhook_url_file"]),
};

static MATTERMOST_FIELD: Section = Section {
    name: "mattermost_configs.fields",
    keys: &[
        text("title"),
        text("value"),
        Key::new("short", Shape::MaybeBool),
    ],
    check: check_field,
};

static MATTERMOST_ATTACHMENT: Section = Section {
    name: "mattermost_configs.attachments",
    keys: &[
        text("fallback"),
        text("color"),
        text("pretext"),
        text("text"),
        text("author_name"),
        text("author_link"),
        text("author_icon"),
        text("title"),
        text("title_link"),
        sections("fields", &MATTERMOST_FIELD),
        text("thumb_url"),
        text("footer"),
        text("footer_icon"),
        text("image_url"),
    ],
    check: anything,
};

static MATTERMOST_PROPS: Section = Section {
    name: "mattermost_configs.props",
    keys: &[text("card")],
    check: anything,
};

static MATTERMOST_PRIORITY: Section = Section {
    name: "mattermost_configs.priority",
    keys: &[
        text("priority"),
        flag("requested_ack"),
        flag("persistent_notifications"),
    ],
    check: anything,
};
