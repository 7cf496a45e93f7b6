//! Secrets that an environment makes for itself, in `secrets/`: one file each, made once. What is written into it by hand counts, too.

use std::path::Path;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use daemon::Secret;

use crate::{config::Config, private::Private};

/// Bytes of chance: 32 characters.
const RANDOM: usize = 24;
/// Of bcrypt: what Prometheus' own tools choose. Who scrapes pays it once; servers remember what was right.
const COST: u32 = 10;
/// Beside `cassandra`.
const IN_USE: &str = "cassandra.in-use";
/// bcrypt passes over what is beyond.
const LONGEST: usize = 72;

/// All of them.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Prometheus to the agents.
    pub(crate) scrape: Password,
    /// Prometheus to alert-router.
    pub(crate) alerts: Password,
    /// People, and the provisioner, to Prometheus and alert-router.
    pub(crate) operator: Password,
    /// cassandra-exporter to Jolokia.
    pub(crate) jolokia: Secret,
    /// Grafana's user admin, at the first start.
    pub(crate) grafana: Secret,
    /// What Grafana encrypts the passwords in its database with.
    pub(crate) grafana_key: Secret,
    /// Cassandra's superuser, `operator`.
    pub(crate) cassandra: Secret,
    /// The password that Cassandra knows its superuser by, as far as that was seen: another one than `cassandra` while it is exchanged.
    pub(crate) cassandra_in_use: Option<Secret>,
    /// Cassandra's JMX, on loopback.
    pub(crate) jmx: Secret,
    /// Cassandra's user of the ledgers, `scalardl`.
    pub(crate) scalardl: Secret,
}

/// A password, and the hash by which a server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Password {
    pub(crate) secret: Secret,
    pub(crate) bcrypt: Secret,
}

impl Secrets {
    /// Reads the secrets in a folder, and makes those that are missing.
    pub(crate) fn open(folder: &Path, config: &Config) -> anyhow::Result<Self> {
        let files = Private::open(folder)?;
        let grafana = match config.secret("grafana_password") {
            Some(given) => given.clone(),
            None => secret(&files, "grafana")?,
        };
        Ok(Self {
            scrape: password(&files, "scrape")?,
            alerts: password(&files, "alerts")?,
            operator: password(&files, "operator")?,
            jolokia: secret(&files, "jolokia")?,
            grafana,
            grafana_key: secret(&files, "grafana-key")?,
            cassandra: secret(&files, "cassandra")?,
            cassandra_in_use: match files.read(IN_USE)? {
                Some(_) => Some(secret(&files, IN_USE)?),
                None => None,
            },
            jmx: secret(&files, "jmx")?,
            scalardl: secret(&files, "scalardl")?,
        })
    }
}

/// Keeps the password that Cassandra knows its superuser by: to exchange it, the one before is needed.
pub(crate) fn in_use(folder: &Path, cassandra: &Secret) -> anyhow::Result<()> {
    let files = Private::open(folder)?;
    files.write(IN_USE, &format!("{}\n", cassandra.expose()))
}

fn secret(files: &Private, name: &str) -> anyhow::Result<Secret> {
    let Some(text) = files.read(name)? else {
        let secret = Secret::new(URL_SAFE_NO_PAD.encode(random::<RANDOM>()?));
        files.write(name, &format!("{}\n", secret.expose()))?;
        return Ok(secret);
    };
    let text = text.trim_end_matches(['\r', '\n']);
    // They get into files of several formats; none of these means something there.
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_plain) {
        bail!(
            "{} must hold one line of 1 to {LONGEST} letters, digits, '-', '.', '_' and '~'; remove it to have one made",
            files.path(name).display()
        );
    }
    Ok(Secret::new(text.to_owned()))
}

/// The hash is kept, as each one is another: files that hold it would differ with every run.
fn password(files: &Private, name: &str) -> anyhow::Result<Password> {
    let secret = secret(files, name)?;
    let beside = format!("{name}.bcrypt");
    let kept = files.read(&beside)?.map(|it| it.trim_end().to_owned());
    let holds = |hash: &String| bcrypt::verify(secret.expose(), hash).is_ok_and(|it| it);
    if let Some(hash) = kept.filter(holds) {
        let bcrypt = Secret::new(hash);
        return Ok(Password { secret, bcrypt });
    }
    let hash = bcrypt::hash_with_salt(secret.expose(), COST, random()?);
    let hash = hash.with_context(|| format!("cannot make {}", files.path(&beside).display()))?;
    let bcrypt = Secret::new(hash.to_string());
    files.write(&beside, &format!("{}\n", bcrypt.expose()))?;
    Ok(Password { secret, bcrypt })
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::Secrets;
    use crate::config::Config;

    fn open(folder: &Path) -> Secrets {
        Secrets::open(folder, &Config::default()).unwrap()
    }

    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{entry:?}");
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn made_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("secrets");
        let secrets = open(&folder);
        let before = files(&folder);
        let names: Vec<_> = before.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "alerts",
                "alerts.bcrypt",
                "cassandra",
                "grafana",
                "grafana-key",
                "jmx",
                "jolokia",
                "lock",
                "operator",
                "operator.bcrypt",
                "scalardl",
                "scrape",
                "scrape.bcrypt"
            ]
        );
        open(&folder);
        assert_eq!(files(&folder), before);
        let shown = format!("{secrets:?}");
        for (name, text) in &before {
            if name == "lock" {
                continue;
            }
            assert!(!shown.contains(text.trim()), "{name}");
            if !name.ends_with(".bcrypt") {
                assert_eq!(text.trim_end().len(), 32, "{name}");
            }
        }
        let (secret, hash) = (&secrets.scrape.secret, &secrets.scrape.bcrypt);
        assert!(hash.expose().starts_with("$2b$10$"), "{}", hash.expose());
        assert!(bcrypt::verify(secret.expose(), hash.expose()).unwrap());
        assert_ne!(secret, &secrets.alerts.secret);
    }

    #[test]
    fn written_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let before = open(folder.path());
        let path = folder.path().join("alerts");
        fs::write(&path, "by-hand\n").unwrap();
        let after = open(folder.path());
        assert_eq!(after.alerts.secret.expose(), "by-hand");
        assert!(bcrypt::verify("by-hand", after.alerts.bcrypt.expose()).unwrap());
        assert_eq!(after.scrape, before.scrape);
        fs::write(folder.path().join("alerts.bcrypt"), "no hash").unwrap();
        let again = open(folder.path());
        assert!(bcrypt::verify("by-hand", again.alerts.bcrypt.expose()).unwrap());
        for wrong in ["", "a b", "a\nb", "a\"b", &"x".repeat(73)] {
            fs::write(&path, wrong).unwrap();
            let error = Secrets::open(folder.path(), &Config::default()).unwrap_err();
            let expect = format!("{} must hold one line", path.display());
            assert!(error.to_string().starts_with(&expect), "{error}");
        }
    }
}
