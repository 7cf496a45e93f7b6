//! Which beans are read: found by a few searches, kept, and looked for anew when the schema changes, when one is gone, and by time.
//!
//! A search looks through every name of a domain, which with a thousand tables are 220,000: about 0.1 s of the node's time each,
//! whatever it finds. So there are six of them, and the names of tables' and keyspaces' metrics are put together here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use exposition::{Family, Kind, Labels};

use crate::{
    config::{Quantile, Settings},
    jolokia::{
        JolokiaError, Session,
        request::{Bulk, attributes_text},
        response::{Got, Status, Tree, Want},
    },
    metrics::{GROUPS, Group, Name, Profile, Row, Scope, Source, TABLE},
    object_name::ObjectName,
};

const DOMAIN: &str = "org.apache.cassandra.metrics:";

/// Keyspaces of Cassandra itself, 3.11 to 5.0.
const SYSTEM: &[&str] = &[
    "system",
    "system_auth",
    "system_distributed",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
];

/// What is read in every scrape, until there is another.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) made: Instant,
    /// What the ring said when it was made.
    pub(crate) schema_version: String,
    pub(crate) endpoints: BTreeSet<String>,
    /// The families that are given, by index.
    pub(crate) families: Vec<FamilyOf>,
    /// Beans of the node, and of keyspaces.
    pub(crate) beans: Vec<Target>,
    /// Rows of each table.
    pub(crate) rows: Vec<Column>,
    pub(crate) tables: Vec<Table>,
    pub(crate) counts: TableCounts,
    /// Rows that cost a look at the disk: read once a plan.
    pub(crate) slow: Vec<Target>,
    pub(crate) slow_rows: Vec<Column>,
}

/// How many tables there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TableCounts {
    pub(crate) read: usize,
    /// By the filters, or as those of system keyspaces.
    pub(crate) filtered: usize,
    /// By the bound on their number.
    pub(crate) omitted: usize,
}

/// A family that a plan gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FamilyOf {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

/// What becomes of what is read.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) family: usize,
    pub(crate) source: Source,
    pub(crate) unit: f64,
    pub(crate) none: Option<f64>,
    pub(crate) attributes: Vec<&'static str>,
    /// The same in JSON.
    pub(crate) json: String,
}

/// A bean that is read.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) bean: String,
    /// The bean with its sum.
    pub(crate) total: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) shape: Shape,
}

/// A row that is read of every table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) total: Option<&'static str>,
    pub(crate) fixed: Option<(&'static str, &'static str)>,
    pub(crate) shape: Shape,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Table {
    pub(crate) keyspace: String,
    pub(crate) table: String,
    pub(crate) labels: Labels,
}

/// What searches found.
#[derive(Debug, Default)]
struct Names {
    /// Of the node: one for each bean.
    node: Vec<ObjectName>,
    /// `name`s of metrics of tables and keyspaces.
    of_tables: BTreeSet<String>,
    of_keyspaces: BTreeSet<String>,
    keyspaces: BTreeSet<String>,
    tables: BTreeSet<(String, String)>,
    /// By scope and name: whether a number is a `Count`, else it is a `Value`.
    counts: BTreeMap<(&'static str, &'static str), bool>,
}

/// Keyspaces whose sums are read, the first by name: a node has a few.
const MAX_KEYSPACES: usize = 1_000;

/// Searches, in the order of their answers.
const SEARCHES: [&str; 7] = [
    "type=*,name=*",
    "type=*,scope=*,name=*",
    "type=ThreadPools,path=*,scope=*,name=*",
    "type=Table,keyspace=system,scope=local,name=*",
    "type=Keyspace,keyspace=system,name=*",
    "type=Keyspace,keyspace=*,name=ReadLatency",
    "type=Table,keyspace=*,scope=*,name=ReadLatency",
];

/// Beans of which it is found out whether a number is a `Count` or a `Value`: every keyspace's are as this one's.
const SAMPLES: [(Scope, &str); 3] = [
    (Scope::Node, "type=Table,name="),
    (Scope::Keyspace, "type=Keyspace,keyspace=system,name="),
    (Scope::Table, "type=Table,keyspace=system,scope=local,name="),
];

const PROBED: [&str; 2] = ["Count", "Value"];

