//! The provisioner's commands, with a real Terraform and the stand-in for the cloud.

use std::{fs, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::eventually;

use crate::environment::{Environment, PASSWORD};

const DISK: &str = "module.cassandra.aws_ebs_volume.data[0]";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// From nothing to machines, and nothing to do afterwards.
#[test]
fn plan_and_apply() {
    let environment = Environment::new(&json!({}));
    let said = environment.provisions(0, &["init"]);
    assert!(said.contains("initialized"), "{said}");
    let said = environment.provisions(2, &["plan", "--no-install"]);
    assert!(
        said.contains("make module.scalar.aws_instance.scalar[0] (scalardl-1)"),
        "{said}"
    );
    assert!(environment.path().join("plan.out").exists());
    // What was planned is applied, and nobody is asked.
    let said = environment.provisions(0, &["apply", "--no-install"]);
    assert!(said.contains("make module.network.aws_vpc.vpc, "), "{said}");
    assert!(said.contains("9 machines"), "{said}");
    assert!(!environment.path().join("plan.out").exists());
    let said = environment.provisions(0, &["plan", "--no-install"]);
    assert!(said.contains("no resource differs"), "{said}");
    assert!(!environment.path().join("plan.out").exists());
    environment.provisions(0, &["apply", "--no-install"]);

    // The machines are known without Terraform, and without the cloud.
    let inventory = json(&environment.provisions(0, &["inventory"]));
    let names: Vec<_> = inventory
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"cassandra-3") && names.contains(&"bastion-1"),
        "{names:?}"
    );
    let ssh = environment.provisions(0, &["inventory", "--format", "ssh-config"]);
    assert!(ssh.contains("ProxyJump bastion-1"), "{ssh}");
    let outputs = json(&environment.provisions(0, &["output", "--json"]));
    assert_eq!(outputs["inventory"], environment.output("inventory"));
    let entry = environment.provisions(0, &["output", "entry"]);
    assert_eq!(json!(entry.trim()), environment.output("entry"));
    let said = environment.provisions(1, &["output", "entrance"]);
    assert!(said.contains("there is no output entrance"), "{said}");
    let journal = fs::read_to_string(environment.path().join("journal.log")).unwrap();
    assert!(journal.contains("applied"), "{journal}");
    assert!(!journal.contains("hunter"), "{journal}");
}

/// The guide's names, and what a plan makes of them.
#[test]
fn machines_are_tainted() {
    let environment = Environment::applied();
    environment.provisions(0, &["output"]);
    for words in [
        &["-module=scalar", "aws_instance.scalar.1"][..],
        &["scalar.1"],
        &["scalardl-2"],
        &["sdl-sandbox-scalardl-2"],
        &[&environment.instance("scalardl-2")],
    ] {
        let said = environment.provisions(0, &[&["taint"], words].concat());
        assert!(
            said.contains("tainted module.scalar.aws_instance.scalar[1] (scalardl-2)"),
            "{said}"
        );
        let said = environment.provisions(0, &[&["untaint"], words].concat());
        assert!(
            said.contains("untainted module.scalar.aws_instance.scalar[1]"),
            "{said}"
        );
    }
    environment.provisions(0, &["plan", "--no-install"]);
    let said = environment.provisions(1, &["taint", "scalar.7"]);
    assert!(said.contains("there is no scalardl-8"), "{said}");

    environment.provisions(
        0,
        &["taint", "-module=service.grafana", "aws_instance.instance"],
    );
    let said = environment.provisions(2, &["plan", "--no-install"]);
    assert!(said.contains("replace module.service.module.prometheus.aws_instance.instance[0] (monitor-1): it is tainted"), "{said}");
    // Taken back, the plan that was made of it is gone, too.
    environment.provisions(0, &["untaint", "service.prometheus"]);
    environment.provisions(0, &["apply", "--no-install"]);

    let before = environment.instance("scalardl-1");
    let said = environment.provisions(2, &["plan", "--no-install", "--replace", "scalar.0"]);
    assert!(said.contains("(scalardl-1): it was asked for"), "{said}");
    environment.provisions(0, &["apply", "--no-install"]);
    assert_ne!(environment.instance("scalardl-1"), before);
}

