//! `provisioner new`: the files of an environment, with references in the place of secrets.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::{
    config::{FILE, LEVELS, is_word},
    network::HOSTS_FILE,
    output,
};

/// `provisioner new`.
#[derive(Debug, clap::Args)]
pub(crate) struct NewFlags {
    /// The folder of the environment, such as production; its name is the environment's
    folder: PathBuf,
    /// How large its machines are
    #[arg(long, value_name = "LEVEL", default_value = "entry", value_parser = clap::builder::PossibleValuesParser::new(LEVELS))]
    level: String,
    /// Where its machines come from
    #[arg(long, value_name = "TARGET", default_value = "aws", value_parser = ["aws", "hosts"])]
    target: String,
    /// What the deployment is called
    #[arg(long, value_name = "NAME", default_value = "Scalar DL")]
    name: String,
}

const HOSTS: &str = "# The machines of this environment. Roles: bastion, cassandra, scalardl, traefik, monitor, host.
# private_address is where the others reach it, when that is not address; host_key is what ssh-keygen -lf prints
# (SHA256:…), for machines that are not among your known hosts; instance_id is shown in alerts.
defaults:
  user: admin
  bastion: bastion
hosts:
  - {name: bastion, address: 203.0.113.10, private_address: 10.0.0.10, role: bastion}
  - {name: cassandra-1, address: 10.0.1.11, role: cassandra, zone: a}
  - {name: cassandra-2, address: 10.0.2.12, role: cassandra, zone: b}
  - {name: cassandra-3, address: 10.0.3.13, role: cassandra, zone: c}
  - {name: scalardl-1, address: 10.0.1.21, role: scalardl, zone: a}
  - {name: traefik-1, address: 10.0.1.31, role: traefik, zone: a}
  - {name: monitor-1, address: 10.0.1.41, role: monitor, zone: a}
";

/// What must not be shared: the environment's authority, and files that references name.
const IGNORED: &str = "pki/\nsecrets/\njournal.log\nlock\n";

/// Writes the files of a new environment. What is there is never written over.
pub(crate) fn new(flags: &NewFlags) -> anyhow::Result<ExitCode> {
    let folder = &flags.folder;
    let name = folder
        .file_name()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    if name.is_empty() || !is_word(name) {
        bail!(
            "{} cannot be an environment: its last part must be a word of letters, digits and hyphens",
            folder.display()
        );
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let config = serde_json::to_string_pretty(&config(name, flags))? + "\n";
    let mut files = vec![(FILE, config.as_str()), (".gitignore", IGNORED)];
    if flags.target == "hosts" {
        files.push((HOSTS_FILE, HOSTS));
    }
    for (file, text) in &files {
        write(&folder.join(file), text)?;
    }
    let written: Vec<_> = files.iter().map(|it| it.0).collect();
    output::say(format!(
        "wrote {} in {}",
        written.join(", "),
        folder.display()
    ));
    output::say(format!(
        "fill in what begins with < and set the environment variables that config.json names; then: provisioner -e {} validate",
        folder.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn config(environment: &str, flags: &NewFlags) -> Value {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| drop(config.insert(key.to_owned(), value));
    set("name", json!(flags.name));
    set("prefix", json!(environment));
    set("environment", json!(environment));
    set("target", json!(flags.target));
    set("level", json!(flags.level));
    set("slack_webhook_url", json!("${env:SLACK_WEBHOOK_URL}"));
    if flags.target == "aws" {
        set("tag", json!("<the tag of Scalar DL's image>"));
        set("aws_region", json!("us-east-1"));
        set("aws_key_name", json!("<a key pair of your account>"));
        set("private_key_file", json!("~/.ssh/<its private key>"));
        set("docker_user", json!("<the registry's user>"));
        set("docker_password", json!("${env:DOCKER_PASSWORD}"));
        set("allowed_cidrs", json!(["203.0.113.0/24"]));
    }
    set("grafana_password", json!("${env:GRAFANA_PASSWORD}"));
    Value::Object(config)
}