impl Plan {
    /// Looks for beans.
    pub(crate) async fn find(
        session: &Session<'_>,
        settings: &Settings,
        schema_version: &str,
        endpoints: BTreeSet<String>,
    ) -> Result<Self, JolokiaError> {
        let names = search(session, settings).await?;
        let mut making = Making {
            settings,
            families: Vec::new(),
            by_name: BTreeMap::new(),
            beans: Vec::new(),
            slow: Vec::new(),
        };
        making.node(&names, &endpoints);
        making.keyspaces(&names);
        let (rows, slow_rows) = making.columns(&names);
        let (tables, counts) = tables(settings, &names, !rows.is_empty() || !slow_rows.is_empty());
        Ok(Self {
            made: Instant::now(),
            schema_version: schema_version.to_owned(),
            endpoints,
            families: making.families,
            beans: making.beans,
            rows,
            tables,
            counts,
            slow: making.slow,
            slow_rows,
        })
    }
}

async fn search(session: &Session<'_>, settings: &Settings) -> Result<Names, JolokiaError> {
    let mut bulk = Bulk::new();
    for pattern in SEARCHES {
        bulk.search(&format!("{DOMAIN}{pattern}"));
    }
    let mut probes = Vec::new();
    let numbers = TABLE.iter().filter(|it| it.source == Source::Number);
    for row in numbers {
        let Name::Is(name) = row.name else { continue };
        for (scope, sample) in SAMPLES {
            if scope.profile(row) <= settings.profile || scope == Scope::Table {
                bulk.read(&format!("{DOMAIN}{sample}{name}"), &PROBED);
                probes.push((scope.prefix(), name));
            }
        }
    }
    let mut names = Names::default();
    let want = |at| match at {
        at if at < SEARCHES.len() => Want::Names,
        _ => Want::Tree,
    };
    session
        .ask(bulk, want, |at, status, got| match got {
            Some(Got::Names(found)) => names.take(at, &found),
            Some(Got::Tree(found)) if status == Status::Fine => {
                let probe = at.checked_sub(SEARCHES.len()).and_then(|it| probes.get(it));
                let [has_count, has_value] = PROBED.map(|it| is_there(found.get(it)));
                if let Some(probe) = probe
                    && (has_count || has_value)
                {
                    // Where there are both they are the same, and `Value` is the older way.
                    names.counts.insert(*probe, !has_value);
                }
            }
            _ => {}
        })
        .await?;
    Ok(names)
}

/// Whether an attribute was read: one that is not there is a text about that in Jolokia 1.7, and a map in 2.x. A number may be a text,
/// too, such as `NaN`.
fn is_there(value: &Tree) -> bool {
    match value {
        Tree::Number(_) => true,
        Tree::Text(text) => !text.starts_with("ERROR"),
        Tree::None | Tree::Bool(_) | Tree::List(_) | Tree::Map(_) => false,
    }
}

impl Names {
    fn take(&mut self, at: usize, found: &[String]) {
        let parsed = found.iter().filter_map(|it| ObjectName::parse(it));
        match at {
            0..=2 => self.node.extend(parsed),
            3 => self
                .of_tables
                .extend(parsed.filter_map(|it| Some(it.get("name")?.to_owned()))),
            4 => self
                .of_keyspaces
                .extend(parsed.filter_map(|it| Some(it.get("name")?.to_owned()))),
            5 => self
                .keyspaces
                .extend(parsed.filter_map(|it| Some(it.get("keyspace")?.to_owned()))),
            _ => self.tables.extend(parsed.filter_map(|it| {
                Some((it.get("keyspace")?.to_owned(), it.get("scope")?.to_owned()))
            })),
        }
    }
}

struct Making<'a> {
    settings: &'a Settings,
    families: Vec<FamilyOf>,
    by_name: BTreeMap<String, usize>,
    beans: Vec<Target>,
    slow: Vec<Target>,
}

