//! `node_logind_sessions`: who is logged in, asked of logind over D-Bus (org.freedesktop.login1(5)).

use std::{collections::BTreeMap, time::Duration};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};
use tokio::runtime::Handle;
use zbus::OwnedObjectPath;

use super::{Entry, gauge, no_flags};
use crate::{
    dbus::{Bus, BusError},
    host::float,
};

pub(super) const ENTRY: Entry = Entry {
    name: "logind",
    default: false,
    flags: no_flags,
    make: |_| {
        Ok(Box::new(Logind {
            bus: Bus::new("org.freedesktop.login1", None),
        }))
    },
    descs: &[SESSIONS],
};

const SESSIONS: Desc = gauge(
    "node_logind_sessions",
    "Number of sessions registered in logind.",
)
.labels(&["seat", "remote", "type", "class"]);

const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const REMOTE: [&str; 2] = ["true", "false"];
const KINDS: [&str; 7] = [
    "other",
    "unspecified",
    "tty",
    "x11",
    "wayland",
    "mir",
    "web",
];
const CLASSES: [&str; 5] = ["other", "user", "greeter", "lock-screen", "background"];
/// Before the deadline of the scrape, so that what is there by then is shown.
const MARGIN: Duration = Duration::from_millis(300);
/// More sessions than any host has.
const MAX_SESSIONS: usize = 10_000;

/// What the manager lists of a session: its name, user, the user's name, seat and path.
type Listed = (String, u32, String, String, OwnedObjectPath);

struct Logind {
    bus: Bus,
}

impl Collector for Logind {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let asked = self.bus.within(scrape.remaining(MARGIN), ask(&self.bus));
        let family = Handle::current()
            .block_on(asked)
            .map_err(CollectError::failed)?;
        out.push(family);
        Ok(())
    }
}

async fn ask(bus: &Bus) -> Result<Family, BusError> {
    let seats: Vec<(String, OwnedObjectPath)> = bus.call(PATH, MANAGER, "ListSeats").await?;
    let sessions: Vec<Listed> = bus.call(PATH, MANAGER, "ListSessions").await?;
    let mut counts = BTreeMap::<[String; 4], u64>::new();
    for (_, _, _, seat, path) in sessions.into_iter().take(MAX_SESSIONS) {
        let path = path.as_str();
        // A session that ended meanwhile has none of these.
        let (Ok(remote), Ok(kind), Ok(class)) = (
            bus.property::<bool>(path, SESSION, "Remote").await,
            bus.property::<String>(path, SESSION, "Type").await,
            bus.property::<String>(path, SESSION, "Class").await,
        ) else {
            continue;
        };
        let key = [
            seat,
            remote.to_string(),
            known(kind, &KINDS),
            known(class, &CLASSES),
        ];
        *counts.entry(key).or_default() += 1;
    }
    let mut family = Family::of(&SESSIONS);
    // Sessions from afar have no seat.
    let seats = seats
        .into_iter()
        .map(|(seat, _)| seat)
        .chain([String::new()]);
    for seat in seats {
        for remote in REMOTE {
            for kind in KINDS {
                for class in CLASSES {
                    let key = [seat.as_str(), remote, kind, class];
                    let count = counts
                        .get(&key.map(str::to_owned))
                        .copied()
                        .unwrap_or_default();
                    family.push(&key, float(count));
                }
            }
        }
    }
    Ok(family)
}

fn known(text: String, names: &[&str]) -> String {
    if names.contains(&text.as_str()) {
        text
    } else {
        "other".to_owned()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "zbus' macro for the scripted logind uses a HashMap"
)]
mod tests {
    use std::{os::unix::net::UnixStream, time::Duration};

    use zbus::{Guid, OwnedObjectPath, connection::Builder, interface};

    use super::{Listed, ask};
    use crate::dbus::Bus;

    struct Manager;

    fn path(name: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(format!("/org/freedesktop/login1/{name}"))
            .expect("a path of letters")
    }

    #[interface(name = "org.freedesktop.login1.Manager")]
    impl Manager {
        fn list_seats(&self) -> Vec<(String, OwnedObjectPath)> {
            vec![("seat0".to_owned(), path("seat0"))]
        }

        fn list_sessions(&self) -> Vec<Listed> {
            let session = |name: &str, seat: &str| {
                (
                    name.to_owned(),
                    0,
                    "root".to_owned(),
                    seat.to_owned(),
                    path(name),
                )
            };
            vec![session("a", ""), session("b", "seat0"), session("gone", "")]
        }
    }

    struct Session(bool, &'static str);

    #[interface(name = "org.freedesktop.login1.Session")]
    impl Session {
        #[zbus(property)]
        fn remote(&self) -> bool {
            self.0
        }

        #[zbus(property, name = "Type")]
        fn kind(&self) -> String {
            "tty".to_owned()
        }

        #[zbus(property)]
        fn class(&self) -> String {
            self.1.to_owned()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sessions() {
        let (server, client) = UnixStream::pair().unwrap();
        let server = Builder::unix_stream(server)
            .server(Guid::generate())
            .p2p()
            .serve_at("/org/freedesktop/login1", Manager)
            .serve_at("/org/freedesktop/login1/a", Session(true, "user"))
            .serve_at("/org/freedesktop/login1/b", Session(false, "manager-early"))
            .build();
        let client = Builder::unix_stream(client).p2p().build();
        let (server, client) = tokio::join!(server, client);
        let _server = server.unwrap();
        let bus = Bus::of("org.freedesktop.login1", client.unwrap());
        let family = bus
            .within(Duration::from_secs(60), ask(&bus))
            .await
            .unwrap();
        assert_eq!(family.metrics.len(), 2 * 2 * 7 * 5);
        let count = |seat, remote, class| {
            family.number(&[
                ("class", class),
                ("remote", remote),
                ("seat", seat),
                ("type", "tty"),
            ])
        };
        assert_eq!(count("", "true", "user"), Some(1.0));
        assert_eq!(count("seat0", "false", "other"), Some(1.0));
        assert_eq!(count("seat0", "true", "user"), Some(0.0));
    }
}
