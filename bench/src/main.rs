//! Measures our programs beside those whose place they take, in turn, in one run, and writes BENCHMARKS.md:
//! `bench` measures all, `bench alert-router` one, whose section alone it writes anew.

mod alert_router;
mod cassandra_exporter;
mod connection;
mod node_exporter;
mod page;
mod provisioner;
mod server;
mod statistics;
mod traefik_exporter;

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Every part, in the page's order: the program, and what measures it and gives the text of its section. It is given the folder
/// of our programs.
const PARTS: &[(&str, fn(&Path) -> Result<String, Box<dyn Error>>)] = &[
    ("node-exporter", node_exporter::measure),
    ("alert-router", alert_router::measure),
    ("cassandra-exporter", cassandra_exporter::measure),
    ("traefik-exporter", traefik_exporter::measure),
    ("provisioner", provisioner::measure),
];

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&str> = PARTS.iter().map(|it| it.0).collect();
    if let Some(unknown) = wanted.iter().find(|it| !names.contains(&it.as_str())) {
        let known = names.join(", ");
        return Err(format!("nothing measures {unknown:?}; there are: {known}").into());
    }
    let own = std::env::current_exe()?;
    let programs = own.parent().unwrap_or(Path::new(""));
    for (name, measure) in PARTS {
        if !wanted.is_empty() && !wanted.iter().any(|it| it == name) {
            continue;
        }
        let section = measure(programs)?;
        writeln!(io::stdout(), "{section}")?;
        let page = fs::read_to_string("BENCHMARKS.md").unwrap_or_default();
        fs::write("BENCHMARKS.md", page::with(&page, &names, name, &section))?;
    }
    Ok(())
}
