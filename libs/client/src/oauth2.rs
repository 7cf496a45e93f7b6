//! Tokens of OAuth 2: by a client's secret (RFC 6749, 4.4) or by a signed assertion (RFC 7523).

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client, StatusCode, header};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{BodyError, body};

/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// A token is asked anew this long before it ends.
const EARLY: Duration = Duration::from_secs(10);
/// How long an assertion holds.
const ASSERTION: i64 = 600;
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What is asked of whom.
#[derive(Clone)]
pub struct TokenRequest {
    /// Where tokens are given.
    pub url: String,
    /// Who asks.
    pub client_id: String,
    /// How it is proved.
    pub grant: Grant,
    /// What for.
    pub scopes: Vec<String>,
    /// Sent, too. One named `grant_type` takes the place of ours.
    pub params: BTreeMap<String, String>,
}

/// How a client proves who it is.
#[derive(Clone)]
pub enum Grant {
    /// By a secret.
    ClientCredentials(String),
    /// By a signed assertion.
    JwtBearer(Assertion),
}

/// What is asserted, and the key that signs it.
#[derive(Clone)]
pub struct Assertion {
    /// A private RSA key in PEM form.
    pub key: String,
    /// The key's name, or nothing.
    pub key_id: String,
    /// `RS256`, `RS384` or `RS512`.
    pub algorithm: String,
    /// Who says so.
    pub issuer: String,
    /// To whom.
    pub audience: String,
    /// Further claims; they take the place of ours.
    pub claims: Map<String, Value>,
}

/// What came of it.
#[derive(Clone)]
pub struct Token {
    /// The `Authorization` header.
    pub header: String,
    /// How long it may be used; None for as long as it is taken.
    pub lifetime: Option<Duration>,
}

