//! What an installation tells at its end.

use serde::Serialize;

use super::changes::Changes;
use crate::output;

/// Of a whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(rename = "dry_run")]
    pub(super) is_dry: bool,
    pub(super) nodes: Vec<NodeReport>,
    /// What a run would do besides, for the network as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) besides: Vec<String>,
    /// Nodes that differed.
    #[serde(rename = "differ")]
    pub(super) todo: usize,
    pub(super) seconds: f64,
}

/// Of a node.
#[derive(Debug, Serialize)]
pub(super) struct NodeReport {
    node: String,
    /// What differed, a line for each.
    changes: Vec<String>,
    /// What is to be known, and was not done.
    notes: Vec<String>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// What became of a node.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcome {
    pub(super) result: Done,
    pub(super) seconds: f64,
    pub(super) error: Option<String>,
    #[serde(skip)]
    pub(super) notes: Vec<String>,
    #[serde(rename = "restarted_cassandra")]
    pub(super) has_restarted: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Done {
    /// It had all that it should, or nothing was to be done.
    #[default]
    Unchanged,
    /// Something before it failed, or it may not be touched at the moment.
    Untouched,
    Changed,
    RolledBack,
    /// It has neither what it should nor, for sure, what it had.
    Failed,
}

impl NodeReport {
    pub(super) fn new(node: &str, changes: &Changes<'_>, mut outcome: Outcome) -> Self {
        let mut notes = changes.notes.clone();
        notes.append(&mut outcome.notes);
        let stateful = changes.stateful.iter().filter(|_| !outcome.has_restarted);
        notes.extend(
            stateful.map(|it| format!("{it}; `install --restart-stateful` starts it anew")),
        );
        Self {
            node: node.to_owned(),
            changes: changes.lines(),
            notes,
            outcome,
        }
    }
}

impl Report {
    /// For people. What failed is told by the error that follows.
    pub(super) fn say(&self, is_done: bool) {
        for node in &self.nodes {
            if self.is_dry {
                for line in &node.changes {
                    output::say(format!("{}: {line}", node.node));
                }
            }
            for note in &node.notes {
                output::warn(format!("{}: {note}", node.node));
            }
        }
        for line in &self.besides {
            output::say(line);
        }
        let (all, differ, seconds) = (self.nodes.len(), self.todo, self.seconds);
        if differ == 0 || self.is_dry {
            output::say(format!(
                "{all} nodes looked at, {differ} differ, {seconds:.1} s"
            ));
        } else if is_done {
            output::say(format!("{differ} of {all} nodes changed, {seconds:.1} s"));
        }
    }
}