/// What was done to machines in AWS' console is mended, and told in plain words.
#[test]
fn stopped_and_terminated() {
    let environment = Environment::applied();
    let (stopped, gone) = (
        environment.instance("cassandra-2"),
        environment.instance("scalardl-3"),
    );
    environment.change_cloud(|it| {
        it["resources"]["aws_instance"][&stopped]["instance_state"] = json!("stopped");
        it["resources"]["aws_instance"][&gone]["instance_state"] = json!("terminated");
    });
    let said = environment.provisions(2, &["plan", "--no-install"]);
    assert!(
        said.contains("start cassandra-2: it is stopped\n"),
        "{said}"
    );
    assert!(
        said.contains("make module.scalar.aws_instance.scalar[2] (scalardl-3)"),
        "{said}"
    );
    environment.provisions(0, &["apply", "--no-install"]);
    let its = &environment.resources("aws_instance")[&stopped]["instance_state"];
    assert_eq!(*its, "running");
    environment.provisions(0, &["plan", "--no-install"]);
}

/// What holds data is not lost by a plan of ours, nor by one that was made by hand.
#[test]
fn what_is_stateful_stays() {
    let environment = Environment::applied();
    let cassandra = "module.cassandra.aws_instance.cassandra[1]";
    environment.provisions(0, &["taint", "cassandra-2"]);
    let said = environment.provisions(1, &["plan", "--no-install"]);
    assert!(
        said.contains(&format!("replace {cassandra}: the machine of cassandra-2")),
        "{said}"
    );
    assert!(said.contains("--allow-stateful cassandra-2"), "{said}");
    assert!(!environment.path().join("plan.out").exists());
    environment.plan(&[]);
    let before = environment.cloud();
    let said = environment.provisions(1, &["apply", "--no-install", "--yes"]);
    assert!(said.contains("nothing was done"), "{said}");
    assert_eq!(environment.cloud(), before);
    for (named, code) in [("cassandra-1", 1), ("cassandra-2", 2), (cassandra, 2)] {
        environment.provisions(code, &["plan", "--no-install", "--allow-stateful", named]);
    }
    let volumes = environment.resources("aws_ebs_volume");
    environment.provisions(
        0,
        &["apply", "--no-install", "--allow-stateful", "cassandra-2"],
    );
    assert_eq!(environment.resources("aws_ebs_volume"), volumes);
    assert_ne!(environment.cloud(), before);

    // The monitor's data, which nothing in the modules prevents.
    environment.configure(&json!({"leave_out": ["alert-router", "grafana", "prometheus"]}));
    let said = environment.provisions(
        1,
        &[
            "apply",
            "--no-install",
            "--yes",
            "--allow-stateful",
            "monitor-1",
        ],
    );
    assert!(said.contains("a volume with data of monitor-1"), "{said}");
    assert!(said.contains(&environment.typed("state rm '")), "{said}");
    // Fewer nodes of Cassandra: Terraform itself refuses, and it is one error.
    environment.configure(&json!({"cassandra_instance_count": "2"}));
    let said = environment.provisions(1, &["plan", "--no-install"]);
    assert!(
        said.contains("nstance cannot be destroyed") && said.contains("data[2]"),
        "{said}"
    );
}

