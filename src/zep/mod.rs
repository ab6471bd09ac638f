//! Zep as this program needs it: the port, and the adapter to Zep Cloud.
//!
//! The memory domain and the migration know of a backend only what [`Zep`] says. It comes in four
//! parts, [`Accounts`], [`Threads`], [`Graphs`] and [`Batches`]: a function takes the part it needs,
//! and a test double implements only that. Adapters: Zep Cloud's API of generation 3 ([`v3`]) and the
//! embedded store ([`crate::local`]).
//!
//! # Writing an adapter
//!
//! Another API generation, or another store, is a new module that implements the four parts and
//! [`Zep`]. Nothing outside it changes, except for the place that opens a backend. It promises:
//!
//! - **Writes once.** Each [`NewMessage`] and [`NewEpisode`] carries a [`RecordMark`]: the record's id
//!   and which part of the record it is. The adapter encodes it: as metadata ([`RecordMark::encode`]),
//!   and where the API has idempotency keys, as a key made from the mark. What it reads must answer
//!   the same mark ([`Message::mark`], [`Episode::mark`]). If an answer is lost, the adapter looks for
//!   the mark before it sends again (`v3/settle.rs`); [`Outcome::Unknown`] reaches the caller only
//!   where that did not settle it. Before it sends again it tells [`Resends`], since the first write
//!   may still arrive.
//! - **Lists by page.** Cursors and page numbers stay in the adapter: [`Pages::by_cursor`] and
//!   [`Pages::by_number`] turn one request for a page into a list. Each [`Pages::next`] is one request,
//!   and [`Page::is_last`] is set where that is known without another.
//! - **Ids prove owners.** `episodes_by_id` and `facts_by_id` answer only what the named owner has: the
//!   domain grants access by them. The number of ids is not limited; the adapter splits requests.
//! - **Whole windows.** [`Threads::messages`] answers exactly the window that was asked for, or
//!   [`Error::BadAnswer`]: never fewer messages in silence.
//! - **Limits and errors as in Zep** ([`limits`], [`Error`]); what is not there is
//!   [`Error::NotFound`], what exists already is [`Error::Conflict`].
//!
//! An adapter over HTTP shares `transport`, which sends, retries what is safe, and says what is known
//! about a request that failed.
//!
//! # Writing a decorator
//!
//! A decorator (a write queue, a cache, metrics) holds an `Arc<dyn Zep>`, implements the four parts and
//! [`Zep`], and passes on what it does not change; lists are passed on as they are. One that delays
//! writes keeps each [`NewMessage`] or [`NewEpisode`] with its mark: after a crash it looks for the
//! record ([`Threads::find_messages`], [`Graphs::find_episodes`]) before it sends again. Reads must
//! show what it has accepted, or its answer must say that the write is not stored yet.

mod error;
mod ids;
pub mod limits;
mod port;
mod transport;
mod types;
pub mod v3;

pub use error::{Error, Outcome, Result};
pub(crate) use ids::id_type;
pub use ids::{GraphId, InvalidId, MAX_ID_CHARS, Owner, ThreadId, UserId, Uuid, check_id};
pub use port::{
    Accounts, Batches, Graphs, Page, Pages, Resends, SentAgain, SentTo, ThreadPages, Threads,
    TimeOrder, Zep,
};
pub use transport::{Connection, InvalidConnection, TransportStats};
pub(crate) use transport::{check_key, check_url};
pub use types::*;
