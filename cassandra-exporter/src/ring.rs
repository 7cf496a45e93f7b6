//! The node and the ring as the node sees it: `StorageService`, `FailureDetector`, `EndpointSnitchInfo`, `HintsService`.

use std::collections::{BTreeMap, BTreeSet};

use exposition::{Desc, Family, Kind};

use crate::{
    jolokia::{request::Bulk, response::Tree},
    object_name::endpoint,
};

const NODE_INFO: Desc = Desc::new(
    "cassandra_node_info",
    Kind::Gauge,
    "What the node is; always 1.",
)
.labels(&[
    "cluster",
    "datacenter",
    "rack",
    "endpoint",
    "host_id",
    "release_version",
    "schema_version",
    "partitioner",
]);
const OPERATION_MODE: Desc = Desc::new(
    "cassandra_operation_mode",
    Kind::Gauge,
    "1 for the mode that the node is in, 0 for the others that there are.",
)
.labels(&["mode"]);
const NATIVE_TRANSPORT: Desc = Desc::new(
    "cassandra_native_transport_running",
    Kind::Gauge,
    "Whether clients can connect.",
);
const GOSSIP: Desc = Desc::new(
    "cassandra_gossip_running",
    Kind::Gauge,
    "Whether the node takes part in gossip.",
);
const INITIALIZED: Desc = Desc::new(
    "cassandra_initialized",
    Kind::Gauge,
    "Whether the node has started.",
);
const JOINED: Desc = Desc::new(
    "cassandra_joined",
    Kind::Gauge,
    "Whether the node is a member of the ring.",
);
const INCREMENTAL_BACKUPS: Desc = Desc::new(
    "cassandra_incremental_backups_enabled",
    Kind::Gauge,
    "Whether every flushed SSTable is kept as a backup.",
);
const ENDPOINTS: Desc = Desc::new(
    "cassandra_endpoints",
    Kind::Gauge,
    "Members of the ring as this node sees it, by status (U up, D down) and state (N normal, J joining, L leaving, M moving).",
)
.labels(&["state"]);
const ENDPOINT_UP: Desc = Desc::new(
    "cassandra_endpoint_up",
    Kind::Gauge,
    "Whether this node sees a member of the ring as alive.",
)
.labels(&["endpoint"]);
const ENDPOINT_INFO: Desc = Desc::new(
    "cassandra_endpoint_info",
    Kind::Gauge,
    "What a member of the ring is, as this node sees it; always 1.",
)
.labels(&[
    "endpoint",
    "datacenter",
    "rack",
    "host_id",
    "release_version",
    "schema_version",
    "state",
]);
const ENDPOINT_OWNS: Desc = Desc::new(
    "cassandra_endpoint_owns_ratio",
    Kind::Gauge,
    "Part of the ring whose first replica a member is, replication not counted.",
)
.labels(&["endpoint"]);
const ENDPOINT_TOKENS: Desc = Desc::new(
    "cassandra_endpoint_tokens",
    Kind::Gauge,
    "Tokens of a member of the ring.",
)
.labels(&["endpoint"]);
const ENDPOINT_LOAD: Desc = Desc::new(
    "cassandra_endpoint_load_bytes",
    Kind::Gauge,
    "Data on a member's disk, as it last told.",
)
.labels(&["endpoint"]);
const ENDPOINT_PHI: Desc = Desc::new(
    "cassandra_endpoint_phi",
    Kind::Gauge,
    "The failure detector's suspicion of a member; above the threshold it is seen as down.",
)
.labels(&["endpoint"]);
const PHI_THRESHOLD: Desc = Desc::new(
    "cassandra_phi_convict_threshold",
    Kind::Gauge,
    "The suspicion above which a member is seen as down.",
);
const SCHEMA_VERSIONS: Desc = Desc::new(
    "cassandra_schema_versions",
    Kind::Gauge,
    "Different versions of the schema among members that are up; more than 1 for long is a disagreement.",
);
const PENDING_HINTS: Desc = Desc::new(
    "cassandra_hints_pending_files",
    Kind::Gauge,
    "Files of hints that wait for a member (Cassandra 4.1 and later).",
)
.labels(&["endpoint"]);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    NODE_INFO,
    OPERATION_MODE,
    NATIVE_TRANSPORT,
    GOSSIP,
    INITIALIZED,
    JOINED,
    INCREMENTAL_BACKUPS,
    ENDPOINTS,
    ENDPOINT_UP,
    ENDPOINT_INFO,
    ENDPOINT_OWNS,
    ENDPOINT_TOKENS,
    ENDPOINT_LOAD,
    ENDPOINT_PHI,
    PHI_THRESHOLD,
    SCHEMA_VERSIONS,
    PENDING_HINTS,
];

/// Modes of a node (`StorageService.Mode`, 3.11 to 5.0); one that is not here is shown, too.
const MODES: &[&str] = &[
    "STARTING",
    "NORMAL",
    "JOINING",
    "JOINING_FAILED",
    "LEAVING",
    "DECOMMISSIONED",
    "DECOMMISSION_FAILED",
    "MOVING",
    "DRAINING",
    "DRAINED",
];

