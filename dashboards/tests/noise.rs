//! Nothing flaps: a day of a whole network, with all that happens on days that nobody wants to be woken for, fires nothing. The same
//! network with an outage does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    time::Duration,
};

use testkit::{Program, root};

/// Between two scrapes, in seconds; Cassandra is asked half as often.
const STEP: usize = 15;
const DAY: usize = 24 * 3600 / STEP;
const HOUR: usize = DAY / 24;

/// Name and role.
const HOSTS: [(&str, &str); 9] = [
    ("bastion-1", "bastion"),
    ("cassandra-1", "cassandra"),
    ("cassandra-2", "cassandra"),
    ("cassandra-3", "cassandra"),
    ("monitor-1", "monitor"),
    ("scalardl-1", "scalardl"),
    ("scalardl-2", "scalardl"),
    ("traefik-1", "traefik"),
    ("traefik-2", "traefik"),
];

/// A role's job, and who answers there; `node` is everybody's.
const JOBS: [(&str, &str, &str); 6] = [
    ("cassandra", "cassandra", "cassandra-exporter"),
    ("monitor", "alert-router", "alert-router"),
    ("monitor", "prometheus", "prometheus"),
    ("scalardl", "scalardl", "scalardl-ledger"),
    ("traefik", "traefik", "traefik-exporter"),
    ("traefik", "traefik-requests", "traefik-exporter"),
];

/// What somebody's program needs to serve again once the host is back, in steps.
const STARTS: [(&str, usize); 3] = [("cassandra", 3), ("scalardl", 2), ("traefik", 1)];

/// What happens, from a step on for some of them.
#[derive(Debug, Clone, Copy)]
struct Event {
    at: usize,
    lasts: usize,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// Prometheus scrapes nobody.
    Missed,
    Host(&'static str),
    /// One scrape gets no answer.
    Scrape(Target),
    /// A program that is scraped.
    Agent(Target),
    /// What the agent tells of: Cassandra, the ledger, Traefik.
    Service(&'static str),
}

/// Who is scraped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    job: &'static str,
    program: &'static str,
    instance: &'static str,
    role: &'static str,
}

fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for (instance, role) in HOSTS {
        let jobs = JOBS.iter().filter(|it| it.0 == role);
        let jobs = jobs.map(|it| (it.1, it.2));
        for (job, program) in jobs.chain([("node", "node-exporter")]) {
            targets.push(Target {
                job,
                program,
                instance,
                role,
            });
        }
    }
    targets
}

/// All that is no outage, once for everybody, and scrapes that fail all day long.
fn noise() -> Vec<Event> {
    let mut events = Vec::new();
    let mut add = |at, lasts, what| events.push(Event { at, lasts, what });
    for (n, target) in targets().into_iter().enumerate() {
        // Of each kind one in 80 minutes, never at the same time for all.
        for at in (0..DAY - 400).step_by(320) {
            add(at + 20 + n * 11 % 160, 1, What::Scrape(target));
        }
        add(300 + n * 40, 6, What::Agent(target));
    }
    for at in (100..DAY).step_by(480) {
        add(at, 1, What::Missed);
    }
    let of = |role| HOSTS.iter().filter(move |it| it.1 == role).map(|it| it.0);
    // One after the other, within 60 s and within 30 s each.
    for (first, every, lasts) in [(2000, 16, 4), (2300, 8, 2)] {
        let services = of("cassandra").chain(of("scalardl")).chain(of("traefik"));
        for (n, instance) in services.enumerate() {
            let lasts = if instance.starts_with("traefik") {
                lasts.min(3)
            } else {
                lasts
            };
            add(first + n * every, lasts, What::Service(instance));
        }
    }
    // For 60 to 90 s.
    for (n, (host, _)) in HOSTS.into_iter().enumerate() {
        let lasts = 4 + n % 3;
        add(3000 + n * 200, lasts, What::Host(host));
        if host == "monitor-1" {
            add(3000 + n * 200, lasts, What::Missed);
        }
    }
    events
}

/// What a scrape gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scrape {
    Answer,
    /// There is none.
    Silence,
    /// Nobody asks.
    None,
}

/// A value of a series, or that it has just ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sample {
    Is(f64),
    Ends,
    None,
}

