//! One call, from its beginning to its entry.

use std::borrow::Cow;
use std::time::Instant;

use super::entry::{Action, Door, Entry, Who};
use super::error::Unwritable;
use super::touched::Touched;
use super::trail::Trail;

/// What became of a call that was dropped before it ended.
const ABANDONED: &str = "abandoned";
/// What became of a call that was not begun, since the trail cannot be written.
const REFUSED: &str = "audit_unavailable";

/// A call that was begun. If it is dropped before its end, its entry says `abandoned`: what it had begun
/// to write may be stored.
#[derive(Debug)]
pub struct Call {
    trail: Trail,
    begun: Instant,
    /// `None` once it is handed over, or without a trail.
    entry: Option<Entry>,
    touched: Touched,
}

impl Trail {
    /// Begins a call.
    ///
    /// # Errors
    /// [`Unwritable`], if the trail cannot be written and is required. The attempt is noted.
    pub async fn begin(
        &self,
        who: &Who,
        door: Door,
        call: impl Into<Cow<'static, str>>,
        action: Action,
        request: Option<String>,
    ) -> Result<Call, Unwritable> {
        let entry = self.is_on().then(|| Entry {
            request,
            ..Entry::new(door, call, action).by(who)
        });
        let begun = Instant::now();
        if let Err(unwritable) = self.ready().await {
            if let Some(entry) = entry {
                self.note(&Entry {
                    outcome: REFUSED.into(),
                    ..entry
                });
            }
            return Err(unwritable);
        }
        Ok(Call {
            trail: self.clone(),
            begun,
            entry,
            touched: match door {
                Door::Command => Touched::of_command(),
                _ => Touched::default(),
            },
        })
    }
}

impl Call {
    /// Does the work of the call; what it touches is noted.
    pub async fn during<F: Future>(&self, work: F) -> F::Output {
        match &self.entry {
            Some(_) => self.touched.scope(work).await,
            None => work.await,
        }
    }

    /// Notes what the call names or answers, outside of its work.
    pub fn noting(&self, note: impl FnOnce()) {
        if self.entry.is_some() {
            self.touched.sync_scope(note);
        }
    }

    /// What the call does is what it did: the strongest right that it used.
    #[must_use]
    pub fn acting_as_noted(mut self) -> Self {
        if let (Some(entry), Some(strongest)) = (&mut self.entry, self.touched.strongest()) {
            entry.action = strongest;
        }
        self
    }

    /// Ends the call, and waits for its entry.
    pub async fn end(mut self, outcome: impl Into<Cow<'static, str>>) {
        for entry in self.entries(outcome.into()) {
            self.trail.record(&entry).await;
        }
    }

    fn entries(&mut self, outcome: Cow<'static, str>) -> Vec<Entry> {
        let Some(entry) = self.entry.take() else {
            return Vec::new();
        };
        let micros = self.begun.elapsed().as_micros();
        self.touched.clone().into_entries(Entry {
            outcome,
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
            ..entry
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        for entry in self.entries(ABANDONED.into()) {
            self.trail.note(&entry);
        }
    }
}
