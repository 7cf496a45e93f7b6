//! Receivers: where notifications go, and how.

mod inherit;

use std::{path::Path, sync::Arc, time::Duration};

use client::Url;

use super::{
    EmailSettings, HttpSettings, PagerdutyImage, PagerdutyLink, PagerdutySettings, SecretSource,
    SlackAction, SlackConfirm, SlackField, SlackMessage, SlackSettings, Threading, WebhookSettings,
    http,
    keys::KINDS,
    section::{Record, host_port},
    yaml::{Any, Mistake, object},
};
use crate::alert::Pairs;

pub(super) use self::inherit::inherit;

/// A name, and every way in which its people are told.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    pub(crate) integrations: Vec<Arc<Integration>>,
    /// For `receiver_matchers` of the API; its name is among them.
    pub(crate) labels: Pairs,
    /// The receiver that gets what this one could not be told.
    pub(crate) fallback: Option<String>,
    /// Kinds of integrations that are configured here and that we do not send, such as `opsgenie`.
    pub(crate) unsent: Vec<&'static str>,
}

/// One way.
#[derive(Debug)]
pub(crate) struct Integration {
    pub(crate) receiver: String,
    /// Counted from 0 within its kind.
    pub(crate) index: usize,
    pub(crate) send_resolved: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Slack(SlackSettings),
    Email(EmailSettings),
    Webhook(WebhookSettings),
    PagerDuty(PagerdutySettings),
}

impl Integration {
    /// As in the label `integration` of metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Slack(_) => "slack",
            Kind::Email(_) => "email",
            Kind::Webhook(_) => "webhook",
            Kind::PagerDuty(_) => "pagerduty",
        }
    }
}

/// The receiver of a section that was checked and has what it takes from `global`.
pub(super) fn receiver(record: &Record, strict: bool) -> Result<Receiver, Mistake> {
    let name = record.text("name").to_owned();
    let named = |mistake: Mistake| Mistake {
        reason: format!("receiver {name:?}: {}", mistake.reason),
        ..mistake
    };
    let mut integrations = Vec::new();
    let mut unsent = Vec::new();
    for kind in &KINDS {
        for (index, it) in record.records(kind.key).iter().enumerate() {
            let settings = match kind.name {
                "webhook" => webhook(it).map(Kind::Webhook),
                "email" => email(it).map(Kind::Email),
                "pagerduty" => pagerduty(it).map(Kind::PagerDuty),
                "slack" => slack(it).map(Kind::Slack),
                _ if strict => {
                    let reason = format!(
                        "{}: alert-router does not send {}, and receivers are strict: take it out",
                        kind.key, kind.name
                    );
                    return Err(named(Mistake::at(it.line, reason)));
                }
                _ => {
                    unsent.push(kind.name);
                    break;
                }
            };
            integrations.push(Arc::new(Integration {
                receiver: name.clone(),
                index,
                send_resolved: it.flag("send_resolved"),
                kind: settings.map_err(named)?,
            }));
        }
    }
    Ok(Receiver {
        integrations,
        labels: record.pairs("labels"),
        fallback: record.some_text("fallback"),
        unsent,
        name,
    })
}

/// A fallback must be there, and must not lead back.
pub(super) fn check_fallbacks(receivers: &[Receiver], records: &[Record]) -> Result<(), Mistake> {
    for (receiver, record) in receivers.iter().zip(records) {
        let mut way = vec![receiver.name.as_str()];
        let mut next = receiver.fallback.as_deref();
        while let Some(name) = next {
            let found = receivers.iter().find(|it| it.name == name);
            let wrong = |reason| {
                record.wrong(
                    "fallback",
                    format!("receiver {:?}: fallback: {reason}", receiver.name),
                )
            };
            let Some(found) = found else {
                return Err(wrong(format!(
                    "the receiver {name:?} is not defined; add it to receivers"
                )));
            };
            let is_cycle = way.contains(&name);
            way.push(name);
            if is_cycle {
                return Err(wrong(format!("it leads in a circle: {}", way.join(", "))));
            }
            next = found.fallback.as_deref();
        }
    }
    Ok(())
}

