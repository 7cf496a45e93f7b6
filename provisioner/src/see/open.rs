//! `provisioner open`: a way to a program of a monitor for a browser, through one connection of ssh.

use std::{
    net::TcpListener,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use client::{Client, Settings, Tls, Url};

use super::{
    child::{self, Ssh, Streams},
    facts::Site,
};
use crate::{
    interrupt::{Interrupt, Interrupted},
    network::Node,
    output::{self, one_line},
    roles::OPERATOR,
};

/// For the connection, and the program's first answer.
const PATIENCE: Duration = Duration::from_secs(45);
/// For that answer, once there is a connection.
const ANSWER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// `provisioner open`.
#[derive(Debug, clap::Args)]
pub(crate) struct OpenFlags {
    /// What is opened
    #[arg(value_enum)]
    what: What,
    /// The port of this machine [default: the program's own when it is free, else any]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The monitor; the first that has the program without
    #[arg(long, value_name = "NODE")]
    monitor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Dashboards
    Grafana,
    /// Metrics, rules, targets
    Prometheus,
    /// Alerts and silences, in alert-router
    Alerts,
}

impl What {
    const fn program(self) -> &'static str {
        match self {
            Self::Grafana => "grafana",
            Self::Prometheus => "prometheus",
            Self::Alerts => "alert-router",
        }
    }
}

/// Opens it, says how to get in, and stays until somebody interrupts.
pub(crate) fn open(folder: &Path, flags: &OpenFlags) -> anyhow::Result<ExitCode> {
    let site = Site::installed(folder)?;
    let node = monitor(&site, flags)?;
    let (theirs, login) = place(&site, node, flags.what)?;
    let host = theirs.host_str().context("it has no host")?.to_owned();
    let port = theirs.port_or_known_default().context("it has no port")?;
    let here = here(flags.port, port)?;
    let mut ours = theirs;
    ours.set_host(Some("127.0.0.1")).context("no host")?;
    ours.set_port(Some(here)).unwrap_or(());
    child::runtime()?.block_on(async {
        let interrupt = Interrupt::listen(|| {})?;
        let forward = format!("127.0.0.1:{here}:{host}:{port}");
        let options = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", &forward];
        let none: [&str; 0] = [];
        let mut ssh = Ssh::start(&site.network, node, &options, &none, Streams::Pipes)?;
        let mut said = tokio::spawn(ssh.stderr());
        let client = client(&site)?;
        let is_open = interrupt.stops(async {
            tokio::select! {
                opened = opened(&client, &ours, &login, here) => opened,
                status = ssh.wait() => {
                    status?;
                    let said = (&mut said).await.unwrap_or_default();
                    bail!("there is no connection: {}", one_line(&said));
                }
            }
        });
        match is_open.await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                ssh.end().await;
                let (name, command) = (&node.name, &site.command);
                return Err(error)
                    .with_context(|| format!("{name} (see `{command} doctor {name}`)"));
            }
            None => {
                ssh.end().await;
                bail!(Interrupted("nothing was opened".to_owned()));
            }
        }
        say(&site, node, flags.what, &ours)?;
        if interrupt.stops(ssh.wait()).await.is_none() {
            ssh.end().await;
            return Ok(ExitCode::SUCCESS);
        }
        let said = said.await.unwrap_or_default();
        bail!(
            "{}: the connection broke off: {}",
            node.name,
            one_line(&said)
        );
    })
}

fn monitor<'a>(site: &'a Site, flags: &OpenFlags) -> anyhow::Result<&'a Node> {
    let program = flags.what.program();
    let mut nodes: Vec<_> = site.with(program).collect();
    if nodes.is_empty() {
        bail!("this environment has no {program}: it has no monitor, or leave_out names it");
    }
    if let Some(name) = &flags.monitor {
        child::node(&site.network, name)?;
        let all: Vec<_> = nodes.iter().map(|it| it.name.as_str()).collect();
        let all = all.join(", ");
        nodes.retain(|it| it.name == *name);
        if nodes.is_empty() {
            bail!("{name} has no {program}; it is on {all}");
        }
    }
    nodes.first().copied().context("there is no monitor")
}

/// Where the program answers as the node sees it, and who may ask.
fn place(
    site: &Site,
    node: &Node,
    what: What,
) -> anyhow::Result<(Url, Option<(String, daemon::Secret)>)> {
    let unit = site.unit(&node.name, what.program());
    let asked = unit.and_then(|it| it.health.asked());
    let (url, login) = asked.context("it is not there")?;
    Ok((Url::parse(url)?, login))
}

/// A port that is free, as far as can be said before it is used.
fn here(given: Option<u16>, usual: u16) -> anyhow::Result<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port));
    if let Some(port) = given {
        is_free(port).with_context(|| format!("port {port} of this machine is taken"))?;
        return Ok(port);
    }
    let free = is_free(usual).or_else(|_| is_free(0));
    let free = free.context("this machine has no free port")?;
    Ok(free.local_addr()?.port())
}

/// What takes the certificate for the name that is in the URL, as a browser does.
fn client(site: &Site) -> anyhow::Result<Client> {
    let mut settings = Settings::new("provisioner", ANSWER);
    settings.tls = Tls {
        ca: Some(site.materials()?.pki.certificate().to_owned()),
        ..Tls::default()
    };
    Ok(client::client(&settings)?)
}

/// Waits until the program answers.
async fn opened(
    client: &Client,
    url: &Url,
    login: &Option<(String, daemon::Secret)>,
    here: u16,
) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(("127.0.0.1", here))
        .await
        .is_err()
    {
        if Instant::now() > end {
            bail!("there is no connection within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut request = client.get(url.clone());
    if let Some((user, password)) = login {
        request = request.basic_auth(user, Some(password.expose()));
    }
    let answer = request.send().await;
    let answer = answer.map_err(client::Error::without_url);
    let answer = answer.context("the program does not answer")?;
    let status = answer.status();
    if !status.is_success() {
        bail!("the program answers {status}");
    }
    Ok(())
}

/// How to get in. The password itself is never shown.
fn say(site: &Site, node: &Node, what: What, url: &Url) -> anyhow::Result<()> {
    let program = what.program();
    let root = url.join("/")?;
    let folder = std::path::absolute(&site.network.folder)?;
    let ca = folder.join("pki/ca.crt");
    let secret = |name: &str| folder.join("secrets").join(name).display().to_string();
    let (user, password) = match what {
        What::Grafana if site.network.config.secret("grafana_password").is_some() => {
            ("admin", "grafana_password of config.json".to_owned())
        }
        What::Grafana => ("admin", format!("in {}", secret("grafana"))),
        What::Prometheus | What::Alerts => (OPERATOR, format!("in {}", secret("operator"))),
    };
    output::say(format!("{root} is {program} on {}", node.name));
    output::say(format!("user {user}, password {password}"));
    output::say(trust(&ca, user, &root));
    output::say("Ctrl-C closes it");
    Ok(())
}

fn trust(ca: &Path, user: &str, root: &Url) -> String {
    format!(
        "its certificate is of the authority {0}: let the browser trust that for web sites, or use curl --cacert {0} -u {user} {root}",
        ca.display()
    )
}
