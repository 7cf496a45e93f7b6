//! Little memory for programs that run on every machine: one heap for all threads, and no code that only the start needed.

use std::{fs, time::Duration};

/// How long after the start its code is dropped: by then the first scrapes have come.
pub(crate) const SETTLED: Duration = Duration::from_secs(10);

/// Bytes at the heap's end that are kept when they are free; more go back to the system.
const KEPT_FREE: libc::c_int = 512 << 10;

/// Sets the C library's allocator to one heap. It would make one for each thread, of which a scrape uses several in turn,
/// and each grows to what a scrape needs.
#[expect(unsafe_code, reason = "mallopt(3) has no safe wrapper")]
pub(crate) fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt changes parameters of the allocator; it is called before there are threads, and takes any number.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
    }
}

/// Takes the pages of the program's and its libraries' code and constants out of this process' memory. What is used comes back
/// from the page cache at its next use; what only the start used (relocations, command line, configuration, TLS) does not.
#[expect(
    unsafe_code,
    reason = "madvise(2) is unsafe, as it may discard what was written"
)]
pub(crate) fn drop_code_of_the_start() {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for (start, length) in unchanged(&maps) {
        // SAFETY: the range is a mapping of a file that cannot be written to and has no page that was changed before it was so
        // (as the linker's table of addresses has): dropped pages are read from the file again, the same. An error, when it is
        // gone meanwhile, costs nothing.
        unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(start),
                length,
                libc::MADV_DONTNEED,
            );
        }
    }
}

/// The starts and lengths of mappings of files that cannot be written to and are as in their files (`/proc/self/smaps`,
/// proc(5)).
fn unchanged(maps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut last = None;
    for line in maps.lines() {
        if let Some(mapping) = mapping(line) {
            last = Some(mapping);
        } else if line.starts_with("Anonymous:")
            && let Some(Some(range)) = last.take()
            && line.split_ascii_whitespace().nth(1) == Some("0")
        {
            found.push(range);
        }
    }
    found
}

/// The first line of a mapping; then its start and length, when it is of a file and cannot be written to.
fn mapping(line: &str) -> Option<Option<(usize, usize)>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let rights = fields.next()?;
    let file = fields.nth(3).is_some_and(|it| it.starts_with('/'));
    let fixed = file && matches!(rights, "r-xp" | "r--p");
    Some(fixed.then_some((start, end.checked_sub(start)?)))
}

#[cfg(test)]
mod tests {
    use super::{drop_code_of_the_start, unchanged};

    #[test]
    fn mappings() {
        let maps = |first: &str, anonymous: &str| {
            format!("{first}\nSize: 8 kB\nAnonymous: {anonymous} kB\nVmFlags: rd\n")
        };
        for (first, anonymous, expect) in [
            (
                "1000-3000 r-xp 00000000 fe:00 12 /usr/bin/x",
                "0",
                Some((0x1000, 0x2000)),
            ),
            (
                "1000-3000 r--p 00000000 fe:00 12 /usr/bin/x",
                "0",
                Some((0x1000, 0x2000)),
            ),
            ("1000-3000 r--p 00000000 fe:00 12 /usr/bin/x", "4", None),
            ("1000-3000 rw-p 00000000 fe:00 12 /usr/bin/x", "0", None),
            ("1000-3000 r-xp 00000000 00:00 0 [vdso]", "0", None),
            ("1000-3000 r-xp 00000000 00:00 0", "0", None),
            ("", "0", None),
        ] {
            assert_eq!(
                unchanged(&maps(first, anonymous)).first().copied(),
                expect,
                "{first}"
            );
        }
    }

    #[test]
    fn the_program_goes_on() {
        drop_code_of_the_start();
        mappings();
    }
}
