//! `provisioner install` beside ansible-core with a playbook for the same: node-exporter on a bastion and 12 hosts behind it, which are real
//! machines but for their processors.

mod ansible;
mod environment;
mod machines;

use std::{
    collections::BTreeSet,
    error::Error,
    io::{self, Write as _},
    path::Path,
};

use self::{
    ansible::{Ansible, Settings},
    environment::Environment,
    machines::{Cost, Machines},
};
use crate::{
    page::{Row, Value, machine, table},
    statistics::quantile,
};

/// Behind the bastion.
const HOSTS: usize = 12;
/// Fresh machines for each of both.
const ROUNDS: usize = 3;
/// Runs that find nothing to change, on each of those.
const AGAIN: usize = 2;
/// Where node-exporter listens, at first and after a change.
const PORTS: [u16; 2] = [9100, 9200];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs(Settings),
}

/// What a side took.
#[derive(Default)]
struct Figures {
    first: Vec<Cost>,
    nothing: Vec<Cost>,
    change: Vec<Cost>,
}

/// What both install from, and where.
struct Bench<'a> {
    environment: Environment,
    ansible: Ansible,
    /// Of our programs. What ran on machines below it that somebody broke off is ended by the next.
    programs: &'a Path,
}

/// Measures both; gives the section's text.
pub(crate) fn measure(programs: &Path) -> Result<String, Box<dyn Error>> {
    let here = tempfile::Builder::new().prefix("bench-").tempdir()?;
    let bench = Bench {
        environment: Environment::make(here.path().join("environment"), programs)?,
        ansible: Ansible::fetch(here.path().join("ansible"))?,
        programs,
    };
    let [mut ours, mut theirs, mut defaults] = [(); 3].map(|()| Figures::default());
    let mut files = 0;
    for round in 0..ROUNDS {
        // Ours is the first of all: it makes the certificates that Ansible is given, too.
        let mut sides = [
            (Side::Ours, &mut ours),
            (Side::Theirs(Settings::Best), &mut theirs),
        ];
        if round % 2 != 0 {
            sides.reverse();
        }
        let mut found = Vec::new();
        for (side, figures) in sides {
            found.push(bench.take(side, AGAIN, figures)?);
        }
        if let [one, other] = found.as_slice()
            && let Some(differs) = one.symmetric_difference(other).next()
        {
            return Err(format!("they do not install the same: {differs}").into());
        }
        files = found.first().map_or(0, |it| it.len());
    }
    bench.take(Side::Theirs(Settings::Defaults), 1, &mut defaults)?;
    let table = table(
        "provisioner",
        &format!("ansible-core {}", parts::ANSIBLE),
        &rows(&ours, &theirs, &defaults),
    );
    Ok(format!(
        "{}\n\n{}\n\n{table}\n{NOTES}",
        head(files),
        machine()?
    ))
}

/// What the figures mean.
const NOTES: &str = include_str!("provisioner/notes.md");

impl Bench<'_> {
    /// Measures one side on fresh machines; gives what it has installed.
    fn take(
        &self,
        side: Side,
        again: usize,
        figures: &mut Figures,
    ) -> io::Result<BTreeSet<String>> {
        say(&format!("{side:?}: a bastion and {HOSTS} hosts"));
        let machines = Machines::start(self.programs.join("bench-machines"), HOSTS)?;
        let [port, other] = PORTS;
        self.ansible.meet(&machines, &self.environment, port)?;
        let all = machines.names().count();
        figures.first.push(self.run(side, &machines, port, all)?);
        let found = machines.found()?;
        if side == Side::Ours {
            self.environment.keep(&machines, port)?;
        }
        for _ in 0..again {
            figures.nothing.push(self.run(side, &machines, port, 0)?);
        }
        if side != Side::Theirs(Settings::Defaults) {
            figures.change.push(self.run(side, &machines, other, all)?);
        }
        Ok(found)
    }

    /// One run, which must change so many hosts.
    fn run(&self, side: Side, machines: &Machines, port: u16, expect: usize) -> io::Result<Cost> {
        let (changed, cost) = match side {
            Side::Ours => self.environment.install(machines, port)?,
            Side::Theirs(settings) => {
                self.ansible
                    .run(machines, &self.environment, settings, port)?
            }
        };
        say(&format!(
            "{side:?}: {changed} hosts changed, {:.1} s",
            cost.wall
        ));
        if changed != expect {
            let problem = format!("{side:?} changed {changed} hosts in place of {expect}");
            return Err(io::Error::other(problem));
        }
        Ok(cost)
    }
}

