//! Receivers: where notifications go, and how.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use client::Url;
use daemon::Secret;
use serde::Deserialize;

use super::{Global, NotYet, Span};

/// A name, and every way in which its people are told.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    pub(crate) integrations: Vec<Arc<Integration>>,
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
}

impl Integration {
    /// As in the label `integration` of metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Slack(_) => "slack",
            Kind::Email(_) => "email",
            Kind::Webhook(_) => "webhook",
        }
    }
}

/// Every text is a template.
#[derive(Debug)]
pub(crate) struct SlackSettings {
    pub(crate) url: SecretSource,
    pub(crate) channel: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) icon_emoji: Option<String>,
    pub(crate) icon_url: Option<String>,
    /// What users wrote about the message; as Alertmanager's when there is any of it.
    pub(crate) message: Option<Box<SlackMessage>>,
    pub(crate) http: HttpSettings,
}

/// The message; what is not given is Alertmanager's default.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlackMessage {
    pub(crate) title: Option<String>,
    pub(crate) title_link: Option<String>,
    pub(crate) pretext: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) message_text: Option<String>,
    pub(crate) fallback: Option<String>,
    pub(crate) callback_id: Option<String>,
    pub(crate) image_url: Option<String>,
    pub(crate) thumb_url: Option<String>,
    pub(crate) footer: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) fields: Vec<SlackField>,
    pub(crate) short_fields: bool,
    pub(crate) actions: Vec<SlackAction>,
    pub(crate) link_names: bool,
    pub(crate) mrkdwn_in: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackField {
    pub(crate) title: String,
    pub(crate) value: String,
    pub(crate) short: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackAction {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) style: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
    pub(crate) confirm: Option<SlackConfirm>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackConfirm {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) ok_text: String,
    #[serde(default)]
    pub(crate) dismiss_text: String,
}

/// Addresses, headers and bodies are templates.
#[derive(Debug)]
pub(crate) struct EmailSettings {
    /// With commas between them.
    pub(crate) to: String,
    pub(crate) from: String,
    /// Empty for no such part.
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) hello: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretSource>,
    pub(crate) require_tls: bool,
    pub(crate) tls: TlsSettings,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct WebhookSettings {
    pub(crate) url: SecretSource,
    /// 0 for all.
    pub(crate) max_alerts: usize,
    pub(crate) http: HttpSettings,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct HttpSettings {
    pub(crate) basic: Option<(String, Option<SecretSource>)>,
    /// Type and credentials of an `Authorization` header.
    pub(crate) authorization: Option<(String, SecretSource)>,
    pub(crate) tls: TlsSettings,
    pub(crate) follow_redirects: bool,
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct TlsSettings {
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
    pub(crate) insecure_skip_verify: bool,
}

/// A secret of the file, or one that is read anew each time it is needed.
#[derive(Debug, Clone)]
pub(crate) enum SecretSource {
    Inline(Secret),
    File(PathBuf),
}

impl SecretSource {
    /// The secret without the line feed that editors leave.
    pub(crate) fn read(&self) -> io::Result<Secret> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("cannot read {}: {error}", path.display()),
                    )
                })?;
                Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
        }
    }
}

