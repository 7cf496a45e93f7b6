//! The running server: Alertmanager's API v2, asked with a deadline and an answer of bounded size.

use std::{
    error::Error,
    fmt,
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use client::{Client, Method, Response, StatusCode, Url, header};
use daemon::{Secret, chain, http::percent_decode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Session;
use crate::{
    config::{self, Config, HttpSettings, Integration, Kind, Options, SecretSource},
    receivers,
};

/// All of 100,000 alerts have 72 MB.
const MAX_ANSWER: usize = 512 << 20;
/// What is shown of an answer that says why.
const MAX_REASON: usize = 500;
/// Whose API this is; alert-router's own version is as good.
const VERSIONS: [&str; 2] = [env!("CARGO_PKG_VERSION"), "0.34"];

/// A server, and who we are there.
#[derive(Clone)]
pub(super) struct Server {
    client: Client,
    base: Url,
    credentials: Credentials,
    timeout: Duration,
    verbose: bool,
}

/// What says who we are.
#[derive(Clone, Default)]
struct Credentials {
    basic: Option<(String, Secret)>,
    headers: Vec<(String, Secret)>,
}

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(
        "cannot reach {url}: {reason}; does the server run there, and is --alertmanager.url right?"
    )]
    Unreachable { url: String, reason: String },
    #[error("not done within {0} s; --timeout gives it longer")]
    Late(f64),
    #[error("{call}: {status}{}{reason}{}", if reason.is_empty() { "" } else { ": " }, hint(*status))]
    Refused {
        call: String,
        status: StatusCode,
        reason: String,
    },
    #[error("{call}: the answer cannot be read: {reason}; is it an Alertmanager?")]
    Answer { call: String, reason: String },
}

const fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; give a user and a password by --http.config.file"
        }
        _ => "",
    }
}

impl From<CallError> for String {
    fn from(error: CallError) -> Self {
        error.to_string()
    }
}

