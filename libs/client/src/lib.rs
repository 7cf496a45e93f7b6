//! The outgoing HTTP client: reqwest with rustls and ring, a deadline on every call and a cap on every answer.

use std::{sync::Arc, time::Duration};

pub use reqwest::{Client, Method, Request, RequestBuilder, Response, StatusCode, Url, header};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

/// How a client connects and how long it waits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who calls: `alert-router/0.1.0`.
    pub user_agent: String,
    /// For a connection, TLS included.
    pub connect_timeout: Duration,
    /// For a whole call, the body of the answer included.
    pub timeout: Duration,
    /// How many redirections are followed.
    pub redirects: usize,
    /// Whom to trust and who we are.
    pub tls: Tls,
}

/// Whom to trust and who we are, in PEM text.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates of authorities in place of the system's.
    pub ca: Option<String>,
    /// Our certificate chain and its private key.
    pub identity: Option<(String, String)>,
    /// Trust every certificate; for tests and for those who must.
    pub insecure_skip_verify: bool,
}

/// The key must not print.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish()
    }
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
            tls: Tls::default(),
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A PEM text is none.
    #[error("{0} is not in PEM form, or holds none of what it should")]
    Pem(&'static str),
    /// rustls does not take them.
    #[error("cannot use the certificates")]
    Tls(#[from] rustls::Error),
    /// reqwest does not take the settings.
    #[error("cannot make an HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Makes a client.
///
/// # Errors
/// When a certificate or key cannot be used.
pub fn client(settings: &Settings) -> Result<Client, ClientError> {
    let tls = tls(&settings.tls)?;
    let redirect = match settings.redirects {
        0 => reqwest::redirect::Policy::none(),
        some => reqwest::redirect::Policy::limited(some),
    };
    let client = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .pool_max_idle_per_host(4)
        .redirect(redirect)
        .tls_backend_preconfigured(tls)
        .build()?;
    Ok(client)
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

fn tls(settings: &Tls) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if settings.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAll(signatures(&provider))))
    } else {
        builder.with_root_certificates(roots(settings.ca.as_deref())?)
    };
    Ok(match &settings.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = certificates(chain, "the client certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|_error| ClientError::Pem("the client key"))?;
            builder.with_client_auth_cert(chain, key)?
        }
    })
}

fn roots(ca: Option<&str>) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(text) => {
            for certificate in certificates(text, "the CA file")? {
                roots.add(certificate)?;
            }
        }
        // Machines without a store still reach plain HTTP; HTTPS then fails with the name of the unknown issuer.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn certificates(
    text: &str,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    found
        .ok()
        .filter(|it| !it.is_empty())
        .ok_or(ClientError::Pem(what))
}

fn signatures(provider: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    provider.signature_verification_algorithms
}

/// `insecure_skip_verify`: the signatures of the handshake are checked, whose they are is not.
#[derive(Debug)]
struct TrustAll(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
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
}
