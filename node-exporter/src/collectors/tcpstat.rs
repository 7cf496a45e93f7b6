//! `node_tcp_connection_states`: TCP connections by state and the bytes they hold, asked of the kernel over netlink (sock_diag(7)).

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};
use rustix::net::{AddressFamily, netlink::SOCK_DIAG};

use super::{Entry, gauge, no_flags};
use crate::{
    host::{Host, float},
    netlink::{dump, u32_at},
};

pub(super) const ENTRY: Entry = Entry {
    name: "tcpstat",
    default: false,
    flags: no_flags,
    make: |setup| {
        Ok(Box::new(Tcp {
            host: Arc::clone(&setup.host),
        }))
    },
    descs: &[STATES],
};

const STATES: Desc =
    gauge("node_tcp_connection_states", "Number of connection states.").labels(&["state"]);
/// The kernel's states from 1 on (`net/tcp_states.h`).
const NAMES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];
const BY_FAMILY: u16 = 20;
const ALL_STATES: u32 = 0xfff;
const TCP: u8 = 6;

struct Tcp {
    host: Arc<Host>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    states: [u64; NAMES.len()],
    unknown: u64,
    received: u64,
    sending: u64,
    any: bool,
}

impl Collector for Tcp {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut counts = Counts::default();
        let mut families = vec![AddressFamily::INET];
        if self.host.proc("net/tcp6").exists() {
            families.push(AddressFamily::INET6);
        }
        for family in families {
            let question = question(family);
            let messages =
                dump(Some(SOCK_DIAG), BY_FAMILY, &question).map_err(CollectError::failed)?;
            messages.iter().for_each(|it| counts.add(it));
        }
        let mut family = Family::of(&STATES);
        for (name, count) in NAMES.into_iter().zip(counts.states) {
            if count > 0 {
                family.push(&[name], float(count));
            }
        }
        if counts.unknown > 0 {
            family.push(&["unknown"], float(counts.unknown));
        }
        if counts.any {
            family.push(&["rx_queued_bytes"], float(counts.received));
            family.push(&["tx_queued_bytes"], float(counts.sending));
        }
        out.push(family);
        Ok(())
    }
}

/// struct inet_diag_req_v2: connections of every state.
fn question(family: AddressFamily) -> Vec<u8> {
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    let mut question = vec![family, TCP, 0, 0];
    question.extend(ALL_STATES.to_ne_bytes());
    question.resize(56, 0);
    question
}

impl Counts {
    /// Adds one connection: struct inet_diag_msg.
    pub(super) fn add(&mut self, message: &[u8]) {
        let (Some(&state), Some(received), Some(sending)) =
            (message.get(1), u32_at(message, 56), u32_at(message, 60))
        else {
            return;
        };
        self.any = true;
        self.received += u64::from(received);
        self.sending += u64::from(sending);
        let at = usize::from(state).checked_sub(1);
        match at.and_then(|it| self.states.get_mut(it)) {
            Some(count) => *count += 1,
            None => self.unknown += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn connections() {
        let mut message = [0_u8; 72];
        message[1] = 10;
        message[56..60].copy_from_slice(&5_u32.to_ne_bytes());
        let mut counts = Counts::default();
        counts.add(&message);
        counts.add(&message[..59]);
        message[1] = 99;
        counts.add(&message);
        assert_eq!(
            (counts.states[9], counts.unknown, counts.received),
            (1, 1, 10)
        );
    }
}
