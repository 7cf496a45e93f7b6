//! The modules in `terraform/`, planned and applied by a real Terraform, with a stand-in for the provider hashicorp/aws (`provider/`): it has
//! that provider's schemas and documented behaviour, and no AWS behind it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod commands;
mod cost;
mod environment;
mod guide;
mod replaced;
mod secrets;
mod stand_in;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use environment::{Change, Environment};
use serde_json::{Value, json};
use testkit::{Program, golden, root};

const LEDGER: &str = "module.scalar.aws_instance.scalar[0]";
const MONITOR: &str = "module.service.module.prometheus.aws_instance.instance[0]";
/// What a network may be without.
const ALL_LEFT_OUT: [&str; 5] = [
    "alert-router",
    "bastion",
    "grafana",
    "prometheus",
    "traefik",
];

fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(Change::text).collect()
}

/// Levels as the provisioner knows them.
fn levels() -> Value {
    let path = root().join("provisioner/data/levels.toml");
    let all: toml::Value = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    serde_json::to_value(&all["levels"]).unwrap()
}

#[test]
fn levels_are_the_provisioners() {
    let text = serde_json::to_string_pretty(&levels()).unwrap() + "\n";
    golden::check("provisioner/terraform/levels.json", &text);
}

#[test]
fn formatted_and_valid() {
    let environment = Environment::new(&json!({}));
    let folder = root().join("provisioner/terraform");
    let folder = folder.to_str().unwrap();
    let unformatted = environment.does(&["fmt", "-check", "-recursive", "-list=true", folder]);
    assert_eq!(unformatted, "");
    environment.does(&["validate"]);
    for (more, problem) in [
        (json!({"level": "hihg"}), "level must be one of entry"),
        (
            json!({"cassandra_instance_count": "0"}),
            "at least one Cassandra node",
        ),
        (
            json!({"scalar_autoscaling_group_desire": 0}),
            "at least one Scalar DL ledger",
        ),
        (json!({"leave_out": ["cassandra"]}), "leave_out takes"),
        (
            json!({"allowed_cidrs": ["2001:db8::/32"]}),
            "allowed_cidrs takes IPv4",
        ),
    ] {
        environment.configure(&more);
        let ended = environment.try_plan(&[]);
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(problem), "{more}: {}", ended.stderr);
    }
}

/// A network of each level has the level's machines and volumes, and nothing to do afterwards.
#[test]
fn every_level() {
    for (name, level) in levels().as_object().unwrap() {
        let more = json!({"level": name, "site_url": "dl.example.com", "tags": {"Owner": "ops"}});
        let environment = Environment::new(&more);
        let changes = environment.plan_and_apply();
        assert!(changes.iter().all(|it| it.actions == ["create"]));
        assert_eq!(texts(&environment.plan(&[])), [""; 0], "{name}");

        let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for it in environment.resources("aws_instance").values() {
            assert_eq!(it["metadata_options"][0]["http_tokens"], "required");
            assert_eq!(it["root_block_device"][0]["encrypted"], true);
            assert_eq!(it["tags_all"]["Cluster"], "Deployment Name");
            assert_eq!(it["tags_all"]["Environment"], "sandbox");
            assert_eq!(it["tags_all"]["Owner"], "ops");
            assert_eq!(it["user_data"], Value::Null);
            let role = it["tags"]["Role"].as_str().unwrap().to_owned();
            let root = it["root_block_device"][0]["volume_size"].clone();
            let kind = it["instance_type"].clone();
            found
                .entry(role)
                .or_default()
                .push(json!({"type": kind, "root": root}));
        }
        let mut data = BTreeMap::new();
        for it in environment.resources("aws_ebs_volume").values() {
            assert_eq!(
                (&it["encrypted"], &it["type"]),
                (&json!(true), &json!("gp3"))
            );
            let its_name = it["tags"]["Name"].as_str().unwrap();
            let (node, place) = its_name.rsplit_once('-').unwrap();
            let (node, _) = node.rsplit_once('-').unwrap();
            *data
                .entry(format!("{node}-{place} {}", it["size"]))
                .or_insert(0) += 1;
        }
        let mut expect = BTreeMap::new();
        for role in ["cassandra", "scalardl", "traefik", "bastion", "monitor"] {
            let its = &level[role];
            let count = its["count"].as_u64().unwrap();
            let machines = found.remove(role).unwrap();
            assert_eq!(machines.len() as u64, count, "{name}: {role}");
            let wanted = json!({"type": its["type"], "root": its["root"]});
            assert!(machines.iter().all(|it| *it == wanted), "{name}: {role}");
            for place in ["data", "commitlog"] {
                if let Some(size) = its[place].as_u64() {
                    expect.insert(format!("sdl-sandbox-{role}-{place} {size}"), count);
                }
            }
        }
        assert_eq!(data, expect, "{name}");
        let gateways = environment.resources("aws_nat_gateway").len();
        assert_eq!(json!(gateways), level["nat"], "{name}");
    }
}

