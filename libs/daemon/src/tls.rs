//! `tls_server_config`: certificates, client certificates, versions and suites, with rustls and ring.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};
use serde::Deserialize;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::{Secret, web_config::read_capped};

/// The file's shape.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFile {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    cert: Option<String>,
    key: Option<Secret>,
    client_auth_type: Option<String>,
    client_ca_file: Option<PathBuf>,
    client_ca: Option<String>,
    #[serde(default)]
    client_allowed_sans: Vec<String>,
    min_version: Option<String>,
    max_version: Option<String>,
    #[serde(default)]
    cipher_suites: Vec<String>,
    #[serde(default)]
    curve_preferences: Vec<String>,
    prefer_server_cipher_suites: Option<bool>,
}

/// How connections are made safe.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    /// One of these must be a subject alternative name of the client's certificate, when there are any.
    pub(crate) allowed_sans: Vec<String>,
}

impl TlsFile {
    /// The files that it names.
    pub(crate) fn files(&self, folder: &Path) -> Vec<PathBuf> {
        [&self.cert_file, &self.key_file, &self.client_ca_file]
            .into_iter()
            .flatten()
            .filter(|it| !it.as_os_str().is_empty())
            .map(|it| folder.join(it))
            .collect()
    }

    /// None when there is no certificate at all: then there is no TLS, as in exporter-toolkit.
    pub(crate) fn check(self, folder: &Path) -> Result<Option<Tls>, String> {
        let cert = source(folder, "cert", self.cert_file, self.cert.map(Secret::new))?;
        let key = source(folder, "key", self.key_file, self.key)?;
        let ca = source(
            folder,
            "client_ca",
            self.client_ca_file,
            self.client_ca.map(Secret::new),
        )?;
        let auth = self.client_auth_type.unwrap_or_default();
        let (cert, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) if auth.is_empty() && ca.is_none() => return Ok(None),
            (None, None) => {
                return Err("tls_server_config: client certificates are asked for without cert_file and key_file".to_owned());
            }
            (Some(it), None) => {
                return Err(format!(
                    "tls_server_config: {} is given without key_file or key",
                    it.name
                ));
            }
            (None, Some(it)) => {
                return Err(format!(
                    "tls_server_config: {} is given without cert_file or cert",
                    it.name
                ));
            }
        };
        let chain = certificates(&cert)?;
        let private =
            PrivateKeyDer::from_pem_slice(key.text()?.expose().as_bytes()).map_err(|_error| {
                format!(
                    "tls_server_config.{}: it has no private key in PEM form",
                    key.name
                )
            })?;
        let provider = Arc::new(provider(&self.cipher_suites, &self.curve_preferences)?);
        let versions = versions(self.min_version.as_deref(), self.max_version.as_deref())?;
        let roots = ca.as_ref().map(roots).transpose()?;
        if !self.client_allowed_sans.is_empty() && auth != "RequireAndVerifyClientCert" {
            return Err("tls_server_config.client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert".to_owned());
        }
        let verifier = verifier(&auth, roots.as_ref(), &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|it| format!("tls_server_config: {it}"))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, private)
            .map_err(|it| format!("tls_server_config: certificate and key do not fit: {it}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order = self.prefer_server_cipher_suites.unwrap_or(true);
        Ok(Some(Tls {
            config: Arc::new(config),
            allowed_sans: self.client_allowed_sans,
        }))
    }
}

/// Where PEM text comes from.
struct Source {
    name: String,
    file: Option<PathBuf>,
    inline: Option<Secret>,
}

impl Source {
    fn text(&self) -> Result<Secret, String> {
        match (&self.file, &self.inline) {
            (Some(path), _) => read_capped(path).map(Secret::new).map_err(|it: io::Error| {
                format!(
                    "tls_server_config.{}: cannot read {}: {it}",
                    self.name,
                    path.display()
                )
            }),
            (None, inline) => Ok(inline.clone().unwrap_or_else(|| Secret::new(String::new()))),
        }
    }
}

