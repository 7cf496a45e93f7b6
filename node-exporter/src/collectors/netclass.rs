//! `node_network_info`, `_up`, `_carrier`, `_speed_bytes` and so on, from `/sys/class/net` (kernel, `sysfs-class-net`).

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, counter, gauge};
use crate::{
    filter::{Default, Pattern},
    flags::{ignored_switch, switch, switched, value},
    host::{Host, integer, parse_error, signed},
};

pub(super) const ENTRY: Entry = Entry {
    name: "netclass",
    default: true,
    flags: |command| {
        let command = value(
            command,
            IGNORED,
            false,
            "Regexp of net devices to ignore for netclass collector",
        );
        let command = switch(
            command,
            INVALID_SPEED,
            "Leave out the speed of devices where it is invalid",
        );
        // sysfs has all that netlink has.
        let command = ignored_switch(command, "collector.netclass.netlink");
        ignored_switch(command, "collector.netclass_rtnl.with-stats")
    },
    make: |setup| {
        Ok(Box::new(Netclass {
            host: Arc::clone(&setup.host),
            ignored: Default::EMPTY.or_given(setup.matches, IGNORED)?,
            ignore_invalid_speed: switched(setup.matches, INVALID_SPEED).unwrap_or(false),
            seen: Mutex::default(),
        }))
    },
    descs: &[
        UP,
        INFO,
        SPEED,
        NUMBERS[0].1,
        NUMBERS[1].1,
        NUMBERS[2].1,
        NUMBERS[3].1,
        NUMBERS[4].1,
        NUMBERS[5].1,
        NUMBERS[6].1,
        NUMBERS[7].1,
        NUMBERS[8].1,
        NUMBERS[9].1,
        NUMBERS[10].1,
        NUMBERS[11].1,
        NUMBERS[12].1,
        NUMBERS[13].1,
        NUMBERS[14].1,
        NUMBERS[15].1,
    ],
};

const IGNORED: &str = "collector.netclass.ignored-devices";
const INVALID_SPEED: &str = "collector.netclass.ignore-invalid-speed";

const UP: Desc = gauge(
    "node_network_up",
    "Value is 1 if operstate is 'up', 0 otherwise.",
)
.labels(&["device"]);
const INFO: Desc = gauge(
    "node_network_info",
    "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
)
.labels(&[
    "device",
    "address",
    "broadcast",
    "duplex",
    "operstate",
    "adminstate",
    "ifalias",
]);
const SPEED: Desc = gauge(
    "node_network_speed_bytes",
    "Network device property: speed_bytes",
)
.labels(&["device"]);

macro_rules! number {
    ($kind:ident, $file:literal, $name:literal) => {
        (
            $file,
            $kind(
                concat!("node_network_", $name),
                concat!("Network device property: ", $name),
            )
            .labels(&["device"]),
        )
    };
}

/// The files of one number.
const NUMBERS: [(&str, Desc); 16] = [
    number!(gauge, "addr_assign_type", "address_assign_type"),
    number!(gauge, "carrier", "carrier"),
    number!(counter, "carrier_changes", "carrier_changes_total"),
    number!(counter, "carrier_up_count", "carrier_up_changes_total"),
    number!(counter, "carrier_down_count", "carrier_down_changes_total"),
    number!(gauge, "dev_id", "device_id"),
    number!(gauge, "dormant", "dormant"),
    number!(gauge, "flags", "flags"),
    number!(gauge, "ifindex", "iface_id"),
    number!(gauge, "iflink", "iface_link"),
    number!(gauge, "link_mode", "iface_link_mode"),
    number!(gauge, "mtu", "mtu_bytes"),
    number!(gauge, "name_assign_type", "name_assign_type"),
    number!(gauge, "netdev_group", "net_dev_group"),
    number!(gauge, "tx_queue_len", "transmit_queue_length"),
    number!(gauge, "type", "protocol_type"),
];
/// Where the flags are among them; bit 0 is `IFF_UP` (netdevice(7)).
const FLAGS: usize = 7;

struct Netclass {
    host: Arc<Host>,
    /// None matches everything.
    ignored: Option<Pattern>,
    ignore_invalid_speed: bool,
    /// The numbers of the devices: what had a name before may have another now, and its open files with it.
    seen: Mutex<BTreeMap<String, String>>,
}

impl Collector for Netclass {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let folder = self.host.sys("class/net");
        let [mut up, mut info, mut speeds] = [&UP, &INFO, &SPEED].map(Family::of);
        let mut families: Vec<_> = NUMBERS.iter().map(|(_, desc)| Family::of(desc)).collect();
        for device in self.host.devices(&folder)? {
            if self.ignored.as_ref().is_none_or(|it| it.is_match(&device)) {
                continue;
            }
            let path = folder.join(&device);
            self.renew(&device, &path);
            let text = |file: &str| self.host.maybe(&path.join(file));
            let number = |file: &str| {
                let Some(text) = text(file)? else {
                    return Ok(None);
                };
                let number = integer(&text).ok_or_else(|| parse_error(&path.join(file), text))?;
                Ok::<_, CollectError>(Some(number))
            };
            let mut state = "unknown";
            for (at, (family, (file, _))) in families.iter_mut().zip(&NUMBERS).enumerate() {
                let Some(value) = number(file)? else {
                    continue;
                };
                family.push(&[&device], signed(value));
                if at == FLAGS {
                    state = if value & 1 == 1 { "up" } else { "down" };
                }
            }
            // In Mbit/s; -1 for a device that has none.
            if let Some(speed) = number("speed")?
                && (speed >= 0 || !self.ignore_invalid_speed)
            {
                speeds.push(&[&device], signed(speed.saturating_mul(1_000_000) / 8));
            }
            let text = |file: &str| text(file).map(Option::unwrap_or_default);
            let operational = text("operstate")?;
            up.push(&[&device], f64::from(u8::from(operational == "up")));
            info.push(
                &[
                    &device,
                    &text("address")?,
                    &text("broadcast")?,
                    &text("duplex")?,
                    &operational,
                    state,
                    &text("ifalias")?,
                ],
                1.0,
            );
        }
        out.extend([up, info, speeds]);
        out.extend(families);
        Ok(())
    }
}

impl Netclass {
    /// Closes a device's files when another has its name.
    fn renew(&self, device: &str, path: &Path) {
        let number = self
            .host
            .read_once(&path.join("ifindex"))
            .unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(device) != Some(&number) {
            self.host.forget(path);
            seen.insert(device.to_owned(), number);
        }
        // Names that are no more used are not worth the memory.
        if seen.len() > 4096 {
            seen.clear();
        }
    }
}
