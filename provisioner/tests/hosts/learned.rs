//! Host keys of machines that Terraform has made: learned once for each instance id, over the bastion, and held to.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::operator::Operator;

/// What the last apply would have left, with these ids of the bastion and of the host.
fn machines(operator: &Operator, bastion: &str, host: &str) {
    let inventory = json!({
        "defaults": {"user": "admin", "bastion": "bastion-1"},
        "hosts": [
            {"name": "bastion-1", "address": "10.90.0.10", "private_address": "10.91.0.10", "role": "bastion", "instance_id": bastion},
            {"name": "scalardl-1", "address": "10.91.0.21", "role": "scalardl", "instance_id": host},
        ],
    });
    fs::write(operator.path("env/inventory.json"), inventory.to_string()).unwrap();
}

fn known(operator: &Operator) -> BTreeSet<String> {
    let text = fs::read_to_string(operator.path("env/known_hosts")).unwrap();
    text.lines()
        .map(|it| it.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn once_for_each_machine() {
    let Some(operator) = Operator::start(&["scalardl"]) else {
        return;
    };
    let mut config: Value =
        serde_json::from_slice(&fs::read(operator.path("env/config.json")).unwrap()).unwrap();
    let keys = config.as_object_mut().unwrap();
    keys.remove("known_hosts_file");
    for (key, value) in [
        ("target", "aws"),
        ("tag", "3.10.0"),
        ("aws_key_name", "key"),
        ("docker_user", "user"),
        ("docker_password", "${file:docker}"),
    ] {
        keys.insert(key.to_owned(), json!(value));
    }
    fs::write(operator.path("env/docker"), "secret").unwrap();
    fs::write(operator.path("env/config.json"), config.to_string()).unwrap();
    machines(&operator, "i-1", "i-2");

    let ended = operator.run(&["ssh", "scalardl-1", "hostname"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.trim(), "n1");
    assert_eq!(known(&operator), ["i-1", "i-2"].map(str::to_owned).into());
    let journal = fs::read_to_string(operator.path("env/journal.log")).unwrap();
    assert!(journal.contains("learned the host key of i-2"), "{journal}");
    // Connections of installing take the same keys, and learn nothing more.
    let status = operator.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    let nodes = status[0]["nodes"].as_array().unwrap().clone();
    assert!(
        nodes.iter().all(|it| it["is_reachable"] == true),
        "{status}"
    );
    assert_eq!(
        fs::read_to_string(operator.path("env/journal.log")).unwrap(),
        journal
    );

    // Somebody else answers at the address of a machine that is known.
    let path = operator.path("env/known_hosts");
    let text = fs::read_to_string(&path).unwrap();
    let bastion = text.lines().find(|it| it.starts_with("i-1 ")).unwrap();
    let other = bastion.replacen("i-1", "i-2", 1);
    fs::write(&path, format!("{bastion}\n{other}\n")).unwrap();
    let ended = operator.run(&["ssh", "scalardl-1", "hostname"]);
    assert_eq!(ended.status.code(), Some(255), "{}", ended.stdout);
    assert_eq!(known(&operator).len(), 2);
    let status = operator.run(&["status", "--json"]).stdout;
    assert!(status.contains("its host key is not the one"), "{status}");

    // The machine was replaced, and has another id.
    machines(&operator, "i-1", "i-3");
    let status: Value = serde_json::from_str(&operator.run(&["status", "--json"]).stdout).unwrap();
    let nodes = status[0]["nodes"].as_array().unwrap().clone();
    assert!(
        nodes.iter().all(|it| it["is_reachable"] == true),
        "{status}"
    );
    assert!(known(&operator).contains("i-3"));
}
