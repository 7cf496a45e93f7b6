//! `node_systemd_*`: units and their states, asked of systemd over D-Bus (org.freedesktop.systemd1(5)), all of it within the deadline
//! of the scrape.

use std::{sync::Arc, time::Duration};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};
use regex::Regex;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};
use zbus::{OwnedObjectPath, OwnedVariant};

use super::{Entry, counter, gauge};
use crate::{
    dbus::{Bus, BusError},
    filter::compile,
    flags::{FlagError, given, switch, switched, value},
    host::float,
};

pub(super) const ENTRY: Entry = Entry {
    name: "systemd",
    default: false,
    flags: |command| {
        let command = value(
            command,
            INCLUDE,
            false,
            "Regexp of units to include; units must match it and not match the exclusion (default: .+)",
        );
        let command = value(
            command,
            EXCLUDE,
            false,
            "Regexp of units to exclude (default: .+\\.(automount|device|mount|scope|slice))",
        );
        let command = value(
            command,
            OLD_INCLUDE,
            true,
            "Older spelling of collector.systemd.unit-include",
        );
        let command = value(
            command,
            OLD_EXCLUDE,
            true,
            "Older spelling of collector.systemd.unit-exclude",
        );
        let command = switch(
            command,
            PRIVATE,
            "Speak to systemd directly, without the bus; needs root",
        );
        let command = switch(
            command,
            TASKS,
            "Show node_systemd_unit_tasks_current and node_systemd_unit_tasks_max",
        );
        let command = switch(command, RESTARTS, "Show node_systemd_service_restart_total");
        switch(command, STARTS, "Show node_systemd_unit_start_time_seconds")
    },
    make: |setup| {
        let on = |flag| switched(setup.matches, flag).unwrap_or(false);
        let pattern = |flag, old: &str, default: &str| -> Result<Option<Regex>, FlagError> {
            let (new, old_value) = (given(setup.matches, flag), given(setup.matches, old));
            if new.is_some() && old_value.is_some() {
                return Err(FlagError::Exclusive(old.to_owned(), flag.to_owned()));
            }
            let text = new.or(old_value).unwrap_or(default);
            compile(flag, Some(&format!("^(?:{text})$")))
        };
        Ok(Box::new(Systemd {
            bus: Bus::new(
                SERVICE,
                on(PRIVATE).then_some("unix:path=/run/systemd/private"),
            ),
            options: Options {
                include: pattern(INCLUDE, OLD_INCLUDE, ".+")?,
                exclude: pattern(
                    EXCLUDE,
                    OLD_EXCLUDE,
                    ".+\\.(automount|device|mount|scope|slice)",
                )?,
                tasks: on(TASKS),
                restarts: on(RESTARTS),
                starts: on(STARTS),
            },
        }))
    },
    descs: &[
        STATE,
        START,
        TASKS_CURRENT,
        TASKS_MAX,
        RUNNING,
        UNITS,
        RESTART_TOTAL,
        TIMER,
        ACCEPTED,
        CONNECTIONS,
        REFUSED,
        VERSION,
        VIRTUALIZATION,
    ],
};

const INCLUDE: &str = "collector.systemd.unit-include";
const EXCLUDE: &str = "collector.systemd.unit-exclude";
const OLD_INCLUDE: &str = "collector.systemd.unit-whitelist";
const OLD_EXCLUDE: &str = "collector.systemd.unit-blacklist";
const PRIVATE: &str = "collector.systemd.private";
const TASKS: &str = "collector.systemd.enable-task-metrics";
const RESTARTS: &str = "collector.systemd.enable-restarts-metrics";
const STARTS: &str = "collector.systemd.enable-start-time-metrics";

const NAME: &[&str] = &["name"];
const STATE: Desc =
    gauge("node_systemd_unit_state", "Systemd unit").labels(&["name", "state", "type"]);
