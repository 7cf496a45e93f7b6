//! `node_thermal_zone_temp` and `node_cooling_device_*`, from `/sys/class/thermal` (kernel, `sysfs-class-thermal`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, parse_error, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "thermal_zone",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[TEMPERATURE, CURRENT, MAXIMUM],
};

const TEMPERATURE: Desc =
    gauge("node_thermal_zone_temp", "Zone temperature in Celsius").labels(&["zone", "type"]);
const CURRENT: Desc = gauge(
    "node_cooling_device_cur_state",
    "Current throttle state of the cooling device",
)
.labels(&["name", "type"]);
const MAXIMUM: Desc = gauge(
    "node_cooling_device_max_state",
    "Maximum throttle state of the cooling device",
)
.labels(&["name", "type"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("class/thermal");
    let [mut temperatures, mut current, mut maximum] =
        [&TEMPERATURE, &CURRENT, &MAXIMUM].map(Family::of);
    for (zone, path) in host.numbered(&folder, "thermal_zone") {
        let kind = host.maybe(&path.join("type"))?.unwrap_or_default();
        // A zone that is asleep has no temperature, in millidegrees Celsius, and shows as 0.
        let temperature = host.text(&path.join("temp")).ok();
        let temperature = temperature.and_then(|it| it.parse().ok()).unwrap_or(0);
        temperatures.push(&[&zone.to_string(), &kind], signed(temperature) / 1000.0);
    }
    for (name, path) in host.numbered(&folder, "cooling_device") {
        let state = |family: &mut Family, file| {
            let path = path.join(file);
            let Some(text) = host.maybe(&path)? else {
                return Ok(());
            };
            let state = text
                .parse()
                .map_err(|_error| parse_error(&path, text.as_str()))?;
            let kind = host
                .maybe(&path.with_file_name("type"))?
                .unwrap_or_default();
            family.push(&[&name.to_string(), &kind], signed(state));
            Ok::<_, CollectError>(())
        };
        state(&mut maximum, "max_state")?;
        state(&mut current, "cur_state")?;
    }
    out.extend([temperatures, current, maximum]);
    Ok(())
}
