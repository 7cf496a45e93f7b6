//! The clock, its zone, and the clock sources of sysfs.

use std::sync::{Arc, OnceLock};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};
use jiff::tz::TimeZone;

use super::{Entry, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "time",
    default: true,
    flags: no_flags,
    make: |setup| {
        Ok(Box::new(Time {
            host: Arc::clone(&setup.host),
            zone: OnceLock::new(),
        }))
    },
    descs: &[SECONDS, ZONE, AVAILABLE, CURRENT],
};

const SECONDS: Desc = Desc::new(
    "node_time_seconds",
    Kind::Gauge,
    "System time in seconds since epoch (1970).",
);
const ZONE: Desc = Desc::new(
    "node_time_zone_offset_seconds",
    Kind::Gauge,
    "System time zone offset in seconds.",
)
.labels(&["time_zone"]);
const AVAILABLE: Desc = Desc::new(
    "node_time_clocksource_available_info",
    Kind::Gauge,
    "Available clocksources read from '/sys/devices/system/clocksource'.",
)
.labels(&["device", "clocksource"]);
const CURRENT: Desc = Desc::new(
    "node_time_clocksource_current_info",
    Kind::Gauge,
    "Current clocksource read from '/sys/devices/system/clocksource'.",
)
.labels(&["device", "clocksource"]);

struct Time {
    host: Arc<Host>,
    /// Read once, as Go does.
    zone: OnceLock<TimeZone>,
}

impl Collector for Time {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let now = jiff::Timestamp::now().to_zoned(self.zone.get_or_init(zone).clone());
        out.push(Family::single(
            &SECONDS,
            now.timestamp().as_duration().as_secs_f64(),
        ));
        let mut zone = Family::of(&ZONE);
        let name = now.strftime("%Z").to_string();
        zone.push(&[&name], f64::from(now.offset().seconds()));
        out.push(zone);
        let folder = self.host.sys("devices/system/clocksource");
        let (mut available, mut current) = (Family::of(&AVAILABLE), Family::of(&CURRENT));
        for (number, path) in self.host.numbered(&folder, "clocksource") {
            let device = number.to_string();
            let names = self.host.read(&path.join("available_clocksource"))?;
            for name in names.split_ascii_whitespace() {
                available.push(&[&device, name], 1.0);
            }
            let name = self.host.read(&path.join("current_clocksource"))?;
            current.push(&[&device, name.trim()], 1.0);
        }
        out.extend([available, current]);
        Ok(())
    }
}

/// The machine's zone. What `TZ` names is looked for in the database of zones, which takes longer than a scrape; the usual
/// case is one file.
fn zone() -> TimeZone {
    if std::env::var_os("TZ").is_some() {
        return TimeZone::system();
    }
    let file = std::fs::read("/etc/localtime").ok();
    let zone = file.and_then(|it| TimeZone::tzif("", &it).ok());
    zone.unwrap_or(TimeZone::UTC)
}
