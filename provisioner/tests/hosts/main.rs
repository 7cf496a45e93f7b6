//! The provisioner on real machines: a bastion and hosts behind it, each with a systemd and an sshd of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cassandra;
mod containers;
mod faults;
mod install;
mod learned;
mod ledgers;
mod made;
mod monitor;
mod moving_in;
mod network;
mod operate;
mod operator;
mod packages;
mod ring;
mod runs;
mod see;
#[path = "../terraform/stand_in.rs"]
mod stand_in;
