//! How large and how deep an item may be.

use serde_json::Value;

use super::mend::Mended;

/// The largest single item of an export: what its values take in memory, which is about its length
/// as JSON. Ours, so that memory stays flat whatever the file.
pub const MAX_ITEM_BYTES: usize = 16 * 1024 * 1024;

/// How deep values may nest. serde_json ends at 128, and nothing can be read after that.
pub(super) const MAX_DEPTH: usize = 100;

/// What a value takes in memory beside its text.
const VALUE_COST: usize = size_of::<Value>();

/// What is left of the bound of the item being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    left: usize,
    /// Why the value that was read last is not kept.
    pub(super) unkept: Option<Unkept>,
}

/// Why a value is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unkept {
    Size,
    Depth,
    /// It has bytes that are no UTF-8.
    Encoding,
}

impl Unkept {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Size => format!(
                "is too large: an item may have {} MiB",
                MAX_ITEM_BYTES >> 20
            ),
            Self::Depth => format!("is nested more than {MAX_DEPTH} deep"),
            Self::Encoding => Mended::NotUtf8.reason().to_owned(),
        }
    }
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            left: MAX_ITEM_BYTES,
            unkept: None,
        }
    }

    /// How much was spent since an earlier state of it.
    pub(super) fn spent_since(self, earlier: Self) -> usize {
        earlier.left - self.left
    }

    /// Spends what a text of this length costs. Answers whether it may be kept.
    #[inline]
    pub(super) fn spend(&mut self, text: usize) -> bool {
        match self.left.checked_sub(VALUE_COST + text) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                self.unkept.get_or_insert(Unkept::Size);
            }
        }
        self.unkept.is_none()
    }
}