fn source(
    folder: &Path,
    key: &str,
    file: Option<PathBuf>,
    inline: Option<Secret>,
) -> Result<Option<Source>, String> {
    let file = file.filter(|it| !it.as_os_str().is_empty());
    let inline = inline.filter(|it| !it.expose().is_empty());
    let name = match (&file, &inline) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(format!(
                "tls_server_config: {key}_file and {key} exclude each other"
            ));
        }
        (Some(_), None) => format!("{key}_file"),
        (None, Some(_)) => key.to_owned(),
    };
    Ok(Some(Source {
        name,
        file: file.map(|it| folder.join(it)),
        inline,
    }))
}

fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = source.text()?;
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(text.expose().as_bytes()).collect();
    found.ok().filter(|it| !it.is_empty()).ok_or_else(|| {
        format!(
            "tls_server_config.{}: it has no certificate in PEM form",
            source.name
        )
    })
}

fn roots(source: &Source) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(source)? {
        roots
            .add(certificate)
            .map_err(|it| format!("tls_server_config.{}: {it}", source.name))?;
    }
    Ok(roots)
}

/// The kinds of Go's `tls.ClientAuthType`.
fn verifier(
    auth: &str,
    roots: Option<&RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let any = |mandatory| -> Arc<dyn ClientCertVerifier> {
        Arc::new(AnyCertificate {
            mandatory,
            algorithms: provider.signature_verification_algorithms,
        })
    };
    let verified = |optional: bool| {
        let roots = roots.cloned().ok_or_else(|| {
            format!("tls_server_config: client_auth_type: {auth} needs client_ca_file or client_ca")
        })?;
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = if optional {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        let built = builder.build();
        built.map_err(|it| format!("tls_server_config.client_ca: {it}"))
    };
    match auth {
        "" | "NoClientCert" if roots.is_some() => Err(
            "tls_server_config: client_ca is given, so client_auth_type must be VerifyClientCertIfGiven or RequireAndVerifyClientCert".to_owned(),
        ),
        "" | "NoClientCert" => Ok(WebPkiClientVerifier::no_client_auth()),
        "RequestClientCert" => Ok(any(false)),
        "RequireAnyClientCert" | "RequireClientCert" => Ok(any(true)),
        "VerifyClientCertIfGiven" => verified(true),
        "RequireAndVerifyClientCert" => verified(false),
        other => Err(format!(
            "tls_server_config.client_auth_type: {other:?} is none of NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"
        )),
    }
}

/// rustls has TLS 1.2 and 1.3; asking for less than 1.2 as the minimum therefore means 1.2.
fn versions(
    min: Option<&str>,
    max: Option<&str>,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let number = |key: &str, name: &str| match name {
        "TLS10" => Ok(10),
        "TLS11" => Ok(11),
        "TLS12" => Ok(12),
        "TLS13" => Ok(13),
        _ => Err(format!(
            "tls_server_config.{key}: {name:?} is none of TLS10, TLS11, TLS12, TLS13"
        )),
    };
    let min = min.map_or(Ok(12), |it| number("min_version", it))?;
    let max = max.map_or(Ok(13), |it| number("max_version", it))?;
    let all = [(12, &TLS12), (13, &TLS13)];
    let chosen: Vec<_> = all
        .into_iter()
        .filter(|(number, _)| (min..=max).contains(number))
        .map(|(_, version)| version)
        .collect();
    if chosen.is_empty() {
        return Err(
            "tls_server_config: min_version and max_version leave neither TLS12 nor TLS13"
                .to_owned(),
        );
    }
    Ok(chosen)
}

fn provider(suites: &[String], curves: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = rustls::crypto::ring::default_provider();
    if !suites.is_empty() {
        // As in Go, the list chooses among the suites of TLS 1.2 only.
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            suite.tls13().is_some()
                || suites
                    .iter()
                    .any(|it| *it == name || format!("{it}_SHA256") == name)
        });
        let known = |it: &&String| {
            it.starts_with("TLS_")
                && !it.contains(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        };
        if let Some(odd) = suites.iter().find(|it| !known(it)) {
            return Err(format!(
                "tls_server_config.cipher_suites: {odd:?} is no suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
            ));
        }
        if provider.cipher_suites.iter().all(|it| it.tls13().is_some()) {
            tracing::warn!(
                "none of tls_server_config.cipher_suites is offered for TLS 1.2; TLS 1.3 remains"
            );
        }
    }
    if !curves.is_empty() {
        for curve in curves {
            let known = [
                "CurveP256",
                "CurveP384",
                "CurveP521",
                "X25519",
                "X25519MLKEM768",
            ];
            if !known.contains(&curve.as_str()) {
                return Err(format!(
                    "tls_server_config.curve_preferences: {curve:?} is none of {}",
                    known.join(", ")
                ));
            }
        }
        provider.kx_groups.retain(|group| {
            let name = match group.name() {
                rustls::NamedGroup::secp256r1 => "CurveP256",
                rustls::NamedGroup::secp384r1 => "CurveP384",
                rustls::NamedGroup::X25519 => "X25519",
                _ => "",
            };
            curves.iter().any(|it| it == name)
        });
        if provider.kx_groups.is_empty() {
            return Err(
                "tls_server_config.curve_preferences leaves none of CurveP256, CurveP384, X25519"
                    .to_owned(),
            );
        }
    }
    Ok(provider)
}

