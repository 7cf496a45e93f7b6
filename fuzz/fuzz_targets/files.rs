//! The host's files: whatever is in one of them, no collector panics, and what is shown is well-formed.
//!
//! An input is a line of a machine and a file of it, then the bytes in its place. The first line stays: each input is of one parser.

#![no_main]

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use node_exporter::fuzz::{Machine, TREES};

/// In memory, so that no disk bounds the speed.
static MACHINES: OnceLock<BTreeMap<&str, Machine>> = OnceLock::new();

fn machines() -> BTreeMap<&'static str, Machine> {
    let machine = |tree| (tree, Machine::open(tree, Path::new("/dev/shm")));
    TREES.map(machine).into()
}

fn head(input: &[u8]) -> Option<usize> {
    input.iter().position(|it| *it == b'\n')
}

fuzz_target!(|input: &[u8]| {
    let Some(end) = head(input) else { return };
    let (Ok(head), bytes) = (str::from_utf8(&input[..end]), &input[end + 1..]) else {
        return;
    };
    let Some((tree, file)) = head.split_once(' ') else {
        return;
    };
    if let Some(machine) = MACHINES.get_or_init(machines).get(tree) {
        machine.with(file, Some(bytes));
    }
});

fuzz_mutator!(|input: &mut [u8], size: usize, max_size: usize, _seed: u32| {
    let start = head(&input[..size]).map_or(0, |it| it + 1);
    start + fuzzer_mutate(&mut input[start..], size - start, max_size - start)
});
