//! traefik-exporter against real Traefiks, recorded answers, and APIs that are no good.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "traefik/counted.rs"]
mod counted;
#[path = "traefik/exporter.rs"]
mod exporter;
#[path = "traefik/fake.rs"]
mod fake;
#[path = "traefik/grafana.rs"]
mod grafana;
#[path = "traefik/hostile.rs"]
mod hostile;
#[path = "traefik/ledger.rs"]
mod ledger;
#[path = "traefik/network.rs"]
mod network;
#[path = "traefik/packaged.rs"]
mod packaged;
#[path = "traefik/passing.rs"]
mod passing;
#[path = "traefik/probing.rs"]
mod probing;
#[path = "traefik/real.rs"]
mod real;
#[path = "traefik/recorded.rs"]
mod recorded;
#[path = "traefik/rejected.rs"]
mod rejected;