/// Why there is no token. None of it shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody answers.
    #[error("oauth2: cannot fetch token")]
    Call(#[source] reqwest::Error),
    /// The answer breaks off or is too long.
    #[error("oauth2: cannot fetch token")]
    Body(#[from] BodyError),
    /// The server refuses.
    #[error("oauth2: cannot fetch token: {0}: {1}")]
    Refused(StatusCode, String),
    /// There is nothing in the answer.
    #[error("oauth2: the answer of the server has no access_token")]
    Empty,
    /// The key signs nothing.
    #[error("oauth2: the key is no private RSA key in PEM form")]
    Key,
    /// A parameter is ours.
    #[error("oauth2: endpoint_params must not have {0:?}")]
    Parameter(String),
}

impl TokenRequest {
    /// Asks for a token, within the client's timeout. `now` is in seconds since 1970.
    ///
    /// A server may want the secret in the header or in the form: the first is tried first, then the second, as Go's library does.
    /// `in_form` remembers which it was.
    ///
    /// # Errors
    /// When there is none.
    pub async fn fetch(
        &self,
        client: &Client,
        now: i64,
        in_form: &mut Option<bool>,
    ) -> Result<Token, TokenError> {
        let form = self.form(now)?;
        let secret = match &self.grant {
            Grant::JwtBearer(_) => return self.post(client, &form, None).await,
            Grant::ClientCredentials(secret) => secret,
        };
        let mut with_secret = form.clone();
        with_secret.insert("client_id".to_owned(), self.client_id.clone());
        with_secret.insert("client_secret".to_owned(), secret.clone());
        with_secret.retain(|_, value| !value.is_empty());
        match *in_form {
            Some(true) => return self.post(client, &with_secret, None).await,
            Some(false) => return self.post(client, &form, Some(secret)).await,
            None => {}
        }
        let (token, which) = match self.post(client, &form, Some(secret)).await {
            Err(TokenError::Refused(..) | TokenError::Empty) => {
                (self.post(client, &with_secret, None).await?, true)
            }
            other => (other?, false),
        };
        *in_form = Some(which);
        Ok(token)
    }

    fn form(&self, now: i64) -> Result<BTreeMap<String, String>, TokenError> {
        let mut form = BTreeMap::new();
        let scope = self.scopes.join(" ");
        match &self.grant {
            Grant::ClientCredentials(_) => {
                form.insert("grant_type".to_owned(), "client_credentials".to_owned());
            }
            Grant::JwtBearer(assertion) => {
                form.insert("grant_type".to_owned(), JWT_BEARER.to_owned());
                let signed = assertion.sign(&self.client_id, &scope, now)?;
                form.insert("assertion".to_owned(), signed);
            }
        }
        if !scope.is_empty() {
            form.insert("scope".to_owned(), scope);
        }
        for (name, value) in &self.params {
            if name != "grant_type" && form.contains_key(name) {
                return Err(TokenError::Parameter(name.clone()));
            }
            form.insert(name.clone(), value.clone());
        }
        Ok(form)
    }

    async fn post(
        &self,
        client: &Client,
        form: &BTreeMap<String, String>,
        secret: Option<&str>,
    ) -> Result<Token, TokenError> {
        let pairs: Vec<_> = form
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        let mut request = client
            .post(&self.url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(pairs.join("&"));
        if let Some(secret) = secret {
            request = request.basic_auth(escape(&self.client_id), Some(escape(secret)));
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| TokenError::Call(error.without_url()))?;
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is_form = matches!(kind, "application/x-www-form-urlencoded" | "text/plain");
        let body = body(response, MAX_ANSWER).await?;
        Answer::parse(&String::from_utf8_lossy(&body), is_form).token(status)
    }
}

/// What a server says. Numbers come as texts from some.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<Value>,
    error: Value,
    error_description: Value,
}

impl Answer {
    fn parse(text: &str, is_form: bool) -> Self {
        if let Ok(answer) = serde_json::from_str(text) {
            return answer;
        }
        let mut answer = Self::default();
        if !is_form {
            return answer;
        }
        // The form of a query in a URL.
        let Ok(mut url) = reqwest::Url::parse("http://x/") else {
            return answer;
        };
        url.set_query(Some(text));
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match name.as_ref() {
                "access_token" => answer.access_token = value,
                "token_type" => answer.token_type = value,
                "expires_in" => answer.expires_in = Some(Value::String(value)),
                "error" => answer.error = Value::String(value),
                _ => {}
            }
        }
        answer
    }

    fn token(self, status: StatusCode) -> Result<Token, TokenError> {
        let said = |it: &Value| {
            let text = it.as_str().unwrap_or_default();
            let text = text.chars().filter(|it| !it.is_control()).take(200);
            text.collect::<String>()
        };
        // Some servers refuse with 200.
        let is_error = !self.error.is_null() && self.error != "";
        if !status.is_success() || is_error {
            let said = [said(&self.error), said(&self.error_description)];
            return Err(TokenError::Refused(
                status,
                said.join(" ").trim().to_owned(),
            ));
        }
        if self.access_token.is_empty() {
            return Err(TokenError::Empty);
        }
        // Go's library writes the usual ones in the usual way.
        let kind = match self.token_type.to_ascii_lowercase().as_str() {
            "" | "bearer" => "Bearer",
            "mac" => "MAC",
            "basic" => "Basic",
            _ => self.token_type.as_str(),
        };
        let seconds = match &self.expires_in {
            Some(Value::String(text)) => text.parse().ok(),
            Some(other) => other.as_u64(),
            None => None,
        };
        Ok(Token {
            header: format!("{kind} {}", self.access_token),
            lifetime: seconds
                .filter(|it| *it > 0)
                .map(|it| Duration::from_secs(it).saturating_sub(EARLY)),
        })
    }
}

