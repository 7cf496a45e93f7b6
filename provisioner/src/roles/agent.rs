//! node-exporter, on every node. That of a monitor also looks whether SSH of every node takes connections, which tells a host that is gone
//! from an agent that is.

use super::{PROMETHEUS, Place, Service, socket};
use crate::{
    desired::{CONFIGURATION, Folder, STATE},
    network::Role,
};

const NAME: &str = "node-exporter";
const UNIT: &str = include_str!("../../../packaging/systemd/node-exporter.service");

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    // What jobs of root leave here is shown, such as the time of the last backup.
    let textfiles = format!("{STATE}/textfile");
    let mut arguments = vec![
        format!("--web.listen-address={}", place.listen(NAME)?),
        format!("--web.config.file={CONFIGURATION}/{NAME}/web.yml"),
        "--collector.systemd".to_owned(),
        format!("--collector.textfile.directory={textfiles}"),
    ];
    if place.node.roles.contains(&Role::Monitor) {
        arguments.push("--collector.tcp_probe".to_owned());
        for node in &place.network.nodes {
            let target = socket(&node.private_address, node.port);
            arguments.push(format!("--collector.tcp_probe.target={target}"));
        }
    }
    place.desired.folders.push(Folder {
        path: textfiles,
        owner: "root".to_owned(),
        mode: 0o755,
    });
    let password = &place.materials.secrets.scrape;
    place.web(NAME, &[(PROMETHEUS, password)]);
    let health = place.health(NAME, "/-/healthy", PROMETHEUS, &password.secret);
    place.service(Service {
        name: NAME,
        unit: UNIT,
        without: &["EnvironmentFile="],
        program: NAME,
        arguments,
        // It reads certificates and passwords anew by itself.
        restarted_by: &[],
        reloaded_by: &[],
        health,
    })
}