fn slack(it: &Record) -> Result<SlackSettings, Mistake> {
    let url = it.source("api_url", "api_url_file").unwrap_or_default();
    check_url(it, "api_url", &url)?;
    let given = it.section.keys.iter().map(|key| key.name).any(|key| {
        let elsewhere = [
            "send_resolved",
            "http_config",
            "api_url",
            "api_url_file",
            "app_token",
            "app_token_file",
            "app_url",
            "channel",
            "username",
            "icon_emoji",
            "icon_url",
            "update_message",
            "timeout",
        ];
        !elsewhere.contains(&key) && it.is_given(key)
    });
    let text = |key| it.given_text(key);
    let message = SlackMessage {
        title: text("title"),
        title_link: text("title_link"),
        pretext: text("pretext"),
        text: text("text"),
        message_text: text("message_text"),
        fallback: text("fallback"),
        callback_id: text("callback_id"),
        image_url: text("image_url"),
        thumb_url: text("thumb_url"),
        footer: text("footer"),
        color: text("color"),
        fields: it.records("fields").iter().map(slack_field).collect(),
        short_fields: it.flag("short_fields"),
        actions: it.records("actions").iter().map(slack_action).collect(),
        link_names: it.flag("link_names"),
        mrkdwn_in: it.texts("mrkdwn_in").to_vec(),
    };
    let http = http(it)?;
    Ok(SlackSettings {
        url,
        app_url: it.text("app_url").to_owned(),
        update_message: it.flag("update_message"),
        channel: text("channel"),
        username: text("username"),
        icon_emoji: text("icon_emoji"),
        icon_url: text("icon_url"),
        message: given.then(|| Box::new(message)),
        http,
    })
}

fn slack_field(it: &Record) -> SlackField {
    SlackField {
        title: it.text("title").to_owned(),
        value: it.text("value").to_owned(),
        short: it.maybe_flag("short"),
    }
}

fn slack_action(it: &Record) -> SlackAction {
    let text = |key: &str| it.text(key).to_owned();
    SlackAction {
        kind: text("type"),
        text: text("text"),
        url: text("url"),
        style: text("style"),
        name: text("name"),
        value: text("value"),
        confirm: it.record("confirm").map(|it| SlackConfirm {
            text: it.text("text").to_owned(),
            title: it.text("title").to_owned(),
            ok_text: it.text("ok_text").to_owned(),
            dismiss_text: it.text("dismiss_text").to_owned(),
        }),
    }
}

fn webhook(it: &Record) -> Result<WebhookSettings, Mistake> {
    let url = it.source("url", "url_file").unwrap_or_default();
    check_url(it, "url", &url)?;
    Ok(WebhookSettings {
        url,
        max_alerts: usize::try_from(it.count("max_alerts")).unwrap_or(usize::MAX),
        payload: it.any("payload").map(Any::json).filter(|it| !it.is_null()),
        http: http(it)?,
    })
}

fn pagerduty(it: &Record) -> Result<PagerdutySettings, Mistake> {
    let text = |key: &str| it.text(key).to_owned();
    check_url(it, "url", &SecretSource::inline(text("url")))?;
    let images = it.records("images").iter().map(|it| PagerdutyImage {
        src: it.text("src").to_owned(),
        alt: it.text("alt").to_owned(),
        href: it.text("href").to_owned(),
    });
    let links = it.records("links").iter().map(|it| PagerdutyLink {
        href: it.text("href").to_owned(),
        text: it.text("text").to_owned(),
    });
    Ok(PagerdutySettings {
        routing_key: it.source("routing_key", "routing_key_file"),
        service_key: it.source("service_key", "service_key_file"),
        url: text("url"),
        client: text("client"),
        client_url: text("client_url"),
        description: text("description"),
        details: match it.any("details") {
            Some(Any::Map(details)) => object(details),
            _ => serde_json::Map::new(),
        },
        images: images.collect(),
        links: links.collect(),
        source: text("source"),
        severity: text("severity"),
        class: text("class"),
        component: text("component"),
        group: text("group"),
        http: http(it)?,
    })
}

