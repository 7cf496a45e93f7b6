//! Operating machines that there are: a ledger that is down is told of with the command that recovers it, and that command does; services are
//! started anew one after the other.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use testkit::eventually;

use crate::{containers::Image, operator::Operator};

/// Scrapes, the alert's time, and a group's.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until people have it by mail and Slack: the last message of the inbox of a monitor in which all of these words are.
pub(crate) fn told(operator: &Operator, monitor: &str, words: &[&str]) -> String {
    eventually(&words.join(" "), PATIENCE, || {
        let inbox = operator.shell(monitor, "cat /srv/inbox.jsonl 2>/dev/null; true");
        let last = |way: &str| {
            let mut texts = inbox.lines().rev();
            let found =
                texts.find(|it| it.contains(way) && words.iter().all(|word| it.contains(word)));
            found.map(str::to_owned)
        };
        last("mail")?;
        last("slack")
    })
}

/// What was saved before a machine was touched: folders, oldest first.
fn evidence(operator: &Operator, node: &str) -> Vec<PathBuf> {
    let folder = operator.path("env/evidence");
    let entries = fs::read_dir(folder).unwrap().flatten().map(|it| it.path());
    let name = |it: &Path| it.file_name().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = entries
        .filter(|it| name(it).starts_with(&format!("{node}-")))
        .collect();
    found.sort();
    found
}

/// All ledgers are gone, which the command that people are told mends; then one ends again and again.
fn all_and_again(operator: &Operator) {
    for host in ["n1", "n2"] {
        operator.shell(host, "systemctl stop scalardl");
    }
    let text = told(operator, "n4", &["LedgersDown"]);
    let command = "provisioner -e test install scalardl";
    assert!(text.contains(command), "{text}");
    let words: Vec<_> = command.split(' ').skip(3).collect();
    let said = operator.ends(&words, 0);
    assert!(said.contains("2 of 2 nodes changed"), "{said}");
    told(operator, "n4", &["resolved", "LedgersDown"]);

    // Each is a time of its own for who asks every 15 s.
    let count = "systemctl show -p NRestarts --value scalardl";
    for times in ["1", "2", "3", "4"] {
        operator.shell("n2", "podman kill --signal KILL scalardl");
        eventually("it was started again", PATIENCE, || {
            let is_up = "systemctl is-active -q scalardl && podman ps -q --filter name=scalardl";
            let (is_up, said) = operator.hosts.shell("n2", is_up);
            let starts = operator.shell("n2", count);
            (is_up && !said.trim().is_empty() && starts.trim() == times).then_some(())
        });
    }
    told(operator, "n4", &["LedgerFlaps", "n2"]);
}

#[test]
fn recovered_and_restarted() {
    let Some(operator) = Operator::start(&["scalardl", "scalardl", "traefik", "monitor"]) else {
        return;
    };
    let traefik = parts::traefik("3.7.15").unwrap();
    let ledger = operator.path("ledger.tar");
    Image::new(&[
        "serve-ledger",
        "--address=0.0.0.0",
        "--alone",
        "--decommissioning=1",
    ])
    .save(&ledger);
    operator.watch(
        "n4",
        &json!({
            "services": ["scalardl", "traefik"],
            "scalar_properties": {"scalar.db.storage": "jdbc"},
            "scalar_image_archive": ledger,
            "artifacts": {"traefik": {"path": traefik, "version": "3.7.15"}},
        }),
    );
    operator.ends(&["install"], 0);
    operator.ends(&["verify", "--no-alert"], 0);

    // One after the other.
    let process = |host: &str| operator.shell(host, "systemctl show -p MainPID scalardl");
    let before = [process("n1"), process("n2")];
    let said = operator.ends(&["rolling-restart", "scalar"], 0);
    let healthy: Vec<_> = said.lines().filter(|it| it.ends_with("healthy")).collect();
    assert_eq!(healthy, ["n1: scalardl healthy", "n2: scalardl healthy"]);
    assert!(process("n1") != before[0] && process("n2") != before[1]);
    operator.ends(&["rolling-restart", "traefik"], 0);
    let said = operator.ends(&["rolling-restart", "cassandra"], 2);
    assert!(said.contains("possible values: scalar, traefik"), "{said}");

    // A ledger is gone: people are told what to do, and it helps.
    operator.shell("n1", "systemctl stop scalardl");
    let text = told(&operator, "n4", &["LedgerDown", "n1"]);
    let command = "provisioner -e test recover n1";
    assert!(
        text.contains(command) && text.contains("i-00000001"),
        "{text}"
    );
    let words: Vec<_> = command.split(' ').skip(3).collect();
    let said = operator.ends(&words, 0);
    assert!(said.contains("n1: starting scalardl again"), "{said}");
    assert!(
        said.contains("n1: its services were started again"),
        "{said}"
    );
    told(&operator, "n4", &["resolved", "LedgerDown", "n1"]);
    let saved = evidence(&operator, "n1").pop().unwrap();
    let mode = fs::metadata(&saved).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let text = |name: &str| fs::read_to_string(saved.join(name)).unwrap();
    assert!(text("journal.txt").contains("scalardl"));
    assert!(text("services.txt").contains("scalardl.service"));
    assert!(text("about.txt").contains("before: recover n1\n"));
    let ignored = fs::read_to_string(operator.path("env/.gitignore")).unwrap();
    assert!(ignored.contains("evidence/\n"), "{ignored}");

    // A machine that is gone is nobody's to mend but its owner's; nothing else is touched meanwhile.
    operator.hosts.kill("n2");
    let said = operator.ends(&["rolling-restart", "scalar"], 1);
    assert!(said.contains("n2: it cannot be reached"), "{said}");
    assert!(!said.contains("healthy"), "{said}");
    let said = operator.ends(&["recover", "n2"], 1);
    assert!(
        said.contains("one in its place under the same name"),
        "{said}"
    );
    let saved = evidence(&operator, "n2").pop().unwrap();
    let about = fs::read_to_string(saved.join("about.txt")).unwrap();
    assert!(about.contains("the node told nothing: n2: "), "{about}");
    let said = operator.ends(&["replace", "n2"], 1);
    assert!(said.contains("not the provisioner's to replace"), "{said}");
    operator.hosts.boot("n2");
    operator.ends(&["recover", "n2"], 0);

    all_and_again(&operator);

    // Nothing is silent any more, and the journal says what was done.
    let journal = fs::read_to_string(operator.path("env/journal.log")).unwrap();
    for result in ["healed: its services", "not healed", "was started anew"] {
        assert!(journal.contains(result), "{result}: {journal}");
    }
}
