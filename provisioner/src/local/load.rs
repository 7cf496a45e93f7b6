//! `local load`: some requests a second, for a bounded time, to what runs on the local network, so that dashboards have something to show.
//! Only this machine is asked: the addresses are those of the network's own programs.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use parts::cassandra::Cql;
use tokio::{task::JoinSet, time::sleep};

use super::{Place, state::State, traefik};
use crate::{grpc, output};

/// Between rounds of requests.
const PAUSE: Duration = Duration::from_millis(100);
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// One call in so many is told to fail, one request is for nobody.
const BAD: u32 = 10;
/// The method that the ledger's stand-in has.
const EXECUTE: &str = "/rpc.Ledger/ExecuteContract";
/// Rows that are written over and over.
const ROWS: u32 = 500;

/// For how long.
#[derive(Debug, Args)]
pub(crate) struct LoadFlags {
    #[command(flatten)]
    pub(super) place: Place,
    /// How long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// What one kind of load did.
#[derive(Debug)]
struct Done {
    what: &'static str,
    good: u64,
    bad: u64,
}

impl Done {
    const fn new(what: &'static str) -> Self {
        Self {
            what,
            good: 0,
            bad: 0,
        }
    }

    const fn count(&mut self, is_good: bool) {
        if is_good {
            self.good += 1;
        } else {
            self.bad += 1;
        }
    }
}

/// Sends it, to each part that runs.
pub(super) fn load(state: &State, flags: &LoadFlags) -> anyhow::Result<ExitCode> {
    let network = state.network()?.unwrap_or_default();
    let port = |name: &str| {
        let mut ports = network.programs.iter().flat_map(|it| it.all_ports());
        ports.find(|it| it.0 == name).map(|it| it.1)
    };
    let end = Instant::now() + Duration::from_secs(flags.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start")?;
    let done = runtime.block_on(async {
        let mut all = JoinSet::new();
        if let Some(port) = port("cassandra") {
            all.spawn_blocking(move || statements(local(port), end));
        }
        if let (Some(plain), Some(secure)) = (port("traefik-ledger"), port("traefik-secure")) {
            let path = state.path(traefik::CERTIFICATE);
            let certificate = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let mut settings = client::Settings::new("provisioner", PATIENCE);
            settings.tls.ca = Some(certificate);
            let http = client::client(&settings).context("cannot make requests")?;
            all.spawn(requests(http, plain, secure, end));
        }
        if port("ledger").is_some()
            && let Some(port) = port("traefik-ledger").or(port("ledger-clients"))
        {
            all.spawn(calls(local(port), end));
        }
        if all.is_empty() {
            bail!("nothing runs that takes load; start it with: provisioner local up --with all");
        }
        let mut done = Vec::new();
        while let Some(one) = all.join_next().await {
            done.push(one.context("a load broke off")??);
        }
        Ok(done)
    })?;
    for Done { what, good, bad } in &done {
        output::say(format!("{what}: {good} answered, {bad} refused or failed"));
    }
    let is_heard = done.iter().all(|it| it.good > 0);
    Ok(ExitCode::from(u8::from(!is_heard)))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Writes, reads, conditional writes and deletes of one table.
fn statements(address: SocketAddr, end: Instant) -> anyhow::Result<Done> {
    let mut cql = Cql::connect(address, PATIENCE)?;
    for statement in [
        "CREATE KEYSPACE IF NOT EXISTS load WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE IF NOT EXISTS load.sales (shop int, number int, price int, PRIMARY KEY (shop, number))",
    ] {
        cql.query(statement).context("cannot make the table")?;
    }
    let mut done = Done::new("CQL");
    let mut round = 0;
    while Instant::now() < end {
        let (shop, number) = (round % 10, round % ROWS);
        for statement in [
            format!(
                "INSERT INTO load.sales (shop, number, price) VALUES ({shop}, {number}, {round})"
            ),
            format!("SELECT price FROM load.sales WHERE shop = {shop} AND number = {number}"),
            format!(
                "INSERT INTO load.sales (shop, number, price) VALUES ({shop}, {}, 1) IF NOT EXISTS",
                number + ROWS
            ),
            format!("SELECT price FROM load.sales WHERE shop = {shop} LIMIT 20"),
            "SELECT price FROM load.sales LIMIT 20".to_owned(),
            format!(
                "DELETE FROM load.sales WHERE shop = {shop} AND number = {}",
                (number + ROWS / 2) % ROWS
            ),
        ] {
            done.count(cql.query(&statement).is_ok());
        }
        round += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(done)
}

/// Requests that the sample service answers, plain and with TLS, and some that it refuses.
async fn requests(
    http: client::Client,
    plain: u16,
    secure: u16,
    end: Instant,
) -> anyhow::Result<Done> {
    let mut done = Done::new("HTTP");
    let plain = format!("http://127.0.0.1:{plain}/");
    let secure = format!("https://localhost:{secure}/");
    let mut round = 0;
    while Instant::now() < end {
        let refused = round % BAD == 0;
        let asked = [
            http.get(&plain),
            http.get(&secure),
            if refused {
                http.post(&plain)
            } else {
                http.get(&plain)
            },
        ];
        for request in asked {
            let answer = request.send().await;
            done.count(answer.is_ok_and(|it| it.status().is_success()));
        }
        round += 1;
        sleep(PAUSE).await;
    }
    Ok(done)
}

/// Calls of the ledger, some of which it is told to fail.
async fn calls(address: SocketAddr, end: Instant) -> anyhow::Result<Done> {
    let mut done = Done::new("gRPC");
    let mut round = 0;
    while Instant::now() < end {
        let message: &[u8] = if round % BAD == 0 {
            b"fail"
        } else {
            b"transfer"
        };
        let answer = grpc::call(address, EXECUTE, message, PATIENCE).await;
        done.count(answer.is_ok());
        round += 1;
        sleep(PAUSE).await;
    }
    Ok(done)
}
