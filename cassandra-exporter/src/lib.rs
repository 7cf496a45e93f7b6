//! Metrics of one Cassandra node through Jolokia's HTTP, without JMX. A library only for its fuzz targets' sake: the program is all of it.

mod activity;
#[cfg(test)]
mod catalogue;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod histogram;
mod jolokia;
mod jvm;
mod metrics;
mod object_name;
mod plan;
mod ring;
mod scrape;

use std::{error::Error, process::ExitCode, time::Duration};

use daemon::{Program, Registry, Service};

use crate::{
    config::{Flags, Settings},
    scrape::Node,
};

const PROGRAM: Program = Program {
    name: "cassandra-exporter",
    namespace: "cassandra_exporter",
    about: "Metrics of one Cassandra node for Prometheus, through Jolokia: tables, requests, ring, compactions, JVM",
    listen: ":9500",
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
    let settings = Settings::new(flags.jolokia, flags.reading, |name| {
        std::env::var(name).ok()
    })?;
    let node = Node::new(settings)?;
    let registry = Registry::new("cassandra", PROGRAM.namespace, vec![Box::new(node)]);
    let service = daemon::Settings::new(&PROGRAM, flags.common.web, registry);
    Service::open(service).await?.serve().await;
    Ok(())
}
