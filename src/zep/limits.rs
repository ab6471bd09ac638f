//! Zep's limits, each with its source, and the lower bounds that we keep to.

/// Messages in one call to `threads/{id}/messages` (Zep: adding messages).
pub const MESSAGES_PER_CALL: usize = 30;
/// Characters of a message (Zep: adding messages).
pub const MESSAGE_CHARS: usize = 4_096;
/// Characters of an episode given to `graph` (Zep: adding data to the graph).
pub const EPISODE_CHARS: usize = 10_000;
/// Characters of a message's `name` (Zep: adding messages).
pub const NAME_CHARS: usize = 100;
/// Keys of a metadata object (zep-cloud 3.30.0, `Message.metadata`).
pub const METADATA_KEYS: usize = 10;
/// Characters of a search query (Zep: searching the graph).
pub const QUERY_CHARS: usize = 400;
/// Results of one search (zep-cloud 3.30.0, `graph.search`).
pub const SEARCH_RESULTS: u32 = 50;
/// Entries in a list of uuids used as a filter (zep-cloud 3.30.0, `SearchFilters`).
pub const FILTER_UUIDS: usize = 256;
/// Items of a page of facts, entities or episodes (zep-cloud 3.30.0, `GraphEpisodeListRequest`).
pub const PAGE_ITEMS: u32 = 50;
/// Items of one call that adds to a batch (Zep: batch API).
pub const BATCH_ITEMS_PER_CALL: usize = 350;
/// Items of one batch (Zep: batch API).
pub const BATCH_ITEMS: usize = 50_000;
/// Items of the batches that we send: Zep's own loader (zep-ingest 0.3.0) begins a new one here.
pub const SAFE_BATCH_ITEMS: usize = 10_000;

/// The longest part of a split message: Zep does not document what counts as a character, and its
/// own loader (zep-ingest 0.3.0) keeps to this length.
pub const SAFE_MESSAGE_CHARS: usize = 4_000;
/// The longest part of a split episode, for the same reason (zep-ingest 0.3.0).
pub const SAFE_EPISODE_CHARS: usize = 9_500;
