//! `node_sysctl_*`: settings of the kernel that `--collector.sysctl.include` names, from `/proc/sys` (sysctl(8)).

use std::sync::Arc;

use clap::{Arg, ArgAction, Command};
use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind, Labels};

use super::{Entry, Named, gauge, labels, sanitized};
use crate::host::{Host, integer, parse_error, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "sysctl",
    default: false,
    flags: |command| {
        let command = several(
            command,
            NUMBERS,
            "Setting to show: name, or name:key,key for the names of its values; may be given several times",
        );
        several(
            command,
            TEXTS,
            "Setting to show as a label of node_sysctl_info; may be given several times",
        )
    },
    make: |setup| {
        let given = |flag| {
            let values = setup.matches.get_many::<String>(flag);
            values.unwrap_or_default().cloned().collect::<Vec<_>>()
        };
        let settings = |flag, numeric| {
            given(flag)
                .into_iter()
                .map(move |it| match it.split_once(':') {
                    Some((name, keys)) => Setting {
                        name: name.to_owned(),
                        keys: keys.split(',').map(str::to_owned).collect(),
                        numeric,
                    },
                    None => Setting {
                        name: it,
                        keys: Vec::new(),
                        numeric,
                    },
                })
        };
        Ok(Box::new(Sysctl {
            host: Arc::clone(&setup.host),
            settings: settings(NUMBERS, true)
                .chain(settings(TEXTS, false))
                .collect(),
        }))
    },
    // The others' names are the settings'.
    descs: &[INFO],
};

const NUMBERS: &str = "collector.sysctl.include";
const TEXTS: &str = "collector.sysctl.include-info";
const INFO: Desc = gauge("node_sysctl_info", "sysctl info").labels(&["name", "value", "index"]);

fn several(command: Command, name: &'static str, help: &'static str) -> Command {
    command.arg(
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::Append),
    )
}

struct Setting {
    name: String,
    keys: Vec<String>,
    numeric: bool,
}

struct Sysctl {
    host: Arc<Host>,
    settings: Vec<Setting>,
}

impl Collector for Sysctl {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut info = Family::of(&INFO);
        let mut named = Named::default();
        for setting in &self.settings {
            self.show(setting, &mut info, &mut named)?;
        }
        out.push(info);
        out.extend(named.families());
        Ok(())
    }
}

impl Sysctl {
    fn show(
        &self,
        setting: &Setting,
        info: &mut Family,
        named: &mut Named,
    ) -> Result<(), CollectError> {
        let Setting {
            name,
            keys,
            numeric,
        } = setting;
        let path = self.host.proc("sys").join(name.replace('.', "/"));
        let text = self.host.text(&path)?;
        let values: Vec<_> = text.split_ascii_whitespace().collect();
        let keyed = !keys.is_empty();
        if values.is_empty() || (keyed && (keys.len() != values.len() || values.len() == 1)) {
            let what = format!(
                "it has {} values, the flag names {}",
                values.len(),
                keys.len()
            );
            return Err(parse_error(&path, what).into());
        }
        if keyed && !numeric {
            return Err(parse_error(&path, "values that are shown as labels have no keys").into());
        }
        for (index, value) in values.iter().enumerate() {
            let at = index.to_string();
            if !numeric {
                info.push(&[name, value, &at], 1.0);
                continue;
            }
            let number = integer(value).ok_or_else(|| parse_error(&path, text.as_str()))?;
            let metric = format!("node_sysctl_{}", sanitized(name));
            match keys.get(index) {
                Some(key) => {
                    let help = || format!("sysctl {name}, field {index}");
                    let metric = format!("{metric}_{key}");
                    named.push(&metric, Kind::Untyped, help, Labels::EMPTY, signed(number));
                }
                None => {
                    let labels = match values.len() {
                        1 => Labels::EMPTY,
                        _ => labels([("index", at.as_str())]),
                    };
                    let help = || format!("sysctl {name}");
                    named.push(&metric, Kind::Untyped, help, labels, signed(number));
                }
            }
        }
        Ok(())
    }
}
