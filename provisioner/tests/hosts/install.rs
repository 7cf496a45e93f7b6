//! Installing on real machines: a bastion and hosts behind it, each with a systemd and an sshd of its own, and all that can go wrong.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::binary;

use crate::operator::Operator;

#[test]
fn from_nothing_to_nothing() {
    let Some(operator) = Operator::start(&["host", "host", "scalardl"]) else {
        return;
    };
    let hosts = ["bastion", "n1", "n2", "n3"];
    let before = hosts.map(|it| operator.files(it));

    // What would be done is said, and nothing is.
    let said = operator.ends(&["install", "--dry-run"], 2);
    assert!(said.contains("n1: restart node-exporter.service"), "{said}");
    let after = operator.files("n1");
    let changed: Vec<_> = after.symmetric_difference(&before[1]).collect();
    assert!(changed.is_empty(), "{changed:?}");

    let said = operator.ends(&["install"], 0);
    assert!(said.contains("4 of 4 nodes changed"), "{said}");
    for host in hosts {
        let state = operator.shell(
            host,
            "systemctl is-active node-exporter; systemctl is-enabled node-exporter",
        );
        assert_eq!(state, "active\nenabled\n", "{host}");
    }
    // A second run changes nothing, and is quick: one connection to the bastion is the way to all.
    let logins = || -> u32 {
        let count = operator.shell("bastion", "journalctl -q -o cat -u ssh | grep -c ^Accepted");
        count.trim().parse().unwrap()
    };
    let (begin, before_it) = (Instant::now(), logins());
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("4 nodes looked at, 0 differ"), "{said}");
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(logins() - before_it, 1);

    // What somebody changed by hand is put right.
    operator.shell("n3", "systemctl disable --now node-exporter");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("1 of 4 nodes changed"), "{said}");
    assert_eq!(
        operator.shell("n3", "systemctl is-active node-exporter"),
        "active\n"
    );

    // Another version; then one that does not run: the first node of each role is put back, and no other was touched.
    let program = operator.path("node-exporter");
    fs::copy(binary("node-exporter"), &program).unwrap();
    operator.configure(
        &json!({"artifacts": {"node-exporter": {"path": &program, "version": "9.0.0"}}}),
    );
    operator.ends(&["install"], 0);
    let upgraded = operator.version("n2");
    assert!(upgraded.starts_with("node-exporter-9.0.0-"), "{upgraded}");
    fs::write(&program, "#!/bin/sh\necho no good >&2\nexit 1\n").unwrap();
    let begin = Instant::now();
    let said = operator.ends(&["install"], 1);
    assert!(said.contains("node-exporter.service"), "{said}");
    assert!(said.contains("It has what it had before again"), "{said}");
    assert!(
        begin.elapsed() < Duration::from_secs(90),
        "{:?}",
        begin.elapsed()
    );
    for host in hosts {
        assert_eq!(operator.version(host), upgraded, "{host}");
        assert_eq!(
            operator.shell(host, "systemctl is-active node-exporter"),
            "active\n",
            "{host}"
        );
    }
    let journal = fs::read_to_string(operator.path("env/journal.log")).unwrap();
    assert!(journal.contains("rolled back"), "{journal}");
    assert!(
        !journal.contains("\"node\":\"n2\",\"result\":\"rolled back\""),
        "{journal}"
    );

    // Nothing is left.
    operator.ends(&["uninstall"], 1);
    operator.ends(&["uninstall", "--yes"], 0);
    for (host, before) in hosts.iter().zip(&before) {
        let after = operator.files(host);
        let left: Vec<_> = after.difference(before).collect();
        assert!(left.is_empty(), "{host}: {left:?}");
        let (is_there, _) = operator.hosts.shell(host, "id node-exporter");
        assert!(!is_there, "{host}");
    }
    operator.ends(&["uninstall", "--yes"], 0);
}

