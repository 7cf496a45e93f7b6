//! libs/daemon.
