//! Entry point of alert-router.

fn main() {}