/// Whether the client's certificate has one of the names.
pub(crate) fn allowed(names: &[String], certificate: Option<&CertificateDer<'_>>) -> bool {
    if names.is_empty() {
        return true;
    }
    let Some(Ok((_, certificate))) = certificate.map(|it| X509Certificate::from_der(it)) else {
        return false;
    };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return false;
    };
    extension.value.general_names.iter().any(|name| {
        let text = match name {
            GeneralName::DNSName(it) | GeneralName::RFC822Name(it) | GeneralName::URI(it) => {
                (*it).to_owned()
            }
            GeneralName::IPAddress(bytes) => {
                match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                    (Ok(four), _) => std::net::IpAddr::from(four).to_string(),
                    (_, Ok(sixteen)) => std::net::IpAddr::from(sixteen).to_string(),
                    _ => return false,
                }
            }
            _ => return false,
        };
        names.contains(&text)
    })
}

/// Takes any certificate whose key the client has: `RequestClientCert` and `RequireAnyClientCert` do not look at who signed it.
#[derive(Debug)]
struct AnyCertificate {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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

#[cfg(test)]
mod tests {
    use super::{provider, versions};

    #[test]
    fn which_versions() {
        for (min, max, expect) in [
            (None, None, Ok(2)),
            (Some("TLS10"), None, Ok(2)),
            (Some("TLS13"), None, Ok(1)),
            (None, Some("TLS12"), Ok(1)),
            (
                None,
                Some("TLS11"),
                Err("tls_server_config: min_version and max_version leave neither TLS12 nor TLS13"),
            ),
            (
                Some("1.2"),
                None,
                Err("tls_server_config.min_version: \"1.2\" is none of TLS10, TLS11, TLS12, TLS13"),
            ),
        ] {
            let found = versions(min, max).map(|it| it.len());
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expect.as_ref().map_err(|it| *it)
            );
        }
    }

    #[test]
    fn which_suites() {
        let names = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let all = provider(&[], &[]).unwrap().cipher_suites.len();
        let some = provider(&names(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]), &[]).unwrap();
        assert_eq!(
            some.cipher_suites.len(),
            4,
            "one of TLS 1.2, three of TLS 1.3, of {all}"
        );
        assert!(provider(&names(&["AES128"]), &[]).is_err());
        assert_eq!(
            provider(&[], &names(&["X25519"])).unwrap().kx_groups.len(),
            1
        );
        assert!(provider(&[], &names(&["CurveP521"])).is_err());
        assert!(provider(&[], &names(&["P256"])).is_err());
    }
}
