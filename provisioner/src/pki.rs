//! An environment's own certificate authority, and the certificates of its nodes, in `pki/`.
//!
//! The name of the authority is made of its key. So the one who issued a certificate is known by the name alone, and the authority's
//! certificate can be made anew for the same key.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use daemon::Secret;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use x509_parser::{
    extensions::GeneralName,
    pem::parse_x509_pem,
    prelude::{FromDer as _, X509Certificate},
};

use crate::{network::Node, private, private::Private};

/// How long the authority's certificate lasts, and when it is made anew.
const AUTHORITY: SignedDuration = SignedDuration::from_hours(24 * 3650);
const AUTHORITY_RENEWED: SignedDuration = SignedDuration::from_hours(24 * 365);
/// How long a node's certificate lasts.
const NODE: SignedDuration = SignedDuration::from_hours(24 * 180);
/// How far a node's clock may be behind.
const BEHIND: SignedDuration = SignedDuration::from_hours(1);

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
/// The folder of the nodes' certificates.
const NODES: &str = "nodes";

/// The authority.
pub(crate) struct Pki {
    folder: PathBuf,
    certificate: String,
    key: KeyPair,
}

/// A certificate, in PEM form, with its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: Secret,
    /// When the certificate does.
    pub(crate) ends: Timestamp,
}

/// What a certificate of a node is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) ends: Timestamp,
    /// Whether this authority has issued it.
    pub(crate) is_ours: bool,
}

impl Pki {
    /// Opens the authority in a folder, or makes one there.
    pub(crate) fn open(folder: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let files = Private::open(folder)?;
        private::make_folder(&folder.join(NODES))?;
        let certificate = files.read(CERTIFICATE)?;
        let key = match files.read(KEY)? {
            Some(text) => key(&files.path(KEY), &text)?,
            None if certificate.is_some() => bail!(
                "{} is missing, without which no certificate can be made: bring it back from a backup, or remove {} to begin with a new authority",
                files.path(KEY).display(),
                files.path(CERTIFICATE).display()
            ),
            None => {
                let key = KeyPair::generate().context("cannot make a key")?;
                files.write(KEY, &key.serialize_pem())?;
                key
            }
        };
        let certificate = match certificate {
            Some(text) if authority_holds(&files.path(CERTIFICATE), &text, &key, now)? => text,
            // Missing, or old: a new one of the same key vouches for what the old one has signed.
            _ => {
                let made = authority(&key, now).and_then(|it| it.self_signed(&key));
                let text = made
                    .context("cannot make the authority's certificate")?
                    .pem();
                files.write(CERTIFICATE, &text)?;
                text
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            certificate,
            key,
        })
    }

