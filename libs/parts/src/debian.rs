//! Debian packages without root: lists and packages in the cache, unpacked there.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{Part, PartError, command, java};

/// For lists, for the packages of one program, for one build, and for what Maven fetches at a time.
const PATIENCE: Duration = Duration::from_secs(900);

/// Downloads a package and those that it needs, and unpacks them. Two that want the same wait for each other.
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
    run(
        part,
        apt(&[&["download", part.package], part.needs].concat()),
    )?;
    let packages = fs::read_dir(&work).map_err(disk)?.flatten();
    let packages: Vec<PathBuf> = packages
        .map(|it| it.path())
        .filter(|it| it.extension().is_some_and(|it| it == "deb"))
        .collect();
    if packages.len() != 1 + part.needs.len() {
        let reason = format!("apt-get download left {} packages", packages.len());
        return Err(failure(part, &reason));
    }
    for package in packages {
        let mut dpkg = command("dpkg");
        dpkg.arg("-x").arg(package).arg(&unpacked);
        run(part, dpkg)?;
    }
    mend_links(&unpacked, &unpacked, 0).map_err(disk)?;
    if part.program == java::JAVA.program {
        java::complete(&unpacked).map_err(disk)?;
    }
    if !unpacked.join(part.path).is_file() {
        return Err(failure(part, &format!("it has no {}", part.path)));
    }
    drop(fs::remove_dir_all(&root));
    fs::rename(&unpacked, &root).map_err(disk)?;
    drop(fs::remove_dir_all(&work));
    say(&format!("{} is in {}", part.program, root.display()));
    Ok(())
}

/// Links of a package are written for the root of a machine: those that lead to what is unpacked are made relative to it.
fn mend_links(root: &Path, folder: &Path, depth: usize) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            mend_links(root, &path, depth + 1)?;
        } else if entry.file_type()?.is_symlink()
            && let Ok(target) = fs::read_link(&path)?.strip_prefix("/")
            && fs::symlink_metadata(root.join(target)).is_ok()
        {
            fs::remove_file(&path)?;
            let up: PathBuf = std::iter::repeat_n("..", depth).collect();
            symlink(up.join(target), &path)?;
        }
    }
    Ok(())
}

pub(crate) fn failure(part: &Part, reason: &str) -> PartError {
    PartError::Fetch {
        program: part.program,
        package: part.package,
        reason: reason.to_owned(),
    }
}

/// Runs a program to its end and gives what it wrote to standard output.
pub(crate) fn run(part: &Part, command: Command) -> Result<String, PartError> {
    output(command).map_err(|reason| failure(part, &reason))
}

/// Runs a program to its end, within a time, and gives what it wrote to standard output; else why it failed.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
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
        return Err(format!(
            "{name} did not end within {} s",
            PATIENCE.as_secs()
        ));
    };
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // Maven complains on standard output.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let complaint = |it: &str| {
        ["E:", "[ERROR]", "error:"]
            .iter()
            .any(|word| it.starts_with(word))
    };
    let reason = text
        .lines()
        .find(|it| complaint(it))
        .or_else(|| text.lines().rfind(|it| !it.trim().is_empty()))
        .unwrap_or("no reason given");
    Err(format!("{name}: {reason}"))
}

pub(crate) fn say(text: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::{mend_links, output};
    use crate::command;

    #[test]
    fn links_lead_into_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::create_dir_all(root.join("etc/java")).unwrap();
        fs::write(root.join("etc/java/net"), "x").unwrap();
        for (link, target, expect) in [
            ("usr/lib/net", "/etc/java/net", "../../etc/java/net"),
            ("usr/conf", "/etc/java", "../etc/java"),
            ("top", "/etc/java/net", "etc/java/net"),
            ("usr/lib/near", "../conf", "../conf"),
            ("usr/lib/none", "/etc/none", "/etc/none"),
        ] {
            let link = root.join(link);
            symlink(target, &link).unwrap();
            mend_links(root, root, 0).unwrap();
            assert_eq!(fs::read_link(link).unwrap(), Path::new(expect));
        }
        assert_eq!(fs::read_to_string(root.join("usr/conf/net")).unwrap(), "x");
    }

    #[test]
    fn reasons() {
        for (script, expect) in [
            ("echo fine", Ok("fine\n")),
            ("echo '[ERROR] a'; echo b >&2; exit 1", Err("sh: [ERROR] a")),
            ("echo b >&2; echo E: c >&2; exit 1", Err("sh: E: c")),
            ("echo b; exit 1", Err("sh: b")),
            ("exit 1", Err("sh: no reason given")),
        ] {
            let mut sh = command("sh");
            sh.args(["-c", script]);
            let found = output(sh);
            assert_eq!(found.as_deref().map_err(String::as_str), expect, "{script}");
        }
    }
}
