//! What a node can still tell before it is changed: its journal, its containers, its disks; and, from AWS, what its console showed. It is kept
//! in the environment's folder, as what is replaced cannot be asked any more.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;

use crate::{
    config::Config,
    network::Node,
    output::one_line,
    remote::{ReachError, Remote, Remotes},
};

/// The folder of all that was saved, in the environment's.
pub(super) const FOLDER: &str = "evidence";
/// What keeps it out of git.
pub(super) const IGNORED: &str = "evidence/";
/// A node that is ill answers slowly, or not at all.
const REACH: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);
/// Of each file, its end.
const MAX_SIZE: usize = 8 << 20;

/// Files, and what writes them on a node, as root; sorted by name. What the last two days wrote is enough to see what began it.
const FILES: &[(&str, &str)] = &[
    (
        "containers.txt",
        "command -v podman >/dev/null || exit 0; podman ps --all; for it in $(podman ps --all --format '{{.Names}}'); do echo \"== $it\"; podman inspect --format '{{json .State}}' \"$it\"; podman logs --timestamps --tail 5000 \"$it\" 2>&1; done",
    ),
    ("disks.txt", "df -hT; df -i; lsblk -f; cat /proc/mounts"),
    (
        "journal.txt",
        "journalctl --no-pager --output=short-iso-precise --since=-2d -n 50000",
    ),
    (
        "kernel.txt",
        "uname -a; uptime; dmesg --time-format=iso 2>/dev/null || dmesg",
    ),
    ("network.txt", "ip address; ip route; ss -antup"),
    (
        "processes.txt",
        "free -m; ps -eo pid,ppid,user,pcpu,pmem,rss,etime,stat,comm --sort=-pcpu",
    ),
    (
        "services.txt",
        "systemctl --no-pager --all list-units --type=service; systemctl --no-pager --failed; systemctl --no-pager status",
    ),
];

/// Saves all that can be had, and says where it is. A node that does not answer is no error: that is written down, too.
pub(super) async fn save(
    folder: &Path,
    config: &Config,
    remotes: &Remotes,
    node: &Node,
    why: &str,
) -> anyhow::Result<PathBuf> {
    let now = Timestamp::now();
    let place =
        folder
            .join(FOLDER)
            .join(format!("{}-{}", node.name, now.strftime("%Y%m%dT%H%M%SZ")));
    let cannot = || format!("cannot make {}", place.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&place)
        .with_context(cannot)?;
    let id = node.instance_id.as_deref().unwrap_or("-");
    let mut about = format!(
        "node: {}\ninstance-id: {id}\ntime: {now}\nbefore: {why}\n",
        node.name
    );
    match remotes.connect_within(node, REACH).await {
        Ok(remote) => {
            for (name, script) in FILES {
                match told(&remote, script).await {
                    Ok(text) => write(&place.join(name), &text)?,
                    Err(error) => about += &format!("{name}: {}\n", chain(error)),
                }
            }
        }
        Err(error) => about += &format!("the node told nothing: {}\n", chain(error)),
    }
    if let Some(id) = &node.instance_id {
        match console(config, id).await {
            Ok(text) => write(&place.join("console.txt"), &text)?,
            Err(why) => about += &format!("console.txt: {why}\n"),
        }
    }
    write(&place.join("about.txt"), &about)?;
    Ok(place)
}

async fn told(remote: &Remote, script: &str) -> Result<String, ReachError> {
    // The end of what is too long is what counts; what a command says of itself belongs to it.
    let script = format!("{{ {script}; }} 2>&1 | tail -c {MAX_SIZE}");
    Ok(remote.script(&script, &[], PATIENCE).await?.stdout)
}

/// What the machine's console showed, by AWS' own program where it is.
async fn console(config: &Config, id: &str) -> Result<String, String> {
    let mut aws = tokio::process::Command::new("aws");
    aws.args(["ec2", "get-console-output", "--latest", "--output=text"])
        .arg(format!("--instance-id={id}"))
        .env("AWS_PAGER", "")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(region) = config.text("aws_region") {
        aws.arg(format!("--region={region}"));
    }
    match tokio::time::timeout(PATIENCE, aws.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(Ok(output)) => Err(one_line(&String::from_utf8_lossy(&output.stderr))),
        Ok(Err(_missing)) => {
            Err("the program aws, which asks AWS for it, is not on the PATH".to_owned())
        }
        Err(_elapsed) => Err(format!(
            "AWS gave no answer within {} s",
            PATIENCE.as_secs()
        )),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn chain(error: ReachError) -> String {
    one_line(&format!("{:#}", anyhow::Error::from(error)))
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn sorted() {
        assert!(FILES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