struct Network {
    steps: usize,
    events: Vec<Event>,
    /// Whether what a host is for runs, step by step.
    serves: BTreeMap<&'static str, Vec<bool>>,
    /// Series as promtool reads them.
    text: String,
}

impl Network {
    fn new(steps: usize, events: Vec<Event>) -> Self {
        let mut network = Self {
            steps,
            events,
            serves: BTreeMap::new(),
            text: String::new(),
        };
        for (host, _) in HOSTS {
            let serves = (0..=steps).map(|at| network.runs(host, at)).collect();
            network.serves.insert(host, serves);
        }
        network.expected();
        for target in targets() {
            network.target(target);
        }
        network
    }

    fn is(&self, at: usize, what: impl Fn(What) -> bool) -> bool {
        let during = |it: &&Event| (it.at..it.at + it.lasts).contains(&at);
        self.events.iter().filter(during).any(|it| what(it.what))
    }

    fn scrape(&self, target: Target, at: usize) -> Scrape {
        if target.job == "cassandra" && at % 2 == 1 || self.is(at, |it| matches!(it, What::Missed))
        {
            return Scrape::None;
        }
        let silent = |what| match what {
            What::Host(host) => host == target.instance,
            What::Agent(it) | What::Scrape(it) => it == target,
            // A ledger is scraped itself.
            What::Service(it) => it == target.instance && target.job == "scalardl",
            What::Missed => false,
        };
        // One scrape of Cassandra is as long as two of others.
        let is_silent = self.is(at, silent)
            || target.job == "cassandra"
                && self.is(at + 1, |it| matches!(it, What::Scrape(it) if it == target))
            || target.job == "scalardl" && !self.serves(target.instance, at);
        match is_silent {
            true => Scrape::Silence,
            false => Scrape::Answer,
        }
    }

    /// Whether what a host is for runs: one that has just started has not started it yet.
    fn runs(&self, host: &str, at: usize) -> bool {
        let starts = STARTS.iter().find(|it| host.starts_with(it.0));
        let starts = starts.map_or(0, |it| it.1);
        let down = |what| matches!(what, What::Service(it) | What::Host(it) if it == host);
        let booted = |what| matches!(what, What::Host(it) if it == host);
        !self.is(at, down) && !(1..=starts).any(|it| at >= it && self.is(at - it, booted))
    }

    fn serves(&self, host: &str, at: usize) -> bool {
        self.serves[host][at]
    }

    /// At each step, how many there have been since something has last ended; it did long before the first, too.
    fn since(&self, what: impl Fn(What) -> bool) -> Vec<usize> {
        let ends = self.events.iter().filter(|it| what(it.what));
        let ends: BTreeSet<_> = ends.map(|it| it.at + it.lasts).collect();
        let since = |at: usize| ends.range(..=at).last().map_or(at + 40_000, |it| at - it);
        (0..=self.steps).map(since).collect()
    }

    /// The steps in which what one of some hosts is for does not run.
    fn steps_of(&self, hosts: impl Fn(&str) -> bool) -> Vec<bool> {
        let is_down = |at: usize| {
            self.serves
                .iter()
                .any(|(host, runs)| hosts(host) && !runs[at])
        };
        (0..=self.steps).map(is_down).collect()
    }

    /// At each step, how often something has been so; begun anew with what counts it.
    fn counted(&self, runs: &[usize], is: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut count = 0.0;
        let each = |at: usize| {
            if runs[at] == 0 {
                count = 0.0;
            }
            count += f64::from(u8::from(is(at)));
            count
        };
        (0..=self.steps).map(each).collect()
    }

    fn series(&mut self, name: &str, labels: &str, sample: impl Fn(usize) -> Sample) {
        let samples: Vec<_> = (0..=self.steps).map(sample).collect();
        let values = encoded(&samples);
        let labels = labels.replace('\'', "\"");
        writeln!(
            self.text,
            "  - {{series: '{name}{{{labels}}}', values: '{values}'}}"
        )
        .unwrap();
    }

    /// What the installation writes.
    fn expected(&mut self) {
        for role in ["bastion", "cassandra", "monitor", "scalardl", "traefik"] {
            let count = HOSTS.iter().filter(|it| it.1 == role).count();
            let labels = format!("cluster='c',role='{role}'");
            #[expect(clippy::cast_precision_loss, reason = "there are nine")]
            self.series("scalar_dl:expected_hosts", &labels, |_| {
                Sample::Is(count as f64)
            });
        }
        for (host, role) in HOSTS {
            let ssh = ssh(host);
            let labels = format!("cluster='c',instance='{host}',role='{role}',target='{ssh}'");
            self.series("scalar_dl:expected_host", &labels, |_| Sample::Is(1.0));
        }
    }

