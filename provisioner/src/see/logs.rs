//! `provisioner logs`: what programs of ours wrote on a node, from its journal.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::bail;
use tokio::io::AsyncReadExt as _;

use super::child::{self, NO_CONNECTION, Ssh, Streams};
use crate::{
    desired::STATE, exec::shell_word, interrupt::Interrupt, network::Network, output::one_line,
    remote::AS_ROOT,
};

/// Lines, when nobody says how many or since when.
const LINES: usize = 50;

/// `provisioner logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct LogsFlags {
    /// The node
    node: String,
    /// The program; all of ours without
    program: Option<String>,
    /// How many lines [default: 50, or all with --since]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    /// Go on showing what comes
    #[arg(short, long)]
    follow: bool,
    /// From when on, as journalctl reads it: today, '1 hour ago', '2026-01-31 12:00'
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// Shows it, until its end or somebody's interruption; or until nobody reads any more.
pub(crate) fn logs(folder: &Path, flags: &LogsFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let node = child::node(&network, &flags.node)?;
    let words = ["sh", "-c", AS_ROOT, &script(flags)].map(shell_word);
    child::runtime()?.block_on(async {
        let interrupt = Interrupt::listen(|| {})?;
        let mut ssh = Ssh::start(&network, node, &[], &words, Streams::Pipes)?;
        let said = tokio::spawn(ssh.stderr());
        if let None | Some(false) = interrupt.stops(show(&mut ssh)).await {
            ssh.end().await;
            return Ok(ExitCode::SUCCESS);
        }
        let status = ssh.wait().await?;
        let said = one_line(&said.await.unwrap_or_default());
        let name = &node.name;
        match status.code() {
            Some(0) => Ok(ExitCode::SUCCESS),
            Some(NO_CONNECTION) => bail!("{name}: there is no connection, or it broke off: {said}"),
            _ => bail!("{name}: {said}"),
        }
    })
}

/// Whether it came to its end before the reader went away.
async fn show(ssh: &mut Ssh) -> bool {
    let Some(mut from) = ssh.stdout() else {
        return true;
    };
    let mut chunk = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let mut to = io::stdout();
        let written = to.write_all(chunk.get(..read).unwrap_or_default());
        if written.and_then(|()| to.flush()).is_err() {
            return false;
        }
    }
    true
}

/// The node knows what is ours there. What a timer starts writes more than the timer.
fn script(flags: &LogsFlags) -> String {
    let lines = match (flags.lines, &flags.since) {
        (None, Some(_)) => "all".to_owned(),
        (lines, _) => lines.unwrap_or(LINES).to_string(),
    };
    let mut options = format!("-q --no-pager --no-hostname -n {lines}");
    if flags.follow {
        options += " -f";
    }
    if let Some(since) = &flags.since {
        options += &format!(" --since={}", shell_word(since));
    }
    let chosen = flags.program.as_deref().map_or_else(
        || "$units".to_owned(),
        |program| shell_word(&format!("{program}.service")),
    );
    format!(
        "units=$(sed -n '/^unit /{{s///p;s/\\.timer$/.service/p}}' {STATE}/manifest 2>/dev/null)\n\
         [ -n \"$units\" ] || {{ echo 'nothing of ours is installed there' >&2; exit 1; }}\n\
         set --\n\
         for unit in {chosen}; do\n\
         case \" \"$(echo $units)\" \" in *\" $unit \"*) set -- \"$@\" -u \"$unit\" ;;\n\
         *) echo it runs no \"${{unit%.service}}\"';' it runs $(echo $units | sed 's/\\.service//g') >&2; exit 1 ;; esac\n\
         done\n\
         exec journalctl {options} \"$@\""
    )
}
