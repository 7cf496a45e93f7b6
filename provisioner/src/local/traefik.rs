//! `--with traefik`: Traefik in front of a sample service of two servers, and traefik-exporter. Its static configuration and the API's
//! route are the files that a node of a real network gets (`packaging/traefik`), with this machine's ports and paths.

use std::{collections::BTreeMap, fs, io};

use anyhow::Context as _;
use rcgen::{CertificateParams, KeyPair};

use crate::alerting::quoted;

use super::{
    files::{spec, url},
    network::{Ports, ours},
    state::{ProgramSpec, State},
};

/// The release that the local network runs.
const VERSION: &str = "3.7.15";
/// The servers of the sample service, which are programs and have ports of these names.
const SAMPLES: [&str; 2] = ["sample-1", "sample-2"];
/// Names that the certificate of the sample service has.
const HOSTS: [&str; 2] = ["localhost", "sample.test"];
/// Files in the state folder.
const STATIC: &str = "traefik/traefik.yml";
const DYNAMIC: &str = "traefik/dynamic";
pub(super) const CERTIFICATE: &str = "traefik/sample.crt";
const KEY: &str = "traefik/sample.key";
/// Where the exporter notes how far it has read the access log.
const PLACE: &str = "traefik/access-log.place";
/// The access log is one of the logs that the supervisor begins anew when they are large, and that `local logs` shows. So is
/// Traefik's own, which goes where its standard output goes.
const ACCESS_LOG: &str = "traefik-access";

/// What Traefik reads.
pub(super) fn files(
    state: &State,
    ports: &Ports,
    has_ledger: bool,
) -> anyhow::Result<BTreeMap<String, String>> {
    let (certificate, key) = certificate(state)?;
    let monitoring = include_str!("../../../packaging/traefik/dynamic/monitoring.yml");
    let mut files: BTreeMap<_, _> = [
        (STATIC.to_owned(), traefik_yml(state, ports)),
        (format!("{DYNAMIC}/monitoring.yml"), monitoring.to_owned()),
        (format!("{DYNAMIC}/sample.yml"), sample_yml(state, ports)),
        (CERTIFICATE.to_owned(), certificate),
        (KEY.to_owned(), key),
    ]
    .into();
    // Empty where there is none: Traefik must not go on with one that went.
    let ledger = if has_ledger {
        ledger_yml(ports)
    } else {
        String::new()
    };
    files.insert(format!("{DYNAMIC}/ledger.yml"), ledger);
    Ok(files)
}

/// The ledger's stand-in, as `packaging/traefik/dynamic/ledger.yml` has ledgers; its calls alone, as the sample service has all else.
fn ledger_yml(ports: &Ports) -> String {
    format!(
        "# Written by `provisioner local up`; changes are lost.
http:
  routers:
    ledger:
      entryPoints: [ledger]
      rule: PathPrefix(`/rpc.`) || PathPrefix(`/grpc.`)
      service: ledger
  services:
    ledger:
      loadBalancer:
        servers:
          - url: h2c://127.0.0.1:{}
        healthCheck:
          mode: grpc
          interval: 1s
          timeout: 1s
",
        ports.get("ledger-clients")
    )
}

