//! What tests share: built programs on ports of their own, golden files, catalogues of metrics, scripted upstreams, waiting for events, recorded skips.
//! A dependency of tests only.

pub mod catalogue;
mod disk;
pub mod golden;
mod hosts;
mod mail_server;
mod oracle;
mod program;
mod skip;
pub mod tree;
mod upstream;
mod wait;

pub use catalogue::Catalogue;
pub use disk::Disk;
pub use hosts::Hosts;
pub use mail_server::{Mail, MailServer, Script};
pub use oracle::ask;
pub use program::{Ended, Program, Running, binary};
pub use skip::skip;
pub use upstream::{Answer, Heard, Upstream};
pub use wait::{eventually, get, request};

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
