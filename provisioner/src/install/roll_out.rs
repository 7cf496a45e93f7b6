//! Making changes, node by node: in waves, of which each waits for the one before to be healthy.

use std::time::Instant;

use anyhow::bail;

use super::{
    Seen, accounts, apply, cassandra,
    changes::Changes,
    containers, health,
    report::{Done, Outcome},
    schema,
};
use crate::{
    interrupt::{Interrupt, Interrupted},
    lock::Journal,
    network::{Node, Role},
    progress::{Progress, Step},
    remote::Remote,
    roles::scalardl,
    silence::Place,
};

/// Nodes that are changed at a time, after the first of their role has shown that it works.
const BATCH: usize = 16;

/// A run.
pub(super) struct RollOut<'a> {
    pub(super) seen: &'a [Seen],
    /// Of each of those.
    pub(super) all: &'a [Changes<'a>],
    pub(super) place: Place<'a>,
    pub(super) journal: &'a Journal,
    pub(super) progress: &'a Progress,
    pub(super) interrupt: &'a Interrupt,
    /// Whether all ledgers are among those.
    pub(super) has_all_ledgers: bool,
    /// Whether Cassandra may be started anew.
    pub(super) restart_stateful: bool,
}

impl RollOut<'_> {
    /// Changes some of the nodes, by their numbers, and tells what became of each.
    pub(super) async fn run(&self, todo: &[usize], outcomes: &mut [Outcome]) -> anyhow::Result<()> {
        let (mut nodes, mut ledgers) = (Vec::new(), Vec::new());
        for at in todo {
            if let (Some(seen), Some(outcome)) = (self.seen.get(*at), outcomes.get_mut(*at)) {
                outcome.result = Done::Untouched;
                if self.all.get(*at).is_some_and(restarts_ledger) {
                    ledgers.push(*at);
                } else {
                    nodes.push((*at, &seen.job.node));
                }
            }
        }
        let bar = self.progress.bar("nodes changed", todo.len());
        let mut done = 0;
        let mut schema = ledgers.first().copied();
        // Ledgers come when what they stand on is there, and never two at a time: others go on serving.
        let ledgers = ledgers.into_iter().map(|it| vec![it]);
        for wave in waves(&nodes).into_iter().chain(ledgers) {
            if self.interrupt.came() {
                bail!(Interrupted(format!(
                    "{done} of {} nodes are changed, and whole; the next run goes on",
                    todo.len()
                )));
            }
            if let Some(first) = schema.take_if(|it| wave == [*it])
                && let Some(seen) = self.seen.get(first)
            {
                let step = self.progress.node(&seen.job.node.name);
                if self.place.network.config.installs(Role::Cassandra) {
                    step.at("waiting for Cassandra's users");
                    if let Some(said) = accounts::ensure(self.place, self.has_all_ledgers).await? {
                        self.journal.note(None, &said)?;
                        self.progress.say(said);
                    }
                }
                step.at("looking for the ledger's schema");
                let remotes = self.place.remotes;
                let remote = remotes.still(&seen.job.node, &seen.remote).await?;
                let said = schema::load(&remote, self.place.network, self.place.materials).await?;
                self.journal.note(Some(&seen.job.node.name), &said)?;
                self.progress.say(format!("{}: {said}", seen.job.node.name));
            }
            let mut running = Vec::new();
            for at in &wave {
                if let (Some(seen), Some(changes)) = (self.seen.get(*at), self.all.get(*at)) {
                    running.push(Box::pin(self.change(seen, changes, &bar)));
                }
            }
            let mut first = Ok(());
            for (at, (outcome, result)) in wave.iter().zip(join_all(&mut running).await) {
                if let Some(place) = outcomes.get_mut(*at) {
                    *place = outcome;
                }
                first = first.and(result);
            }
            first?;
            done += wave.len();
        }
        Ok(())
    }

    async fn change(
        &self,
        seen: &Seen,
        changes: &Changes<'_>,
        bar: &Step,
    ) -> (Outcome, anyhow::Result<()>) {
        let mut outcome = Outcome::default();
        let begin = Instant::now();
        let result = self.try_change(seen, changes, &mut outcome).await;
        outcome.seconds = begin.elapsed().as_secs_f64();
        match &result {
            Ok(()) => {
                let (name, seconds) = (&seen.job.node.name, outcome.seconds);
                self.progress
                    .say(format!("{name}: healthy, {seconds:.1} s"));
                bar.more();
            }
            Err(error) => outcome.error = Some(format!("{error:#}")),
        }
        (outcome, result)
    }

    async fn try_change(
        &self,
        seen: &Seen,
        changes: &Changes<'_>,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let job = &seen.job;
        let name = &job.node.name;
        let step = self.progress.node(name);
        outcome.result = Done::Untouched;
        let remote = &self.place.remotes.still(&job.node, &seen.remote).await?;
        if job.node.roles.contains(&Role::Cassandra) {
            step.at("asking Cassandra");
            cassandra::others_are_well(self.place, &job.node).await?;
        }
        if !changes.are_none() {
            self.make(seen, remote, changes, &step, outcome).await?;
        }
        // What could not be attached comes with a start.
        let is_due = changes.stateful.is_some() || !outcome.notes.is_empty();
        if self.restart_stateful && is_due {
            self.progress.say(format!("{name}: restart Cassandra"));
            cassandra::restart(remote, &job.node, self.place, &step).await?;
            outcome.result = Done::Changed;
            outcome.has_restarted = true;
            outcome.notes.clear();
            self.journal
                .note(Some(name), "Cassandra was started anew")?;
        }
        Ok(())
    }

    /// Makes one node's changes and waits until it is healthy, or puts back what was there.
    async fn make(
        &self,
        seen: &Seen,
        remote: &Remote,
        changes: &Changes<'_>,
        step: &Step,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let job = &seen.job;
        let name = &job.node.name;
        self.progress.say(format!("{name}: {}", summary(changes)));
        outcome.result = Done::Failed;
        let made = async {
            if !changes.packages.is_empty() || !changes.images.is_empty() {
                step.at("bringing what containers need");
                containers::prepare(remote, &changes.packages, &changes.images).await?;
            }
            step.at("sending");
            outcome.notes = apply::apply(remote, &job.desired, changes).await?;
            step.at("waiting until it is healthy");
            let units = job.desired.units.iter();
            let units: Vec<_> = units
                .filter(|it| changes.restarted.contains(it) || changes.reloaded.contains(it))
                .collect();
            health::wait(remote, &job.node, &units, self.place.materials).await
        };
        if let Err(error) = made.await {
            let reason = format!("{error:#}");
            let reason = reason.strip_prefix(&format!("{name}: ")).unwrap_or(&reason);
            self.journal
                .note(Some(name), &format!("failed: {reason}"))?;
            step.at("putting back what it had");
            if let Err(error) = apply::roll_back(remote).await {
                self.journal
                    .note(Some(name), &format!("not rolled back: {error:#}"))?;
                bail!(
                    "{name}: {reason}. What it had could not be put back ({error:#}); nothing further was changed. Run this again when it can be reached"
                );
            }
            outcome.result = Done::RolledBack;
            self.journal.note(Some(name), "rolled back")?;
            bail!(
                "{name}: {reason}. It has what it had before again, and nothing further was changed"
            );
        }
        outcome.result = Done::Changed;
        let lines = changes.lines().join("; ");
        self.journal.note(Some(name), &format!("changed: {lines}"))
    }
}

