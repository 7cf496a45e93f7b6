//! Calls to receivers over HTTP: `http_config` in full, clients that are made when they are first needed, and what an answer means.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client::{Client, Response, StatusCode, Token, TokenRequest, header};
use daemon::{Secret, chain};
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::Failure;
use crate::{
    config::{
        HttpSettings, Integration, OAuth2, OAuth2Grant, ProxySettings, SecretSource, TlsSettings,
        TlsVersion,
    },
    core::Retry,
};

/// How much of an answer is read.
const MAX_ANSWER: usize = 64 * 1024;
/// How much of it stands in an error.
const MAX_QUOTED: usize = 200;
/// A receiver that asks for a longer pause is asked again after this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Clients that are kept; one serves all integrations with its settings.
const MAX_CLIENTS: usize = 64;
const REDIRECTS: usize = 10;

/// The clients of a configuration.
#[derive(Default)]
pub(super) struct Clients {
    known: Mutex<Vec<(client::Settings, Client)>>,
    tokens: Mutex<BTreeMap<(String, &'static str, usize), Arc<tokio::sync::Mutex<Tokens>>>>,
}

/// What is known of an integration's tokens.
#[derive(Default)]
struct Tokens {
    /// With its end.
    held: Option<(Token, Option<Instant>)>,
    /// The secret that it was got with: with another, another token is asked for.
    secret: String,
    in_form: Option<bool>,
}

/// What a receiver says.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) is_json: bool,
    pub(super) body: String,
    /// What `Retry-After` asks for.
    pause: Option<Duration>,
}

/// A client for the command line: credentials are the caller's.
pub(crate) fn client(http: &HttpSettings) -> Result<Client, String> {
    let mut settings = settings(&http.tls, &http.proxy, http.follow_redirects)?;
    settings.timeout = http.timeout;
    settings.connect_timeout = settings.connect_timeout.min(http.timeout);
    client::client(&settings).map_err(|error| chain(&error).to_string())
}

/// The `Authorization` header that a token gives, for the command line too.
pub(crate) async fn token(integration: &Integration, oauth2: &OAuth2) -> Result<String, String> {
    let token = Clients::default().token(integration, oauth2).await;
    token.map_err(|failure| failure.error)
}

/// What a client is made of; files are read anew.
fn settings(
    tls: &TlsSettings,
    proxy: &ProxySettings,
    follow: bool,
) -> Result<client::Settings, String> {
    // The deadline is the integration's, around the call.
    let agent = concat!("alert-router/", env!("CARGO_PKG_VERSION"));
    let mut settings = client::Settings::new(agent, Duration::from_secs(24 * 60 * 60));
    settings.connect_timeout = Duration::from_secs(10);
    settings.redirects = if follow { REDIRECTS } else { 0 };
    settings.tls = pem(tls)?;
    settings.proxy = way(proxy);
    Ok(settings)
}

impl Clients {
    /// Finds at the start what is wrong with certificates and proxies. What needs neither is made when it is first used.
    pub(super) fn check(&self, http: &HttpSettings) -> Result<(), String> {
        let plain = |tls: &TlsSettings, proxy: &ProxySettings| {
            tls.ca.is_none()
                && tls.identity.is_none()
                && tls.server_name.is_none()
                && tls.max_version.is_none()
                && proxy.url.is_none()
                && proxy.connect_headers.is_empty()
        };
        if !plain(&http.tls, &http.proxy) {
            self.client(&http.tls, &http.proxy, http.follow_redirects)?;
        }
        if let Some(oauth2) = &http.oauth2
            && !plain(&oauth2.tls, &oauth2.proxy)
        {
            let made = self.client(&oauth2.tls, &oauth2.proxy, true);
            made.map_err(|error| format!("oauth2: {error}"))?;
        }
        Ok(())
    }

    /// Posts JSON, within the integration's timeout.
    pub(super) async fn post(
        &self,
        integration: &Integration,
        http: &HttpSettings,
        url: &str,
        body: String,
    ) -> Result<Answer, Failure> {
        self.within(integration, http, url, Some(body)).await
    }