impl Making<'_> {
    fn family(&mut self, prefix: &str, row: &Row) -> usize {
        let name = format!("{prefix}{}", row.metric);
        if let Some(at) = self.by_name.get(&name) {
            return *at;
        }
        let at = self.families.len();
        self.by_name.insert(name.clone(), at);
        self.families.push(FamilyOf {
            name,
            kind: row.kind,
            help: row.help,
        });
        at
    }

    fn shape(&mut self, prefix: &str, row: &Row, is_count: bool) -> Shape {
        let attributes: Vec<_> = match row.source {
            Source::Value | Source::Buckets | Source::Map(_) => vec!["Value"],
            Source::Count => vec!["Count"],
            Source::Number => vec![if is_count { "Count" } else { "Value" }],
            Source::Distribution => {
                let quantiles = self.settings.quantiles.iter();
                let quantiles = quantiles.map(|Quantile { attribute, .. }| *attribute);
                std::iter::once("Count").chain(quantiles).collect()
            }
        };
        Shape {
            family: self.family(prefix, row),
            source: row.source,
            unit: row.unit,
            none: row.none,
            json: attributes_text(&attributes),
            attributes,
        }
    }

    fn push(&mut self, row: &Row, target: Target) {
        if row.is_slow {
            self.slow.push(target);
        } else {
            self.beans.push(target);
        }
    }

    /// Beans of the node as they were found, those of the sums of its tables among them.
    fn node(&mut self, names: &Names, endpoints: &BTreeSet<String>) {
        let there: BTreeSet<&str> = names.node.iter().map(ObjectName::text).collect();
        let peers = Peers::of(endpoints);
        for name in &names.node {
            let (Some(bean), Some(metric)) = (name.get("type"), name.get("name")) else {
                continue;
            };
            if bean == "Table" && name.get("scope").is_none() {
                self.sum_of_tables(names, name, metric, &there);
                continue;
            }
            // One thing under two names.
            let urgent = metric.replace("GossipMessage", "UrgentMessage");
            let newer = renamed(name, metric, &urgent);
            if bean == "Connection" && newer != name.text() && there.contains(newer.as_str()) {
                continue;
            }
            for group in GROUPS.iter().filter(|it| it.bean == bean) {
                self.bean(group, name, metric, &there, &peers);
            }
        }
    }

    fn bean(
        &mut self,
        group: &Group,
        name: &ObjectName,
        metric: &str,
        there: &BTreeSet<&str>,
        peers: &Peers<'_>,
    ) {
        let Some(labels) = (group.labels)(name) else {
            return;
        };
        let rows = group.rows.iter();
        let mut found = rows.filter_map(|row| Some((row, row.matches(metric)?)));
        let Some((row, own)) = found.next() else {
            return;
        };
        if row.profile > self.settings.profile {
            return;
        }
        let own = own.map(|(label, value)| (label, value.to_owned()));
        let fixed = row.fixed.map(|(label, value)| (label, value.to_owned()));
        let mut labels: Vec<_> = labels.into_iter().chain(own).chain(fixed).collect();
        for (label, value) in &mut labels {
            if *label == "peer" {
                match peers.find(value) {
                    Some(address) => address.clone_into(value),
                    // It has left the ring.
                    None => return,
                }
            }
        }
        let Ok(labels) = Labels::new(labels) else {
            return;
        };
        let total = row.total.map(|it| renamed(name, metric, it));
        let target = Target {
            bean: name.text().to_owned(),
            total: total.filter(|it| there.contains(it.as_str())),
            labels,
            shape: self.shape(group.prefix, row, false),
        };
        self.push(row, target);
    }

    fn sum_of_tables(
        &mut self,
        names: &Names,
        name: &ObjectName,
        metric: &str,
        there: &BTreeSet<&str>,
    ) {
        let Some(row) = TABLE
            .iter()
            .find(|it| it.name == Name::Is(static_name(metric)))
        else {
            return;
        };
        if Scope::Node.profile(row) > self.settings.profile {
            return;
        }
        let Some(is_count) = is_count(names, Scope::Node, row) else {
            return;
        };
        let total = row.total.map(|it| renamed(name, metric, it));
        let labels = row.fixed.map_or(Labels::EMPTY, |it| {
            Labels::new([it]).unwrap_or(Labels::EMPTY)
        });
        let target = Target {
            bean: name.text().to_owned(),
            total: total.filter(|it| there.contains(it.as_str())),
            labels,
            shape: self.shape(Scope::Node.prefix(), row, is_count),
        };
        self.push(row, target);
    }

    fn keyspaces(&mut self, names: &Names) {
        if self.settings.profile < Profile::Standard {
            return;
        }
        for row in TABLE {
            let Name::Is(table_name) = row.name else {
                continue;
            };
            // One metric is spelt in another way there.
            let name = match table_name {
                "AnticompactionTime" => "AntiCompactionTime",
                other => other,
            };
            if !names.of_keyspaces.contains(name) || row.is_slow {
                continue;
            }
            let Some(is_count) = is_count(names, Scope::Keyspace, row) else {
                continue;
            };
            let shape = self.shape(Scope::Keyspace.prefix(), row, is_count);
            for keyspace in names.keyspaces.iter().take(MAX_KEYSPACES) {
                let bean =
                    |name: &str| format!("{DOMAIN}type=Keyspace,keyspace={keyspace},name={name}");
                let total = row.total.filter(|it| names.of_keyspaces.contains(*it));
                let labels = [("keyspace", keyspace.clone())].into_iter();
                let fixed = row.fixed.map(|(label, value)| (label, value.to_owned()));
                let Ok(labels) = Labels::new(labels.chain(fixed)) else {
                    continue;
                };
                self.beans.push(Target {
                    bean: bean(name),
                    total: total.map(bean),
                    labels,
                    shape: shape.clone(),
                });
            }
        }
    }

    /// Rows of tables: those that are always read, and slow ones.
    fn columns(&mut self, names: &Names) -> (Vec<Column>, Vec<Column>) {
        let (mut rows, mut slow) = (Vec::new(), Vec::new());
        for row in TABLE {
            let Name::Is(name) = row.name else { continue };
            let ours = format!("{}{}", Scope::Table.prefix(), row.metric);
            let filter = &self.settings.metrics;
            let by_profile = Scope::Table.profile(row) <= self.settings.profile;
            let is_read = filter.includes(&ours).unwrap_or(by_profile) && !filter.excludes(&ours);
            if !is_read || !names.of_tables.contains(name) {
                continue;
            }
            if row.source == Source::Buckets
                && self.settings.histograms == crate::config::Histograms::Off
            {
                continue;
            }
            let Some(is_count) = is_count(names, Scope::Table, row) else {
                continue;
            };
            let column = Column {
                name,
                total: row.total.filter(|it| names.of_tables.contains(*it)),
                fixed: row.fixed,
                shape: self.shape(Scope::Table.prefix(), row, is_count),
            };
            if row.is_slow {
                slow.push(column);
            } else {
                rows.push(column);
            }
        }
        (rows, slow)
    }
}

