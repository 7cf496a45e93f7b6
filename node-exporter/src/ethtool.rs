//! What a network device's driver says, by ioctl(2) (`linux/ethtool.h`).

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::netlink::{text, u32_at, u64_at};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const GSET: u32 = 0x1;
const GDRVINFO: u32 = 0x3;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
/// The set of strings that are the names of statistics.
const STATS: u32 = 1;
/// The bytes of a string in a set.
const STRING: usize = 32;
/// More statistics than any driver has: a count of its own that is wrong must not take the memory.
const MAX_STATS: u32 = 65_536;

/// A device's link: the modes it supports and offers, as bits, and whether it negotiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) supported: u32,
    pub(crate) advertised: u32,
    pub(crate) autonegotiates: bool,
}

/// A device's driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) driver: String,
    pub(crate) version: String,
    pub(crate) firmware: String,
    pub(crate) bus: String,
    pub(crate) rom: String,
    statistics: u32,
}

/// Where to ask; scripted in tests.
pub(crate) trait Ethtool: Send + Sync {
    /// Puts the question in `bytes` to the device, and its answer in their place.
    fn ask(&self, device: &str, bytes: &mut [u8]) -> io::Result<()>;
}

/// The kernel.
#[derive(Debug)]
pub(crate) struct Kernel(OwnedFd);

impl Kernel {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self(socket))
    }
}

impl Ethtool for Kernel {
    #[expect(unsafe_code, reason = "no library that we use has this ioctl")]
    fn ask(&self, device: &str, bytes: &mut [u8]) -> io::Result<()> {
        let mut request = Request {
            name: [0; libc::IFNAMSIZ],
            data: bytes.as_mut_ptr(),
            rest: [0; 16],
        };
        let room = request
            .name
            .get_mut(..libc::IFNAMSIZ - 1)
            .unwrap_or_default();
        if device.len() > room.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in room.iter_mut().zip(device.bytes()) {
            *to = from;
        }
        // SAFETY: `request` is laid out as struct ifreq; its pointer is to `bytes`, which live through the call and are
        // as long as the answer: the kernel writes no more than the lengths in the question say, or its structures' own.
        let answer = unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// struct ifreq with the pointer of its union (netdevice(7)).
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut u8,
    rest: [u8; 16],
}

/// What the link of a device can do.
pub(crate) fn link(kernel: &dyn Ethtool, device: &str) -> io::Result<Link> {
    // struct ethtool_cmd
    let mut bytes = [0; 44];
    put(&mut bytes, 0, GSET);
    kernel.ask(device, &mut bytes)?;
    Ok(Link {
        supported: u32_at(&bytes, 4).unwrap_or_default(),
        advertised: u32_at(&bytes, 8).unwrap_or_default(),
        autonegotiates: bytes.get(18) == Some(&1),
    })
}

/// Who drives a device.
pub(crate) fn driver(kernel: &dyn Ethtool, device: &str) -> io::Result<Driver> {
    // struct ethtool_drvinfo
    let mut bytes = [0; 196];
    put(&mut bytes, 0, GDRVINFO);
    kernel.ask(device, &mut bytes)?;
    let field = |at: usize| text(bytes.get(at..at + STRING).unwrap_or_default());
    Ok(Driver {
        driver: field(4),
        version: field(36),
        firmware: field(68),
        bus: field(100),
        rom: field(132),
        statistics: u32_at(&bytes, 180).unwrap_or_default(),
    })
}

/// The statistics of a device by name, in the driver's order.
pub(crate) fn statistics(kernel: &dyn Ethtool, device: &str) -> io::Result<Vec<(String, u64)>> {
    let count = driver(kernel, device)?.statistics;
    if count == 0 {
        return Ok(Vec::new());
    }
    if count > MAX_STATS {
        return Err(io::Error::other(format!(
            "{device} says that it has {count} statistics"
        )));
    }
    let length = usize::try_from(count).map_err(io::Error::other)?;
    let mut names = vec![0; 12 + length * STRING];
    put(&mut names, 0, GSTRINGS);
    put(&mut names, 4, STATS);
    put(&mut names, 8, count);
    kernel.ask(device, &mut names)?;
    let mut values = vec![0; 8 + length * 8];
    put(&mut values, 0, GSTATS);
    put(&mut values, 4, count);
    kernel.ask(device, &mut values)?;
    let names = names.get(12..).unwrap_or_default().chunks_exact(STRING);
    let values = (0..length).filter_map(|it| u64_at(&values, 8 + it * 8));
    Ok(names.map(text).zip(values).collect())
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(room) = bytes.get_mut(at..at + 4) {
        room.copy_from_slice(&value.to_ne_bytes());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;

    use super::{Ethtool, GDRVINFO, GSET, GSTATS, GSTRINGS, Kernel, driver, link, put, statistics};
    use crate::netlink::u32_at;

    /// A driver with these statistics.
    pub(crate) struct Scripted(pub(crate) Vec<(&'static str, u64)>);

    impl Ethtool for Scripted {
        fn ask(&self, _: &str, bytes: &mut [u8]) -> io::Result<()> {
            match u32_at(bytes, 0).unwrap() {
                GSET => {
                    put(bytes, 4, 0x20 | 0x40 | 0x80 | 0x2000);
                    put(bytes, 8, 0x20);
                    bytes[18] = 1;
                }
                GDRVINFO => {
                    bytes[4..7].copy_from_slice(b"ena");
                    let count = u32::try_from(self.0.len()).map_err(io::Error::other)?;
                    put(bytes, 180, count);
                }
                GSTRINGS => {
                    for (at, (name, _)) in self.0.iter().enumerate() {
                        bytes[12 + at * 32..][..name.len()].copy_from_slice(name.as_bytes());
                    }
                }
                GSTATS => {
                    for (at, (_, value)) in self.0.iter().enumerate() {
                        bytes[8 + at * 8..][..8].copy_from_slice(&value.to_ne_bytes());
                    }
                }
                _ => return Err(io::ErrorKind::Unsupported.into()),
            }
            Ok(())
        }
    }

    #[test]
    fn answers() {
        let scripted = Scripted(vec![("rx_bytes", 7), ("pps_allowance_exceeded", 8)]);
        assert_eq!(driver(&scripted, "eth0").unwrap().driver, "ena");
        assert!(link(&scripted, "eth0").unwrap().autonegotiates);
        assert_eq!(
            statistics(&scripted, "eth0").unwrap(),
            [
                ("rx_bytes".to_owned(), 7),
                ("pps_allowance_exceeded".to_owned(), 8)
            ]
        );
    }

    #[test]
    fn the_kernel_refuses_what_is_not_there() {
        let kernel = Kernel::open().unwrap();
        assert!(driver(&kernel, "no-such-device").is_err());
        assert!(driver(&kernel, &"x".repeat(99)).is_err());
    }
}
