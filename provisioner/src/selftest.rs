//! `provisioner selftest --aws`: a small network in the account of an environment, made, looked at, hurt, mended and destroyed. What it costs
//! is said before it starts; whatever happens, it tries to destroy what it made, and says what may be left. It calls what the commands call.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::{
    artifacts,
    config::{Config, FILE, Target},
    exec::shell_word,
    install::runtime,
    interrupt::{Interrupt, Interrupted},
    network::Network,
    operate::{self, RecoverFlags, ReplaceFlags},
    output, planning, private,
    terraform::{self, ApplyFlags, DestroyFlags, InitFlags, PlanFlags},
    verify::{self, VerifyFlags},
};

/// `provisioner selftest`.
#[derive(Debug, clap::Args)]
pub(crate) struct SelftestFlags {
    /// In AWS, with the account, the keys and the image of the environment's config.json
    #[arg(long, required = true)]
    aws: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Touch no machine: for tests with a stand-in for AWS, which has none
    #[arg(long, hide = true)]
    no_install: bool,
}

/// Keys of config.json that it takes over: whose account it is, how machines are reached, what is installed, who is told. All else is its own.
const TAKEN: &[&str] = &[
    "alert_email",
    "allowed_cidrs",
    "artifacts",
    "aws_key_name",
    "aws_region",
    "docker_password",
    "docker_user",
    "grafana_password",
    "no_notifications",
    "private_key_file",
    "scalar_image",
    "scalar_image_archive",
    "scalar_properties",
    "scalar_schema_image",
    "scalar_schema_image_archive",
    "slack_webhook_url",
    "smtp_auth_password",
    "smtp_auth_username",
    "smtp_from",
    "smtp_require_tls",
    "smtp_smarthost",
    "tag",
];
/// Those of them that are paths, relative to the file.
const PATHS: &[&str] = &[
    "path",
    "private_key_file",
    "scalar_image_archive",
    "scalar_schema_image_archive",
];
/// Whom the machines are named after.
const PREFIX: &str = "selftest";
/// Which one is taken away.
const VICTIM: &str = "scalardl-1";
/// Until AWS has ended a machine.
const PATIENCE: Duration = Duration::from_secs(540);

/// Does it, and says how it went.
pub(crate) fn selftest(folder: &Path, flags: &SelftestFlags) -> anyhow::Result<ExitCode> {
    let config = Config::load_environment(folder)?;
    if config.target() != Target::Aws {
        bail!(
            "{} is about machines that there are: --aws wants an environment with \"target\": \"aws\", whose account it uses",
            folder.join(FILE).display()
        );
    }
    let trial = Trial::new(folder, flags.no_install)?;
    let own = Network::load(&trial.folder)?.config;
    let (monthly, hours) = planning::monthly(&own).inspect_err(|_| drop(trial.forget()))?;
    output::say(format!(
        "a network of its own, {}, in {}: 3 small Cassandra nodes, 2 ledgers, an entry point, a bastion, a monitor\n\
         it is made, verified, loses {VICTIM}, is mended, verified and destroyed: about an hour\n\
         about {:.2} USD for each hour that it stands (an estimate, {monthly:.0} USD a month), and its traffic\n\
         receivers of config.json get test alerts; {} is its environment until it is gone",
        trial.name(),
        own.text("aws_region").unwrap_or("us-east-1"),
        monthly / hours,
        trial.folder.display(),
    ));
    if !flags.yes
        && let Err(error) = terraform::ask("begin, and pay for it?")
    {
        trial.forget()?;
        return Err(error);
    }
    let runtime = runtime()?;
    let undo = trial.undo();
    let interrupt = runtime.block_on(async {
        Interrupt::listen(move || {
            output::note(format!(
                "it destroys what was made; once more leaves that to you: `{undo}`"
            ));
        })
    })?;
    let tested = trial.run(&interrupt);
    if let Err(error) = &tested {
        output::warn(format!("it did not go well: {error:#}"));
    }
    let destroyed = trial.destroy();
    match (tested, destroyed) {
        (Ok(()), Ok(())) => {
            trial.forget()?;
            output::say("all went well, and nothing is left");
            Ok(ExitCode::SUCCESS)
        }
        (tested, Err(error)) => {
            output::warn(format!(
                "something may be left in AWS, and cost money: `{}` tries again; in AWS' console it is what has the tag Environment={} and names that begin with {}",
                trial.undo(),
                trial.environment,
                trial.name()
            ));
            Err(tested.err().unwrap_or(error))
        }
        (Err(error), Ok(())) => {
            output::note(format!(
                "nothing is left in AWS; what was found out is in {}",
                trial.folder.display()
            ));
            Err(error)
        }
    }
}

