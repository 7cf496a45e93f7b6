//! Entry point of cassandra-exporter.

fn main() {}
