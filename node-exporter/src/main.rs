//! Entry point of node-exporter.

fn main() {}
