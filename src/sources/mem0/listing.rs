//! All memories that pass a filter of mem0 Platform.
//!
//! A list comes in pages that are counted from its beginning, newest first, and changes while it is
//! read: a memory that is added moves all others one place on, so that one comes twice; one that is
//! deleted moves them back, and one is never shown. So the pages are read until they agree: the number
//! of memories that mem0 counts never fell, and as many different ones were read.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::client::platform::{Client, PAGE_SIZE};
use super::kept::Kept;
use crate::sources::Severity;
use crate::sources::client::Error;

/// How often a list is read from its beginning at most. Ours.
const PASSES: u32 = 4;
/// How often the beginning of a list is read again because memories were added. Ours.
const TOP_UPS: u32 = 5;
/// The pause before a list is read again: changes come in bursts. Ours.
const PAUSE: Duration = Duration::from_millis(200);
/// The most pages of a list: 10 million memories.
const MAX_PAGES: u64 = 50_000;

/// The memories of a list.
pub(super) struct Listing {
    pub(super) kept: Kept,
    /// What is wrong with the list.
    pub(super) trouble: Option<Trouble>,
    /// Why it was not read to its end.
    pub(super) error: Option<Error>,
    /// The last page that was read.
    pub(super) page: u64,
}

/// What is wrong with a list.
pub(super) struct Trouble {
    pub(super) severity: Severity,
    pub(super) reason: String,
}

/// Reads all memories that pass a filter.
///
/// # Errors
/// If they cannot be kept.
pub(super) async fn list(client: &Client, filters: &Value) -> io::Result<Listing> {
    let mut earlier: Option<Pass> = None;
    for number in 0..PASSES {
        tokio::time::sleep(PAUSE * number).await;
        let mut pass = Pass::new();
        pass.read(client, filters, Part::All).await?;
        for _ in 0..TOP_UPS {
            if !pass.only_lacks_new_ones() {
                break;
            }
            pass.read(client, filters, Part::Beginning).await?;
        }
        if pass.error.is_some() || pass.is_whole() {
            let gone = match (&earlier, &pass.error) {
                (Some(earlier), None) => earlier.kept.missing_in(&pass.kept),
                _ => 0,
            };
            return Ok(Listing {
                trouble: (gone > 0).then(|| trouble_of_gone(gone, &pass)),
                error: pass.error,
                page: pass.page,
                kept: pass.kept,
            });
        }
        earlier = Some(pass);
    }
    // The loop ran at least once.
    let pass = earlier.unwrap_or_else(Pass::new);
    Ok(Listing {
        trouble: Some(Trouble {
            severity: Severity::Other,
            reason: pass.disagreement(),
        }),
        error: None,
        page: pass.page,
        kept: pass.kept,
    })
}

/// Memories that an earlier reading of the list had. They are not migrated: who deletes a memory wants
/// it gone. A list that became empty may be a fault of mem0.
fn trouble_of_gone(gone: u64, pass: &Pass) -> Trouble {
    match pass.kept.len() {
        0 => Trouble {
            severity: Severity::Other,
            reason: format!(
                "vanished while it was read, with {gone} memories; run this again to be sure that \
                 it has none"
            ),
        },
        _ => Trouble {
            severity: Severity::Warning,
            reason: format!(
                "was changed while it was read, and read again: {gone} memories had gone by then \
                 and are left out"
            ),
        },
    }
}

/// What is read of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// Until all memories are known that mem0 counts, or a page has no new ones.
    Beginning,
}

/// One reading of a list.
struct Pass {
    kept: Kept,
    page: u64,
    /// How many memories mem0 counted at first, and at last.
    counted: Option<(u64, u64)>,
    /// Whether it counted fewer once.
    shrank: bool,
    /// What is wrong with the pages.
    contradiction: Option<&'static str>,
    error: Option<Error>,
}

impl Pass {
    fn new() -> Self {
        Self {
            kept: Kept::new(),
            page: 0,
            counted: None,
            shrank: false,
            contradiction: None,
            error: None,
        }
    }

    async fn read(&mut self, client: &Client, filters: &Value, part: Part) -> io::Result<()> {
        for page in 1..=MAX_PAGES {
            self.page = page;
            let answer = match client.memories(filters, page, PAGE_SIZE).await {
                Ok(answer) => answer,
                Err(Error::NotFound { .. }) if page > 1 => {
                    self.contradiction =
                        Some("is announced by the page before, and does not exist");
                    return Ok(());
                }
                Err(error) => {
                    self.error = Some(error);
                    return Ok(());
                }
            };
            self.count(answer.count);
            let new = self.kept.add(page, &answer.results)?;
            if !answer.has_next() {
                return Ok(());
            }
            match part {
                Part::Beginning if new == 0 || self.has_all() => return Ok(()),
                Part::All if new == 0 => {
                    self.contradiction = Some(
                        "has no memory that the pages before did not have, and says that more follow",
                    );
                    return Ok(());
                }
                _ if self.has_too_many() => {
                    self.contradiction =
                        Some("has more memories than mem0 counts, and says that more follow");
                    return Ok(());
                }
                _ => {}
            }
        }
        self.contradiction = Some("says that more follow, after more pages than can be");
        Ok(())
    }

    fn count(&mut self, count: Option<u64>) {
        let Some(count) = count else { return };
        let (first, last) = self.counted.unwrap_or((count, count));
        self.shrank |= count < last;
        self.counted = Some((first, count));
    }

    fn has_all(&self) -> bool {
        self.counted.is_none_or(|(_, last)| self.kept.len() == last)
    }

    /// Whether there are more than what may have been deleted meanwhile.
    fn has_too_many(&self) -> bool {
        self.counted
            .is_some_and(|(first, last)| self.kept.len() > first.max(last) + PAGE_SIZE as u64)
    }

    fn agrees(&self) -> bool {
        self.error.is_none() && self.contradiction.is_none() && !self.shrank
    }

    /// Whether nothing can be missing, and nothing is here that was deleted meanwhile.
    fn is_whole(&self) -> bool {
        self.agrees() && self.has_all()
    }

    /// Whether only memories can be missing that were added meanwhile: they are at the beginning.
    fn only_lacks_new_ones(&self) -> bool {
        self.agrees()
            && self
                .counted
                .is_some_and(|(first, last)| (first..last).contains(&self.kept.len()))
    }

    fn disagreement(&self) -> String {
        match (self.contradiction, self.counted) {
            (Some(contradiction), _) => contradiction.to_owned(),
            (None, Some((_, last))) if !self.shrank => format!(
                "is the last one, and {} memories were listed of the {last} that mem0 counts",
                self.kept.len()
            ),
            _ => format!(
                "and the others were changed while they were read, each of {PASSES} times; run this \
                 again when nobody writes"
            ),
        }
    }
}
