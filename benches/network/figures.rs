//! Measurements and their tables.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// Times of answered calls, and reasons of failed ones.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    times: Vec<Duration>,
    failures: BTreeMap<String, usize>,
}

impl Outcome {
    pub(crate) fn note(&mut self, took: Duration, call: Result<(), String>) {
        match call {
            Ok(()) => self.times.push(took),
            Err(why) => *self.failures.entry(why).or_default() += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.times.extend(other.times);
        for (why, count) in other.failures {
            *self.failures.entry(why).or_default() += count;
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.times.len()
    }

    /// Calls that were refused, answered incorrectly or not answered.
    pub(crate) fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// p50, p99 and maximum in milliseconds.
    pub(crate) fn percentiles(&mut self) -> [String; 3] {
        self.times.sort_unstable();
        [50, 99, 100].map(|percent| {
            let place = (self.times.len() * percent).div_ceil(100).max(1) - 1;
            self.times.get(place).map_or_else(
                || "-".to_owned(),
                |time| format!("{:.1}", time.as_secs_f64() * 1e3),
            )
        })
    }

    /// One line per reason, for below the table.
    pub(crate) fn failures(&self, of: impl Display) -> Vec<String> {
        self.failures
            .iter()
            .map(|(why, count)| format!("{of}: {count} failed: {why}"))
            .collect()
    }
}

/// Prints the header of a Markdown table.
pub(crate) fn table(columns: &[&str]) {
    println!("\n| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}

/// Prints a row.
pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Formats bytes as MB (2^20 bytes).
pub(crate) fn mb(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}

/// Formats a share of one processor in percent.
pub(crate) fn share(cpu: Duration, of: Duration) -> String {
    format!("{:.0} %", 100.0 * cpu.as_secs_f64() / of.as_secs_f64())
}
