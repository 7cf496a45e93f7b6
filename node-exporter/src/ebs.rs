//! `node-exporter ebs-stats`: what EBS volumes say of themselves over NVMe, once, as a file for the textfile collector. Reading it
//! needs CAP_SYS_ADMIN, which the program that listens should not have: a unit of its own runs this (`packaging/`).

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser};
use exposition::{Desc, Family, Format, Kind, gather, write};

use crate::{
    host::float,
    netlink::{u32_at, u64_at},
};

/// Read the statistics of the EBS volumes of this EC2 instance once, and write them for the textfile collector.
#[derive(Debug, Parser)]
#[command(name = "node-exporter ebs-stats")]
struct Flags {
    /// The file to write, such as /var/lib/node-exporter/ebs.prom; standard output when not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where sysfs is mounted.
    #[arg(long = "path.sysfs", value_name = "PATH", default_value = "/sys")]
    sysfs: PathBuf,
    /// Where devices are.
    #[arg(long = "path.dev", value_name = "PATH", default_value = "/dev")]
    dev: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum EbsError {
    #[error("cannot read {}", path.display())]
    Sysfs { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Output { path: PathBuf, source: io::Error },
}

/// What one volume says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stats {
    counters: [u64; COUNTERS.len()],
    queue: u64,
    read: exposition::Histogram,
    written: exposition::Histogram,
}

const LABELS: &[&str] = &["device", "volume_id"];

const fn counter(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Counter, help).labels(LABELS)
}

/// The page's counters in their order, and the part of a unit that one is (times are in microseconds).
const COUNTERS: [(Desc, f64); 10] = [
    (
        counter(
            "node_ebs_reads_completed_total",
            "Reads that the volume completed.",
        ),
        1.0,
    ),
    (
        counter(
            "node_ebs_writes_completed_total",
            "Writes that the volume completed.",
        ),
        1.0,
    ),
    (
        counter("node_ebs_read_bytes_total", "Bytes read from the volume."),
        1.0,
    ),
    (
        counter(
            "node_ebs_written_bytes_total",
            "Bytes written to the volume.",
        ),
        1.0,
    ),
    (
        counter(
            "node_ebs_read_time_seconds_total",
            "Seconds that reads took, added up.",
        ),
        1e-6,
    ),
    (
        counter(
            "node_ebs_write_time_seconds_total",
            "Seconds that writes took, added up.",
        ),
        1e-6,
    ),
    (
        counter(
            "node_ebs_volume_iops_exceeded_seconds_total",
            "Seconds in which more operations were asked for than the volume has.",
        ),
        1e-6,
    ),
    (
        counter(
            "node_ebs_volume_throughput_exceeded_seconds_total",
            "Seconds in which more throughput was asked for than the volume has.",
        ),
        1e-6,
    ),
    (
        counter(
            "node_ebs_instance_iops_exceeded_seconds_total",
            "Seconds in which the volume asked for more operations than the instance has.",
        ),
        1e-6,
    ),
    (
        counter(
            "node_ebs_instance_throughput_exceeded_seconds_total",
            "Seconds in which the volume asked for more throughput than the instance has.",
        ),
        1e-6,
    ),
];
const QUEUE: Desc = Desc::new(
    "node_ebs_queue_length",
    Kind::Gauge,
    "Operations that wait for the volume.",
)
.labels(LABELS);
const READ: Desc = Desc::new(
    "node_ebs_read_latency_seconds",
    Kind::Histogram,
    "How long reads took.",
)
.labels(LABELS);
const WRITTEN: Desc = Desc::new(
    "node_ebs_write_latency_seconds",
    Kind::Histogram,
    "How long writes took.",
)
.labels(LABELS);
const INFO: Desc = Desc::new(
    "node_ebs_info",
    Kind::Gauge,
    "The EBS volume behind an NVMe device, value is always 1.",
)
.labels(LABELS);

/// Every family, for the catalogue.
#[cfg(test)]
pub(crate) fn descs() -> Vec<Desc> {
    COUNTERS
        .iter()
        .map(|it| it.0)
        .chain([QUEUE, READ, WRITTEN, INFO])
        .collect()
}

/// The page of EBS' statistics (AWS, "Amazon EBS detailed performance statistics"): a word that marks it, counters, a gap, two
/// histograms of 64 bins.
pub(crate) const PAGE: usize = 4096;
const PAGE_ID: u32 = 0xd0;
pub(crate) const MAGIC: u32 = 0x3c23_b510;
const HISTOGRAMS: [usize; 2] = [512, 512 + 8 + 64 * BIN];
const BIN: usize = 24;
const BINS: u64 = 64;