    /// What one target tells, with what Prometheus says of it.
    fn target(&mut self, target: Target) {
        let Target {
            job,
            program,
            instance,
            role,
        } = target;
        let labels = format!(
            "cluster='c',environment='e',instance='{instance}',instance_id='i-{instance}',job='{job}',program='{program}',role='{role}'"
        );
        let scrapes: Vec<_> = (0..=self.steps).map(|at| self.scrape(target, at)).collect();
        self.series("up", &labels, |at| match scrapes[at] {
            Scrape::Answer => Sample::Is(1.0),
            Scrape::Silence => Sample::Is(0.0),
            Scrape::None => Sample::None,
        });
        // Once in six hours it is nearly too slow.
        self.series("scrape_duration_seconds", &labels, |at| match scrapes[at] {
            Scrape::None => Sample::None,
            _ if at % (6 * HOUR) == HOUR => Sample::Is(9.5),
            _ => Sample::Is(0.1),
        });
        for it in self.told(target) {
            let more = match it.labels.as_str() {
                "" => String::new(),
                more => format!(",{more}"),
            };
            self.series(it.name, &format!("{labels}{more}"), |at| {
                match scrapes[at] {
                    Scrape::Answer => it.values[at].map_or(Sample::Ends, Sample::Is),
                    Scrape::Silence => Sample::Ends,
                    Scrape::None => Sample::None,
                }
            });
        }
    }

    /// The series of a target, as if it were always asked and always answered.
    fn told(&self, target: Target) -> Vec<Told> {
        let host = |what| matches!(what, What::Host(it) if it == target.instance);
        let service = |what| matches!(what, What::Service(it) if it == target.instance);
        let agent = |what| matches!(what, What::Agent(it) if it == target);
        let mut told = Teller {
            network: self,
            target,
            booted: self.since(host),
            served: self.since(|it| host(it) || service(it)),
            runs: self.since(|it| host(it) || agent(it)),
            told: Vec::new(),
        };
        told.process();
        match target.job {
            "node" => told.node(),
            "cassandra" => told.cassandra(),
            "scalardl" => told.ledger(),
            "traefik" => told.traefik(),
            "traefik-requests" => told.requests(),
            "alert-router" => told.alert_router(),
            "prometheus" => told.prometheus(),
            other => panic!("{other}"),
        }
        told.told
    }
}

struct Told {
    name: &'static str,
    labels: String,
    values: Vec<Option<f64>>,
}

struct Teller<'a> {
    network: &'a Network,
    target: Target,
    /// At each step, how many there have been since the host was started, what it is for, and the program that is asked.
    booted: Vec<usize>,
    served: Vec<usize>,
    runs: Vec<usize>,
    told: Vec<Told>,
}