impl Assertion {
    /// A JSON Web Token (RFC 7519).
    fn sign(&self, subject: &str, scope: &str, now: i64) -> Result<String, TokenError> {
        let (encoding, algorithm): (&'static dyn RsaEncoding, _) = match self.algorithm.as_str() {
            "RS384" => (&RSA_PKCS1_SHA384, "RS384"),
            "RS512" => (&RSA_PKCS1_SHA512, "RS512"),
            _ => (&RSA_PKCS1_SHA256, "RS256"),
        };
        let mut head = json!({"alg": algorithm, "typ": "JWT"});
        if !self.key_id.is_empty() {
            head["kid"] = json!(self.key_id);
        }
        let random = SystemRandom::new();
        let mut id = [0; 16];
        random.fill(&mut id).map_err(|_error| TokenError::Key)?;
        let id: String = id.iter().map(|it| format!("{it:02x}")).collect();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": subject,
            "jti": id,
            "aud": self.audience,
            "iat": now,
            "exp": now.saturating_add(ASSERTION),
        });
        if !scope.is_empty() {
            claims["scope"] = json!(scope);
        }
        for (name, value) in &self.claims {
            claims[name] = value.clone();
        }
        let encode = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let text = format!("{}.{}", encode(&head), encode(&claims));
        let key = match PrivateKeyDer::from_pem_slice(self.key.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            _ => None,
        };
        let key = key.ok_or(TokenError::Key)?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(encoding, &random, text.as_bytes(), &mut signature)
            .map_err(|_error| TokenError::Key)?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// As Go writes a value in a query.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ring::signature::{
        KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RsaKeyPair, RsaParameters, UnparsedPublicKey,
    };
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
    use serde_json::{Value, json};
    use testkit::{Answer as Scripted, Upstream};

    use super::{Assertion, Grant, Token, TokenError, TokenRequest};
    use crate::{Settings, client};

    fn json(body: &str) -> Scripted {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Scripted::Reply(200, headers, body.to_owned())
    }

    fn request(server: &Upstream) -> TokenRequest {
        TokenRequest {
            url: server.url("/token"),
            client_id: "router".to_owned(),
            grant: Grant::ClientCredentials("a b&c".to_owned()),
            scopes: vec!["one".to_owned(), "two".to_owned()],
            params: [("audience".to_owned(), "x/y".to_owned())].into(),
        }
    }

    async fn fetch(
        request: &TokenRequest,
        in_form: &mut Option<bool>,
    ) -> Result<Token, TokenError> {
        let client = client(&Settings::new("test", Duration::from_secs(30))).unwrap();
        request.fetch(&client, 1_000, in_form).await
    }

    #[tokio::test]
    async fn the_header_is_tried_before_the_form() {
        let good = json(r#"{"access_token":"t","token_type":"bearer","expires_in":"3600"}"#);
        let server = Upstream::start(vec![Scripted::status(401), good]);
        let request = request(&server);
        let mut in_form = None;
        let token = fetch(&request, &mut in_form).await.unwrap();
        assert_eq!(token.header, "Bearer t");
        assert_eq!(token.lifetime, Some(Duration::from_secs(3590)));
        assert_eq!(in_form, Some(true));
        let heard = server.heard();
        let basic = (
            "authorization".to_owned(),
            "Basic cm91dGVyOmErYiUyNmM=".to_owned(),
        );
        assert!(heard[0].headers.contains(&basic), "{heard:?}");
        let both = "audience=x%2Fy&grant_type=client_credentials&scope=one+two";
        assert_eq!(heard[0].body, both);
        assert!(
            heard[1]
                .body
                .contains("client_id=router&client_secret=a+b%26c&")
        );
        // The way that worked is the only one that is tried.
        fetch(&request, &mut in_form).await.unwrap();
        assert_eq!(server.heard().len(), 3);
    }

    #[tokio::test]
    async fn answers() {
        for (answer, expect) in [
            (json(r#"{"access_token":"t"}"#), Ok("Bearer t")),
            (
                json(r#"{"access_token":"t","token_type":"MAC"}"#),
                Ok("MAC t"),
            ),
            (json("{}"), Err("no access_token")),
            (json("nothing"), Err("no access_token")),
            (
                json(r#"{"error":"invalid_scope","error_description":"no\nsuch"}"#),
                Err("invalid_scope nosuch"),
            ),
            (Scripted::status(500), Err("500")),
            (Scripted::Close, Err("cannot fetch token")),
            (Scripted::Truncated, Err("cannot fetch token")),
            (
                Scripted::Reply(
                    200,
                    vec![("Content-Type", "text/plain; charset=utf-8".to_owned())],
                    "access_token=a%20b&expires_in=5".to_owned(),
                ),
                Ok("Bearer a b"),
            ),
        ] {
            let server = Upstream::start(vec![answer]);
            let found = fetch(&request(&server), &mut None).await;
            match expect {
                Ok(header) => assert_eq!(found.unwrap().header, header),
                Err(part) => {
                    let error = found.err().unwrap().to_string();
                    assert!(error.contains(part), "{error}");
                }
            }
        }
    }

    #[test]
    fn our_parameters_stay_ours() {
        let request = |name: &str| TokenRequest {
            url: String::new(),
            client_id: String::new(),
            grant: Grant::ClientCredentials(String::new()),
            scopes: vec!["s".to_owned()],
            params: [(name.to_owned(), "x".to_owned())].into(),
        };
        assert!(matches!(
            request("scope").form(0),
            Err(TokenError::Parameter(_))
        ));
        assert_eq!(request("grant_type").form(0).unwrap()["grant_type"], "x");
    }

    /// Made for these tests; it guards nothing. Once as PKCS #8, once as PKCS #1 (RFC 8017).
    const KEYS: [&str; 2] = [
        include_str!("../tests/rsa.pem"),
        include_str!("../tests/rsa-pkcs1.pem"),
    ];

    fn assertion(key: &str, algorithm: &str) -> Assertion {
        Assertion {
            key: key.to_owned(),
            key_id: "k1".to_owned(),
            algorithm: algorithm.to_owned(),
            issuer: "us".to_owned(),
            audience: "them".to_owned(),
            claims: serde_json::Map::from_iter([("iss".to_owned(), json!("another"))]),
        }
    }

    #[tokio::test]
    async fn assertions_are_signed() {
        let der = PrivatePkcs8KeyDer::from_pem_slice(KEYS[0].as_bytes()).unwrap();
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let ways: [(&str, &RsaParameters); 3] = [
            ("RS256", &RSA_PKCS1_2048_8192_SHA256),
            ("RS384", &RSA_PKCS1_2048_8192_SHA384),
            ("RS512", &RSA_PKCS1_2048_8192_SHA512),
        ];
        for (algorithm, verify) in ways {
            for pem in KEYS {
                let server = Upstream::start(vec![json(r#"{"access_token":"t"}"#)]);
                let request = TokenRequest {
                    grant: Grant::JwtBearer(assertion(pem, algorithm)),
                    ..request(&server)
                };
                assert_eq!(fetch(&request, &mut None).await.unwrap().header, "Bearer t");
                let heard = server.heard();
                let form = &heard[0].body;
                let sent = form.strip_prefix("assertion=").unwrap();
                let (sent, rest) = sent.split_once('&').unwrap();
                assert_eq!(
                    rest,
                    "audience=x%2Fy&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=one+two"
                );
                let parts: Vec<_> = sent.split('.').collect();
                let [head, claims, signature] = parts.as_slice() else {
                    panic!("{sent}");
                };
                let decode = |it: &str| URL_SAFE_NO_PAD.decode(it).unwrap();
                let value = |it: &str| serde_json::from_slice::<Value>(&decode(it)).unwrap();
                let expect = json!({"alg": algorithm, "typ": "JWT", "kid": "k1"});
                assert_eq!(value(head), expect);
                let mut claims_found = value(claims);
                let id = claims_found.as_object_mut().unwrap().remove("jti").unwrap();
                assert_eq!(id.as_str().unwrap().len(), 32);
                // A user's claim takes the place of ours.
                let expect = json!({
                    "iss": "another", "sub": "router", "aud": "them", "iat": 1_000, "exp": 1_600, "scope": "one two",
                });
                assert_eq!(claims_found, expect);
                UnparsedPublicKey::new(verify, key.public_key().as_ref())
                    .verify(format!("{head}.{claims}").as_bytes(), &decode(signature))
                    .unwrap();
            }
        }
        // No secret stands in what is said of a bad key.
        let server = Upstream::start(vec![Scripted::status(200)]);
        for bad in [
            "",
            "nothing",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let request = TokenRequest {
                grant: Grant::JwtBearer(assertion(bad, "RS256")),
                ..request(&server)
            };
            let error = fetch(&request, &mut None).await.err().unwrap();
            assert_eq!(
                error.to_string(),
                "oauth2: the key is no private RSA key in PEM form"
            );
        }
        assert!(server.heard().is_empty());
    }
}
