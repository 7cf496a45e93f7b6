//! cassandra-exporter: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cassandra_exporter::main()
}
