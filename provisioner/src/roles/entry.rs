//! The certificate that the entry point shows to clients, which is the user's own.

use std::path::Path;

use anyhow::{Context as _, bail};
use daemon::Secret;
use jiff::Timestamp;
use rustls::{
    Error, InconsistentKeys,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::materials::text;
use crate::{config::Config, network::Role, pki::validity};

const CERTIFICATE: &str = "traefik_certificate_file";
const KEY: &str = "traefik_key_file";

/// In PEM form: the certificate with those that vouch for it, and the key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) certificates: String,
    pub(super) key: Secret,
}

impl Entry {
    /// Reads what config.json names, where Traefik is installed from here.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn read(config: &Config) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (config.text(CERTIFICATE), config.text(KEY)) else {
            return Ok(None);
        };
        if !config.installs(Role::Traefik) {
            return Ok(None);
        }
        let read = |key: &str, path: &str| {
            text(Path::new(path)).with_context(|| format!("config.json: {key}"))
        };
        Ok(Some(Self {
            certificates: read(CERTIFICATE, certificate)?,
            key: Secret::new(read(KEY, key)?),
        }))
    }

    /// Whether clients can be shown it.
    ///
    /// # Errors
    /// When it is something else, the certificate has ended, or the key is another one's.
    pub(super) fn check(&self, now: Timestamp) -> anyhow::Result<()> {
        let at = || format!("config.json: {CERTIFICATE}, {KEY}");
        self.is_fit(now).with_context(at)
    }

    fn is_fit(&self, now: Timestamp) -> anyhow::Result<()> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.certificates.as_bytes()).collect();
        let chain = chain.context("the certificate's file is not in PEM form")?;
        let first = chain
            .first()
            .context("the certificate's file has none (-----BEGIN CERTIFICATE-----)")?;
        let (_, parsed) =
            X509Certificate::from_der(first).context("what is named a certificate is none")?;
        let (_, ends) = validity(&parsed);
        if ends < now {
            bail!("the certificate ended on {ends}: clients would refuse it");
        }
        // What is wrong with a key is not said: it might tell of it.
        let Ok(key) = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()) else {
            bail!("the key's file has no private key in PEM form, or one with a password");
        };
        let Ok(key) = any_supported_type(&key) else {
            bail!(
                "the key is of a kind that is not known: RSA, ECDSA (P-256, P-384) and Ed25519 are"
            );
        };
        match CertifiedKey::new(chain, key).keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
            Err(Error::InconsistentKeys(_)) => {
                bail!(
                    "the key is not the certificate's; the first certificate of its file is the one that is meant"
                )
            }
            Err(wrong) => Err(wrong).context("what is named a certificate is none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use daemon::Secret;
    use jiff::{SignedDuration, Timestamp};
    use rcgen::{CertificateParams, KeyPair};

    use super::Entry;

    /// Until 2050.
    fn made(key: &KeyPair) -> String {
        let mut params = CertificateParams::new(vec!["ledger.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn what_is_taken_and_what_is_not() {
        let [key, other] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let (certificate, pem) = (made(&key), key.serialize_pem());
        let now = Timestamp::now();
        let later = now + SignedDuration::from_hours(24 * 366 * 40);
        let chain = format!("{certificate}{}", made(&other));
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificates, key, now, expect) in [
            (&certificate, &pem, now, ""),
            (&chain, &pem, now, ""),
            (&certificate, &pem, later, "ended on 2050-01-01T00:00:00Z"),
            (
                &certificate,
                &other.serialize_pem(),
                now,
                "not the certificate's",
            ),
            (&pem, &pem, now, "has none"),
            (&none.to_owned(), &pem, now, "is none"),
            (&certificate, &certificate, now, "no private key"),
        ] {
            let it = Entry {
                certificates: certificates.clone(),
                key: Secret::new(key.clone()),
            };
            let said = it
                .check(now)
                .map_or_else(|it| format!("{it:#}"), |()| String::new());
            assert!(
                said.contains(expect) && said.is_empty() == expect.is_empty(),
                "{said}"
            );
        }
    }
}