    /// Gets a page, within the integration's timeout.
    pub(super) async fn get(
        &self,
        integration: &Integration,
        http: &HttpSettings,
        url: &str,
    ) -> Result<Answer, Failure> {
        self.within(integration, http, url, None).await
    }

    async fn within(
        &self,
        integration: &Integration,
        http: &HttpSettings,
        url: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let calling = self.call(integration, http, url, body);
        timeout(http.timeout, calling)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(Failure {
                    reason: "contextDeadlineExceeded",
                    ..Failure::again(format!("no answer within {:?}", http.timeout))
                })
            })
    }

    async fn call(
        &self,
        integration: &Integration,
        http: &HttpSettings,
        url: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let client = self.client(&http.tls, &http.proxy, http.follow_redirects);
        let client = client.map_err(Failure::again)?;
        let mut request = match body {
            None => client.get(url),
            Some(body) => client
                .post(url)
                .header(header::CONTENT_TYPE, "application/json")
                .body(body),
        };
        if let Some(basic) = &http.basic {
            let user = exposed(basic.username.as_ref())?;
            let password = exposed(basic.password.as_ref())?;
            request = request.basic_auth(user, Some(password));
        } else if let Some(authorization) = &http.authorization {
            let credentials = exposed(authorization.credentials.as_ref())?;
            let value = format!("{} {credentials}", authorization.kind);
            request = request.header(header::AUTHORIZATION, sensitive("authorization", &value)?);
        } else if let Some(oauth2) = &http.oauth2 {
            let token = self.token(integration, oauth2).await?;
            request = request.header(header::AUTHORIZATION, sensitive("oauth2", &token)?);
        }
        for header in &http.headers {
            for value in &header.values {
                let value = exposed(Some(value))?;
                let value = sensitive(&header.name, &value)?;
                request = request.header(header.name.as_str(), value);
            }
        }
        // The URL may be a secret: it must not be in the error.
        let response = request.send().await.map_err(|error| {
            let timeout = error.is_timeout();
            // A URL or a header that is none will not be one the next time.
            let retry = if error.is_builder() {
                Retry::No
            } else {
                Retry::Backoff
            };
            Failure {
                reason: if timeout {
                    "contextDeadlineExceeded"
                } else {
                    "other"
                },
                retry,
                ..Failure::again(chain(&error.without_url()).to_string())
            }
        })?;
        if response.status() == StatusCode::UNAUTHORIZED && http.oauth2.is_some() {
            // The token was taken back before its time.
            self.tokens_of(integration).lock().await.held = None;
        }
        Answer::read(response).await
    }

    /// A client with these settings; a change in one of their files makes another client.
    fn client(
        &self,
        tls: &TlsSettings,
        proxy: &ProxySettings,
        follow: bool,
    ) -> Result<Client, String> {
        let settings = settings(tls, proxy, follow)?;
        let mut known = lock(&self.known);
        if let Some((_, client)) = known.iter().find(|it| it.0 == settings) {
            return Ok(client.clone());
        }
        let made = client::client(&settings).map_err(|error| chain(&error).to_string())?;
        if known.len() >= MAX_CLIENTS {
            known.remove(0);
        }
        known.push((settings, made.clone()));
        Ok(made)
    }

    fn tokens_of(&self, integration: &Integration) -> Arc<tokio::sync::Mutex<Tokens>> {
        let key = (
            integration.receiver.clone(),
            integration.name(),
            integration.index,
        );
        Arc::clone(lock(&self.tokens).entry(key).or_default())
    }

    /// The `Authorization` header that a token gives. One task asks for it, the others wait.
    async fn token(&self, integration: &Integration, oauth2: &OAuth2) -> Result<String, Failure> {
        let tokens = self.tokens_of(integration);
        let mut tokens = tokens.lock().await;
        let (grant, secret) = match &oauth2.grant {
            OAuth2Grant::ClientCredentials => {
                let secret = exposed(oauth2.client_secret.as_ref())?;
                (client::Grant::ClientCredentials(secret.clone()), secret)
            }
            OAuth2Grant::JwtBearer(jwt) => {
                let key = exposed(jwt.key.as_ref())?;
                let assertion = client::Assertion {
                    key: key.clone(),
                    key_id: jwt.key_id.clone(),
                    algorithm: jwt.algorithm.clone(),
                    issuer: jwt.issuer.clone(),
                    audience: jwt.audience.clone(),
                    claims: jwt.claims.clone(),
                };
                (client::Grant::JwtBearer(assertion), key)
            }
        };
        let now = Instant::now();
        if let Some((token, end)) = &tokens.held
            && tokens.secret == secret
            && end.is_none_or(|it| now < it)
        {
            return Ok(token.header.clone());
        }
        let client = self.client(&oauth2.tls, &oauth2.proxy, true);
        let client = client.map_err(|error| Failure::again(format!("oauth2: {error}")))?;
        let request = TokenRequest {
            url: oauth2.token_url.clone(),
            client_id: oauth2.client_id.clone(),
            grant,
            scopes: oauth2.scopes.clone(),
            params: oauth2.endpoint_params.clone(),
        };
        let seconds = Timestamp::now().as_second();
        let fetched = request.fetch(&client, seconds, &mut tokens.in_form).await;
        let token = fetched.map_err(|error| Failure::again(chain(&error).to_string()))?;
        let header = token.header.clone();
        tokens.held = Some((token.clone(), token.lifetime.map(|it| now + it)));
        tokens.secret = secret;
        Ok(header)
    }
}

