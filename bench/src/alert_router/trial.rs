//! One program with one configuration in one folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::Contender;
use crate::{connection::Connection, server::Server};

const PATIENCE: Duration = Duration::from_secs(60);
/// It rests when it uses less than a thousandth of a processor for this long.
const REST: Duration = Duration::from_millis(200);

/// How alerts are grouped, and who is told.
pub(crate) struct Routing<'a> {
    pub(crate) group_by: &'a str,
    pub(crate) group_wait: &'a str,
    /// A webhook; nobody is told without.
    pub(crate) url: Option<&'a str>,
}

/// Nobody is told, and no group is due while it is measured.
pub(crate) const QUIET: Routing<'_> = Routing {
    group_by: "alertname",
    group_wait: "1h",
    url: None,
};

pub(crate) struct Trial {
    program: PathBuf,
    flags: Vec<String>,
    server: Server,
    pub(crate) connection: Connection,
}

impl Trial {
    /// Starts it in an empty folder and waits until it is ready.
    pub(crate) fn start(
        contender: &Contender,
        folder: &Path,
        routing: &Routing<'_>,
    ) -> io::Result<Self> {
        let flags = flags(folder, routing)?;
        let (server, connection) = ready(&contender.program, &flags)?;
        Ok(Self {
            program: contender.program.clone(),
            flags,
            server,
            connection,
        })
    }

    /// Kills it and starts it again with what it kept.
    pub(crate) fn killed_and_started(self) -> io::Result<Self> {
        let Self {
            program,
            flags,
            server,
            ..
        } = self;
        drop(server);
        let (server, connection) = ready(&program, &flags)?;
        Ok(Self {
            program,
            flags,
            server,
            connection,
        })
    }

    pub(crate) fn post_alerts(&mut self, bodies: &[String]) -> io::Result<()> {
        let mut bodies = bodies.iter();
        bodies.try_for_each(|it| self.connection.post("/api/v2/alerts", it))
    }

    pub(crate) fn post_silences(&mut self, bodies: &[String]) -> io::Result<()> {
        let mut bodies = bodies.iter();
        bodies.try_for_each(|it| self.connection.post("/api/v2/silences", it))
    }

    /// Processor seconds of what is done, and of what the program does by itself after it.
    pub(crate) fn cpu_of(
        &mut self,
        doing: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<f64> {
        self.rest()?;
        let before = self.server.cpu()?;
        doing(self)?;
        self.rest()?;
        Ok(self.server.cpu()? - before)
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Waits until it has no more to do.
    pub(crate) fn rest(&self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut before = self.server.cpu()?;
        while Instant::now() < end {
            std::thread::sleep(REST);
            let after = self.server.cpu()?;
            if after - before < REST.as_secs_f64() / 1000.0 {
                return Ok(());
            }
            before = after;
        }
        Err(io::Error::other(format!(
            "it does not rest within {PATIENCE:?}"
        )))
    }
}

fn flags(folder: &Path, routing: &Routing<'_>) -> io::Result<Vec<String>> {
    let config = folder.join("alertmanager.yml");
    let webhook = routing.url.map_or_else(String::new, |url| {
        format!("  webhook_configs:\n  - url: {url}\n")
    });
    let Routing {
        group_by,
        group_wait,
        ..
    } = routing;
    fs::write(
        &config,
        format!(
            "route:\n  receiver: team\n  group_by: [{group_by}]\n  group_wait: {group_wait}\n  group_interval: 1h\n  \
             repeat_interval: 4h\nreceivers:\n- name: team\n{webhook}"
        ),
    )?;
    Ok(vec![
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", folder.join("data").display()),
        "--cluster.listen-address=".to_owned(),
    ])
}

/// Starts it and asks until it is ready.
fn ready(program: &Path, flags: &[String]) -> io::Result<(Server, Connection)> {
    let server = Server::start(program, flags)?;
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = Connection::open(server.address()).and_then(|mut connection| {
            connection.get("/-/ready", false)?;
            Ok(connection)
        });
        match asked {
            Ok(connection) => return Ok((server, connection)),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_not_yet) => std::thread::sleep(Duration::from_micros(500)),
        }
    }
}
