//! Debian packages without root: lists and packages in the cache, unpacked there.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{Part, PartError, command};

/// For lists, for one package, and for one build.
const PATIENCE: Duration = Duration::from_secs(900);

/// Downloads a package and unpacks it. Two that want the same wait for each other.
pub(crate) fn fetch(part: &Part, cache: &Path) -> Result<(), PartError> {
    let disk = |source| PartError::Cache {
        path: cache.to_owned(),
        source,
    };
    let lock = fs::File::create(cache.join("lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    let root = cache.join("debian").join(part.package);
    if root.join(part.path).is_file() {
        return Ok(());
    }
    say(&format!(
        "{} is not on this machine: fetching the Debian package {}",
        part.program, part.package
    ));
    let work = cache.join("work");
    // What an interrupted fetch left behind.
    drop(fs::remove_dir_all(&work));
    let unpacked = work.join("unpacked");
    for folder in [
        &unpacked,
        &cache.join("apt/lists/partial"),
        &cache.join("apt/archives/partial"),
        &cache.join("debian"),
    ] {
        fs::create_dir_all(folder).map_err(disk)?;
    }
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get");
        apt.current_dir(&work)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C")
            .arg("-q")
            .arg("-o")
            .arg(format!(
                "Dir::State::lists={}",
                cache.join("apt/lists").display()
            ))
            .arg("-o")
            .arg(format!("Dir::Cache={}", cache.join("apt").display()))
            // The user that apt would turn into may not write to our folder.
            .args(["-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"])
            .args(arguments);
        apt
    };
    run(part, apt(&["update"]))?;
    run(part, apt(&["download", part.package]))?;
    let entries = fs::read_dir(&work)
        .map_err(disk)?
        .flatten()
        .map(|it| it.path());
    let package = entries
        .into_iter()
        .find(|it| it.extension().is_some_and(|it| it == "deb"));
    let package = package.ok_or_else(|| failure(part, "apt-get download left no package"))?;
    let mut dpkg = command("dpkg");
    dpkg.arg("-x").arg(&package).arg(&unpacked);
    run(part, dpkg)?;
    if !unpacked.join(part.path).is_file() {
        return Err(failure(part, &format!("it has no {}", part.path)));
    }
    drop(fs::remove_dir_all(&root));
    fs::rename(&unpacked, &root).map_err(disk)?;
    drop(fs::remove_dir_all(&work));
    say(&format!("{} is in {}", part.program, root.display()));
    Ok(())
}

pub(crate) fn failure(part: &Part, reason: &str) -> PartError {
    PartError::Fetch {
        program: part.program,
        package: part.package,
        reason: reason.to_owned(),
    }
}

/// Runs a program to its end, within a time, and gives what it wrote to standard output.
pub(crate) fn run(part: &Part, mut command: Command) -> Result<String, PartError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failure(part, &format!("cannot start {name}: {error}")))?;
    let id = child.id();
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        // Fails when nobody waits any more.
        drop(send.send(child.wait_with_output()));
    });
    let Ok(output) = receive.recv_timeout(PATIENCE) else {
        let pid = i32::try_from(id)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Fails when it has just ended.
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap_or(());
        }
        return Err(failure(
            part,
            &format!("{name} did not end within {} s", PATIENCE.as_secs()),
        ));
    };
    let output = output.map_err(|error| failure(part, &format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = text.lines().filter(|it| it.starts_with("E:"));
    let reason = lines
        .next()
        .or_else(|| text.lines().last())
        .unwrap_or("no reason given");
    Err(failure(part, &format!("{name}: {reason}")))
}

pub(crate) fn say(text: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "{text}"));
}
