//! traefik-exporter: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    traefik_exporter::main()
}
