//! A Traefik with many routers, as it is packaged, before one server that answers for all of them.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::upstream::Upstream;
use crate::{connection::Connection, server::Server};

pub(super) const RAWDATA: &str = "/api/rawdata";
/// The service whose server changes its mind.
const CHANGING: &str = "/api/http/services/changing@file";
/// For Traefik to take its configuration, or to see that a server changed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Network {
    traefik: Server,
    upstream: Upstream,
    folder: PathBuf,
    routers: usize,
    /// Where clients ask.
    clients: SocketAddr,
}

impl Network {
    /// Starts it, and waits until the last router is there.
    pub(super) fn start(folder: &Path, version: &str, routers: usize) -> io::Result<Self> {
        let upstream = Upstream::start()?;
        let [api, clients, privileged, secure] = addresses()?;
        let dynamic = folder.join("dynamic");
        fs::create_dir(&dynamic)?;
        fs::copy(
            "packaging/traefik/dynamic/monitoring.yml",
            dynamic.join("monitoring.yml"),
        )?;
        fs::write(
            dynamic.join("routers.yml"),
            many(routers, upstream.address()),
        )?;
        let mut text = fs::read_to_string("packaging/traefik/traefik.yml")?;
        for (theirs, address) in [
            ("\":50051\"", clients),
            ("\":50052\"", privileged),
            ("\":443\"", secure),
            ("\"127.0.0.1:8080\"", api),
        ] {
            text = text.replace(theirs, &format!("\"{address}\""));
        }
        for theirs in ["/etc/traefik/", "/var/log/traefik/"] {
            text = text.replace(theirs, &format!("{}/", folder.display()));
        }
        let file = folder.join("traefik.yml");
        fs::write(&file, text)?;
        let program = parts::traefik(version).map_err(io::Error::other)?;
        let flag = format!("--configFile={}", file.display());
        let traefik = Server::start_at(&program, &[flag], api)?;
        let network = Self {
            traefik,
            upstream,
            folder: folder.to_owned(),
            routers,
            clients,
        };
        let last = format!("/api/http/routers/r{}@file", routers - 1);
        eventually(|| Ok(network.answer(&last).is_ok()))?;
        network.change()?;
        Ok(network)
    }

    pub(super) const fn api(&self) -> SocketAddr {
        self.traefik.address()
    }

    /// The exporter's flag.
    pub(super) fn url(&self) -> String {
        format!("--traefik.url=http://{}", self.api())
    }

    /// Processor seconds of Traefik.
    pub(super) fn cpu(&self) -> io::Result<f64> {
        self.traefik.cpu()
    }

    pub(super) fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// Lets a server change its mind, and waits until Traefik's answer is another one.
    pub(super) fn change(&self) -> io::Result<()> {
        let word = if self.upstream.change() { "UP" } else { "DOWN" };
        let expect = format!("\":\"{word}\"");
        eventually(|| Ok(self.answer(CHANGING)?.contains(&expect)))
    }

    fn answer(&self, path: &str) -> io::Result<String> {
        let mut connection = Connection::open(self.api())?;
        connection.get(path, false)?;
        Ok(String::from_utf8_lossy(connection.body()).into_owned())
    }

    /// One request for each router.
    pub(super) fn ask_all(&self) -> io::Result<()> {
        let mut connection = Connection::open(self.clients)?;
        for router in 0..self.routers {
            connection.get_of(&format!("r{router}.example.com"), "/")?;
        }
        // Traefik counts them, and writes them down, a moment later.
        eventually(|| {
            let log = fs::read_to_string(self.access_log())?;
            Ok(log.matches("\"RouterName\":\"r").count() >= self.routers)
        })
    }
}

/// Routers and services of hosts, and one service whose server is looked after.
fn many(routers: usize, server: SocketAddr) -> String {
    let mut text = "http:\n  routers:\n".to_owned();
    for at in 0..routers {
        text.push_str(&format!(
            "    r{at}: {{entryPoints: [ledger], rule: 'Host(`r{at}.example.com`) && PathPrefix(`/`)', service: s{at}, middlewares: [head]}}\n"
        ));
    }
    // Traefik looks after servers of services that are used.
    text.push_str("    changing: {entryPoints: [ledger], rule: 'Host(`changing.example.com`)', service: changing}\n");
    text.push_str(
        "  middlewares:\n    head: {headers: {customRequestHeaders: {X-A: b}}}\n  services:\n",
    );
    for at in 0..routers {
        text.push_str(&format!(
            "    s{at}: {{loadBalancer: {{servers: [{{url: 'http://{server}'}}]}}}}\n"
        ));
    }
    text.push_str(&format!(
        "    changing: {{loadBalancer: {{healthCheck: {{path: /health, interval: 50ms, timeout: 5s}}, servers: [{{url: 'http://{server}'}}]}}}}\n"
    ));
    text
}

/// Free ones, each another: they are held until all are chosen.
fn addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}

fn eventually(mut is: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !is()? {
        if Instant::now() > end {
            return Err(io::Error::other("Traefik does not get ready"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
