//! The rules: what is recorded, what wakes people, and what they are told.

use crate::{File, Settings};

/// A recording rule.
struct Recording {
    record: &'static str,
    expr: &'static str,
}

/// An alert.
struct Alert {
    name: &'static str,
    expr: &'static str,
    /// How long it must be so; empty for the settings' `agent_down_for`.
    lasts: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
    /// Words that alert-router makes a command of, where the environment has it.
    repair: Option<&'static str>,
}

const RECORDINGS: &[Recording] = &[
    Recording {
        record: "instance:node_cpu_utilisation:rate5m",
        expr: "1 - avg without (cpu) (sum without (mode) (rate(node_cpu_seconds_total{mode=~\"idle|iowait|steal\"}[5m])))",
    },
    Recording {
        record: "instance:node_memory_utilisation:ratio",
        expr: "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    },
    Recording {
        record: "instance:node_filesystem_free:ratio",
        expr: "node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"} / (node_filesystem_size_bytes > 0) and on (cluster, instance, job, device, mountpoint, fstype) node_filesystem_readonly == 0",
    },
];

const ALERTS: &[Alert] = &[
    Alert {
        name: "AgentDown",
        // A host that is gone as a whole is HostDown's.
        expr: "up{job!=\"scalardl\"} == 0 unless on (cluster, instance) (max by (cluster, instance) (up) == 0 and count by (cluster, instance) (up) > 1)",
        lasts: "",
        severity: "critical",
        summary: "{{ $labels.program }} on {{ $labels.instance }} does not answer",
        description: "Prometheus has not been able to scrape the job {{ $labels.job }} of {{ $labels.instance }}. What it tells is missing; the host answers otherwise.",
        repair: Some("start {{ $labels.program }}"),
    },
    Alert {
        name: "HostDown",
        // One silent job is AgentDown's.
        expr: "max by (cluster, environment, instance, instance_id, role, zone) (up) == 0 and on (cluster, instance) count by (cluster, instance) (up) > 1",
        lasts: "",
        severity: "critical",
        summary: "Host {{ $labels.instance }} is down",
        description: "None of the jobs of {{ $labels.instance }} answers: the host is down, or cut off from the network.",
        repair: Some("recover {{ $labels.instance }}"),
    },
    Alert {
        name: "LedgerDown",
        expr: "up{job=\"scalardl\"} == 0 unless on (cluster, instance) (max by (cluster, instance) (up) == 0 and count by (cluster, instance) (up) > 1)",
        lasts: "",
        severity: "critical",
        summary: "The ledger on {{ $labels.instance }} does not answer",
        description: "Prometheus has not been able to scrape the ledger's own metrics on {{ $labels.instance }}, which answers otherwise.",
        repair: Some("recover {{ $labels.instance }}"),
    },
    Alert {
        name: "LedgerFlaps",
        // Between two ends it answers, so that nothing else may last long enough to be told.
        expr: "increase(node_systemd_service_restart_total{name=\"scalardl.service\"}[30m]) >= 3",
        lasts: "0s",
        severity: "warning",
        summary: "The ledger on {{ $labels.instance }} ends again and again",
        description: "systemd has started the ledger on {{ $labels.instance }} again three times or more within half an hour, for it had ended by itself.",
        repair: None,
    },
    Alert {
        name: "CertificateEndsSoon",
        // Made anew by each run when a third of its 180 days is left: half of that has gone by without one.
        expr: "scalar_dl_certificate_not_after_timestamp_seconds - time() < 30 * 86400",
        lasts: "1h",
        severity: "warning",
        summary: "The certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
        description: "When it has ended, Prometheus does not get an answer from any agent of {{ $labels.instance }}. The next installation makes a new one.",
        repair: Some("install {{ $labels.instance }}"),
    },
    Alert {
        name: "SystemdServiceFailed",
        expr: "node_systemd_unit_state{state=\"failed\"} == 1",
        lasts: "5m",
        severity: "warning",
        summary: "The service {{ $labels.name }} on {{ $labels.instance }} is down",
        description: "systemd has given {{ $labels.name }} up: it ended by itself and is not started again.",
        repair: None,
    },
    Alert {
        name: "HostDiskSpaceLow",
        expr: "instance:node_filesystem_free:ratio < 0.15",
        lasts: "15m",
        severity: "warning",
        summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} of its space left",
        description: "The file system {{ $labels.device }} ({{ $labels.fstype }}) has been nearly full for 15 minutes. Cassandra needs room to compact.",
        repair: None,
    },
    Alert {
        name: "HostDiskSpaceCritical",
        expr: "instance:node_filesystem_free:ratio < 0.05",
        lasts: "5m",
        severity: "critical",
        summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} is full: {{ $value | humanizePercentage }} left",
        description: "The file system {{ $labels.device }} ({{ $labels.fstype }}) is about to take no more writes.",
        repair: None,
    },
    Alert {
        name: "HostDiskFillingUp",
        expr: "instance:node_filesystem_free:ratio < 0.40 and predict_linear(instance:node_filesystem_free:ratio[6h], 24 * 3600) < 0",
        lasts: "1h",
        severity: "warning",
        summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} will be full within a day",
        description: "At the pace of the last six hours the file system {{ $labels.device }}, of which {{ $value | humanizePercentage }} is free, is full in less than 24 hours.",
        repair: None,
    },
    Alert {
        name: "HostCpuHigh",
        expr: "instance:node_cpu_utilisation:rate5m > 0.90",
        lasts: "15m",
        severity: "warning",
        summary: "The processors of {{ $labels.instance }} are {{ $value | humanizePercentage }} busy",
        description: "For 15 minutes the processors of {{ $labels.instance }} have been busy more than nine tenths of the time.",
        repair: None,
    },
    Alert {
        name: "Watchdog",
        expr: "vector(1)",
        lasts: "0s",
        severity: "none",
        summary: "Prometheus evaluates its rules",
        description: "It always fires, and nobody is told. When alert-router does not get it any more, people are told of HeartbeatMissing.",
        repair: None,
    },
];

