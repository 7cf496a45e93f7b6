//! The texts of a node's files, each from the node alone.

use super::{
    is_3,
    node::{Jolokia, Node},
};

/// What Cassandra reaches into of Java's own modules, which Java 17 opens only when it is told to: module, then packages. The first
/// are used by name, the others by reflection too.
const EXPORTS: &[(&str, &str)] = &[
    (
        "java.base",
        "java.lang.ref java.lang.reflect jdk.internal.misc jdk.internal.ref jdk.internal.util sun.nio.ch",
    ),
    ("java.management", "com.sun.jmx.remote.security"),
    ("java.management.rmi", "com.sun.jmx.remote.internal.rmi"),
    (
        "java.rmi",
        "sun.rmi.registry sun.rmi.server sun.rmi.transport.tcp",
    ),
    ("java.sql", "java.sql"),
    ("jdk.unsupported", "sun.misc"),
];
const OPENS: &[(&str, &str)] = &[
    (
        "java.base",
        "java.io java.lang java.lang.module java.lang.reflect java.math java.net java.nio java.nio.charset java.nio.file.spi java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks jdk.internal.loader jdk.internal.math jdk.internal.module jdk.internal.ref jdk.internal.reflect jdk.internal.util jdk.internal.vm sun.nio.ch",
    ),
    ("java.management", "com.sun.jmx.mbeanserver sun.management"),
    ("java.rmi", "sun.rmi.transport.tcp"),
    ("jdk.management", "com.sun.management.internal"),
];

/// What of Jolokia 2 asks other JVMs; 1.7 has none.
const PROXY: &str = "org.jolokia.service.jsr160.Jsr160RequestHandler";

/// `cassandra.yaml`: a small node on its own, all of its data below its folder.
pub(super) fn yaml(node: &Node) -> String {
    let Node {
        name,
        address,
        tokens,
        ..
    } = node;
    let folder = |it: &str| quoted(&node.folder.join("data").join(it).display().to_string());
    let mut seeds: Vec<_> = node.seeds.iter().map(ToString::to_string).collect();
    if seeds.is_empty() {
        seeds.push(address.to_string());
    }
    let mut text = format!(
        "# Node {name}.
cluster_name: scalar
num_tokens: {tokens}
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
listen_address: {address}
rpc_address: {address}
storage_port: {}
native_transport_port: {}
seed_provider:
- class_name: org.apache.cassandra.locator.SimpleSeedProvider
  parameters: [{{seeds: {}}}]
# Nodes of a test join in seconds, without the data of the others.
auto_bootstrap: false
commitlog_sync: periodic
data_file_directories: [{}]
commitlog_directory: {}
hints_directory: {}
saved_caches_directory: {}
cdc_raw_directory: {}
",
        node.ports.storage,
        node.ports.cql,
        quoted(&seeds.join(",")),
        folder("tables"),
        folder("commitlog"),
        folder("hints"),
        folder("saved_caches"),
        folder("cdc_raw"),
    );
    // Since 4.1 a number has its unit in its value; before, in its name.
    text.push_str(if is_3(&node.version) || node.version.starts_with("4.0.") {
        "commitlog_sync_period_in_ms: 10000
commitlog_segment_size_in_mb: 4
commitlog_total_space_in_mb: 64
file_cache_size_in_mb: 32
memtable_heap_space_in_mb: 64
memtable_offheap_space_in_mb: 64
"
    } else {
        "commitlog_sync_period: 10s
commitlog_segment_size: 4MiB
commitlog_total_space: 64MiB
file_cache_size: 32MiB
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
"
    });
    if is_3(&node.version) {
        text.push_str("start_native_transport: true\nstart_rpc: false\n");
    }
    text.push_str(&node.yaml);
    text
}

pub(super) fn rack() -> &'static str {
    "dc=dc1\nrack=rack1\n"
}

