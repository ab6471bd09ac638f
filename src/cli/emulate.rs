//! The flags of `emulate`.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use zep_mcp_server::emulator::{DEFAULT_PORT, Failing, Plan, Rate, RateLimitDrop, Restarts, Timed};
use zep_mcp_server::local::{
    Behavior, CursorMeaning, DraftMessages, EpisodeDeletion, ExistingThread, LengthCounts,
    MetadataPatch,
};

/// Where `emulate` listens, and how it behaves.
#[derive(Debug, Args)]
pub(crate) struct EmulateArgs {
    /// The port to listen on; 0 for any free one
    #[arg(long, default_value_t = DEFAULT_PORT)]
    pub port: u16,

    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,

    /// The file to keep data in; without it, data is lost at the end
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// The only key to accept; without it, any is accepted. Not for a real key: other users of this
    /// machine can read command lines
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,

    /// Undocumented behaviour.
    #[command(flatten)]
    pub behavior: BehaviorArgs,

    /// Faults.
    #[command(flatten)]
    pub faults: FaultArgs,
}

/// How Zep behaves where its documentation does not say, and how fast it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "How Zep behaves (where Zep does not document it)")]
pub(crate) struct BehaviorArgs {
    /// How long processing takes until facts appear and a batch is done, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    processing_delay: u32,

    /// What `cursor` counts in the list of a thread's messages: messages, or pages from 1
    #[arg(long, value_name = "ANSWER", default_value = "offset")]
    #[arg(value_parser = one_of::<CursorMeaning>(["offset", "page"]))]
    cursor: CursorMeaning,

    /// What deleting a message's episode does to the message in its thread
    #[arg(long, value_name = "ANSWER", default_value = "removes-message")]
    #[arg(value_parser = one_of::<EpisodeDeletion>(["keeps-message", "removes-message"]))]
    episode_deletion: EpisodeDeletion,

    /// Whether the messages of a draft batch appear in their threads before it is processed
    #[arg(long, value_name = "ANSWER", default_value = "hidden")]
    #[arg(value_parser = one_of::<DraftMessages>(["hidden", "visible"]))]
    draft_messages: DraftMessages,

    /// What changing metadata does to keys that the request omits
    #[arg(long, value_name = "ANSWER", default_value = "merges")]
    #[arg(value_parser = one_of::<MetadataPatch>(["merges", "replaces"]))]
    metadata_patch: MetadataPatch,

    /// The status for creating a thread that exists
    #[arg(long, value_name = "ANSWER", default_value = "400")]
    #[arg(value_parser = one_of::<ExistingThread>(["400", "409"]))]
    existing_thread: ExistingThread,

    /// The unit of the limits on texts
    #[arg(long, value_name = "ANSWER", default_value = "chars")]
    #[arg(value_parser = one_of::<LengthCounts>(["chars", "bytes"]))]
    length_counts: LengthCounts,

    /// Every so many items of a batch fail; 0: none does
    #[arg(long, value_name = "N", default_value_t = 0)]
    failing_items: u32,
}

impl From<BehaviorArgs> for Behavior {
    fn from(args: BehaviorArgs) -> Self {
        Self {
            cursor: args.cursor,
            episode_deletion: args.episode_deletion,
            draft_messages: args.draft_messages,
            metadata_patch: args.metadata_patch,
            existing_thread: args.existing_thread,
            length_counts: args.length_counts,
            failing_items: args.failing_items,
            processing_delay: std::time::Duration::from_millis(args.processing_delay.into()),
        }
    }
}

/// Faults on demand.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Faults (rates from 0, never, to 1, always; change them at runtime at \
                               /_emulator/faults)"
)]
pub(crate) struct FaultArgs {
    /// Answer N calls a minute; refuse the rest with 429 and Retry-After
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,

    /// Lower the limit to N after CALLS calls, as for an account over its quota
    #[arg(long, value_name = "CALLS:N")]
    rate_limit_drop: Option<RateLimitDrop>,

    /// Shorten the minute of the limit, for tests
    #[arg(long, value_name = "SECONDS")]
    rate_window: Option<NonZeroU32>,

    /// Delay each answer: half before the call is carried out, half after it
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u32,

    /// Answer with an error and do nothing. May be repeated
    #[arg(long, value_name = "RATE:STATUS")]
    fail: Vec<Failing>,

    /// Close the connection and do nothing
    #[arg(long, value_name = "RATE")]
    drop_requests: Option<Rate>,

    /// Close the connection, and write MS later
    #[arg(long, value_name = "RATE:MS")]
    late_writes: Option<Timed>,

    /// Write, and close the connection instead of answering
    #[arg(long, value_name = "RATE")]
    drop_answers: Option<Rate>,

    /// Write, and answer with an error. May be repeated
    #[arg(long, value_name = "RATE:STATUS")]
    fail_after: Vec<Failing>,

    /// Write, and close the connection after half of the answer
    #[arg(long, value_name = "RATE")]
    half_answers: Option<Rate>,

    /// Write, and answer 200 with a body that Zep would not send
    #[arg(long, value_name = "RATE")]
    garbage_answers: Option<Rate>,

    /// Write, and send the answer slowly over MS
    #[arg(long, value_name = "RATE:MS")]
    slow_bodies: Option<Timed>,

    /// Close all connections periodically, and refuse new ones for a while; data stays
    #[arg(long, value_name = "EVERY_MS:DOWN_MS")]
    restart: Option<Restarts>,

    /// The seed of random faults, to repeat a run: the same calls in the same order meet the same
    /// faults. The seed in use is logged at the start
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl From<FaultArgs> for Plan {
    fn from(args: FaultArgs) -> Self {
        let none = Self::default();
        Self {
            seed: args.seed,
            rate_limit: args.rate_limit.unwrap_or(none.rate_limit),
            rate_limit_drop: args.rate_limit_drop,
            rate_window_secs: args.rate_window.unwrap_or(none.rate_window_secs),
            latency_ms: args.latency,
            fail: args.fail,
            drop_requests: args.drop_requests.unwrap_or_default(),
            late_writes: args.late_writes,
            drop_answers: args.drop_answers.unwrap_or_default(),
            fail_after: args.fail_after,
            half_answers: args.half_answers.unwrap_or_default(),
            garbage_answers: args.garbage_answers.unwrap_or_default(),
            slow_bodies: args.slow_bodies,
            restarts: args.restart,
            next: none.next,
        }
    }
}

/// Parses one of two values, by the names that the control route uses.
fn one_of<T>(names: [&'static str; 2]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names)
        .try_map(|name| serde_json::from_value(serde_json::Value::String(name)))
}