    /// The authority's certificate, in PEM form: whom the nodes trust.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Looks at a certificate in PEM form; None when it is none.
    pub(crate) fn judge(&self, certificate: &str) -> Option<Judged> {
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&pem.contents).ok()?;
        Some(Judged {
            ends: validity(&parsed).1,
            is_ours: self.has_issued(&parsed),
        })
    }

    fn has_issued(&self, certificate: &X509Certificate<'_>) -> bool {
        let mut issuers = certificate.issuer().iter_common_name();
        let issuer = issuers.next().and_then(|it| it.as_str().ok());
        issuer == Some(&name_of(&self.key))
    }

    /// The certificate of a node, made anew when it is time, or when it is called by another name too.
    pub(crate) fn node(
        &self,
        node: &Node,
        also: Option<&str>,
        now: Timestamp,
    ) -> anyhow::Result<Identity> {
        let files = Private::open(&self.folder)?;
        let names = names(node, also);
        let (crt, pem) = (
            format!("{NODES}/{}.crt", node.name),
            format!("{NODES}/{}.key", node.name),
        );
        if let (Some(certificate), Some(key)) = (files.read(&crt)?, files.read(&pem)?)
            && let Some(ends) = self.node_holds(&certificate, &key, &names, now)
        {
            return Ok(Identity {
                certificate,
                key: Secret::new(key),
                ends,
            });
        }
        let identity = self
            .issue(node, names, now)
            .with_context(|| format!("cannot make the certificate of {}", node.name))?;
        // A crash between the two leaves a key that is not the certificate's, which `node_holds` notices.
        files.write(&pem, identity.key.expose())?;
        files.write(&crt, &identity.certificate)?;
        Ok(identity)
    }

    /// Until when it does. What cannot be read does not: it is ours to make anew.
    fn node_holds(
        &self,
        certificate: &str,
        key: &str,
        names: &[String],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let key = KeyPair::from_pem(key).ok()?;
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&pem.contents).ok()?;
        let (begin, end) = validity(&parsed);
        let (life, left) = (end.duration_since(begin), end.duration_since(now));
        let holds = begin <= now
            && left >= life / 3
            && self.has_issued(&parsed)
            && is_of(&parsed, &key)
            && names_in(&parsed) == names;
        holds.then_some(end)
    }

    fn issue(&self, node: &Node, names: Vec<String>, now: Timestamp) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.try_into()?),
            });
        }
        params.distinguished_name = named(&node.name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        last(&mut params, now, NODE)?;
        let issuer = Issuer::new(authority(&self.key, now)?, &self.key);
        let made = params.signed_by(&key, &issuer)?;
        let (_, parsed) = X509Certificate::from_der(made.der())?;
        Ok(Identity {
            certificate: made.pem(),
            key: Secret::new(key.serialize_pem()),
            ends: validity(&parsed).1,
        })
    }
}

/// What a node is called by those who connect to it, each once.
fn names(node: &Node, also: Option<&str>) -> Vec<String> {
    let all = [
        &node.name,
        &node.address,
        &node.private_address,
        "127.0.0.1",
        "localhost",
        also.unwrap_or("localhost"),
    ];
    // An address has one form in a certificate and maybe another in the hosts file.
    let all = all.map(|it| match it.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => it.to_owned(),
    });
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn names_in(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            four.or(sixteen).ok().map(|it| it.to_string())
        }
        _ => None,
    });
    names.collect()
}

fn key(path: &Path, text: &str) -> anyhow::Result<KeyPair> {
    KeyPair::from_pem(text)
        .ok()
        .with_context(|| format!("{} holds no private key in PEM form", path.display()))
}

/// Whether the authority's certificate lasts for a while yet. One that is not the key's is an error: somebody's files were mixed.
fn authority_holds(path: &Path, text: &str, key: &KeyPair, now: Timestamp) -> anyhow::Result<bool> {
    let no = || format!("{} holds no certificate in PEM form", path.display());
    let (_, pem) = parse_x509_pem(text.as_bytes()).ok().with_context(no)?;
    let (_, parsed) = X509Certificate::from_der(&pem.contents)
        .ok()
        .with_context(no)?;
    if !is_of(&parsed, key) {
        bail!(
            "{} is not the certificate of {}: bring the two of one authority back from a backup, or remove both to begin with a new one",
            path.display(),
            path.with_file_name(KEY).display()
        );
    }
    let (begin, end) = validity(&parsed);
    Ok(begin <= now && end.duration_since(now) >= AUTHORITY_RENEWED)
}

fn authority(key: &KeyPair, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(&name_of(key));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    last(&mut params, now, AUTHORITY)?;
    Ok(params)
}

fn name_of(key: &KeyPair) -> String {
    let hash = digest(&SHA256, key.public_key_raw());
    let start = hash.as_ref().iter().take(8);
    let start: String = start.map(|it| format!("{it:02x}")).collect();
    format!("scalar-dl-monitoring {start}")
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Sets from when to when a certificate holds.
fn last(
    params: &mut CertificateParams,
    now: Timestamp,
    life: SignedDuration,
) -> Result<(), rcgen::Error> {
    let at = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).map_err(|_error| rcgen::Error::Time)?;
        Ok(date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds))
    };
    params.not_before = at(now - BEHIND)?;
    params.not_after = at(now + life)?;
    Ok(())
}