/// Whether a node's ledger ends for a while.
pub(super) fn restarts_ledger(changes: &Changes<'_>) -> bool {
    let mut restarted = changes.restarted.iter();
    restarted.any(|it| it.name == scalardl::SERVICE)
}

/// One node of each role first, beside each other; then the others in groups, of which each has one Cassandra node at most.
fn waves(nodes: &[(usize, &Node)]) -> Vec<Vec<usize>> {
    let mut left = nodes.to_vec();
    let mut first = Vec::new();
    for role in Role::ALL {
        if let Some(at) = left.iter().position(|it| it.1.roles.contains(&role)) {
            first.push(left.remove(at).0);
        }
    }
    let (cassandra, others): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|it| it.1.roles.contains(&Role::Cassandra));
    let mut waves = vec![first];
    waves.extend(cassandra.into_iter().map(|it| vec![it.0]));
    let mut others = others.into_iter().map(|it| it.0);
    for wave in waves.iter_mut().skip(1) {
        wave.extend(others.by_ref().take(BATCH - 1));
    }
    let others: Vec<_> = others.collect();
    waves.extend(others.chunks(BATCH).map(<[usize]>::to_vec));
    waves.retain(|it| !it.is_empty());
    waves
}

/// Waits for all of some, who go on beside each other.
async fn join_all<F: Future + Unpin>(all: &mut [F]) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, result) in all.iter_mut().zip(&mut results) {
            if result.is_none() {
                match std::pin::Pin::new(future).poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

fn summary(changes: &Changes<'_>) -> String {
    let lines = changes.lines();
    match lines.len() {
        0..=4 => lines.join("; "),
        more => format!("{more} changes"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::waves;
    use crate::network::{Node, Role};

    fn node(name: &str, roles: &[Role]) -> Node {
        Node {
            roles: BTreeSet::from_iter(roles.iter().copied()),
            ..Node::named(name)
        }
    }

    /// The names of each wave.
    fn shown(nodes: &[Node]) -> String {
        let numbered: Vec<_> = nodes.iter().enumerate().collect();
        let wave = |it: &Vec<usize>| {
            let names: Vec<_> = it.iter().map(|at| nodes[*at].name.as_str()).collect();
            names.join(" ")
        };
        waves(&numbered)
            .iter()
            .map(wave)
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn one_of_each_role_then_groups() {
        use Role::{Bastion, Cassandra, Host, Monitor, ScalarDl};
        let nodes = [
            node("b", &[Bastion, Monitor]),
            node("c1", &[Cassandra]),
            node("c2", &[Cassandra]),
            node("c3", &[Cassandra]),
            node("s1", &[ScalarDl]),
            node("s2", &[ScalarDl]),
            node("m", &[Monitor]),
        ];
        assert_eq!(shown(&nodes), "b c1 m s1 | c2 s2 | c3");
        let many: Vec<_> = (0..19).map(|it| node(&format!("h{it}"), &[Host])).collect();
        assert_eq!(
            shown(&many),
            "h0 | h1 h2 h3 h4 h5 h6 h7 h8 h9 h10 h11 h12 h13 h14 h15 h16 | h17 h18"
        );
        assert_eq!(shown(&[]), "");
    }
}
