//! Two questions to S3: whether a bucket keeps older versions, and whether it encrypts. Signed by hand (Signature Version 4), as one needs no more.

use std::{collections::BTreeMap, env, fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use client::{Method, Request, Settings, StatusCode, Url};
use daemon::Secret;
use jiff::Timestamp;
use ring::hmac;

use crate::artifacts::sha256;

/// For an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// An answer is a few lines.
const MAX_ANSWER: usize = 64 << 10;
/// A larger file is none of credentials.
const MAX_FILE: u64 = 1 << 20;

/// Whose requests they are.
pub(super) struct Credentials {
    key: String,
    secret: Secret,
    token: Option<Secret>,
}

/// A bucket.
pub(super) struct Bucket<'a> {
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) credentials: Credentials,
}

impl Credentials {
    /// Those of the environment, or of the profile in `~/.aws/credentials`. None when they come from elsewhere, which Terraform finds, and we do not.
    pub(super) fn find() -> anyhow::Result<Option<Self>> {
        let variable = |name: &str| env::var(name).ok().filter(|it| !it.is_empty());
        if let (Some(key), Some(secret)) = (
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
        ) {
            let token = variable("AWS_SESSION_TOKEN").map(Secret::new);
            return Ok(Some(Self {
                key,
                secret: Secret::new(secret),
                token,
            }));
        }
        let home = variable("HOME").unwrap_or_default();
        let path = variable("AWS_SHARED_CREDENTIALS_FILE").map_or_else(
            || PathBuf::from(home).join(".aws/credentials"),
            PathBuf::from,
        );
        let Ok(meta) = fs::metadata(&path) else {
            return Ok(None);
        };
        if meta.len() > MAX_FILE {
            bail!("{} has more than 1 MiB", path.display());
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        Ok(of(&text, &profile))
    }
}

/// Those of a profile.
fn of(text: &str, profile: &str) -> Option<Credentials> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|it| it.strip_prefix('[').and_then(|it| it.strip_suffix(']')) == Some(profile))?;
    let lines = lines.take_while(|it| !it.starts_with('['));
    let pairs = lines.filter_map(|it| it.split_once('='));
    let all: BTreeMap<_, _> = pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    Some(Credentials {
        key: (*all.get("aws_access_key_id")?).to_owned(),
        secret: Secret::new((*all.get("aws_secret_access_key")?).to_owned()),
        token: all
            .get("aws_session_token")
            .map(|it| Secret::new((*it).to_owned())),
    })
}

impl Bucket<'_> {
    /// What is wrong with it, and the command that mends it.
    pub(super) async fn problems(&self) -> anyhow::Result<Vec<String>> {
        let name = self.name;
        let mut problems = Vec::new();
        let (status, said) = self.ask("versioning").await?;
        if !status.is_success() {
            bail!(
                "S3 does not show the bucket {name}: {status}{}",
                code(&said)
            );
        }
        if !said.contains("<Status>Enabled</Status>") {
            problems.push(format!(
                "it keeps no older versions, so a state that was spoilt is lost: aws s3api put-bucket-versioning --bucket {name} \
                 --versioning-configuration Status=Enabled"
            ));
        }
        let (status, said) = self.ask("encryption").await?;
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => problems.push(format!(
                "it does not encrypt by itself: aws s3api put-bucket-encryption --bucket {name} --server-side-encryption-configuration \
                 '{{\"Rules\":[{{\"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"AES256\"}}}}]}}'"
            )),
            _ => bail!("S3 does not say whether {name} encrypts: {status}{}", code(&said)),
        }
        Ok(problems)
    }

    async fn ask(&self, what: &str) -> anyhow::Result<(StatusCode, String)> {
        let variable = |name: &str| env::var(name).ok().filter(|it| !it.is_empty());
        let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        let endpoint =
            endpoint.unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", self.region));
        let url = format!("{}/{}?{what}=", endpoint.trim_end_matches('/'), self.name);
        let url: Url = url
            .parse()
            .with_context(|| format!("{endpoint} is no URL of S3"))?;
        let mut request = Request::new(Method::GET, url.clone());
        for (name, value) in self.signed(&url, Timestamp::now()) {
            let mut value = client::header::HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            request
                .headers_mut()
                .insert(client::header::HeaderName::from_static(name), value);
        }
        let settings = Settings::new(concat!("provisioner/", env!("CARGO_PKG_VERSION")), PATIENCE);
        let answer = client::client(&settings)?.execute(request).await;
        let answer = answer.with_context(|| format!("cannot ask {endpoint}"))?;
        let status = answer.status();
        let body = client::body(answer, MAX_ANSWER).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The headers that a request without a body needs.
    fn signed(&self, url: &Url, now: Timestamp) -> Vec<(&'static str, Secret)> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (day, _) = time.split_once('T').unwrap_or_default();
        let empty = sha256(b"");
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, None) => host.to_owned(),
            (host, Some(port)) => format!("{host}:{port}"),
        };
        let mut headers = vec![
            ("host", Secret::new(host)),
            ("x-amz-content-sha256", Secret::new(empty.clone())),
            ("x-amz-date", Secret::new(time.clone())),
        ];
        if let Some(token) = &self.credentials.token {
            headers.push(("x-amz-security-token", token.clone()));
        }
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.expose()))
            .collect();
        let names: Vec<_> = headers.iter().map(|it| it.0).collect();
        let names = names.join(";");
        let (path, query) = (url.path(), url.query().unwrap_or_default());
        let request = format!("GET\n{path}\n{query}\n{lines}\n{names}\n{empty}");
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            sha256(request.as_bytes())
        );
        let first = format!("AWS4{}", self.credentials.secret.expose());
        let parts = [day, self.region, "s3", "aws4_request", &text];
        let signature = parts.iter().fold(first.into_bytes(), |key, part| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes())
                .as_ref()
                .to_vec()
        });
        let signature: String = signature.iter().map(|it| format!("{it:02x}")).collect();
        let key = &self.credentials.key;
        headers.push((
            "authorization",
            Secret::new(format!(
                "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
            )),
        ));
        headers
    }
}

/// S3's own word for what is wrong.
fn code(said: &str) -> String {
    let code = said
        .split_once("<Code>")
        .and_then(|it| it.1.split_once("</Code>"));
    code.map_or_else(String::new, |it| format!(" ({})", it.0))
}

#[cfg(test)]
mod tests {
    use daemon::Secret;

    use super::{Bucket, Credentials, code, of};

    /// The example of Amazon's description of signatures for S3 ("GET Bucket Lifecycle").
    #[test]
    fn signature() {
        let credentials = Credentials {
            key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            token: None,
        };
        let bucket = Bucket {
            name: "examplebucket",
            region: "us-east-1",
            credentials,
        };
        let url = "https://examplebucket.s3.amazonaws.com/?lifecycle="
            .parse()
            .unwrap();
        let headers = bucket.signed(&url, "2013-05-24T00:00:00Z".parse().unwrap());
        let (name, value) = headers.last().unwrap();
        assert_eq!(*name, "authorization");
        assert_eq!(
            value.expose(),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
    }

    #[test]
    fn profiles() {
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key=b\n\n[other]\naws_access_key_id = c\n";
        let found = of(text, "default").unwrap();
        assert_eq!((found.key.as_str(), found.secret.expose()), ("a", "b"));
        assert!(found.token.is_none());
        assert!(of(text, "other").is_none());
        assert!(of("", "default").is_none());
        assert_eq!(
            code("<Error><Code>AccessDenied</Code></Error>"),
            " (AccessDenied)"
        );
        assert_eq!(code("?"), "");
    }
}
