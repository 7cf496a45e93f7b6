//! Traefik's HTTP API: GETs with a deadline and a cap on the answer.

pub(crate) mod facts;
pub(crate) mod rawdata;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use client::{
    BodyError, Client, ClientError, Settings, StatusCode, Tls, Url,
    header::{self, HeaderValue},
};
use daemon::Secret;

/// How the API is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Without a slash at the end of its path.
    pub(crate) url: Url,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) login: Login,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
    pub(crate) insecure_skip_verify: bool,
    /// Bytes of one answer.
    pub(crate) max_answer: usize,
}

/// How it is proved who we are.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    None,
    Basic(String, SecretFrom),
    Bearer(SecretFrom),
}

/// A secret, or the file that holds it, read with every scrape so that it may be exchanged.
#[derive(Debug, Clone)]
pub(crate) enum SecretFrom {
    Value(Secret),
    File(PathBuf),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} holds no more than white space", .0.display())]
    EmptyFile(PathBuf),
    #[error(
        "cannot make a client of --traefik.ca-file, --traefik.cert-file and --traefik.key-file"
    )]
    Client(#[from] ClientError),
    #[error("the secret has characters that no header may have")]
    Secret,
    #[error("cannot connect to {url}")]
    Connect { url: String, source: client::Error },
    #[error("no answer to {0} before the deadline of the scrape")]
    Deadline(&'static str),
    #[error("the connection broke off")]
    Broken(#[source] client::Error),
    #[error(
        "{0}: status 401: give --traefik.username and --traefik.password-file, or --traefik.bearer-token-file, as the API's router wants them"
    )]
    Unauthorized(&'static str),
    #[error("{0}: status 403: a middleware of the API's router refuses us, such as an ipAllowList")]
    Forbidden(&'static str),
    #[error(
        "{0}: status 404: nothing serves the API there. In Traefik's static configuration give it `api: {{}}` and an entry point of its own on \
         127.0.0.1, and a router with the rule PathPrefix(`/api`) and the service api@internal on that entry point alone; with api.basePath, \
         --traefik.url must end in it"
    )]
    NotFound(&'static str),
    #[error(
        "{0}: status {1}: redirections are not followed, as they would carry the password away; give the final --traefik.url"
    )]
    Redirect(&'static str, u16),
    #[error("{0}: status {1}")]
    Http(&'static str, u16),
    #[error("{0}: the answer has more than {1} bytes (--traefik.max-answer-bytes)")]
    TooLarge(&'static str, usize),
    #[error("{path}: this is no answer of Traefik's API")]
    Answer {
        path: &'static str,
        source: serde_json::Error,
    },
}

impl ApiError {
    /// Every value of the label `reason`, sorted.
    pub(crate) const REASONS: &[&str] = &[
        "answer",
        "broken",
        "connect",
        "deadline",
        "forbidden",
        "http",
        "not_found",
        "redirect",
        "settings",
        "too_large",
        "unauthorized",
    ];

    /// The value of the label `reason`.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::EmptyFile(_) | Self::Client(_) | Self::Secret => "settings",
            Self::Connect { .. } => "connect",
            Self::Deadline(_) => "deadline",
            Self::Broken(_) => "broken",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Redirect(..) => "redirect",
            Self::Http(..) => "http",
            Self::TooLarge(..) => "too_large",
            Self::Answer { .. } => "answer",
        }
    }
}

/// The API of one Traefik.
pub(crate) struct Api {
    access: Access,
    /// The client, and the certificates that it was made of.
    client: Mutex<Option<(Tls, Client)>>,
}

/// What one scrape calls it with.
pub(crate) struct Session<'a> {
    api: &'a Api,
    client: Client,
    authorization: Option<HeaderValue>,
    deadline: Instant,
}

/// Connections that a scrape uses, and that are kept for the next one: one for the large answer and one for the small ones.
const CONNECTIONS: usize = 2;

impl Api {
    /// Reads the files once, so that what is wrong with them is known at the start.
    ///
    /// # Errors
    /// When a file cannot be read or a certificate not be used.
    pub(crate) fn new(access: Access) -> Result<Self, ApiError> {
        let api = Self {
            access,
            client: Mutex::new(None),
        };
        api.session(Instant::now())?;
        Ok(api)
    }