#[test]
fn destroyed_by_intent() {
    let left = |environment: &Environment| {
        let cloud = environment.cloud()["resources"].clone();
        let kinds = cloud.as_object().unwrap().iter();
        let left = kinds.map(|(kind, all)| (kind.clone(), all.as_object().unwrap().len()));
        left.filter(|it| it.1 > 0).collect::<Vec<_>>()
    };
    let environment = Environment::applied();
    environment.provisions(0, &["output"]);
    let before = environment.cloud();
    let said = environment.provisions(1, &["destroy", "--yes"]);
    assert!(
        said.contains(DISK) && said.contains("--delete-data sdl-sandbox"),
        "{said}"
    );
    let said = environment.provisions(1, &["destroy", "--yes", "--delete-data", "sdl-production"]);
    assert!(said.contains("this environment is sdl-sandbox"), "{said}");
    let said = environment.provisions(1, &["destroy", "--delete-data", "sdl-sandbox"]);
    assert!(said.contains("say --yes"), "{said}");
    let said = environment.provisions(1, &["destroy", "--keep-data"]);
    assert!(said.contains("say --yes"), "{said}");
    assert_eq!(environment.cloud(), before);
    environment.provisions(0, &["destroy", "--yes", "--delete-data", "sdl-sandbox"]);
    assert_eq!(left(&environment), []);
    assert!(!environment.path().join("inventory.json").exists());
    let overrides = environment
        .path()
        .join("modules/cassandra/provisioner_override.tf");
    assert!(!overrides.exists());
    environment.provisions(0, &["destroy", "--yes"]);

    let environment = Environment::applied();
    let said = environment.provisions(0, &["destroy", "--yes", "--keep-data"]);
    let typed = environment.typed(&format!("import '{DISK}' vol-"));
    assert!(said.contains(&typed), "{said}");
    assert_eq!(left(&environment), [("aws_ebs_volume".to_owned(), 4)]);
    let journal = fs::read_to_string(environment.path().join("journal.log")).unwrap();
    assert!(journal.contains("vol-"), "{journal}");
}

#[test]
fn ledgers_are_scaled() {
    let environment = Environment::applied();
    let path = environment.path().join("config.json");
    let before = fs::read_to_string(&path).unwrap();
    // Nobody says yes, so the number is what it was.
    let said = environment.provisions(1, &["scale", "scalar", "5", "--no-install"]);
    assert!(said.contains("say --yes"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    let said = environment.provisions(0, &["scale", "scalar", "5", "--no-install", "--yes"]);
    assert!(
        said.contains("make module.scalar.aws_instance.scalar[4]"),
        "{said}"
    );
    let after = fs::read_to_string(&path).unwrap();
    let number = ", \"scalar_autoscaling_group_desire\": \"5\"";
    assert_eq!(after.replace(number, ""), before);
    environment.provisions(0, &["scale", "scalar", "2", "--no-install", "--yes"]);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        after.replace("\"5\"", "\"2\"")
    );
    let inventory = environment.provisions(0, &["inventory"]);
    assert!(
        inventory.contains("scalardl-2") && !inventory.contains("scalardl-3"),
        "{inventory}"
    );
    let said = environment.provisions(1, &["scale", "cassandra", "5"]);
    assert!(said.contains("one by one"), "{said}");
}

/// While Terraform runs, no process has the secret; an interruption ends it with its state whole and unlocked.
#[test]
fn interrupted() {
    let environment = Environment::applied();
    environment.provisions(2, &["plan", "--no-install", "--replace", "scalar.0"]);
    let held = environment.hold_cloud();
    let run = environment
        .command(&["apply", "--no-install", "--json"])
        .start();
    let lock = environment.path().join(".terraform.tfstate.lock.info");
    eventually("Terraform is at work", Duration::from_secs(60), || {
        lock.exists().then_some(())
    });
    let folder = environment.path().as_os_str().as_encoded_bytes();
    let mut seen = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let words = read("cmdline");
        assert!(!String::from_utf8_lossy(&words).contains("hunter-of"));
        let variables = read("environ");
        let is_ours = variables.windows(folder.len()).any(|it| it == folder);
        if is_ours && String::from_utf8_lossy(&words).contains("terraform") {
            let own = entry.file_name() == run.pid().to_string().as_str();
            let has = String::from_utf8_lossy(&variables).contains(PASSWORD);
            assert!(own || !has, "{}", String::from_utf8_lossy(&words));
            seen += usize::from(!own);
        }
    }
    assert!(seen > 0, "Terraform was among the processes");
    run.signal(Signal::INT);
    run.line("Terraform brings to an end");
    drop(held);
    assert_eq!(run.ended().code(), Some(130));
    assert!(!lock.exists());
    // The same again goes on from there, and ends with as many machines.
    environment.provisions(0, &["apply", "--no-install", "--yes"]);
    environment.provisions(0, &["plan", "--no-install"]);
    let its = environment.resources("aws_instance");
    let running = its.values().filter(|it| it["instance_state"] == "running");
    assert_eq!(running.count(), its.len());
}