fn rows(ours: &Figures, theirs: &Figures, defaults: &Figures) -> Vec<Row> {
    type Some<'a> = &'a dyn Fn(&Figures) -> &Vec<Cost>;
    type Figure<'a> = &'a dyn Fn(&Cost) -> f64;
    let median = |figures: &Figures, some: Some<'_>, figure: Figure<'_>| {
        let values: Vec<_> = some(figures).iter().map(figure).collect();
        Value::Number(quantile(&values, 0.5))
    };
    let [first, nothing, change]: [Some<'_>; 3] =
        [&|it| &it.first, &|it| &it.nothing, &|it| &it.change];
    let [wall, cpu, megabytes]: [Figure<'_>; 3] =
        [&|it| it.wall, &|it| it.cpu, &|it| it.bytes / 1e6];
    let both: [(&'static str, &'static str, Some<'_>, Figure<'_>); 8] = [
        ("first install, wall (s)", "≤ 0.33", first, wall),
        ("first install, CPU of the operator (s)", "", first, cpu),
        (
            "first install, sent and received (MB)",
            "",
            first,
            megabytes,
        ),
        ("nothing to change, wall (s)", "≤ 0.05", nothing, wall),
        (
            "nothing to change, CPU of the operator (s)",
            "",
            nothing,
            cpu,
        ),
        (
            "nothing to change, sent and received (MB)",
            "",
            nothing,
            megabytes,
        ),
        ("another port, wall (s)", "", change, wall),
        ("another port, CPU of the operator (s)", "", change, cpu),
    ];
    let both = both.map(|(what, bar, some, figure)| Row {
        what,
        bar,
        values: [median(ours, some, figure), median(theirs, some, figure)],
    });
    let given: [(&'static str, Some<'_>); 2] = [
        ("first install, Ansible as it comes, wall (s)", first),
        ("nothing to change, Ansible as it comes, wall (s)", nothing),
    ];
    let given = given.map(|(what, some)| Row {
        what,
        bar: "",
        values: [median(ours, some, wall), median(defaults, some, wall)],
    });
    both.into_iter().chain(given).collect()
}

fn head(found: usize) -> String {
    format!(
        "`provisioner install` beside ansible-core {}, the newest for Debian 12's Python, both with the same job in one run: node-exporter on a\n\
         bastion and {HOSTS} hosts behind it. These are machines of `scripts/hosts.sh`, each with a systemd and an sshd of its own; all share this\n\
         machine's processors, so that what hosts do counts, too. Ansible gets the playbook of `bench/ansible`, 16 forks, pipelining, no facts, a\n\
         Python that is named, connections that stay for a run, and one to the bastion that is there before the time begins, as are the modules of\n\
         Python that hosts need. Host keys are strict. *As it comes* is with 5 forks, facts and no pipelining (one run).\n\n\
         Both put on each: a user, folders, the program in the folder of its version and the link to it, `web.yml` with the hash of a password,\n\
         certificate and key, the end of the certificate for the textfile collector, and the hardened unit; enable and start it, and wait until it\n\
         answers over HTTPS to the password. That nothing differs afterwards is checked: {found} lines of paths, modes, owners and sha256. The\n\
         provisioner also looks whether all machines are fit before it changes one, does one of each role before the others, keeps what was there,\n\
         holds the answer against the authority's certificate, and watches each service for 3 s; this is in its time.\n\n\
         Medians of {ROUNDS} first installs on fresh machines each, in turn, {} runs with nothing to change, and {ROUNDS} with another port (the unit is\n\
         written, the service restarted and healthy again). CPU is user and system time of processes that ended with the run; sent and\n\
         received is what passes the operator's network. MB are 1,000,000 bytes.",
        parts::ANSIBLE,
        ROUNDS * AGAIN,
    )
}

fn say(what: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "provisioner: {what}"));
}
