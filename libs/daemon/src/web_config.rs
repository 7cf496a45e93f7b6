//! `--web.config.file`: TLS, users, headers and a bound on the rate of requests, in the format of Prometheus' exporter-toolkit
//! (<https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>), re-read when it changes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::{Secret, chain, flags::duration, tls};

/// A larger file is no configuration.
const MAX_SIZE: u64 = 1 << 20;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The headers that exporter-toolkit allows to be set.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

/// A file that cannot be used, with its path and, when known, line.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {reason}", path.display(), line.map_or_else(String::new, |it| format!(", line {it}")))]
pub struct WebConfigError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: Option<u64>,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// The file's shape.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tls_server_config: Option<tls::TlsFile>,
    #[serde(default)]
    http_server_config: HttpFile,
    #[serde(default)]
    basic_auth_users: BTreeMap<String, Secret>,
    rate_limit: Option<RateFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpFile {
    /// Accepted; the server speaks HTTP/1.1, which every client of HTTP/2 does too.
    #[expect(dead_code, reason = "part of the format")]
    http2: Option<bool>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateFile {
    interval: String,
    #[serde(default)]
    burst: u32,
}

/// What the file says, checked.
#[derive(Debug, Default)]
pub(crate) struct WebConfig {
    pub(crate) tls: Option<tls::Tls>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Users with their bcrypt hashes.
    pub(crate) users: BTreeMap<String, Secret>,
    pub(crate) rate: Option<Rate>,
}

/// One request per `interval`, after `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

/// A file and what it looked like when it was read.
type Stamp = (PathBuf, Option<(SystemTime, u64)>);

/// The configuration in force.
pub(crate) struct Current {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    config: Arc<WebConfig>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

impl Current {
    /// Reads the file; without one there is neither TLS nor a user.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, WebConfigError> {
        let (config, stamps) = match path {
            Some(path) => read(path)?,
            None => (WebConfig::default(), Vec::new()),
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            state: Mutex::new(State {
                config: Arc::new(config),
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// The configuration, read anew when a file of it changed. A file that became wrong changes nothing but the log.
    pub(crate) fn get(&self) -> Arc<WebConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.path else {
            return Arc::clone(&state.config);
        };
        if state.looked.elapsed() < LOOK {
            return Arc::clone(&state.config);
        }
        state.looked = Instant::now();
        if state.stamps.iter().any(|(path, seen)| stamp(path) != *seen) {
            match read(path) {
                Ok((config, stamps)) => {
                    state.config = Arc::new(config);
                    state.stamps = stamps;
                    tracing::info!(path = %path.display(), "web configuration read anew");
                }
                Err(error) => {
                    for (path, seen) in &mut state.stamps {
                        *seen = stamp(path);
                    }
                    let error = chain(&error);
                    tracing::error!(%error, "web configuration is wrong; the one before stays");
                }
            }
        }
        Arc::clone(&state.config)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn read(path: &Path) -> Result<(WebConfig, Vec<Stamp>), WebConfigError> {
    let error = |line, reason: String| WebConfigError {
        path: path.to_owned(),
        line,
        reason,
    };
    let mut stamps = vec![(path.to_owned(), stamp(path))];
    let text =
        read_capped(path).map_err(|it| error(None, format!("cannot read the file: {it}")))?;
    let file: File = serde_saphyr::from_str(&text).map_err(|it| {
        let line = it.location().map(|it| it.line());
        let reason = it.without_snippet().to_string();
        let reason = reason
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        error(line, reason)
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut config = WebConfig::default();
    if let Some(tls) = file.tls_server_config {
        for path in tls.files(folder) {
            let seen = stamp(&path);
            stamps.push((path, seen));
        }
        config.tls = tls.check(folder).map_err(|it| error(None, it))?;
    }
    for (name, value) in file.http_server_config.headers {
        let known = HEADERS.iter().any(|it| it.eq_ignore_ascii_case(&name));
        let header = HeaderName::from_str(&name).ok().filter(|_| known);
        let header = header.ok_or_else(|| {
            error(
                None,
                format!(
                    "http_server_config.headers: {name:?} cannot be set; these can: {}",
                    HEADERS.join(", ")
                ),
            )
        })?;
        let value = HeaderValue::from_str(&value).map_err(|_error| {
            error(
                None,
                format!("http_server_config.headers: the value of {name} is not printable ASCII"),
            )
        })?;
        config.headers.push((header, value));
    }
    for (user, hash) in &file.basic_auth_users {
        // htpasswd and Go write 2y, 2a and 2b for the same thing.
        bcrypt::HashParts::from_str(hash.expose()).map_err(|_error| {
            error(None, format!("basic_auth_users: the value of {user:?} is no bcrypt hash; make one with: htpasswd -nBC 10 {user:?}"))
        })?;
    }
    config.users = file.basic_auth_users;
    if let Some(rate) = file.rate_limit {
        let interval = duration(&rate.interval).ok_or_else(|| {
            error(
                None,
                format!(
                    "rate_limit.interval: {:?} is no duration such as 100ms or 1s",
                    rate.interval
                ),
            )
        })?;
        config.rate = (!interval.is_zero()).then_some(Rate {
            interval,
            burst: rate.burst.max(1),
        });
    }
    Ok((config, stamps))
}

pub(crate) fn read_capped(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|it| it > MAX_SIZE) {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::{Rate, read};

    fn check(text: &str, expect: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        let error = error.replace(&folder.path().display().to_string(), "");
        assert_eq!(error, expect, "{text}");
    }

    #[test]
    fn mistakes() {
        for (text, expect) in [
            (
                "basic_auth_user: {}",
                "/web.yml, line 1: unknown field `basic_auth_user`, expected one of tls_server_config, http_server_config, basic_auth_users, rate_limit",
            ),
            (
                "\ntls_server_config:\n  certfile: x\n",
                "/web.yml, line 3: unknown field `certfile`, expected one of cert_file, key_file, cert, key, client_auth_type, client_ca_file, client_ca, client_allowed_sans, min_version, max_version, cipher_suites, curve_preferences, prefer_server_cipher_suites",
            ),
            (
                "basic_auth_users: {a: plain}",
                "/web.yml: basic_auth_users: the value of \"a\" is no bcrypt hash; make one with: htpasswd -nBC 10 \"a\"",
            ),
            (
                "http_server_config: {headers: {Server: x}}",
                "/web.yml: http_server_config.headers: \"Server\" cannot be set; these can: Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection",
            ),
            (
                "rate_limit: {interval: soon}",
                "/web.yml: rate_limit.interval: \"soon\" is no duration such as 100ms or 1s",
            ),
            (
                "tls_server_config: {cert_file: a}",
                "/web.yml: tls_server_config: cert_file is given without key_file or key",
            ),
            (
                "tls_server_config: {cert_file: a, cert: b, key: c}",
                "/web.yml: tls_server_config: cert_file and cert exclude each other",
            ),
            (
                "tls_server_config: {cert_file: a.pem, key_file: b.pem}",
                "/web.yml: tls_server_config.cert_file: cannot read /a.pem: No such file or directory (os error 2)",
            ),
            (
                "tls_server_config: {cert: x, key: y}",
                "/web.yml: tls_server_config.cert: it has no certificate in PEM form",
            ),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        fs::write(&path, "basic_auth_users:\n  prom: plain-password\n").unwrap();
        let error = format!("{0} {0:?}", read(&path).unwrap_err());
        assert!(!error.contains("plain-password"), "{error}");
    }

    #[test]
    fn all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        let text = "http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\nbasic_auth_users:\n  prom: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\nrate_limit:\n  interval: 100ms\n  burst: 20\n";
        fs::write(&path, text).unwrap();
        let (config, stamps) = read(&path).unwrap();
        assert_eq!(config.users.len(), 1);
        assert_eq!(config.headers.len(), 1);
        assert_eq!(stamps.len(), 1);
        let rate = Rate {
            interval: Duration::from_millis(100),
            burst: 20,
        };
        assert_eq!(config.rate, Some(rate));
    }
}
