//! What a Linux host tells about itself, for Prometheus. A library only for its fuzz targets' sake: the program is all of it.

mod collectors;
mod dbus;
mod ebs;
mod ethtool;
mod filter;
mod flags;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod host;
mod netlink;

use std::{error::Error, process::ExitCode};

use daemon::{Program, Registry, Service, Settings};

use crate::flags::Flags;

const PROGRAM: Program = Program {
    name: "node-exporter",
    namespace: "node_exporter",
    about: "Metrics of a Linux host for Prometheus: CPU, memory, disks, file systems, network, services",
    listen: ":9100",
    version: env!("CARGO_PKG_VERSION"),
};

/// The program: reads its command line, and serves until it is told to end.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args();
    if arguments.nth(1).as_deref() == Some("ebs-stats") {
        return ebs::main(std::iter::once("ebs-stats".to_owned()).chain(arguments));
    }
    daemon::main(&PROGRAM, run)
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (enabled, disabled) = collectors::make(&flags)?;
    let registry = Registry::new("node", PROGRAM.namespace, enabled).with_disabled(disabled);
    let names: Vec<_> = registry.names().collect();
    tracing::info!(collectors = names.join(","), "Enabled collectors");
    let service = Service::open(Settings::new(&PROGRAM, flags.common.web, registry)).await?;
    service.serve().await;
    Ok(())
}
