//! node-exporter: what a Linux host tells about itself, for Prometheus; takes the place of Prometheus' node_exporter.

use std::process::ExitCode;

/// One small heap for all threads. The C library's keeps what each thread freed, which is more than a scrape needs.
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    node_exporter::main()
}
