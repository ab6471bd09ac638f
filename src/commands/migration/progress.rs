//! Progress on stderr: a bar on a terminal, otherwise a line now and then.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState,
    ProgressStyle,
};
use zep_mcp_server::migration::{Phase, Progress, Wait, Waiting, Watch};

/// The least time between two lines of a phase.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// How often the bar is redrawn.
const TICK: Duration = Duration::from_millis(120);

/// What a run does first.
const BEGINNING: Progress = Progress {
    phase: Phase::Reading,
    done: 0,
    total: None,
};

/// Shows the progress of a run on stderr.
pub(crate) struct Meter {
    /// Hidden where stderr is not a terminal.
    bar: ProgressBar,
    dry_run: bool,
    latest: Mutex<Option<Latest>>,
    /// What the run waits for, in the order of [`Wait::ALL`].
    waits: Mutex<[Option<Waiting>; Wait::ALL.len()]>,
}

/// The furthest progress of the current phase.
#[derive(Clone, Copy)]
struct Latest {
    progress: Progress,
    /// What was done when the phase began, for instance by an earlier run: it is not part of the rate.
    before: u64,
    began: Instant,
    next_line: Instant,
}

impl Meter {
    /// Shows nothing until [`Self::show`].
    pub(crate) fn new(dry_run: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self {
            // It may be drawn before anything is reported.
            bar: bar
                .with_style(style(BEGINNING))
                .with_message(Phase::Reading.as_str()),
            dry_run,
            latest: Mutex::new(None),
            waits: Mutex::default(),
        }
    }

    /// From now on it shows what is reported.
    pub(crate) fn show(&self) {
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// Shows that reading begins, which may wait for input.
    pub(crate) fn begin(&self) {
        self.show();
        self.at(BEGINNING);
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a line above the bar.
    pub(crate) fn say(&self, text: &str) {
        // If stderr is closed, there is nowhere to report it.
        let _ = self.writer().write_all(format!("{text}\n").as_bytes());
    }

    /// Writes to stderr above the bar.
    pub(crate) fn writer(&self) -> AboveBar {
        AboveBar(self.bar.clone())
    }

    /// A phase begins, or its total is known now.
    fn lay_out(&self, progress: Progress) {
        // In this order, no style is drawn without the numbers it shows.
        match progress.total {
            Some(total) => {
                self.bar.reset();
                self.bar.set_length(total);
                self.bar.set_style(style(progress));
            }
            None => {
                self.bar.set_style(style(progress));
                self.bar.unset_length();
                self.bar.reset();
            }
        }
        self.bar.set_message(self.word(progress.phase));
    }

    /// The phase in a word. A dry run only looks up what it would write.
    fn word(&self, phase: Phase) -> &'static str {
        match phase {
            Phase::Writing if self.dry_run => "looking up",
            phase => phase.as_str(),
        }
    }

    /// The line that is due in place of a bar.
    fn line(&self, before: Option<Latest>, latest: &mut Latest) -> Option<String> {
        let Latest { progress, .. } = *latest;
        let word = self.word(progress.phase);
        let now = Instant::now();
        if before.is_none() {
            return Some(first_line(word, progress));
        }
        if now < latest.next_line {
            return None;
        }
        latest.next_line = now + BETWEEN_LINES;
        let line = later_line(word, progress, latest.before, now - latest.began);
        let waiting = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        Some(format!("{line}{}", waiting_for(&waiting[..])))
    }

    /// The run waits for something, or no longer does.
    fn note(&self, reason: Wait, waiting: Option<Waiting>) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        for (one, known) in Wait::ALL.into_iter().zip(waits.iter_mut()) {
            if one == reason {
                *known = waiting;
            }
        }
        let text = waiting_for(&waits[..]);
        drop(waits);
        self.bar.set_prefix(text);
        // The line that is due although nothing is done.
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = latest {
            self.at(latest.progress);
        }
    }
}

