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
    facts::{Facts, Program, Site, command, each},
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
    roles::alert_router,
};

/// Sends a test alert to an environment's alert-router.
pub(crate) fn test_alert(
    folder: &Path,
    severity: &str,
    timeout: Duration,
) -> anyhow::Result<Vec<Outcome>> {
    let site = Site::installed(folder)?;
    runtime()?.block_on(async {
        let remotes = Remotes::open(&site.network)?;
        let router = alert_router(&site.network, &remotes, site.materials()?).await?;
        let router = router.context("this environment has no alert-router")?;
        let router = Router::through("alert-router".to_owned(), router);
        router.test(severity, timeout).await
    })
}
