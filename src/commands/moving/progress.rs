//! How far a run has come, on stderr: a bar on a terminal, a line now and then elsewhere.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState,
    ProgressStyle,
};
use zep_mcp_server::migration::{Phase, Progress, Watch};

/// The least time between two lines of a phase.
const BETWEEN_LINES_MS: u64 = 10_000;
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(120);

/// Shows how far a run has come. Told from several tasks at once, it takes no lock but where a phase
/// begins and, briefly, where the bar is drawn.
pub struct Meter {
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// Whether nothing is written.
    dry_run: bool,
    born: Instant,
    /// The phase as it is laid out: see [`layout`].
    layout: AtomicU64,
    total: AtomicU64,
    done: AtomicU64,
    /// When the phase began and when its next line is due, in milliseconds since `born`.
    began: AtomicU64,
    due: AtomicU64,
}

impl Meter {
    /// One for this process's stderr. Shows nothing yet.
    pub fn on_stderr(dry_run: bool) -> Self {
        // Hidden until there is something to show.
        let bar = io::stderr()
            .is_terminal()
            .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        Self {
            bar,
            dry_run,
            born: Instant::now(),
            layout: AtomicU64::new(0),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            began: AtomicU64::new(0),
            due: AtomicU64::new(0),
        }
    }

    /// Says that reading begins, which may wait for somebody to write.
    pub fn begin(&self) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        self.at(Progress {
            phase: Phase::Reading,
            done: 0,
            total: None,
        });
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Says something beside the bar.
    pub fn say(&self, text: &str) {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(self.beside(), "{text}");
    }

    /// Stderr, where nothing that is written gets into the bar.
    pub fn beside(&self) -> Beside {
        Beside(self.bar.clone())
    }

    /// A phase begins, or it became known how much there is to do.
    fn lay_out(&self, progress: Progress) {
        let Some(bar) = &self.bar else { return };
        // In this order no look is ever drawn without the numbers that it shows.
        match progress.total {
            Some(total) => {
                bar.reset();
                bar.set_length(total);
                bar.set_style(style(progress));
            }
            None => {
                bar.set_style(style(progress));
                bar.unset_length();
                bar.reset();
            }
        }
        bar.set_message(self.word(progress.phase));
    }