    /// Reads passwords and certificates anew.
    pub(crate) fn session(&self, deadline: Instant) -> Result<Session<'_>, ApiError> {
        let authorization = match &self.access.login {
            Login::None => None,
            Login::Basic(user, password) => Some(basic(user, &password.read()?)),
            Login::Bearer(token) => Some(format!("Bearer {}", token.read()?)),
        };
        let authorization = authorization.map(|text| {
            let mut value = HeaderValue::from_str(&text).map_err(|_error| ApiError::Secret)?;
            value.set_sensitive(true);
            Ok::<_, ApiError>(value)
        });
        Ok(Session {
            api: self,
            client: self.client()?,
            authorization: authorization.transpose()?,
            deadline,
        })
    }

    fn client(&self) -> Result<Client, ApiError> {
        let access = &self.access;
        let text = |path: &Option<PathBuf>| path.as_deref().map(read_text).transpose();
        let identity = match (text(&access.cert_file)?, text(&access.key_file)?) {
            (Some(chain), Some(key)) => Some((chain, key)),
            _ => None,
        };
        let tls = Tls {
            ca: text(&access.ca_file)?,
            identity,
            server_name: access.server_name.clone(),
            insecure_skip_verify: access.insecure_skip_verify,
            ..Tls::default()
        };
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((its, client)) = kept.as_ref()
            && *its == tls
        {
            return Ok(client.clone());
        }
        let agent = concat!("traefik-exporter/", env!("CARGO_PKG_VERSION"));
        let client = client::client(&Settings {
            kept: CONNECTIONS,
            tls: tls.clone(),
            ..Settings::new(agent, crate::LONGEST_SCRAPE)
        })?;
        *kept = Some((tls, client.clone()));
        Ok(client)
    }
}

impl Session<'_> {
    /// The body of the answer to `GET path`.
    pub(crate) async fn get(&self, path: &'static str) -> Result<Vec<u8>, ApiError> {
        let max = self.api.access.max_answer;
        let body = client::body(self.open(path).await?, max).await;
        body.map_err(|error| match error {
            BodyError::TooLarge(max) => ApiError::TooLarge(path, max),
            BodyError::Read(error) => self.failed(path, error),
        })
    }

    fn failed(&self, path: &'static str, error: client::Error) -> ApiError {
        let error = error.without_url();
        match () {
            () if error.is_timeout() => ApiError::Deadline(path),
            () if error.is_connect() => ApiError::Connect {
                // Settings let none pass that has a user.
                url: self.api.access.url.to_string(),
                source: error,
            },
            () => ApiError::Broken(error),
        }
    }

    /// The head of the answer to `GET path`, when it is a good one; its body is to come.
    pub(crate) async fn open(&self, path: &'static str) -> Result<client::Response, ApiError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ApiError::Deadline(path));
        }
        let access = &self.api.access;
        let mut url = access.url.clone();
        url.set_path(&format!(
            "{}{path}",
            access.url.path().trim_end_matches('/')
        ));
        let mut request = self.client.get(url).timeout(left);
        if let Some(host) = &access.host {
            request = request.header(header::HOST, host);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = request.send().await;
        let response = response.map_err(|it| self.failed(path, it))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(ApiError::Unauthorized(path)),
            StatusCode::FORBIDDEN => return Err(ApiError::Forbidden(path)),
            StatusCode::NOT_FOUND => return Err(ApiError::NotFound(path)),
            status if status.is_redirection() => {
                return Err(ApiError::Redirect(path, status.as_u16()));
            }
            status => return Err(ApiError::Http(path, status.as_u16())),
        }
        Ok(response)
    }

    /// The same, read as JSON of some shape.
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        path: &'static str,
    ) -> Result<T, ApiError> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).map_err(|source| ApiError::Answer { path, source })
    }
}

impl SecretFrom {
    fn read(&self) -> Result<String, ApiError> {
        match self {
            Self::Value(secret) => Ok(secret.expose().to_owned()),
            Self::File(path) => {
                let text = read_text(path)?;
                let secret = text.trim();
                if secret.is_empty() {
                    return Err(ApiError::EmptyFile(path.clone()));
                }
                Ok(secret.to_owned())
            }
        }
    }
}

/// Larger ones are no passwords or certificates.
const MAX_FILE: u64 = 1 << 20;

fn read_text(path: &Path) -> Result<String, ApiError> {
    use io::Read as _;
    let read = || {
        let mut text = String::new();
        fs::File::open(path)?
            .take(MAX_FILE)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| ApiError::File {
        path: path.to_owned(),
        source,
    })
}

/// RFC 7617.
fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = format!("{user}:{password}");
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {pair}")
}