/// From when until when a certificate holds.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    let at = |seconds: i64, else_: Timestamp| Timestamp::from_second(seconds).unwrap_or(else_);
    // A time beyond what can be said has not begun, or is over.
    (
        at(validity.not_before.timestamp(), Timestamp::MAX),
        at(validity.not_after.timestamp(), Timestamp::MIN),
    )
}

fn is_of(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    *certificate.public_key().subject_public_key.data == *key.public_key_raw()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

    use jiff::{SignedDuration, Timestamp};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::Pki;
    use crate::network::Node;

    fn node(name: &str, address: &str) -> Node {
        Node {
            address: "node.example".to_owned(),
            private_address: address.to_owned(),
            ..Node::named(name)
        }
    }

    fn at(days: i64) -> Timestamp {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        start + SignedDuration::from_hours(24 * days)
    }

    fn open(folder: &Path, days: i64) -> Pki {
        Pki::open(folder, at(days)).unwrap()
    }

    #[test]
    fn made_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("pki");
        let node = node("c-1", "10.0.0.1");
        let (first, identity) = {
            let pki = open(&folder, 0);
            let identity = pki.node(&node, None, at(0)).unwrap();
            (pki.certificate().to_owned(), identity)
        };
        let pki = open(&folder, 119);
        assert_eq!(pki.certificate(), first);
        assert_eq!(pki.node(&node, None, at(119)).unwrap(), identity);
        let judged = pki.judge(&identity.certificate).unwrap();
        assert!(judged.is_ours && judged.ends == at(180));
        let stranger = open(&parent.path().join("other"), 0);
        assert!(!stranger.judge(&identity.certificate).unwrap().is_ours);
        assert_eq!(pki.judge("none"), None);
        for (path, expect) in [
            ("", 0o700),
            ("ca.crt", 0o600),
            ("ca.key", 0o600),
            ("nodes", 0o700),
            ("nodes/c-1.crt", 0o600),
            ("nodes/c-1.key", 0o600),
        ] {
            let meta = fs::metadata(folder.join(path)).unwrap();
            assert_eq!(meta.permissions().mode() & 0o777, expect, "{path}");
        }
        let shown = format!("{identity:?}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }

    #[test]
    fn made_anew_when_it_must_be() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("pki");
        let pki = open(&folder, 0);
        let c = node("c", "10.0.0.1");
        let path = |name: &str| folder.join("nodes").join(name);
        let mut last = pki.node(&c, None, at(0)).unwrap();
        let mut check = |pki: &Pki, node: &Node, days: i64, what: &str| {
            let next = pki.node(node, None, at(days)).unwrap();
            assert_ne!(next, last, "{what}");
            assert_eq!(pki.node(node, None, at(days)).unwrap(), next, "{what}");
            last = next;
        };
        check(&pki, &c, 121, "less than a third of its life is left");
        check(&pki, &c, 100, "it has not begun");
        let moved = node("c", "10.0.0.2");
        check(&pki, &moved, 100, "another address");
        fs::remove_file(path("c.key")).unwrap();
        check(&pki, &moved, 100, "no key");
        fs::remove_file(path("c.crt")).unwrap();
        check(&pki, &moved, 100, "no certificate");
        fs::write(path("c.crt"), "half a certifi").unwrap();
        check(&pki, &moved, 100, "a broken certificate");
        fs::write(path("c.key"), "").unwrap();
        check(&pki, &moved, 100, "a broken key");
        let other = pki.node(&node("d", "10.0.0.3"), None, at(100)).unwrap();
        fs::write(path("c.key"), other.key.expose()).unwrap();
        check(&pki, &moved, 100, "another's key, as after a crash");
        fs::remove_file(folder.join("ca.key")).unwrap();
        fs::remove_file(folder.join("ca.crt")).unwrap();
        check(&open(&folder, 100), &moved, 100, "another authority");
    }

    #[test]
    fn addresses_of_other_forms() {
        let parent = tempfile::tempdir().unwrap();
        let pki = open(parent.path(), 0);
        let node = node("c", "FE80:0::1");
        let identity = pki.node(&node, None, at(0)).unwrap();
        assert_eq!(pki.node(&node, None, at(0)).unwrap(), identity);
    }

    #[test]
    fn the_authority() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("pki");
        let first = open(&folder, 0);
        let node = node("c", "10.0.0.1");
        // A crash after the key.
        fs::remove_file(folder.join("ca.crt")).unwrap();
        let second = open(&folder, 0);
        let identity = first.node(&node, None, at(0)).unwrap();
        assert_eq!(second.node(&node, None, at(0)).unwrap(), identity);
        // A year before its end.
        assert_eq!(open(&folder, 3284).certificate(), second.certificate());
        let third = open(&folder, 3286);
        assert_ne!(third.certificate(), second.certificate());
        assert_eq!(third.node(&node, None, at(0)).unwrap(), identity);

        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let (key, certificate) = (text("ca.key"), text("ca.crt"));
        let broken = |what: &str| {
            let error = Pki::open(&folder, at(0)).err().unwrap().to_string();
            let error = error.replace(&folder.display().to_string(), "pki");
            assert!(error.starts_with(what), "{error}");
        };
        fs::remove_file(folder.join("ca.key")).unwrap();
        broken("pki/ca.key is missing");
        fs::write(folder.join("ca.key"), "x").unwrap();
        broken("pki/ca.key holds no private key");
        fs::write(folder.join("ca.key"), identity.key.expose()).unwrap();
        broken("pki/ca.crt is not the certificate of pki/ca.key");
        fs::write(folder.join("ca.key"), key).unwrap();
        fs::write(folder.join("ca.crt"), "x").unwrap();
        broken("pki/ca.crt holds no certificate");
        fs::write(folder.join("ca.crt"), certificate).unwrap();
        open(&folder, 0);
    }

    #[test]
    fn many_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let pki = &open(parent.path(), 0);
        let node = &node("c", "10.0.0.1");
        let found = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| pki.node(node, None, at(0)).unwrap()))
                .collect();
            let found = threads.into_iter().map(|it| it.join().unwrap());
            found.collect::<Vec<_>>()
        });
        assert!(found.iter().all(|it| *it == found[0]));
    }

    /// A server with a node's certificate, and clients that trust the authority, by each of the node's names and by another.
    #[tokio::test]
    async fn clients_trust_it() {
        let parent = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let pki = Pki::open(parent.path(), now).unwrap();
        let identity = pki.node(&node("c", "::1"), None, now).unwrap();
        let pair = (identity.certificate, identity.key.expose().to_owned());
        let server = acceptor(&pair.0, &pair.1, pki.certificate());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = server.accept(stream).await else {
                    continue;
                };
                let mut head = [0; 1024];
                if stream.read(&mut head).await.is_ok() {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    drop(stream.write_all(answer).await);
                }
            }
        });
        for (name, expect) in [
            ("c", true),
            ("node.example", true),
            ("::1", true),
            ("127.0.0.1", true),
            ("localhost", true),
            ("d", false),
        ] {
            let mut settings = client::Settings::new("test", Duration::from_secs(10));
            settings.tls.ca = Some(pki.certificate().to_owned());
            settings.tls.identity = Some(pair.clone());
            settings.tls.server_name = Some(name.to_owned());
            let client = client::client(&settings).unwrap();
            let url = format!("https://127.0.0.1:{port}/");
            let answer = client.get(url).send().await;
            assert_eq!(answer.is_ok(), expect, "{name}: {answer:?}");
        }
    }

    /// A server that wants certificates of the authority from its clients, too.
    fn acceptor(certificate: &str, key: &str, ca: &str) -> tokio_rustls::TlsAcceptor {
        use rustls::{
            RootCertStore, ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
            server::WebPkiClientVerifier,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let parsed = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(parsed(ca)).unwrap();
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                vec![parsed(certificate)],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }
}
