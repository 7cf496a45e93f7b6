//! What integrations are told to do, checked and with every default filled in: the types that senders work with.

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

use daemon::Secret;
use serde_json::{Map, Value};

/// Every text is a template.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlackSettings {
    /// Where messages are posted: a webhook, or the API (`app_url`) when there is an app's token.
    pub(crate) url: SecretSource,
    /// The address of `chat.postMessage`.
    pub(crate) app_url: String,
    /// Whether a message is edited while its group goes on.
    pub(crate) update_message: bool,
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

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SlackField {
    pub(crate) title: String,
    pub(crate) value: String,
    pub(crate) short: Option<bool>,
}

/// With a URL, or with a name and what belongs to it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SlackAction {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) url: String,
    pub(crate) style: String,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) confirm: Option<SlackConfirm>,
}

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SlackConfirm {
    pub(crate) text: String,
    pub(crate) title: String,
    pub(crate) ok_text: String,
    pub(crate) dismiss_text: String,
}

/// Addresses, headers and bodies are templates.
#[derive(Debug, Clone, Default)]
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
    /// For PLAIN and LOGIN.
    pub(crate) password: Option<SecretSource>,
    /// For CRAM-MD5.
    pub(crate) secret: Option<SecretSource>,
    /// For PLAIN: on whose behalf.
    pub(crate) identity: Option<String>,
    pub(crate) require_tls: bool,
    /// Whether TLS is spoken from the first byte; None for as the port says (465).
    pub(crate) force_implicit_tls: Option<bool>,
    pub(crate) tls: TlsSettings,
    /// Their names are in the usual form, `Reply-To`.
    pub(crate) headers: BTreeMap<String, String>,
    /// Whether mails of one group refer to each other.
    pub(crate) threading: Option<Threading>,
}

/// `threading.thread_by_date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threading {
    /// One thread for as long as the group lasts.
    None,
    /// A new one each day.
    Daily,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct WebhookSettings {
    /// A template.
    pub(crate) url: SecretSource,
    /// 0 for all.
    pub(crate) max_alerts: usize,
    /// In the place of Alertmanager's JSON; its texts are templates.
    pub(crate) payload: Option<Value>,
    pub(crate) http: HttpSettings,
}

/// Every text is a template, the keys too.
#[derive(Debug, Clone, Default)]
pub(crate) struct PagerdutySettings {
    /// For the API Events v2. One of the two keys is there at least.
    pub(crate) routing_key: Option<SecretSource>,
    /// For the API of before, when there is no routing key.
    pub(crate) service_key: Option<SecretSource>,
    pub(crate) url: String,
    pub(crate) client: String,
    pub(crate) client_url: String,
    pub(crate) description: String,
    /// With Alertmanager's four (`firing`, `resolved`, `num_firing`, `num_resolved`), unless the user gave them.
    pub(crate) details: Map<String, Value>,
    pub(crate) images: Vec<PagerdutyImage>,
    pub(crate) links: Vec<PagerdutyLink>,
    /// `client` when it is not given.
    pub(crate) source: String,
    pub(crate) severity: String,
    pub(crate) class: String,
    pub(crate) component: String,
    pub(crate) group: String,
    pub(crate) http: HttpSettings,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PagerdutyImage {
    pub(crate) src: String,
    pub(crate) alt: String,
    pub(crate) href: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PagerdutyLink {
    pub(crate) href: String,
    pub(crate) text: String,
}

/// `http_config:` and the integration's timeout.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    pub(crate) basic: Option<BasicAuth>,
    /// An `Authorization` header; `bearer_token` is one too.
    pub(crate) authorization: Option<Authorization>,
    pub(crate) oauth2: Option<Box<OAuth2>>,
    pub(crate) tls: TlsSettings,
    pub(crate) follow_redirects: bool,
    pub(crate) proxy: ProxySettings,
    /// `http_headers`, in the order of their names.
    pub(crate) headers: Vec<HttpHeader>,
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct BasicAuth {
    /// None for an empty one.
    pub(crate) username: Option<SecretSource>,
    pub(crate) password: Option<SecretSource>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Authorization {
    /// `Bearer` unless something else was given.
    pub(crate) kind: String,
    pub(crate) credentials: Option<SecretSource>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct OAuth2 {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<SecretSource>,
    pub(crate) grant: OAuth2Grant,
    pub(crate) scopes: Vec<String>,
    pub(crate) token_url: String,
    pub(crate) endpoint_params: BTreeMap<String, String>,
    pub(crate) tls: TlsSettings,
    pub(crate) proxy: ProxySettings,
}

/// How a token is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) enum OAuth2Grant {
    #[default]
    ClientCredentials,
    /// RFC 7523: a signed assertion.
    JwtBearer(Box<JwtBearer>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct JwtBearer {
    pub(crate) key: Option<SecretSource>,
    pub(crate) key_id: String,
    /// `RS256`, `RS384` or `RS512`.
    pub(crate) algorithm: String,
    /// The client's id unless something else was given.
    pub(crate) issuer: String,
    /// The token's URL unless something else was given.
    pub(crate) audience: String,
    pub(crate) claims: Map<String, Value>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ProxySettings {
    /// May hold a password.
    pub(crate) url: Option<Secret>,
    /// Hosts that are reached without it, with commas between them.
    pub(crate) no_proxy: String,
    /// Whether `HTTP_PROXY` and its kin are asked.
    pub(crate) from_environment: bool,
    /// Sent with CONNECT.
    pub(crate) connect_headers: Vec<(String, Vec<Secret>)>,
}

/// A header of requests, once for each value.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpHeader {
    pub(crate) name: String,
    /// In the order in which they are sent.
    pub(crate) values: Vec<SecretSource>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct TlsSettings {
    /// Authorities in place of the system's, in PEM.
    pub(crate) ca: Option<SecretSource>,
    /// Our certificates and their key, in PEM.
    pub(crate) identity: Option<(SecretSource, SecretSource)>,
    pub(crate) server_name: Option<String>,
    pub(crate) insecure_skip_verify: bool,
    pub(crate) min_version: Option<TlsVersion>,
    pub(crate) max_version: Option<TlsVersion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// A secret of the file, or one that is read anew each time it is needed.
#[derive(Debug, Clone)]
pub(crate) enum SecretSource {
    Inline(Secret),
    File(PathBuf),
}

impl SecretSource {
    pub(crate) fn inline(text: impl Into<String>) -> Self {
        Self::Inline(Secret::new(text.into()))
    }

    /// The secret without the white space around it that editors leave.
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
                Ok(Secret::new(text.trim().to_owned()))
            }
        }
    }
}

/// Nothing: what a test needs where it needs no secret.
impl Default for SecretSource {
    fn default() -> Self {
        Self::inline(String::new())
    }
}

impl HttpSettings {
    /// When an integration has no `timeout`, or one of zero.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
}

/// What an absent `http_config` says.
impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            basic: None,
            authorization: None,
            oauth2: None,
            tls: TlsSettings::default(),
            follow_redirects: true,
            proxy: ProxySettings::default(),
            headers: Vec::new(),
            timeout: Self::TIMEOUT,
        }
    }
}
