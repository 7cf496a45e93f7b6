//! The runbooks of `docs/runbooks`, built in, so that they can be shown where there is no repository.

/// Alerts with their runbooks (Markdown), sorted by alert.
pub const RUNBOOKS: &[(&str, &str)] = &[
    (
        "AgentDown",
        include_str!("../../docs/runbooks/AgentDown.md"),
    ),
    (
        "CertificateEndsSoon",
        include_str!("../../docs/runbooks/CertificateEndsSoon.md"),
    ),
    (
        "HostCpuHigh",
        include_str!("../../docs/runbooks/HostCpuHigh.md"),
    ),
    (
        "HostDiskFillingUp",
        include_str!("../../docs/runbooks/HostDiskFillingUp.md"),
    ),
    (
        "HostDiskSpaceCritical",
        include_str!("../../docs/runbooks/HostDiskSpaceCritical.md"),
    ),
    (
        "HostDiskSpaceLow",
        include_str!("../../docs/runbooks/HostDiskSpaceLow.md"),
    ),
    ("HostDown", include_str!("../../docs/runbooks/HostDown.md")),
    (
        "LedgerDown",
        include_str!("../../docs/runbooks/LedgerDown.md"),
    ),
    (
        "LedgerFlaps",
        include_str!("../../docs/runbooks/LedgerFlaps.md"),
    ),
    (
        "SystemdServiceFailed",
        include_str!("../../docs/runbooks/SystemdServiceFailed.md"),
    ),
    ("Watchdog", include_str!("../../docs/runbooks/Watchdog.md")),
];

#[cfg(test)]
mod tests {
    use super::RUNBOOKS;

    /// One runbook for every alert, and none besides; each says what it means, how to confirm, act and verify.
    #[test]
    fn one_for_every_alert() {
        let mut alerts = crate::rules::names();
        alerts.sort_unstable();
        let names: Vec<_> = RUNBOOKS.iter().map(|it| it.0).collect();
        assert_eq!(names, alerts);
        let folder = testkit::root().join("docs/runbooks");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), alerts.len());
        for (name, text) in RUNBOOKS {
            assert!(text.starts_with(&format!("# {name}\n")), "{name}");
            for part in ["## What it means", "## Confirm", "## Act", "## Verify"] {
                assert!(
                    text.contains(&format!("\n{part}\n")),
                    "{name} has no {part}"
                );
            }
        }
    }
}