/// The whole of it, as an operator lives it: a bastion and six hosts with all roles, two monitors among them, from nothing to nothing.
#[test]
fn the_whole_of_it() {
    let roles = [
        "cassandra",
        "traefik",
        "monitor",
        "monitor",
        "scalardl",
        "host",
    ];
    let Some(operator) = Operator::start(&roles) else {
        return;
    };
    let hosts = ["bastion", "n1", "n2", "n3", "n4", "n5", "n6"];
    for program in ["alert-router", "cassandra-exporter", "traefik-exporter"] {
        assert!(binary(program).is_file());
    }
    // What stands for the ledger, as far as its own metrics go.
    let ledger = "cp /proc/self/fd/0 /usr/local/bin/ledger && chmod +x /usr/local/bin/ledger && systemd-run -q --unit=ledger \
        /usr/local/bin/ledger --web.listen-address=:8080 --web.telemetry-path=/stats/prometheus";
    assert_eq!(
        operator.hosts.feed("n5", ledger, &binary("node-exporter")),
        ""
    );
    let jolokia = parts::cassandra::Agent::Jolokia26.jar().unwrap();
    operator.watch("n3", &json!({"artifacts": {"jolokia": {"path": jolokia}}}));
    let before = hosts.map(|it| operator.files(it));
    for host in ["n1", "n3"] {
        operator.shell(host, "systemd-run -q --unit=sampler sh -c 'while :; do cat /proc/[0-9]*/cmdline; sleep 0.1; done >/run/sampled 2>/dev/null'");
    }

    let (ended, sampled) = sampled(&operator, &["install"]);
    assert!(ended.contains("7 of 7 nodes changed"), "{ended}");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("7 nodes looked at, 0 differ"), "{said}");
    let said = operator.ends(&["verify"], 0);
    assert!(said.contains("n4"), "{said}");
    for host in ["n1", "n3"] {
        operator.shell(host, "systemctl stop sampler");
    }
    secrets_are_where_they_belong(&operator, &hosts, &sampled);

    operator.shell("n2", "systemctl stop node-exporter");
    let messages = |what: &str, way: &str| {
        let inbox = operator.shell("n3", "cat /srv/inbox.jsonl 2>/dev/null; true");
        let texts = inbox.lines().map(str::to_owned);
        let texts = texts.filter(|it| it.contains(what) && it.contains("n2") && it.contains(way));
        texts.collect::<Vec<_>>()
    };
    let told = |what: &str| {
        testkit::eventually(what, Duration::from_secs(360), || {
            messages(what, "mail").pop()?;
            messages(what, "slack").pop()
        })
    };
    let text = told("AgentDown");
    let command = "provisioner -e test start n2 node-exporter";
    assert!(
        text.contains(command) && text.contains("i-00000002"),
        "{text}"
    );
    // As it is pasted, beside the environment's folder.
    let words: Vec<_> = command.split(' ').skip(3).collect();
    let said = operator.ends(&words, 0);
    assert!(said.contains("n2: node-exporter healthy"), "{said}");
    told("resolved");
    // Both of Prometheus have told, and people are told once.
    assert_eq!(messages("AgentDown", "slack").len(), 2);

    operator.ends(&["uninstall", "--yes"], 0);
    for (host, before) in hosts.iter().zip(&before) {
        let after = operator.files(host);
        let left: Vec<_> = after
            .difference(before)
            .filter(|it| !it.contains("inbox.jsonl"))
            .collect();
        assert!(left.is_empty(), "{host}: {left:?}");
    }
}

/// What a command says, and the command lines of all that runs on this machine meanwhile.
fn sampled(operator: &Operator, arguments: &[&str]) -> (String, Vec<u8>) {
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut seen = Vec::new();
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    seen.extend(fs::read(process.path().join("cmdline")).unwrap_or_default());
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
            seen
        });
        let said = operator.ends(arguments, 0);
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        (said, sampler.join().unwrap())
    })
}

/// No secret stands in a file that others can read, in the log, or in what processes were started with, here and there.
fn secrets_are_where_they_belong(operator: &Operator, hosts: &[&str], sampled: &[u8]) {
    let secrets = fs::read_dir(operator.path("env/secrets"))
        .unwrap()
        .flatten();
    let secrets = secrets.filter(|it| it.path().extension().is_none());
    let mut needles: Vec<_> = secrets
        .map(|it| fs::read_to_string(it.path()).unwrap().trim().to_owned())
        .filter(|it| it.len() >= 16)
        .collect();
    needles.push("127.0.0.1:8025/slack".to_owned());
    assert!(needles.len() > 3, "{}", needles.len());
    let sampled = String::from_utf8_lossy(sampled);
    assert!(sampled.contains("ssh"), "nothing was sampled");
    assert!(needles.iter().all(|it| !sampled.contains(it)));
    let list = operator.path("needles");
    fs::write(&list, needles.join("\n")).unwrap();
    let journal = fs::read_to_string(operator.path("env/journal.log")).unwrap();
    assert!(needles.iter().all(|it| !journal.contains(it)));
    for host in hosts {
        let search = "umask 077; cp /proc/self/fd/0 /run/needles; \
            find / -xdev -type f -perm /077 -size -8M ! -path '/proc/*' -exec grep -lFf /run/needles {} +; \
            journalctl -q --no-pager -o cat | grep -Ff /run/needles; \
            grep -alFf /run/needles /run/sampled 2>/dev/null; \
            cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -Ff /run/needles; rm /run/needles; true";
        let found = operator.hosts.feed(host, search, &list);
        assert_eq!(found, "", "{host}");
    }
}

