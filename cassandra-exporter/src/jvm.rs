//! The node's Java virtual machine: `java.lang` and `java.nio` (the platform beans of `java.lang.management`).

use exposition::{Desc, Family, Kind, Labels, Summary, Value};

use crate::{
    jolokia::{request::Bulk, response::Tree},
    object_name::ObjectName,
};

const INFO: Desc = Desc::new(
    "cassandra_jvm_info",
    Kind::Gauge,
    "The virtual machine; always 1.",
)
.labels(&["version", "vendor", "runtime"]);
const UPTIME: Desc = Desc::new(
    "cassandra_jvm_uptime_seconds",
    Kind::Gauge,
    "How long the virtual machine runs.",
);
const START: Desc = Desc::new(
    "cassandra_jvm_start_time_seconds",
    Kind::Gauge,
    "When the virtual machine was started, in seconds since 1970.",
);
const USED: Desc = Desc::new(
    "cassandra_jvm_memory_used_bytes",
    Kind::Gauge,
    "Memory in use, in the heap and beside it.",
)
.labels(&["area"]);
const COMMITTED: Desc = Desc::new(
    "cassandra_jvm_memory_committed_bytes",
    Kind::Gauge,
    "Memory that the system has given, in the heap and beside it.",
)
.labels(&["area"]);
const MAX: Desc = Desc::new(
    "cassandra_jvm_memory_max_bytes",
    Kind::Gauge,
    "Memory that may be used, in the heap and beside it; missing without a bound.",
)
.labels(&["area"]);
const POOL_USED: Desc = Desc::new(
    "cassandra_jvm_memory_pool_used_bytes",
    Kind::Gauge,
    "Memory of a pool in use.",
)
.labels(&["pool"]);
const POOL_COMMITTED: Desc = Desc::new(
    "cassandra_jvm_memory_pool_committed_bytes",
    Kind::Gauge,
    "Memory that the system has given to a pool.",
)
.labels(&["pool"]);
const POOL_MAX: Desc = Desc::new(
    "cassandra_jvm_memory_pool_max_bytes",
    Kind::Gauge,
    "Memory that a pool may use; missing without a bound.",
)
.labels(&["pool"]);
const GC: Desc = Desc::new(
    "cassandra_jvm_gc_collection_seconds",
    Kind::Summary,
    "Time in collections of a collector of garbage, and how many there were.",
)
.labels(&["gc"]);
const THREADS: Desc = Desc::new("cassandra_jvm_threads", Kind::Gauge, "Threads.");
const DAEMONS: Desc = Desc::new(
    "cassandra_jvm_daemon_threads",
    Kind::Gauge,
    "Threads that do not keep the virtual machine from its end.",
);
const PEAK: Desc = Desc::new(
    "cassandra_jvm_peak_threads",
    Kind::Gauge,
    "The most threads that there were.",
);
const STARTED: Desc = Desc::new(
    "cassandra_jvm_started_threads_total",
    Kind::Counter,
    "Threads that were started.",
);
const CLASSES: Desc = Desc::new(
    "cassandra_jvm_loaded_classes",
    Kind::Gauge,
    "Classes that are loaded.",
);
const FILES: Desc = Desc::new(
    "cassandra_jvm_open_file_descriptors",
    Kind::Gauge,
    "Descriptors of files that are open.",
);
const MAX_FILES: Desc = Desc::new(
    "cassandra_jvm_max_file_descriptors",
    Kind::Gauge,
    "Descriptors of files that may be open.",
);
const CPU: Desc = Desc::new(
    "cassandra_jvm_cpu_seconds_total",
    Kind::Counter,
    "Time of processors that the virtual machine has used.",
);
const PROCESSORS: Desc = Desc::new(
    "cassandra_jvm_available_processors",
    Kind::Gauge,
    "Processors that the virtual machine may use.",
);
const BUFFERS: Desc = Desc::new(
    "cassandra_jvm_buffer_pool_used_bytes",
    Kind::Gauge,
    "Memory of buffers outside the heap.",
)
.labels(&["pool"]);
const BUFFER_CAPACITY: Desc = Desc::new(
    "cassandra_jvm_buffer_pool_capacity_bytes",
    Kind::Gauge,
    "What buffers outside the heap can hold.",
)
.labels(&["pool"]);
const BUFFER_COUNT: Desc = Desc::new(
    "cassandra_jvm_buffer_pool_buffers",
    Kind::Gauge,
    "Buffers outside the heap.",
)
.labels(&["pool"]);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    INFO,
    UPTIME,
    START,
    USED,
    COMMITTED,
    MAX,
    POOL_USED,
    POOL_COMMITTED,
    POOL_MAX,
    GC,
    THREADS,
    DAEMONS,
    PEAK,
    STARTED,
    CLASSES,
    FILES,
    MAX_FILES,
    CPU,
    PROCESSORS,
    BUFFERS,
    BUFFER_CAPACITY,
    BUFFER_COUNT,
];

/// Number of requests that [`ask`] makes.
pub(crate) const ASKED: usize = 8;

