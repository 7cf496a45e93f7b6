//! Requests of clients, as their coordinator sees them.

use super::{Group, Profile, Row, count, snake, spread, timer, value};
use crate::object_name::ObjectName;

const LATENCY: &str = "Latency of requests as clients see it, by operation.";
const TIMEOUTS: &str = "Requests that timed out: replicas were asked, too few answered.";
const UNAVAILABLES: &str = "Requests that were refused as too few replicas are alive.";
const FAILURES: &str = "Requests that replicas failed.";

pub(super) const CLIENT_REQUEST: Group = Group {
    bean: "ClientRequest",
    prefix: "cassandra_client_request_",
    labels: operation,
    names: &["operation"],
    rows: &[
        timer("Latency", "latency_seconds", LATENCY)
            .total("TotalLatency")
            .minimal(),
        count("Timeouts", "timeouts_total", TIMEOUTS).minimal(),
        count("Unavailables", "unavailables_total", UNAVAILABLES).minimal(),
        count("Failures", "failures_total", FAILURES).minimal(),
        count(
            "Aborts",
            "aborts_total",
            "Reads that were aborted by a limit.",
        ),
        count(
            "TombstoneAborts",
            "tombstone_aborts_total",
            "Reads that were aborted as they met too many tombstones.",
        ),
        count(
            "ReadSizeAborts",
            "read_size_aborts_total",
            "Reads that were aborted as they were too large.",
        ),
        count(
            "LocalRequests",
            "local_requests_total",
            "Requests of which this node is a replica.",
        ),
        count(
            "RemoteRequests",
            "remote_requests_total",
            "Requests of which this node is no replica.",
        ),
        count(
            "UnknownResult",
            "unknown_results_total",
            "Paxos requests that timed out with an unknown result.",
        ),
        count(
            "ConditionNotMet",
            "condition_not_met_total",
            "Conditional writes whose condition was not met.",
        ),
        count(
            "UnfinishedCommit",
            "unfinished_commits_total",
            "Paxos rounds of others that had to be finished first.",
        ),
        spread(
            "ContentionHistogram",
            "contended_rounds",
            "Paxos rounds that another one disturbed.",
        ),
        spread(
            "MutationSizeHistogram",
            "mutation_size_bytes",
            "Size of writes.",
        ),
        spread(
            "RoundTripsPerReadHistogram",
            "round_trips_per_read",
            "Round trips that a read of a range takes.",
        ),
        timer(
            "ViewWriteLatency",
            "view_write_latency_seconds",
            "Time from a write until its views are written.",
        ),
        value(
            "ViewPendingMutations",
            "view_pending_mutations",
            "Writes of views that are not acknowledged.",
        ),
        count(
            "ViewReplicasAttempted",
            "view_replicas_attempted_total",
            "Writes of views that were sent.",
        ),
        count(
            "ViewReplicasSuccess",
            "view_replicas_success_total",
            "Writes of views that were acknowledged.",
        ),
    ],
};

const fn full(row: Row) -> Row {
    Row {
        profile: Profile::Full,
        ..row
    }
}

/// A family of its own, so that a sum over the other one counts nothing twice.
pub(super) const BY_CONSISTENCY: Group = Group {
    bean: "ClientRequest",
    prefix: "cassandra_client_request_by_consistency_",
    labels: consistency,
    names: &["consistency", "operation"],
    rows: &[
        full(
            timer(
                "Latency",
                "latency_seconds",
                "Latency of requests, by operation and consistency level.",
            )
            .total("TotalLatency"),
        ),
        full(count(
            "Timeouts",
            "timeouts_total",
            "Requests that timed out, by operation and consistency level.",
        )),
        full(count(
            "Unavailables",
            "unavailables_total",
            "Requests refused as too few replicas are alive, by operation and consistency level.",
        )),
        full(count(
            "Failures",
            "failures_total",
            "Requests that replicas failed, by operation and consistency level.",
        )),
    ],
};

fn operation(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    let scope = name.get("scope")?;
    (!scope.contains('-')).then(|| vec![("operation", snake(scope))])
}

fn consistency(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    let (operation, level) = name.get("scope")?.split_once('-')?;
    Some(vec![
        ("consistency", level.to_owned()),
        ("operation", snake(operation)),
    ])
}
