//! `http_config` and `tls_config`: from their keys to settings.

use std::path::{Component, Path, PathBuf};

use super::{
    Authorization, BasicAuth, HttpHeader, HttpSettings, JwtBearer, OAuth2, OAuth2Grant,
    ProxySettings, SecretSource, TlsSettings, TlsVersion,
    keys::JWT_BEARER,
    section::{Record, Value},
    yaml::{Any, Mistake, object},
};

/// Makes paths of files relative to the configuration's folder.
pub(super) fn join(http: &mut Record, folder: &Path) {
    join_keys(http.record_mut("tls_config"), TLS_FILES, folder);
    join_keys(
        http.record_mut("basic_auth"),
        &["username_file", "password_file"],
        folder,
    );
    join_keys(
        http.record_mut("authorization"),
        &["credentials_file"],
        folder,
    );
    let oauth2 = http.record_mut("oauth2");
    if let Some(oauth2) = oauth2 {
        join_keys(oauth2.record_mut("tls_config"), TLS_FILES, folder);
        join_keys(Some(oauth2), &["client_secret_file"], folder);
    }
    if let Value::Named(mut headers) = http.take("http_headers") {
        for header in headers.values_mut() {
            if let Value::Texts(files) = header.take("files") {
                let files = files.iter().map(|it| joined(folder, it)).collect();
                header.set("files", Value::Texts(files));
            }
        }
        http.set("http_headers", Value::Named(headers));
    }
}

const TLS_FILES: &[&str] = &["ca_file", "cert_file", "key_file"];

fn join_keys(record: Option<&mut Record>, keys: &[&str], folder: &Path) {
    let Some(record) = record else {
        return;
    };
    for key in keys {
        if let Some(path) = record.some_text(key) {
            record.set(key, Value::Text(joined(folder, &path)));
        }
    }
}

/// A path below a folder, unless it is absolute, without `.` and `..`.
pub(super) fn joined(folder: &Path, path: &str) -> String {
    if path.is_empty() || Path::new(path).is_absolute() {
        return path.to_owned();
    }
    let mut out = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out.to_string_lossy().into_owned()
}

/// The settings of a section that was checked.
pub(super) fn settings(http: &Record) -> Result<HttpSettings, Mistake> {
    let headers = http.named("http_headers").map(|(name, header)| {
        let inline = header.texts("values").iter().cloned();
        let secrets: &[daemon::Secret] = match header.get("secrets") {
            Value::Secrets(it) => it,
            _ => &[],
        };
        let files = header.texts("files").iter().map(PathBuf::from);
        let values = inline
            .map(SecretSource::inline)
            .chain(secrets.iter().cloned().map(SecretSource::Inline))
            .chain(files.map(SecretSource::File));
        HttpHeader {
            name: name.clone(),
            values: values.collect(),
        }
    });
    Ok(HttpSettings {
        basic: http.record("basic_auth").map(basic).transpose()?,
        authorization: (http.record("authorization").map(authorization)).transpose()?,
        oauth2: http.record("oauth2").map(oauth2).transpose()?.map(Box::new),
        tls: tls(http.record("tls_config"))?,
        follow_redirects: http.flag("follow_redirects"),
        proxy: proxy(http),
        headers: headers.collect(),
        timeout: HttpSettings::TIMEOUT,
    })
}

/// There is nobody to ask for a secret by its name: Alertmanager reads these keys too, and then does not start.
fn no_ref(it: &Record, key: &str) -> Result<(), Mistake> {
    if it.has(key) {
        let file = key.replace("_ref", "_file");
        let reason = format!(
            "{}.{key}: there is no secret manager; use {file}",
            it.section.name
        );
        return Err(it.wrong(key, reason));
    }
    Ok(())
}

fn basic(it: &Record) -> Result<BasicAuth, Mistake> {
    no_ref(it, "username_ref")?;
    no_ref(it, "password_ref")?;
    Ok(BasicAuth {
        username: it.source("username", "username_file"),
        password: it.source("password", "password_file"),
    })
}

fn authorization(it: &Record) -> Result<Authorization, Mistake> {
    no_ref(it, "credentials_ref")?;
    Ok(Authorization {
        kind: it.text("type").to_owned(),
        credentials: it.source("credentials", "credentials_file"),
    })
}

fn oauth2(it: &Record) -> Result<OAuth2, Mistake> {
    no_ref(it, "client_secret_ref")?;
    no_ref(it, "client_certificate_key_ref")?;
    let or = |key: &str, other: &str| {
        let text = it.text(key);
        if text.is_empty() { other } else { text }.to_owned()
    };
    let grant = if it.text("grant_type") == JWT_BEARER {
        OAuth2Grant::JwtBearer(Box::new(JwtBearer {
            key: it.source("client_certificate_key", "client_certificate_key_file"),
            key_id: it.text("client_certificate_key_id").to_owned(),
            algorithm: or("signature_algorithm", "RS256"),
            issuer: or("iss", it.text("client_id")),
            audience: or("audience", it.text("token_url")),
            claims: match it.any("claims") {
                Some(Any::Map(claims)) => object(claims),
                _ => serde_json::Map::new(),
            },
        }))
    } else {
        OAuth2Grant::ClientCredentials
    };
    Ok(OAuth2 {
        client_id: it.text("client_id").to_owned(),
        client_secret: it.source("client_secret", "client_secret_file"),
        grant,
        scopes: it.texts("scopes").to_vec(),
        token_url: it.text("token_url").to_owned(),
        endpoint_params: it.pairs("endpoint_params"),
        tls: tls(it.record("tls_config"))?,
        proxy: proxy(it),
    })
}

fn proxy(it: &Record) -> ProxySettings {
    let url = it.secret("proxy_url").cloned();
    ProxySettings {
        url: url.filter(|it| !it.expose().is_empty()),
        no_proxy: it.text("no_proxy").to_owned(),
        from_environment: it.flag("proxy_from_environment"),
        connect_headers: match it.get("proxy_connect_header") {
            Value::SecretLists(it) => it.clone().into_iter().collect(),
            _ => Vec::new(),
        },
    }
}

pub(super) fn tls(it: Option<&Record>) -> Result<TlsSettings, Mistake> {
    let Some(it) = it else {
        return Ok(TlsSettings::default());
    };
    for key in ["ca_ref", "cert_ref", "key_ref"] {
        no_ref(it, key)?;
    }
    let version = |key: &str| match it.text(key) {
        "TLS10" => Some(TlsVersion::Tls10),
        "TLS11" => Some(TlsVersion::Tls11),
        "TLS12" => Some(TlsVersion::Tls12),
        "TLS13" => Some(TlsVersion::Tls13),
        _ => None,
    };
    Ok(TlsSettings {
        ca: it.source("ca", "ca_file"),
        identity: it
            .source("cert", "cert_file")
            .zip(it.source("key", "key_file")),
        server_name: it.some_text("server_name"),
        insecure_skip_verify: it.flag("insecure_skip_verify"),
        min_version: version("min_version"),
        max_version: version("max_version"),
    })
}
