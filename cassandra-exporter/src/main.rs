//! cassandra-exporter: metrics of one Cassandra node through Jolokia, without JMX. It reads no node yet: it answers about itself.

use std::{error::Error, process::ExitCode};

use daemon::{CommonFlags, Program, Registry, Service, Settings};

const PROGRAM: Program = Program {
    name: "cassandra-exporter",
    namespace: "cassandra_exporter",
    about: "Metrics of one Cassandra node for Prometheus, through Jolokia. Reads no node yet: only metrics about itself",
    listen: ":9500",
    version: env!("CARGO_PKG_VERSION"),
};

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    _jolokia: JolokiaFlags,
}

/// Where the node will be read; taken so that it can be started as it will be.
#[derive(Debug, clap::Args)]
struct JolokiaFlags {
    /// Jolokia of the node
    #[arg(long = "jolokia.url", value_name = "URL")]
    url: Option<String>,
    /// User that it asks for
    #[arg(long = "jolokia.username", value_name = "NAME")]
    username: Option<String>,
    /// File with the password that it asks for
    #[arg(long = "jolokia.password-file", value_name = "FILE")]
    password_file: Option<std::path::PathBuf>,
}

impl AsRef<CommonFlags> for Flags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

fn main() -> ExitCode {
    daemon::main(&PROGRAM, run)
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let registry = Registry::new("cassandra", PROGRAM.namespace, Vec::new());
    let service = Service::open(Settings::new(&PROGRAM, flags.common.web, registry)).await?;
    service.serve().await;
    Ok(())
}
