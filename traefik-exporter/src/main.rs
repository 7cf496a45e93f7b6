//! Entry point of traefik-exporter.

fn main() {}
