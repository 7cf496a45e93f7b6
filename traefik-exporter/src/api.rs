//! Traefik's HTTP API: GETs with a deadline and a cap on the answer.

pub(crate) mod facts;
pub(crate) mod rawdata;

use std::time::Instant;

use client::{
    Client, Credentials, CredentialsError, FileClient, Settings, StatusCode, Url,
    header::{self, HeaderValue},
};

/// How the API is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Without a slash at the end of its path.
    pub(crate) url: Url,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) credentials: Credentials,
    /// Bytes of one answer.
    pub(crate) max_answer: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Settings(#[from] CredentialsError),
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
            Self::Settings(_) => "settings",
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
    client: FileClient,
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
        let agent = concat!("traefik-exporter/", env!("CARGO_PKG_VERSION"));
        let settings = Settings {
            kept: CONNECTIONS,
            ..Settings::new(agent, crate::LONGEST_SCRAPE)
        };
        let client = FileClient::new(access.credentials.clone(), settings)?;
        Ok(Self { access, client })
    }

    /// Reads passwords and certificates anew.
    pub(crate) fn session(&self, deadline: Instant) -> Result<Session<'_>, ApiError> {
        let (client, authorization) = self.client.current()?;
        Ok(Session {
            api: self,
            client,
            authorization,
            deadline,
        })
    }
}

impl Session<'_> {
    /// The body of the answer to `GET path`.
    pub(crate) async fn get(&self, path: &'static str) -> Result<Vec<u8>, ApiError> {
        self.get_into(path, Vec::new()).await
    }

    /// The same, in memory that there is already: to take megabytes from the system costs as much as to read them.
    pub(crate) async fn get_into(
        &self,
        path: &'static str,
        mut body: Vec<u8>,
    ) -> Result<Vec<u8>, ApiError> {
        let max = self.api.access.max_answer;
        body.clear();
        let mut response = self.open(path).await?;
        let failed = |error| self.failed(path, error);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > max {
                return Err(ApiError::TooLarge(path, max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
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
