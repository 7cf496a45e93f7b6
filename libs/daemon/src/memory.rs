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

/// Takes the pages of the program's and its libraries' code out of this process' memory. What is used comes back from the
/// page cache at its next use; what only the start used (command line, configuration, TLS) does not.
#[expect(
    unsafe_code,
    reason = "madvise(2) is unsafe, as it may discard what was written"
)]
pub(crate) fn drop_code_of_the_start() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, length) in maps.lines().filter_map(code) {
        // SAFETY: the range is a mapping of a file that cannot be written to through it: dropped pages are read from the file
        // again, unchanged. An error, when it is gone meanwhile, costs nothing.
        unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(start),
                length,
                libc::MADV_DONTNEED,
            );
        }
    }
}

/// The start and length of a mapping of a file that can be run and not written to.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, rights) = (fields.next()?, fields.next()?);
    let path = fields.nth(3)?;
    if rights != "r-xp" || !path.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::{code, drop_code_of_the_start};

    #[test]
    fn mappings() {
        for (line, expect) in [
            (
                "1000-3000 r-xp 00000000 fe:00 12 /usr/bin/x",
                Some((0x1000, 0x2000)),
            ),
            ("1000-3000 r--p 00000000 fe:00 12 /usr/bin/x", None),
            ("1000-3000 rwxp 00000000 fe:00 12 /usr/bin/x", None),
            ("1000-3000 r-xp 00000000 00:00 0 [vdso]", None),
            ("1000-3000 r-xp 00000000 00:00 0", None),
            ("", None),
        ] {
            assert_eq!(code(line), expect, "{line}");
        }
    }

    #[test]
    fn the_program_goes_on() {
        drop_code_of_the_start();
        mappings();
    }
}
