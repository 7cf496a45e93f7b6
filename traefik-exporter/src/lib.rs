//! What Traefik knows and does not tell, for Prometheus: broken routers, servers, certificates, from its API. A library only for its fuzz
//! targets' sake: the program is all of it.

mod api;
#[cfg(test)]
mod catalogue;
mod config;
mod digest;
mod rule;
mod status;

use std::{error::Error, process::ExitCode, time::Duration};

use daemon::{Program, Registry, Service};

use crate::{
    config::{Flags, Settings},
    status::Status,
};

const PROGRAM: Program = Program {
    name: "traefik-exporter",
    namespace: "traefik_exporter",
    about: "What Traefik knows and does not tell, for Prometheus: broken routers, dead servers, missing certificates",
    listen: ":9101",
    version: env!("CARGO_PKG_VERSION"),
};

/// No scrape lasts longer: the daemon's own bound.
const LONGEST_SCRAPE: Duration = Duration::from_secs(60);

/// The program: reads its command line, and serves until it is told to end.
#[must_use]
pub fn main() -> ExitCode {
    daemon::main_with_file(&PROGRAM, run)
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let settings = Settings::new(flags.traefik, &flags.status, |name| {
        std::env::var(name).ok()
    })?;
    let status = Status::new(settings.access, settings.max_objects)?;
    let registry = Registry::new("traefik", PROGRAM.namespace, vec![Box::new(status)]);
    let service = daemon::Settings::new(&PROGRAM, flags.common.web, registry);
    Service::open(service).await?.serve().await;
    Ok(())
}