/// A throwaway environment.
struct Trial {
    folder: PathBuf,
    environment: String,
    /// Machines are really there.
    has_machines: bool,
}

impl Trial {
    /// Writes its files into a folder of its own, within that of the environment.
    fn new(of: &Path, no_install: bool) -> anyhow::Result<Self> {
        let path = of.join(FILE);
        let cannot = || format!("cannot read {}", path.display());
        let text = fs::read_to_string(&path).with_context(cannot)?;
        let theirs: Map<String, Value> =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).with_context(cannot)?;
        let of = std::path::absolute(of)?;
        let environment = format!("t{}", jiff::Timestamp::now().as_second());
        let folder = of.join(format!("{PREFIX}-{environment}"));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let config = serde_json::to_string_pretty(&config(theirs, &of, &environment))?;
        private::write(&folder.join(FILE), &(config + "\n"))?;
        private::write(&folder.join(".gitignore"), "*\n")?;
        Ok(Self {
            folder,
            environment,
            has_machines: !no_install,
        })
    }

    fn name(&self) -> String {
        format!("{PREFIX}-{}", self.environment)
    }

    /// The command that destroys what it made.
    fn undo(&self) -> String {
        let folder = self.folder.display().to_string();
        format!(
            "provisioner -e {} destroy --delete-data {}",
            shell_word(&folder),
            self.name()
        )
    }

    fn run(&self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let folder = &self.folder;
        let step = |what: &str, step: &dyn Fn() -> anyhow::Result<ExitCode>| {
            if interrupt.came() {
                bail!(Interrupted(format!("before this: {what}")));
            }
            output::say(format!("selftest: {what}"));
            let code = step().with_context(|| what.to_owned())?;
            if code != ExitCode::SUCCESS {
                bail!("{what}: not all is well, as said above");
            }
            Ok(())
        };
        let apply = || {
            let flags = ApplyFlags {
                yes: true,
                no_install: !self.has_machines,
                ..ApplyFlags::default()
            };
            terraform::apply(folder, &flags)
        };
        let verify = || verify::verify(folder, &VerifyFlags::default());
        step("init", &|| terraform::init(folder, &InitFlags::default()))?;
        if self.has_machines {
            step("pin the programs", &|| {
                artifacts::run(folder, &artifacts::Command::Pin)
            })?;
        }
        step("make the machines and install on them", &apply)?;
        if self.has_machines {
            step("verify", &verify)?;
        }
        let before = self.instance()?;
        if parts::on_path("aws").is_some() {
            step("terminate a ledger's machine", &|| {
                self.terminate(&before, interrupt)
            })?;
            step("mend what is gone", &|| match self.has_machines {
                true => operate::recover(folder, &RecoverFlags::of(VICTIM)),
                false => apply(),
            })?;
        } else {
            output::note(format!(
                "AWS' own program aws is not on the PATH, so {VICTIM} is replaced in place of being terminated"
            ));
            step("replace a ledger's machine", &|| match self.has_machines {
                true => operate::replace(folder, &ReplaceFlags::of(VICTIM)),
                false => {
                    let flags = PlanFlags {
                        replace: vec![VICTIM.to_owned()],
                        no_install: true,
                        ..PlanFlags::default()
                    };
                    // That there is something to do is an exit code of its own.
                    terraform::plan(folder, &flags)?;
                    apply()
                }
            })?;
        }
        let after = self.instance()?;
        if after == before {
            bail!("{VICTIM} is {before} as before: it was not made anew");
        }
        output::say(format!(
            "{VICTIM}: {before} is gone, {after} is in its place"
        ));
        if self.has_machines {
            step("verify again", &verify)?;
        }
        Ok(())
    }

    fn instance(&self) -> anyhow::Result<String> {
        let network = Network::load(&self.folder)?;
        let node = network.nodes.into_iter().find(|it| it.name == VICTIM);
        let id = node.and_then(|it| it.instance_id);
        id.with_context(|| format!("Terraform's outputs have no {VICTIM}"))
    }

    /// What somebody does in AWS' console.
    fn terminate(&self, id: &str, interrupt: &Interrupt) -> anyhow::Result<ExitCode> {
        let config = Network::load(&self.folder)?.config;
        let region = config.text("aws_region").unwrap_or("us-east-1");
        let runtime = runtime()?;
        for words in [
            ["terminate-instances"].as_slice(),
            &["wait", "instance-terminated"],
        ] {
            let what = format!("aws ec2 {} of {id}", words.join(" "));
            let ended = runtime.block_on(async {
                let mut aws = tokio::process::Command::new("aws");
                aws.arg("ec2")
                    .args(words)
                    .args(["--instance-ids", id, "--region", region])
                    .env("AWS_PAGER", "")
                    .stdin(Stdio::null())
                    .kill_on_drop(true);
                let ended = tokio::time::timeout(PATIENCE, aws.output());
                interrupt.stops(ended).await
            });
            let Some(ended) = ended else {
                bail!(Interrupted(what));
            };
            let ended = ended
                .with_context(|| format!("{what}: no end within {} s", PATIENCE.as_secs()))?
                .with_context(|| what.clone())?;
            if !ended.status.success() {
                let said = String::from_utf8_lossy(&ended.stderr);
                bail!("{what}: {}", output::one_line(&said));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn destroy(&self) -> anyhow::Result<()> {
        output::say("selftest: destroy what was made");
        let flags = DestroyFlags::all(self.name());
        terraform::destroy(&self.folder, &flags).context("destroy")?;
        Ok(())
    }

    /// Removes its folder.
    fn forget(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}

/// The throwaway's config.json: what is theirs, in a folder below, and the smallest machines that Cassandra and a ledger run on.
fn config(theirs: Map<String, Value>, folder: &Path, environment: &str) -> Value {
    let own = json!({
        "name": "A self test of the provisioner",
        "prefix": PREFIX,
        "environment": environment,
        "target": "aws",
        "level": "entry",
        "bastion_instance_type": "t3.micro",
        "cassandra_ebs_volume_size": "20",
        "cassandra_instance_count": "3",
        "cassandra_instance_type": "t3.large",
        "monitor_ebs_volume_size": "20",
        "monitor_instance_type": "t3.medium",
        "scalar_autoscaling_group_desire": "2",
        "scalar_ebs_volume_size": "30",
        "scalar_instance_type": "t3.medium",
        "traefik_instance_type": "t3.small",
        "tags": {"Purpose": "selftest"},
    });
    let mut all: Map<_, _> = theirs
        .into_iter()
        .filter(|it| TAKEN.contains(&it.0.as_str()))
        .map(|(key, value)| {
            let value = moved(&key, value, folder);
            (key, value)
        })
        .collect();
    let ways = ["slack_webhook_url", "alert_email"];
    if !ways.iter().any(|it| all.contains_key(*it)) {
        all.insert("no_notifications".to_owned(), json!(true));
    }
    all.extend(own.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// A value whose paths were relative to a folder.
fn moved(key: &str, value: Value, folder: &Path) -> Value {
    let absolute = |path: &str| match path.starts_with("~/") {
        true => path.to_owned(),
        false => folder.join(path).display().to_string(),
    };
    match value {
        Value::String(text) => {
            let file = text.strip_prefix("${file:");
            Value::String(match file.and_then(|it| it.strip_suffix('}')) {
                Some(file) => format!("${{file:{}}}", absolute(file)),
                None if PATHS.contains(&key) && !text.starts_with("${") => absolute(&text),
                None => text,
            })
        }
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| {
                let value = moved(&key, value, folder);
                (key, value)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{PATHS, TAKEN, config};

    #[test]
    fn sorted() {
        assert!(TAKEN.is_sorted() && PATHS.is_sorted());
    }

    /// What is theirs goes with it, from where it is; what makes their network large, public or loud does not.
    #[test]
    fn what_it_takes_over() {
        let made = |theirs: Value| {
            let theirs = theirs.as_object().unwrap().clone();
            config(theirs, Path::new("/env"), "t1")
        };
        let theirs = json!({
            "private_key_file": "key.pem",
            "docker_password": "${file:secrets/docker}",
            "grafana_password": "${env:GRAFANA}",
            "slack_webhook_url": "${file:~/slack}",
            "artifacts": {"jolokia": {"path": "jolokia.jar", "version": "2.3.0"}},
            "prefix": "sdl",
            "level": "high",
            "site_url": "dl.example.com",
            "pagerduty_routing_key": "loud",
            "cassandra_instance_count": 9,
        });
        let made_of = made(theirs);
        for (key, expect) in [
            ("private_key_file", json!("/env/key.pem")),
            ("docker_password", json!("${file:/env/secrets/docker}")),
            ("grafana_password", json!("${env:GRAFANA}")),
            ("slack_webhook_url", json!("${file:~/slack}")),
            (
                "artifacts",
                json!({"jolokia": {"path": "/env/jolokia.jar", "version": "2.3.0"}}),
            ),
            ("prefix", json!("selftest")),
            ("level", json!("entry")),
            ("site_url", Value::Null),
            ("pagerduty_routing_key", Value::Null),
            ("cassandra_instance_count", json!("3")),
            ("no_notifications", Value::Null),
        ] {
            assert_eq!(made_of[key], expect, "{key}");
        }
        assert_eq!(made(json!({}))["no_notifications"], true);
    }
}
