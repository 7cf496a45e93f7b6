//! A plan, as `show -json` has it: what would be changed, in an operator's words, and what must not be lost by it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::target::node_of;
use crate::network::Node;

/// What a plan would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
}

/// Of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) address: String,
    pub(crate) action: Action,
    /// Whose it is, when it is a machine's.
    pub(crate) node: Option<String>,
    /// Its type, such as `aws_instance`.
    kind: String,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Change,
    Destroy,
    /// Terraform lets it go, and it stays in the cloud.
    Forget,
    Make,
    Replace,
    /// A machine that was stopped.
    Start,
}

impl Action {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Destroy => "destroy",
            Self::Forget => "forget",
            Self::Make => "make",
            Self::Replace => "replace",
            Self::Start => "start",
        }
    }

    const fn deletes(self) -> bool {
        matches!(self, Self::Destroy | Self::Replace)
    }
}

#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    resource_changes: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    address: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    action_reason: Option<String>,
    change: Difference,
}

#[derive(Debug, Deserialize)]
struct Difference {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    replace_paths: Vec<Vec<Value>>,
}

impl Plan {
    /// Reads what `show -json` says of one.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        let shown: Shown = serde_json::from_str(text)?;
        let managed = shown
            .resource_changes
            .into_iter()
            .filter(|it| it.mode == "managed");
        let changes = managed.filter_map(|it| {
            let action = it.action()?;
            Some(Change {
                node: node_of(&it.address),
                why: it.why(action),
                action,
                kind: it.kind,
                address: it.address,
            })
        });
        Ok(Self {
            changes: changes.collect(),
        })
    }

    /// A line for each change; machines that are started are told as that.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |it: &Change| {
            let (word, address) = (it.action.word(), &it.address);
            let mut line = match (&it.node, it.action) {
                (Some(node), Action::Start) => format!("start {node}"),
                (Some(node), _) => format!("{word} {address} ({node})"),
                (None, _) => format!("{word} {address}"),
            };
            if !it.why.is_empty() {
                line += &format!(": {}", it.why);
            }
            line
        };
        self.changes.iter().map(line).collect()
    }

    /// How many of each.
    pub(crate) fn sums(&self) -> String {
        let words = [
            Action::Make,
            Action::Change,
            Action::Start,
            Action::Replace,
            Action::Destroy,
            Action::Forget,
        ];
        let sums = words.into_iter().filter_map(|action| {
            let count = self.changes.iter().filter(|it| it.action == action).count();
            (count > 0).then(|| format!("{count} to {}", action.word()))
        });
        let sums: Vec<_> = sums.collect();
        if sums.is_empty() {
            "no resource differs".to_owned()
        } else {
            sums.join(", ")
        }
    }

    pub(crate) fn json(&self) -> Value {
        let change = |it: &Change| json!({"action": it.action.word(), "address": it.address, "node": it.node, "why": it.why});
        self.changes.iter().map(change).collect()
    }

    /// What would be lost, each with why: all but what `allowed` names by its address or its node. Volumes with data are lost by `destroy` alone.
    /// `terraform` is how a person starts it.
    pub(crate) fn losses(&self, allowed: &[String], terraform: &str) -> Vec<String> {
        let losses = self.changes.iter().filter(|it| it.action.deletes());
        let losses = losses.filter_map(|it| {
            let (what, never) = self.holds(it)?;
            let is_named = allowed
                .iter()
                .any(|name| *name == it.address || Some(name) == it.node.as_ref());
            if is_named && !never {
                return None;
            }
            let (word, why) = (it.action.word(), &it.why);
            let mut line = format!("{word} {}: {what}", it.address);
            if !why.is_empty() {
                line += &format!(" ({why})");
            }
            line += &if never {
                format!(
                    "; `{terraform} state rm '{}'` lets it go and leaves it in AWS",
                    it.address
                )
            } else {
                let name = it.node.as_ref().unwrap_or(&it.address);
                format!("; --allow-stateful {name} lets it be done")
            };
            Some(line)
        });
        losses.collect()
    }

    /// Whether it does nothing but start machines that were stopped, and make again what is gone of those that are known, with what leads to
    /// them: nothing that runs is touched, and no more machines come of it.
    pub(super) fn heals(&self, nodes: &[Node]) -> bool {
        let is_known = |it: &Change| {
            let mut nodes = nodes.iter();
            nodes.any(|node| it.node.as_ref() == Some(&node.name))
        };
        self.changes.iter().all(|it| match it.kind.as_str() {
            "aws_instance" => it.action == Action::Make && is_known(it),
            "aws_ec2_instance_state" => {
                it.action == Action::Start
                    || (self.makes_machine(it) && it.action != Action::Destroy)
            }
            "aws_eip_association" | "aws_route53_record" | "aws_volume_attachment" => {
                self.makes_machine(it) && it.action != Action::Destroy
            }
            // Numbered by entry point and port: a machine that is made again is no other one's.
            "aws_lb_target_group_attachment" => {
                matches!(it.action, Action::Make | Action::Replace)
            }
            _ => false,
        })
    }

    fn makes_machine(&self, of: &Change) -> bool {
        let mut machines = self.changes.iter();
        machines
            .any(|it| it.kind == "aws_instance" && it.action == Action::Make && it.node == of.node)
    }

    /// Volumes that would be lost.
    pub(super) fn lost_volumes(&self) -> Vec<&str> {
        let lost = self
            .changes
            .iter()
            .filter(|it| it.action.deletes() && it.kind == "aws_ebs_volume");
        lost.map(|it| it.address.as_str()).collect()
    }

    /// What a stateful resource holds, and whether it is data itself.
    fn holds(&self, change: &Change) -> Option<(String, bool)> {
        let node = change.node.as_deref().unwrap_or("no node");
        let is_cassandra = change.address.starts_with("module.cassandra.");
        match change.kind.as_str() {
            "aws_ebs_volume" => Some((format!("a volume with data of {node}"), true)),
            "aws_instance" if is_cassandra => Some((
                format!("the machine of {node}, which holds a part of the data"),
                false,
            )),
            "aws_network_interface" if is_cassandra => Some((
                format!("the address of {node}, which other nodes know it by"),
                false,
            )),
            // With its machine goes what was attached to it.
            "aws_volume_attachment" if !self.loses_machine(node) => Some((
                format!("the disk of {node} would be torn off while it runs"),
                false,
            )),
            _ => None,
        }
    }

    fn loses_machine(&self, node: &str) -> bool {
        self.changes.iter().any(|it| {
            it.kind == "aws_instance" && it.action.deletes() && it.node.as_deref() == Some(node)
        })
    }
}

