//! Faults, one after the other or at once, on the whole network of this machine: each is told in Slack and by mail, mended, and its end is told,
//! too. What was measured is `faults/measured.tsv`, which docs/alerts.md is made of.

#[path = "faults/page.rs"]
mod page;
#[path = "faults/site.rs"]
mod site;
#[path = "faults/told.rs"]
mod told;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustix::process::Signal;
use testkit::{Answer, eventually, golden, root};

use self::{
    site::{Message, Site},
    told::TOLD,
};

/// For one fault to be told of, or its end. The test itself holds no fault to a time: machines differ.
const PATIENCE: Duration = Duration::from_secs(240);
const MEASURED: &str = "provisioner/tests/local/faults/measured.tsv";
/// Of the whole monitor, which no alert tells of.
const MONITOR: &str = "MonitorGone";
/// How long whoever gets the heartbeat waits for the next.
const SILENCE: Duration = Duration::from_secs(5);

/// What is done to the network, and what mends it.
struct Fault {
    /// What people are told.
    alerts: &'static [&'static str],
    /// A word that their messages have: where it is.
    on: &'static str,
    /// For people.
    what: &'static str,
    part: Part,
    mended: &'static str,
    inject: fn(&mut Site),
    mend: fn(&mut Site),
}

/// What a fault happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The program that a user has.
    Real,
    /// Something in its place.
    StandIn(&'static str),
}

/// Something has to be told for it to fail: what comes next. It comes first, while there is little that fails.
const RECEIVER: Fault = Fault {
    alerts: &["AlertRouterNotificationsFail"],
    on: "webhook",
    what: "a third receiver (a webhook) answers 500",
    part: Part::StandIn("a scripted HTTP server, which a real alert-router calls"),
    mended: "it answers again",
    inject: |site| site.third.answer(Answer::status(500)),
    mend: |site| site.third.answer(Answer::ok("ok")),
};

/// The whole of Traefik's configuration is refused while one of its files is; so this one comes before all others.
const REJECTED: Fault = Fault {
    alerts: &["TraefikConfigurationRejected"],
    on: "Traefik on",
    what: "a file in Traefik's folder is no YAML",
    part: Part::Real,
    mended: "the file was removed; heals five minutes after Traefik's last complaint",
    inject: |site| site.traefik_reads("nonsense.yml", Some("http: [\n")),
    mend: |site| site.traefik_reads("nonsense.yml", None),
};

/// What is told within some seconds after Prometheus has read a configuration arrives a minute later: so this has its time for itself.
const NONSENSE: Fault = Fault {
    alerts: &["PrometheusConfigurationRejected"],
    on: "Prometheus",
    what: "Prometheus is told to read a file that is no YAML",
    part: Part::Real,
    mended: "the file was put right and read",
    inject: |site| {
        site.broken.insert("prometheus");
        site.write_prometheus();
    },
    mend: |site| {
        site.broken.remove("prometheus");
        site.write_prometheus();
    },
};