/// What a run waits for, behind its progress.
fn waiting_for(waits: &[Option<Waiting>]) -> String {
    let waits: Vec<String> = waits
        .iter()
        .flatten()
        .map(|Waiting { reason, left }| {
            let left = left.filter(|left| left.as_secs() > 0);
            let left = left.map_or_else(String::new, |left| format!(" ({} s)", left.as_secs()));
            format!("{}{left}", reason.as_str())
        })
        .collect();
    match waits.is_empty() {
        true => String::new(),
        false => format!("; waiting for {}", waits.join(" and ")),
    }
}

impl Watch for Meter {
    fn at(&self, progress: Progress) {
        let mut shared = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shared.filter(|it| it.progress.phase == progress.phase);
        let now = Instant::now();
        let mut latest = before.unwrap_or(Latest {
            progress,
            before: progress.done,
            began: now,
            next_line: now + BETWEEN_LINES,
        });
        // Tasks report concurrently, so a smaller count may come later.
        let done = latest.progress.done.max(progress.done);
        latest.progress = Progress { done, ..progress };
        let line = match self.bar.is_hidden() {
            true => self.line(before, &mut latest),
            false => None,
        };
        *shared = Some(latest);
        drop(shared);
        if before.is_none_or(|it| it.progress.total != progress.total) {
            self.lay_out(progress);
        }
        self.bar.set_position(done);
        if before.is_none() {
            self.bar.reset_eta();
        }
        if let Some(line) = line {
            self.say(&line);
        }
    }

    fn waits(&self, waiting: Waiting) {
        self.note(waiting.reason, Some(waiting));
    }

    fn goes_on(&self, reason: Wait) {
        self.note(reason, None);
    }
}

/// Stderr above a bar. Each write is whole lines.
pub(crate) struct AboveBar(ProgressBar);

impl Write for AboveBar {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_all(lines)?;
        Ok(lines.len())
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.suspend(|| io::stderr().lock().write_all(lines))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What the bar shows in a phase.
fn template(Progress { phase, total, .. }: Progress) -> &'static str {
    match (phase, total) {
        (Phase::Reading, Some(_)) => {
            "{spinner} {msg:<10} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left{prefix}"
        }
        (Phase::Reading, None) => "{spinner} {msg:<10} {bytes}, {bytes_per_sec}{prefix}",
        (Phase::Planning, Some(_)) => {
            "{spinner} {msg:<10} [{bar:30}] {human_pos} of {human_len}, {rate} a second, {eta} left{prefix}"
        }
        (_, Some(_)) => {
            "{spinner} {msg:<10} [{bar:30}] {human_pos} of {human_len} records, {rate} a second, {eta} left{prefix}"
        }
        (_, None) => "{spinner} {msg:<10} {human_pos} records, {rate} a second{prefix}",
    }
}

fn style(progress: Progress) -> ProgressStyle {
    // A test parses all templates.
    ProgressStyle::with_template(template(progress))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Writing to the bar's buffer does not fail.
            let _ = write!(out, "{:.0}", state.per_sec());
        })
        .progress_chars("=> ")
}

/// A number in the unit of a phase.
fn amount(phase: Phase, number: u64) -> String {
    match phase {
        Phase::Reading => HumanBytes(number).to_string(),
        _ => HumanCount(number).to_string(),
    }
}

/// The total in the unit of a phase. Planning counts users and other items as well as records.
fn total_amount(phase: Phase, total: u64) -> String {
    let unit = match phase {
        Phase::Writing | Phase::Validating | Phase::Removing => " records",
        Phase::Reading | Phase::Planning => "",
    };
    format!("{}{unit}", amount(phase, total))
}

/// The line at the beginning of a phase.
fn first_line(word: &str, Progress { phase, total, .. }: Progress) -> String {
    match total {
        Some(total) if phase != Phase::Planning => format!("{word} {}", total_amount(phase, total)),
        _ => word.to_owned(),
    }
}

