//! `time_intervals`, and the older `mute_time_intervals` that mean the same.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    section::{Record, Value},
    yaml::Mistake,
};
use crate::calendar::{TimeInterval, TimeIntervals, TimeRange, zone};

/// By their names.
pub(super) fn all(file: &Record) -> Result<BTreeMap<String, Arc<TimeIntervals>>, Mistake> {
    let mut found = BTreeMap::new();
    for key in ["mute_time_intervals", "time_intervals"] {
        for it in file.records(key) {
            let name = it.text("name").to_owned();
            let intervals: Result<_, _> =
                it.records("time_intervals").iter().map(interval).collect();
            let intervals = TimeIntervals {
                name: name.clone(),
                intervals: intervals?,
            };
            if found.insert(name.clone(), Arc::new(intervals)).is_some() {
                let reason =
                    format!("{key}: the name {name:?} is given twice; names must be unique");
                return Err(it.wrong("name", reason));
            }
        }
    }
    Ok(found)
}

fn interval(it: &Record) -> Result<TimeInterval, Mistake> {
    let times = match it.get("times") {
        Value::Records(times) => {
            let times = times.iter().map(|it| {
                let range = TimeRange::parse(it.text("start_time"), it.text("end_time"));
                range.map_err(|reason| it.wrong("start_time", reason))
            });
            Some(times.collect::<Result<_, _>>()?)
        }
        _ => None,
    };
    Ok(TimeInterval {
        times,
        weekdays: it.ranges("weekdays"),
        days_of_month: it.ranges("days_of_month"),
        months: it.ranges("months"),
        years: it.ranges("years"),
        location: it.some_text("location").and_then(|it| zone(&it)),
    })
}