/// While all is well otherwise, in this order.
const APART: &[Fault] = &[
    Fault {
        alerts: &[
            "HostDiskSpaceLow",
            "HostDiskSpaceCritical",
            "HostDiskFillingUp",
            "HostInodesLow",
        ],
        on: "/filled/",
        what: "files fill a file system (ext4 on a loop device) and use up its inodes",
        part: Part::Real,
        mended: "the files were removed",
        inject: |site| {
            let folder = &site.disks[0].folder;
            let mut count = 0;
            while fs::write(folder.join(format!("empty-{count}")), "").is_ok() {
                count += 1;
                assert!(count < 10_000, "it has no end of inodes");
            }
            // Block by block: of one large piece the kernel leaves out all that does not fit.
            let mut file = fs::File::create(folder.join("empty-0")).unwrap();
            while file.write_all(&[1; 1024]).is_ok() {}
        },
        mend: |site| {
            for entry in fs::read_dir(&site.disks[0].folder).unwrap().flatten() {
                if entry.path().is_file() {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
        },
    },
    Fault {
        alerts: &["HostFilesystemReadOnly"],
        on: "/kept/",
        what: "a file system (ext4 on a loop device) is mounted read-only",
        part: Part::Real,
        mended: "mounted read-write",
        inject: |site| site.disks[1].remount("ro"),
        mend: |site| site.disks[1].remount("rw"),
    },
    Fault {
        alerts: &["HostCpuHigh"],
        on: "host-2",
        what: "as many processes as there are processors do nothing but count",
        part: Part::Real,
        mended: "the processes were ended",
        inject: Site::start_busy_host,
        mend: Site::end_load,
    },
    Fault {
        alerts: &["HostNotScraped"],
        on: "host-9",
        what: "the network has a host that Prometheus has no job for",
        part: Part::Real,
        mended: "the host was taken out of what is expected",
        inject: |site| site.expect("host-9", 1),
        mend: |site| site.expect("host-9", 0),
    },
    Fault {
        alerts: &["TargetDown"],
        on: "mine-1",
        what: "a target of one's own job answers 500",
        part: Part::StandIn("a scripted HTTP server"),
        mended: "it answers again",
        inject: |site| site.own.answer(Answer::status(500)),
        mend: |site| site.own.answer(Answer::ok("a 1\n")),
    },
    Fault {
        alerts: &["AgentRestarts"],
        on: "traefik-exporter",
        what: "traefik-exporter is killed; its supervisor starts it again",
        part: Part::Real,
        mended: "",
        inject: |site| super::kill(&site.network.program("traefik-exporter")["pid"]),
        mend: |_| {},
    },
    Fault {
        alerts: &["TraefikRouterBroken"],
        on: "broken@file",
        what: "a router of Traefik has a middleware that does not exist",
        part: Part::Real,
        mended: "its file was removed",
        inject: |site| {
            let text = "http:\n  routers:\n    broken:\n      entryPoints: [ledger]\n      rule: Path(`/broken`)\n      service: sample\n      middlewares: [nothing]\n";
            site.traefik_reads("broken.yml", Some(text));
        },
        mend: |site| site.traefik_reads("broken.yml", None),
    },
    Fault {
        alerts: &["EntryHostWithoutCertificate"],
        on: "other.test",
        what: "a router with TLS for a host that no certificate names",
        part: Part::Real,
        mended: "its file was removed",
        inject: |site| {
            let text = "http:\n  routers:\n    other:\n      entryPoints: [websecure]\n      rule: Host(`other.test`)\n      service: sample\n      tls: {}\n";
            site.traefik_reads("other.yml", Some(text));
        },
        mend: |site| site.traefik_reads("other.yml", None),
    },
    Fault {
        alerts: &["EntryCertificateEndsSoon", "EntryCertificateEnds"],
        on: "ends.test",
        what: "Traefik has a certificate that ends within two days",
        part: Part::Real,
        mended: "the certificate was removed",
        inject: short_certificate,
        mend: |site| site.traefik_reads("ends.yml", None),
    },
    Fault {
        alerts: &["AlertRouterConfigurationRejected"],
        on: "alert-router",
        what: "alert-router is told to read a file that is no YAML",
        part: Part::Real,
        mended: "the file was put right and read",
        inject: |site| {
            site.broken.insert("alert-router");
            site.write_router();
        },
        mend: |site| {
            site.broken.remove("alert-router");
            site.write_router();
        },
    },
];

/// One member of three; the next takes the quorum.
const MEMBER: Fault = Fault {
    alerts: &["CassandraNodeDown", "CassandraQuorumAtRisk"],
    on: "Cassandra",
    what: "a node of a ring of three is killed: one more, and there is no quorum",
    part: Part::Real,
    mended: "the node was started again",
    inject: |site| site.kill_member(0),
    mend: |site| site.start_member(0),
};

/// While that member is down.
const WITHOUT_MEMBER: &[Fault] = &[
    Fault {
        alerts: &["CassandraQuorumLost"],
        on: "no quorum",
        what: "a second node of the ring of three is killed",
        part: Part::Real,
        mended: "the node was started again",
        inject: |site| site.kill_member(1),
        mend: |site| site.start_member(1),
    },
    Fault {
        alerts: &["TraefikDown"],
        on: "Traefik on",
        what: "Traefik is stopped",
        part: Part::Real,
        mended: "`local start traefik`",
        inject: |site| site.local("stop", "traefik"),
        mend: |site| site.local("start", "traefik"),
    },
    Fault {
        alerts: &["HostDown"],
        on: "host-2",
        what: "a host's agent is killed, and nobody listens at its port of SSH",
        part: Part::StandIn("processes in place of a host; real hosts below"),
        mended: "both were started again",
        inject: Site::kill_second_host,
        mend: Site::boot_second_host,
    },
    Fault {
        alerts: &["ScrapeSlow"],
        on: "host-3",
        what: "a node-exporter stands still (SIGSTOP)",
        part: Part::Real,
        mended: "it goes on (SIGCONT)",
        inject: |site| site.third_host.signal(Signal::STOP),
        mend: |site| site.third_host.signal(Signal::CONT),
    },
];

/// One of two, so that the other one tells.
const ONE_ROUTER: Fault = Fault {
    alerts: &["PrometheusNotDelivering"],
    on: "Prometheus",
    what: "one of two alert-routers ends; the other one tells",
    part: Part::Real,
    mended: "",
    inject: |site| site.second_router = None,
    mend: Site::start_second_router,
};

/// A dead node-exporter, which mutes nothing.
const AGENT: Fault = Fault {
    alerts: &["AgentDown"],
    on: "node-exporter",
    what: "node-exporter is stopped, and with it nothing is muted: the faults of the ledger, Cassandra and Traefik are told meanwhile",
    part: Part::Real,
    mended: "the command of the message, pasted (`local start node-exporter`)",
    inject: |site| site.local("stop", "node-exporter"),
    mend: |site| site.paste("AgentDown"),
};

/// On the same host while its node-exporter is dead.
const WITHOUT_AGENT: &[Fault] = &[
    Fault {
        alerts: &["LedgerDown", "LedgersDown"],
        on: "ledger",
        what: "the only ledger is stopped",
        part: Part::StandIn("the ledger's stand-in"),
        mended: "`local start ledger`",
        inject: |site| site.local("stop", "ledger"),
        mend: |site| site.local("start", "ledger"),
    },
    Fault {
        alerts: &["CassandraDown"],
        on: "Cassandra on",
        what: "Cassandra is stopped; its exporter runs",
        part: Part::Real,
        mended: "`local start cassandra`",
        inject: |site| site.local("stop", "cassandra"),
        mend: |site| site.local("start", "cassandra"),
    },
    Fault {
        alerts: &[
            "TraefikServerDown",
            "TraefikServiceWithoutServer",
            "TraefikProbeFails",
            "EntryErrorBudgetBurnsFast",
            "EntryErrorBudgetBurns",
        ],
        on: "",
        what: "both servers behind Traefik are stopped, while clients ask for them",
        part: Part::Real,
        mended: "`local start sample-1`, `sample-2`",
        inject: |site| {
            site.start_client();
            for name in ["sample-1", "sample-2"] {
                site.local("stop", name);
            }
        },
        mend: |site| {
            for name in ["sample-1", "sample-2"] {
                site.local("start", name);
            }
        },
    },
];

/// Told by alert-router itself.
const UNREACHED: Fault = Fault {
    alerts: &["HeartbeatMissing"],
    on: "Watchdog",
    what: "Prometheus has a wrong address of alert-router: nothing of it arrives any more",
    part: Part::Real,
    mended: "the address was put right and read",
    inject: |site| {
        site.reaches_router = false;
        site.write_prometheus();
    },
    mend: |site| {
        site.reaches_router = true;
        site.write_prometheus();
    },
};

/// Whose ends are not waited for before the test goes on.
const LATE: [&str; 4] = [
    "AlertRouterNotificationsFail",
    "HostCpuHigh",
    "PrometheusConfigurationRejected",
    "TraefikConfigurationRejected",
];

/// All that are told by a message, in the order in which they happen.
fn faults() -> Vec<&'static Fault> {
    let groups: [&'static [Fault]; 10] = [
        &[RECEIVER],
        &[REJECTED],
        &[NONSENSE],
        APART,
        &[MEMBER],
        WITHOUT_MEMBER,
        &[ONE_ROUTER],
        &[AGENT],
        WITHOUT_AGENT,
        &[UNREACHED],
    ];
    groups.into_iter().flatten().collect()
}

fn short_certificate(site: &mut Site) {
    let day = (Timestamp::now() + SignedDuration::from_hours(48))
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let mut params = CertificateParams::new(vec!["ends.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(
        i32::from(day.year()),
        day.month().unsigned_abs(),
        day.day().unsigned_abs(),
    );
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "ends.test");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let mut text = "tls:\n  certificates:\n".to_owned();
    for (at, name, pem) in [
        ("- certFile", "ends.crt", certificate),
        ("  keyFile", "ends.key", key.serialize_pem()),
    ] {
        let path = site.path(name);
        fs::write(&path, pem).unwrap();
        writeln!(text, "    {at}: {}", path.display()).unwrap();
    }
    site.traefik_reads("ends.yml", Some(&text));
}

/// One alert of one fault, as it is heard of from then on.
struct Case {
    alert: &'static str,
    on: &'static str,
    injected: Timestamp,
    /// Seconds to Slack and to mail.
    heard: [Option<f64>; 2],
    mended: Option<Timestamp>,
    healed: [Option<f64>; 2],
    /// Whether the last that was said of it is its end: something else may have ended it before it was mended.
    is_quiet: [bool; 2],
    /// Whether an end is waited for.
    ends: bool,
}

impl Case {
    fn is_heard(&self) -> bool {
        self.heard.iter().all(Option::is_some)
    }

    fn is_healed(&self) -> bool {
        let is_quiet = self.mended.is_some() && self.is_quiet == [true; 2];
        // Another fault may make it fire again.
        let has_ended = self.healed.iter().all(Option::is_some);
        self.is_heard() && (!self.ends || has_ended || is_quiet)
    }

    fn hear(&mut self, message: &Message) {
        let about = message.alerts.iter().any(|it| it == self.alert);
        if !about || !message.text.contains(self.on) {
            return;
        }
        let way = usize::from(message.channel != "slack");
        let since = |begun: Timestamp| message.time.duration_since(begun).as_secs_f64();
        self.is_quiet[way] = message.status == "resolved" && self.heard[way].is_some();
        if message.status == "firing" {
            self.heard[way].get_or_insert(since(self.injected));
        } else if let Some(mended) = self.mended.filter(|it| *it < message.time) {
            self.healed[way].get_or_insert(since(mended));
        }
    }
}

/// What mends the cases from one place to another.
struct Deed {
    cases: std::ops::Range<usize>,
    mend: Box<dyn Fn(&mut Site)>,
    is_held: bool,
    is_mended: bool,
}

/// The course of the test.
struct Course {
    site: Site,
    cases: Vec<Case>,
    deeds: Vec<Deed>,
}

impl Course {
    fn begin(&mut self, fault: &'static Fault, is_held: bool) {
        // What came until now is of before.
        self.hear();
        let (injected, first) = (Timestamp::now(), self.cases.len());
        (fault.inject)(&mut self.site);
        for alert in fault.alerts {
            self.add(alert, fault.on, injected, !fault.mended.is_empty());
        }
        self.deeds.push(Deed {
            cases: first..self.cases.len(),
            mend: Box::new(fault.mend),
            is_held,
            is_mended: false,
        });
    }

    fn add(&mut self, alert: &'static str, on: &'static str, injected: Timestamp, ends: bool) {
        self.cases.push(Case {
            alert,
            on,
            injected,
            heard: [None; 2],
            mended: None,
            healed: [None; 2],
            is_quiet: [false; 2],
            ends,
        });
    }

    /// Sees what came.
    fn hear(&mut self) {
        for message in self.site.new_messages() {
            for case in &mut self.cases {
                case.hear(&message);
            }
            if message.channel == "slack" && message.status == "firing" {
                for alert in &message.alerts {
                    self.site.said.insert(alert.clone(), message.text.clone());
                }
            }
        }
    }

    fn begin_all(&mut self, faults: &'static [Fault]) {
        for fault in faults {
            let needs_disks = fault.on.starts_with('/');
            if !needs_disks || !self.site.disks.is_empty() {
                self.begin(fault, false);
            }
        }
    }

    /// A file says what an exporter would.
    fn tell_all(&mut self) {
        self.hear();
        for told in TOLD {
            let (injected, at) = (Timestamp::now(), self.cases.len());
            self.site.tell(told.alert, &told::page(told.during));
            self.add(told.alert, told.on, injected, told.after.is_some());
            let after = told.after.map(told::page);
            self.deeds.push(Deed {
                cases: at..at + 1,
                mend: Box::new(move |site| {
                    if let Some(after) = &after {
                        site.tell(told.alert, after);
                    }
                }),
                is_held: false,
                is_mended: false,
            });
        }
    }

    /// Sees what came, and mends what was heard of by both ways, until it is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.hear();
            for deed in &mut self.deeds {
                let all = &mut self.cases[deed.cases.clone()];
                if !deed.is_held && !deed.is_mended && all.iter().all(Case::is_heard) {
                    let begun = Timestamp::now();
                    (deed.mend)(&mut self.site);
                    deed.is_mended = true;
                    for case in all {
                        case.mended = Some(begun);
                    }
                }
            }
            if is_so(self) {
                return;
            }
            let open: Vec<_> = self.cases.iter().filter(|it| !it.is_healed()).collect();
            let open: Vec<_> = open.iter().map(|it| (it.alert, it.is_heard())).collect();
            assert!(
                Instant::now() < end,
                "not within {PATIENCE:?}: {what}: {open:?}"
            );
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn until_heard(&mut self, fault: &Fault) {
        self.until(fault.what, |it| {
            let mut cases = it
                .cases
                .iter()
                .filter(|it| fault.alerts.contains(&it.alert));
            cases.all(Case::is_heard)
        });
    }

    fn until_healed(&mut self, faults: &[Fault]) {
        self.until("all are healed", |it| {
            let is_asked = |case: &&Case| faults.iter().any(|it| it.alerts.contains(&case.alert));
            it.cases.iter().filter(is_asked).all(Case::is_healed)
        });
    }

    fn until_early_healed(&mut self) {
        self.until("all but the late ones are healed", |it| {
            let is_early = |case: &&Case| !LATE.contains(&case.alert);
            it.cases.iter().filter(is_early).all(Case::is_healed)
        });
    }

    /// Whether all have healed. A machine that others keep busy is rightly said to be so.
    fn is_over(&self) -> bool {
        let busy = "instance:node_cpu_utilisation:rate5m{instance=\"host-2\"} > 0.98";
        let mut open = self.cases.iter().filter(|it| !it.is_healed());
        open.all(|it| {
            it.alert == "HostCpuHigh" && it.is_heard() && !self.site.network.query(busy).is_empty()
        })
    }

    /// Writes what was measured until now.
    fn note(&self, monitor: Option<String>) {
        let mut rows: BTreeMap<_, _> = self.cases.iter().map(row).collect();
        let is_whole = monitor.is_some();
        rows.extend(monitor.map(|it| (MONITOR, it)));
        let lines = rows.iter().map(|(alert, it)| format!("{alert}\t{it}\n"));
        let found = format!("alert\tslack\tmail\thealed\n{}", lines.collect::<String>());
        fs::write(root().join("target/alerts.tsv"), &found).unwrap();
        if is_whole && std::env::var_os("UPDATE_GOLDEN").is_some_and(|it| it == "1") {
            golden::check(MEASURED, &found);
        }
    }

    /// What was held back is mended now, too.
    fn release(&mut self) {
        for deed in &mut self.deeds {
            deed.is_held = false;
        }
    }
}

/// Once more in the order of time: what is written in the table is what this saw.
#[test]
fn every_fault_is_told_and_heals() {
    let pages: Vec<_> = TOLD
        .iter()
        .map(|it| (it.alert, told::page(it.before)))
        .collect();
    let pages: Vec<_> = pages.iter().map(|it| (it.0, it.1.as_str())).collect();
    let mut course = Course {
        site: Site::start(&pages),
        cases: Vec::new(),
        deeds: Vec::new(),
    };
    course.begin(&RECEIVER, false);
    course.begin(&REJECTED, false);
    course.until_heard(&RECEIVER);
    course.until_heard(&REJECTED);
    course.begin(&NONSENSE, false);
    course.until_heard(&NONSENSE);
    course.tell_all();
    course.begin_all(APART);
    course.until_early_healed();
    course.note(None);

    course.site.form_ring();
    course.begin(&MEMBER, true);
    course.until_heard(&MEMBER);
    course.begin_all(WITHOUT_MEMBER);
    course.until_healed(WITHOUT_MEMBER);
    course.release();
    course.until_healed(&[MEMBER]);
    course.site.end_ring();

    // A dead node-exporter mutes nothing else on its host.
    let muted = course.site.inhibited();
    course.begin(&ONE_ROUTER, false);
    course.begin(&AGENT, true);
    course.until_heard(&AGENT);
    course.begin_all(WITHOUT_AGENT);
    for fault in WITHOUT_AGENT {
        course.until_heard(fault);
    }
    assert_eq!(
        course.site.network.program("node-exporter")["state"],
        "stopped"
    );
    course
        .site
        .holds("ALERTS{alertname=\"AgentDown\",alertstate=\"firing\",program=\"node-exporter\"}");
    assert!((course.site.inhibited() - muted).abs() < 0.5);
    course.release();
    course.until_early_healed();
    course.note(None);

    course.begin(&UNREACHED, false);
    course.until("all are healed", Course::is_over);

    course.note(None);
    let row = monitor_gone(&mut course.site);
    course.note(Some(row));
}

/// Seconds from the fault to both ways, and from its repair to the end in both.
fn row(case: &Case) -> (&'static str, String) {
    let text = |it: Option<f64>| it.map_or("-".to_owned(), |it| format!("{it:.0}"));
    let [slack, mail] = case.heard.map(text);
    let [first, second] = case.healed;
    let healed = first.zip(second).map(|it| it.0.max(it.1));
    (case.alert, format!("{slack}\t{mail}\t{}", text(healed)))
}

/// Nobody is left who could tell: somebody outside hears no heartbeat any more.
fn monitor_gone(site: &mut Site) -> String {
    let beats = |site: &Site| site.outside.heard();
    let before = beats(site).len();
    site.outside.wait_for(before + 2, PATIENCE);
    let begun = Instant::now();
    site.kill_monitor();
    let silent = eventually("the heartbeat ends", PATIENCE, || {
        let last = beats(site).last().unwrap().at;
        (last.elapsed() > SILENCE).then(|| begun.elapsed().as_secs_f64())
    });
    let mended = Instant::now();
    let count = beats(site).len();
    site.start_monitor();
    site.outside.wait_for(count + 1, PATIENCE);
    format!("{silent:.0}\t-\t{:.0}", mended.elapsed().as_secs_f64())
}
