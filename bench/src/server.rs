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

impl Server {
    /// Starts a program of ours, or one with our flags, on a free port, and waits until it listens.
    pub(crate) fn start(program: &Path, flags: &[String]) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let listen = format!("--web.listen-address={address}");
        Self::start_at(program, &[flags, &[listen]].concat(), address)
    }

    /// Starts a program whose flags let it listen there, and waits until it does.
    pub(crate) fn start_at(
        program: &Path,
        flags: &[String],
        address: SocketAddr,
    ) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "what is measured must be started"
        )]
        let child = Command::new(program)
            .args(flags)
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

    /// Processor seconds since its start, user and system, of all its threads, those that ended too. `/proc` counts the same in
    /// ticks of 10 ms, which is too coarse for a request.
    pub(crate) fn cpu(&self) -> io::Result<f64> {
        let pid = libc::pid_t::try_from(self.child.id()).map_err(io::Error::other)?;
        cpu_clock(pid)
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    /// The most resident bytes that there were.
    pub(crate) fn peak(&self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix(key));
        let kibibytes = line.and_then(|it| it.split_ascii_whitespace().next()?.parse::<u64>().ok());
        Ok(kibibytes.unwrap_or_default() * 1024)
    }
}

/// Processor seconds of a process, user and system.
#[expect(
    unsafe_code,
    reason = "no safe crate reads the clock of another process"
)]
pub(crate) fn cpu_clock(pid: libc::pid_t) -> io::Result<f64> {
    let mut clock = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: both calls write to a variable of this function and keep no pointer.
    let (found, read) = unsafe {
        let found = libc::clock_getcpuclockid(pid, &raw mut clock);
        (found, libc::clock_gettime(clock, &raw mut time))
    };
    if found != 0 {
        return Err(io::Error::from_raw_os_error(found));
    }
    if read != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    let nanoseconds = u32::try_from(time.tv_nsec).map_err(io::Error::other)?;
    Ok(Duration::new(seconds, nanoseconds).as_secs_f64())
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