#[expect(clippy::cast_precision_loss, reason = "days have few steps")]
impl Teller<'_> {
    fn tell(&mut self, name: &'static str, labels: &str, value: impl Fn(usize) -> Option<f64>) {
        self.told.push(Told {
            name,
            labels: labels.to_owned(),
            values: (0..=self.network.steps).map(value).collect(),
        });
    }

    fn gauge(&mut self, name: &'static str, labels: &str, value: impl Fn(usize) -> f64) {
        self.tell(name, labels, |at| Some(value(at)));
    }

    /// What there is while what the host is for runs.
    fn served(&mut self, name: &'static str, labels: &str, value: impl Fn(usize) -> f64) {
        let (network, instance) = (self.network, self.target.instance);
        self.tell(name, labels, |at| {
            network.serves(instance, at).then(|| value(at))
        });
    }

    /// Something that goes on while it runs, and is counted anew from its start on.
    fn counts(&mut self, name: &'static str, labels: &str, each: f64) {
        let served = self.served.clone();
        self.served(name, labels, |at| served[at] as f64 * each);
    }

    /// Something that happened long after a start, and does not any more.
    fn has_been(&mut self, name: &'static str, labels: &str, times: f64) {
        let since = match self.target.job {
            "cassandra" | "scalardl" => self.served.clone(),
            _ => self.runs.clone(),
        };
        // Of before the first start, too.
        self.gauge(name, labels, |at| if since[at] > DAY { times } else { 0.0 });
    }

    fn process(&mut self) {
        let runs = self.runs.clone();
        self.gauge("process_start_time_seconds", "", |at| {
            (at * STEP) as f64 - (runs[at] * STEP) as f64
        });
    }

    fn node(&mut self) {
        let network = self.network;
        let booted = self.booted.clone();
        let up = |at: usize| booted[at];
        self.gauge("node_time_seconds", "", |at| (at * STEP) as f64);
        self.gauge("node_boot_time_seconds", "", |at| {
            (at * STEP) as f64 - (up(at) * STEP) as f64
        });
        // Seconds of each step; at the full hour for ten minutes nearly all of them.
        let busy = |at: usize| (at % HOUR).min(40) + (at / HOUR) * 40;
        let parts: [(&'static str, &dyn Fn(usize) -> usize); 4] = [
            ("user", &|at| at * 4 + busy(at) * 10),
            ("idle", &|at| at * 10 - busy(at) * 10),
            ("iowait", &|at| at),
            ("steal", &|_| 0),
        ];
        for (mode, seconds) in parts {
            self.gauge(
                "node_cpu_seconds_total",
                &format!("cpu='0',mode='{mode}'"),
                |at| {
                    let began = at.saturating_sub(up(at));
                    (seconds(at) - seconds(began)) as f64
                },
            );
        }
        self.gauge("node_memory_MemTotal_bytes", "", |_| 16e9);
        // Once in a while somebody takes nearly all of it, for five minutes.
        self.gauge("node_memory_MemAvailable_bytes", "", |at| {
            if at % (4 * HOUR) < 20 { 0.5e9 } else { 6e9 }
        });
        let data = (self.target.role == "cassandra").then_some("/var/lib/cassandra");
        for at in ["/"].into_iter().chain(data) {
            let labels = format!("device='/dev/{}',fstype='xfs',mountpoint='{at}'", at.len());
            self.gauge("node_filesystem_size_bytes", &labels, |_| 100e9);
            // Compactions take a fifth, and give it back.
            self.gauge("node_filesystem_avail_bytes", &labels, |at| {
                let part = (at % (2 * HOUR)) as f64 / (2 * HOUR) as f64;
                (65.0 - 20.0 * part).round() * 1e9
            });
            self.gauge("node_filesystem_readonly", &labels, |_| 0.0);
            self.gauge("node_filesystem_files", &labels, |_| 1e6);
            self.gauge("node_filesystem_files_free", &labels, |_| 9e5);
        }
        self.has_been("node_vmstat_oom_kill", "", 2.0);
        // After a boot the clock is set within minutes.
        self.gauge("node_timex_offset_seconds", "", |at| {
            if up(at) < 8 { 0.2 } else { 0.001 }
        });
        self.gauge("node_timex_sync_status", "", |at| {
            if up(at) < 8 { 0.0 } else { 1.0 }
        });
        self.gauge("node_timex_maxerror_seconds", "", |at| {
            if up(at) < 8 { 16.0 } else { 0.1 }
        });
        for unit in ["chrony.service", "scalardl.service"] {
            let labels = format!("name='{unit}',state='failed',type='simple'");
            self.gauge("node_systemd_unit_state", &labels, |at| {
                if (8..16).contains(&up(at)) { 1.0 } else { 0.0 }
            });
        }
        // systemd has to start it twice after a boot.
        self.gauge(
            "node_systemd_service_restart_total",
            "name='scalardl.service'",
            |at| if up(at) < 4 { 0.0 } else { 2.0 },
        );
        self.gauge(
            "scalar_dl_certificate_not_after_timestamp_seconds",
            "",
            |_| 100.0 * 86_400.0,
        );
        for collector in ["cpu", "textfile"] {
            let labels = format!("collector='{collector}'");
            self.gauge("node_scrape_collector_success", &labels, |at| {
                if at % (3 * HOUR) == 7 { 0.0 } else { 1.0 }
            });
        }
        // The host has no such thing.
        let none = "collector='nvme'";
        self.gauge("node_scrape_collector_success", none, |_| 0.0);
        if self.target.role == "monitor" {
            for (host, _) in HOSTS {
                let down = move |what| matches!(what, What::Host(it) if it == host);
                self.gauge(
                    "node_tcp_probe_success",
                    &format!("target='{}'", ssh(host)),
                    |at| {
                        if network.is(at, down) { 0.0 } else { 1.0 }
                    },
                );
            }
        }
    }

    fn cassandra(&mut self) {
        let (network, instance) = (self.network, self.target.instance);
        let runs = move |at| network.serves(instance, at);
        let served = self.served.clone();
        self.gauge("cassandra_up", "", |at| is(runs(at)));
        for (member, _) in HOSTS.into_iter().filter(|it| it.1 == "cassandra") {
            // Gossip needs a moment.
            let hears = |at: usize| {
                let member_runs = |at| network.serves(member, at);
                member_runs(at)
                    && (member == instance || at == 0 || member_runs(at - 1) && runs(at - 1))
            };
            let labels = format!("endpoint='{}'", address(member));
            self.served("cassandra_endpoint_up", &labels, |at| is(hears(at)));
        }
        for operation in ["cas_write", "read"] {
            let labels = format!("operation='{operation}'");
            self.counts(
                "cassandra_client_request_latency_seconds_count",
                &labels,
                600.0,
            );
            // Of those that wait for a node that ends some time out.
            self.served("cassandra_client_request_timeouts_total", &labels, |at| {
                5.0 * is(served[at] > 2)
            });
            self.has_been("cassandra_client_request_unavailables_total", &labels, 40.0);
            // Nobody asks for five minutes of each hour; the first requests after a start are slow.
            let labels = format!("{labels},quantile='0.99'");
            self.served(
                "cassandra_client_request_latency_seconds",
                &labels,
                |at| match at % HOUR {
                    50..70 => f64::NAN,
                    _ if served[at] < 20 => 2.0,
                    _ => 0.02,
                },
            );
        }
        let labels = "operation='cas_write'";
        self.counts(
            "cassandra_client_request_contended_rounds_count",
            labels,
            6.0,
        );
        let labels = "message_type='MUTATION_REQ'";
        self.served("cassandra_dropped_messages_total", labels, |at| {
            3.0 * is(served[at] > 4)
        });
        let others = network.steps_of(|it| it != instance && it.starts_with("cassandra"));
        let hints = network.counted(&served, |at| others[at]);
        self.served("cassandra_storage_hints_total", "", |at| hints[at] * 10.0);
        self.gauge("cassandra_compaction_pending_tasks", "", |at| {
            2.0 + 300.0 * is(at % (3 * HOUR) < 60)
        });
        let labels = "path='request',pool='MutationStage'";
        self.gauge("cassandra_thread_pool_blocked_tasks", labels, |at| {
            12.0 * is(at % HOUR == 30)
        });
        let labels = "keyspace='scalar',quantile='0.99',table='asset'";
        self.gauge("cassandra_table_tombstones_scanned", labels, |at| {
            3.0 + 5000.0 * is(at % HOUR < 20)
        });
        let heap = "area='heap'";
        self.gauge("cassandra_jvm_memory_used_bytes", heap, |at| {
            2e9 + 2e9 * (at / 2 % 4) as f64
        });
        self.gauge("cassandra_jvm_memory_max_bytes", heap, |_| 8.5e9);
        let labels = "gc='G1 Young Generation'";
        self.counts("cassandra_jvm_gc_collection_seconds_sum", labels, 0.25);
        self.has_been("cassandra_storage_exceptions_total", "", 1.0);
        self.served("cassandra_schema_versions", "", |at| {
            1.0 + is(served[at] < 4)
        });
        for (mode, early) in [("JOINING", true), ("NORMAL", false)] {
            let labels = format!("mode='{mode}'");
            self.served("cassandra_operation_mode", &labels, |at| {
                is((served[at] < 4) == early)
            });
        }
        self.gauge("cassandra_node_snapshots_size_bytes", "", |_| 1e9);
        self.gauge("cassandra_node_live_disk_space_used_bytes", "", |_| 40e9);
        let labels = "collector='jolokia'";
        self.gauge("cassandra_scrape_collector_success", labels, |at| {
            is(runs(at))
        });
    }

    fn ledger(&mut self) {
        self.counts("scalardl_stats_ledger_total_success", "", 150.0);
        self.counts("scalardl_stats_ledger_total_failure", "", 1.0);
        let served = self.served.clone();
        self.gauge(
            "scalardl_stats_ledger_execute_contract_request",
            "quantile='0.99'",
            |at| match at % HOUR {
                50..70 => f64::NAN,
                _ if served[at] < 20 => 4.0,
                _ => 0.1,
            },
        );
        self.has_been(
            "scalardl_stats_ledger_validate_ledger_request_failure",
            "",
            1.0,
        );
    }

    fn traefik(&mut self) {
        let (network, instance) = (self.network, self.target.instance);
        let runs = move |at| network.serves(instance, at);
        let served = self.served.clone();
        self.gauge("traefik_up", "", |at| is(runs(at)));
        let ledgers = HOSTS.iter().filter(|it| it.1 == "scalardl").map(|it| it.0);
        for ledger in ledgers.clone() {
            let labels = format!(
                "health_check='true',protocol='http',provider='file',server='h2c://{}:50051',service='ledger-blue@file'",
                address(ledger)
            );
            self.served("traefik_api_server_up", &labels, |at| {
                is(network.serves(ledger, at))
            });
        }
        // Before the first health check after a start none of the servers is known to be up.
        let none = |at: usize| !ledgers.clone().any(|it| network.serves(it, at));
        let without = |at: usize| is(none(at) || served[at] == 0);
        for service in ["ledger", "ledger-blue"] {
            let labels = format!("protocol='http',provider='file',service='{service}@file'");
            self.served("traefik_api_service_without_server", &labels, without);
        }
        let labels = "protocol='http',provider='file',router='ledger@file',service='ledger@file'";
        self.served("traefik_api_router_without_server", labels, without);
        let labels = "entry_point='ledger',host='',router='ledger@file'";
        self.served("traefik_probe_success", labels, |at| {
            is(!none(at) && at % HOUR != 33)
        });
        // What is rolled out comes to one after the other.
        let later = if instance == "traefik-1" { 0 } else { 4 };
        let labels = "kind='router',protocol='http'";
        self.served("traefik_api_configuration_hash", labels, |at| {
            (1 + (at + 500 - later) / 500) as f64
        });
        self.gauge("traefik_file_object_stale", "object='ledger@file'", |at| {
            is(at % 500 < 3)
        });
        self.has_been("traefik_log_provider_errors_total", "", 3.0);
        self.gauge(
            "traefik_scrape_collector_success",
            "collector='api'",
            |at| is(runs(at)),
        );
        self.gauge(
            "traefik_api_certificate_not_after_timestamp_seconds",
            "common_name='ledger.example',serial_number='1'",
            |_| 60.0 * 86_400.0,
        );
    }

    fn requests(&mut self) {
        let network = self.network;
        // When a ledger ends, a fifth of the requests of one step fail: then Traefik has seen it.
        let ledgers = network.steps_of(|it| it.starts_with("scalardl"));
        let ends = |at: usize| ledgers[at] && (at == 0 || !ledgers[at - 1]);
        let failed = network.counted(&self.served, ends);
        for (name, labels) in [
            ("traefik_entrypoint_requests_total", "entrypoint='ledger'"),
            ("traefik_service_requests_total", "service='ledger@file'"),
        ] {
            let of = |code| format!("code='{code}',method='POST',protocol='http',{labels}");
            self.counts(name, &of("200"), 1500.0);
            self.served(name, &of("503"), |at| failed[at] * 300.0);
        }
        for (le, each) in [("0.1", 1450.0), ("1.2", 1495.0), ("+Inf", 1500.0)] {
            let labels =
                format!("code='200',le='{le}',method='POST',protocol='http',service='ledger@file'");
            self.counts(
                "traefik_service_request_duration_seconds_bucket",
                &labels,
                each,
            );
        }
    }

    fn alert_router(&mut self) {
        let runs = self.runs.clone();
        self.gauge("alertmanager_config_last_reload_successful", "", |_| 1.0);
        self.gauge("alert_router_notifications_waiting", "", |at| {
            40.0 * is(at % HOUR < 8)
        });
        self.gauge("alert_router_storage_healthy", "", |_| 1.0);
        let labels = "integration='slack'";
        self.gauge("alertmanager_notifications_total", labels, |at| {
            (runs[at] / 20) as f64
        });
        let labels = "integration='slack',reason='other'";
        self.has_been("alertmanager_notifications_failed_total", labels, 2.0);
        self.has_been("alert_router_template_failures_total", "", 1.0);
        self.has_been("alert_router_recipients_refused_total", "", 1.0);
        self.has_been("alert_router_limited_total", "what='groups'", 1.0);
    }

    fn prometheus(&mut self) {
        let network = self.network;
        let runs = self.runs.clone();
        self.gauge("prometheus_config_last_reload_successful", "", |_| 1.0);
        let found = "prometheus_notifications_alertmanagers_discovered";
        self.gauge(found, "", |at| is(runs[at] >= 2));
        // What always fires is sent once a minute.
        let sends = |at: usize| runs[at].is_multiple_of(4);
        let sent = network.counted(&runs, sends);
        let router = |what| matches!(what, What::Agent(it) if it.job == "alert-router");
        let lost = network.counted(&runs, |at| sends(at) && network.is(at, router));
        let labels = "alertmanager='https://10.0.0.5:9093/api/v2/alerts'";
        self.gauge("prometheus_notifications_sent_total", labels, |at| sent[at]);
        self.gauge("prometheus_notifications_errors_total", labels, |at| {
            lost[at]
        });
        self.gauge("prometheus_notifications_dropped_total", "", |at| lost[at]);
        let labels = "type='float'";
        self.gauge(
            "prometheus_tsdb_head_samples_appended_total",
            labels,
            |at| runs[at] as f64 * 9_000.0,
        );
        for name in [
            "prometheus_rule_evaluation_failures_total",
            "prometheus_tsdb_compactions_failed_total",
            "prometheus_tsdb_reloads_failures_total",
            "prometheus_tsdb_wal_corruptions_total",
        ] {
            self.has_been(name, "", 1.0);
        }
    }
}

