//! alert-router: what Prometheus finds, to people.

use super::{
    super::{OPERATOR, PROMETHEUS, Place, Service, unit::adapted},
    kept, url,
};
use crate::{
    alerting::{self, Pace, Ways},
    desired::CONFIGURATION,
    exec::shell_word,
};

const NAME: &str = "alert-router";
const FILE: &str = "alert-router.yml";
const UNIT: &str = include_str!("../../../../packaging/systemd/alert-router.service");

/// What fires together comes within seconds; what follows may wait a little.
const PACE: Pace = Pace {
    wait: "10s",
    interval: "1m",
    // A zone that is gone takes three machines and what runs on them with it.
    digest: Some((10, "1m")),
};

/// What an alert's `repair` may begin with, and what it becomes. `instance` is the alert's label; other placeholders are words of its
/// annotation, which may name another node.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("install", "install {nodes}"),
    ("recover", "recover {node}"),
    ("start", "start {instance} {program}"),
];

pub(super) fn add(place: &mut Place<'_>, disk: Option<&str>) -> anyhow::Result<()> {
    let state = kept(place, NAME, disk);
    let arguments = vec![
        format!("--config.file={CONFIGURATION}/{NAME}/{FILE}"),
        format!("--storage.path={state}"),
        format!("--web.listen-address={}", place.listen(NAME)?),
        format!("--web.config.file={CONFIGURATION}/{NAME}/web.yml"),
        format!(
            "--web.external-url={}",
            url(place.network, place.node, NAME)?
        ),
        "--web.route-prefix=/".to_owned(),
    ];
    let environment = place.config().text("environment").unwrap_or_default();
    let command = |words: &str| format!("provisioner -e {} {words}", shell_word(environment));
    let text = alerting::configuration(
        "provisioner install",
        &Ways::of(place.config())?,
        PACE,
        &COMMANDS
            .iter()
            .map(|(name, words)| (*name, command(words)))
            .collect::<Vec<_>>(),
    );
    place.secret(NAME, FILE, text);
    let secrets = &place.materials.secrets;
    place.web(
        NAME,
        &[(OPERATOR, &secrets.operator), (PROMETHEUS, &secrets.alerts)],
    );
    // Where everything of ours is; the folder is there already.
    let unit = adapted(
        UNIT,
        &[(
            "StateDirectory=alert-router\nStateDirectoryMode=0700\n",
            &format!("ReadWritePaths={state}\n"),
        )],
    )?;
    let health = place.health(NAME, "/-/ready", OPERATOR, &secrets.operator.secret);
    place.service(Service {
        name: NAME,
        unit: &unit,
        without: &["EnvironmentFile="],
        program: NAME,
        arguments,
        restarted_by: &[],
        reloaded_by: &[FILE],
        disk,
        health,
    })
}
