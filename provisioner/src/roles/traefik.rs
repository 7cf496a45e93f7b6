//! traefik-exporter beside Traefik: what its API tells, what it did not take of its configuration, and whether clients get answers.

use super::{PROMETHEUS, Place, Service, unit::adapted};
use crate::desired::{CONFIGURATION, STATE};

const NAME: &str = "traefik-exporter";
const UNIT: &str = include_str!("../../../packaging/systemd/traefik-exporter.service");

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    let arguments = vec![
        format!("--web.listen-address={}", place.listen(NAME)?),
        format!("--web.config.file={CONFIGURATION}/{NAME}/web.yml"),
        "--traefik.url=http://127.0.0.1:8080".to_owned(),
        "--collector.config-watch".to_owned(),
        "--config-watch.log=/var/log/traefik/traefik.log".to_owned(),
        "--config-watch.files=/etc/traefik/dynamic".to_owned(),
        "--collector.access-log".to_owned(),
        "--access-log.file=/var/log/traefik/access.log".to_owned(),
        format!("--access-log.checkpoint={STATE}/{NAME}/access-log.place"),
        "--collector.probe".to_owned(),
        // Traefik's own metrics, which it gives to this machine alone.
        "--collector.passthrough".to_owned(),
    ];
    // Where everything of ours is; systemd makes it.
    let unit = adapted(
        UNIT,
        &[(
            "StateDirectory=traefik-exporter",
            "StateDirectory=scalar-dl-monitoring/traefik-exporter",
        )],
    )?;
    let password = &place.materials.secrets.scrape;
    place.web(NAME, &[(PROMETHEUS, password)]);
    let health = place.health(NAME, "/-/healthy", PROMETHEUS, &password.secret);
    place.service(Service {
        name: NAME,
        unit: &unit,
        without: &["EnvironmentFile="],
        program: NAME,
        arguments,
        restarted_by: &[],
        reloaded_by: &[],
        health,
    })
}