/// Members that are shown; there are not more in a ring of this size of product.
const MAX_ENDPOINTS: usize = 2_000;

/// Number of requests that [`ask`] makes.
pub(crate) const ASKED: usize = 4;

pub(crate) fn ask(bulk: &mut Bulk) {
    bulk.read(
        "org.apache.cassandra.db:type=StorageService",
        &[
            "ClusterName",
            "ReleaseVersion",
            "SchemaVersion",
            "PartitionerName",
            "OperationMode",
            "LocalHostId",
            "EndpointToHostId",
            "TokenToEndpointMap",
            "Ownership",
            "LiveNodes",
            "UnreachableNodes",
            "JoiningNodes",
            "LeavingNodes",
            "MovingNodes",
            "NativeTransportRunning",
            "GossipRunning",
            "Initialized",
            "Joined",
            "IncrementalBackupsEnabled",
        ],
    );
    bulk.read(
        "org.apache.cassandra.net:type=FailureDetector",
        &["AllEndpointStates", "PhiValues", "PhiConvictThreshold"],
    );
    bulk.read(
        "org.apache.cassandra.db:type=EndpointSnitchInfo",
        &["Datacenter", "Rack"],
    );
    // Not there before 4.1.
    bulk.read(
        "org.apache.cassandra.hints:type=HintsService",
        &["PendingHints", "Name"],
    );
}

/// What is known of a member.
#[derive(Debug, Default, Clone, PartialEq)]
struct Member {
    host_id: String,
    is_up: bool,
    state: char,
    tokens: usize,
    owns: Option<f64>,
    phi: Option<f64>,
    told: Told,
}

/// What a member told of itself by gossip.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Told {
    datacenter: String,
    rack: String,
    release_version: String,
    schema_version: String,
    load: Option<f64>,
}

/// What the scrape itself needs to know of the ring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ring {
    pub(crate) schema_version: String,
    pub(crate) endpoints: BTreeSet<String>,
}

/// Families of what was answered to [`ask`].
pub(crate) fn families(answers: &[Tree], out: &mut Vec<Family>) -> Ring {
    let [storage, detector, snitch, hints] = answers else {
        return Ring::default();
    };
    let members = members(storage, detector);
    let text = |key: &str| storage.get(key).text().unwrap_or_default();
    let local = text("LocalHostId");
    let here = members.iter().find(|(_, it)| it.host_id == local);
    if *storage != Tree::None {
        let mut info = Family::of(&NODE_INFO);
        info.push(
            &[
                text("ClusterName"),
                snitch.get("Datacenter").text().unwrap_or_default(),
                snitch.get("Rack").text().unwrap_or_default(),
                here.map_or("", |it| it.0),
                local,
                text("ReleaseVersion"),
                text("SchemaVersion"),
                text("PartitionerName").rsplit('.').next().unwrap_or(""),
            ],
            1.0,
        );
        out.push(info);
    }
    if let Some(mode) = storage.get("OperationMode").text() {
        let mut modes = Family::of(&OPERATION_MODE);
        for known in MODES {
            modes.push(&[known], f64::from(u8::from(*known == mode)));
        }
        if !MODES.contains(&mode) {
            modes.push(&[mode], 1.0);
        }
        out.push(modes);
    }
    for (desc, key) in [
        (&NATIVE_TRANSPORT, "NativeTransportRunning"),
        (&GOSSIP, "GossipRunning"),
        (&INITIALIZED, "Initialized"),
        (&JOINED, "Joined"),
        (&INCREMENTAL_BACKUPS, "IncrementalBackupsEnabled"),
    ] {
        if let Some(is) = storage.get(key).number() {
            out.push(Family::single(desc, is));
        }
    }
    if let Some(threshold) = detector.get("PhiConvictThreshold").number() {
        out.push(Family::single(&PHI_THRESHOLD, threshold));
    }
    ring(&members, out);
    let mut pending = Family::of(&PENDING_HINTS);
    for one in hints.get("PendingHints").list().iter().take(MAX_ENDPOINTS) {
        let address = one.get("address").text().map(endpoint);
        if let (Some(address), Some(files)) = (address, one.get("totalFiles").number()) {
            pending.push(&[&address], files);
        }
    }
    out.push(pending);
    Ring {
        schema_version: text("SchemaVersion").to_owned(),
        endpoints: members.into_keys().collect(),
    }
}