/// An error is one, and says where; files that somebody has changed are theirs.
#[test]
fn what_is_wrong() {
    let environment = Environment::applied();
    let own = environment.path().join("own.tf");
    fs::write(&own, "output \"own\" {\n  value = var.missing\n}\n").unwrap();
    let said = environment.provisions(1, &["plan", "--no-install"]);
    assert!(
        said.contains("own.tf, line 2: Reference to undeclared input variable"),
        "{said}"
    );
    fs::remove_file(&own).unwrap();

    // A plan of yesterday.
    environment.provisions(2, &["plan", "--no-install", "--replace", "scalar.0"]);
    environment.does(&["taint", "module.scalar.aws_instance.scalar[1]"]);
    let said = environment.provisions(1, &["apply", "--no-install"]);
    assert!(said.contains("Saved plan is stale"), "{said}");
    environment.provisions(0, &["untaint", "scalar.1"]);

    let file = environment.path().join("outputs.tf");
    let text = fs::read_to_string(&file).unwrap() + "\noutput \"own\" {\n  value = 1\n}\n";
    fs::write(&file, &text).unwrap();
    let said = environment.provisions(0, &["init"]);
    assert!(
        said.contains("kept as you have changed them: outputs.tf"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    environment.configure(&json!({"target": "hosts"}));
    fs::write(
        environment.path().join("hosts.yml"),
        "hosts: [{name: a, address: 10.0.0.1, role: host}]",
    )
    .unwrap();
    let said = environment.provisions(1, &["plan"]);
    assert!(
        said.contains("the target of this environment is hosts"),
        "{said}"
    );
}

/// A reader that goes away (`| head -1`) ends nothing, and leaves no lock.
#[test]
fn without_a_reader() {
    let environment = Environment::applied();
    environment.provisions(2, &["plan", "--no-install", "--replace", "scalar.0"]);
    let before = environment.instance("scalardl-1");
    let ended = environment.piped("apply --no-install | head -1");
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    let lock = environment.path().join(".terraform.tfstate.lock.info");
    assert!(!lock.exists());
    assert_ne!(environment.instance("scalardl-1"), before);
    environment.provisions(0, &["plan", "--no-install"]);
}

/// A provisioner that is killed takes nothing with it: Terraform ends what it does, and the next apply finds its state whole.
#[test]
fn killed() {
    let environment = Environment::applied();
    environment.provisions(2, &["plan", "--no-install", "--replace", "scalar.0"]);
    let before = environment.instance("scalardl-1");
    let held = environment.hold_cloud();
    let run = environment
        .command(&["apply", "--no-install", "--json"])
        .start();
    let lock = environment.path().join(".terraform.tfstate.lock.info");
    let patience = Duration::from_secs(60);
    eventually("Terraform is at work", patience, || {
        lock.exists().then_some(())
    });
    run.signal(Signal::KILL);
    run.ended();
    drop(held);
    eventually("Terraform has ended by itself", patience, || {
        (!lock.exists()).then_some(())
    });
    environment.provisions(0, &["apply", "--no-install", "--yes"]);
    environment.provisions(0, &["plan", "--no-install"]);
    assert_ne!(environment.instance("scalardl-1"), before);
}
