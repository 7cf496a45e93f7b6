//! The clock, its zone, and the clock sources of sysfs.

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "time",
    default: true,
    flags: no_flags,
    make: |setup| Ok(Box::new(Time(Arc::clone(&setup.host)))),
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

struct Time(Arc<Host>);

impl Collector for Time {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let now = jiff::Zoned::now();
        out.push(Family::single(
            &SECONDS,
            now.timestamp().as_duration().as_secs_f64(),
        ));
        let mut zone = Family::of(&ZONE);
        let name = now.strftime("%Z").to_string();
        zone.push(&[&name], f64::from(now.offset().seconds()));
        out.push(zone);
        let folder = self.0.sys("devices/system/clocksource");
        let (mut available, mut current) = (Family::of(&AVAILABLE), Family::of(&CURRENT));
        for (number, path) in self.0.numbered(&folder, "clocksource") {
            let device = number.to_string();
            let names = self.0.read(&path.join("available_clocksource"))?;
            for name in names.split_ascii_whitespace() {
                available.push(&[&device, name], 1.0);
            }
            let name = self.0.read(&path.join("current_clocksource"))?;
            current.push(&[&device, name.trim()], 1.0);
        }
        out.extend([available, current]);
        Ok(())
    }
}