fn email(it: &Record) -> Result<EmailSettings, Mistake> {
    let smarthost = it.text("smarthost");
    let (host, port) = host_port(smarthost)
        .and_then(|(host, port)| Some((host, port_number(port)?)))
        .ok_or_else(|| {
            let reason =
                format!("email_configs.smarthost: {smarthost:?} has no port such as 25 or 587");
            it.wrong("smarthost", reason)
        })?;
    let (to, from) = (it.text("to"), it.text("from"));
    // Names may have commas in them, in quotes.
    let is_list = to.parse::<lettre::message::Mailboxes>().is_ok();
    let all = addresses(to).filter(|_| !is_list).map(|it| ("to", it));
    for (key, address) in all.chain([("from", from)]) {
        // What a template makes of it is known when it is sent.
        if !address.contains("{{")
            && !to.contains("{{")
            && address.parse::<lettre::message::Mailbox>().is_err()
        {
            let reason =
                format!("email_configs.{key}: {address:?} is no address such as ops@example.com");
            return Err(it.wrong(key, reason));
        }
    }
    if addresses(to).next().is_none() {
        return Err(it.wrong("to", "email_configs.to has no address"));
    }
    let threading = it.record("threading").filter(|it| it.flag("enabled"));
    Ok(EmailSettings {
        to: to.to_owned(),
        from: from.to_owned(),
        html: it.given_text("html"),
        text: it.given_text("text"),
        host: if host.is_empty() { "localhost" } else { host }.to_owned(),
        port,
        hello: it.some_text("hello"),
        username: it.some_text("auth_username"),
        password: it.source("auth_password", "auth_password_file"),
        secret: it.source("auth_secret", "auth_secret_file"),
        identity: it.some_text("auth_identity"),
        require_tls: it.flag("require_tls"),
        force_implicit_tls: it.maybe_flag("force_implicit_tls"),
        tls: http::tls(it.record("tls_config"))?,
        headers: it.pairs("headers"),
        threading: threading.map(|it| match it.text("thread_by_date") {
            "daily" => Threading::Daily,
            _ => Threading::None,
        }),
    })
}

/// By number, or by the name that it has everywhere.
fn port_number(text: &str) -> Option<u16> {
    match text {
        "smtp" => Some(25),
        "smtps" | "submissions" => Some(465),
        "submission" => Some(587),
        _ => text.parse().ok().filter(|it| *it != 0),
    }
}

/// The addresses of a list with commas between them.
pub(crate) fn addresses(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty())
}

/// With the integration's timeout, which has bounds here: one of zero is none in Alertmanager.
fn http(it: &Record) -> Result<HttpSettings, Mistake> {
    let settings = it.record("http_config").map(http::settings).transpose()?;
    let timeout = it.span("timeout").filter(|it| !it.is_zero());
    let timeout = timeout.unwrap_or(HttpSettings::TIMEOUT);
    Ok(HttpSettings {
        timeout: timeout.clamp(Duration::from_secs(1), Duration::from_secs(120)),
        ..settings.unwrap_or_default()
    })
}

/// The URL itself is a secret, so it is not shown. That of a file is looked at when it is used, and so is a template.
fn check_url(it: &Record, key: &str, url: &SecretSource) -> Result<(), Mistake> {
    let SecretSource::Inline(secret) = url else {
        return Ok(());
    };
    // A configuration that was shown has this in its place.
    let text = secret.expose();
    if text.contains("{{") || text == "<secret>" || Url::parse(text).is_ok() {
        return Ok(());
    }
    let reason = format!("{}.{key} is no URL that can be called", it.section.name);
    Err(it.wrong(key, reason))
}

/// The folder of a configuration's file.
pub(super) fn join(record: &mut Record, folder: &Path) {
    for kind in &KINDS {
        // Alertmanager leaves these as they are.
        if kind.name == "incidentio" {
            continue;
        }
        for it in record.records_mut(kind.key) {
            if kind.name != "email"
                && let Some(http) = it.record_mut("http_config")
            {
                http::join(http, folder);
            }
        }
    }
}
