//! Clients that mean no good, and how those fare who mean well meanwhile.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::calls::connect;
use crate::client::{Agent, Call, INITIALIZED, Line, Protocol, fill, hello};
use crate::figures::{Outcome, mb, row, share, table};
use crate::server::Server;
use crate::sse::{Opened, say};
use crate::text::Language;

/// How many mean well.
const CLIENTS: usize = 20;
/// How many of either transport do not read what they asked for.
const SLOW: u64 = 25;
/// How often each of those at /sse asks for more. Those at /mcp send as much as is taken.
const SLOW_PACE: Duration = Duration::from_secs(2);
/// How much they let the system receive for them, in bytes.
const SLOW_BUFFER: u32 = 4096;
/// How many connections are opened and not used.
const HALF_OPEN: usize = 2_000;
/// How soon one is opened again that was closed.
const AGAIN: Duration = Duration::from_secs(1);
/// How long calls that were due are still made when the time is over.
const BEHIND: Duration = Duration::from_secs(5);
/// Without bad company.
const CALM: Duration = Duration::from_secs(10);

/// Who else is there.
#[derive(Debug, Clone, Copy)]
enum Company {
    Nobody,
    Slow,
    HalfOpen,
    Both,
}

pub async fn measure(within: Duration, pace: Duration) {
    println!("\n## Slow readers and half-open connections\n");
    println!(
        "{CLIENTS} agents ask search_memory every {} ms; somebody new connects, shakes hands, asks \
         and leaves every {} ms. Times count from when a call was due. Slow readers: {SLOW} at \
         /mcp, {SLOW} at /sse, which ask for 200 memories of 2,000 characters and never read. \
         Half-open: {HALF_OPEN} connections that send nothing or half a header, opened again {} s \
         after they are closed.",
        pace.as_millis(),
        pace.as_millis(),
        AGAIN.as_secs(),
    );
    table(&[
        "company",
        "seconds",
        "who",
        "answered",
        "failed",
        "p50 ms",
        "p99 ms",
        "max ms",
        "calls taken from slow readers at /sse",
        "slow readers cut off",
        "half-open closed",
        "server CPU",
        "server peak MB",
        "warnings logged",
    ]);
    let language = Arc::new(Language::new());
    let server = Server::start();
    fill(server.address, &language).await;
    let mut agents = connect(server.address, Protocol::Sessions, CLIENTS).await;
    let mut failures = Vec::new();
    for (company, within) in [
        (Company::Nobody, CALM),
        (Company::Slow, within),
        (Company::HalfOpen, within),
        (Company::Both, within),
        (Company::Nobody, CALM),
    ] {
        server.forget_peak();
        let before = (server.cpu(), server.complaints());
        let begun = Instant::now();
        let bad = Bad::begin(company, server.address, &language);
        let newcomers = tokio::spawn(newcomers(
            server.address,
            Arc::clone(&language),
            pace,
            within,
        ));
        let mut asked = Outcome::default();
        let asking: Vec<_> = agents
            .drain(..)
            .enumerate()
            .map(|(place, agent)| {
                let late = pace * place as u32 / CLIENTS as u32;
                tokio::spawn(ask(agent, Arc::clone(&language), pace, late, within))
            })
            .collect();
        for agent in asking {
            let (agent, outcome) = agent.await.expect("it does not panic");
            asked.merge(outcome);
            agents.push(agent);
        }
        let new = newcomers.await.expect("it does not panic");
        let did = bad.end();
        let took = begun.elapsed();
        for (who, mut outcome) in [("agents", asked), ("newcomers", new)] {
            let [p50, p99, max] = outcome.percentiles();
            row(&[
                format!("{company:?}"),
                format!("{:.0}", within.as_secs_f64()),
                who.to_owned(),
                outcome.answered().to_string(),
                outcome.failed().to_string(),
                p50,
                p99,
                max,
                did.asked.load(Ordering::Relaxed).to_string(),
                did.cut_off.load(Ordering::Relaxed).to_string(),
                did.closed.load(Ordering::Relaxed).to_string(),
                share(server.cpu() - before.0, took),
                mb(server.memory().peak),
                (server.complaints() - before.1).to_string(),
            ]);
            failures.extend(outcome.failures(format!("{company:?}, {who}")));
        }
    }
    for failure in failures {
        println!("\n{failure}");
    }
}

async fn ask(
    mut agent: Agent,
    language: Arc<Language>,
    pace: Duration,
    late: Duration,
    within: Duration,
) -> (Agent, Outcome) {
    let mut outcome = Outcome::default();
    let begun = Instant::now() + late;
    let mut due = begun;
    while due < begun + within {
        if behind(due, begun + within, &mut outcome) {
            break;
        }
        let next = agent.prepare(Call::Search, &language);
        tokio::time::sleep_until(due.into()).await;
        let called = agent.call(next).await;
        let lost = called.is_err();
        outcome.note(due.elapsed(), called);
        if lost {
            break;
        }
        due += pace;
    }
    (agent, outcome)
}

/// Whether the time is over before all calls were made that were due.
fn behind(due: Instant, end: Instant, outcome: &mut Outcome) -> bool {
    let late = Instant::now() > end + BEHIND;
    if late {
        let why = "given up: the server cannot keep pace".to_owned();
        outcome.note(due.elapsed(), Err(why));
    }
    late
}