/// Each is told with the node's name and what to do, and nothing is changed anywhere.
#[test]
fn what_keeps_it_from_beginning() {
    let Some(operator) = Operator::start(&["scalardl", "scalardl"]) else {
        return;
    };
    let before = operator.files("n2");
    let refused = |expect: &str| {
        let said = operator.ends(&["install"], 1);
        assert!(said.contains(expect), "{expect}: {said}");
        let after = operator.files("n2");
        let changed: Vec<_> = after.symmetric_difference(&before).collect();
        assert!(changed.is_empty(), "{expect}: {changed:?}");
    };
    // Each is mended again before the next.
    for (harm, mend, expect) in [
        (
            "mv /etc/sudoers.d/90-admin /srv/",
            "mv /srv/90-admin /etc/sudoers.d/",
            "n1: admin may not become root without a password",
        ),
        (
            "mv /etc/os-release /srv/ && printf 'ID=haiku\\nVERSION_ID=1\\n' >/etc/os-release",
            "mv /srv/os-release /etc/",
            "n1: its system is haiku 1; this installs on almalinux",
        ),
        (
            "printf '#!/bin/sh\\necho 1000000000\\n' >/usr/local/bin/date && chmod +x /usr/local/bin/date",
            "rm /usr/local/bin/date",
            "n1: its clock differs from ours by -",
        ),
        ("fallocate -l 1900M /var/full", "rm /var/full", "n1: /"),
        (
            "mv /usr/bin/tar /srv/",
            "mv /srv/tar /usr/bin/",
            "n1: it has no tar",
        ),
    ] {
        operator.shell("n1", harm);
        refused(expect);
        operator.shell("n1", mend);
    }
    // Another machine answers there.
    operator.shell(
        "n1",
        "cp -p /etc/ssh/ssh_host_ed25519_key /srv/ && ssh-keygen -qt ed25519 -N '' -f /tmp/other && cp /tmp/other /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh",
    );
    refused("n1: its host key is not the one that is known");
    operator.shell(
        "n1",
        "cp -p /srv/ssh_host_ed25519_key /etc/ssh/ && systemctl restart ssh",
    );
    // A key that is not let in.
    let key = operator.path("other");
    fs::copy(operator.hosts.key(), &key).unwrap();
    operator.shell("n1", "mv /home/admin/.ssh/authorized_keys /srv/");
    refused("n1: it does not let us in");
    operator.shell("n1", "mv /srv/authorized_keys /home/admin/.ssh/");
    // One that is down.
    operator.hosts.kill("n1");
    refused("n1: it cannot be reached");
    operator.hosts.boot("n1");
    let said = operator.ends(&["install", "nope"], 1);
    assert!(
        said.contains("nope is neither a node nor one of the roles"),
        "{said}"
    );

    // Fingerprints in the hosts file, in place of known hosts.
    let fingerprint = |host: &str| {
        let said = operator.shell(host, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
        said.split(' ').nth(1).unwrap().to_owned()
    };
    let hosts = fs::read_to_string(operator.path("env/hosts.yml")).unwrap();
    let with = |n1: &str| {
        let hosts = hosts
            .replace(
                "name: bastion,",
                &format!("name: bastion, host_key: '{}',", fingerprint("bastion")),
            )
            .replace("name: n1,", &format!("name: n1, host_key: '{n1}',"))
            .replace(
                "name: n2,",
                &format!("name: n2, host_key: '{}',", fingerprint("n2")),
            );
        fs::write(operator.path("env/hosts.yml"), hosts).unwrap();
    };
    operator.configure(&json!({"known_hosts_file": operator.path("none")}));
    with(&fingerprint("n2"));
    refused("n1: its host key is not the one that is known");
    with(&fingerprint("n1"));
    operator.ends(&["install"], 0);
}

/// Killed at any point, and resumed; and two at a time.
#[test]
fn killed_and_resumed() {
    let Some(operator) = Operator::start(&["scalardl", "scalardl"]) else {
        return;
    };
    let program = operator.path("node-exporter");
    fs::copy(binary("node-exporter"), &program).unwrap();
    for (round, millis) in [300, 700, 1000, 1300, 1600, 2000, 2600, 4000]
        .into_iter()
        .enumerate()
    {
        operator.configure(&json!({"artifacts": {"node-exporter": {"path": &program, "version": format!("1.{round}.0")}}}));
        let running = operator.program(&["install"]).start();
        std::thread::park_timeout(Duration::from_millis(millis));
        drop(running);
        let said = operator.ends(&["install"], 0);
        for host in ["bastion", "n1", "n2"] {
            let version = operator.version(host);
            assert!(
                version.starts_with(&format!("node-exporter-1.{round}.0-")),
                "{host}: {version}{said}"
            );
            assert_eq!(
                operator.shell(host, "systemctl is-active node-exporter"),
                "active\n"
            );
        }
        let said = operator.ends(&["install"], 0);
        assert!(said.contains("0 differ"), "{said}");
    }

    // Somebody else is at it.
    operator.configure(
        &json!({"artifacts": {"node-exporter": {"path": &program, "version": "2.0.0"}}}),
    );
    let running = operator.program(&["install"]).start();
    let its = format!("(process {},", running.pid());
    testkit::eventually("it has begun", Duration::from_secs(30), || {
        let holder = fs::read_to_string(operator.path("env/lock")).unwrap();
        holder.contains(&its).then_some(())
    });
    let said = operator.ends(&["install", "--dry-run"], 1);
    assert!(said.contains("is being changed by "), "{said}");
    drop(running);
    operator.ends(&["install"], 0);
}
