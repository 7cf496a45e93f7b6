//! The command line: Alertmanager's flags as they stand in people's units, and commands beside them.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::Parser;
use daemon::CommonFlags;

/// What to do.
pub(crate) enum Command {
    /// Serve; also when no command is named, as Alertmanager does.
    Run(Vec<OsString>),
    CheckConfig(Vec<PathBuf>),
    /// One of `cli`'s.
    Other(Vec<OsString>),
}

/// Commands: run (the default), check-config FILE….
#[derive(Debug, Parser)]
#[command(
    after_help = "Commands:\n  run                   serve; what the program does when no command is named\n  check-config FILE...  say whether configuration files can be used\n  template render       show what a template makes of an alert"
)]
pub(crate) struct RunFlags {
    /// The configuration, in Alertmanager's format.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "alertmanager.yml"
    )]
    pub(crate) config: PathBuf,
    /// Folder for what must survive a restart.
    #[arg(long = "storage.path", value_name = "FOLDER", default_value = "data/")]
    storage: PathBuf,
    /// How long to keep what is over; accepted, as nothing is kept on disk yet.
    #[arg(
        long = "data.retention",
        value_name = "DURATION",
        default_value = "120h"
    )]
    _retention: String,
    /// The URL under which people reach this program, when it stands behind a proxy.
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// What stands before every path; by default the path of --web.external-url.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// Accepted; one alert-router needs no port for others.
    #[arg(
        long = "cluster.listen-address",
        value_name = "ADDRESS",
        default_value = ""
    )]
    _cluster_listen: String,
    /// Refused: alert-routers do not speak to each other yet.
    #[arg(long = "cluster.peer", value_name = "ADDRESS")]
    peers: Vec<String>,
    #[command(flatten)]
    pub(crate) common: CommonFlags,
}

impl AsRef<CommonFlags> for RunFlags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

/// A flag that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    #[error(
        "--cluster.peer is not supported yet: alert-routers do not speak to each other; take the flag out"
    )]
    Peers,
    #[error("cannot write to --storage.path={}; give a folder that this user may write to and that is not full", path.display())]
    Storage { path: PathBuf, source: io::Error },
    #[error("--web.external-url={0:?} is no URL of http or https")]
    ExternalUrl(String),
}

/// Which command a command line means.
pub(crate) fn command(mut arguments: Vec<OsString>) -> Command {
    match arguments
        .get(1)
        .map(OsString::as_os_str)
        .and_then(OsStr::to_str)
    {
        Some("run") => {
            arguments.remove(1);
            Command::Run(arguments)
        }
        Some("check-config") if arguments.len() > 2 => {
            Command::CheckConfig(arguments.into_iter().skip(2).map(PathBuf::from).collect())
        }
        Some(name) if crate::cli::COMMANDS.contains(&name) => Command::Other(arguments),
        _ => Command::Run(arguments),
    }
}

impl RunFlags {
    pub(crate) const fn refuse_peers(&self) -> Result<(), FlagError> {
        if self.peers.is_empty() {
            Ok(())
        } else {
            Err(FlagError::Peers)
        }
    }

    /// Makes the folder and proves that it can be written to: better now than when it matters.
    pub(crate) fn prepare_storage(&self) -> Result<(), FlagError> {
        let probe = self.storage.join(".probe");
        let written = fs::create_dir_all(&self.storage).and_then(|()| {
            let mut file = fs::File::create(&probe)?;
            file.write_all(&[0; 4096])?;
            file.sync_all()
        });
        // A probe that was half written must not stay either.
        drop(fs::remove_file(&probe));
        written.map_err(|source| FlagError::Storage {
            path: self.storage.clone(),
            source,
        })
    }

    /// Without a slash at the end; empty when nobody said.
    pub(crate) fn external_url(&self) -> String {
        self.external_url
            .as_deref()
            .unwrap_or("")
            .trim_end_matches('/')
            .to_owned()
    }

    /// `/alerts`, or nothing.
    pub(crate) fn prefix(&self) -> Result<String, FlagError> {
        let path = match (&self.route_prefix, &self.external_url) {
            (Some(prefix), _) => prefix.clone(),
            (None, None) => String::new(),
            (None, Some(url)) => client::Url::parse(url)
                .ok()
                .filter(|it| matches!(it.scheme(), "http" | "https"))
                .map(|it| it.path().to_owned())
                .ok_or_else(|| FlagError::ExternalUrl(url.clone()))?,
        };
        let path = path.trim_matches('/');
        Ok(if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, RunFlags, command};
    use crate::PROGRAM;

    fn read(arguments: &[&str]) -> Result<RunFlags, String> {
        let arguments = [&["alert-router"], arguments]
            .concat()
            .into_iter()
            .map(Into::into)
            .collect();
        match command(arguments) {
            Command::Run(arguments) => {
                daemon::flags::parse(&PROGRAM, arguments).map_err(|it| it.to_string())
            }
            Command::CheckConfig(files) => Err(format!("{files:?}")),
            Command::Other(arguments) => Err(format!("{arguments:?}")),
        }
    }

    #[test]
    fn commands_and_prefixes() {
        for (arguments, expect) in [
            (&[][..], Ok("")),
            (&["run", "--config.file=x.yml"], Ok("")),
            (
                &["--config.file", "x.yml", "--web.external-url=http://a/b/"],
                Ok("/b"),
            ),
            (
                &["--web.external-url=http://a/b", "--web.route-prefix=/"],
                Ok(""),
            ),
            (&["--web.route-prefix=c/d"], Ok("/c/d")),
            (
                &[
                    "--storage.path=x",
                    "--data.retention=5h",
                    "--cluster.listen-address=",
                ],
                Ok(""),
            ),
            (
                &["check-config", "a.yml", "b.yml"],
                Err("[\"a.yml\", \"b.yml\"]"),
            ),
            (
                &["--config.fil=x"],
                Err("error: unexpected argument '--config.fil'"),
            ),
        ] {
            let found = read(arguments).map(|it| it.prefix().unwrap());
            match expect {
                Ok(expect) => assert_eq!(found.as_deref(), Ok(expect), "{arguments:?}"),
                Err(expect) => assert!(found.clone().unwrap_err().starts_with(expect), "{found:?}"),
            }
        }
        assert!(
            read(&["--cluster.peer=a:1"])
                .unwrap()
                .refuse_peers()
                .is_err()
        );
        assert!(read(&["--web.external-url=a"]).unwrap().prefix().is_err());
    }
}
