//! What a program is called.

/// The constants of a program, stated once at the top of its `main.rs`.
#[derive(Debug)]
pub struct Program {
    /// As on the command line and in the unit: `node-exporter`.
    pub name: &'static str,
    /// The prefix of its own metrics, `node_exporter` in `node_exporter_build_info`.
    pub namespace: &'static str,
    /// One line for `--help` and the landing page.
    pub about: &'static str,
    /// The default of `--web.listen-address`.
    pub listen: &'static str,
    /// The version: `env!("CARGO_PKG_VERSION")` of the program.
    pub version: &'static str,
}

impl Program {
    /// The commit that was built; `unknown` unless `BUILD_REVISION` was set for the build.
    pub const REVISION: &'static str = match option_env!("BUILD_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    };
}
