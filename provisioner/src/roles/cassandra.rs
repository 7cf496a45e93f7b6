//! A node of Cassandra: Cassandra itself where it is installed from here, and what monitors it.

mod exporter;
mod service;

pub(crate) use self::{
    exporter::{OPTIONS, PORT, USER},
    service::{DATA, NATIVE, NODETOOL, SERVICE, data_center},
};
use super::Place;
use crate::network::Role;

/// The user that Cassandra runs as.
const CASSANDRA: &str = "cassandra";

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    let is_ours = place.config().installs(Role::Cassandra);
    if is_ours {
        service::add(place)?;
    }
    exporter::add(place, is_ours)
}
