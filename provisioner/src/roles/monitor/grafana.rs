//! Grafana: our dashboards on this monitor's Prometheus, for people with a password.

use super::{
    super::{PROMETHEUS, Place, Service},
    keeping, kept, url,
};
use crate::{
    alerting::quoted,
    desired::{CONFIGURATION, Health, PROGRAMS},
};

const NAME: &str = "grafana";
const UNIT: &str = include_str!("../../../data/units/grafana.service");

pub(super) fn add(
    place: &mut Place<'_>,
    disk: Option<&str>,
    files: Vec<dashboards::File>,
) -> anyhow::Result<()> {
    let state = kept(place, NAME, disk);
    place.listen(NAME)?;
    let here = format!("{CONFIGURATION}/{NAME}");
    let secrets = &place.materials.secrets;
    place.public(NAME, "grafana.ini", ini(place, &state)?);
    let line = |text: &str| format!("{text}\n");
    place.secret(NAME, "admin.password", line(secrets.grafana.expose()));
    place.secret(NAME, "secret.key", line(secrets.grafana_key.expose()));
    if !place.config().leaves_out("prometheus") {
        place.secret(
            NAME,
            "provisioning/datasources/prometheus.yml",
            source(place),
        );
    }
    place.public(
        NAME,
        "provisioning/dashboards/files.yml",
        format!(
            "apiVersion: 1\nproviders:\n- {{name: scalar-dl, type: file, folder: Scalar DL, allowUiUpdates: false, options: {{path: {here}/dashboards}}}}\n"
        ),
    );
    for file in files {
        place.public(NAME, &format!("dashboards/{}", file.name), file.text);
    }
    place.certificate(NAME);
    let unit = keeping(UNIT, NAME, &state)?;
    let health = Health::Get {
        url: format!("{}/api/health", place.url(NAME)),
    };
    place.service(Service {
        name: NAME,
        unit: &unit,
        without: &[],
        program: "bin/grafana",
        arguments: vec![
            "server".to_owned(),
            format!("--homepath={PROGRAMS}/{NAME}"),
            format!("--config={here}/grafana.ini"),
        ],
        // Dashboards are read anew by themselves.
        restarted_by: &["grafana.ini", "provisioning/", "secret.key", "tls.crt"],
        reloaded_by: &[],
        disk,
        health,
    })
}

fn ini(place: &Place<'_>, state: &str) -> anyhow::Result<String> {
    let here = format!("{CONFIGURATION}/{NAME}");
    let url = url(place.network, place.node, NAME)?;
    Ok(format!(
        "; Written by `provisioner install`; changes are lost.
[paths]
data = {state}
logs = {state}/log
plugins = {state}/plugins
provisioning = {here}/provisioning
[server]
protocol = https
http_addr = {address}
http_port = {port}
root_url = {url}/
cert_file = {here}/tls.crt
cert_key = {here}/tls.key
min_tls_version = TLS1.2
[security]
admin_password = $__file{{{here}/admin.password}}
secret_key = $__file{{{here}/secret.key}}
cookie_secure = true
disable_gravatar = true
[auth.anonymous]
enabled = false
[users]
allow_sign_up = false
[unified_alerting]
enabled = false
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[plugins]
preinstall_disabled = true
[news]
news_feed_enabled = false
[snapshots]
external_enabled = false
[log]
mode = console
",
        address = place.node.private_address,
        port = place.port(NAME),
    ))
}

/// Prometheus of the same machine. Grafana would put values in for `$`, of which there are none in what we make.
fn source(place: &Place<'_>) -> String {
    let secrets = &place.materials.secrets;
    format!(
        "apiVersion: 1
datasources:
- name: Prometheus
  uid: prometheus
  type: prometheus
  access: proxy
  url: {}
  isDefault: true
  editable: false
  basicAuth: true
  basicAuthUser: {PROMETHEUS}
  jsonData: {{timeInterval: 15s, tlsAuthWithCACert: true}}
  secureJsonData:
    basicAuthPassword: {}
    tlsCACert: {}
",
        quoted(&place.url("prometheus")),
        quoted(secrets.scrape.secret.expose()),
        quoted(place.materials.pki.certificate())
    )
}
