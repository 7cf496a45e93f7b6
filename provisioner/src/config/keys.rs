//! Every key of `config.json`: what it holds, whether it must be there, and what it is for.

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    /// A word that becomes a part of names: letters, digits and hyphens.
    Word,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A whole number, or a text of one.
    Number,
    /// A number with a fraction or without, or a text of one.
    Decimal,
    /// true or false, or a text of one.
    Switch,
    /// A time in Prometheus' form, such as `90d`.
    Duration,
    /// Bytes in Prometheus' form, such as `40GB`.
    Size,
    Url,
    /// Host and port.
    Address,
    Path,
    Secret,
    /// A secret that is a URL.
    SecretUrl,
    /// A list of these.
    Choices(&'static [&'static str]),
    /// A list of networks, such as `203.0.113.0/24`.
    Networks,
    /// A list of services of systemd, such as `prometheus.service`.
    Services,
    /// An object of texts, by names of the user's own.
    Texts,
    /// An object of numbers of ports, by these names.
    Ports(&'static [&'static str]),
    /// A list of objects of these keys.
    Objects(&'static [Key]),
    /// Objects of these keys, by names of the user's own.
    Named(&'static [Key]),
}

/// When a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Required {
    Never,
    Always,
    /// When the machines are to be made in the cloud.
    OnAws,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    pub(super) required: Required,
    pub(super) about: &'static str,
}

const fn key(name: &'static str, holds: Holds, about: &'static str) -> Key {
    Key {
        name,
        holds,
        required: Required::Never,
        about,
    }
}

impl Key {
    const fn always(self) -> Self {
        Self {
            required: Required::Always,
            ..self
        }
    }

    const fn on_aws(self) -> Self {
        Self {
            required: Required::OnAws,
            ..self
        }
    }
}

/// What may be left out of a network.
const RESOURCES: &[&str] = &[
    "alert-router",
    "bastion",
    "grafana",
    "prometheus",
    "traefik",
];
/// What is installed as the network itself, besides what monitors it: words of roles.
const SERVICES: &[&str] = &["cassandra", "scalardl", "traefik"];
/// What has a port of its own choosing.
pub(crate) const LISTENERS: &[&str] = &[
    "alert-router",
    "cassandra-exporter",
    "grafana",
    "node-exporter",
    "prometheus",
    "traefik-exporter",
];
/// The resource levels of the operational guide.
pub(crate) const LEVELS: &[&str] = &["entry", "medium", "high", "high-nvme"];

const ALERT: &[Key] = &[
    key(
        "for",
        Holds::Duration,
        "How long it must be so before people are told.",
    ),
    key(
        "threshold",
        Holds::Decimal,
        "Beyond what it fires, in the unit of dashboards/thresholds.toml.",
    ),
];

const ARTIFACT: &[Key] = &[
    key(
        "path",
        Holds::Path,
        "A file of this machine in place of a download.",
    ),
    key("sha256", Holds::Text, "What the file must be."),
    key("url", Holds::Url, "Where it is downloaded from."),
    key("version", Holds::Text, "Which it is."),
];

const REMOTE_WRITE: &[Key] = &[
    key(
        "bearer_token",
        Holds::Secret,
        "A token, in place of a user.",
    ),
    key(
        "ca_file",
        Holds::Path,
        "Authorities that sign the receiver's certificate, in place of the system's.",
    ),
    key(
        "name",
        Holds::Text,
        "How Prometheus calls it in its metrics.",
    ),
    key("password", Holds::Secret, "The password of the user."),
    key("url", Holds::SecretUrl, "Where samples are sent.").always(),
    key("username", Holds::Text, "A user, for basic authentication."),
];

