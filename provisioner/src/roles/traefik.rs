//! Traefik before the ledgers, where it is installed from here, and traefik-exporter beside it: what its API tells, what it did not take of its configuration, and whether clients get answers.

use super::{PROMETHEUS, Place, Service, entry::Entry, scalardl, socket, unit::adapted};
use crate::{
    desired::{CONFIGURATION, File, Folder, Health, STATE},
    network::{Network, Role},
};

const TRAEFIK: &str = "traefik";
const TRAEFIK_UNIT: &str = include_str!("../../data/units/traefik.service");
const STATIC: &str = include_str!("../../../packaging/traefik/traefik.yml");
const MONITORING: &str = include_str!("../../../packaging/traefik/dynamic/monitoring.yml");
const ROTATION: &str = include_str!("../../../packaging/traefik/logrotate");
/// As packaging/traefik has them.
const FOLDER: &str = "/etc/traefik";
/// The certificate that clients are shown.
pub(super) const SHOWN: &str = "/etc/traefik/dynamic/tls.yml";
const LOGS: &str = "/var/log/traefik";
/// The entry point that is left out where there is no certificate for it.
const SECURE: &str = "  websecure:\n    address: \":443\"\n";
const HEAD: &str = "# Written by `provisioner install`; changes are lost.\n";
/// On the entry point that this machine alone reaches.
const PING: &str = "http://127.0.0.1:8080/ping";

const NAME: &str = "traefik-exporter";
const UNIT: &str = include_str!("../../../packaging/systemd/traefik-exporter.service");

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    if place.config().installs(Role::Traefik) {
        traefik(place)?;
    }
    exporter(place)
}

/// Traefik itself, on the files of packaging/traefik.
fn traefik(place: &mut Place<'_>) -> anyhow::Result<()> {
    let own = format!("root:{TRAEFIK}");
    for (path, owner, mode) in [
        (FOLDER.to_owned(), "root", 0o755),
        (format!("{FOLDER}/dynamic"), &own, 0o2750),
        (LOGS.to_owned(), TRAEFIK, 0o2750),
    ] {
        place.desired.folders.push(Folder {
            path,
            owner: owner.to_owned(),
            mode,
        });
    }
    let configuration = format!("{FOLDER}/traefik.yml");
    let entry = place.materials.entry.as_ref();
    let fixed = match entry {
        Some(_) => STATIC.to_owned(),
        None => STATIC.replace(SECURE, ""),
    };
    for (path, owner, mode, text) in [
        (configuration.clone(), "root", 0o644, fixed),
        (
            format!("{FOLDER}/dynamic/monitoring.yml"),
            &own,
            0o640,
            MONITORING.to_owned(),
        ),
        // It is looked at all the time: another one holds at once.
        (
            format!("{FOLDER}/dynamic/scalardl.yml"),
            &own,
            0o640,
            routes(place.network, entry.is_some()),
        ),
        (
            format!("/etc/logrotate.d/{TRAEFIK}"),
            "root",
            0o644,
            ROTATION.to_owned(),
        ),
    ] {
        place.desired.files.push(File {
            path,
            owner: owner.to_owned(),
            mode,
            content: text.into(),
        });
    }
    if let Some(entry) = entry {
        place.desired.files.push(File {
            path: SHOWN.to_owned(),
            owner: own,
            mode: 0o640,
            content: shown(entry).into(),
        });
    }
    place.service(Service {
        name: TRAEFIK,
        unit: TRAEFIK_UNIT,
        without: &[],
        program: TRAEFIK,
        arguments: vec![format!("--configFile={configuration}")],
        restarted_by: &[],
        reloaded_by: &[],
        disk: None,
        health: Health::Get {
            url: PING.to_owned(),
        },
    })?;
    if let Some(unit) = place.desired.units.last_mut() {
        unit.restarted_by.push(configuration);
    }
    Ok(())
}

/// The certificate for every client that uses TLS, whatever name it calls. It is within: Traefik takes a change of this file at once, and none
/// of files that it names.
fn shown(entry: &Entry) -> String {
    let indented = |pem: &str| {
        let lines = pem.lines().map(|it| format!("          {}\n", it.trim()));
        lines.collect::<String>()
    };
    format!(
        "{HEAD}tls:\n  stores:\n    default:\n      defaultCertificate:\n        certFile: |\n{}        keyFile: |\n{}",
        indented(&entry.certificates),
        indented(entry.key.expose()),
    )
}

/// The ledgers' routes. Between each and its servers stands a service of weights, so that others can take their place little by little. What
/// pauses ledgers (50053) and their metrics (8080) are behind no route.
fn routes(network: &Network, is_secure: bool) -> String {
    let nodes = network.nodes.iter();
    let ledgers = nodes.filter(|it| it.roles.contains(&Role::ScalarDl));
    let ledgers: Vec<_> = ledgers.map(|it| it.private_address.as_str()).collect();
    if ledgers.is_empty() {
        return format!("{HEAD}# There are no ledgers.\n");
    }
    let both = [
        ("ledger", scalardl::PORT),
        ("ledger-privileged", scalardl::PRIVILEGED),
    ];
    let mut text = format!("{HEAD}http:\n  routers:\n");
    for (name, _) in both {
        text.push_str(&format!(
            "    {name}:\n      entryPoints: [{name}]\n      rule: PathPrefix(`/`)\n      service: {name}\n"
        ));
    }
    if is_secure {
        // As a load balancer's 443: what is privileged has no way there.
        text.push_str(
            "    ledger-secure:\n      entryPoints: [websecure]\n      rule: PathPrefix(`/`)\n      service: ledger\n      tls: {}\n",
        );
    }
    text.push_str("  services:\n");
    for (name, port) in both {
        text.push_str(&format!(
            "    {name}:\n      weighted:\n        services:\n          - name: {name}-blue\n            weight: 1\n    {name}-blue:\n      loadBalancer:\n        servers:\n"
        ));
        for address in &ledgers {
            text.push_str(&format!(
                "          - url: h2c://{}\n",
                socket(address, port)
            ));
        }
        // A ledger answers of its health on the port of clients alone.
        text.push_str(&format!(
            "        healthCheck:\n          mode: grpc\n          port: {}\n          interval: 5s\n          timeout: 3s\n",
            scalardl::PORT
        ));
    }
    text
}

fn exporter(place: &mut Place<'_>) -> anyhow::Result<()> {
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
        disk: None,
        health,
    })
}