/// The name of a bean beside another one.
fn renamed(bean: &ObjectName, from: &str, to: &str) -> String {
    let part = |it: &str| format!("name={it}");
    bean.text().replace(&part(from), &part(to))
}

/// Members of the ring, by the way in which names of beans have them: with dots for the colons of version 6.
struct Peers<'a>(BTreeMap<String, &'a str>);

impl<'a> Peers<'a> {
    fn of(endpoints: &'a BTreeSet<String>) -> Self {
        let dotted = endpoints
            .iter()
            .map(|it| (it.replace(':', "."), it.as_str()));
        Self(dotted.collect())
    }

    /// The address of a member.
    fn find(&self, name: &str) -> Option<&'a str> {
        let address = crate::object_name::endpoint(name).replace(':', ".");
        self.0.get(&address).copied()
    }
}

/// The same text as a name in the table has.
fn static_name(metric: &str) -> &'static str {
    let names = TABLE.iter().filter_map(|it| match it.name {
        Name::Is(name) => Some(name),
        Name::Starts(..) | Name::Ends(..) => None,
    });
    names.into_iter().find(|it| *it == metric).unwrap_or("")
}

/// Whether a number is a `Count`; None when its sample has none.
fn is_count(names: &Names, scope: Scope, row: &Row) -> Option<bool> {
    let Name::Is(name) = row.name else {
        return None;
    };
    if row.source != Source::Number {
        return Some(false);
    }
    names.counts.get(&(scope.prefix(), name)).copied()
}

fn tables(settings: &Settings, names: &Names, is_asked: bool) -> (Vec<Table>, TableCounts) {
    let mut counts = TableCounts::default();
    let mut tables = Vec::new();
    for (keyspace, table) in &names.tables {
        let is_system = SYSTEM.contains(&keyspace.as_str()) && !settings.tables_system;
        let is_let = settings.keyspaces.lets(keyspace)
            && settings.tables.lets(&format!("{keyspace}.{table}"));
        if is_system || !is_let || !is_asked {
            counts.filtered += 1;
            continue;
        }
        if tables.len() >= settings.tables_max {
            counts.omitted += 1;
            continue;
        }
        let labels = [("keyspace", keyspace.clone()), ("table", table.clone())];
        if let Ok(labels) = Labels::new(labels) {
            tables.push(Table {
                keyspace: keyspace.clone(),
                table: table.clone(),
                labels,
            });
        }
    }
    counts.read = tables.len();
    (tables, counts)
}

impl FamilyOf {
    pub(crate) fn empty(&self) -> Option<Family> {
        Family::new(self.name.clone(), self.kind, self.help).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Making, Names, Peers, is_there};
    use crate::{config::tests::settings, jolokia::response::Tree, object_name::ObjectName};

