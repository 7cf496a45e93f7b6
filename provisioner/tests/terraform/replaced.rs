//! What the modules make, and arguments that only a new resource can have otherwise: a change of each is seen in the plan, or refused where it
//! would take data.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use testkit::root;

use crate::environment::Environment;

/// A resource of the modules.
struct Resource {
    kind: String,
    name: String,
    /// Its module's folder, below `provisioner/terraform`.
    folder: PathBuf,
    /// Those arguments.
    replaces: Vec<String>,
}

impl Resource {
    /// Writes a file that sets an argument, which Terraform takes before that of the module.
    fn set(&self, environment: &Environment, argument: &str, value: &str) -> PathBuf {
        let (kind, name) = (&self.kind, &self.name);
        let set = match argument.split_once('.') {
            Some((block, argument)) => format!("{block} {{\n {argument} = {value}\n }}"),
            None => format!("{argument} = {value}"),
        };
        let file = environment.path().join(&self.folder);
        let file = file.join(format!("{kind}_{name}_override.tf"));
        let text = format!("resource \"{kind}\" \"{name}\" {{\n {set}\n}}\n");
        fs::write(&file, text).unwrap();
        file
    }

    /// Whether an address is that of one of them.
    fn is_at(&self, address: &str) -> bool {
        let own = format!(".{}.{}", self.kind, self.name);
        let (before, rest) = address.split_once(&own).unwrap_or_default();
        let module = self.folder.iter().next_back().unwrap().to_string_lossy();
        let before = before.split('[').next().unwrap();
        before.ends_with(&format!("module.{module}")) && (rest.is_empty() || rest.starts_with('['))
    }

    /// Cassandra's, which nothing but an intent destroys.
    fn is_kept(&self) -> bool {
        self.kind == "aws_ebs_volume" && self.folder.ends_with("cassandra")
    }
}

fn table(name: &str) -> Value {
    let path = root().join("provisioner/tests/provider").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every resource of the modules, by their files.
fn resources() -> Vec<Resource> {
    let behaviour = table("behaviour.json");
    let top = root().join("provisioner/terraform");
    let mut found = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "tf") {
                found.extend(declared(&path, &top, &behaviour));
            }
        }
    }
    let kinds: BTreeSet<_> = found.iter().map(|it| it.kind.as_str()).collect();
    let known: BTreeSet<_> = behaviour
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(kinds, known, "the stand-in has what the modules make");
    found
}

fn declared(file: &Path, top: &Path, behaviour: &Value) -> Vec<Resource> {
    let folder = file.parent().unwrap().strip_prefix(top).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let heads = text.lines().filter_map(|it| it.strip_prefix("resource \""));
    heads
        .map(|head| {
            let mut words = head.split('"');
            let (kind, name) = (words.next().unwrap(), words.nth(1).unwrap());
            let replaces = behaviour[kind]["replaces"].as_array().unwrap().iter();
            Resource {
                kind: kind.to_owned(),
                name: name.to_owned(),
                folder: folder.to_owned(),
                replaces: replaces.map(|it| it.as_str().unwrap().to_owned()).collect(),
            }
        })
        .collect()
}

/// A value that the argument has nowhere in the modules.
fn other(schema: &Value, kind: &str, argument: &str) -> &'static str {
    match (kind, argument) {
        ("aws_vpc", "cidr_block") => return "\"10.99.0.0/16\"",
        (_, "cidr_block") => return "\"10.42.99.0/24\"",
        (_, "private_ips") => return "[\"10.42.32.99\"]",
        (_, "encrypted" | "root_block_device.encrypted") => return "false",
        _ => {}
    }
    let of = &schema["resources"][kind];
    let its = match argument.split_once('.') {
        Some((block, argument)) => &of["blocks"][block]["attributes"][argument],
        None => &of["attributes"][argument],
    };
    match its["type"].as_str() {
        Some("string") => "\"other\"",
        Some("number") => "7",
        Some("bool") => "true",
        None if its["type"].is_array() => "[\"other\"]",
        _ => panic!("{kind}.{argument} is none of the schema's"),
    }
}