/// The output is a hosts file, as the provisioner reads it.
#[test]
fn inventory_is_a_hosts_file() {
    let environment = Environment::applied();
    let hosts = environment.output("inventory").to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts.yml"), hosts).unwrap();
    let config = json!({"name": "n", "prefix": "sdl", "environment": "sandbox", "target": "hosts", "no_notifications": true});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let ended = Program::new("provisioner")
        .args(["-e".as_ref(), folder.path().as_os_str()])
        .args(["inventory", "--format", "json"])
        .run();
    assert!(ended.status.success(), "{}", ended.stderr);
    for name in [
        "bastion-1",
        "cassandra-1",
        "cassandra-2",
        "cassandra-3",
        "monitor-1",
        "scalardl-3",
        "traefik-1",
    ] {
        let id = environment.instance(name);
        assert!(ended.stdout.contains(&id), "{name}: {}", ended.stdout);
    }
}

/// Neither `destroy` nor fewer nodes take a volume of Cassandra's with them.
#[test]
fn data_volumes_are_not_destroyed() {
    let environment = Environment::applied();
    let refuses = |arguments: &[&str], volume: &str| {
        let ended = environment.try_plan(arguments);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
        assert!(
            ended.stderr.contains("nstance cannot be destroyed"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(volume), "{}", ended.stderr);
    };
    refuses(&["-destroy"], "module.cassandra.aws_ebs_volume.data[0]");
    environment.configure(&json!({"cassandra_instance_count": "2"}));
    refuses(&[], "module.cassandra.aws_ebs_volume.data[2]");
}

/// What is to be done to destroy a network nevertheless: with its data, or but for it.
#[test]
fn destroyed_by_intent() {
    let destroy = [
        "destroy",
        "-no-color",
        "-auto-approve",
        "--var-file",
        "config.json",
    ];
    let left = |environment: &Environment| {
        let cloud = environment.cloud()["resources"].clone();
        let kinds = cloud.as_object().unwrap().iter();
        let left = kinds.map(|(kind, all)| (kind.clone(), all.as_object().unwrap().len()));
        left.filter(|it| it.1 > 0).collect::<Vec<_>>()
    };
    let environment = Environment::applied();
    let volume = |name: &str| {
        format!(
            "resource \"aws_ebs_volume\" \"{name}\" {{\n lifecycle {{\n prevent_destroy = false\n }}\n}}\n"
        )
    };
    let file = environment.path().join("modules/cassandra/override.tf");
    fs::write(file, volume("data") + &volume("commitlog")).unwrap();
    environment.does(&destroy);
    assert_eq!(left(&environment), []);

    let environment = Environment::applied();
    environment.does(&["state", "rm", "module.cassandra.aws_ebs_volume.data"]);
    environment.does(&destroy);
    assert_eq!(left(&environment), [("aws_ebs_volume".to_owned(), 3)]);
}

/// A replaced machine takes nothing with it but what is its own.
#[test]
fn machines_are_replaced_alone() {
    let environment = Environment::applied();
    let before = environment.resources("aws_ebs_volume");
    let replaced = environment.plan(&[&format!("-replace={LEDGER}")]);
    assert_eq!(
        texts(&replaced),
        [
            "module.scalar.aws_ec2_instance_state.scalar[0] delete+create",
            "module.scalar.aws_instance.scalar[0] delete+create",
            "module.scalar.aws_route53_record.scalar[0] update",
        ]
    );
    environment.apply();
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);

    // The seed's way, by the address of today.
    environment.does(&["taint", MONITOR]);
    let replaced = environment.plan(&[]);
    let monitor = "module.service.module.prometheus.";
    assert_eq!(
        texts(&replaced),
        [
            "module.service.module.grafana[0].aws_route53_record.grafana update".to_owned(),
            format!("{monitor}aws_ec2_instance_state.instance[0] delete+create"),
            format!("{monitor}aws_instance.instance[0] delete+create"),
            format!("{monitor}aws_route53_record.instance[0] update"),
            format!("{monitor}aws_volume_attachment.data[0] delete+create"),
        ]
    );
    environment.apply();
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);

    environment.does(&["taint", "module.cassandra.aws_instance.cassandra[1]"]);
    environment.does(&["untaint", "module.cassandra.aws_instance.cassandra[1]"]);
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);

    // A node of Cassandra keeps its address and its volume.
    let address = environment.output("inventory")["hosts"][2]["address"].clone();
    let replaced = environment.plan(&["-replace=module.cassandra.aws_instance.cassandra[1]"]);
    assert_eq!(
        texts(&replaced),
        [
            "module.cassandra.aws_ec2_instance_state.cassandra[1] delete+create",
            "module.cassandra.aws_instance.cassandra[1] delete+create",
            "module.cassandra.aws_volume_attachment.data[1] delete+create",
        ]
    );
    environment.apply();
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);
    let node = environment.output("inventory")["hosts"][2].clone();
    assert_eq!(
        (&node["name"], &node["address"]),
        (&json!("cassandra-2"), &address)
    );
    assert_eq!(environment.resources("aws_ebs_volume"), before);
}