const START: Desc = gauge(
    "node_systemd_unit_start_time_seconds",
    "Start time of the unit since unix epoch in seconds.",
)
.labels(NAME);
const TASKS_CURRENT: Desc = gauge(
    "node_systemd_unit_tasks_current",
    "Current number of tasks per Systemd unit",
)
.labels(NAME);
const TASKS_MAX: Desc = gauge(
    "node_systemd_unit_tasks_max",
    "Maximum number of tasks per Systemd unit",
)
.labels(NAME);
const RUNNING: Desc = gauge(
    "node_systemd_system_running",
    "Whether the system is operational (see 'systemctl is-system-running')",
);
const UNITS: Desc =
    gauge("node_systemd_units", "Summary of systemd unit states").labels(&["state"]);
const RESTART_TOTAL: Desc = counter(
    "node_systemd_service_restart_total",
    "Service unit count of Restart triggers",
)
.labels(NAME);
const TIMER: Desc = gauge(
    "node_systemd_timer_last_trigger_seconds",
    "Seconds since epoch of last trigger.",
)
.labels(NAME);
const ACCEPTED: Desc = counter(
    "node_systemd_socket_accepted_connections_total",
    "Total number of accepted socket connections",
)
.labels(NAME);
const CONNECTIONS: Desc = gauge(
    "node_systemd_socket_current_connections",
    "Current number of socket connections",
)
.labels(NAME);
/// A gauge, for it is one in node_exporter.
const REFUSED: Desc = gauge(
    "node_systemd_socket_refused_connections_total",
    "Total number of refused socket connections",
)
.labels(NAME);
const VERSION: Desc =
    gauge("node_systemd_version", "Detected systemd version").labels(&["version"]);
const VIRTUALIZATION: Desc = gauge(
    "node_systemd_virtualization_info",
    "Detected virtualization technology",
)
.labels(&["virtualization_type"]);

const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];
const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// Before the deadline of the scrape, so that what is there by then is shown.
const MARGIN: Duration = Duration::from_millis(300);
/// Questions to systemd under way at a time.
const PARALLEL: usize = 16;
/// More units than any host has.
const MAX_UNITS: usize = 20_000;

struct Systemd {
    bus: Bus,
    options: Options,
}

#[derive(Debug)]
struct Options {
    include: Option<Regex>,
    exclude: Option<Regex>,
    tasks: bool,
    restarts: bool,
    starts: bool,
}

/// What `ListUnits` says of a unit.
type Listed = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

#[derive(Debug, Clone)]
struct Unit {
    name: String,
    state: String,
    path: OwnedObjectPath,
}

impl Collector for Systemd {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let asked = self
            .bus
            .within(scrape.remaining(MARGIN), self.options.ask(&self.bus, out));
        Handle::current()
            .block_on(asked)
            .map_err(CollectError::failed)
    }
}

