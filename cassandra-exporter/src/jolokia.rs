//! Jolokia's HTTP interface: one bulk of reads and searches a call, with a deadline and a cap on the answer.

pub(crate) mod request;
pub(crate) mod response;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use client::{BodyError, Client, ClientError, Method, Settings, StatusCode, Tls, Url, header};
use daemon::Secret;

use self::{
    request::{Bulk, PARAMETERS},
    response::{AnswerError, Got, Status, Want},
};

/// How Jolokia is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Ends in a slash: Jolokia 1.7 knows no other.
    pub(crate) url: Url,
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
pub(crate) enum JolokiaError {
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} holds no more than white space", .0.display())]
    EmptyFile(PathBuf),
    #[error(
        "cannot make a client of --jolokia.ca-file, --jolokia.cert-file and --jolokia.key-file"
    )]
    Client(#[from] ClientError),
    #[error("cannot connect to {url}")]
    Connect { url: String, source: client::Error },
    #[error("no answer before the deadline of the scrape")]
    Deadline,
    #[error("the connection broke off")]
    Broken(#[source] client::Error),
    #[error("status 401: give --jolokia.username and --jolokia.password-file as Jolokia has them")]
    Unauthorized,
    #[error("status 403: Jolokia's policy forbids it; see packaging/cassandra/jolokia-access.xml")]
    Forbidden,
    #[error(
        "status 404: is --jolokia.url the agent's address with its context, as in http://127.0.0.1:8778/jolokia?"
    )]
    NotFound,
    #[error(
        "status {0}: redirections are not followed, as they would carry the password away; give the final --jolokia.url"
    )]
    Redirect(u16),
    #[error("status {0}")]
    Http(u16),
    #[error("the answer has more than {0} bytes (--jolokia.max-answer-bytes)")]
    TooLarge(usize),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl JolokiaError {
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
            Self::File { .. } | Self::EmptyFile(_) | Self::Client(_) => "settings",
            Self::Connect { .. } => "connect",
            Self::Deadline => "deadline",
            Self::Broken(_) => "broken",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden | Self::Answer(AnswerError::Refused { status: 403, .. }) => "forbidden",
            Self::NotFound => "not_found",
            Self::Redirect(_) => "redirect",
            Self::Http(_) => "http",
            Self::TooLarge(_) => "too_large",
            Self::Answer(_) => "answer",
        }
    }
}

/// A Jolokia agent.
pub(crate) struct Jolokia {
    access: Access,
    /// The client, and the certificates that it was made of.
    client: Mutex<Option<(Tls, Client)>>,
}

/// What one scrape calls it with.
pub(crate) struct Session<'a> {
    jolokia: &'a Jolokia,
    client: Client,
    authorization: Option<String>,
    deadline: Instant,
}

impl Jolokia {
    /// Reads the files once, so that what is wrong with them is known at the start.
    ///
    /// # Errors
    /// When a file cannot be read or a certificate not be used.
    pub(crate) fn new(access: Access) -> Result<Self, JolokiaError> {
        let jolokia = Self {
            access,
            client: Mutex::new(None),
        };
        jolokia.session(Instant::now())?;
        Ok(jolokia)
    }

    /// Reads passwords and certificates anew.
    pub(crate) fn session(&self, deadline: Instant) -> Result<Session<'_>, JolokiaError> {
        let access = &self.access;
        let authorization = match &access.login {
            Login::None => None,
            Login::Basic(user, password) => Some(basic(user, &password.read()?)),
            Login::Bearer(token) => Some(format!("Bearer {}", token.read()?)),
        };
        Ok(Session {
            jolokia: self,
            client: self.client()?,
            authorization,
            deadline,
        })
    }

    fn client(&self) -> Result<Client, JolokiaError> {
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
        let agent = concat!("cassandra-exporter/", env!("CARGO_PKG_VERSION"));
        let client = client::client(&Settings {
            // Java's HTTP server writes head and body apart and waits for an acknowledgement between them (Nagle), which on a kept
            // connection comes after 40 ms: Linux delays it there, but not on a new one.
            kept: 0,
            tls: tls.clone(),
            ..Settings::new(agent, crate::LONGEST_SCRAPE)
        })?;
        *kept = Some((tls, client.clone()));
        Ok(client)
    }
}

impl Session<'_> {
    /// Sends a bulk, and reads its answer.
    pub(crate) async fn ask<'w>(
        &self,
        bulk: Bulk,
        want: impl Fn(usize) -> Want<'w>,
        take: impl FnMut(usize, Status, Option<Got>),
    ) -> Result<(), JolokiaError> {
        let asked = bulk.len();
        if asked == 0 {
            return Ok(());
        }
        let answer = self.post(bulk.finish()).await?;
        Ok(response::read(&answer, asked, want, take)?)
    }

    async fn post(&self, body: String) -> Result<Vec<u8>, JolokiaError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(JolokiaError::Deadline);
        }
        let access = &self.jolokia.access;
        let mut url = access.url.clone();
        url.set_query(Some(PARAMETERS));
        let mut request = self
            .client
            .request(Method::POST, url)
            .header(header::CONTENT_TYPE, "application/json")
            .timeout(left)
            .body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let failed = |error: client::Error| {
            let error = error.without_url();
            match () {
                () if error.is_timeout() => JolokiaError::Deadline,
                () if error.is_connect() => JolokiaError::Connect {
                    url: shown(&access.url),
                    source: error,
                },
                () => JolokiaError::Broken(error),
            }
        };
        let response = request.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(JolokiaError::Unauthorized),
            StatusCode::FORBIDDEN => return Err(JolokiaError::Forbidden),
            StatusCode::NOT_FOUND => return Err(JolokiaError::NotFound),
            status if status.is_redirection() => {
                return Err(JolokiaError::Redirect(status.as_u16()));
            }
            status => return Err(JolokiaError::Http(status.as_u16())),
        }
        let body = client::body(response, access.max_answer).await;
        body.map_err(|error| match error {
            BodyError::TooLarge(max) => JolokiaError::TooLarge(max),
            BodyError::Read(error) => failed(error),
        })
    }
}

impl SecretFrom {
    fn read(&self) -> Result<String, JolokiaError> {
        match self {
            Self::Value(secret) => Ok(secret.expose().to_owned()),
            Self::File(path) => {
                let text = read_text(path)?;
                let secret = text.trim();
                if secret.is_empty() {
                    return Err(JolokiaError::EmptyFile(path.clone()));
                }
                Ok(secret.to_owned())
            }
        }
    }
}

/// Larger ones are no passwords or certificates.
const MAX_FILE: u64 = 1 << 20;

fn read_text(path: &Path) -> Result<String, JolokiaError> {
    use io::Read as _;
    let read = || {
        let mut text = String::new();
        fs::File::open(path)?
            .take(MAX_FILE)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| JolokiaError::File {
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

/// An address as people write it.
fn shown(url: &Url) -> String {
    // Settings let none pass that has a user.
    url.as_str().trim_end_matches('/').to_owned()
}