/// Other machines, larger disks, a newer image and a new zone of AWS' move no data.
#[test]
fn changes_that_keep_data() {
    let environment = Environment::applied();
    environment.change_cloud(|it| {
        it["image"] = json!("ami-00000000000000002");
        it["zones"] = json!(["0", "a", "b", "c"]);
    });
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);

    environment.configure(&json!({
        "cassandra_instance_type": "r7i.2xlarge",
        "cassandra_ebs_volume_size": "2000",
        "monitor_ebs_volume_size": 80,
    }));
    let changes = environment.plan_and_apply();
    let of = |kind: &str| {
        let all = changes.iter().filter(|it| it.address.contains(kind));
        all.map(|it| it.actions.join("+")).collect::<Vec<_>>()
    };
    assert_eq!(of(".aws_instance."), ["update"; 3]);
    assert_eq!(of(".aws_ebs_volume."), ["update"; 4]);
    assert_eq!(changes.len(), 7, "{:?}", texts(&changes));
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);
}

/// What somebody did to the cloud is mended, and nothing else is touched.
#[test]
fn drift() {
    let environment = Environment::applied();
    // A machine that was terminated.
    let id = environment.instance("scalardl-2");
    environment.change_cloud(|it| {
        it["resources"]["aws_instance"][&id]["instance_state"] = json!("terminated");
    });
    let made = [
        "module.scalar.aws_ec2_instance_state.scalar[1] create",
        "module.scalar.aws_instance.scalar[1] create",
        "module.scalar.aws_route53_record.scalar[1] update",
    ];
    assert_eq!(texts(&environment.plan(&[])), made);
    environment.apply();
    assert_ne!(environment.instance("scalardl-2"), id);

    // A machine that was stopped.
    let id = environment.instance("cassandra-3");
    environment.change_cloud(|it| {
        it["resources"]["aws_instance"][&id]["instance_state"] = json!("stopped");
    });
    assert_eq!(
        texts(&environment.plan(&[])),
        ["module.cassandra.aws_ec2_instance_state.cassandra[2] update"]
    );
    environment.apply();
    let state = environment.resources("aws_instance")[&id]["instance_state"].clone();
    assert_eq!(state, "running");

    // A rule that was opened to all, and one that is gone.
    let rules = environment.resources("aws_vpc_security_group_ingress_rule");
    let of = |name: &str| {
        rules
            .iter()
            .find(|it| it.1["tags"]["Name"] == name)
            .unwrap()
    };
    let (opened, gone) = (
        of("people").0.clone(),
        of("scalardl-traefik-50051").0.clone(),
    );
    environment.change_cloud(|it| {
        let rules = &mut it["resources"]["aws_vpc_security_group_ingress_rule"];
        rules[&opened]["cidr_ipv4"] = json!("0.0.0.0/0");
        rules.as_object_mut().unwrap().remove(&gone);
    });
    assert_eq!(
        texts(&environment.plan(&[])),
        [
            "module.network.aws_vpc_security_group_ingress_rule.bastion[\"203.0.113.0/24\"] update",
            "module.network.aws_vpc_security_group_ingress_rule.role[\"scalardl-traefik-50051\"] create",
        ]
    );
    environment.apply();
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);
}

/// What is left out is gone, with every rule and name of it; a cluster is left.
#[test]
fn left_out() {
    let environment = Environment::applied();
    environment.configure(&json!({"leave_out": ALL_LEFT_OUT}));
    environment.plan_and_apply();
    assert_eq!(texts(&environment.plan(&[])), [""; 0]);
    let roles: BTreeSet<_> = environment.cloud()["resources"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|it| it.as_object().unwrap().values())
        .filter_map(|it| it["tags"]["Role"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(
        roles,
        ["cassandra", "network", "scalardl"]
            .map(str::to_owned)
            .into()
    );
    // In the state, too, nothing of them is left.
    let left = environment.does(&["state", "list"]);
    for of in ["module.service", "bastion", "monitor", "traefik"] {
        assert!(!left.contains(of), "{left}");
    }
    let outputs: Value = serde_json::from_str(&environment.does(&["output", "-json"])).unwrap();
    assert_eq!(outputs["entry"], Value::Null);
    assert!(environment.output("inventory")["defaults"]["bastion"].is_null());

    // One of them alone.
    environment.configure(&json!({"leave_out": ["grafana"]}));
    environment.plan_and_apply();
    let left = environment.does(&["state", "list"]);
    assert!(
        !left.contains("grafana") && left.contains(MONITOR),
        "{left}"
    );
}
