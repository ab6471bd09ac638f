//! The embedded store by size: times of adding and searching, and the file size.
//!
//! `cargo bench --bench search` measures 10,000 and 100,000 messages of 200 users;
//! `BENCH_MESSAGES=1000000 cargo bench --bench search` other sizes. Uses the port, with a file in the
//! temporary directory (`TMPDIR`), which needs about 1 GB per million messages.

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod text;

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Map;
use text::Language;
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::zep::{
    Accounts, Graphs, NewMessage, NewUser, Owner, RecordMark, Role, Search, SearchScope, ThreadId,
    Threads, UserFields, UserId, limits,
};

/// Sizes in messages, separated by commas.
const SIZES: &str = "BENCH_MESSAGES";
const DEFAULT_SIZES: &str = "10000,100000";
const USERS: u64 = 200;
/// Initial messages per session, if the store is large enough.
const TURNS: u64 = 50;
/// Measured calls of each kind.
const CALLS: u64 = 2_000;
/// Searches before them that are not measured.
const WARM_UP: u64 = 100;

fn main() {
    // `cargo test --all-targets` also runs it, without this argument.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let sizes = std::env::var(SIZES).unwrap_or_else(|_| DEFAULT_SIZES.to_owned());
    let sizes: Vec<u64> = sizes
        .split(',')
        .map(|size| size.trim().replace('_', "").parse())
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{SIZES}={sizes}: {error}"));
    // One thread, like the server over stdio.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    for size in sizes {
        runtime.block_on(measure(size));
    }
}

async fn measure(size: u64) {
    let directory = tempfile::tempdir().expect("there is a temporary directory");
    let path = directory.path().join("memory.db");
    let conversations = size.div_ceil(TURNS).max(USERS);
    let store = Filled {
        zep: LocalZep::open(&path, Behavior::default()).expect("the path is one"),
        language: Language::new(),
        conversations,
        turns: size.div_ceil(conversations),
    };
    let messages = store.conversations * store.turns;
    let begun = Instant::now();
    store.fill().await;
    let took = begun.elapsed();
    println!("{messages} messages of {USERS} users");
    println!(
        "  filled in {:.1} s, {} messages a call: {:.0} messages a second",
        took.as_secs_f64(),
        limits::MESSAGES_PER_CALL,
        messages as f64 / took.as_secs_f64(),
    );
    let bytes = bytes_of(&path);
    println!(
        "  file {:.1} MB, {} bytes a message; log beside it {:.1} MB",
        bytes as f64 / 1e6,
        bytes / messages,
        bytes_of(&path.with_extension("db-wal")) as f64 / 1e6,
    );
    show("search, 10 facts", store.search().await);
    show("add, 1 message", store.add().await);
    show("search after it", store.search().await);
}

/// A store of conversations, assigned to the users in turn.
struct Filled {
    zep: LocalZep,
    language: Language,
    conversations: u64,
    /// Initial messages of each.
    turns: u64,
}

impl Filled {
    /// Adds the messages, with the users' conversations interleaved as in reality.
    async fn fill(&self) {
        for user in 0..USERS {
            let new = NewUser {
                user_id: user_id(user),
                fields: UserFields::default(),
            };
            self.zep.add_user(&new).await.expect("a user is added");
        }
        let together = limits::MESSAGES_PER_CALL as u64;
        for first in (0..self.conversations).step_by(USERS as usize) {
            let some = first..self.conversations.min(first + USERS);
            for conversation in some.clone() {
                let user = user_id(conversation % USERS);
                let thread = thread_id(conversation);
                let made = self.zep.create_thread(&thread, &user).await;
                made.expect("a thread is made");
            }
            for turn in (0..self.turns).step_by(together as usize) {
                for conversation in some.clone() {
                    let turns = turn..self.turns.min(turn + together);
                    self.add_turns(conversation, turns).await;
                }
            }
        }
    }

    async fn add_turns(&self, conversation: u64, turns: std::ops::Range<u64>) {
        let messages: Vec<NewMessage> =
            turns.map(|turn| self.message(conversation, turn)).collect();
        let thread = thread_id(conversation);
        let added = self.zep.add_messages(&thread, &messages).await;
        added.expect("messages are added");
    }

    fn message(&self, conversation: u64, turn: u64) -> NewMessage {
        let role = match turn % 2 {
            0 => Role::User,
            _ => Role::Assistant,
        };
        let second = 1_700_000_000 + (conversation * self.turns + turn) as i64;
        let record = uuid::Uuid::from_u64_pair(conversation, turn).to_string();
        NewMessage {
            role,
            content: self.language.turn(conversation, turn),
            name: None,
            created_at: Timestamp::from_second(second).ok(),
            mark: Some(RecordMark::whole(record)),
            metadata: Map::new(),
        }
    }

    /// Questions of random users about their conversations.
    async fn search(&self) -> Vec<Duration> {
        let mut rng = Rng::with_seed(2);
        let mut times = Vec::new();
        for call in 0..WARM_UP + CALLS {
            let conversation = rng.u64(0..self.conversations);
            let turn = rng.u64(0..self.turns);
            let search = Search {
                query: self.language.question(conversation, turn),
                scope: SearchScope::Edges,
                limit: Some(10),
                reranker: None,
                from_episodes: Vec::new(),
            };
            let owner = Owner::User(user_id(conversation % USERS));
            let begun = Instant::now();
            let found = self.zep.search(&owner, &search).await;
            let took = begun.elapsed();
            let found = found.expect("a search is answered").edges;
            assert!(!found.is_empty(), "the search finds something");
            if call >= WARM_UP {
                times.push(took);
            }
        }
        times
    }

    /// Adds one message to random conversations.
    async fn add(&self) -> Vec<Duration> {
        let mut rng = Rng::with_seed(3);
        let mut times = Vec::new();
        for call in 0..CALLS {
            let conversation = rng.u64(0..self.conversations);
            let messages = [self.message(conversation, self.turns + call)];
            let thread = thread_id(conversation);
            let begun = Instant::now();
            let added = self.zep.add_messages(&thread, &messages).await;
            times.push(begun.elapsed());
            added.expect("a message is added");
        }
        times
    }
}

fn user_id(user: u64) -> UserId {
    UserId::new(&format!("user-{user}")).expect("it is an id")
}

fn thread_id(conversation: u64) -> ThreadId {
    ThreadId::new(&format!("session-{conversation}")).expect("it is an id")
}

fn bytes_of(file: &Path) -> u64 {
    file.metadata().map_or(0, |file| file.len())
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let percentile = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100).max(1) - 1;
        times[place].as_secs_f64() * 1e3
    };
    println!(
        "  {what:<18} p50 {:7.3} ms   p90 {:7.3} ms   p99 {:7.3} ms   max {:7.3} ms",
        percentile(50),
        percentile(90),
        percentile(99),
        percentile(100),
    );
}
