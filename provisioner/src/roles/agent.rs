//! node-exporter, on every node. That of a monitor also looks whether SSH of every node takes connections, which tells a host that is gone
//! from an agent that is.

use super::{PROMETHEUS, Place, Service, socket, unit::adapted};
use crate::{
    desired::{CONFIGURATION, File, Folder, Health, PROGRAMS, STATE, UNITS, Unit},
    network::Role,
};

const NAME: &str = "node-exporter";
const UNIT: &str = include_str!("../../../packaging/systemd/node-exporter.service");
const EBS: &str = "node-exporter-ebs";
const EBS_SERVICE: &str = include_str!("../../../packaging/systemd/node-exporter-ebs.service");
const EBS_TIMER: &str = include_str!("../../../packaging/systemd/node-exporter-ebs.timer");
/// Where node-exporter reads what others have written.
const TEXTFILES: &str = "textfile";

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    // What jobs of root leave here is shown, such as the time of the last backup.
    let textfiles = format!("{STATE}/{TEXTFILES}");
    let mut arguments = vec![
        format!("--web.listen-address={}", place.listen(NAME)?),
        format!("--web.config.file={CONFIGURATION}/{NAME}/web.yml"),
        "--collector.systemd".to_owned(),
        format!("--collector.textfile.directory={textfiles}"),
    ];
    if place.node.roles.contains(&Role::ScalarDl) && place.config().installs(Role::ScalarDl) {
        // How often the ledger was started again.
        arguments.push("--collector.systemd.enable-restarts-metrics".to_owned());
    }
    if place.node.roles.contains(&Role::Monitor) {
        arguments.push("--collector.tcp_probe".to_owned());
        for node in &place.network.nodes {
            let target = socket(&node.private_address, node.port);
            arguments.push(format!("--collector.tcp_probe.target={target}"));
        }
    }
    place.desired.folders.push(Folder {
        path: textfiles.clone(),
        owner: "root".to_owned(),
        mode: 0o755,
    });
    // Of the one that this run leaves there: it is told before it ends.
    let ends = place.identity.ends.as_second();
    root_file(
        place,
        format!("{textfiles}/certificate.prom"),
        format!(
            "# HELP scalar_dl_certificate_not_after_timestamp_seconds When the certificate of this node's agents ends.\n\
             # TYPE scalar_dl_certificate_not_after_timestamp_seconds gauge\n\
             scalar_dl_certificate_not_after_timestamp_seconds {ends}\n"
        ),
    );
    if place.node.instance_id.is_some() {
        ebs(place, &textfiles)?;
    }
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
        disk: None,
        health,
    })
}

/// What a machine of EC2 knows of its volumes, which only root may ask: a timer does, and leaves the answer for node-exporter.
fn ebs(place: &mut Place<'_>, textfiles: &str) -> anyhow::Result<()> {
    let service = adapted(
        EBS_SERVICE,
        &[
            (
                "/usr/bin/node-exporter",
                &format!("{PROGRAMS}/{NAME}/{NAME}"),
            ),
            ("/var/lib/node-exporter", textfiles),
        ],
    )?;
    let files = [
        (format!("{UNITS}/{EBS}.service"), service),
        (format!("{UNITS}/{EBS}.timer"), EBS_TIMER.to_owned()),
    ];
    let restarted_by = files.iter().map(|it| it.0.clone()).collect();
    for (path, content) in files {
        root_file(place, path, content);
    }
    place.desired.units.push(Unit {
        name: format!("{EBS}.timer"),
        program: None,
        restarted_by,
        reloaded_by: Vec::new(),
        is_stateful: false,
        health: Health::Active,
    });
    Ok(())
}

fn root_file(place: &mut Place<'_>, path: String, content: String) {
    place.desired.files.push(File {
        path,
        owner: "root".to_owned(),
        mode: 0o644,
        content: content.into(),
    });
}