    /// Families and labels of the node's beans, with the bean of a sum.
    fn node(beans: &[&str], endpoints: &[&str]) -> Vec<String> {
        let settings = settings(&[]).unwrap();
        let names = Names {
            node: beans
                .iter()
                .map(|it| ObjectName::parse(&format!("{}{it}", super::DOMAIN)).unwrap())
                .collect(),
            ..Names::default()
        };
        let endpoints: BTreeSet<_> = endpoints.iter().map(|it| (*it).to_owned()).collect();
        let mut making = Making {
            settings: &settings,
            families: Vec::new(),
            by_name: std::collections::BTreeMap::new(),
            beans: Vec::new(),
            slow: Vec::new(),
        };
        making.node(&names, &endpoints);
        let shown = making.beans.iter().map(|it| {
            let labels: Vec<_> = it
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let total = it
                .total
                .as_deref()
                .unwrap_or("")
                .replace(super::DOMAIN, " + ");
            format!(
                "{} {}{total}",
                making.families[it.shape.family].name,
                labels.join(",")
            )
        });
        shown.collect()
    }

    #[test]
    fn beans_of_the_node() {
        for (beans, expect) in [
            // A sum beside its distribution, and without one.
            (
                &[
                    "type=ClientRequest,scope=CASRead,name=Latency",
                    "type=ClientRequest,scope=CASRead,name=TotalLatency",
                ][..],
                &[
                    "cassandra_client_request_latency_seconds operation=cas_read + type=ClientRequest,scope=CASRead,name=TotalLatency",
                ][..],
            ),
            (
                &["type=ClientRequest,scope=Read,name=Latency"],
                &["cassandra_client_request_latency_seconds operation=read"],
            ),
            // By consistency level: of the full profile.
            (&["type=ClientRequest,scope=Read-QUORUM,name=Latency"], &[]),
            // Peers that are members, in every way of writing, and one that has left.
            (
                &[
                    "type=Connection,scope=10.0.0.1_7000,name=Timeouts",
                    "type=Connection,scope=10.0.0.9_7000,name=Timeouts",
                    "type=Connection,scope=10.0.0.1,name=GossipMessagePendingTasks",
                    "type=Connection,scope=2001.db8.0.0.0.0.0.1_7000,name=Timeouts",
                    "type=Connection,name=TotalTimeouts",
                    "type=HintsService,name=Hint_delays-10.0.0.1",
                    "type=HintsService,name=Hint_delays-10.0.0.9",
                ],
                &[
                    "cassandra_connection_timeouts_total peer=10.0.0.1",
                    "cassandra_connection_pending_messages peer=10.0.0.1,size=urgent",
                    "cassandra_connection_timeouts_total peer=2001:db8:0:0:0:0:0:1",
                    "cassandra_hints_delay_seconds peer=10.0.0.1",
                ],
            ),
            // One thing under two names.
            (
                &[
                    "type=Connection,scope=10.0.0.1_7000,name=GossipMessagePendingTasks",
                    "type=Connection,scope=10.0.0.1_7000,name=UrgentMessagePendingTasks",
                ],
                &["cassandra_connection_pending_messages peer=10.0.0.1,size=urgent"],
            ),
            (
                &[
                    "type=Messaging,name=dc1-Latency",
                    "type=Messaging,name=READ_REQ-WaitLatency",
                    "type=New,name=Thing",
                ],
                &["cassandra_messaging_datacenter_latency_seconds datacenter=dc1"],
            ),
            (
                &[
                    "type=BufferPool,name=Size",
                    "type=Cache,scope=KeyCache,name=Hits",
                    "type=Cache,scope=KeyCache,name=HitRate",
                ],
                &[
                    "cassandra_buffer_pool_size_bytes pool=chunk_cache",
                    "cassandra_cache_hits_total cache=key",
                ],
            ),
        ] {
            let endpoints = ["10.0.0.1", "2001:db8:0:0:0:0:0:1"];
            assert_eq!(node(beans, &endpoints), expect, "{beans:?}");
        }
    }

    /// Tables that are read, and how many are filtered and omitted.
    fn some_tables(arguments: &[&str]) -> (Vec<String>, usize, usize) {
        let settings = settings(arguments).unwrap();
        let all = [
            ("app", "a"),
            ("app", "b"),
            ("other", "a"),
            ("system", "local"),
        ];
        let names = Names {
            tables: all
                .map(|(keyspace, table)| (keyspace.to_owned(), table.to_owned()))
                .into(),
            ..Names::default()
        };
        let (tables, counts) = super::tables(&settings, &names, true);
        assert_eq!(counts.read, tables.len());
        let read = tables
            .iter()
            .map(|it| format!("{}.{}", it.keyspace, it.table));
        (read.collect(), counts.filtered, counts.omitted)
    }