fn is(what: bool) -> f64 {
    f64::from(u8::from(what))
}

fn address(host: &str) -> String {
    let at = HOSTS.iter().position(|it| it.0 == host).unwrap();
    format!("10.0.0.{}", at + 1)
}

/// Where a monitor tries SSH.
fn ssh(host: &str) -> String {
    format!("{}:22", address(host))
}

/// In promtool's language: what goes on as it began is written once.
fn encoded(samples: &[Sample]) -> String {
    let mut words = Vec::new();
    let (mut at, mut before) = (0, Sample::None);
    while let Some(sample) = samples.get(at) {
        let rest = &samples[at..];
        let same = rest.iter().take_while(|it| *it == sample).count();
        let (word, length) = match *sample {
            // Only the first of them says that a series has ended.
            Sample::Ends if matches!(before, Sample::Is(_)) => ("stale".to_owned(), 1),
            Sample::Ends | Sample::None => (format!("_x{same}"), same),
            Sample::Is(value) if value.is_nan() => ("NaN".to_owned(), 1),
            Sample::Is(value) => progression(value, rest),
        };
        if !word.starts_with("_x") || *sample == Sample::Ends {
            before = *sample;
        }
        words.push(word);
        at += length;
    }
    words.join(" ")
}

/// From a value on, as far as it changes by the same each time.
fn progression(value: f64, rest: &[Sample]) -> (String, usize) {
    let by = match rest.get(1) {
        Some(Sample::Is(next)) if next.is_finite() => next - value,
        _ => return (value.to_string(), 1),
    };
    let mut expect = value;
    let follows = |it: &&Sample| {
        let is = matches!(**it, Sample::Is(it) if it == expect);
        expect += by;
        is
    };
    let length = rest.iter().take_while(follows).count();
    let sign = if by < 0.0 { "" } else { "+" };
    (format!("{value}{sign}{by}x{}", length - 1), length)
}