/// The node's goes to standard output, where whoever started it keeps it; of nodetool's the warnings go to standard error.
pub(super) fn logback(target: &str, level: &str) -> String {
    format!(
        r#"<configuration>
  <appender name="output" class="ch.qos.logback.core.ConsoleAppender">
    <target>{target}</target>
    <encoder>
      <pattern>%d{{ISO8601}} %-5level %logger{{0}} [%thread] %msg%n</pattern>
    </encoder>
  </appender>
  <root level="{level}">
    <appender-ref ref="output"/>
  </root>
</configuration>
"#
    )
}

/// What Java must open for Cassandra and its tools, one argument a line, as `java @file` reads them.
#[must_use]
pub fn modules() -> String {
    let mut text = String::new();
    for (option, modules) in [("--add-exports", EXPORTS), ("--add-opens", OPENS)] {
        for (module, packages) in modules {
            for package in packages.split(' ') {
                text.push_str(&format!("{option}={module}/{package}=ALL-UNNAMED\n"));
            }
        }
    }
    text
}

/// The node's own arguments of Java.
pub(super) fn java_options(node: &Node) -> String {
    let folder = |it: &str| node.folder.join(it).display().to_string();
    let heap = node.heap_mib;
    let mut lines = vec![
        // Alone with assertions does it find what its own tests find.
        "-ea".to_owned(),
        format!("-Xms{heap}m"),
        format!("-Xmx{heap}m"),
        "-Xss512k".to_owned(),
        "-XX:+UseG1GC".to_owned(),
        "-XX:+ExitOnOutOfMemoryError".to_owned(),
        "-Djava.net.preferIPv4Stack=true".to_owned(),
        "-Djdk.attach.allowAttachSelf=true".to_owned(),
        // Said in a line of the log otherwise.
        "-Dcassandra-foreground=yes".to_owned(),
        "-Dcassandra.superuser_setup_delay_ms=0".to_owned(),
        "-Dcassandra.skip_wait_for_gossip_to_settle=0".to_owned(),
        format!("-Dcassandra.ring_delay_ms={}", node.ring_delay.as_millis()),
        format!("-Dcassandra.jmx.local.port={}", node.ports.jmx),
        format!(
            "-Dcassandra.config=file://{}",
            folder("conf/cassandra.yaml")
        ),
        format!("-Dcassandra.storagedir={}", folder("data")),
        format!("-Dcassandra.logdir={}", folder("log")),
        format!("-Dlogback.configurationFile={}", folder("conf/logback.xml")),
        // Not the machine's folder, which others may fill or forbid to run libraries from.
        format!("-Djava.io.tmpdir={}", node.folder.display()),
        format!("-Djna.tmpdir={}", node.folder.display()),
    ];
    if node.unsafe_system {
        lines.push("-Dcassandra.unsafesystem=true".to_owned());
    }
    lines.iter().map(|it| format!("{}\n", quoted(it))).collect()
}

/// Jolokia's options, in a file so that the password is not in the list of processes.
pub(super) fn jolokia(node: &Node, jolokia: &Jolokia) -> String {
    let mut options = vec![
        ("host", node.address.to_string()),
        ("port", node.ports.jolokia.to_string()),
        ("agentContext", jolokia.context.clone()),
        // It would answer to anyone on the network that it is here.
        ("discoveryEnabled", "false".to_owned()),
        // With one thread, which is what it has otherwise, a slow request keeps all others waiting.
        ("executor", "fixed".to_owned()),
        ("threadNr", "4".to_owned()),
        ("allowDnsReverseLookup", "false".to_owned()),
        // Jolokia 2 would ask any other JVM that a question names, and no policy forbids it.
        ("disabledServices", PROXY.to_owned()),
    ];
    if let Some((user, password)) = &jolokia.user {
        options.push(("user", user.clone()));
        options.push(("password", password.clone()));
    }
    if let Some(policy) = &jolokia.policy {
        options.push(("policyLocation", format!("file://{}", policy.display())));
    }
    if let Some(tls) = &jolokia.tls {
        options.push(("protocol", "https".to_owned()));
        options.push(("keystore", tls.keystore.display().to_string()));
        options.push(("keystorePassword", tls.password.clone()));
        options.push(("keyStoreType", "PKCS12".to_owned()));
    }
    let mut text = String::new();
    let further = jolokia
        .options
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in options.into_iter().chain(further) {
        text.push_str(&format!("{name}={}\n", property(&value)));
    }
    text
}