impl Resource {
    /// None when nothing is done to it.
    fn action(&self) -> Option<Action> {
        let has = |word: &str| self.change.actions.iter().any(|it| it == word);
        match (has("create"), has("delete")) {
            (true, true) => Some(Action::Replace),
            (true, false) => Some(Action::Make),
            (false, true) => Some(Action::Destroy),
            (false, false) if has("forget") => Some(Action::Forget),
            (false, false) if has("update") => Some(self.update()),
            (false, false) => None,
        }
    }

    fn update(&self) -> Action {
        let is_stopped = self
            .change
            .before
            .get("state")
            .is_some_and(|it| it != "running");
        if self.kind == "aws_ec2_instance_state" && is_stopped {
            Action::Start
        } else {
            Action::Change
        }
    }

    fn why(&self, action: Action) -> String {
        match (action, self.action_reason.as_deref()) {
            (Action::Start, _) => {
                let state = self.change.before.get("state").and_then(Value::as_str);
                format!("it is {}", state.unwrap_or("not running"))
            }
            (Action::Change, _) => {
                let keys = self.differing();
                if keys.is_empty() {
                    String::new()
                } else {
                    keys.join(", ")
                }
            }
            (_, Some("replace_because_tainted")) => "it is tainted".to_owned(),
            (_, Some("replace_by_request")) => "it was asked for".to_owned(),
            (_, Some("replace_because_cannot_update")) => {
                let paths = self.change.replace_paths.iter();
                let paths = paths.map(|it| {
                    let parts = it
                        .iter()
                        .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
                    parts.collect::<Vec<_>>().join(".")
                });
                format!(
                    "{} cannot be changed on it",
                    paths.collect::<Vec<_>>().join(", ")
                )
            }
            (Action::Destroy, Some(_)) => "the configuration has it no more".to_owned(),
            _ => String::new(),
        }
    }

