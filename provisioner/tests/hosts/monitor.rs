//! A monitor's own disk: what its programs keep is brought there when there is one, and without it they do not start.

use std::fs;

use serde_json::json;
use testkit::{Disk, binary};

use crate::operator::Operator;

const KEPT: &str = "/var/lib/scalar-dl-monitoring/alert-router";
const ON_DISK: &str = "/var/lib/monitor/alert-router";

#[test]
fn its_disk() {
    assert!(binary("alert-router").is_file());
    let Some(operator) = Operator::start(&["monitor"]) else {
        return;
    };
    let operator = &operator;
    let disk = Disk::new(&operator.path("tmp"), 512 << 20).unwrap();
    operator.configure(&json!({"leave_out": ["grafana", "prometheus"]}));
    let hosts = operator.path("env/hosts.yml");
    let without = fs::read_to_string(&hosts).unwrap();
    let volumes = "role: monitor, volumes: [{for: monitor, serial: vol-0def}]";
    let with = without.replace("role: monitor", volumes);

    // Without one it is on the system's. A file stands for what it has kept.
    operator.ends(&["install"], 0);
    operator.shell(
        "n1",
        &format!("echo before >{KEPT}/mark; chown --reference={KEPT} {KEPT}/mark"),
    );

    // Then there is one: it is taken there. Its serial is no other test's: XFS takes no second file system of the same id on one kernel.
    fs::write(&hosts, &with).unwrap();
    operator.hosts.plug("n1", &disk, "vol0def");
    let said = operator.ends(&["install", "n1", "--dry-run"], 2);
    for expect in [
        "format, for it is empty, the disk vol0def as /var/lib/monitor",
        &format!("move {KEPT} to {ON_DISK}"),
    ] {
        assert!(said.contains(expect), "{said}");
    }
    operator.ends(&["install", "n1"], 0);
    let mark = || {
        operator.shell(
            "n1",
            &format!("cat {ON_DISK}/mark; stat -c %U {ON_DISK}/mark"),
        )
    };
    assert_eq!(mark(), "before\nalert-router\n");
    let left = operator.hosts.shell("n1", &format!("ls {KEPT}"));
    assert!(!left.0, "{}", left.1);
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("2 nodes looked at, 0 differ"), "{said}");

    // It is not forgotten by the way.
    fs::write(&hosts, &without).unwrap();
    let said = operator.ends(&["install", "n1"], 1);
    assert!(
        said.contains("its disk is no longer in the list of its volumes"),
        "{said}"
    );
    fs::write(&hosts, &with).unwrap();

    // The machine starts without it: nothing is kept elsewhere.
    operator.hosts.kill("n1");
    operator.hosts.boot("n1");
    let state = "systemctl is-active alert-router; ls -A /var/lib/monitor";
    let (_, said) = operator.hosts.shell("n1", state);
    assert!(
        !said.contains("\nalert-router") && !said.starts_with("active"),
        "{said}"
    );
    let said = operator.ends(&["install", "n1"], 1);
    assert!(said.contains("has no disk of that serial"), "{said}");

    // Another machine gets it, on which users have other numbers, and something is in the old place: nothing is lost, and nothing is mixed.
    operator.hosts.renew("n1");
    let known = operator.hosts.known_hosts();
    let key = fs::read_to_string(operator.path("machines/n/n1/hostkey.pub")).unwrap();
    let mut words = key.split(' ');
    let (kind, key) = (words.next().unwrap(), words.next().unwrap());
    let lines = fs::read_to_string(&known).unwrap();
    let others = lines.lines().filter(|it| !it.starts_with("10.91.0.21 "));
    let lines: String = others.map(|it| format!("{it}\n")).collect();
    fs::write(&known, format!("{lines}10.91.0.21 {kind} {key}\n")).unwrap();
    operator.hosts.plug("n1", &disk, "vol0def");
    operator.shell(
        "n1",
        &format!("useradd --system --user-group somebody; mkdir -p {KEPT}; touch {KEPT}/other"),
    );
    let said = operator.ends(&["install", "n1"], 1);
    assert!(
        said.contains(&format!(
            "{KEPT} and {ON_DISK} both have what alert-router.service keeps"
        )),
        "{said}"
    );
    operator.shell(
        "n1",
        &format!("ls {KEPT}/other {ON_DISK}/mark; mv {KEPT} {KEPT}.old"),
    );
    operator.ends(&["install", "n1"], 0);
    assert_eq!(mark(), "before\nalert-router\n");
    let said = operator.ends(&["status"], 0);
    assert!(!said.contains("does not run"), "{said}");

    // Taken away, but for what it has kept.
    operator.ends(&["uninstall", "n1", "--yes", "--keep-data"], 0);
    operator.shell("n1", &format!("ls {ON_DISK}/mark"));
}