/// Servers before the one that asks them, and that one before the one that asks it.
pub(super) fn programs(
    state: &State,
    ports: &Ports,
    files: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<ProgramSpec>> {
    let mut programs = Vec::new();
    for name in SAMPLES {
        let command = vec![
            crate::own_path()?.display().to_string(),
            "local".to_owned(),
            "serve-sample".to_owned(),
            format!("--name={name}"),
            format!("--port={}", ports.get(name)),
        ];
        programs.push(spec(ports, name, "/-/healthy", command, files, &[]));
    }
    let command = vec![
        parts::traefik(VERSION)?.display().to_string(),
        format!("--configFile={}", state.path(STATIC).display()),
    ];
    // Files of the folder it takes by itself, but a certificate only when the file that names it changes.
    let reads = [STATIC, CERTIFICATE];
    programs.push(spec(ports, "traefik", "/ping", command, files, &reads));
    let log = |name: &str| state.log(name).display().to_string();
    let command = vec![
        ours("traefik-exporter")?.display().to_string(),
        format!("--traefik.url={}", url(ports.get("traefik"))),
        "--collector.config-watch".to_owned(),
        format!("--config-watch.log={}", log("traefik")),
        format!("--config-watch.files={}", state.path(DYNAMIC).display()),
        "--collector.access-log".to_owned(),
        "--collector.probe".to_owned(),
        format!("--access-log.file={}", log(ACCESS_LOG)),
        format!("--access-log.checkpoint={}", state.path(PLACE).display()),
        format!(
            "--web.listen-address=127.0.0.1:{}",
            ports.get("traefik-exporter")
        ),
    ];
    programs.push(spec(
        ports,
        "traefik-exporter",
        "/-/healthy",
        command,
        files,
        &[],
    ));
    Ok(programs)
}

fn traefik_yml(state: &State, ports: &Ports) -> String {
    let mut text = include_str!("../../../packaging/traefik/traefik.yml").to_owned();
    for (theirs, port) in [
        ("\":50051\"", "traefik-ledger"),
        ("\":50052\"", "traefik-privileged"),
        ("\":443\"", "traefik-secure"),
        ("\"127.0.0.1:8080\"", "traefik"),
    ] {
        text = text.replace(theirs, &format!("\"127.0.0.1:{}\"", ports.get(port)));
    }
    for (theirs, path) in [
        ("/etc/traefik/dynamic", state.path(DYNAMIC)),
        ("/var/log/traefik/traefik.log", state.log("traefik")),
        ("/var/log/traefik/access.log", state.log(ACCESS_LOG)),
    ] {
        text = text.replace(theirs, &quoted(&path.display().to_string()));
    }
    text
}

fn sample_yml(state: &State, ports: &Ports) -> String {
    let servers: String = SAMPLES
        .iter()
        .map(|it| format!("          - url: {}\n", url(ports.get(it))))
        .collect();
    let hosts = HOSTS.map(|it| format!("Host(`{it}`)")).join(" || ");
    let path = |name: &str| quoted(&state.path(name).display().to_string());
    format!(
        "# Written by `provisioner local up`; changes are lost.
http:
  routers:
    sample:
      entryPoints: [ledger]
      rule: PathPrefix(`/`)
      service: sample
    sample-secure:
      entryPoints: [websecure]
      rule: {hosts}
      service: sample
      tls: {{}}
  services:
    sample:
      loadBalancer:
        servers:
{servers}        healthCheck:
          path: /-/healthy
          interval: 1s
          timeout: 1s
tls:
  certificates:
    - certFile: {}
      keyFile: {}
",
        path(CERTIFICATE),
        path(KEY)
    )
}

/// The ones that were made once, else new ones: a second `up` must change nothing.
fn certificate(state: &State) -> anyhow::Result<(String, String)> {
    let read = |name: &str| {
        let path = state.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text).filter(|it| !it.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    };
    if let (Some(certificate), Some(key)) = (read(CERTIFICATE)?, read(KEY)?) {
        return Ok((certificate, key));
    }
    let made = || -> Result<_, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(HOSTS.map(str::to_owned))?;
        Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
    };
    made().context("cannot make a certificate")
}

#[cfg(test)]
mod tests {
    use super::{CERTIFICATE, KEY, STATIC, files};
    use crate::local::{Extra, network::Ports, state::State};

    #[test]
    fn the_configuration_is_this_machines_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(Some(folder.path().join("s"))).unwrap();
        let flags = [
            "traefik=1001",
            "traefik-ledger=1002",
            "traefik-privileged=1003",
        ];
        let flags = [&flags[..], &["traefik-secure=1004"]].concat();
        let flags: Vec<_> = flags.iter().map(|it| (*it).to_owned()).collect();
        let ports = Ports::read(&flags, &[Extra::Traefik], None).unwrap();
        let first = files(&state, &ports, true).unwrap();
        let text = &first[STATIC];
        for port in 1001..=1004 {
            let line = format!("    address: \"127.0.0.1:{port}\"\n");
            assert_eq!(text.matches(&line).count(), 1, "{text}");
        }
        assert_eq!(text.matches("address:").count(), 4, "{text}");
        let lines = text.lines().filter(|it| !it.starts_with('#'));
        let foreign = |it: &&str| it.contains("/etc/") || it.contains("/var/");
        assert_eq!(lines.filter(foreign).count(), 0, "{text}");
        // Until they are written, each is another; then they stay.
        assert_ne!(files(&state, &ports, true).unwrap()[KEY], first[KEY]);
        for name in [CERTIFICATE, KEY] {
            state.write(name, &first[name]).unwrap();
        }
        assert_eq!(files(&state, &ports, true).unwrap(), first);
        // One without the other is of no use.
        state.write(KEY, "").unwrap();
        assert_ne!(
            files(&state, &ports, true).unwrap()[CERTIFICATE],
            first[CERTIFICATE]
        );
    }
}