/// Rules that are evaluated together, in their order: all need those of hosts, and those of Traefik take as long as all others.
const PARTS: [&[&str]; 2] = [
    &[
        "host",
        "agent",
        "cassandra",
        "ledger",
        "alert-router",
        "prometheus",
    ],
    &["host", "traefik"],
];

/// The alerts that promtool has seen firing in a network, by severity, with how many series each. They are evaluated at every other
/// scrape, for the time that a day takes.
fn fired(network: &Network) -> BTreeSet<String> {
    std::thread::scope(|scope| {
        let parts = PARTS.map(|part| scope.spawn(|| fired_of(network, part)));
        parts
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    })
}

fn fired_of(network: &Network, part: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "rule_files:\n".to_owned();
    for group in part {
        let path = root().join(format!("dashboards/rules/{group}.rules.yml"));
        writeln!(text, "- {}", path.display()).unwrap();
    }
    let end = network.steps * STEP;
    write!(
        text,
        "evaluation_interval: {}s\ngroup_eval_order: [{}.alerts]\ntests:\n- interval: {STEP}s\n  input_series:\n{}  promql_expr_test:\n  - expr: count by (severity, alertname) (count_over_time(ALERTS{{alertstate=\"firing\"}}[{end}s]))\n    eval_time: {end}s\n    exp_samples:\n    - {{value: 0}}\n",
        2 * STEP,
        part.join(".alerts, "),
        network.text
    )
    .unwrap();
    let path = folder.path().join("noise.yml");
    fs::write(&path, text).unwrap();
    let promtool = parts::find("promtool").unwrap().path;
    let ended = Program::at(promtool)
        .patience(PATIENCE)
        .args(["test", "rules"])
        .args([&path])
        .run();
    // It is made to fail, and says what it got: `{alertname="A", severity="info"} 1E+00, …`.
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let (_, got) = said.split_once("got: ").unwrap_or_else(|| panic!("{said}"));
    let got = got.lines().next().unwrap();
    let series = got.split(", {").filter(|it| *it != "nil");
    let plain = |it: &str| {
        let label = |name: &str| {
            let (_, rest) = it
                .split_once(&format!("{name}=\""))
                .unwrap_or_else(|| panic!("{got}"));
            rest.split('"').next().unwrap().to_owned()
        };
        let count = it.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        format!("{} {} {count}", label("severity"), label("alertname"))
    };
    series.map(plain).collect()
}

