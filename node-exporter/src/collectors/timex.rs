//! `node_timex_*`: how well the clock is kept, from adjtimex(2).

use std::io;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, no_flags};
use crate::host::signed;

pub(super) const ENTRY: Entry = Entry {
    name: "timex",
    default: true,
    flags: no_flags,
    make: |_| Ok(Box::new(Timex)),
    descs: &[
        SYNC,
        OFFSET,
        FREQUENCY,
        MAX_ERROR,
        ERROR,
        STATUS,
        CONSTANT,
        TICK,
        PPS_FREQUENCY,
        JITTER,
        SHIFT,
        STABILITY,
        JITTERS,
        CALIBRATIONS,
        ERRORS,
        EXCEEDED,
        TAI,
    ],
};

const SYNC: Desc = gauge(
    "node_timex_sync_status",
    "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
);
const OFFSET: Desc = gauge(
    "node_timex_offset_seconds",
    "Time offset in between local system and reference clock.",
);
const FREQUENCY: Desc = gauge(
    "node_timex_frequency_adjustment_ratio",
    "Local clock frequency adjustment.",
);
const MAX_ERROR: Desc = gauge("node_timex_maxerror_seconds", "Maximum error in seconds.");
const ERROR: Desc = gauge(
    "node_timex_estimated_error_seconds",
    "Estimated error in seconds.",
);
const STATUS: Desc = gauge("node_timex_status", "Value of the status array bits.");
const CONSTANT: Desc = gauge(
    "node_timex_loop_time_constant",
    "Phase-locked loop time constant.",
);
const TICK: Desc = gauge("node_timex_tick_seconds", "Seconds between clock ticks.");
const PPS_FREQUENCY: Desc = gauge(
    "node_timex_pps_frequency_hertz",
    "Pulse per second frequency.",
);
const JITTER: Desc = gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter.");
const SHIFT: Desc = gauge(
    "node_timex_pps_shift_seconds",
    "Pulse per second interval duration.",
);
const STABILITY: Desc = gauge(
    "node_timex_pps_stability_hertz",
    "Pulse per second stability, average of recent frequency changes.",
);
const JITTERS: Desc = counter(
    "node_timex_pps_jitter_total",
    "Pulse per second count of jitter limit exceeded events.",
);
const CALIBRATIONS: Desc = counter(
    "node_timex_pps_calibration_total",
    "Pulse per second count of calibration intervals.",
);
const ERRORS: Desc = counter(
    "node_timex_pps_error_total",
    "Pulse per second count of calibration errors.",
);
const EXCEEDED: Desc = counter(
    "node_timex_pps_stability_exceeded_total",
    "Pulse per second count of stability limit exceeded events.",
);
const TAI: Desc = gauge(
    "node_timex_tai_offset_seconds",
    "International Atomic Time (TAI) offset.",
);

/// Frequencies are in parts per million with 16 bits behind the point.
const PPM: f64 = 1_000_000.0 * 65_536.0;

struct Timex;

impl Collector for Timex {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let (state, timex) = match read() {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(CollectError::NoData);
            }
            Err(error) => return Err(CollectError::failed(error)),
        };
        let divisor = if timex.status & libc::STA_NANO == 0 {
            1e6
        } else {
            1e9
        };
        let values = [
            (&SYNC, f64::from(u8::from(state != libc::TIME_ERROR))),
            (&OFFSET, signed(timex.offset) / divisor),
            (&FREQUENCY, 1.0 + signed(timex.freq) / PPM),
            (&MAX_ERROR, signed(timex.maxerror) / 1e6),
            (&ERROR, signed(timex.esterror) / 1e6),
            (&STATUS, f64::from(timex.status)),
            (&CONSTANT, signed(timex.constant)),
            (&TICK, signed(timex.tick) / 1e6),
            (&PPS_FREQUENCY, signed(timex.ppsfreq) / PPM),
            (&JITTER, signed(timex.jitter) / divisor),
            (&SHIFT, f64::from(timex.shift)),
            (&STABILITY, signed(timex.stabil) / PPM),
            (&JITTERS, signed(timex.jitcnt)),
            (&CALIBRATIONS, signed(timex.calcnt)),
            (&ERRORS, signed(timex.errcnt)),
            (&EXCEEDED, signed(timex.stbcnt)),
            (&TAI, f64::from(timex.tai)),
        ];
        out.extend(values.map(|(desc, value)| Family::single(desc, value)));
        Ok(())
    }
}

/// The clock's state and parameters; changes nothing and needs no capability.
#[expect(unsafe_code, reason = "no library that we use has adjtimex(2)")]
fn read() -> io::Result<(libc::c_int, libc::timex)> {
    // SAFETY: `timex` is a plain structure of C of which zeros are a value (modes = 0: read only), and the pointer is to
    // one that lives through the call.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((state, timex))
}
