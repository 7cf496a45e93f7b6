//! What operators look with: how environments are, what is wrong and what to do, what programs wrote, and ways to nodes and their programs.

mod checks;
mod child;
mod doctor;
mod facts;
mod logs;
mod look;
mod monitor;
mod open;
mod ssh;
mod status;

use std::{path::Path, time::Duration};

use anyhow::Context as _;

pub(crate) use self::{
    checks::{LOOPBACK_ALONE, ports},
    doctor::{DoctorFlags, doctor},
    facts::{Facts, Program, Site, each},
    logs::{LogsFlags, logs},
    look::look,
    monitor::{Target, prometheus, targets},
    open::{OpenFlags, open},
    ssh::{SshFlags, ssh},
    status::{StatusFlags, status},
};
use crate::{
    alerts::{Outcome, Router},
    install::runtime,
    remote::Remotes,
};

/// Sends a test alert to an environment's alert-router.
pub(crate) fn test_alert(
    folder: &Path,
    severity: &str,
    timeout: Duration,
) -> anyhow::Result<Vec<Outcome>> {
    let site = Site::installed(folder)?;
    let program = "alert-router";
    let node = site.with(program).next();
    let node = node.context("this environment has no alert-router")?;
    runtime()?.block_on(async {
        let remotes = Remotes::open(&site.network)?;
        let remote = remotes.connect(node).await?;
        let tunnel = site.tunnel(&remote, node, program).await?;
        let router = Router::through(format!("alert-router on {}", node.name), tunnel);
        router.test(severity, timeout).await
    })
}