/// What a day takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(500);

/// What fires besides the one that always does.
fn check(network: &Network, expect: &[&str]) {
    let expect = ["none Watchdog 1"].iter().chain(expect);
    let expect = expect.map(|it| (*it).to_owned()).collect();
    assert_eq!(fired(network), expect);
}

#[test]
fn a_day_of_noise_wakes_nobody() {
    check(&Network::new(DAY, noise()), &["info HostRebooted 9"]);
}

/// The same rules, and outages that are a little longer than what is noise.
#[test]
fn outages_are_told() {
    let event = |what, minutes: usize| Event {
        at: 40,
        lasts: minutes * 60 / STEP,
        what,
    };
    let agent = |job, instance| {
        let targets = targets();
        let target = targets
            .iter()
            .find(|it| it.job == job && it.instance == instance);
        What::Agent(*target.unwrap())
    };
    let hour = |events: Vec<Event>| Network::new(HOUR, events);
    check(&hour(Vec::new()), &[]);
    check(
        &hour(vec![event(What::Host("cassandra-2"), 6)]),
        &[
            "critical CassandraQuorumAtRisk 1",
            "critical HostDown 1",
            "info HostRebooted 1",
            "warning CassandraNodeDown 1",
        ],
    );
    check(
        &hour(vec![
            event(What::Service("cassandra-2"), 4),
            event(What::Service("cassandra-3"), 4),
        ]),
        &[
            "critical CassandraDown 2",
            "critical CassandraQuorumLost 1",
            "warning CassandraNodeDown 2",
        ],
    );
    // Exporters alone: nothing is said of Cassandra itself.
    check(
        &hour(vec![
            event(agent("cassandra", "cassandra-1"), 5),
            event(agent("cassandra", "cassandra-2"), 5),
            event(agent("cassandra", "cassandra-3"), 5),
        ]),
        &["critical AgentDown 3"],
    );
    check(
        &hour(vec![
            event(What::Service("scalardl-1"), 4),
            event(What::Service("scalardl-2"), 4),
            event(What::Service("traefik-2"), 2),
        ]),
        &[
            "critical LedgerDown 2",
            "critical LedgersDown 1",
            "critical TraefikDown 1",
            "critical TraefikProbeFails 1",
            "critical TraefikServiceWithoutServer 1",
            "warning EntryErrorBudgetBurns 1",
            "warning TraefikServerDown 2",
        ],
    );
}
