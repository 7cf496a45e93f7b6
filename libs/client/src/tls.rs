//! TLS towards others: whom to trust, who we are, and the system's authorities, read when the first certificate is seen.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::{TLS12, TLS13},
};

use crate::ClientError;

/// Whom to trust and who we are, in PEM text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of authorities in place of the system's.
    pub ca: Option<String>,
    /// Our certificate chain and its private key.
    pub identity: Option<(String, String)>,
    /// The name that the server's certificate must have, when it is not the one of the URL.
    pub server_name: Option<String>,
    /// Trust every certificate; for tests and for those who must.
    pub insecure_skip_verify: bool,
    /// The oldest version to speak. Ours is 1.2: older ones are broken.
    pub min_version: Option<TlsVersion>,
    /// The newest version to speak.
    pub max_version: Option<TlsVersion>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are numbers")]
pub enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// The key must not print.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish_non_exhaustive()
    }
}

/// What rustls makes of the settings, for who speaks something else than HTTP.
///
/// # Errors
/// When a certificate or key cannot be used.
pub fn tls(settings: &Tls) -> Result<ClientConfig, ClientError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(settings)?)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier(settings)?));
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

/// Connections that are made to see what a server shows: any certificate is taken, and what it is worth is kept.
#[derive(Debug)]
pub struct Observer {
    verifier: Verifier,
}

/// What a server showed.
#[derive(Debug)]
pub struct Observed {
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// Whether a client that trusts whom the settings name would have taken it for the name that was called.
    pub verdict: Result<(), rustls::Error>,
}

impl Observer {
    /// Whom to trust is in the settings; they must not name another server, or trust all.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub fn new(settings: &Tls) -> Result<Self, ClientError> {
        let verifier = verifier(settings)?;
        Ok(Self { verifier })
    }

    /// For one connection, with the protocols that are offered, and the place where that stands which the server shows.
    ///
    /// # Errors
    /// Never for TLS 1.2 and 1.3, which are what ring has.
    pub fn connection(
        &self,
        protocols: &[&[u8]],
    ) -> Result<(ClientConfig, Arc<OnceLock<Observed>>), ClientError> {
        let place = Arc::new(OnceLock::new());
        let watching = Verifier {
            observed: Some(Arc::clone(&place)),
            ..self.verifier.clone()
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(watching))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        // Each is to show its certificate.
        config.resumption = Resumption::disabled();
        Ok((config, place))
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(provider)
}

fn versions(settings: &Tls) -> Result<Vec<&'static SupportedProtocolVersion>, ClientError> {
    let min = settings.min_version.unwrap_or(TlsVersion::Tls12);
    let max = settings.max_version.unwrap_or(TlsVersion::Tls13);
    match (min, max) {
        (TlsVersion::Tls13, TlsVersion::Tls13) => Ok(vec![&TLS13]),
        (TlsVersion::Tls10 | TlsVersion::Tls11 | TlsVersion::Tls12, TlsVersion::Tls13) => {
            Ok(vec![&TLS13, &TLS12])
        }
        (TlsVersion::Tls10 | TlsVersion::Tls11 | TlsVersion::Tls12, TlsVersion::Tls12) => {
            Ok(vec![&TLS12])
        }
        (_, TlsVersion::Tls10 | TlsVersion::Tls11) | (TlsVersion::Tls13, TlsVersion::Tls12) => {
            Err(ClientError::Versions)
        }
    }
}

fn verifier(settings: &Tls) -> Result<Verifier, ClientError> {
    let trust = if settings.insecure_skip_verify {
        Trust::All
    } else if let Some(text) = &settings.ca {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(text, "the CA file")? {
            roots.add(certificate)?;
        }
        Trust::These(web_pki(roots).ok_or(ClientError::Pem("the CA file"))?)
    } else {
        Trust::System
    };
    let name = settings.server_name.as_ref().map(|it| {
        ServerName::try_from(it.clone()).map_err(|_error| ClientError::ServerName(it.clone()))
    });
    Ok(Verifier {
        trust,
        name: name.transpose()?,
        algorithms: provider().signature_verification_algorithms,
        observed: None,
    })
}

fn web_pki(roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    builder.build().ok()
}

/// The system's authorities; read once. A machine without a store still reaches plain HTTP.
fn system() -> Option<Arc<WebPkiServerVerifier>> {
    static SYSTEM: OnceLock<Option<Arc<WebPkiServerVerifier>>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        web_pki(roots)
    });
    system.clone()
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

/// Who decides on a server's certificate.
#[derive(Debug, Clone)]
struct Verifier {
    trust: Trust,
    /// In the place of the name that was called.
    name: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Where a certificate is kept with what is thought of it, in place of being refused.
    observed: Option<Arc<OnceLock<Observed>>>,
}

#[derive(Debug, Clone)]
enum Trust {
    /// `insecure_skip_verify`: the signatures of the handshake are checked, whose they are is not.
    All,
    These(Arc<WebPkiServerVerifier>),
    System,
}

impl Verifier {
    fn verdict(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = match &self.trust {
            Trust::All => return Ok(ServerCertVerified::assertion()),
            Trust::These(verifier) => Arc::clone(verifier),
            Trust::System => system().ok_or(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer,
            ))?,
        };
        let name = self.name.as_ref().unwrap_or(server_name);
        verifier.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verdict(end_entity, intermediates, server_name, ocsp_response, now);
        let Some(place) = &self.observed else {
            return verdict;
        };
        // A connection has one certificate: the first is the one.
        let _taken = place.set(Observed {
            certificate: end_entity.to_vec(),
            verdict: verdict.map(drop),
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
