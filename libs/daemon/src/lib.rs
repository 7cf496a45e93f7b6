//! What every long-running program of the suite is made of: flags, logs, an HTTP server with bounds on everything,
//! a registry of collectors with deadlines, metrics about itself, systemd, a clean start and a clean end.

pub mod flags;
pub mod http;
mod kept;
mod listen;
pub mod log;
mod memory;
mod own_metrics;
mod program;
mod registry;
mod secret;
mod service;
mod tls;
mod web_config;

pub use flags::{CommonFlags, FileFlags, FlagsError, WebFlags};
pub use kept::{Kept, Shown};
pub use listen::ListenError;
pub use log::chain;
pub use own_metrics::{families_of, own_families};
pub use program::Program;
pub use registry::{CollectError, Collector, Filter, FilterError, Registry, Scrape};
pub use secret::Secret;
pub use service::{
    BeforeScrape, Link, Reload, ServeError, Service, Settings, main, main_with, main_with_file,
};
pub use web_config::WebConfigError;
