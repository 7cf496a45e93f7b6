//! File systems that never answer: real FUSE mounts whose server is silent, in a mount namespace of the test's own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    ffi::CString,
    fs,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::UnshareFlags,
};
use testkit::{Program, request, skip};

const MOUNTS: usize = 5;

#[test]
fn dead_mounts_cost_their_own_metrics() {
    if !rustix::process::geteuid().is_root() {
        return skip("mounting FUSE in a namespace needs root");
    }
    if !Path::new("/dev/fuse").exists() {
        return skip("the kernel has no /dev/fuse");
    }
    // A namespace belongs to a thread, and what it starts inherits it.
    std::thread::spawn(in_a_namespace).join().unwrap();
}

fn in_a_namespace() {
    #[expect(unsafe_code, reason = "rustix marks unsharing as unsafe")]
    // SAFETY: only the mount namespace of this thread changes; no descriptor table is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _silent: Vec<OwnedFd> = (0..MOUNTS)
        .map(|it| silent(&folder.path().join(format!("dead{it}"))))
        .collect();
    let proc = host_with_these_mounts(folder.path());
    let running = Program::new("node-exporter")
        .args(["--web.listen-address=127.0.0.1:0", "--collector.systemd"])
        .arg_path("--path.procfs", &proc)
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
        .start();
    let address = running.address();
    let mut threads = Vec::new();
    for round in 0..12 {
        let begin = Instant::now();
        let header = [("X-Prometheus-Scrape-Timeout-Seconds", "10")];
        let (status, _, body) = request(address, "GET", "/metrics", &header, b"").unwrap();
        let took = begin.elapsed();
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, 200);
        // Mounts are waited for 0.7 s the first time, and not a second time: a second is promised, and three are failed.
        assert!(
            took < Duration::from_secs(3),
            "scrape {round} took {took:?}"
        );
        for mount in 0..MOUNTS {
            let point = folder.path().join(format!("dead{mount}"));
            let labels = format!(
                "device=\"silent\",device_error=\"mountpoint timeout\",fstype=\"fuse\",mountpoint=\"{}\"",
                point.display()
            );
            assert!(
                body.contains(&format!("node_filesystem_device_error{{{labels}}} 1\n")),
                "{body}"
            );
        }
        for good in [
            "node_filesystem_size_bytes{",
            "node_load1 ",
            "node_memory_MemTotal_bytes ",
            "node_cpu_seconds_total{",
        ] {
            assert!(
                body.contains(&format!("\n{good}")),
                "{good} is missing: {body}"
            );
        }
        assert!(
            body.contains("node_scrape_collector_success{collector=\"filesystem\"} 1\n"),
            "{body}"
        );
        if round > 0 {
            threads.push(thread_count(running.pid()));
        }
    }
    let (first, last) = (threads.first().unwrap(), threads.last().unwrap());
    // One that a scrape leaves behind would be ten by now; a busy machine has the registry start one or two more, which stay a while.
    assert!(*last <= first + 3, "threads grow: {threads:?}");
    assert!(
        running.terminate().success(),
        "a hung mount keeps the program from ending"
    );
}

/// A FUSE mount whose server reads nothing. Closing the descriptor ends it.
fn silent(point: &Path) -> OwnedFd {
    fs::create_dir(point).unwrap();
    let device = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .unwrap();
    let device = OwnedFd::from(device);
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0",
        device.as_raw_fd()
    );
    let options = CString::new(options).unwrap();
    mount(
        "silent",
        point,
        "fuse",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
    .unwrap();
    device
}

/// The first process lives in another namespace: its mounts are these in a procfs made of links.
fn host_with_these_mounts(folder: &Path) -> std::path::PathBuf {
    let proc = folder.join("proc");
    fs::create_dir_all(proc.join("1")).unwrap();
    for name in [
        "stat",
        "meminfo",
        "loadavg",
        "vmstat",
        "diskstats",
        "net",
        "self",
    ] {
        std::os::unix::fs::symlink(Path::new("/proc").join(name), proc.join(name)).unwrap();
    }
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    assert_eq!(
        mounts.matches(" - fuse silent ").count(),
        MOUNTS,
        "{mounts}"
    );
    fs::write(proc.join("1/mountinfo"), mounts).unwrap();
    proc
}

fn thread_count(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}