    /// What a phase is called: a dry run only looks what it would write.
    fn word(&self, phase: Phase) -> &'static str {
        match phase {
            Phase::Writing if self.dry_run => "looking up",
            phase => phase.as_str(),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Watch for Meter {
    fn at(&self, progress: Progress) {
        let total = progress.total.unwrap_or(u64::MAX);
        let begins = self.layout.swap(layout(progress.phase), Relaxed) != layout(progress.phase);
        if begins {
            let now = self.elapsed_ms();
            self.began.store(now, Relaxed);
            self.due.store(now + BETWEEN_LINES_MS, Relaxed);
            self.done.store(0, Relaxed);
        }
        if self.total.swap(total, Relaxed) != total || begins {
            self.lay_out(progress);
        }
        // Several tell at once, and not in the order in which they counted.
        let done = self
            .done
            .fetch_max(progress.done, Relaxed)
            .max(progress.done);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        if begins {
            self.say(&beginning(self.word(progress.phase), progress));
            return;
        }
        let (now, due) = (self.elapsed_ms(), self.due.load(Relaxed));
        let mine = now >= due
            && self
                .due
                .compare_exchange(due, now + BETWEEN_LINES_MS, Relaxed, Relaxed)
                .is_ok();
        if mine {
            let took = Duration::from_millis(now.saturating_sub(self.began.load(Relaxed)));
            let word = self.word(progress.phase);
            self.say(&so_far(word, Progress { done, ..progress }, took));
        }
    }
}

/// Stderr beside a bar. Each write is whole lines.
pub struct Beside(Option<ProgressBar>);

impl Write for Beside {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_all(lines)?;
        Ok(lines.len())
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        let write = || io::stderr().lock().write_all(lines);
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A number for each phase; 0 is none.
fn layout(phase: Phase) -> u64 {
    match phase {
        Phase::Reading => 1,
        Phase::Planning => 2,
        Phase::Writing => 3,
        Phase::Validating => 4,
    }
}

/// What the bar looks like in a phase.
fn style(Progress { phase, total, .. }: Progress) -> ProgressStyle {
    let template = match (phase, total) {
        (Phase::Reading, Some(_)) => {
            "{spinner} {msg:<10} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
        }
        (Phase::Reading, None) => "{spinner} {msg:<10} {bytes}, {bytes_per_sec}",
        (Phase::Planning, Some(_)) => {
            "{spinner} {msg:<10} [{bar:30}] {human_pos} of {human_len}, {rate} a second, {eta} left"
        }
        (_, Some(_)) => {
            "{spinner} {msg:<10} [{bar:30}] {human_pos} of {human_len} records, {rate} a second, {eta} left"
        }
        (_, None) => "{spinner} {msg:<10} {human_pos} records, {rate} a second",
    };
    // The templates are literals, and a test reads them all.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Whoever cannot be written to is not looking.
            let _ = write!(out, "{:.0}", state.per_sec());
        })
        .progress_chars("=> ")
}

/// A phase's first line.
fn beginning(word: &str, progress: Progress) -> String {
    match (progress.phase, progress.total) {
        (Phase::Reading, Some(total)) => format!("{word} {}", HumanBytes(total)),
        (Phase::Writing | Phase::Validating, Some(total)) => {
            format!("{word} {} records", HumanCount(total))
        }
        _ => word.to_owned(),
    }
}

/// A phase's later lines.
fn so_far(word: &str, progress: Progress, took: Duration) -> String {
    let Progress { phase, done, total } = progress;
    let secs = took.as_secs_f64();
    // Shown to people: what a float cannot hold exactly does not matter.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let (rate, left) = {
        let rate = done as f64 / secs;
        let left = total
            .filter(|total| *total >= done && rate > 0.0)
            .map(|total| Duration::from_secs(((total - done) as f64 / rate) as u64));
        (rate as u64, left)
    };
    let line = |done: &dyn Display, of: Option<&dyn Display>, rate: &dyn Display| {
        let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
        let left = left
            .map(|left| format!(", about {} left", HumanDuration(left)))
            .unwrap_or_default();
        format!("{word}: {done}{of}, {rate} a second{left}")
    };
    match phase {
        Phase::Reading => {
            let total = total.map(HumanBytes);
            let total = total.as_ref().map(|total| total as &dyn Display);
            line(&HumanBytes(done), total, &HumanBytes(rate))
        }
        // Users and other things are planned, too.
        Phase::Planning => {
            let total = total.map(HumanCount);
            let total = total.as_ref().map(|total| total as &dyn Display);
            line(&HumanCount(done), total, &HumanCount(rate))
        }
        Phase::Writing | Phase::Validating => {
            let total = total.map(|total| format!("{} records", HumanCount(total)));
            let total = total.as_ref().map(|total| total as &dyn Display);
            line(&HumanCount(done), total, &HumanCount(rate))
        }
    }
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
        let line = so_far(
            "writing",
            progress(Phase::Writing, 1_200, Some(3_000)),
            Duration::from_secs(12),
        );
        assert_eq!(
            line,
            "writing: 1,200 of 3,000 records, 100 a second, about 18 seconds left"
        );
        let line = so_far(
            "reading",
            progress(Phase::Reading, 4 << 20, None),
            Duration::from_secs(2),
        );
        assert_eq!(line, "reading: 4.00 MiB, 2.00 MiB a second");
        // Nothing done yet: no end in sight, and no division by it.
        for phase in PHASES {
            let line = so_far("", progress(phase, 0, Some(0)), Duration::ZERO);
            assert!(!line.contains("left"), "{line}");
        }
    }

    #[test]
    fn counts_that_come_late_do_not_set_a_phase_back() {
        let meter = Meter {
            bar: Some(ProgressBar::with_draw_target(
                None,
                ProgressDrawTarget::hidden(),
            )),
            ..Meter::on_stderr(false)
        };
        let position = || meter.bar.as_ref().map(ProgressBar::position);
        meter.at(progress(Phase::Reading, 900, Some(1_000)));
        meter.at(progress(Phase::Writing, 7, Some(10)));
        meter.at(progress(Phase::Writing, 5, Some(10)));
        assert_eq!(position(), Some(7));
        meter.at(progress(Phase::Validating, 1, Some(10)));
        assert_eq!(position(), Some(1), "a new phase begins anew");
    }

    #[test]
    fn every_phase_has_a_look_of_its_own() {
        for phase in PHASES {
            for total in [None, Some(10)] {
                let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
                bar.set_style(style(progress(phase, 0, total)));
            }
        }
    }
}
