//! Disks that are full, that fail, and that write a half.

use std::{fs, io::Write, net::SocketAddr, path::Path, time::Duration};

use jiff::SignedDuration;
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::UnshareFlags,
};
use serde_json::{Value, json};
use testkit::{eventually, request};

use crate::{
    promises::now,
    router::{Home, Router},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// So many posts fill anything here.
const ENOUGH: u64 = 20_000;
const CONFIG: &str = "route: {receiver: none}\nreceivers: [{name: none}]\n";

/// What was answered with 200.
#[derive(Debug, Default)]
struct Kept {
    alerts: Vec<u64>,
    silences: Vec<String>,
    posts: u64,
}

/// A journal whose writes fail from some byte on.
pub(crate) fn refuses(faults: &str) {
    let home = Home::temporary(CONFIG);
    let router = home.start_with(Some(faults));
    assert!(router.is_ready(), "{faults}");
    let mut kept = Kept::default();
    assert_eq!(kept.until_refused(router.address), Some(507), "{faults}");
    assert!(!router.is_ready(), "{faults}");
    kept.check(&router);
    drop(router);
    let router = home.start();
    assert!(router.is_ready(), "{faults}");
    kept.check(&router);
    assert_eq!(kept.post(router.address), Some(200), "{faults}");
}

/// A journal whose last record is written by half when the program dies.
pub(crate) fn torn(faults: &str) {
    let home = Home::temporary(CONFIG);
    let router = home.start_with(Some(faults));
    let mut kept = Kept::default();
    assert_eq!(kept.until_refused(router.address), None, "{faults}");
    router.running.ended();
    let router = home.start();
    let log = router.running.log();
    assert!(
        log.contains("journal-"),
        "the torn end is not reported:\n{log}"
    );
    kept.check(&router);
    assert_eq!(kept.post(router.address), Some(200), "{faults}");
}

/// A small file system of its own that something else fills.
pub(crate) fn full() {
    #[expect(unsafe_code, reason = "rustix marks unsharing as unsafe")]
    // SAFETY: only the mount namespace of this thread changes; no descriptor table is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).unwrap();
    let folder = tempfile::tempdir().unwrap();
    mount(
        "tmpfs",
        folder.path(),
        "tmpfs",
        MountFlags::empty(),
        c"size=4m",
    )
    .unwrap();
    let home = Home::at(folder.path(), CONFIG);
    let router = home.start();
    let mut kept = Kept::default();
    for _ in 0..50 {
        assert_eq!(kept.post(router.address), Some(200));
    }
    let filler = folder.path().join("filler");
    fill(&filler);
    assert_eq!(kept.until_refused(router.address), Some(507));
    assert!(!router.is_ready());
    kept.check(&router);
    // Killed while it is full, it knows as much.
    drop(router);
    let router = home.start();
    kept.check(&router);
    assert_eq!(kept.until_refused(router.address), Some(507));
    fs::remove_file(&filler).unwrap();
    eventually("it is ready again", PATIENCE, || {
        router.is_ready().then_some(())
    });
    for _ in 0..50 {
        assert_eq!(kept.post(router.address), Some(200));
    }
    drop(router);
    kept.check(&home.start());
}

fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [64 * 1024, 1024, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

impl Kept {
    /// Posts until something is refused; its status, or None when there is no answer.
    fn until_refused(&mut self, address: SocketAddr) -> Option<u16> {
        for _ in 0..ENOUGH {
            match self.post(address) {
                Some(200) => {}
                refused => return refused,
            }
        }
        Some(200)
    }

    /// Posts an alert, or now and then a silence.
    fn post(&mut self, address: SocketAddr) -> Option<u16> {
        self.posts += 1;
        let number = self.posts;
        let silence = number.is_multiple_of(5);
        let ends = (now() + SignedDuration::from_hours(24)).to_string();
        let (path, body) = if silence {
            let matchers = json!([{"name": "number", "value": format!("x{number}"), "isRegex": false, "isEqual": true}]);
            let body = json!({"matchers": matchers, "startsAt": now().to_string(), "endsAt": ends, "createdBy": "a person", "comment": "c"});
            ("/api/v2/silences", body)
        } else {
            let labels = json!({"alertname": "A", "number": number.to_string()});
            (
                "/api/v2/alerts",
                json!([{"labels": labels, "startsAt": now().to_string(), "endsAt": ends}]),
            )
        };
        let headers = [("Content-Type", "application/json")];
        let body = body.to_string();
        let (status, _, answer) = request(address, "POST", path, &headers, body.as_bytes())?;
        if status == 200 && silence {
            let answer: Value = serde_json::from_slice(&answer).ok()?;
            self.silences.push(answer["silenceID"].as_str()?.to_owned());
        } else if status == 200 {
            self.alerts.push(number);
        }
        Some(status)
    }

    /// All of it is known.
    fn check(&self, router: &Router) {
        let alerts = router.json("/api/v2/alerts").to_string();
        for number in &self.alerts {
            assert!(
                alerts.contains(&format!("\"number\":\"{number}\"")),
                "alert {number}: {alerts}"
            );
        }
        let silences = router.json("/api/v2/silences").to_string();
        for id in &self.silences {
            assert!(silences.contains(id), "silence {id}: {silences}");
        }
    }
}