/// Runs the command.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let parsed = Flags::command().try_get_matches_from(arguments);
    let flags = match parsed.and_then(|it| Flags::from_arg_matches(&it)) {
        Ok(flags) => flags,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&flags, ask) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&daemon::chain(&error).to_string());
            ExitCode::FAILURE
        }
    }
}

/// Writes what the volumes say; whether every one of them answered.
fn run(flags: &Flags, ask: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Result<bool, EbsError> {
    let folder = flags.sysfs.join("class/nvme");
    let mut families: Vec<Family> = COUNTERS.iter().map(|(desc, _)| Family::of(desc)).collect();
    let [mut queue, mut read, mut written, mut info] =
        [&QUEUE, &READ, &WRITTEN, &INFO].map(Family::of);
    let mut all = true;
    for (device, volume) in volumes(&folder).map_err(|source| EbsError::Sysfs {
        path: folder,
        source,
    })? {
        let labels = [device.as_str(), volume.as_str()];
        info.push(&labels, 1.0);
        let page = ask(&flags.dev.join(&device));
        let stats = page
            .and_then(|it| parse(&it).ok_or_else(|| io::Error::other("its page is none of EBS")));
        let stats = match stats {
            Ok(stats) => stats,
            Err(error) => {
                say(&format!("{device} ({volume}): {error}"));
                all = false;
                continue;
            }
        };
        for ((family, (_, unit)), count) in families.iter_mut().zip(&COUNTERS).zip(stats.counters) {
            family.push(&labels, float(count) * unit);
        }
        queue.push(&labels, float(stats.queue));
        read.push_histogram(&labels, stats.read);
        written.push_histogram(&labels, stats.written);
    }
    families.extend([queue, read, written, info]);
    let text = write(&gather(families).0, Format::Text);
    match &flags.output {
        Some(path) => replace(path, &text).map_err(|source| EbsError::Output {
            path: path.clone(),
            source,
        })?,
        None => io::stdout()
            .write_all(&text)
            .map_err(|source| EbsError::Output {
                path: PathBuf::from("standard output"),
                source,
            })?,
    }
    Ok(all)
}

/// Puts a file in another's place at once: a scrape sees the one or the other.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// The namespaces of EBS volumes, and the volumes' ids: `nvme1n1`, `vol-0123456789abcdef0`.
fn volumes(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let text = |file| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if text("model").trim() != "Amazon Elastic Block Store" {
            continue;
        }
        let serial = text("serial");
        let serial = serial.trim();
        let volume = match serial.strip_prefix("vol") {
            Some(number) if !number.starts_with('-') => format!("vol-{number}"),
            _ => serial.to_owned(),
        };
        // A volume has one namespace.
        found.push((format!("{}n1", entry.file_name().to_string_lossy()), volume));
    }
    found.sort();
    Ok(found)
}

pub(crate) fn parse(page: &[u8]) -> Option<Stats> {
    if page.len() != PAGE || u32_at(page, 0)? != MAGIC {
        return None;
    }
    let mut stats = Stats::default();
    for (at, counter) in stats.counters.iter_mut().enumerate() {
        *counter = u64_at(page, 8 + at * 8)?;
    }
    stats.queue = u64_at(page, 8 + COUNTERS.len() * 8)?;
    let [read, written] = HISTOGRAMS;
    stats.read = histogram(page.get(read..)?)?;
    stats.written = histogram(page.get(written..)?)?;
    Some(stats)
}

/// Bins of microseconds to buckets of seconds. The page has no sum: what is known of it is each bin's middle.
fn histogram(bytes: &[u8]) -> Option<exposition::Histogram> {
    let count = u64_at(bytes, 0)?.min(BINS);
    let mut found = exposition::Histogram::default();
    let mut sum = 0.0;
    for at in 0..usize::try_from(count).ok()? {
        let bin = bytes.get(8 + at * BIN..)?;
        let (lower, upper) = (float(u64_at(bin, 0)?) / 1e6, float(u64_at(bin, 8)?) / 1e6);
        let inside = f64::from(u32_at(bin, 16)?);
        found.count += inside;
        sum += inside * f64::midpoint(lower, upper);
        found.buckets.push((upper, found.count));
    }
    found.buckets.push((f64::INFINITY, found.count));
    found.sum = Some(sum);
    Some(found)
}

/// `NVME_IOCTL_ADMIN_CMD` (`linux/nvme_ioctl.h`), and NVMe's "get log page".
const ADMIN: libc::c_ulong = 0xc048_4e41;
const GET_LOG_PAGE: u8 = 2;

