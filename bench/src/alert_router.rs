//! alert-router beside Alertmanager 0.34.1: what alerts, silences and notifications cost, in turn, in one run.

mod load;
mod measures;
mod receiver;
mod trial;

use std::{
    error::Error,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    page::{Row, Value, machine, table},
    statistics::quantile,
};

/// A program under measurement.
pub(crate) struct Contender {
    program: PathBuf,
    /// It keeps alerts over a restart, and silences over a kill.
    keeps: bool,
}

/// Figures that are taken together, in rounds, each of both programs in turn.
struct Measure {
    /// Name and bar of each figure.
    rows: &'static [(&'static str, &'static str)],
    rounds: usize,
    /// Takes the figures once, in the rows' order.
    take: fn(&Contender, &Path) -> io::Result<Vec<Value>>,
}

/// Every measure, in the table's order.
const MEASURES: &[Measure] = &[
    Measure {
        rows: &[("start, empty (ms)", "≤ 15 ms")],
        rounds: 20,
        take: measures::start_empty,
    },
    Measure {
        rows: &[("idle RSS (MiB)", "≤ 12 MiB")],
        rounds: 3,
        take: measures::idle,
    },
    Measure {
        rows: &[("ingest CPU per alert, 10k by 100 (µs)", "≤ 0.33")],
        rounds: 3,
        take: |it, folder| measures::ingest(it, folder, 10_000, 100),
    },
    Measure {
        rows: &[("ingest CPU per alert, 10k by 1,000 (µs)", "≤ 0.33")],
        rounds: 3,
        take: |it, folder| measures::ingest(it, folder, 10_000, 1_000),
    },
    Measure {
        rows: &[("ingest CPU per alert, 100k by 100 (µs)", "≤ 0.33")],
        rounds: 1,
        take: |it, folder| measures::ingest(it, folder, 100_000, 100),
    },
    Measure {
        rows: &[
            ("ingest CPU per alert, 100k by 1,000 (µs)", "≤ 0.33"),
            ("the same 100k again, with a later end (µs)", ""),
            ("RSS with 100k alerts (MiB)", "≤ 100 MiB"),
            ("/metrics with 100k alerts, CPU (ms)", "≤ 5 ms"),
            ("GET of all 100k, CPU (s)", "≤ 0.2"),
            ("GET of all 100k, wall (s)", ""),
            ("GET of all 100k, size (MB)", ""),
            ("RSS after 3 GETs of all (MiB)", "≤ 1.2 × the RSS before"),
            ("GET with filters, one result of 100k, CPU (ms)", "≤ 0.02"),
        ],
        rounds: 1,
        take: measures::many_alerts,
    },
    Measure {
        rows: &[("first GET, 10k alerts × 10k silences, CPU (s)", "≤ 1 s")],
        rounds: 1,
        take: measures::many_silences,
    },
    Measure {
        rows: &[(
            "CPU per notification, 5,000 groups at once (ms)",
            "≤ 0.12 ms",
        )],
        rounds: 3,
        take: measures::storm,
    },
    Measure {
        rows: &[("POST to webhook received, median of 50 (ms)", "≤ 2 ms")],
        rounds: 1,
        take: measures::latency,
    },
    Measure {
        rows: &[(
            "start with 10k silences and 100k alerts, after a kill (ms)",
            "≤ 1,000 ms",
        )],
        rounds: 1,
        take: measures::start_full,
    },
];

/// Measures both; gives the section's text.
pub(crate) fn measure(folder: &Path) -> Result<String, Box<dyn Error>> {
    let contenders = [
        Contender {
            program: folder.join("alert-router"),
            keeps: true,
        },
        Contender {
            program: parts::find("alertmanager")?.path,
            keeps: false,
        },
    ];
    let mut rows = Vec::new();
    for measure in MEASURES {
        let [ours, theirs] = in_turn(measure, &contenders, folder)?;
        let values = ours.into_iter().zip(theirs);
        rows.extend(
            measure
                .rows
                .iter()
                .zip(values)
                .map(|(row, (ours, theirs))| {
                    let (what, bar) = *row;
                    Row {
                        what,
                        bar,
                        values: [ours, theirs],
                    }
                }),
        );
    }
    Ok(format!(
        "Both programs in one run, in turn, each with a storage folder of its own on the disk of the programs, and without a cluster. CPU\n\
         is user and system time of the server by the process's clock, until it rests; memory `VmRSS`. Alerts are as Prometheus sends\n\
         them, over one kept connection: 10 labels, 3 annotations, {} bytes each. A start is until /-/ready answers 200, the median of\n\
         20; other figures of small loads are the median of 3 runs. In the storm 5,000 alerts of a group each become due together, and\n\
         a webhook receiver answers at once: the posting does not count. Of the 10k silences 8 of 10 name an instance and an alert,\n\
         half of which are there, and the others have regular expressions; the GET is ended after {} s of CPU. Alertmanager is\n\
         built from its module without its pages.\n\n{}\n\n{}",
        load::bytes_of_an_alert(),
        measures::ENOUGH,
        machine()?,
        table("alert-router", "Alertmanager 0.34.1", &rows),
    ))
}

/// The rounds of a measure, both programs in each; the median of what each showed.
fn in_turn(
    measure: &Measure,
    contenders: &[Contender; 2],
    folder: &Path,
) -> io::Result<[Vec<Value>; 2]> {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..measure.rounds {
        for (contender, rounds) in contenders.iter().zip(&mut rounds) {
            let storage = tempfile::Builder::new()
                .prefix("bench-")
                .tempdir_in(folder)?;
            let taken = (measure.take)(contender, storage.path()).unwrap_or_else(|error| {
                let program = contender.program.display();
                let what = measure.rows.first().map_or("", |it| it.0);
                // Nothing can be done about a closed standard error.
                drop(writeln!(io::stderr(), "{program}: {what}: {error}"));
                vec![Value::Failed; measure.rows.len()]
            });
            rounds.push(taken);
        }
    }
    Ok(rounds.map(|rounds| {
        (0..measure.rows.len())
            .map(|row| median(rounds.iter().filter_map(|it| it.get(row).copied())))
            .collect()
    }))
}

/// The median of numbers; what is no number stands for all.
fn median(values: impl Iterator<Item = Value>) -> Value {
    let mut numbers = Vec::new();
    for value in values {
        match value {
            Value::Number(number) => numbers.push(number),
            other @ (Value::Above(_) | Value::Nothing | Value::Failed) => return other,
        }
    }
    Value::Number(quantile(&numbers, 0.5))
}
