//! Entry point of provisioner.

fn main() {}