/// The shape of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the keys without support are refused when given")]
pub(super) struct ReceiverFile {
    pub(super) name: String,
    #[serde(default)]
    slack_configs: Vec<SlackFile>,
    #[serde(default)]
    email_configs: Vec<EmailFile>,
    #[serde(default)]
    webhook_configs: Vec<WebhookFile>,
    discord_configs: Option<NotYet>,
    incidentio_configs: Option<NotYet>,
    jira_configs: Option<NotYet>,
    mattermost_configs: Option<NotYet>,
    msteams_configs: Option<NotYet>,
    msteamsv2_configs: Option<NotYet>,
    opsgenie_configs: Option<NotYet>,
    pagerduty_configs: Option<NotYet>,
    pushover_configs: Option<NotYet>,
    rocketchat_configs: Option<NotYet>,
    sns_configs: Option<NotYet>,
    telegram_configs: Option<NotYet>,
    victorops_configs: Option<NotYet>,
    webex_configs: Option<NotYet>,
    wechat_configs: Option<NotYet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the keys without support are refused when given")]
struct SlackFile {
    api_url: Option<Secret>,
    api_url_file: Option<PathBuf>,
    channel: Option<String>,
    username: Option<String>,
    icon_emoji: Option<String>,
    icon_url: Option<String>,
    #[serde(default)]
    send_resolved: bool,
    timeout: Option<Span>,
    http_config: Option<HttpFile>,
    title: Option<String>,
    title_link: Option<String>,
    pretext: Option<String>,
    text: Option<String>,
    message_text: Option<String>,
    fallback: Option<String>,
    callback_id: Option<String>,
    image_url: Option<String>,
    thumb_url: Option<String>,
    footer: Option<String>,
    color: Option<String>,
    #[serde(default)]
    fields: Vec<SlackField>,
    short_fields: Option<bool>,
    #[serde(default)]
    actions: Vec<SlackAction>,
    link_names: Option<bool>,
    #[serde(default)]
    mrkdwn_in: Vec<String>,
    // What follows is another API than the webhook's.
    app_token: Option<NotYet>,
    app_token_file: Option<NotYet>,
    app_url: Option<NotYet>,
    update_message: Option<NotYet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the keys without support are refused when given")]
struct EmailFile {
    to: String,
    from: Option<String>,
    smarthost: Option<String>,
    hello: Option<String>,
    auth_username: Option<String>,
    auth_password: Option<Secret>,
    auth_password_file: Option<PathBuf>,
    require_tls: Option<bool>,
    tls_config: Option<TlsFile>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    send_resolved: bool,
    auth_identity: Option<NotYet>,
    auth_secret: Option<NotYet>,
    auth_secret_file: Option<NotYet>,
    html: Option<String>,
    text: Option<String>,
    threading: Option<NotYet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFile {
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    #[serde(default)]
    max_alerts: usize,
    #[serde(default = "yes")]
    send_resolved: bool,
    timeout: Option<Span>,
    http_config: Option<HttpFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the keys without support are refused when given")]
pub(super) struct HttpFile {
    basic_auth: Option<BasicFile>,
    authorization: Option<AuthorizationFile>,
    tls_config: Option<TlsFile>,
    #[serde(default = "yes")]
    follow_redirects: bool,
    /// Accepted: HTTP/1.1 is spoken, as every server does.
    enable_http2: Option<bool>,
    bearer_token: Option<Refused>,
    bearer_token_file: Option<Refused>,
    http_headers: Option<Refused>,
    no_proxy: Option<Refused>,
    oauth2: Option<Refused>,
    proxy_connect_header: Option<Refused>,
    proxy_from_environment: Option<Refused>,
    proxy_url: Option<Refused>,
}

/// [`NotYet`] for shapes that are copied; it never comes into being.
#[derive(Debug, Clone)]
enum Refused {}

impl<'de> Deserialize<'de> for Refused {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NotYet::deserialize(deserializer) {
            Err(error) => Err(error),
            Ok(NotYet) => Err(serde::de::Error::custom("not supported")),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicFile {
    username: String,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
    #[serde(default)]
    insecure_skip_verify: bool,
}

const fn yes() -> bool {
    true
}

impl ReceiverFile {
    /// Checks a receiver; what it leaves out comes from `global`.
    pub(super) fn check(self, global: &Global, folder: &Path) -> Result<Receiver, String> {
        let name = self.name;
        if name.is_empty() {
            return Err("receivers: a receiver without a name".to_owned());
        }
        let mut integrations = Vec::new();
        let mut add = |index, send_resolved, kind| {
            integrations.push(Arc::new(Integration {
                receiver: name.clone(),
                index,
                send_resolved,
                kind,
            }));
        };
        let named = |error| format!("receiver {name:?}: {error}");
        for (index, file) in self.email_configs.into_iter().enumerate() {
            let send_resolved = file.send_resolved;
            add(
                index,
                send_resolved,
                Kind::Email(file.check(global, folder).map_err(named)?),
            );
        }
        for (index, file) in self.slack_configs.into_iter().enumerate() {
            let send_resolved = file.send_resolved;
            add(
                index,
                send_resolved,
                Kind::Slack(file.check(global, folder).map_err(named)?),
            );
        }
        for (index, file) in self.webhook_configs.into_iter().enumerate() {
            let send_resolved = file.send_resolved;
            add(
                index,
                send_resolved,
                Kind::Webhook(file.check(global, folder).map_err(named)?),
            );
        }
        Ok(Receiver { name, integrations })
    }
}

impl SlackFile {
    fn check(self, global: &Global, folder: &Path) -> Result<SlackSettings, String> {
        let own = secret(
            folder,
            "slack_configs",
            "api_url",
            self.api_url,
            self.api_url_file,
        )?;
        let inherited = secret(
            folder,
            "global",
            "slack_api_url",
            global.slack_api_url.clone(),
            global.slack_api_url_file.clone(),
        )?;
        let url = own
            .or(inherited)
            .ok_or("slack_configs needs api_url or api_url_file, or global.slack_api_url")?;
        check_url("slack_configs.api_url", &url)?;
        for action in &self.actions {
            if action.url.is_empty() && action.name.is_empty() {
                return Err("slack_configs.actions: an action needs a url, or a name".to_owned());
            }
        }
        let any = self.short_fields.is_some()
            || self.link_names.is_some()
            || !self.fields.is_empty()
            || !self.actions.is_empty()
            || !self.mrkdwn_in.is_empty()
            || [
                &self.title,
                &self.title_link,
                &self.pretext,
                &self.text,
                &self.message_text,
                &self.fallback,
                &self.callback_id,
                &self.image_url,
                &self.thumb_url,
                &self.footer,
                &self.color,
            ]
            .into_iter()
            .any(Option::is_some);
        let message = SlackMessage {
            title: self.title,
            title_link: self.title_link,
            pretext: self.pretext,
            text: self.text,
            message_text: self.message_text,
            fallback: self.fallback,
            callback_id: self.callback_id,
            image_url: self.image_url,
            thumb_url: self.thumb_url,
            footer: self.footer,
            color: self.color,
            fields: self.fields,
            short_fields: self.short_fields.unwrap_or(false),
            actions: self.actions,
            link_names: self.link_names.unwrap_or(false),
            mrkdwn_in: self.mrkdwn_in,
        };
        Ok(SlackSettings {
            url,
            channel: self.channel,
            username: self.username,
            icon_emoji: self.icon_emoji,
            icon_url: self.icon_url,
            message: any.then(|| Box::new(message)),
            http: http(self.http_config, global, folder, self.timeout)?,
        })
    }
}

impl WebhookFile {
    fn check(self, global: &Global, folder: &Path) -> Result<WebhookSettings, String> {
        let url = secret(folder, "webhook_configs", "url", self.url, self.url_file)?;
        let url = url.ok_or("webhook_configs needs url or url_file")?;
        check_url("webhook_configs.url", &url)?;
        Ok(WebhookSettings {
            url,
            max_alerts: self.max_alerts,
            http: http(self.http_config, global, folder, self.timeout)?,
        })
    }
}

impl EmailFile {
    fn check(self, global: &Global, folder: &Path) -> Result<EmailSettings, String> {
        let smarthost = self.smarthost.or_else(|| global.smtp_smarthost.clone());
        let smarthost =
            smarthost.ok_or("email_configs needs smarthost, or global.smtp_smarthost")?;
        let from = self.from.or_else(|| global.smtp_from.clone());
        let from = from.ok_or("email_configs needs from, or global.smtp_from")?;
        let (host, port) = smarthost
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
            .filter(|(host, _)| !host.is_empty())
            .ok_or_else(|| format!("smarthost {smarthost:?} is not of the form host:port"))?;
        let to: Vec<&str> = addresses(&self.to).collect();
        let all = to
            .iter()
            .map(|it| ("to", *it))
            .chain([("from", from.as_str())]);
        for (key, address) in all {
            // What a template makes of it is known when it is sent.
            if !address.contains("{{")
                && !self.to.contains("{{")
                && address.parse::<lettre::message::Mailbox>().is_err()
            {
                return Err(format!(
                    "email_configs.{key}: {address:?} is no address such as ops@example.com"
                ));
            }
        }
        if to.is_empty() {
            return Err("email_configs.to is empty".to_owned());
        }
        let mut headers = BTreeMap::new();
        for (name, value) in self.headers {
            let name = capitalised(&name);
            if headers.insert(name.clone(), value).is_some() {
                return Err(format!("email_configs.headers: {name} is given twice"));
            }
        }
        let own = secret(
            folder,
            "email_configs",
            "auth_password",
            self.auth_password,
            self.auth_password_file,
        )?;
        let inherited = secret(
            folder,
            "global",
            "smtp_auth_password",
            global.smtp_auth_password.clone(),
            global.smtp_auth_password_file.clone(),
        )?;
        Ok(EmailSettings {
            to: self.to,
            from,
            html: self.html,
            text: self.text,
            host,
            port,
            hello: self.hello.or_else(|| global.smtp_hello.clone()),
            username: self
                .auth_username
                .or_else(|| global.smtp_auth_username.clone()),
            password: own.or(inherited),
            require_tls: self.require_tls.or(global.smtp_require_tls).unwrap_or(true),
            tls: tls(
                self.tls_config.or_else(|| global.smtp_tls_config.clone()),
                folder,
            )?,
            headers,
        })
    }
}

/// One of a secret and the file that holds it.
fn secret(
    folder: &Path,
    section: &str,
    key: &str,
    inline: Option<Secret>,
    file: Option<PathBuf>,
) -> Result<Option<SecretSource>, String> {
    match (inline, file) {
        (Some(_), Some(_)) => Err(format!(
            "{section}: {key} and {key}_file exclude each other"
        )),
        (Some(secret), None) => Ok(Some(SecretSource::Inline(secret))),
        (None, Some(path)) => Ok(Some(SecretSource::File(folder.join(path)))),
        (None, None) => Ok(None),
    }
}

/// The URL itself is a secret, so it is not shown. That of a file is looked at when it is used.
fn check_url(key: &str, url: &SecretSource) -> Result<(), String> {
    let SecretSource::Inline(secret) = url else {
        return Ok(());
    };
    match Url::parse(secret.expose()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        Ok(_) | Err(_) => Err(format!(
            "{key} is no URL that starts with http:// or https://"
        )),
    }
}

/// The addresses of a list with commas between them.
pub(crate) fn addresses(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty())
}

fn http(
    own: Option<HttpFile>,
    global: &Global,
    folder: &Path,
    timeout: Option<Span>,
) -> Result<HttpSettings, String> {
    let timeout = timeout
        .map_or(Duration::from_secs(20), |it| it.0)
        .clamp(Duration::from_secs(1), Duration::from_secs(120));
    let Some(file) = own.or_else(|| global.http_config.clone()) else {
        return Ok(HttpSettings {
            follow_redirects: true,
            timeout,
            ..HttpSettings::default()
        });
    };
    if file.basic_auth.is_some() && file.authorization.is_some() {
        return Err("http_config: basic_auth and authorization exclude each other".to_owned());
    }
    let basic = match file.basic_auth {
        None => None,
        Some(basic) => {
            let password = secret(
                folder,
                "basic_auth",
                "password",
                basic.password,
                basic.password_file,
            )?;
            Some((basic.username, password))
        }
    };
    let authorization = match file.authorization {
        None => None,
        Some(it) => {
            let credentials = secret(
                folder,
                "authorization",
                "credentials",
                it.credentials,
                it.credentials_file,
            )?;
            let credentials = credentials
                .ok_or("http_config.authorization needs credentials or credentials_file")?;
            Some((it.kind.unwrap_or_else(|| "Bearer".to_owned()), credentials))
        }
    };
    let tls = tls(file.tls_config, folder)?;
    if tls.server_name.is_some() {
        return Err("http_config.tls_config.server_name is Alertmanager's, and alert-router does not support it yet: take it out".to_owned());
    }
    Ok(HttpSettings {
        basic,
        authorization,
        tls,
        follow_redirects: file.follow_redirects,
        timeout,
    })
}

fn tls(file: Option<TlsFile>, folder: &Path) -> Result<TlsSettings, String> {
    let Some(file) = file else {
        return Ok(TlsSettings::default());
    };
    let identity = match (file.cert_file, file.key_file) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((folder.join(cert), folder.join(key))),
        _ => return Err("tls_config: cert_file and key_file belong together".to_owned()),
    };
    Ok(TlsSettings {
        ca_file: file.ca_file.map(|it| folder.join(it)),
        identity,
        server_name: file.server_name,
        insecure_skip_verify: file.insecure_skip_verify,
    })
}

/// `reply-to` to `Reply-To`.
fn capitalised(name: &str) -> String {
    name.split('-')
        .map(|part| {
            let mut characters = part.chars();
            let first = characters.next().map(|it| it.to_ascii_uppercase());
            first
                .into_iter()
                .chain(characters.map(|it| it.to_ascii_lowercase()))
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join("-")
}
