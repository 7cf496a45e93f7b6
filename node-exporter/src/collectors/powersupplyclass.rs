//! `node_power_supply_*`, from `/sys/class/power_supply` (kernel, `sysfs-class-power`).

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Family, Kind};

use super::{Entry, Named, labels};
use crate::{
    filter::{Default, Pattern},
    flags::value,
    host::{Host, integer, parse_error, signed},
};

pub(super) const ENTRY: Entry = Entry {
    name: "powersupplyclass",
    default: true,
    flags: |command| {
        value(
            command,
            IGNORED,
            false,
            "Regexp of power supplies to ignore for powersupplyclass collector",
        )
    },
    make: |setup| {
        Ok(Box::new(PowerSupplies {
            host: Arc::clone(&setup.host),
            ignored: Default::EMPTY.or_given(setup.matches, IGNORED)?,
        }))
    },
    // Which there are is the firmware's.
    descs: &[],
};

const IGNORED: &str = "collector.powersupply.ignored-supplies";

/// The files of one number, the end of the metric's name, and by what the number is divided: currents, voltages,
/// charges and energies are in millionths, temperatures in tenths.
const NUMBERS: [(&str, &str, f64); 49] = [
    ("authentic", "authentic", 1.0),
    ("calibrate", "calibrate", 1.0),
    ("capacity", "capacity", 1.0),
    ("capacity_alert_max", "capacity_alert_max", 1.0),
    ("capacity_alert_min", "capacity_alert_min", 1.0),
    ("cycle_count", "cyclecount", 1.0),
    ("online", "online", 1.0),
    ("present", "present", 1.0),
    ("time_to_empty_now", "time_to_empty_seconds", 1.0),
    ("time_to_full_now", "time_to_full_seconds", 1.0),
    ("current_boot", "current_boot", 1e6),
    ("current_max", "current_max", 1e6),
    ("current_now", "current_ampere", 1e6),
    ("energy_empty", "energy_empty", 1e6),
    ("energy_empty_design", "energy_empty_design", 1e6),
    ("energy_full", "energy_full", 1e6),
    ("energy_full_design", "energy_full_design", 1e6),
    ("energy_now", "energy_watthour", 1e6),
    ("voltage_boot", "voltage_boot", 1e6),
    ("voltage_max", "voltage_max", 1e6),
    ("voltage_max_design", "voltage_max_design", 1e6),
    ("voltage_min", "voltage_min", 1e6),
    ("voltage_min_design", "voltage_min_design", 1e6),
    ("voltage_now", "voltage_volt", 1e6),
    ("voltage_ocv", "voltage_ocv", 1e6),
    ("charge_control_limit", "charge_control_limit", 1e6),
    ("charge_control_limit_max", "charge_control_limit_max", 1e6),
    ("charge_counter", "charge_counter", 1e6),
    ("charge_empty", "charge_empty", 1e6),
    ("charge_empty_design", "charge_empty_design", 1e6),
    ("charge_full", "charge_full", 1e6),
    ("charge_full_design", "charge_full_design", 1e6),
    ("charge_now", "charge_ampere", 1e6),
    ("charge_term_current", "charge_term_current", 1e6),
    ("constant_charge_current", "constant_charge_current", 1e6),
    (
        "constant_charge_current_max",
        "constant_charge_current_max",
        1e6,
    ),
    ("constant_charge_voltage", "constant_charge_voltage", 1e6),
    (
        "constant_charge_voltage_max",
        "constant_charge_voltage_max",
        1e6,
    ),
    ("precharge_current", "precharge_current", 1e6),
    ("input_current_limit", "input_current_limit", 1e6),
    ("power_now", "power_watt", 1e6),
    ("temp", "temp_celsius", 10.0),
    ("temp_alert_max", "temp_alert_max_celsius", 10.0),
    ("temp_alert_min", "temp_alert_min_celsius", 10.0),
    ("temp_ambient", "temp_ambient_celsius", 10.0),
    ("temp_ambient_max", "temp_ambient_max_celsius", 10.0),
    ("temp_ambient_min", "temp_ambient_min_celsius", 10.0),
    ("temp_max", "temp_max_celsius", 10.0),
    ("temp_min", "temp_min_celsius", 10.0),
];
const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

struct PowerSupplies {
    host: Arc<Host>,
    /// None matches everything.
    ignored: Option<Pattern>,
}

impl Collector for PowerSupplies {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let folder = self.host.sys("class/power_supply");
        let mut named = Named::default();
        for supply in self.host.names(&folder)? {
            if self.ignored.as_ref().is_none_or(|it| it.is_match(&supply)) {
                continue;
            }
            let path = folder.join(&supply);
            for (file, name, divisor) in NUMBERS {
                let path = path.join(file);
                let Some(text) = self.host.maybe(&path)? else {
                    continue;
                };
                let value = integer(&text).ok_or_else(|| parse_error(&path, text))?;
                named.push(
                    &format!("node_power_supply_{name}"),
                    Kind::Gauge,
                    || format!("{name} value of /sys/class/power_supply/<power_supply>."),
                    labels([("power_supply", supply.as_str())]),
                    signed(value) / divisor,
                );
            }
            let mut info = vec![("power_supply", supply.clone())];
            for file in TEXTS {
                let text = self.host.maybe(&path.join(file))?;
                info.extend(text.filter(|it| !it.is_empty()).map(|it| (file, it)));
            }
            named.push(
                "node_power_supply_info",
                Kind::Gauge,
                || "info of /sys/class/power_supply/<power_supply>.".to_owned(),
                labels(info.iter().map(|(name, value)| (*name, value.as_str()))),
                1.0,
            );
        }
        out.extend(named.families());
        Ok(())
    }
}
