//! The services of one node: which of them are not well, and starting them again.

use anyhow::bail;

use super::{apply, health};
use crate::{desired::Unit, network::Node, remote::Remote, roles, silence::Place};

/// Services of a node, with the connection to it.
pub(crate) struct Services<'a> {
    place: Place<'a>,
    node: &'a Node,
    remote: Remote,
    units: Vec<Unit>,
}

impl<'a> Services<'a> {
    /// All that should be on a node, or one of them.
    pub(crate) async fn of(
        place: Place<'a>,
        node: &'a Node,
        program: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut units = roles::desired(place.network, node, place.materials)?.units;
        let names: Vec<_> = units.iter().map(|it| name_of(it).to_owned()).collect();
        units.retain(|it| {
            program.is_none_or(|program| name_of(it) == program || it.name == program)
        });
        if units.is_empty() {
            bail!(
                "{} runs no such program; it runs {}",
                node.name,
                names.join(", ")
            );
        }
        Ok(Self {
            place,
            node,
            remote: place.remotes.connect(node).await?,
            units,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.units.iter().map(name_of).collect();
        names.join(", ")
    }

    /// Those that are not well.
    pub(crate) async fn unwell(mut self) -> anyhow::Result<Self> {
        let mut unwell = Vec::new();
        for unit in std::mem::take(&mut self.units) {
            if self.problem_of(&unit).await?.is_some() {
                unwell.push(unit);
            }
        }
        self.units = unwell;
        Ok(self)
    }

    /// What is wrong with the first that is not well.
    pub(crate) async fn problem(&self) -> anyhow::Result<Option<String>> {
        for unit in &self.units {
            if let Some(problem) = self.problem_of(unit).await? {
                return Ok(Some(problem));
            }
        }
        Ok(None)
    }

    async fn problem_of(&self, unit: &Unit) -> anyhow::Result<Option<String>> {
        health::problem(&self.remote, self.node, unit, self.place.materials).await
    }

    /// Starts them again, and waits until each does what it should.
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        let units: Vec<_> = self.units.iter().collect();
        apply::restart(&self.remote, &units).await?;
        health::wait(&self.remote, self.node, &units, self.place.materials).await
    }
}

fn name_of(unit: &Unit) -> &str {
    unit.name.trim_end_matches(".service")
}