impl Options {
    /// What came before a question that is not answered is in `out`.
    async fn ask(&self, bus: &Bus, out: &mut Vec<Family>) -> Result<(), BusError> {
        let version = match bus.property::<String>(PATH, MANAGER, "Version").await {
            // Who cannot be reached for this is not asked for more.
            Err(error @ BusError::Connect { .. }) => return Err(error),
            answer => answer.unwrap_or_default(),
        };
        let number = version_number(&version);
        let mut family = Family::of(&VERSION);
        family.push(&[&version], number);
        out.push(family);
        let virtualization = bus
            .property::<String>(PATH, MANAGER, "Virtualization")
            .await;
        let mut family = Family::of(&VIRTUALIZATION);
        let virtualization = match &virtualization {
            Ok(text) if text.is_empty() => "none",
            Ok(text) => text,
            Err(_) => "unknown",
        };
        family.push(&[virtualization], 1.0);
        out.push(family);
        let mut listed: Vec<Listed> = bus.call(PATH, MANAGER, "ListUnits").await?;
        listed.truncate(MAX_UNITS);
        let mut summary = Family::of(&UNITS);
        for state in STATES {
            let count = listed.iter().filter(|it| it.3 == state).count();
            summary.push(&[state], count_of(count));
        }
        out.push(summary);
        let units: Vec<Unit> = listed
            .into_iter()
            .filter(|it| it.2 == "loaded" && self.wants(&it.0))
            .map(|it| Unit {
                name: it.0,
                state: it.3,
                path: it.6,
            })
            .collect();
        self.ask_units(bus, units, out).await;
        let state: String = bus.property(PATH, MANAGER, "SystemState").await?;
        out.push(Family::single(
            &RUNNING,
            if state == "running" { 1.0 } else { 0.0 },
        ));
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|it| it.is_match(name))
            && !self.exclude.as_ref().is_some_and(|it| it.is_match(name))
    }

    /// What each kind of unit has to say; a property that an older systemd lacks is left out.
    async fn ask_units(&self, bus: &Bus, units: Vec<Unit>, out: &mut Vec<Family>) {
        let bound = Arc::new(Semaphore::new(PARALLEL));
        let mut answers = JoinSet::new();
        let (tasks, restarts, starts) = (self.tasks, self.restarts, self.starts);
        for unit in units {
            let (bus, bound) = (bus.clone(), Arc::clone(&bound));
            answers.spawn(async move {
                // The semaphore is never closed.
                let _permit = bound.acquire_owned().await;
                let facts = Facts::ask(&bus, &unit, tasks, restarts, starts).await;
                (unit, facts)
            });
        }
        let mut state = Family::of(&STATE);
        let descs = [
            RESTART_TOTAL,
            TASKS_CURRENT,
            TASKS_MAX,
            START,
            TIMER,
            ACCEPTED,
            CONNECTIONS,
            REFUSED,
        ];
        let mut families = descs.map(|it| Family::of(&it));
        while let Some(answer) = answers.join_next().await {
            let Ok((unit, facts)) = answer else { continue };
            for name in STATES {
                let here = if unit.state == name { 1.0 } else { 0.0 };
                state.push(&[&unit.name, name, &facts.kind], here);
            }
            for (family, value) in families.iter_mut().zip(facts.values) {
                if let Some(value) = value {
                    family.push(&[&unit.name], value);
                }
            }
        }
        out.push(state);
        out.extend(families);
    }
}

/// What one unit says.
struct Facts {
    /// The type of a service or mount; empty for other units.
    kind: String,
    /// In the order of the families that they go to.
    values: [Option<f64>; 8],
}

impl Facts {
    async fn ask(bus: &Bus, unit: &Unit, tasks: bool, restarts: bool, starts: bool) -> Self {
        let mut facts = Self {
            kind: String::new(),
            values: [None; 8],
        };
        let [
            restart,
            current,
            max,
            start,
            timer,
            accepted,
            connections,
            refused,
        ] = &mut facts.values;
        match unit.name.rsplit('.').next() {
            Some("service") => {
                facts.kind = property(bus, unit, "Service", "Type")
                    .await
                    .unwrap_or_default();
                if restarts {
                    *restart = count(bus, unit, "Service", "NRestarts").await;
                }
                if tasks {
                    // The highest number means that there is none.
                    let known = |it: &f64| *it < float(u64::MAX);
                    *current = big(bus, unit, "Service", "TasksCurrent")
                        .await
                        .filter(known);
                    *max = big(bus, unit, "Service", "TasksMax").await.filter(known);
                }
            }
            Some("mount") => {
                facts.kind = property(bus, unit, "Mount", "Type")
                    .await
                    .unwrap_or_default();
            }
            Some("timer") => {
                *timer = big(bus, unit, "Timer", "LastTriggerUSec")
                    .await
                    .map(|it| it / 1e6);
            }
            Some("socket") => {
                *accepted = count(bus, unit, "Socket", "NAccepted").await;
                *connections = count(bus, unit, "Socket", "NConnections").await;
                *refused = count(bus, unit, "Socket", "NRefused").await;
            }
            _ => {}
        }
        if starts {
            *start = if unit.state == "active" {
                let entered = big(bus, unit, "Unit", "ActiveEnterTimestamp").await;
                entered.map(|it| it / 1e6)
            } else {
                Some(0.0)
            };
        }
        facts
    }
}

