//! `node_uname_info`, from uname(2).

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, no_flags};

pub(super) const ENTRY: Entry = Entry {
    name: "uname",
    default: true,
    flags: no_flags,
    make: |_| Ok(Box::new(Uname)),
    descs: &[INFO],
};

const INFO: Desc = Desc::new(
    "node_uname_info",
    Kind::Gauge,
    "Labeled system information as provided by the uname system call.",
)
.labels(&[
    "sysname",
    "release",
    "version",
    "machine",
    "nodename",
    "domainname",
]);

struct Uname;

impl Collector for Uname {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let uname = rustix::system::uname();
        let texts = [
            uname.sysname(),
            uname.release(),
            uname.version(),
            uname.machine(),
            uname.nodename(),
            uname.domainname(),
        ]
        .map(|it| it.to_string_lossy());
        let texts: Vec<&str> = texts.iter().map(|it| &**it).collect();
        let mut family = Family::of(&INFO);
        family.push(&texts, 1.0);
        out.push(family);
        Ok(())
    }
}
