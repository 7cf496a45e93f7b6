//! `http_config` and `tls_config`, of receivers and of all else that speaks HTTP.

use super::{flag, pairs, secret, text, texts};
use crate::config::{
    section::{Key, Record, Section, Shape, Value, anything},
    yaml::Mistake,
};

pub(in crate::config) static HTTP: Section = Section {
    name: "http_config",
    keys: &[
        Key::new("basic_auth", Shape::MaybeSection(&BASIC_AUTH)),
        Key::new("authorization", Shape::MaybeSection(&AUTHORIZATION)),
        Key::new("oauth2", Shape::MaybeSection(&OAUTH2)),
        secret("bearer_token"),
        text("bearer_token_file"),
        Key::new("tls_config", Shape::Section(&TLS)),
        flag("follow_redirects").always().or("true"),
        flag("enable_http2").always().or("true"),
        Key::new("proxy_url", Shape::ProxyUrl),
        text("no_proxy"),
        flag("proxy_from_environment"),
        Key::new("proxy_connect_header", Shape::SecretLists),
        Key::new("http_headers", Shape::NamedSections(&HEADER)),
    ],
    check: check_http,
};

pub(super) const fn http_config() -> Key {
    Key::new("http_config", Shape::MaybeSection(&HTTP))
}

fn check_http(it: &mut Record) -> Result<(), Mistake> {
    it.at_most_one(&["bearer_token", "bearer_token_file"])?;
    it.at_most_one(&["basic_auth", "authorization", "oauth2", "bearer_token"])?;
    it.at_most_one(&["basic_auth", "authorization", "oauth2", "bearer_token_file"])?;
    // The token is what `authorization` would say, and is shown so.
    for (old, new) in [
        ("bearer_token", "credentials"),
        ("bearer_token_file", "credentials_file"),
    ] {
        if it.has(old) {
            let mut authorization = Record::new(&AUTHORIZATION);
            authorization.set("type", Value::Text("Bearer".to_owned()));
            authorization.set(new, it.take(old));
            it.set("authorization", Value::Record(authorization));
        }
    }
    check_proxy(it)?;
    for (name, header) in it.named("http_headers") {
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) {
            let reason = format!("http_headers: {name} is not to be set");
            return Err(Mistake::at(header.line, reason));
        }
    }
    Ok(())
}

/// What changes the connection, or is set by other keys (Prometheus' `common/config`, `ReservedHeaders`).
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

fn check_proxy(it: &Record) -> Result<(), Mistake> {
    it.at_most_one(&["proxy_from_environment", "proxy_url"])?;
    it.at_most_one(&["proxy_from_environment", "no_proxy"])?;
    let needs = |key: &str, others: &str| {
        Err(it.wrong(key, format!("{}: {key} needs {others}", it.section.name)))
    };
    if it.has("no_proxy") && !matches!(it.get("proxy_url"), Value::Secret(_)) {
        return needs("no_proxy", "proxy_url");
    }
    if it.has("proxy_connect_header") && !it.has("proxy_url") && !it.flag("proxy_from_environment")
    {
        return needs(
            "proxy_connect_header",
            "proxy_url or proxy_from_environment",
        );
    }
    Ok(())
}

static BASIC_AUTH: Section = Section {
    name: "basic_auth",
    keys: &[
        text("username"),
        text("username_file"),
        text("username_ref"),
        secret("password"),
        text("password_file"),
        text("password_ref"),
    ],
    check: |it| {
        it.at_most_one(&["username", "username_file", "username_ref"])?;
        it.at_most_one(&["password", "password_file", "password_ref"])
    },
};

static AUTHORIZATION: Section = Section {
    name: "authorization",
    keys: &[
        text("type"),
        secret("credentials"),
        text("credentials_file"),
        text("credentials_ref"),
    ],
    check: |it| {
        it.at_most_one(&["credentials", "credentials_file", "credentials_ref"])?;
        let kind = it.text("type").trim();
        let kind = if kind.is_empty() { "Bearer" } else { kind };
        if kind.eq_ignore_ascii_case("basic") {
            return Err(it.wrong("type", "authorization.type: for Basic there is basic_auth"));
        }
        it.set("type", Value::Text(kind.to_owned()));
        Ok(())
    },
};

static OAUTH2: Section = Section {
    name: "oauth2",
    keys: &[
        text("client_id"),
        secret("client_secret"),
        text("client_secret_file"),
        text("client_secret_ref"),
        text("client_certificate_key_id"),
        secret("client_certificate_key"),
        text("client_certificate_key_file"),
        text("client_certificate_key_ref"),
        text("grant_type"),
        text("signature_algorithm"),
        text("iss"),
        text("audience"),
        Key::new("claims", Shape::AnyMap),
        texts("scopes"),
        text("token_url"),
        pairs("endpoint_params"),
        Key::new("tls_config", Shape::Section(&TLS)),
        Key::new("proxy_url", Shape::ProxyUrl),
        text("no_proxy"),
        flag("proxy_from_environment"),
        Key::new("proxy_connect_header", Shape::SecretLists),
    ],
    check: |it| {
        it.one_of(&["client_id"])?;
        it.one_of(&["token_url"])?;
        check_proxy(it)?;
        if it.text("grant_type") == JWT_BEARER {
            it.at_most_one(&[
                "client_certificate_key",
                "client_certificate_key_file",
                "client_certificate_key_ref",
            ])?;
            let algorithm = it.text("signature_algorithm");
            if !matches!(algorithm, "" | "RS256" | "RS384" | "RS512") {
                let reason = format!(
                    "oauth2.signature_algorithm: {algorithm:?} is none of RS256, RS384, RS512"
                );
                return Err(it.wrong("signature_algorithm", reason));
            }
            return Ok(());
        }
        it.at_most_one(&["client_secret", "client_secret_file", "client_secret_ref"])
    },
};

pub(in crate::config) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const VERSIONS: &[&str] = &["TLS10", "TLS11", "TLS12", "TLS13"];

pub(super) static TLS: Section = Section {
    name: "tls_config",
    keys: &[
        text("ca"),
        text("cert"),
        secret("key"),
        text("ca_file"),
        text("cert_file"),
        text("key_file"),
        text("ca_ref"),
        text("cert_ref"),
        text("key_ref"),
        text("server_name"),
        flag("insecure_skip_verify").always(),
        Key::new("min_version", Shape::Word(VERSIONS)),
        Key::new("max_version", Shape::Word(VERSIONS)),
    ],
    check: |it| {
        it.at_most_one(&["ca", "ca_file", "ca_ref"])?;
        it.at_most_one(&["cert", "cert_file", "cert_ref"])?;
        it.at_most_one(&["key", "key_file", "key_ref"])?;
        let any = |keys: [&'static str; 3]| keys.into_iter().find(|key| it.has(key));
        let (cert, key) = (
            any(["cert", "cert_file", "cert_ref"]),
            any(["key", "key_file", "key_ref"]),
        );
        match (cert, key) {
            (Some(cert), None) => Err(it.wrong(
                cert,
                "tls_config: cert and cert_file need a key, in key or key_file",
            )),
            (None, Some(key)) => Err(it.wrong(
                key,
                "tls_config: key and key_file need a certificate, in cert or cert_file",
            )),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    },
};

pub(super) static HEADER: Section = Section {
    name: "http_headers",
    keys: &[
        texts("values"),
        Key::new("secrets", Shape::SecretList),
        texts("files"),
    ],
    check: anything,
};