/// Whether Terraform or OpenTofu, each in its own words, refuses to destroy something.
fn is_refused(said: &str, address: &str) -> bool {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = [
        "has lifecycle.prevent_destroy set",
        "has prevent_destroy set",
    ];
    words
        .iter()
        .any(|it| said.contains(&format!("{address} {it}")))
}

/// What the modules let stay as it is.
fn is_passed_over(kind: &str, argument: &str) -> bool {
    matches!(
        (kind, argument),
        ("aws_instance", "ami") | ("aws_subnet", "availability_zone")
    )
}

#[test]
fn arguments_that_replace() {
    // All that there is, and of each one: a level with volumes for commit logs, and a load balancer for the public.
    let environment = Environment::new(&json!({
        "level": "high",
        "site_url": "dl.example.com",
        "cassandra_instance_count": 1,
        "monitor_instance_count": 1,
        "scalar_autoscaling_group_desire": 1,
        "traefik_instance_count": 1,
    }));
    environment.plan_and_apply();
    let schema = table("schema.json");
    let state = environment.does(&["state", "list"]);
    let is_made = |it: &Resource| state.lines().any(|address| it.is_at(address));
    let (made, missing): (Vec<_>, Vec<_>) = resources().into_iter().partition(is_made);
    let missing: Vec<_> = missing.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(missing, ["clients"], "no load balancer stands before those");
    let (kept, others): (Vec<_>, Vec<_>) = made.into_iter().partition(Resource::is_kept);
    assert_eq!(kept.len(), 2);
    for argument in &kept[0].replaces {
        let set =
            |it: &Resource| it.set(&environment, argument, other(&schema, &it.kind, argument));
        let files: Vec<_> = kept.iter().map(set).collect();
        let ended = environment.try_plan(&["-refresh=false"]);
        assert_eq!(ended.status.code(), Some(1), "{argument}: {}", ended.stdout);
        for it in &kept {
            let address = format!("module.cassandra.aws_ebs_volume.{}[0]", it.name);
            assert!(
                is_refused(&ended.stderr, &address),
                "{argument}: {}",
                ended.stderr
            );
        }
        files.iter().for_each(|it| fs::remove_file(it).unwrap());
    }

    // A newer image, and another order of zones, are for what is made next.
    let (passed_over, others): (Vec<_>, Vec<_>) = others
        .iter()
        .flat_map(|it| it.replaces.iter().map(move |argument| (it, argument)))
        .partition(|(it, argument)| is_passed_over(&it.kind, argument));
    let set = |(it, argument): &(&Resource, &String)| {
        it.set(&environment, argument, other(&schema, &it.kind, argument))
    };
    let files: Vec<_> = passed_over.iter().map(set).collect();
    assert!(files.len() > 2);
    assert_eq!(environment.plan(&["-refresh=false"]), []);
    files.iter().for_each(|it| fs::remove_file(it).unwrap());

    // Of all others one argument each in one plan: of each resource it is said what makes a new one of it.
    let mut left = others;
    while !left.is_empty() {
        let mut seen = BTreeSet::new();
        let (asked, later): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(it, _)| seen.insert((&it.folder, &it.kind, &it.name)));
        left = later;
        let files: Vec<_> = asked.iter().map(set).collect();
        let ended = environment.try_plan(&["-refresh=false"]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        let changes = environment.changes();
        for (it, argument) in asked {
            let (kind, name) = (&it.kind, &it.name);
            let what = format!("{}: {kind}.{name}.{argument}", it.folder.display());
            let last = format!("\"{}\"", argument.rsplit('.').next().unwrap());
            let mut its = changes.iter().filter(|change| it.is_at(&change.address));
            let is_seen = its.any(|it| it.deletes() && it.replaced_for.contains(&last));
            assert!(is_seen, "{what}: {changes:?}");
        }
        files.iter().for_each(|it| fs::remove_file(it).unwrap());
    }
}