/// The names of all alerts.
#[cfg(test)]
pub(crate) fn names() -> Vec<&'static str> {
    ALERTS.iter().map(|it| it.name).collect()
}

/// One file for hosts and their agents.
pub(crate) fn files(settings: &Settings) -> Vec<File> {
    let mut text = "# Rendered by `cargo run -p dashboards` from dashboards/src/rules.rs; changes here are lost.\ngroups:\n- name: host.recording\n  rules:\n".to_owned();
    for rule in RECORDINGS {
        text.push_str(&format!(
            "  - record: {}\n    expr: {}\n",
            rule.record,
            quoted(rule.expr)
        ));
    }
    text.push_str("- name: host.alerts\n  rules:\n");
    for alert in ALERTS {
        text.push_str(&alert.render(settings));
    }
    vec![File {
        name: "host.rules.yml".to_owned(),
        text,
    }]
}

impl Alert {
    fn render(&self, settings: &Settings) -> String {
        let lasts = if self.lasts.is_empty() {
            &settings.agent_down_for
        } else {
            self.lasts
        };
        let mut annotations = vec![
            ("summary", self.summary.to_owned()),
            ("description", self.description.to_owned()),
            ("runbook_url", settings.runbook(self.name)),
        ];
        if let Some(base) = &settings.dashboard_base_url {
            let link = format!(
                "{base}/d/scalardl-node?var-cluster={{{{ $labels.cluster }}}}&var-instance={{{{ $labels.instance }}}}"
            );
            annotations.push(("dashboard", link));
        }
        if let Some(repair) = self.repair.filter(|_| settings.can_start_programs) {
            annotations.push(("repair", repair.to_owned()));
        }
        let mut text = format!(
            "  - alert: {}\n    expr: {}\n    for: {lasts}\n    labels:\n      severity: {}\n    annotations:\n",
            self.name,
            quoted(self.expr),
            self.severity
        );
        for (name, value) in annotations {
            text.push_str(&format!("      {name}: {}\n", quoted(&value)));
        }
        text
    }
}

/// A text as YAML takes it in double quotes: JSON's form is one of those.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