/// struct `nvme_admin_cmd`.
#[repr(C)]
#[derive(Default)]
struct Command {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    words2: [u32; 2],
    metadata: u64,
    address: u64,
    metadata_length: u32,
    length: u32,
    words10: [u32; 6],
    timeout: u32,
    result: u32,
}

#[expect(unsafe_code, reason = "no library that we use has this ioctl")]
fn ask(device: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(device)?;
    let mut page = vec![0; PAGE];
    let words = u32::try_from(PAGE / 4 - 1).map_err(io::Error::other)?;
    let mut command = Command {
        opcode: GET_LOG_PAGE,
        namespace: 1,
        address: u64::try_from(page.as_mut_ptr().expose_provenance()).map_err(io::Error::other)?,
        length: u32::try_from(PAGE).map_err(io::Error::other)?,
        words10: [PAGE_ID | words << 16, 0, 0, 0, 0, 0],
        ..Command::default()
    };
    // SAFETY: `command` is laid out as the kernel's structure; its address is that of `page`, which lives through the call and is
    // as long as the command says.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), ADMIN, &raw mut command) };
    match answer {
        0 => Ok(page),
        1.. => Err(io::Error::other(format!("NVMe status {answer:#x}"))),
        _ => Err(io::Error::last_os_error()),
    }
}

fn say(text: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "node-exporter ebs-stats: {text}"));
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use super::{BIN, Flags, HISTOGRAMS, MAGIC, PAGE, parse, run};

    fn page() -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..4].copy_from_slice(&MAGIC.to_ne_bytes());
        for (at, value) in (1_u64..=11).enumerate() {
            page[8 + at * 8..][..8].copy_from_slice(&(value * 1_000_000).to_ne_bytes());
        }
        for start in HISTOGRAMS {
            page[start..][..8].copy_from_slice(&2_u64.to_ne_bytes());
            for (at, (lower, upper, count)) in [(0_u64, 100_u64, 3_u32), (100, 200, 4)]
                .into_iter()
                .enumerate()
            {
                let bin = &mut page[start + 8 + at * BIN..];
                bin[..8].copy_from_slice(&lower.to_ne_bytes());
                bin[8..16].copy_from_slice(&upper.to_ne_bytes());
                bin[16..20].copy_from_slice(&count.to_ne_bytes());
            }
        }
        page
    }

    #[test]
    fn pages() {
        let stats = parse(&page()).unwrap();
        assert_eq!(
            (stats.counters[0], stats.counters[9], stats.queue),
            (1_000_000, 10_000_000, 11_000_000)
        );
        assert_eq!(stats.read.buckets[..2], [(0.0001, 3.0), (0.0002, 7.0)]);
        assert!(parse(&page()[1..]).is_none());
        let mut other = page();
        other[0] = 0;
        assert!(parse(&other).is_none());
        // More bins than the page has room for.
        let mut more = page();
        more[HISTOGRAMS[0]..][..8].copy_from_slice(&u64::MAX.to_ne_bytes());
        assert_eq!(parse(&more).unwrap().read.buckets.len(), 65);
    }

    #[test]
    fn volumes_that_answer_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let sys = folder.path().join("class/nvme");
        for (name, model, serial) in [
            (
                "nvme0",
                "Amazon Elastic Block Store              ",
                "vol0123456789abcdef0",
            ),
            ("nvme1", "Amazon EC2 NVMe Instance Storage", "AWS123"),
            ("nvme2", "Amazon Elastic Block Store", "vol0fff"),
        ] {
            fs::create_dir_all(sys.join(name)).unwrap();
            fs::write(sys.join(name).join("model"), format!("{model}\n")).unwrap();
            fs::write(sys.join(name).join("serial"), format!("{serial}\n")).unwrap();
        }
        let output = folder.path().join("ebs.prom");
        let flags = Flags {
            output: Some(output.clone()),
            sysfs: folder.path().to_owned(),
            dev: "/dev".into(),
        };
        let ask = |path: &std::path::Path| match path.to_str() {
            Some("/dev/nvme0n1") => Ok(page()),
            _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        };
        assert!(!run(&flags, ask).unwrap());
        let text = fs::read_to_string(output).unwrap();
        exposition::parse::text_strict(&text).unwrap();
        let labels = "device=\"nvme0n1\",volume_id=\"vol-0123456789abcdef0\"";
        for line in [
            format!("node_ebs_volume_iops_exceeded_seconds_total{{{labels}}} 7"),
            format!("node_ebs_queue_length{{{labels}}} 1.1e+07"),
            format!("node_ebs_read_latency_seconds_bucket{{{labels},le=\"0.0002\"}} 7"),
            "node_ebs_info{device=\"nvme2n1\",volume_id=\"vol-0fff\"} 1".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(!text.contains("nvme1"));
    }
}
