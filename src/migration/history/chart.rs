//! Charts as SVG that stands in the page: no script, and the page's own colours.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::markup::{Text, count, duration, short};
use crate::migration::ledger::RunSample;

/// The width of all charts, in the units of their texts: readable on a phone, which shows one in its whole
/// width.
const WIDTH: f64 = 400.0;

/// Records that were done over time.
pub(super) fn progress(samples: &[RunSample]) -> Option<String> {
    const HEIGHT: f64 = 190.0;
    const LEFT: f64 = 52.0;
    const TOP: f64 = 10.0;
    const BOTTOM: f64 = 160.0;
    let (first, last) = (samples.first()?, samples.last()?);
    let took = last.at.duration_since(first.at).as_secs_f64();
    let most = samples.iter().map(|sample| sample.records).max()?;
    if samples.len() < 2 || took <= 0.0 || most == 0 {
        return None;
    }
    let top = round_up(most);
    let right = WIDTH - 8.0;
    let x = |secs: f64| LEFT + (right - LEFT) * secs / took;
    let y = |records: u64| BOTTOM - (BOTTOM - TOP) * records as f64 / top as f64;
    let mut line = String::new();
    for (nth, sample) in samples.iter().enumerate() {
        let secs = sample.at.duration_since(first.at).as_secs_f64();
        let letter = if nth == 0 { 'M' } else { 'L' };
        let _ = write!(line, "{letter}{:.1} {:.1}", x(secs), y(sample.records));
    }
    let label = format!("{} records in {}", count(last.records), duration(took));
    let mut svg = opened(HEIGHT, &label);
    for part in 0..=4 {
        let records = top * part / 4;
        let at = y(records);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            count(records)
        );
    }
    for (part, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(took * part),
            BOTTOM + 18.0,
            duration(took * part)
        );
    }
    let _ = write!(
        svg,
        "<path class=\"area\" d=\"{line}L{right:.1} {BOTTOM}L{LEFT} {BOTTOM}Z\"/>\
         <path class=\"line\" d=\"{line}\"/></svg>"
    );
    Some(svg)
}

/// A bar for each name.
pub(super) fn bars(title: &str, counts: &BTreeMap<String, u64>) -> Option<String> {
    const ROW: f64 = 26.0;
    const LEFT: f64 = 130.0;
    let most = *counts.values().max()?;
    let mut rows: Vec<(&String, &u64)> = counts.iter().collect();
    rows.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
    let mut svg = opened(ROW * rows.len() as f64 + 4.0, title);
    for (nth, (name, number)) in rows.into_iter().enumerate() {
        let y = ROW * nth as f64 + 4.0;
        let room = WIDTH - LEFT - 64.0;
        let width = (room * *number as f64 / most as f64).max(2.0);
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" rx=\"3\"/>\
             <text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 13.0,
            Text(short(&name.replace('_', " "), 20)),
            LEFT + width + 6.0,
            y + 13.0,
            count(*number)
        );
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// One cell of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// As it should be.
    Good,
    /// Something differs.
    Bad,
    /// Nothing to compare.
    Empty,
}

/// A row for each name, with a cell for each column.
pub(super) fn matrix(title: &str, columns: &[String], rows: &[(String, Vec<Cell>)]) -> String {
    const ROW: f64 = 22.0;
    const LEFT: f64 = 132.0;
    const HEAD: f64 = 86.0;
    let wide = (WIDTH - LEFT - 26.0) / columns.len().max(1) as f64;
    let mut svg = opened(HEAD + ROW * rows.len() as f64 + 4.0, title);
    for (nth, column) in columns.iter().enumerate() {
        let (x, y) = (LEFT + wide * (nth as f64 + 0.5), HEAD - 8.0);
        let _ = write!(
            svg,
            "<text class=\"label\" transform=\"rotate(-50 {x:.1} {y:.1})\" x=\"{x:.1}\" \
             y=\"{y:.1}\">{}</text>",
            Text(column)
        );
    }
    for (nth, (name, cells)) in rows.iter().enumerate() {
        let y = HEAD + ROW * nth as f64;
        let _ = write!(
            svg,
            // From the left edge: of a name that is too wide, the cells cover the end.
            "<text class=\"label\" x=\"0\" y=\"{:.1}\"><title>{}</title>{}</text>",
            y + 14.0,
            Text(name),
            Text(short(name, 20))
        );
        for (column, cell) in cells.iter().enumerate() {
            let x = LEFT + wide * column as f64;
            let (class, sign, word) = match cell {
                Cell::Good => ("good", "✓", "as in the source"),
                Cell::Bad => ("bad", "✗", "differs"),
                Cell::Empty => ("empty", "–", "nothing to compare"),
            };
            let what = columns.get(column).map_or("", String::as_str);
            let _ = write!(
                svg,
                "<g class=\"{class}\"><title>{}, {}: {word}</title><rect x=\"{:.1}\" y=\"{:.1}\" \
                 width=\"{:.1}\" height=\"18\" rx=\"3\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{sign}</text></g>",
                Text(short(name, 60)),
                Text(what),
                x + 1.0,
                y,
                wide - 2.0,
                x + wide / 2.0,
                y + 13.5
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn opened(height: f64, title: &str) -> String {
    let title = Text(title);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title>"
    )
}

/// The next number whose quarter is easy to read.
fn round_up(number: u64) -> u64 {
    let mut unit: u64 = 4;
    loop {
        for factor in [1, 2, 3, 5] {
            let candidate = unit.saturating_mul(factor);
            if candidate >= number {
                return candidate;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_a_little_above_the_highest_number() {
        for (number, top) in [
            (1, 4),
            (9, 12),
            (13, 20),
            (1_440, 2_000),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(round_up(number), top);
        }
    }

    #[test]
    fn a_run_without_time_has_no_chart() {
        let sample = RunSample {
            at: jiff::Timestamp::UNIX_EPOCH,
            records: 5,
            requests: 1,
            waited_ms: 0,
        };
        assert_eq!(progress(&[]), None);
        assert_eq!(progress(&[sample, sample]), None);
    }
}