impl Answer {
    async fn read(response: Response) -> Result<Self, Failure> {
        let status = response.status();
        let said = |name| response.headers().get(name)?.to_str().ok();
        let pause = said(header::RETRY_AFTER).and_then(|it| pause(it, Timestamp::now()));
        let kind = said(header::CONTENT_TYPE).unwrap_or_default();
        let is_json = kind.starts_with("application/json");
        let body = match client::body(response, MAX_ANSWER).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            // The status says enough.
            Err(_) if !status.is_success() => String::new(),
            // Alertmanager does not look further, and the receiver has it.
            Err(client::BodyError::TooLarge(_)) => String::new(),
            Err(error) => return Err(Failure::again(chain(&error).to_string())),
        };
        Ok(Self {
            status,
            is_json,
            body,
            pause,
        })
    }

    /// 2xx is done; 429 and 5xx are tried again, when the receiver says; another is refused.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        if self.status.is_success() {
            return Ok(());
        }
        let again = self.pause.map_or(Retry::Backoff, Retry::After);
        let (reason, retry) = match self.status {
            StatusCode::TOO_MANY_REQUESTS => ("rateLimited", again),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ("authError", Retry::No),
            it if it.is_server_error() => ("serverError", again),
            it if it.is_client_error() => ("clientError", Retry::No),
            _ => ("other", Retry::No),
        };
        let text = quoted(&self.body);
        let code = self.status.as_u16();
        let error = if text.is_empty() {
            format!("unexpected status code {code}")
        } else {
            format!("unexpected status code {code}: {text}")
        };
        Err(Failure {
            reason,
            retry,
            ..Failure::again(error)
        })
    }

    /// The pause that is asked for beside an answer of 200.
    pub(super) fn again(&self) -> Retry {
        self.pause.map_or(Retry::Backoff, Retry::After)
    }
}

#[cfg(test)]
impl Clients {
    pub(super) fn count(&self) -> usize {
        lock(&self.known).len()
    }
}

#[cfg(test)]
impl Answer {
    pub(super) fn example(status: u16, is_json: bool, body: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            is_json,
            body: body.to_owned(),
            pause: None,
        }
    }
}

