//! alert-router: takes alerts from Prometheus and brings them to people; takes the place of Alertmanager.

use std::process::ExitCode;

fn main() -> ExitCode {
    alert_router::main()
}