async fn newcomers(
    address: SocketAddr,
    language: Arc<Language>,
    pace: Duration,
    within: Duration,
) -> Outcome {
    let mut outcome = Outcome::default();
    let begun = Instant::now();
    let mut due = begun;
    while due < begun + within {
        if behind(due, begun + within, &mut outcome) {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let came = async {
            let mut agent = Agent::connect(address, Protocol::Sessions, 0).await?;
            let call = agent.prepare(Call::Search, &language);
            agent.call(call).await?;
            agent.leave().await
        };
        let came = came.await;
        outcome.note(due.elapsed(), came);
        due += pace;
    }
    outcome
}

/// What bad company did.
#[derive(Debug, Default)]
struct Did {
    asked: AtomicUsize,
    cut_off: AtomicUsize,
    closed: AtomicUsize,
}

/// Bad company, on a thread of its own: it must not hold up those who are measured.
struct Bad {
    over: Arc<AtomicBool>,
    did: Arc<Did>,
    thread: JoinHandle<()>,
}

impl Bad {
    fn begin(company: Company, address: SocketAddr, language: &Arc<Language>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let did = Arc::new(Did::default());
        let (until, doing) = (Arc::clone(&over), Arc::clone(&did));
        let language = Arc::clone(language);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                if matches!(company, Company::Slow | Company::Both) {
                    for caller in 0..SLOW {
                        let calls = Call::GetMuch;
                        let more = move |id, language: &Language| {
                            calls.request(id, Protocol::Sessions, language, caller)
                        };
                        tokio::spawn(forever(
                            Arc::clone(&doing),
                            Arc::clone(&language),
                            move |_, language| unread_mcp(address, language, more),
                        ));
                        tokio::spawn(forever(
                            Arc::clone(&doing),
                            Arc::clone(&language),
                            move |did, language| unread_sse(address, did, language, more),
                        ));
                    }
                }
                if matches!(company, Company::HalfOpen | Company::Both) {
                    for place in 0..HALF_OPEN {
                        tokio::spawn(half_open(address, place, Arc::clone(&doing)));
                    }
                }
                while !until.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            // With the runtime all tasks end, and their connections.
        });
        Self { over, did, thread }
    }

    fn end(self) -> Arc<Did> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic");
        self.did
    }
}

/// Comes again whenever it was cut off.
async fn forever<F: Future<Output = Option<()>>>(
    did: Arc<Did>,
    language: Arc<Language>,
    one: impl Fn(Arc<Did>, Arc<Language>) -> F,
) {
    loop {
        // It ends because it was cut off, or could not begin.
        let _ = one(Arc::clone(&did), Arc::clone(&language)).await;
        did.cut_off.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(AGAIN).await;
    }
}

/// A connection whose receiver takes next to nothing in.
async fn narrow(address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_recv_buffer_size(SLOW_BUFFER).ok()?;
    socket.connect(address).await.ok()
}

/// Sends calls to /mcp as fast as they are taken.
async fn unread_mcp(
    address: SocketAddr,
    language: Arc<Language>,
    call: impl Fn(u64, &Language) -> String,
) -> Option<()> {
    let agent = Agent::connect(address, Protocol::Sessions, 0).await.ok()?;
    let session = agent.session.as_ref()?.to_str().ok()?.to_owned();
    let mut stream = narrow(address).await?;
    for id in 1.. {
        let body = call(id, &language);
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\nmcp-session-id: {session}\r\n\
             mcp-protocol-version: {}\r\naccept: application/json, text/event-stream\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            Protocol::Sessions.version(),
            body.len(),
        );
        stream.write_all(request.as_bytes()).await.ok()?;
    }
    None
}

/// Posts calls and does not read the stream with the answers.
async fn unread_sse(
    address: SocketAddr,
    did: Arc<Did>,
    language: Arc<Language>,
    call: impl Fn(u64, &Language) -> String,
) -> Option<()> {
    let opened = Opened::over(narrow(address).await?, address).await.ok()?;
    let mut line = Line::open(address).await.ok()?;
    let endpoint = &opened.endpoint;
    say(&mut line, endpoint, hello()).await.ok()?;
    say(&mut line, endpoint, INITIALIZED.to_owned())
        .await
        .ok()?;
    for id in 1.. {
        say(&mut line, endpoint, call(id, &language)).await.ok()?;
        did.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(SLOW_PACE).await;
    }
    None
}

/// Connects and sends nothing or half a header, again and again.
async fn half_open(address: SocketAddr, place: usize, did: Arc<Did>) {
    // From many addresses, or there are not enough ports.
    let from = Ipv4Addr::new(127, 0, 1, (place % 200) as u8 + 1);
    loop {
        let once = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            let mut stream = socket.connect(address).await?;
            if place.is_multiple_of(2) {
                stream.write_all(b"POST /mcp HTTP/1.1\r\nhost: loc").await?;
            }
            stream.read(&mut [0]).await
        };
        match once.await {
            // A refusal comes before anything was open.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            _ => {
                did.closed.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