/// The start of what a receiver says, on one line.
pub(super) fn quoted(text: &str) -> String {
    let text = text.trim().chars().filter(|it| !it.is_control());
    text.take(MAX_QUOTED).collect()
}

/// `Retry-After`: seconds, or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

fn exposed(source: Option<&SecretSource>) -> Result<String, Failure> {
    let secret = source.map(SecretSource::read).transpose();
    let secret = secret.map_err(|error| Failure::again(error.to_string()))?;
    Ok(secret.map_or_else(String::new, |it| it.expose().to_owned()))
}

fn sensitive(name: &str, value: &str) -> Result<header::HeaderValue, Failure> {
    let mut value = header::HeaderValue::from_str(value).map_err(|_error| {
        Failure::last(format!(
            "http_config: {name} has characters that no header can have"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A `tls_config`, its files read.
pub(super) fn pem(tls: &TlsSettings) -> Result<client::Tls, String> {
    let read = |it: &SecretSource| {
        let secret = it.read().map_err(|error| format!("tls_config: {error}"))?;
        Ok::<_, String>(secret.expose().to_owned())
    };
    let version = |it: TlsVersion| match it {
        TlsVersion::Tls10 => client::TlsVersion::Tls10,
        TlsVersion::Tls11 => client::TlsVersion::Tls11,
        TlsVersion::Tls12 => client::TlsVersion::Tls12,
        TlsVersion::Tls13 => client::TlsVersion::Tls13,
    };
    Ok(client::Tls {
        ca: tls.ca.as_ref().map(read).transpose()?,
        identity: match &tls.identity {
            None => None,
            Some((cert, key)) => Some((read(cert)?, read(key)?)),
        },
        server_name: tls.server_name.clone(),
        insecure_skip_verify: tls.insecure_skip_verify,
        min_version: tls.min_version.map(version),
        max_version: tls.max_version.map(version),
    })
}

fn way(proxy: &ProxySettings) -> client::Proxy {
    let mut way = if proxy.from_environment {
        client::Proxy::from_environment()
    } else {
        let url = proxy.url.as_ref().map(|it| it.expose().to_owned());
        client::Proxy {
            http: url.clone(),
            https: url,
            no_proxy: Some(proxy.no_proxy.clone()).filter(|it| !it.is_empty()),
            connect_headers: Vec::new(),
        }
    };
    let headers = proxy.connect_headers.iter();
    way.connect_headers = headers
        .flat_map(|(name, values)| {
            let values = values.iter().map(Secret::expose);
            values.map(|it| (name.clone(), it.to_owned()))
        })
        .collect();
    way
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{StatusCode, pause};
    use crate::core::Retry;

    #[test]
    fn pauses() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, expect) in [
            ("2", Some(2)),
            (" 0 ", Some(0)),
            ("Fri, 02 Jan 2026 03:04:35 GMT", Some(30)),
            ("Fri, 02 Jan 2026 03:00:00 GMT", Some(0)),
            ("99999999", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(pause(text, now), expect.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn answers() {
        let second = Some(Duration::from_secs(1));
        for (status, pause, reason, retry) in [
            (
                429,
                second,
                "rateLimited",
                Retry::After(Duration::from_secs(1)),
            ),
            (429, None, "rateLimited", Retry::Backoff),
            (
                503,
                second,
                "serverError",
                Retry::After(Duration::from_secs(1)),
            ),
            (500, None, "serverError", Retry::Backoff),
            (401, None, "authError", Retry::No),
            (403, second, "authError", Retry::No),
            (404, None, "clientError", Retry::No),
            (302, None, "other", Retry::No),
        ] {
            let answer = super::Answer {
                status: StatusCode::from_u16(status).unwrap(),
                is_json: false,
                body: " no\nway ".to_owned(),
                pause,
            };
            let failure = answer.judge().unwrap_err();
            assert_eq!((failure.reason, failure.retry), (reason, retry), "{status}");
            assert_eq!(
                failure.error,
                format!("unexpected status code {status}: noway")
            );
        }
    }
}
