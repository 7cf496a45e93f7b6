//! What Terraform is given of `config.json`: the keys that its modules declare, references resolved, and nothing that is secret.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::files;
use crate::config::Config;

/// Secrets that Terraform itself, or its provider, works with.
const ITS_OWN: &[&str] = &["AWS_", "TF_"];

/// A file for `-var-file`, of mode 0600, that goes when it is dropped.
pub(super) fn file(config: &Config) -> anyhow::Result<tempfile::NamedTempFile> {
    let write = || {
        let mut builder = tempfile::Builder::new();
        let mut file = builder
            .prefix("provisioner")
            .suffix(".tfvars.json")
            .tempfile()?;
        file.write_all(Value::Object(values(config)).to_string().as_bytes())?;
        Ok::<_, std::io::Error>(file)
    };
    write().context("cannot write what Terraform is given of config.json")
}

fn values(config: &Config) -> Map<String, Value> {
    let declared = declared(files::text("variables.tf"));
    let values = declared.filter_map(|name| Some((name.to_owned(), config.plain(name)?)));
    values.collect()
}

/// The variables of a text of Terraform's.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines();
    lines.filter_map(|it| it.strip_prefix("variable \"")?.split('"').next())
}

/// Environment variables that config.json refers to: their values are ours, not Terraform's.
pub(super) fn withheld(text: &str) -> Vec<String> {
    let names = text.split("${env:").skip(1);
    let names = names.filter_map(|it| it.split('}').next());
    let names = names.filter(|name| !ITS_OWN.iter().any(|it| name.starts_with(it)));
    // Others would be none of an environment's, and a command refuses them.
    let is_name = |it: &&str| !it.is_empty() && !it.contains(['=', '\0', '"']);
    names.filter(is_name).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use serde_json::{Value, json};

    use super::{declared, file, withheld};
    use crate::{config::Config, terraform::files};

    #[test]
    fn only_what_is_declared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let tag = folder.path().join("tag");
        fs::write(&tag, "3.10.0\n").unwrap();
        let config = json!({
            "name": "n",
            "tag": format!("${{file:{}}}", tag.display()),
            "docker_password": "hunter2",
            "slack_webhook_url": "https://hooks.example/hunter2",
            "remote_write": [{"url": "https://hunter2@example", "password": "hunter2"}],
            "no_notifications": "true",
            "scalar_instance_type": "",
            "cassandra_instance_count": "3",
            "allowed_cidrs": ["203.0.113.0/24"],
            "ports": {"grafana": 3001},
        });
        fs::write(&path, config.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let file = file(&Config::load(&path).unwrap()).unwrap();
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found: Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
        let expect = json!({
            "name": "n",
            "tag": "3.10.0",
            "cassandra_instance_count": "3",
            "allowed_cidrs": ["203.0.113.0/24"],
            "ports": {"grafana": "3001"},
        });
        assert_eq!(found, expect);
    }

    /// No secret is declared, whatever the modules will have.
    #[test]
    fn no_secret_is_declared() {
        let declared: Vec<_> = declared(files::text("variables.tf")).collect();
        assert!(
            declared.contains(&"prefix") && declared.len() > 20,
            "{declared:?}"
        );
        for word in [
            "password",
            "secret",
            "webhook",
            "token",
            "routing_key",
            "readonly",
        ] {
            assert!(!declared.iter().any(|it| it.contains(word)), "{declared:?}");
        }
    }

    #[test]
    fn withheld_names() {
        let text = r#"{"a": "${env:SLACK}", "b": "x${env:AWS_SECRET}", "c": "${env:TF_TOKEN_x}", "d": ["${env:}", "${env:P"]}"#;
        assert_eq!(withheld(text), ["SLACK"]);
    }
}
