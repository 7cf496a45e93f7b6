//! HTTP to a program of a node, through the connection to the node.

use std::time::Duration;

use anyhow::{Context as _, bail};
use client::{Client, Method, Settings, StatusCode, Tls, Url};
use daemon::Secret;
use serde_json::Value;

use crate::{network::Node, pki::Pki, remote::Remote};

/// For one answer.
const CALL: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 16 << 20;

/// A way to one program, which lasts as long as the connection to its node.
pub(crate) struct Tunnel {
    client: Client,
    /// With this machine's end of the way in place of the program's address.
    url: Url,
    login: Option<(String, Secret)>,
    /// What must be in the answer for all to be well.
    words: Vec<String>,
    /// The connection, when nobody else holds it.
    held: Option<Remote>,
}

impl Tunnel {
    /// To the program that answers at a URL, as the node sees it. One of https has a certificate of the environment's authority.
    pub(crate) async fn open(
        remote: &Remote,
        node: &Node,
        url: &str,
        login: Option<(String, Secret)>,
        pki: &Pki,
    ) -> anyhow::Result<Self> {
        let cannot = || format!("{}: no way to {url}", node.name);
        let mut url = Url::parse(url).with_context(cannot)?;
        let host = url
            .host_str()
            .with_context(cannot)?
            .trim_matches(['[', ']'])
            .to_owned();
        let port = url.port_or_known_default().with_context(cannot)?;
        let local = remote.forward(&host, port).await?;
        let mut settings = Settings::new("provisioner", CALL);
        settings.tls = Tls {
            ca: Some(pki.certificate().to_owned()),
            server_name: Some(node.name.clone()),
            ..Tls::default()
        };
        url.set_host(Some("127.0.0.1")).with_context(cannot)?;
        url.set_port(Some(local)).unwrap_or(());
        Ok(Self {
            client: client::client(&settings)?,
            url,
            login,
            words: Vec::new(),
            held: None,
        })
    }

    /// To the program at a URL that this machine reaches by itself.
    pub(crate) fn direct(url: &str) -> anyhow::Result<Self> {
        let settings = Settings::new("provisioner", CALL);
        Ok(Self {
            client: client::client(&settings).context("cannot make an HTTP client")?,
            url: Url::parse(url).with_context(|| format!("{url} is no URL"))?,
            login: None,
            words: Vec::new(),
            held: None,
        })
    }

    /// With words that must be in the answer for all to be well.
    pub(crate) fn expecting(mut self, words: &[String]) -> Self {
        self.words = words.to_vec();
        self
    }

    /// Keeps the connection as long as itself.
    pub(crate) fn holding(mut self, remote: Remote) -> Self {
        self.held = Some(remote);
        self
    }

    /// What is wrong with the answer to a GET, if anything is.
    pub(crate) async fn problem(&self) -> Option<String> {
        match self.send(Method::GET, None, None).await {
            Ok(response) if response.status().is_success() && self.words.is_empty() => None,
            Ok(response) if response.status().is_success() => {
                let answer = client::body(response, MAX_ANSWER).await.unwrap_or_default();
                let answer = String::from_utf8_lossy(&answer);
                let missing = self.words.iter().find(|it| !answer.contains(*it))?;
                Some(format!("does not say {missing}"))
            }
            Ok(response) => Some(format!("answers {}", response.status())),
            Err(error) => Some(format!("does not answer: {error:#}")),
        }
    }

    /// Asks at the URL, or at a path in its place, and reads an answer of JSON; null when there is none.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let answer = self.read(method, path, body).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        let shown = path.unwrap_or_else(|| self.url.path());
        serde_json::from_slice(&answer).with_context(|| format!("{shown} does not answer in JSON"))
    }

    /// The text at the URL, or at a path in its place.
    pub(crate) async fn text(&self, path: Option<&str>) -> anyhow::Result<String> {
        let answer = self.read(Method::GET, path, None).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// What somebody without a password is answered at a path.
    pub(crate) async fn stranger(&self, path: &str) -> anyhow::Result<StatusCode> {
        let response = self.client.get(self.at(Some(path))?).send().await;
        Ok(response.map_err(client::Error::without_url)?.status())
    }

    async fn read(
        &self,
        method: Method,
        path: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Vec<u8>> {
        let shown = path.unwrap_or_else(|| self.url.path());
        let response = self.send(method, path, body).await;
        let response = response.with_context(|| format!("{shown}: no answer"))?;
        let status = response.status();
        let answer = client::body(response, MAX_ANSWER).await;
        let answer = answer.with_context(|| format!("{shown}: the answer broke off"))?;
        if !status.is_success() {
            let text: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
            bail!("{shown} answers {status}: {text}");
        }
        Ok(answer)
    }

    async fn send(
        &self,
        method: Method,
        path: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<client::Response> {
        let mut request = self.client.request(method, self.at(path)?);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password.expose()));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send().await.map_err(client::Error::without_url)?)
    }

    /// A path, with its query, in place of that of the URL.
    fn at(&self, path: Option<&str>) -> anyhow::Result<Url> {
        match path {
            None => Ok(self.url.clone()),
            Some(path) => self
                .url
                .join(path)
                .with_context(|| format!("{path} is no path")),
        }
    }
}
