//! The outgoing HTTP client: reqwest with rustls and ring, a deadline on every call and a cap on every answer.

mod credentials;
mod oauth2;
mod proxy;
mod tls;

use std::time::Duration;

pub use reqwest::{
    Client, Error, Method, Request, RequestBuilder, Response, StatusCode, Url, header,
};

pub use self::{
    credentials::{Credentials, CredentialsError, FileClient, Login, SecretFrom},
    oauth2::{Assertion, Grant, Token, TokenError, TokenRequest},
    proxy::Proxy,
    tls::{Observed, Observer, Tls, TlsVersion, tls},
};

/// Connections to one host that are kept for the next call, when nothing else is said.
const KEPT: usize = 64;

/// How a client connects and how long it waits. Clients of equal settings are as good as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who calls: `alert-router/0.1.0`.
    pub user_agent: String,
    /// For a connection, TLS included.
    pub connect_timeout: Duration,
    /// For a whole call, the body of the answer included.
    pub timeout: Duration,
    /// How many redirections are followed.
    pub redirects: usize,
    /// How many connections to one host are kept for the next call.
    pub kept: usize,
    /// Whom to trust and who we are.
    pub tls: Tls,
    /// The way there; none is asked of the environment.
    pub proxy: Proxy,
}

impl Settings {
    /// Five seconds to connect, `timeout` for all of it, the system's authorities, no redirection.
    #[must_use]
    pub fn new(user_agent: impl Into<String>, timeout: Duration) -> Self {
        Self {
            user_agent: user_agent.into(),
            connect_timeout: Duration::from_secs(5).min(timeout),
            timeout,
            redirects: 0,
            kept: KEPT,
            tls: Tls::default(),
            proxy: Proxy::default(),
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A PEM text is none.
    #[error("{0} is not in PEM form, or holds none of what it should")]
    Pem(&'static str),
    /// A name in the settings is none.
    #[error("{0:?} is no name of a server")]
    ServerName(String),
    /// The oldest and the newest version leave none that is safe.
    #[error("max_version must be TLS 1.2 or newer, and no older than min_version")]
    Versions,
    /// The address of a proxy is none. It may hold a password, so it is not shown.
    #[error("the proxy's URL is none of http, https, socks5 or socks5h")]
    Proxy,
    /// A header for the proxy is none.
    #[error("{0:?} is no header for a proxy")]
    ProxyHeader(String),
    /// rustls does not take them.
    #[error("cannot use the certificates")]
    Tls(#[from] rustls::Error),
    /// reqwest does not take the settings.
    #[error("cannot make an HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Makes a client. The system's authorities are read when a server first shows a certificate.
///
/// # Errors
/// When a certificate, a key or a proxy's address cannot be used.
pub fn client(settings: &Settings) -> Result<Client, ClientError> {
    let redirect = match settings.redirects {
        0 => reqwest::redirect::Policy::none(),
        some => reqwest::redirect::Policy::limited(some),
    };
    let mut builder = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .pool_max_idle_per_host(settings.kept)
        .redirect(redirect)
        .tls_backend_preconfigured(tls(&settings.tls)?)
        .no_proxy();
    if let Some(proxy) = settings.proxy.check()? {
        builder = builder.proxy(proxy);
    }
    Ok(builder.build()?)
}

/// Reads a body of at most `max` bytes. The client's timeout bounds the wait.
///
/// # Errors
/// When the body breaks off, or is larger.
pub async fn body(mut response: Response, max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max {
            return Err(BodyError::TooLarge(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than allowed.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// It broke off, or did not come in time.
    #[error("cannot read the answer")]
    Read(#[from] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ClientError, Settings, client};

    #[test]
    fn certificates_are_checked() {
        let mut settings = Settings::new("test", Duration::from_secs(1));
        client(&settings).unwrap();
        settings.tls.ca = Some("not PEM".to_owned());
        assert!(matches!(
            client(&settings),
            Err(ClientError::Pem("the CA file"))
        ));
        settings.tls.ca = None;
        settings.tls.identity = Some(("x".to_owned(), "secret-key".to_owned()));
        let error = client(&settings).unwrap_err();
        assert!(matches!(error, ClientError::Pem("the client certificate")));
        assert!(!format!("{error:?} {settings:?}").contains("secret-key"));
    }

    #[test]
    fn names_versions_and_proxies_are_checked() {
        let settings = || Settings::new("test", Duration::from_secs(1));
        let mut wrong = settings();
        wrong.tls.server_name = Some("a b".to_owned());
        assert!(matches!(client(&wrong), Err(ClientError::ServerName(_))));
        let mut wrong = settings();
        wrong.tls.max_version = Some(super::TlsVersion::Tls11);
        assert!(matches!(client(&wrong), Err(ClientError::Versions)));
        let mut wrong = settings();
        wrong.proxy.http = Some("ftp://user:secret@x".to_owned());
        let error = client(&wrong).unwrap_err();
        assert!(matches!(error, ClientError::Proxy));
        assert!(!format!("{error:?} {wrong:?}").contains("secret"));
    }
}
