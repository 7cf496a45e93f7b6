//! Java: the machine's when it is new enough for Cassandra 5, else Debian's, which runs from where it was unpacked.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::Engine as _;

use crate::{Part, PartError};

/// What Cassandra 5 and the newest Jolokia run on.
pub(crate) const JAVA: Part = Part {
    program: "java",
    package: "openjdk-17-jre-headless",
    // It starts without the libraries of fonts, sound and printers that its package depends on.
    needs: &[],
    path: if cfg!(target_arch = "aarch64") {
        "usr/lib/jvm/java-17-openjdk-arm64/bin/java"
    } else {
        "usr/lib/jvm/java-17-openjdk-amd64/bin/java"
    },
    at_least: (17, 0),
};

/// Where Debian keeps the certificates of authorities, one after another.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The folder that JAVA_HOME means, for programs that want that in place of a program.
pub(crate) fn home(java: &Path) -> Result<PathBuf, PartError> {
    let java = fs::canonicalize(java).map_err(|source| PartError::Cache {
        path: java.to_owned(),
        source,
    })?;
    Ok(java.ancestors().nth(2).unwrap_or(&java).to_owned())
}

/// Gives an unpacked Java what the installation of its package would have made: the authorities that it trusts. Without them it
/// trusts nobody, and Maven can fetch nothing.
pub(crate) fn complete(root: &Path) -> io::Result<()> {
    let home = root.join(JAVA.path);
    let home = home.ancestors().nth(2).unwrap_or(root);
    let store = home.join("lib/security/cacerts");
    // The package's link leads to what another package would have made.
    match fs::remove_file(&store) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let text = match fs::read_to_string(AUTHORITIES) {
        Ok(text) => text,
        // A machine that trusts nobody has a Java that does not, either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    fs::write(store, key_store(&certificates(&text)))
}

/// The bytes of each certificate of a PEM file.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks
        .filter_map(|it| {
            let (body, _) = it.split_once("-----END CERTIFICATE-----")?;
            let body: String = body.split_ascii_whitespace().collect();
            base64::engine::general_purpose::STANDARD.decode(body).ok()
        })
        .collect()
}

/// Java's own format of a store (JKS, version 2) with trusted certificates: magic, version, number; then for each the kind 2, a
/// name, a time, the type, the bytes. A digest keyed by a password may follow: Java reads the authorities without one.
fn key_store(certificates: &[Vec<u8>]) -> Vec<u8> {
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX).to_be_bytes();
    let word = |it: &str| {
        let length = u16::try_from(it.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes(), it.as_bytes()].concat()
    };
    let mut store = [0xfeed_feed_u32.to_be_bytes(), 2_u32.to_be_bytes()].concat();
    store.extend(number(certificates.len()));
    for (place, certificate) in certificates.iter().enumerate() {
        store.extend(2_u32.to_be_bytes());
        store.extend(word(&format!("authority-{place}")));
        store.extend(0_u64.to_be_bytes());
        store.extend(word("X.509"));
        store.extend(number(certificate.len()));
        store.extend(certificate);
    }
    store
}

#[cfg(test)]
mod tests {
    use super::{certificates, key_store};

    #[test]
    fn authorities() {
        let pem = "text\n-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBQ==\n-----END CERTIFICATE-----\n";
        let found = certificates(pem);
        assert_eq!(found, [vec![1, 2, 3, 4], vec![5]]);
        let store = key_store(&found[..1]);
        let expect = [
            &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1][..],
            &[0, 0, 0, 2, 0, 11],
            b"authority-0",
            &[0; 8],
            &[0, 5],
            b"X.509",
            &[0, 0, 0, 4, 1, 2, 3, 4],
        ];
        assert_eq!(store, expect.concat());
        assert_eq!(
            certificates("-----BEGIN CERTIFICATE-----"),
            Vec::<Vec<u8>>::new()
        );
    }
}