/// A later line of a phase.
fn later_line(
    word: &str,
    Progress { phase, done, total }: Progress,
    before: u64,
    took: Duration,
) -> String {
    let new = done.saturating_sub(before);
    let rate = per(new, 1_000, took.as_millis().max(1));
    let of = total.map_or_else(String::new, |total| {
        format!(" of {}", total_amount(phase, total))
    });
    let left = match total {
        Some(total) if new > 0 && total >= done => {
            let left = Duration::from_millis(per(total - done, took.as_millis(), new.into()));
            format!(", about {} left", HumanDuration(left))
        }
        _ => String::new(),
    };
    let (done, rate) = (amount(phase, done), amount(phase, rate));
    format!("{word}: {done}{of}, {rate} a second{left}")
}

/// `count * factor / divisor`, at most `u64::MAX`.
fn per(count: u64, factor: u128, divisor: u128) -> u64 {
    u64::try_from(u128::from(count) * factor / divisor).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(phase: Phase, done: u64, total: Option<u64>) -> Progress {
        Progress { phase, done, total }
    }

    const PHASES: [Phase; 4] = [
        Phase::Reading,
        Phase::Planning,
        Phase::Writing,
        Phase::Validating,
    ];

    #[test]
    fn a_line_says_how_much_is_done_how_fast_and_how_long_it_will_take() {
        let line = later_line(
            "writing",
            progress(Phase::Writing, 1_200, Some(3_000)),
            0,
            Duration::from_secs(12),
        );
        assert_eq!(
            line,
            "writing: 1,200 of 3,000 records, 100 a second, about 18 seconds left"
        );
        // What an earlier run has done makes this one no quicker.
        let line = later_line(
            "writing",
            progress(Phase::Writing, 1_200, Some(3_000)),
            600,
            Duration::from_secs(12),
        );
        assert_eq!(
            line,
            "writing: 1,200 of 3,000 records, 50 a second, about 36 seconds left"
        );
        let line = later_line(
            "reading",
            progress(Phase::Reading, 4 << 20, None),
            0,
            Duration::from_secs(2),
        );
        assert_eq!(line, "reading: 4.00 MiB, 2.00 MiB a second");
        // With nothing done, no time can be estimated.
        for phase in PHASES {
            let line = later_line("", progress(phase, 0, Some(0)), 0, Duration::ZERO);
            assert!(!line.contains("left"), "{line}");
        }
    }

    #[test]
    fn a_wait_is_shown_with_its_reason_until_it_is_over() {
        let meter = Meter::new(false);
        meter.waits(Waiting {
            reason: Wait::RateLimit,
            left: Some(Duration::from_millis(34_600)),
        });
        assert_eq!(meter.bar.prefix(), "; waiting for the rate limit (34 s)");
        meter.waits(Waiting {
            reason: Wait::Batch,
            left: None,
        });
        meter.goes_on(Wait::RateLimit);
        let waiting = "; waiting for a batch that Zep processes";
        assert_eq!(meter.bar.prefix(), waiting);
        meter.goes_on(Wait::Batch);
        assert_eq!(meter.bar.prefix(), "");
    }

    #[test]
    fn counts_that_come_late_do_not_set_a_phase_back() {
        let meter = Meter::new(false);
        let position = || meter.bar.position();
        meter.at(progress(Phase::Reading, 900, Some(1_000)));
        meter.at(progress(Phase::Writing, 7, Some(10)));
        meter.at(progress(Phase::Writing, 5, Some(10)));
        assert_eq!(position(), 7);
        meter.at(progress(Phase::Validating, 1, Some(10)));
        assert_eq!(position(), 1, "a new phase begins anew");
    }

    #[test]
    fn the_templates_of_all_phases_are_valid() {
        for phase in PHASES {
            for total in [None, Some(10)] {
                ProgressStyle::with_template(template(progress(phase, 0, total))).unwrap();
            }
        }
    }
}
