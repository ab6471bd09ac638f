//! Measures the embedded Zep at size: `cargo run --release --example local_at_size [MESSAGES]`
//! (200,000 by default, of 200 users). Prints times of adding and searching and the file's size.

use std::time::{Duration, Instant};

use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::zep::{
    Filters, Metadata, NewMessage, NewUser, Owner, Role, Search, SearchScope, ThreadId, UserFields,
    UserId, Zep,
};

const USERS: usize = 200;
const VOCABULARY: u32 = 20_000;
const SEARCHES: usize = 1_000;

/// Words as rare as in language: the n-th most frequent occurs 1/n as often.
fn words(random: &mut fastrand::Rng, count: usize) -> String {
    let word = |random: &mut fastrand::Rng| {
        let rank = f64::from(VOCABULARY).powf(random.f64()) as u32;
        // A word that no stemmer shortens into another.
        let mut letters: String = (0..4)
            .map(|place| char::from(b'a' + (rank.rotate_left(place * 7) % 19) as u8))
            .collect();
        letters.push_str(&format!("{rank:x}"));
        letters
    };
    (0..count)
        .map(|_| word(random))
        .collect::<Vec<_>>()
        .join(" ")
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what}: median {:.2} ms, p99 {:.2} ms, worst {:.2} ms",
        at(0.5),
        at(0.99),
        at(0.9999)
    );
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let messages: usize = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 200_000,
    };
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("memory.db");
    let zep = LocalZep::open(&path, Behavior::default())?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut threads = Vec::new();
    for number in 0..USERS {
        let user_id = UserId::new(&format!("user-{number}"))?;
        let fields = UserFields::default();
        zep.add_user(&NewUser {
            user_id: user_id.clone(),
            fields,
        })
        .await?;
        let thread = ThreadId::new(&format!("thread-{number}"))?;
        zep.create_thread(&thread, &user_id).await?;
        threads.push((user_id, thread));
    }
    let message = |random: &mut fastrand::Rng| {
        let length = random.usize(5..40);
        NewMessage {
            role: Role::User,
            content: words(random, length),
            name: Some("Ann".into()),
            created_at: None,
            metadata: Metadata::from_iter([(
                "zm_id".to_owned(),
                uuid::Uuid::now_v7().to_string().into(),
            )]),
        }
    };
    let started = Instant::now();
    for call in 0..messages / 30 {
        let batch: Vec<_> = (0..30).map(|_| message(&mut random)).collect();
        zep.add_messages(&threads[call % USERS].1, &batch).await?;
    }
    println!(
        "{messages} messages in {:.1} s",
        started.elapsed().as_secs_f64()
    );

    let mut adds = Vec::new();
    for call in 0..SEARCHES {
        let one = [message(&mut random)];
        let started = Instant::now();
        zep.add_messages(&threads[(call * 7) % USERS].1, &one)
            .await?;
        adds.push(started.elapsed());
    }
    report("adding one message", adds);

    let mut searches = Vec::new();
    for call in 0..SEARCHES {
        let search = Search {
            query: words(&mut random, 8),
            scope: SearchScope::Edges,
            limit: Some(10),
            reranker: None,
            filters: Filters::default(),
        };
        let owner = Owner::User(threads[(call * 13) % USERS].0.clone());
        let started = Instant::now();
        zep.search(&owner, &search).await?;
        searches.push(started.elapsed());
    }
    report("searching with 8 words", searches);
    let size = std::fs::metadata(&path)?.len();
    println!(
        "file: {:.0} MB, {} bytes a message",
        size as f64 / 1e6,
        size / messages as u64
    );
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
            .for_each(|line| println!("{line}"));
    }
    Ok(())
}