    /// Arguments whose values change.
    fn differing(&self) -> Vec<&str> {
        let (Some(before), Some(after)) = (
            self.change.before.as_object(),
            self.change.after.as_object(),
        ) else {
            return Vec::new();
        };
        // What is known later is not in it.
        let keys = after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value));
        keys.map(|it| it.0.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Plan;
    use crate::network::Node;

    fn plan(changes: &[(&str, &[&str], Value)]) -> Plan {
        let change = |(address, actions, more): &(&str, &[&str], Value)| {
            let kind = address.rsplit('.').nth(1).unwrap();
            let mut change = json!({"actions": actions, "before": {}, "after": {}});
            change
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({
                "address": address, "mode": if kind == "aws_ami" { "data" } else { "managed" }, "type": kind,
                "action_reason": more["reason"], "change": change,
            })
        };
        let all: Vec<_> = changes.iter().map(change).collect();
        Plan::parse(&json!({"resource_changes": all}).to_string()).unwrap()
    }

    const REPLACE: &[&str] = &["delete", "create"];

    #[test]
    fn words() {
        let plan = plan(&[
            (
                "module.scalar.aws_instance.scalar[0]",
                REPLACE,
                json!({"reason": "replace_because_tainted"}),
            ),
            (
                "module.scalar.aws_instance.scalar[1]",
                &["update"],
                json!({"before": {"a": 1, "b": 2}, "after": {"a": 1, "b": 3}}),
            ),
            (
                "module.scalar.aws_instance.scalar[2]",
                &["no-op"],
                json!({}),
            ),
            (
                "module.scalar.aws_ec2_instance_state.scalar[2]",
                &["update"],
                json!({"before": {"state": "stopped"}}),
            ),
            ("module.network.aws_vpc.vpc", &["create"], json!({})),
            ("module.network.data.aws_ami.debian", &["read"], json!({})),
            (
                "module.network.aws_subnet.public[0]",
                REPLACE,
                json!({"reason": "replace_because_cannot_update", "replace_paths": [["a", 0, "b"], ["c"]]}),
            ),
            (
                "module.network.aws_eip.nat[1]",
                &["delete"],
                json!({"reason": "delete_because_count_index"}),
            ),
        ]);
        assert_eq!(
            plan.lines(),
            [
                "replace module.scalar.aws_instance.scalar[0] (scalardl-1): it is tainted",
                "change module.scalar.aws_instance.scalar[1] (scalardl-2): b",
                "start scalardl-3: it is stopped",
                "make module.network.aws_vpc.vpc",
                "replace module.network.aws_subnet.public[0]: a.0.b, c cannot be changed on it",
                "destroy module.network.aws_eip.nat[1]: the configuration has it no more",
            ]
        );
        assert_eq!(
            plan.sums(),
            "1 to make, 1 to change, 1 to start, 2 to replace, 1 to destroy"
        );
        assert_eq!(plan.losses(&[], "tofu"), [""; 0]);
        assert!(Plan::parse("{}").unwrap().changes.is_empty());
        assert!(Plan::parse("").is_err());
    }

    #[test]
    fn what_heals() {
        let nodes = ["scalardl-1", "traefik-1"].map(Node::named);
        let state = "module.scalar.aws_ec2_instance_state.scalar[0]";
        let machine = "module.scalar.aws_instance.scalar[0]";
        let record = "module.scalar.aws_route53_record.scalar[0]";
        let entry = "module.service.module.traefik.aws_instance.instance[0]";
        let target =
            "module.service.module.traefik.aws_lb_target_group_attachment.traefik[\"client-0\"]";
        let stopped = || json!({"before": {"state": "stopped"}});
        let none = || json!({});
        let cases: &[(bool, &[(&str, &[&str], Value)])] = &[
            (true, &[(state, &["update"], stopped())]),
            (
                true,
                &[
                    (machine, &["create"], none()),
                    (state, REPLACE, none()),
                    (record, &["update"], none()),
                ],
            ),
            (
                true,
                &[(entry, &["create"], none()), (target, REPLACE, none())],
            ),
            (false, &[(machine, REPLACE, none())]),
            (false, &[(machine, &["update"], none())]),
            (false, &[(machine, &["delete"], none())]),
            (false, &[(record, &["update"], none())]),
            (
                false,
                &[(machine, &["create"], none()), (state, &["delete"], none())],
            ),
            // One more than there are.
            (
                false,
                &[("module.scalar.aws_instance.scalar[1]", &["create"], none())],
            ),
            (
                false,
                &[
                    (state, &["update"], stopped()),
                    ("module.network.aws_vpc.vpc", &["update"], none()),
                ],
            ),
        ];
        for (expect, changes) in cases {
            assert_eq!(plan(changes).heals(&nodes), *expect, "{changes:?}");
        }
    }

    #[test]
    fn what_is_lost() {
        let cassandra = "module.cassandra.aws_instance.cassandra[0]";
        let its_disk = "module.cassandra.aws_volume_attachment.data[0]";
        let monitor = "module.service.module.prometheus.";
        let by_request = json!({"reason": "replace_by_request"});
        let replaced = plan(&[
            (cassandra, REPLACE, by_request),
            (its_disk, REPLACE, json!({})),
        ]);
        let expect = "replace module.cassandra.aws_instance.cassandra[0]: the machine of cassandra-1, which holds a part of the data (it was asked for); --allow-stateful cassandra-1 lets it be done";
        assert_eq!(replaced.losses(&[], "tofu"), [expect]);
        assert_eq!(
            replaced.losses(&["cassandra-2".to_owned()], "tofu"),
            [expect]
        );
        for allowed in ["cassandra-1", cassandra] {
            assert_eq!(replaced.losses(&[allowed.to_owned()], "tofu"), [""; 0]);
        }
        // The monitor's machine may go, with what is attached to it; a disk alone is torn off.
        let machine = format!("{monitor}aws_instance.instance[0]");
        let disk = format!("{monitor}aws_volume_attachment.data[0]");
        let volume = format!("{monitor}aws_ebs_volume.data[0]");
        let both = plan(&[(&machine, REPLACE, json!({})), (&disk, REPLACE, json!({}))]);
        assert_eq!(both.losses(&[], "tofu"), [""; 0]);
        let torn = plan(&[(&disk, REPLACE, json!({}))]).losses(&[], "tofu");
        assert!(
            torn[0].contains("the disk of monitor-1 would be torn off"),
            "{torn:?}"
        );
        // Whatever is allowed, data stays.
        let data = plan(&[(&volume, &["delete"], json!({}))]);
        let losses = data.losses(&[volume.clone(), "monitor-1".to_owned()], "tofu");
        assert!(losses[0].contains("`tofu state rm"), "{losses:?}");
        assert_eq!(data.lost_volumes(), [volume.as_str()]);
        let address = "module.cassandra.aws_network_interface.cassandra[1]";
        let losses = plan(&[(address, REPLACE, json!({}))]).losses(&[], "tofu");
        assert!(
            losses[0].contains("the address of cassandra-2"),
            "{losses:?}"
        );
        assert_eq!(
            plan(&[(address, &["update"], json!({}))]).losses(&[], "tofu"),
            [""; 0]
        );
    }
}
