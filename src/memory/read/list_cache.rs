//! Lists of memories, kept for their later pages.

use std::sync::Arc;

use jiff::Timestamp;

use crate::memory::{
    Away,
    access::Caller,
    filter::Filter,
    model::{Owner, Uuid},
    record::view::{Form, Memory},
};

/// All entries of a list, in order.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) entries: Vec<Entry>,
    pub(crate) before: Timestamp,
    pub(crate) truncated: bool,
    pub(crate) away: Option<Away>,
}

/// One entry of a list.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) time: Option<Timestamp>,
    pub(crate) form: Form,
    pub(crate) id: Uuid,
    pub(crate) owner: Arc<Owner>,
    /// The memory, if Zep does not have it yet, or does not answer.
    pub(crate) waiting: Option<Box<Memory>>,
}

/// The key under which a list is kept for its later pages.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListKey {
    /// Lists hold what their caller may read.
    pub(crate) caller: Caller,
    pub(crate) filter: Filter,
    pub(crate) include_invalid: bool,
    pub(crate) before: Timestamp,
}
