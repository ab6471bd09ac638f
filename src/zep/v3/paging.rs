//! What is learned about a server's paging of threads.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::zep::types::MessagePage;

/// What `cursor` of `threads/{id}/messages` may count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Messages before the page.
    Offset,
    /// Pages before the page.
    PageFromZero,
    /// Pages, this one included.
    PageFromOne,
    /// None of these: the end of the thread is read instead.
    Useless,
}

impl Cursor {
    const ALL: [Self; 4] = [
        Self::Offset,
        Self::PageFromZero,
        Self::PageFromOne,
        Self::Useless,
    ];
}

/// What was learned about a server's paging. Only hints: every answer is checked by itself.
#[derive(Debug)]
pub(super) struct Paging {
    /// Index into [`Cursor::ALL`] of what worked last.
    cursor: AtomicU8,
    /// The most messages of one answer, as far as known.
    most: AtomicU32,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            cursor: AtomicU8::new(0),
            most: AtomicU32::new(u32::MAX),
        }
    }
}

impl Paging {
    /// The meanings to try, beginning with the one that worked last.
    pub(super) fn order(&self) -> [Cursor; 4] {
        let mut order = Cursor::ALL;
        let known = usize::from(self.cursor.load(Ordering::Relaxed)).min(order.len() - 1);
        order[..=known].rotate_right(1);
        order
    }

    /// The most messages to ask for at once.
    pub(super) fn most(&self) -> u32 {
        self.most.load(Ordering::Relaxed)
    }

    /// Learns from the beginning of a thread how many messages one answer has: if fewer than requested,
    /// that is also the page size. Answers whether that is new.
    pub(super) fn learn_most(&self, first: &MessagePage, asked: u32) -> bool {
        let got = first.messages.len() as u64;
        let capped = got > 0 && got < first.total_count.unwrap_or(got).min(u64::from(asked));
        let most = u32::try_from(got).unwrap_or(u32::MAX);
        capped && self.most.fetch_min(most, Ordering::Relaxed) > most
    }

    pub(super) fn worked(&self, meaning: Cursor) {
        if let Some(index) = Cursor::ALL.iter().position(|&known| known == meaning) {
            // Four entries: the index fits.
            self.cursor.store(index as u8, Ordering::Relaxed);
        }
    }
}
