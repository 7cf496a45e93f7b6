//! An environment's files, from a new one on: what is right, what is wrong, how two differ, who the machines are, what they cost.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use testkit::{Ended, Program};

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    Program::new("provisioner")
        .args(["-e".as_ref(), folder.as_os_str()])
        .args(arguments)
        .env("SLACK_WEBHOOK_URL", "https://hooks.example/secret")
        .env("GRAFANA_PASSWORD", "hunter2")
        .env("DOCKER_PASSWORD", "hunter3")
        .run()
}

fn code(ended: &Ended) -> i32 {
    ended.status.code().unwrap()
}

#[test]
fn from_new_to_right() {
    let folder = tempfile::tempdir().unwrap();
    let (test, production) = (folder.path().join("test"), folder.path().join("production"));
    for (path, more) in [
        (&test, &["--target=hosts"][..]),
        (&production, &["--level=high"]),
    ] {
        let ended = run(
            path,
            &[&["new", &path.display().to_string()], more].concat(),
        );
        assert_eq!(code(&ended), 0, "{}", ended.stderr);
        let mode = fs::metadata(path.join("config.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // What is there is not written over.
    let before = fs::read(test.join("config.json")).unwrap();
    let ended = run(&test, &["new", &test.display().to_string()]);
    assert_eq!(code(&ended), 1);
    assert!(ended.stderr.contains("File exists"), "{}", ended.stderr);
    assert_eq!(fs::read(test.join("config.json")).unwrap(), before);

    let ended = run(&test, &["validate"]);
    assert_eq!(code(&ended), 0, "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .ends_with("is right: 1 bastion, 3 cassandra, 1 monitor, 1 scalardl, 1 traefik\n"),
        "{}",
        ended.stdout
    );
    let ended = run(&production, &["validate"]);
    assert_eq!(code(&ended), 0, "{}", ended.stderr);

    let [a, b] = [&test, &production].map(|it| it.display().to_string());
    let ended = run(&test, &["diff", &a, &b]);
    assert_eq!(code(&ended), 2);
    assert!(ended.stdout.contains("level"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("docker_password   -"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("hunter"), "{}", ended.stdout);
    let ended = run(&test, &["diff", &a, &a]);
    assert_eq!(
        (code(&ended), ended.stdout.as_str()),
        (0, "they are the same\n")
    );

    // Problems of both files, and none of them shows a secret.
    fs::write(
        test.join("config.json"),
        r#"{"target": "hosts", "nmae": "x",
 "slack_webhook_url": "hunter4"}"#,
    )
    .unwrap();
    fs::write(
        test.join("hosts.yml"),
        "hosts:\n  - {name: a, address: 10.0.0.1, role: casandra}\n",
    )
    .unwrap();
    let ended = run(&test, &["validate"]);
    assert_eq!(code(&ended), 2, "{}", ended.stderr);
    for expect in [
        "config.json, line 1: unknown key nmae; did you mean name?",
        "config.json, line 2: slack_webhook_url: it is no URL",
        "hosts.yml, line 2: a: there is no role \"casandra\"",
    ] {
        assert!(ended.stderr.contains(expect), "{expect}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("hunter"), "{}", ended.stderr);
    // Nobody is there to be asked.
    fs::write(
        test.join("config.json"),
        r#"{"target": "hosts", "name": "x"}"#,
    )
    .unwrap();
    let ended = run(&test, &["validate"]);
    for expect in [
        "environment is missing: One word for the kind of deployment, such as production",
        "prefix is missing: A short word before the names of all resources",
        "no_notifications: nobody would be told of alerts",
    ] {
        assert!(ended.stderr.contains(expect), "{expect}: {}", ended.stderr);
    }
    let ended = run(&folder.path().join("nowhere"), &["validate"]);
    assert_eq!(code(&ended), 2);
    assert!(ended.stderr.contains("cannot read it"), "{}", ended.stderr);
}

/// The guide's own example, with its placeholders filled.
#[test]
fn the_example_of_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let example = r#"{
  "name": "Deployment Name",
  "prefix": "short-name",
  "environment": "sandbox",
  "tag": "2.0.0",
  "aws_key_name": "operators",
  "scalar_instance_type": "t2.large",
  "scalar_ebs_volume_size": "50",
  "scalar_autoscaling_group_desire": "3",
  "cassandra_instance_type": "t3.xlarge",
  "cassandra_ebs_volume_size": "1000",
  "cassandra_instance_count": "3",
  "docker_user": "docker_hub_username",
  "docker_password": "docker_hub_password",
  "private_key_file": "~/.ssh/private.pem""#;
    let path = folder.path().join("config.json");
    fs::write(&path, format!("{example}\n}}\n")).unwrap();
    // Slack is optional in the guide; that nobody is told of alerts must be said.
    let ended = run(folder.path(), &["validate"]);
    assert_eq!(code(&ended), 2);
    assert!(
        ended.stderr.contains("no_notifications: nobody"),
        "{}",
        ended.stderr
    );
    fs::write(
        &path,
        format!("{example},\n  \"slack_webhook_url\": \"${{env:SLACK_WEBHOOK_URL}}\"\n}}\n"),
    )
    .unwrap();
    let ended = run(folder.path(), &["validate"]);
    assert_eq!(code(&ended), 0, "{}", ended.stderr);
    // Its password stands in a file that others can read.
    assert!(
        ended
            .stderr
            .contains("docker_password stand in a file that others can read"),
        "{}",
        ended.stderr
    );
    let ended = run(
        folder.path(),
        &[
            "cost",
            "--price=t2.large=0.0928",
            "--price=t3.xlarge=0.1664",
            "--json",
        ],
    );
    assert_eq!(code(&ended), 0, "{}", ended.stderr);
    let bill: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(bill["lines"][0]["count"], "3 x t3.xlarge (4 vCPU, 16 GiB)");
    assert_eq!(bill["lines"][2]["usd"], 203.23);
    let ended = run(folder.path(), &["capacity", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["unique_gib"], 500.0);
}

#[test]
fn inventories() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("config.json"),
        r#"{"target": "hosts", "name": "n", "prefix": "p", "environment": "e", "no_notifications": true, "private_key_file": "key"}"#,
    )
    .unwrap();
    fs::write(
        folder.path().join("hosts.yml"),
        "defaults: {user: admin, bastion: b}\nhosts:\n  - {name: b, address: 203.0.113.5, role: [bastion, monitor]}\n  - {name: c1, address: 10.0.0.11, role: cassandra, zone: a, instance_id: i-1}\n",
    )
    .unwrap();
    let shown = |format: &str| {
        let ended = run(folder.path(), &["inventory", "--format", format]);
        assert_eq!(code(&ended), 0, "{}", ended.stderr);
        ended
            .stdout
            .replace(&folder.path().display().to_string(), "/env")
    };
    assert_eq!(
        shown("ssh-config"),
        "Host b\n  HostName 203.0.113.5\n  Port 22\n  User admin\n  IdentityFile \"/env/key\"\n\
         Host c1\n  HostName 10.0.0.11\n  Port 22\n  User admin\n  IdentityFile \"/env/key\"\n  ProxyJump b\n"
    );
    let json: serde_json::Value = serde_json::from_str(&shown("json")).unwrap();
    assert_eq!(json[1]["instance_id"], "i-1");
    assert_eq!(json[0]["roles"], serde_json::json!(["bastion", "monitor"]));
    let ansible = shown("ansible");
    for expect in [
        "ansible_ssh_common_args: -o ProxyJump=admin@203.0.113.5:22",
        "cassandra:\n      hosts:\n        c1: {}",
        "ansible_ssh_private_key_file: /env/key",
    ] {
        assert!(ansible.contains(expect), "{expect}: {ansible}");
    }
}