impl Server {
    /// The server that the flags name.
    pub(super) async fn open(session: &Session<'_>) -> Result<Self, String> {
        let flags = &session.flags;
        let url = flags.url.as_deref().ok_or(
            "required flag --alertmanager.url not provided; give it, or write it to $HOME/.config/amtool/config.yml",
        )?;
        let wrong = || {
            format!(
                "--alertmanager.url={} is no URL such as http://localhost:9093",
                without_password(url)
            )
        };
        let mut base = Url::parse(url).map_err(|_error| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong());
        }
        let user = (!base.username().is_empty()).then(|| {
            // In this part of a URL a plus is a plus.
            let decode = |text: &str| percent_decode(&text.replace('+', "%2B"));
            let password = base.password().unwrap_or_default();
            (decode(base.username()), Secret::new(decode(password)))
        });
        // Both fail for URLs without a host only.
        base.set_username("").unwrap_or(());
        base.set_password(None).unwrap_or(());
        let file = flags.http_config.as_deref().map(http).transpose()?;
        if user.is_some() && file.is_some() {
            return Err(
                "a user in --alertmanager.url and --http.config.file exclude each other; leave one out"
                    .to_owned(),
            );
        }
        let mut http = HttpSettings::default();
        let mut credentials = Credentials {
            basic: user,
            ..Credentials::default()
        };
        if let Some((integration, settings)) = file {
            credentials = self::credentials(&integration, &settings).await?;
            http = settings;
        }
        http.timeout = flags.timeout;
        http.tls.insecure_skip_verify |= flags.insecure;
        let server = Self {
            client: receivers::http::client(&http)?,
            base,
            credentials,
            timeout: flags.timeout,
            verbose: flags.verbose,
        };
        if flags.version_check {
            server.compare_versions().await;
        }
        Ok(server)
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, CallError> {
        self.call(Method::GET, path, query, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &impl serde::Serialize,
    ) -> Result<T, CallError> {
        // Our own types always serialize.
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.call(Method::POST, path, query, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<(), CallError> {
        self.call(Method::DELETE, path, &[], None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<T, CallError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let call = format!("{method} {url}");
        let begin = Instant::now();
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        if let Some((user, password)) = &self.credentials.basic {
            request = request.basic_auth(user, Some(password.expose()));
        }
        for (name, value) in &self.credentials.headers {
            request = request.header(name, value.expose());
        }
        let response = request.send().await.map_err(|error| {
            if error.is_timeout() && !error.is_connect() {
                return CallError::Late(self.timeout.as_secs_f64());
            }
            CallError::Unreachable {
                url: self.base.to_string(),
                reason: innermost(&error.without_url()),
            }
        })?;
        let status = response.status();
        if self.verbose {
            let took = begin.elapsed().as_millis();
            // Nothing can be done about a closed standard error.
            drop(writeln!(
                std::io::stderr(),
                "{call}: {status} after {took} ms"
            ));
        }
        read(call, response).await
    }

    /// A word of warning when the server is of another version; when it cannot be known, none.
    async fn compare_versions(&self) {
        let Ok(status) = self.get::<Value>(&["v2", "status"], &[]).await else {
            return;
        };
        let version = status.pointer("/versionInfo/version");
        let Some(version) = version.and_then(Value::as_str) else {
            return;
        };
        if !VERSIONS.iter().any(|it| minor(it) == minor(version)) {
            super::say(&format!(
                "warning: the server is of version {version}, these commands are of {}; --no-version-check says that it is well",
                VERSIONS.join(" and ")
            ));
        }
    }
}

/// `1.2` of `1.2.3`.
fn minor(version: &str) -> Vec<&str> {
    version.split(['.', '-', '+', '~']).take(2).collect()
}

async fn read<T: DeserializeOwned>(call: String, response: Response) -> Result<T, CallError> {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .is_none_or(|it| it.contains("json"));
    let body = match client::body(response, MAX_ANSWER).await {
        Ok(body) => body,
        Err(error) => {
            let reason = chain(&error).to_string();
            return Err(CallError::Answer { call, reason });
        }
    };
    if !status.is_success() {
        return Err(CallError::Refused {
            call,
            status,
            reason: reason(&body, is_json),
        });
    }
    // Alertmanager's answer to what it has nothing to say to is empty.
    let body: &[u8] = if body.trim_ascii().is_empty() {
        b"null"
    } else {
        &body
    };
    serde_json::from_slice(body).map_err(|error| CallError::Answer {
        call,
        reason: error.to_string(),
    })
}

/// What a refusal says, in one line: a string, or the `message` of an object. A page of a proxy is left out.
fn reason(body: &[u8], is_json: bool) -> String {
    let text = match serde_json::from_slice(body) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(object)) => {
            let message = object.get("message").and_then(Value::as_str);
            message.unwrap_or_default().to_owned()
        }
        Ok(_) => String::new(),
        Err(_) if is_json => String::from_utf8_lossy(body).into_owned(),
        Err(_) => String::new(),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_REASON).collect()
}

/// Of a chain of causes the last: `connection refused` says more than `error sending request`.
fn innermost<'a>(mut error: &'a (dyn Error + 'a)) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// `--http.config.file`: Prometheus' `http_config`, whose relative paths begin at its folder.
fn http(path: &Path) -> Result<(Arc<Integration>, HttpSettings), String> {
    let told = |error: &dyn fmt::Display| format!("--http.config.file={}: {error}", path.display());
    let text = config::read(path).map_err(|error| told(&error))?;
    let shape: Value = if text.trim().is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_saphyr::from_str(&text).map_err(|_error| told(&"it is no YAML"))?
    };
    // It is read as the one of a receiver, so that all its keys are known here too. JSON is YAML.
    let whole = json!({
        "route": {"receiver": "x"},
        "receivers": [{"name": "x", "webhook_configs": [{"url": "http://x", "http_config": shape}]}],
    });
    let options = Options::default();
    let config = Config::parse_with(path, &whole.to_string(), &options, &|_| None)
        .map_err(|error| told(&error.reason))?;
    let mut integrations = config.receivers.iter().flat_map(|it| &it.integrations);
    let http = integrations.find_map(|it| match &it.kind {
        Kind::Webhook(webhook) => Some((Arc::clone(it), webhook.http.clone())),
        _ => None,
    });
    http.ok_or_else(|| told(&"it cannot be used"))
}

/// Who we are, as the file says.
async fn credentials(
    integration: &Integration,
    http: &HttpSettings,
) -> Result<Credentials, String> {
    let read = |source: Option<&SecretSource>| match source {
        None => Ok(Secret::new(String::new())),
        Some(source) => source.read().map_err(|error| error.to_string()),
    };
    let mut found = Credentials::default();
    let authorization = header::AUTHORIZATION.as_str().to_owned();
    if let Some(basic) = &http.basic {
        let user = read(basic.username.as_ref())?.expose().to_owned();
        found.basic = Some((user, read(basic.password.as_ref())?));
    } else if let Some(it) = &http.authorization {
        let value = format!("{} {}", it.kind, read(it.credentials.as_ref())?.expose());
        found.headers.push((authorization, Secret::new(value)));
    } else if let Some(oauth2) = &http.oauth2 {
        let token = receivers::http::token(integration, oauth2).await?;
        found.headers.push((authorization, Secret::new(token)));
    }
    for header in &http.headers {
        for value in &header.values {
            found
                .headers
                .push((header.name.clone(), read(Some(value))?));
        }
    }
    Ok(found)
}

/// A URL as it may stand in a message.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}://<secret>@{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use client::StatusCode;

    use super::{CallError, http, minor, reason, without_password};

    #[test]
    fn reasons_are_one_line() {
        for (body, is_json, expect) in [
            ("\"bad\\nmatcher\"", true, "bad matcher"),
            ("{\"code\":601,\"message\":\"no\"}", true, "no"),
            ("{}", true, ""),
            ("nothing here", true, "nothing here"),
            ("<html>nothing here</html>", false, ""),
        ] {
            assert_eq!(reason(body.as_bytes(), is_json), expect, "{body}");
        }
        let error = CallError::Refused {
            call: "GET http://a/api/v2/status".to_owned(),
            status: StatusCode::UNAUTHORIZED,
            reason: String::new(),
        };
        assert_eq!(
            error.to_string(),
            "GET http://a/api/v2/status: 401 Unauthorized; give a user and a password by --http.config.file"
        );
    }

    #[test]
    fn versions_and_urls() {
        assert_eq!(minor("0.34.1"), minor("0.34"));
        assert_ne!(minor("0.34.1"), minor("0.3.4"));
        assert_eq!(
            without_password("http://u:p@a:1/x"),
            "http://<secret>@a:1/x"
        );
        assert_eq!(without_password("localhost:9093"), "localhost:9093");
    }

    #[test]
    fn http_config_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.yml");
        fs::write(
            &path,
            "basic_auth: {username: u, password: hunter2}\nfollow_redirects: false\n",
        )
        .unwrap();
        let (_, found) = http(&path).unwrap();
        assert!(found.basic.is_some());
        assert!(!found.follow_redirects);
        fs::write(&path, "basic_auth: {user: u, password: hunter2}\n").unwrap();
        let error = http(&path).unwrap_err();
        assert!(error.contains("http.yml: unknown key user"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = http(&folder.path().join("none")).unwrap_err();
        assert!(error.contains("No such file"), "{error}");
    }
}