/// A value of a properties file: what is not ASCII, and what the format has a meaning for, is escaped.
fn property(value: &str) -> String {
    let mut escaped = String::new();
    for unit in value.encode_utf16() {
        match u8::try_from(unit).map(char::from) {
            Ok(it) if it.is_ascii_alphanumeric() || "/._-".contains(it) => escaped.push(it),
            Ok(it) if it.is_ascii_graphic() => escaped.extend(['\\', it]),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    escaped
}

/// In double quotes, for YAML and for `java @file`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Jolokia, Node, java_options, jolokia, modules, property, yaml};
    use crate::cassandra::{Agent, Ports, Tls, VERSIONS};

    const PORTS: Ports = Ports {
        storage: 1,
        cql: 2,
        jolokia: 3,
        jmx: 4,
    };

    fn node(version: &str) -> Node {
        Node::new(version, "n1", "/s t", PORTS)
    }

    #[test]
    fn each_line_has_its_own_units() {
        for version in VERSIONS {
            let text = yaml(&node(version));
            let old = version.starts_with("3.") || version.starts_with("4.0");
            assert_eq!(text.contains("_in_mb: "), old, "{version}");
            assert_eq!(text.contains("MiB\n"), !old, "{version}");
            assert_eq!(
                text.contains("start_rpc"),
                *version == "3.11.19",
                "{version}"
            );
            for line in [
                "data_file_directories: [\"/s t/data/tables\"]",
                "native_transport_port: 2",
                "{seeds: \"127.0.0.1\"}",
            ] {
                assert!(text.contains(line), "{version}: {line}");
            }
        }
        let text = yaml(
            &node("5.0.9")
                .yaml("a: 1")
                .yaml("b: 2\n")
                .seeds(&["127.0.0.2".parse().unwrap()]),
        );
        assert!(
            text.ends_with("\na: 1\nb: 2\n") && text.contains("{seeds: \"127.0.0.2\"}"),
            "{text}"
        );
    }

    #[test]
    fn arguments() {
        let text = java_options(&node("5.0.9").heap_mib(99).unsafe_system());
        for line in [
            "\"-Xmx99m\"",
            "\"-Djna.tmpdir=/s t\"",
            "\"-Dcassandra.jmx.local.port=4\"",
            "\"-Dcassandra.unsafesystem=true\"",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        assert!(!java_options(&node("5.0.9")).contains("unsafesystem"));
        let text = modules();
        assert!(
            text.contains("\n--add-opens=java.base/java.nio=ALL-UNNAMED\n"),
            "{text}"
        );
    }

    #[test]
    fn options_of_jolokia() {
        let mut wanted = Jolokia::guarded(Agent::Jolokia26, "u", "a=b\\c ü", Path::new("/p.xml"));
        wanted.tls = Some(Tls {
            keystore: "/k.p12".into(),
            password: "x".to_owned(),
        });
        wanted.options = vec![("maxObjects".to_owned(), "5".to_owned())];
        let text = jolokia(&node("5.0.9"), &wanted);
        for line in [
            "host=127.0.0.1",
            "port=3",
            "agentContext=/jolokia",
            "user=u",
            "password=a\\=b\\\\c\\u0020\\u00fc",
            "policyLocation=file\\:///p.xml",
            "protocol=https",
            "maxObjects=5",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        assert_eq!(property("\n#!"), "\\u000a\\#\\!");
        let node = node("5.0.9").jolokia(Some(wanted));
        assert_eq!(node.jolokia_url().unwrap(), "https://127.0.0.1:3/jolokia");
        assert!(node.files().contains_key("conf/jolokia.properties"));
        let without = node.jolokia(None);
        assert!(
            without.jolokia_url().is_none()
                && !without.files().contains_key("conf/jolokia.properties")
        );
    }
}
