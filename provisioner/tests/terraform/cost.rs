//! What `provisioner cost` counts is what Terraform would make: neither more nor less of what AWS bills by the hour or the month.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{environment::Environment, levels};

/// What costs nothing by itself.
const FREE: [&str; 20] = [
    "aws_acm_certificate",
    "aws_acm_certificate_validation",
    "aws_ec2_instance_state",
    "aws_eip_association",
    "aws_iam_instance_profile",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_internet_gateway",
    "aws_lb_listener",
    "aws_lb_target_group",
    "aws_lb_target_group_attachment",
    "aws_network_interface",
    "aws_route",
    "aws_route53_record",
    "aws_route_table",
    "aws_route_table_association",
    "aws_security_group",
    "aws_subnet",
    "aws_volume_attachment",
    "aws_vpc",
];
/// Free as well; of the security groups' rules there are two kinds.
const RULES: &str = "aws_vpc_security_group_";

/// What the plan would make and AWS bills, in the words of `cost`.
fn billed(planned: &Value) -> BTreeMap<String, String> {
    let all = planned["resource_changes"].as_array().unwrap().iter();
    let all: Vec<_> = all.filter(|it| it["mode"] == "managed").collect();
    let of = |kind: &str| -> Vec<&Value> {
        let its = all.iter().filter(|it| it["type"] == kind);
        its.map(|it| &it["change"]["after"]).collect()
    };
    let mut counted = BTreeMap::new();
    let disks = of("aws_ebs_volume");
    let mut seen_disks = 0;
    let machines = of("aws_instance");
    let roles: BTreeSet<_> = machines
        .iter()
        .map(|it| text(&it["tags"]["Role"]))
        .collect();
    for role in roles {
        let its = machines.iter().filter(|it| it["tags"]["Role"] == *role);
        let kinds: Vec<_> = its.clone().map(|it| text(&it["instance_type"])).collect();
        assert!(kinds.iter().all(|it| *it == kinds[0]), "{kinds:?}");
        counted.insert(role.to_owned(), format!("{} x {}", kinds.len(), kinds[0]));
        let root = &its.clone().next().unwrap()["root_block_device"][0]["volume_size"];
        let mut places = vec![format!("root {root} GiB")];
        for (place, name) in [("data", "data"), ("commitlog", "commit log")] {
            let is_its = |it: &&&Value| {
                it["tags"]["Role"] == *role && text(&it["tags"]["Name"]).ends_with(place)
            };
            let its: Vec<_> = disks.iter().filter(is_its).collect();
            let Some(first) = its.first() else { continue };
            assert!(its.iter().all(|it| it["size"] == first["size"]));
            assert_eq!(its.len(), kinds.len(), "{role}: one disk each");
            seen_disks += its.len();
            let number = |key: &str, least| first[key].as_u64().unwrap_or(least).max(least);
            let (iops, mbps) = (number("iops", 3000), number("throughput", 125));
            let speed = if iops > 3000 || mbps > 125 {
                format!(" ({iops} IOPS, {mbps} MB/s)")
            } else {
                String::new()
            };
            places.push(format!("{name} {} GiB{speed}", first["size"]));
        }
        counted.insert(format!("{role} volumes"), places.join(", "));
    }
    assert_eq!(seen_disks, disks.len(), "every disk is a role's");
    let balancers = of("aws_lb");
    if !balancers.is_empty() {
        counted.insert("load balancer".to_owned(), balancers.len().to_string());
    }
    // In each of the public's subnets it has an address.
    let subnets = planned["resource_changes"].as_array().unwrap().iter();
    let subnets =
        subnets.filter(|it| text(&it["address"]).starts_with("module.network.aws_subnet.public"));
    let subnets = subnets.count();
    let open = balancers.iter().filter(|it| it["internal"] == false);
    let addresses = of("aws_eip").len() + subnets * open.count();
    for (what, count) in [
        ("DNS zones", of("aws_route53_zone").len()),
        ("NAT gateways", of("aws_nat_gateway").len()),
        ("public addresses", addresses),
    ] {
        counted.insert(what.to_owned(), count.to_string());
    }
    let kinds: BTreeSet<_> = all.iter().map(|it| text(&it["type"])).collect();
    let counts = [
        "aws_ebs_volume",
        "aws_eip",
        "aws_instance",
        "aws_lb",
        "aws_nat_gateway",
        "aws_route53_zone",
    ];
    let is_known = |it: &str| FREE.contains(&it) || counts.contains(&it) || it.starts_with(RULES);
    let unknown: Vec<_> = kinds.into_iter().filter(|it| !is_known(it)).collect();
    assert!(unknown.is_empty(), "is it billed? {unknown:?}");
    counted
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn counts_what_is_made() {
    let mut all: Vec<_> = levels()
        .as_object()
        .unwrap()
        .keys()
        .map(|it| json!({"level": it}))
        .collect();
    let site = "dl.example.com";
    all.extend([
        json!({"site_url": site}),
        json!({"site_url": site, "level": "medium", "traefik_instance_count": 5}),
        json!({"site_url": site, "leave_out": ["traefik"]}),
        json!({"level": "medium", "leave_out": ["traefik", "bastion"]}),
        json!({"leave_out": ["alert-router", "grafana", "prometheus"]}),
        json!({"leave_out": ["grafana", "prometheus"], "monitor_instance_type": "t3.large"}),
        json!({
            "cassandra_instance_count": "5",
            "cassandra_instance_type": "r7i.2xlarge",
            "cassandra_ebs_volume_size": "750",
            "scalar_autoscaling_group_desire": 2,
            "scalar_ebs_volume_size": "80",
            "scalar_instance_type": "t2.large",
            "bastion_instance_type": "t3.small",
            "monitor_instance_count": 2,
            "monitor_ebs_volume_size": 70,
            "traefik_instance_type": "t3.medium",
        }),
        json!({"cassandra_ebs_volume_size": "0"}),
        json!({"level": "high-nvme", "cassandra_ebs_volume_size": "300"}),
    ]);
    let environment = Environment::new(&json!({}));
    for more in all {
        environment.configure(&more);
        environment.plan(&[]);
        let planned = environment.does(&["show", "-json", "plan.out"]);
        let expect = billed(&serde_json::from_str(&planned).unwrap());
        let said = environment.provisions(0, &["cost", "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let lines = said["lines"].as_array().unwrap().iter();
        // How large a type of machine is, is no concern of Terraform's.
        let size = |it: &str| {
            it.split_once(" (")
                .filter(|it| it.1.contains("vCPU"))
                .map(|it| it.0.to_owned())
        };
        let found: BTreeMap<_, _> = lines
            .map(|it| (text(&it["what"]).to_owned(), text(&it["count"])))
            .map(|(what, count)| (what, size(count).unwrap_or_else(|| count.to_owned())))
            .collect();
        assert_eq!(found, expect, "{more}");
    }
}