fn ring(members: &BTreeMap<String, Member>, out: &mut Vec<Family>) {
    if members.is_empty() {
        return;
    }
    let [mut up, mut info, mut owns, mut tokens, mut load, mut phi] = [
        &ENDPOINT_UP,
        &ENDPOINT_INFO,
        &ENDPOINT_OWNS,
        &ENDPOINT_TOKENS,
        &ENDPOINT_LOAD,
        &ENDPOINT_PHI,
    ]
    .map(Family::of);
    let mut states: BTreeMap<String, f64> = BTreeMap::new();
    for status in ['U', 'D'] {
        for state in ['N', 'J', 'L', 'M'] {
            states.insert(format!("{status}{state}"), 0.0);
        }
    }
    let mut schemas = BTreeSet::new();
    for (address, member) in members {
        let status = if member.is_up { 'U' } else { 'D' };
        let state = format!("{status}{}", member.state);
        let told = &member.told;
        up.push(&[address], f64::from(u8::from(member.is_up)));
        info.push(
            &[
                address,
                &told.datacenter,
                &told.rack,
                &member.host_id,
                &told.release_version,
                &told.schema_version,
                &state,
            ],
            1.0,
        );
        #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
        tokens.push(&[address], member.tokens as f64);
        for (family, value) in [
            (&mut owns, member.owns),
            (&mut load, told.load),
            (&mut phi, member.phi),
        ] {
            if let Some(value) = value {
                family.push(&[address], value);
            }
        }
        if member.is_up && !told.schema_version.is_empty() {
            schemas.insert(told.schema_version.as_str());
        }
        *states.entry(state).or_default() += 1.0;
    }
    let mut endpoints = Family::of(&ENDPOINTS);
    for (state, count) in states {
        endpoints.push(&[&state], count);
    }
    out.extend([up, info, owns, tokens, load, phi, endpoints]);
    #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
    out.push(Family::single(&SCHEMA_VERSIONS, schemas.len() as f64));
}

/// Members of the ring, by address: who has left is known to gossip for days, but is no member.
fn members(storage: &Tree, detector: &Tree) -> BTreeMap<String, Member> {
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    for (address, host_id) in storage.get("EndpointToHostId").entries() {
        let member = members.entry(endpoint(address)).or_default();
        host_id
            .text()
            .unwrap_or_default()
            .clone_into(&mut member.host_id);
    }
    // A node that joins has no host id in the ring yet.
    for key in ["JoiningNodes", "LiveNodes"] {
        for address in storage.get(key).texts() {
            members.entry(endpoint(address)).or_default();
        }
    }
    for (_, address) in storage.get("TokenToEndpointMap").entries() {
        if let Some(address) = address.text() {
            members.entry(endpoint(address)).or_default().tokens += 1;
        }
    }
    while members.len() > MAX_ENDPOINTS {
        members.pop_last();
    }
    let among =
        |key: &str| -> BTreeSet<String> { storage.get(key).texts().map(endpoint).collect() };
    let (live, joining, leaving, moving) = (
        among("LiveNodes"),
        among("JoiningNodes"),
        among("LeavingNodes"),
        among("MovingNodes"),
    );
    let by_endpoint = |tree: &Tree| -> BTreeMap<String, f64> {
        let entries = tree.entries().iter();
        entries
            .filter_map(|(key, value)| Some((endpoint(key), value.number()?)))
            .collect()
    };
    let owns = by_endpoint(storage.get("Ownership"));
    let phi = phi_values(detector.get("PhiValues"));
    let mut told = told(detector.get("AllEndpointStates").text().unwrap_or_default());
    for (address, member) in &mut members {
        member.is_up = live.contains(address);
        // As nodetool status decides.
        member.state = match () {
            () if joining.contains(address) => 'J',
            () if leaving.contains(address) => 'L',
            () if moving.contains(address) => 'M',
            () => 'N',
        };
        member.owns = owns.get(address).copied();
        member.phi = phi.get(address).copied();
        member.told = told.remove(address).unwrap_or_default();
    }
    members
}

/// Tabular data: each value of the first key leads to the next, down to the row (Jolokia's manual, on tabular data).
fn phi_values(tree: &Tree) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut add = |row: &Tree| {
        if let (Some(address), Some(phi)) = (row.get("Endpoint").text(), row.get("PHI").number()) {
            found.insert(endpoint(address), phi);
        }
    };
    for (_, inner) in tree.entries() {
        add(inner);
        for (_, row) in inner.entries() {
            add(row);
        }
    }
    found
}

/// What gossip has, as `nodetool gossipinfo` prints it: a line of an address, then lines of `  KEY:version:value`.
fn told(text: &str) -> BTreeMap<String, Told> {
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        let Some(entry) = line.strip_prefix("  ") else {
            current = (!line.is_empty()).then(|| endpoint(line.trim()));
            continue;
        };
        let Some(address) = &current else { continue };
        let mut parts = entry.splitn(3, ':');
        let (Some(key), Some(_version), Some(value)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let told = all.entry(address.clone()).or_default();
        match key {
            "DC" => value.clone_into(&mut told.datacenter),
            "RACK" => value.clone_into(&mut told.rack),
            "RELEASE_VERSION" => value.clone_into(&mut told.release_version),
            "SCHEMA" => value.clone_into(&mut told.schema_version),
            "LOAD" => told.load = value.parse().ok().filter(|it: &f64| it.is_finite()),
            _ => {}
        }
    }
    all
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn parse_told(text: &str) -> usize {
    told(text).len()
}
