//! Jolokia's HTTP interface: one bulk of reads and searches a call, with a deadline and a cap on the answer.

pub(crate) mod request;
pub(crate) mod response;

use std::time::Instant;

use client::{
    BodyError, Client, Credentials, CredentialsError, FileClient, Method, Settings, StatusCode,
    Url,
    header::{self, HeaderValue},
};

use self::{
    request::{Bulk, PARAMETERS},
    response::{AnswerError, Got, Status, Want},
};

/// How Jolokia is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Ends in a slash: Jolokia 1.7 knows no other.
    pub(crate) url: Url,
    pub(crate) credentials: Credentials,
    /// Bytes of one answer.
    pub(crate) max_answer: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JolokiaError {
    #[error(transparent)]
    Settings(#[from] CredentialsError),
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
            Self::Settings(_) => "settings",
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
    client: FileClient,
}

/// What one scrape calls it with.
pub(crate) struct Session<'a> {
    jolokia: &'a Jolokia,
    client: Client,
    authorization: Option<HeaderValue>,
    deadline: Instant,
}

impl Jolokia {
    /// Reads the files once, so that what is wrong with them is known at the start.
    ///
    /// # Errors
    /// When a file cannot be read or a certificate not be used.
    pub(crate) fn new(access: Access) -> Result<Self, JolokiaError> {
        let agent = concat!("cassandra-exporter/", env!("CARGO_PKG_VERSION"));
        let settings = Settings {
            // Java's HTTP server writes head and body apart and waits for an acknowledgement between them (Nagle), which on a kept
            // connection comes after 40 ms: Linux delays it there, but not on a new one.
            kept: 0,
            ..Settings::new(agent, crate::LONGEST_SCRAPE)
        };
        let client = FileClient::new(access.credentials.clone(), settings)?;
        Ok(Self { access, client })
    }

    /// Reads passwords and certificates anew.
    pub(crate) fn session(&self, deadline: Instant) -> Result<Session<'_>, JolokiaError> {
        let (client, authorization) = self.client.current()?;
        Ok(Session {
            jolokia: self,
            client,
            authorization,
            deadline,
        })
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

/// An address as people write it.
fn shown(url: &Url) -> String {
    // Settings let none pass that has a user.
    url.as_str().trim_end_matches('/').to_owned()
}
