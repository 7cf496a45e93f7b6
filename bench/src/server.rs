//! A program under measurement: started on a free port, asked of `/proc`, ended with the run.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// For a program to listen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

/// `USER_HZ`: what `/proc` counts in, whatever the kernel's own tick is (time(7)).
pub(crate) const fn ticks_per_second() -> u32 {
    100
}

impl Server {
    /// Starts a program and waits until it listens.
    pub(crate) fn start(program: &Path, flags: &[String]) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "what is measured must be started"
        )]
        let child = Command::new(program)
            .args(flags)
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { child, address };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err(io::Error::other(format!(
                    "{} does not listen",
                    program.display()
                )));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(server)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor seconds since its start.
    pub(crate) fn cpu(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |it| it.1)
            .split_ascii_whitespace()
            .collect();
        // utime and stime are fields 14 and 15 (proc(5)); the state, field 3, is the first here.
        let ticks: u32 = [11, 12]
            .iter()
            .filter_map(|it| fields.get(*it)?.parse::<u32>().ok())
            .sum();
        Ok(f64::from(ticks) / f64::from(ticks_per_second()))
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|it| it.split_ascii_whitespace().next()?.parse::<u64>().ok());
        Ok(kibibytes.unwrap_or_default() * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
