//! Real Cassandra nodes for tests, measurements and the local network: jars and agents fetched by Maven into the cache, a node's
//! files and command line, the running node, and just enough of CQL's protocol to speak to it.

mod cql;
mod files;
mod node;
mod running;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    cql::{ALIVE, Cql, CqlError, Rows, is_alive},
    files::modules,
    node::{Jolokia, Node, Ports, Tls},
    running::Running,
};
use crate::{Found, PartError, find, java, made_cache, maven};

/// The versions that can be had, oldest first: the last one of each line.
pub const VERSIONS: &[&str] = &["3.11.19", "4.0.19", "4.1.10", "5.0.9"];
/// The one to take when it does not matter.
pub const NEWEST: &str = "5.0.9";

const JARS: &str = include_str!("../maven/cassandra.xml");
const AGENTS: &str = include_str!("../maven/agents.xml");

/// What a JVM loads beside Cassandra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// Jolokia for Java 17 and later.
    Jolokia26,
    /// Jolokia for Java 11.
    Jolokia23,
    /// Jolokia for Java 8.
    Jolokia17,
    /// Prometheus' JMX exporter.
    JmxPrometheus,
}

impl Agent {
    /// The file in the cache.
    fn file(self) -> &'static str {
        match self {
            Self::Jolokia26 => "jolokia-2.6.0.jar",
            Self::Jolokia23 => "jolokia-2.3.0.jar",
            Self::Jolokia17 => "jolokia-1.7.2.jar",
            Self::JmxPrometheus => "jmx_prometheus-1.0.1.jar",
        }
    }

    /// Its jar, fetched when the cache has it not.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn jar(self) -> Result<PathBuf, PartError> {
        let folder = made_cache()?.join("cassandra/agents");
        let file = self.file();
        maven::fetch(
            "an agent for Cassandra",
            AGENTS,
            &["dependency:copy"],
            &folder,
            file,
        )?;
        Ok(folder.join(file))
    }
}

/// The folder with the jars of a version, fetched when the cache has it not.
///
/// # Errors
/// When the version is unknown, or cannot be fetched.
pub fn jars(version: &str) -> Result<PathBuf, PartError> {
    if !VERSIONS.contains(&version) {
        return Err(PartError::Unknown(format!("Cassandra {version}")));
    }
    let folder = made_cache()?.join("cassandra").join(version);
    let wanted = format!("-Dcassandra.version={version}");
    let mut arguments = vec!["dependency:copy-dependencies", wanted.as_str()];
    if is_3(version) {
        arguments.extend(["--activate-profiles", "thrift"]);
    }
    let sign = format!("lib/cassandra-all-{version}.jar");
    maven::fetch(
        &format!("Cassandra {version}"),
        JARS,
        &arguments,
        &folder,
        &sign,
    )?;
    Ok(folder.join("lib"))
}

/// The Java that nodes run on.
///
/// # Errors
/// When there is none and it cannot be fetched.
pub fn java() -> Result<PathBuf, PartError> {
    let Found { path, .. } = find(java::JAVA.program)?;
    Ok(path)
}

fn is_3(version: &str) -> bool {
    version.starts_with("3.")
}

/// Why a node does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CassandraError {
    /// Java, jars or agents are not there.
    #[error("a part of Cassandra is missing")]
    Part(#[from] PartError),
    /// Its folder.
    #[error("cannot use {}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process.
    #[error("cannot start {program}")]
    Start {
        /// Java.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended while it should have started.
    #[error("{name} ended ({status}); the end of its log:\n{log}")]
    Ended {
        /// The node.
        name: String,
        /// How.
        status: String,
        /// Its last lines.
        log: String,
    },
    /// It takes too long.
    #[error("{name} is not ready after {} s; the end of its log:\n{log}", patience.as_secs())]
    Late {
        /// The node.
        name: String,
        /// How long was waited.
        patience: Duration,
        /// Its last lines.
        log: String,
    },
    /// It cannot be asked or told.
    #[error("nodetool {arguments}: {reason}")]
    Nodetool {
        /// What was asked.
        arguments: String,
        /// What it said.
        reason: String,
    },
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> CassandraError {
    let path = path.to_owned();
    |source| CassandraError::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::{AGENTS, Agent, JARS, NEWEST, PartError, VERSIONS, jars};

    #[test]
    fn lists() {
        assert!(VERSIONS.is_sorted() && VERSIONS.last() == Some(&NEWEST));
        assert!(JARS.contains("<id>thrift</id>"));
        for agent in [
            Agent::Jolokia26,
            Agent::Jolokia23,
            Agent::Jolokia17,
            Agent::JmxPrometheus,
        ] {
            let name = format!("<destFileName>{}</destFileName>", agent.file());
            assert!(AGENTS.contains(&name), "{name}");
        }
        let error = jars("2.2.0").unwrap_err();
        assert!(
            matches!(&error, PartError::Unknown(it) if it == "Cassandra 2.2.0"),
            "{error}"
        );
    }
}