/// Sorted by name.
pub(super) const KEYS: &[Key] = &[
    key(
        "$schema",
        Holds::Text,
        "Where the schema of this file is, for editors.",
    ),
    key(
        "alert_email",
        Holds::Text,
        "Who is mailed of alerts; several with commas between them. Needs smtp_smarthost.",
    ),
    key(
        "alerts",
        Holds::Named(ALERT),
        "When alerts fire, by their names, where it is not as in dashboards/thresholds.toml.",
    ),
    key(
        "allowed_cidrs",
        Holds::Networks,
        "From where people may reach the bastion, and clients the entry point.",
    ),
    key(
        "artifacts",
        Holds::Named(ARTIFACT),
        "Programs in place of those that the provisioner knows, by their names.",
    ),
    key(
        "aws_key_name",
        Holds::Text,
        "A key pair of your AWS account, which the machines let in.",
    )
    .on_aws(),
    key(
        "aws_readonly_key",
        Holds::Secret,
        "The IAM user's key that lets Prometheus look at the cloud's resources; roles of the machines do without.",
    ),
    key(
        "aws_readonly_secret",
        Holds::Secret,
        "The IAM user's secret that belongs to it.",
    ),
    key(
        "aws_region",
        Holds::Word,
        "Where the machines are, such as us-east-1.",
    ),
    key(
        "bastion_instance_type",
        Holds::Text,
        "The type of the bastion's machine.",
    ),
    key(
        "cassandra_contact_points",
        Holds::Text,
        "Where ledgers find Cassandra, with commas between; the nodes of the role cassandra without.",
    ),
    key(
        "cassandra_ebs_volume_size",
        Holds::Number,
        "The size of each Cassandra node's data volume, in GB.",
    ),
    key(
        "cassandra_heap_mb",
        Holds::Number,
        "The heap of each Cassandra, in MB; by the node's memory without.",
    ),
    key(
        "cassandra_instance_count",
        Holds::Number,
        "How many Cassandra nodes there are.",
    ),
    key(
        "cassandra_instance_type",
        Holds::Text,
        "The type of their machines, such as m7i.xlarge.",
    ),
    key(
        "cassandra_password",
        Holds::Secret,
        "The password of cassandra_user.",
    ),
    key(
        "cassandra_user",
        Holds::Text,
        "Whom ledgers are to Cassandra, when it is one that is not installed from here.",
    ),
    key(
        "docker_password",
        Holds::Secret,
        "The password of docker_user.",
    )
    .on_aws(),
    key(
        "docker_user",
        Holds::Text,
        "The user of the registry that has Scalar DL's images.",
    )
    .on_aws(),
    key(
        "environment",
        Holds::Word,
        "One word for the kind of deployment, such as production.",
    )
    .always(),
    key(
        "external_url",
        Holds::Url,
        "Where people reach the monitor, for links in alerts.",
    ),
    key(
        "grafana_password",
        Holds::Secret,
        "The password of Grafana's user admin at the start.",
    ),
    key(
        "heartbeat_url",
        Holds::SecretUrl,
        "Called by alert-router for as long as all is well; whoever is behind it tells when that ends.",
    ),
    key(
        "hosts_file",
        Holds::Path,
        "The machines that there are, for target hosts; hosts.yml by default.",
    ),
    key(
        "known_hosts_file",
        Holds::Path,
        "Host keys of the machines, in ssh's form; your own known hosts without.",
    ),
    key(
        "leave_out",
        Holds::Choices(RESOURCES),
        "Resources that this network does without.",
    ),
    key(
        "level",
        Holds::Choice(LEVELS),
        "How large the machines are, but for what other keys say; entry by default.",
    ),
    key(
        "monitor_ebs_volume_size",
        Holds::Number,
        "The size of the monitor's data volume, in GB.",
    ),
    key(
        "monitor_instance_count",
        Holds::Number,
        "How many monitors there are: one, or two that notify one alert-router.",
    ),
    key(
        "monitor_instance_type",
        Holds::Text,
        "The type of the monitor's machine.",
    ),
    key("name", Holds::Text, "What this deployment is called.").always(),
    key(
        "no_notifications",
        Holds::Switch,
        "Whether nobody is to be told of alerts: without Slack, mail and pager the provisioner asks for this.",
    ),
    key(
        "pagerduty_routing_key",
        Holds::Secret,
        "An integration key of PagerDuty (Events API v2).",
    ),
    key(
        "ports",
        Holds::Ports(LISTENERS),
        "Where programs listen, when their own ports are taken.",
    ),
    key(
        "prefix",
        Holds::Word,
        "A short word before the names of all resources.",
    )
    .always(),
    key(
        "private_key_file",
        Holds::Path,
        "The private key for SSH; the agent's without.",
    )
    .on_aws(),
    key(
        "remote_write",
        Holds::Objects(REMOTE_WRITE),
        "Where Prometheus sends its samples, too.",
    ),
    key(
        "replaces",
        Holds::Services,
        "Services of others on the nodes whose place ours take: stopped while they stand here, and running again afterwards.",
    ),
    key(
        "retention",
        Holds::Duration,
        "How long Prometheus keeps samples; the level's without.",
    ),
    key(
        "retention_size",
        Holds::Size,
        "How many bytes of samples Prometheus keeps at most.",
    ),
    key(
        "rules_folder",
        Holds::Path,
        "Prometheus rules of your own, *.yml.",
    ),
    key(
        "runbook_base_url",
        Holds::Url,
        "Where alerts' runbooks are; the public ones without.",
    ),
    key(
        "scalar_autoscaling_group_desire",
        Holds::Number,
        "How many Scalar DL ledgers there are.",
    ),
    key(
        "scalar_ebs_volume_size",
        Holds::Number,
        "The size of each ledger's volume, in GB.",
    ),
    key(
        "scalar_image",
        Holds::Text,
        "The name of the ledger's image without its tag; ghcr.io/scalar-labs/scalardl-ledger without, scalarlabs/scalar-ledger is Docker Hub's.",
    ),
    key(
        "scalar_image_archive",
        Holds::Path,
        "A file that has the ledger's image (docker save), for nodes that reach no registry.",
    ),
    key(
        "scalar_instance_type",
        Holds::Text,
        "The type of the ledgers' machines.",
    ),
    key(
        "scalar_properties",
        Holds::Texts,
        "Properties of the ledger besides those that are written here, by their names; no secrets, everybody on a node may read them.",
    ),
    key(
        "scalar_schema_image",
        Holds::Text,
        "The name of the image that makes the ledger's schema; ghcr.io/scalar-labs/scalardl-schema-loader without.",
    ),
    key(
        "scalar_schema_image_archive",
        Holds::Path,
        "A file that has that image.",
    ),
    key(
        "scrape_folder",
        Holds::Path,
        "Prometheus scrape configurations of your own, *.yml.",
    ),
    key(
        "services",
        Holds::Choices(SERVICES),
        "What is installed on the nodes as the network itself, besides what monitors it: all of it on aws, nothing of it on hosts by default.",
    ),
    key(
        "site_url",
        Holds::Text,
        "The DNS name of this deployment, for one that the public reaches.",
    ),
    key(
        "slack_webhook_url",
        Holds::SecretUrl,
        "The Slack webhook that alerts are sent to.",
    ),
    key(
        "smtp_auth_password",
        Holds::Secret,
        "The password of smtp_auth_username.",
    ),
    key(
        "smtp_auth_username",
        Holds::Text,
        "The user of the mail server.",
    ),
    key("smtp_from", Holds::Text, "The sender of mails."),
    key(
        "smtp_require_tls",
        Holds::Switch,
        "Whether mails go out encrypted alone; true by default.",
    ),
    key(
        "smtp_smarthost",
        Holds::Address,
        "The mail server, as host:port.",
    ),
    key("tag", Holds::Text, "The tag of Scalar DL's image.").on_aws(),
    key(
        "tags",
        Holds::Texts,
        "Tags for all resources, besides Name, Environment, Role and Cluster.",
    ),
    key(
        "target",
        Holds::Choice(&["aws", "hosts"]),
        "Where the machines come from: made in AWS, or those of hosts_file; aws by default.",
    ),
    key(
        "traefik_certificate_file",
        Holds::Path,
        "The certificate that the entry point shows on port 443, with those that vouch for it, in PEM form; without, nothing listens there.",
    ),
    key(
        "traefik_instance_count",
        Holds::Number,
        "How many machines are the entry point.",
    ),
    key(
        "traefik_instance_type",
        Holds::Text,
        "The type of the entry point's machines.",
    ),
    key(
        "traefik_key_file",
        Holds::Path,
        "The private key of traefik_certificate_file.",
    ),
];

#[cfg(test)]
mod tests {
    use super::{Holds, KEYS, Key};

    fn check(keys: &[Key]) {
        assert!(keys.is_sorted_by(|a, b| a.name < b.name));
        for key in keys {
            assert!(key.about.ends_with('.'), "{}", key.name);
            if let Holds::Objects(keys) | Holds::Named(keys) = key.holds {
                check(keys);
            }
        }
    }

    #[test]
    fn sorted_and_told() {
        check(KEYS);
    }
}
