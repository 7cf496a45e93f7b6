//! cassandra-exporter beside Cassandra, and Jolokia for the node: attached to the JVM that runs, and brought in by its next start with the one
//! line of Cassandra's own files that is ours, which sources jolokia.sh.

use super::{
    super::{PROMETHEUS, Place, Service, unit::adapted},
    CASSANDRA,
};
use crate::desired::{Agent, CONFIGURATION, File, JOLOKIA as JAR, Line};

const NAME: &str = "cassandra-exporter";
const JOLOKIA: &str = "jolokia";
/// Jolokia's user.
pub(crate) const USER: &str = "monitor";
/// Jolokia's options on a node, with its password.
pub(crate) const OPTIONS: &str = "/etc/scalar-dl-monitoring/jolokia/jolokia.properties";
/// As packaging/cassandra/jolokia.properties says.
pub(crate) const PORT: u16 = 8778;
/// Of Debian's package, and of that for RHEL's kin.
const ENVIRONMENTS: [&str; 2] = [
    "/etc/cassandra/cassandra-env.sh",
    "/etc/cassandra/conf/cassandra-env.sh",
];

const UNIT: &str = include_str!("../../../../packaging/systemd/cassandra-exporter.service");
const POLICY: &str = include_str!("../../../../packaging/cassandra/jolokia-access.xml");
const PROPERTIES: &str = include_str!("../../../../packaging/cassandra/jolokia.properties");
const LOADER: &str = include_str!("../../../../packaging/cassandra/jolokia.sh");

/// `is_ours` says whether Cassandra is, whose start then brings Jolokia in by itself.
pub(super) fn add(place: &mut Place<'_>, is_ours: bool) -> anyhow::Result<()> {
    jolokia(place, is_ours)?;
    let secrets = &place.materials.secrets;
    let arguments = vec![
        format!("--web.listen-address={}", place.listen(NAME)?),
        format!("--web.config.file={CONFIGURATION}/{NAME}/web.yml"),
        format!("--jolokia.username={USER}"),
        format!("--jolokia.password-file={CONFIGURATION}/{NAME}/jolokia.password"),
    ];
    place.secret(
        NAME,
        "jolokia.password",
        format!("{}\n", secrets.jolokia.expose()),
    );
    place.web(NAME, &[(PROMETHEUS, &secrets.scrape)]);
    let health = place.health(NAME, "/-/healthy", PROMETHEUS, &secrets.scrape.secret);
    place.service(Service {
        name: NAME,
        unit: UNIT,
        // The file is its own, and so read anew when it is exchanged.
        without: &["EnvironmentFile=", "LoadCredential=", "# The password that"],
        program: NAME,
        arguments,
        restarted_by: &[],
        reloaded_by: &[],
        disk: None,
        health,
    })
}

/// The agent, its policy, its options with the password, and what loads it.
fn jolokia(place: &mut Place<'_>, is_ours: bool) -> anyhow::Result<()> {
    let agent = place.materials.artifacts.resolve(JOLOKIA)?;
    place.desired.programs.push(agent);
    let here = format!("{CONFIGURATION}/{JOLOKIA}");
    let properties = adapted(
        PROPERTIES,
        &[(
            "/etc/cassandra/jolokia-access.xml",
            &format!("{here}/jolokia-access.xml"),
        )],
    )?;
    let password = place.materials.secrets.jolokia.expose();
    let loader = adapted(
        LOADER,
        &[
            ("/usr/share/cassandra/jolokia.jar", JAR),
            ("/etc/cassandra/jolokia.properties", OPTIONS),
            ("/etc/cassandra/jolokia.sh", &format!("{here}/jolokia.sh")),
        ],
    )?;
    // The Java that comes with Cassandra has no module to attach with, which that program wants: to begin at all is trial enough.
    let trial = (
        "-cp \"$jar\" org.jolokia.jvmagent.client.AgentLauncher version",
        "-version",
    );
    let loader = match is_ours {
        true => adapted(&loader, &[trial])?,
        false => loader,
    };
    place.public(JOLOKIA, "jolokia-access.xml", POLICY);
    place.public(JOLOKIA, "jolokia.sh", loader);
    place.desired.files.push(File {
        path: OPTIONS.to_owned(),
        owner: CASSANDRA.to_owned(),
        mode: 0o600,
        content: format!("{properties}password={password}\n").into(),
    });
    if !is_ours {
        place.desired.lines.push(Line {
            places: ENVIRONMENTS.map(str::to_owned).to_vec(),
            text: format!(". {here}/jolokia.sh"),
        });
    }
    let mut renewed_by = vec![format!("{here}/jolokia-access.xml"), OPTIONS.to_owned()];
    if let Some(unit) = place.desired.units.last_mut().filter(|_| is_ours) {
        // Nothing there can attach it again: that of ours reads them when it starts.
        unit.restarted_by.append(&mut renewed_by);
    }
    place.desired.agent = Some(Agent {
        program: JOLOKIA.to_owned(),
        jar: JAR.to_owned(),
        options: OPTIONS.to_owned(),
        port: PORT,
        renewed_by,
    });
    Ok(())
}