/// A property of a unit; None when it has none.
async fn property<T: TryFrom<OwnedVariant>>(
    bus: &Bus,
    unit: &Unit,
    kind: &str,
    property: &str,
) -> Option<T> {
    let interface = format!("org.freedesktop.systemd1.{kind}");
    let asked = bus.property(unit.path.as_str(), &interface, property);
    asked.await.ok()
}

async fn count(bus: &Bus, unit: &Unit, kind: &str, name: &str) -> Option<f64> {
    property::<u32>(bus, unit, kind, name).await.map(f64::from)
}

async fn big(bus: &Bus, unit: &Unit, kind: &str, name: &str) -> Option<f64> {
    property::<u64>(bus, unit, kind, name).await.map(float)
}

fn count_of(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// `252.38-1~deb12u1` to 252.38; 0 when there is no number of three digits.
fn version_number(version: &str) -> f64 {
    let bytes = version.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let Some(start) = (0..bytes.len()).find(|&at| digit(at) && digit(at + 1) && digit(at + 2))
    else {
        return 0.0;
    };
    let mut end = start;
    while digit(end) {
        end += 1;
    }
    if bytes.get(end) == Some(&b'.') && digit(end + 1) {
        end += 1;
        while digit(end) {
            end += 1;
        }
    }
    version
        .get(start..end)
        .and_then(|it| it.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "zbus' macro for the scripted systemd uses a HashMap"
)]
mod tests {
    use std::{os::unix::net::UnixStream, time::Duration};

    use exposition::{Family, Format, gather, write};
    use zbus::{Connection, Guid, OwnedObjectPath, connection::Builder, interface};

    use super::{Listed, Options, SERVICE, version_number};
    use crate::{
        dbus::{Bus, BusError},
        filter::compile,
    };

    #[test]
    fn versions() {
        for (text, expect) in [
            ("252.38-1~deb12u1", 252.38),
            ("v255", 255.0),
            ("systemd 219 (el7)", 219.0),
            ("99", 0.0),
            ("", 0.0),
            ("252.x", 252.0),
        ] {
            assert_eq!(version_number(text), expect, "{text}");
        }
    }

    /// A systemd of three units, or one that never lists them.
    struct Manager {
        hangs: bool,
    }

    #[interface(name = "org.freedesktop.systemd1.Manager")]
    impl Manager {
        async fn list_units(&self) -> Vec<Listed> {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let path = |name: &str| {
                let path = format!("/org/freedesktop/systemd1/unit/{name}");
                OwnedObjectPath::try_from(path).expect("a path of letters")
            };
            [
                ("ssh.service", "active", "a"),
                ("bad.service", "failed", "b"),
                ("daily.timer", "active", "c"),
                ("x.mount", "active", "d"),
            ]
            .into_iter()
            .map(|(name, state, at)| {
                let text = String::new;
                (
                    name.to_owned(),
                    text(),
                    "loaded".to_owned(),
                    state.to_owned(),
                    text(),
                    text(),
                    path(at),
                    0,
                    text(),
                    path(at),
                )
            })
            .collect()
        }

        #[zbus(property)]
        fn version(&self) -> String {
            "252.38-1".to_owned()
        }

        #[zbus(property)]
        fn virtualization(&self) -> String {
            String::new()
        }

        #[zbus(property)]
        fn system_state(&self) -> String {
            "degraded".to_owned()
        }
    }

    struct Service(u32);

    #[interface(name = "org.freedesktop.systemd1.Service")]
    impl Service {
        #[zbus(property, name = "Type")]
        fn kind(&self) -> String {
            "notify".to_owned()
        }

        #[zbus(property, name = "NRestarts")]
        fn restarts(&self) -> u32 {
            self.0
        }

        #[zbus(property)]
        fn tasks_current(&self) -> u64 {
            7
        }

        #[zbus(property)]
        fn tasks_max(&self) -> u64 {
            u64::MAX
        }
    }

    struct Timer;

    #[interface(name = "org.freedesktop.systemd1.Timer")]
    impl Timer {
        #[zbus(property, name = "LastTriggerUSec")]
        fn last_trigger(&self) -> u64 {
            1_500_000
        }
    }

    struct Unit;

    #[interface(name = "org.freedesktop.systemd1.Unit")]
    impl Unit {
        #[zbus(property)]
        fn active_enter_timestamp(&self) -> u64 {
            1_700_000_000_000_000
        }
    }

    /// The scripted systemd, and a connection to it.
    async fn systemd(hangs: bool) -> (Connection, Bus) {
        let (server, client) = UnixStream::pair().unwrap();
        let unit = |name: &str| format!("/org/freedesktop/systemd1/unit/{name}");
        let server = Builder::unix_stream(server)
            .server(Guid::generate())
            .p2p()
            .serve_at("/org/freedesktop/systemd1", Manager { hangs })
            .serve_at(unit("a"), Service(3))
            .serve_at(unit("a"), Unit)
            .serve_at(unit("b"), Service(0))
            .serve_at(unit("c"), Timer)
            .build();
        let client = Builder::unix_stream(client).p2p().build();
        let (server, client) = tokio::join!(server, client);
        (server.unwrap(), Bus::of(SERVICE, client.unwrap()))
    }

    fn options() -> Options {
        Options {
            include: None,
            exclude: compile("x", Some(".+\\.mount")).unwrap(),
            tasks: true,
            restarts: true,
            starts: true,
        }
    }

    fn lines(families: Vec<Family>) -> String {
        let text = String::from_utf8(write(&gather(families).0, Format::Text)).unwrap();
        let lines = text
            .lines()
            .filter(|it| !it.starts_with('#') && !it.ends_with(" 0"));
        lines
            .map(|it| it.replace("node_systemd_", ""))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answers() {
        let (_server, bus) = systemd(false).await;
        let mut out = Vec::new();
        let patience = Duration::from_secs(60);
        let options = options();
        bus.within(patience, options.ask(&bus, &mut out))
            .await
            .unwrap();
        let expect = r#"service_restart_total{name="ssh.service"} 3
timer_last_trigger_seconds{name="daily.timer"} 1.5
unit_start_time_seconds{name="ssh.service"} 1.7e+09
unit_state{name="bad.service",state="failed",type="notify"} 1
unit_state{name="daily.timer",state="active",type=""} 1
unit_state{name="ssh.service",state="active",type="notify"} 1
unit_tasks_current{name="bad.service"} 7
unit_tasks_current{name="ssh.service"} 7
units{state="active"} 3
units{state="failed"} 1
version{version="252.38-1"} 252.38
virtualization_info{virtualization_type="none"} 1"#;
        assert_eq!(lines(out), expect);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_systemd_that_hangs_costs_its_own_metrics() {
        let (_server, bus) = systemd(true).await;
        let mut out = Vec::new();
        let patience = Duration::from_millis(500);
        let options = options();
        let asked = bus.within(patience, options.ask(&bus, &mut out)).await;
        assert!(matches!(asked, Err(BusError::Late { .. })), "{asked:?}");
        assert!(lines(out).starts_with("version{"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bus_that_ends_is_an_error() {
        let (server, bus) = systemd(false).await;
        server.close().await.unwrap();
        let mut out = Vec::new();
        let options = options();
        let asked = bus
            .within(Duration::from_secs(60), options.ask(&bus, &mut out))
            .await;
        assert!(matches!(asked, Err(BusError::Ask { .. })), "{asked:?}");
    }
}