/// Patterns here look through a few dozen names: those of their own domain.
pub(crate) fn ask(bulk: &mut Bulk) {
    bulk.read(
        "java.lang:type=Runtime",
        &["Uptime", "StartTime", "VmVersion", "VmVendor", "VmName"],
    );
    bulk.read(
        "java.lang:type=Memory",
        &["HeapMemoryUsage", "NonHeapMemoryUsage"],
    );
    bulk.read(
        "java.lang:type=Threading",
        &[
            "ThreadCount",
            "DaemonThreadCount",
            "PeakThreadCount",
            "TotalStartedThreadCount",
        ],
    );
    bulk.read(
        "java.lang:type=OperatingSystem",
        &[
            "OpenFileDescriptorCount",
            "MaxFileDescriptorCount",
            "ProcessCpuTime",
            "AvailableProcessors",
        ],
    );
    bulk.read("java.lang:type=ClassLoading", &["LoadedClassCount"]);
    bulk.read("java.lang:type=MemoryPool,*", &["Usage"]);
    bulk.read(
        "java.lang:type=GarbageCollector,*",
        &["CollectionCount", "CollectionTime"],
    );
    bulk.read(
        "java.nio:type=BufferPool,*",
        &["Count", "MemoryUsed", "TotalCapacity"],
    );
}

/// Families of what was answered to [`ask`].
pub(crate) fn families(answers: &[Tree], out: &mut Vec<Family>) {
    let [
        runtime,
        memory,
        threading,
        system,
        classes,
        pools,
        collectors,
        buffers,
    ] = answers
    else {
        return;
    };
    if let Some(version) = runtime.get("VmVersion").text() {
        let text = |key: &str| runtime.get(key).text().unwrap_or_default();
        let mut info = Family::of(&INFO);
        info.push(&[version, text("VmVendor"), text("VmName")], 1.0);
        out.push(info);
    }
    let mut single = |desc: &Desc, tree: &Tree, unit: f64| {
        if let Some(number) = tree.number() {
            out.push(Family::single(desc, number * unit));
        }
    };
    single(&UPTIME, runtime.get("Uptime"), 1e-3);
    single(&START, runtime.get("StartTime"), 1e-3);
    single(&THREADS, threading.get("ThreadCount"), 1.0);
    single(&DAEMONS, threading.get("DaemonThreadCount"), 1.0);
    single(&PEAK, threading.get("PeakThreadCount"), 1.0);
    single(&STARTED, threading.get("TotalStartedThreadCount"), 1.0);
    single(&FILES, system.get("OpenFileDescriptorCount"), 1.0);
    single(&MAX_FILES, system.get("MaxFileDescriptorCount"), 1.0);
    single(&CPU, system.get("ProcessCpuTime"), 1e-9);
    single(&PROCESSORS, system.get("AvailableProcessors"), 1.0);
    // The only attribute that is asked for stands alone.
    single(&CLASSES, classes, 1.0);
    usage(
        [&USED, &COMMITTED, &MAX],
        &[
            ("heap", memory.get("HeapMemoryUsage")),
            ("nonheap", memory.get("NonHeapMemoryUsage")),
        ],
        out,
    );
    let named = |tree: &Tree| -> Vec<(String, Tree)> {
        let entries = tree.entries().iter().take(MAX_BEANS);
        entries
            .filter_map(|(name, value)| {
                let name = ObjectName::parse(name)?;
                Some((name.get("name")?.to_owned(), value.clone()))
            })
            .collect()
    };
    let pools = named(pools);
    let usages: Vec<_> = pools
        .iter()
        .map(|(name, it)| (name.as_str(), it.get("Usage")))
        .collect();
    usage([&POOL_USED, &POOL_COMMITTED, &POOL_MAX], &usages, out);
    let mut gc = Family::of(&GC);
    for (name, collector) in named(collectors) {
        let (count, time) = (
            collector.get("CollectionCount").number(),
            collector.get("CollectionTime").number(),
        );
        if let (Some(count), Some(time)) = (count, time) {
            let summary = Summary {
                quantiles: Vec::new(),
                sum: Some(time * 1e-3),
                count,
            };
            gc.push_value(
                Labels::of_desc(&GC, &[&name]),
                Value::Summary(Box::new(summary)),
            );
        }
    }
    out.push(gc);
    for (desc, key) in [
        (&BUFFER_COUNT, "Count"),
        (&BUFFERS, "MemoryUsed"),
        (&BUFFER_CAPACITY, "TotalCapacity"),
    ] {
        let mut family = Family::of(desc);
        for (name, pool) in named(buffers) {
            if let Some(number) = pool.get(key).number() {
                family.push(&[&name], number);
            }
        }
        out.push(family);
    }
}

/// Pools and collectors that are shown.
const MAX_BEANS: usize = 100;

fn usage(descs: [&Desc; 3], all: &[(&str, &Tree)], out: &mut Vec<Family>) {
    for (desc, key) in descs.into_iter().zip(["used", "committed", "max"]) {
        let mut family = Family::of(desc);
        for (name, usage) in all {
            // -1 is no bound.
            if let Some(number) = usage.get(key).number().filter(|it| *it >= 0.0) {
                family.push(&[name], number);
            }
        }
        out.push(family);
    }
}