    #[test]
    fn tables_are_chosen() {
        for (arguments, read, filtered, omitted) in [
            (&[][..], &["app.a", "app.b", "other.a"][..], 1, 0),
            (
                &["--tables.system"],
                &["app.a", "app.b", "other.a", "system.local"],
                0,
                0,
            ),
            (&["--keyspaces.include=app"], &["app.a", "app.b"], 2, 0),
            (&["--keyspaces.exclude=app"], &["other.a"], 3, 0),
            (&["--tables.include=.*\\.a"], &["app.a", "other.a"], 2, 0),
            (&["--tables.exclude=app\\.a"], &["app.b", "other.a"], 2, 0),
            (&["--tables.max=2"], &["app.a", "app.b"], 1, 1),
            (&["--tables.max=0"], &[], 1, 3),
        ] {
            let (found, theirs, left) = some_tables(arguments);
            assert_eq!(
                (found.as_slice(), theirs, left),
                (
                    read.iter()
                        .map(|it| (*it).to_owned())
                        .collect::<Vec<_>>()
                        .as_slice(),
                    filtered,
                    omitted
                ),
                "{arguments:?}"
            );
        }
    }

    /// Metrics of tables that are read.
    fn columns(arguments: &[&str]) -> Vec<String> {
        let settings = settings(arguments).unwrap();
        let there = [
            "ReadLatency",
            "ReadTotalLatency",
            "LiveSSTableCount",
            "SnapshotsSize",
            "RowCacheHit",
        ];
        let prefix = crate::metrics::Scope::Table.prefix();
        let names = Names {
            of_tables: there.map(str::to_owned).into(),
            counts: [
                ((prefix, "LiveSSTableCount"), false),
                ((prefix, "SnapshotsSize"), false),
                ((prefix, "RowCacheHit"), true),
            ]
            .into(),
            ..Names::default()
        };
        let mut making = Making {
            settings: &settings,
            families: Vec::new(),
            by_name: std::collections::BTreeMap::new(),
            beans: Vec::new(),
            slow: Vec::new(),
        };
        let (rows, slow) = making.columns(&names);
        let slow = slow.iter().map(|it| format!("slow {}", it.name));
        rows.iter()
            .map(|it| format!("{} {}", it.name, it.shape.json))
            .chain(slow)
            .collect()
    }

    #[test]
    fn metrics_of_tables_are_chosen() {
        let read = r#"ReadLatency ["Count","50thPercentile","95thPercentile","99thPercentile"]"#;
        let live = r#"LiveSSTableCount "Value""#;
        for (arguments, expect) in [
            (&["--profile=minimal"][..], &[][..]),
            (&[], &[read, live]),
            (
                &["--profile=full"],
                &[read, live, r#"RowCacheHit "Count""#, "slow SnapshotsSize"],
            ),
            (
                &["--metrics.include=.*row_cache.*"],
                &[r#"RowCacheHit "Count""#],
            ),
            (
                &["--metrics.exclude=cassandra_table_live_sstables"],
                &[read],
            ),
            (
                &[
                    "--profile=minimal",
                    "--metrics.include=cassandra_table_live_sstables",
                ],
                &[live],
            ),
        ] {
            assert_eq!(columns(arguments), expect, "{arguments:?}");
        }
    }

    #[test]
    fn peers() {
        let endpoints = BTreeSet::from(["10.0.0.1".to_owned()]);
        let peers = Peers::of(&endpoints);
        assert_eq!(peers.find("10.0.0.1_7000"), Some("10.0.0.1"));
        assert_eq!(peers.find("10.0.0.2_7000"), None);
    }

    #[test]
    fn attributes_that_are_there() {
        for (value, expect) in [
            (Tree::Number(0.0), true),
            (Tree::Text("NaN".to_owned()), true),
            (
                Tree::Text("ERROR: No such attribute: Count (class x)".to_owned()),
                false,
            ),
            (
                Tree::Map(vec![(".error".to_owned(), Tree::Bool(true))]),
                false,
            ),
            (Tree::None, false),
        ] {
            assert_eq!(is_there(&value), expect, "{value:?}");
        }
    }
}
