//! The small answers: `/api/version`, `/api/overview`, `/api/entrypoints`, `/api/certificates`. What a version does not have is empty.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// `/api/version`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    #[serde(rename = "Version")]
    pub(crate) version: String,
    #[serde(rename = "Codename")]
    pub(crate) codename: String,
    #[serde(rename = "startDate")]
    pub(crate) start: Option<Timestamp>,
}

/// `/api/overview`, without what rawdata says better.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Overview {
    pub(crate) features: Features,
    pub(crate) providers: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Features {
    /// What traces are sent to; empty for nothing.
    pub(crate) tracing: String,
    /// Where metrics are to be had; empty for nowhere.
    pub(crate) metrics: String,
    pub(crate) access_log: bool,
}

/// An element of `/api/entrypoints`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EntryPoint {
    pub(crate) name: String,
    pub(crate) address: String,
    http: Http,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Http {
    tls: Option<IgnoredAny>,
}

impl EntryPoint {
    /// Whether its HTTP routers have TLS without saying so.
    pub(crate) const fn has_tls(&self) -> bool {
        self.http.tls.is_some()
    }

    /// `127.0.0.1:53/udp` to `127.0.0.1:53` and `udp`.
    pub(crate) fn address(&self) -> (&str, &str) {
        self.address
            .rsplit_once('/')
            .unwrap_or((&self.address, "tcp"))
    }
}

/// An element of `/api/certificates` (3.6.17, 3.7 and later).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Certificate {
    pub(crate) common_name: String,
    pub(crate) sans: Vec<String>,
    pub(crate) serial_number: String,
    #[serde(rename = "issuerCN")]
    pub(crate) issuer: String,
    pub(crate) key_type: String,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::{EntryPoint, Overview, Version};

    #[test]
    fn answers_of_all_versions() {
        let version: Version = serde_json::from_str(
            r#"{"Version":"3.7.15","Codename":"langres","startDate":"2026-11-26T15:22:34.010840209Z","uuid":"x"}"#,
        )
        .unwrap();
        assert_eq!(version.start.unwrap().as_second(), 1_795_706_554);
        let overview: Overview =
            serde_json::from_str(r#"{"features":{"tracing":"","metrics":"Prometheus","accessLog":true,"hub":false},"providers":["File"]}"#)
                .unwrap();
        assert!(overview.features.access_log);
        // Without providers the key is not there.
        assert_eq!(
            serde_json::from_str::<Overview>("{}").unwrap(),
            Overview::default()
        );
        let points: Vec<EntryPoint> = serde_json::from_str(
            r#"[{"name":"a","address":":53/udp"},{"name":"b","address":"[::1]:443","http":{"tls":{},"middlewares":["x"]}}]"#,
        )
        .unwrap();
        assert_eq!(points[0].address(), (":53", "udp"));
        assert!(!points[0].has_tls());
        assert_eq!(points[1].address(), ("[::1]:443", "tcp"));
        assert!(points[1].has_tls());
    }
}
