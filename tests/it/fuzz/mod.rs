//! Fuzzing: every reader of outside data gets valid inputs with faults in them. Short here, as long
//! as `FUZZ_SECS` says when it is set; `tests/README.md` says how.
//!
//! A failing input is made small and written to a file, which the failure names. Put into
//! `tests/fixtures/fuzz/<reader>/` it is tried first from then on.

mod answers;
mod arguments;
mod dotenv;
mod exports;
mod filters;
mod hosts;
mod pickles;
mod tokens;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use serde_json::Value;

use crate::common::filters::any_json;

/// How many inputs at a time, between looks at the clock.
const BATCH: u32 = 64;

/// Inputs of earlier failures, and examples that no other test has.
fn corpus(reader: &str) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz");
    files(&fixtures.join(reader))
}

/// The contents of all files in a directory of the fixtures and below it.
fn fixtures(directory: &str) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    files(&fixtures.join(directory))
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![std::fs::read(&path).unwrap()],
        })
        .collect()
}

/// Tries a reader with inputs: `cases` of them, or as many as fit into `FUZZ_SECS`.
fn fuzz<T: std::fmt::Debug>(
    reader: &str,
    cases: u32,
    inputs: &impl Strategy<Value = T>,
    written: impl Fn(&T) -> Vec<u8>,
    mut check: impl FnMut(&T) -> TestCaseResult,
) {
    let time = std::env::var("FUZZ_SECS").ok();
    let time = time.map(|secs| Duration::from_secs(secs.parse().expect("FUZZ_SECS is a number")));
    let check = std::cell::RefCell::new(&mut check);
    let begun = Instant::now();
    let mut tried = 0;
    let goes_on = |tried| match time {
        Some(time) => begun.elapsed() < time,
        None => tried < cases,
    };
    while goes_on(tried) {
        let batch = match time {
            Some(_) => BATCH,
            None => BATCH.min(cases - tried),
        };
        tried += batch;
        // A runner of its own for each batch begins with new random numbers.
        let mut runner = TestRunner::new(Config {
            cases: batch,
            failure_persistence: None,
            ..Config::default()
        });
        let outcome = runner.run(inputs, |input| check.borrow_mut()(&input));
        match outcome {
            Ok(()) => {}
            Err(proptest::test_runner::TestError::Fail(why, input)) => {
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{reader}"));
                std::fs::write(&file, written(&input)).unwrap();
                panic!("{why}\nthe input is in {}\n{input:?}", file.display());
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!("{reader}: {tried} inputs in {:?}", begun.elapsed());
}

/// Tries a reader of bytes: first with the corpus as it is, then with faults in it.
fn fuzz_bytes(
    reader: &str,
    cases: u32,
    seeds: Vec<Vec<u8>>,
    words: &'static [&'static str],
    mut check: impl FnMut(&[u8]) -> TestCaseResult,
) {
    for seed in &seeds {
        check(seed).unwrap_or_else(|why| panic!("{why}\n{}", String::from_utf8_lossy(seed)));
    }
    let inputs = faulty(seeds, words);
    let bytes = |input: &Vec<u8>| input.clone();
    fuzz(reader, cases, &inputs, bytes, |input| check(input));
}

/// One fault.
#[derive(Debug, Clone)]
enum Fault {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, usize),
    End(Index),
    /// A piece once more, elsewhere.
    Again(Index, usize, Index),
    /// A piece many times over.
    Often(Index, usize, usize),
    /// A piece of another seed.
    From(Index, Index, usize, Index),
}

fn faults(words: &'static [&'static str]) -> impl Strategy<Value = Vec<Fault>> {
    let at = any::<Index>;
    let piece = 1_usize..64;
    let word = proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let fault = prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Fault::Put(at, byte)),
        1 => (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Fault::Insert(at, bytes)),
        6 => (at(), word).prop_map(|(at, word)| Fault::Insert(at, word)),
        3 => (at(), piece.clone()).prop_map(|(at, length)| Fault::Cut(at, length)),
        1 => at().prop_map(Fault::End),
        2 => (at(), piece.clone(), at()).prop_map(|(from, length, to)| Fault::Again(from, length, to)),
        1 => (at(), 1_usize..8, 2_usize..300)
            .prop_map(|(at, length, times)| Fault::Often(at, length, times)),
        2 => (at(), at(), piece, at())
            .prop_map(|(seed, from, length, to)| Fault::From(seed, from, length, to)),
    ];
    vec(fault, 1..6)
}

/// A seed with a few faults.
fn faulty(seeds: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), faults(words)).prop_map(move |(seed, faults)| {
        let mut bytes = seed.get(&seeds).clone();
        for fault in faults {
            spoil(&mut bytes, &fault, &seeds);
        }
        bytes
    })
}

fn spoil(bytes: &mut Vec<u8>, fault: &Fault, seeds: &[Vec<u8>]) {
    let piece = |bytes: &[u8], from: &Index, length: usize| {
        let from = from.index(bytes.len() + 1);
        bytes[from..bytes.len().min(from + length)].to_vec()
    };
    let (at, new) = match fault {
        Fault::Put(at, byte) => {
            let at = at.index(bytes.len() + 1);
            if let Some(old) = bytes.get_mut(at) {
                *old = *byte;
            }
            return;
        }
        Fault::Cut(at, length) => {
            let at = at.index(bytes.len() + 1);
            bytes.drain(at..bytes.len().min(at + length));
            return;
        }
        Fault::End(at) => return bytes.truncate(at.index(bytes.len() + 1)),
        Fault::Insert(at, new) => (at, new.clone()),
        Fault::Again(from, length, to) => (to, piece(bytes, from, *length)),
        Fault::Often(from, length, times) => (from, piece(bytes, from, *length).repeat(*times)),
        Fault::From(seed, from, length, to) => {
            (to, piece(seed.get::<Vec<u8>>(seeds), from, *length))
        }
    };
    let at = at.index(bytes.len() + 1);
    bytes.splice(at..at, new);
}

/// JSON in which a few values are others, and a few fields have other names.
fn faulty_json(seeds: Vec<Value>) -> impl Strategy<Value = Value> {
    let change = (
        any::<Index>(),
        any_json(),
        proptest::option::of("[a-z_]{1,12}"),
    );
    (any::<Index>(), vec(change, 0..4)).prop_map(move |(seed, changes)| {
        let mut value = seed.get(&seeds).clone();
        for (at, new, name) in changes {
            let at = at.index(count(&value));
            change_at(&mut value, at, new, name);
        }
        value
    })
}

/// How many values there are in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// Changes the value of this number, counted from the outside in.
fn change_at(value: &mut Value, at: usize, new: Value, name: Option<String>) {
    if at == 0 {
        match (name, value) {
            (Some(name), Value::Object(fields)) => {
                fields.insert(name, new);
            }
            (_, value) => *value = new,
        }
        return;
    }
    let mut left = at - 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(all) => all.iter_mut().collect(),
        Value::Object(all) => all.values_mut().collect(),
        _ => Vec::new(),
    };
    for one in inner {
        let size = count(one);
        if left < size {
            return change_at(one, left, new, name);
        }
        left -= size;
    }
}
