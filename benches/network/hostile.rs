//! Regular clients beside hostile ones.

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
use crate::sse::{Opened, post_message};
use crate::text::Language;

/// Regular clients.
const CLIENTS: usize = 20;
/// Slow readers of each transport, which do not read their answers.
const SLOW: u64 = 25;
/// Time between two calls of a slow reader at /sse; those at /mcp send as fast as possible.
const SLOW_PACE: Duration = Duration::from_secs(2);
/// Receive buffer of slow readers in bytes.
const SLOW_BUFFER: u32 = 4096;
/// Half-open connections.
const HALF_OPEN: usize = 2_000;
/// Pause before a closed connection is reopened.
const AGAIN: Duration = Duration::from_secs(1);
/// Time to catch up on overdue calls at the end.
const BEHIND: Duration = Duration::from_secs(5);
/// Duration without hostile clients.
const CALM: Duration = Duration::from_secs(10);

/// The hostile clients.
#[derive(Debug, Clone, Copy)]
enum Hostile {
    Nobody,
    Slow,
    HalfOpen,
    Both,
}

pub(crate) async fn measure(within: Duration, pace: Duration) {
    println!("\n## Slow readers and half-open connections\n");
    println!(
        "{CLIENTS} agents call search_memory every {} ms; a new client connects, initialises, calls \
         it and leaves every {} ms. Times count from when a call was due. Slow readers: {SLOW} at \
         /mcp and {SLOW} at /sse, which request 200 memories of 2,000 characters and never read. \
         Half-open: {HALF_OPEN} connections that send nothing or half a header and are reopened \
         {} s after they are closed.",
        pace.as_millis(),
        pace.as_millis(),
        AGAIN.as_secs(),
    );
    table(&[
        "hostile clients",
        "seconds",
        "clients",
        "answered",
        "failed",
        "p50 ms",
        "p99 ms",
        "max ms",
        "calls accepted from slow readers at /sse",
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
    for (hostile, within) in [
        (Hostile::Nobody, CALM),
        (Hostile::Slow, within),
        (Hostile::HalfOpen, within),
        (Hostile::Both, within),
        (Hostile::Nobody, CALM),
    ] {
        server.forget_peak();
        let before = (server.cpu(), server.warnings());
        let begun = Instant::now();
        let attack = Attack::begin(hostile, server.address, &language);
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
        let counts = attack.end();
        let took = begun.elapsed();
        for (who, mut outcome) in [("agents", asked), ("newcomers", new)] {
            let [p50, p99, max] = outcome.percentiles();
            row(&[
                format!("{hostile:?}"),
                format!("{:.0}", within.as_secs_f64()),
                who.to_owned(),
                outcome.answered().to_string(),
                outcome.failed().to_string(),
                p50,
                p99,
                max,
                counts.asked.load(Ordering::Relaxed).to_string(),
                counts.cut_off.load(Ordering::Relaxed).to_string(),
                counts.closed.load(Ordering::Relaxed).to_string(),
                share(server.cpu() - before.0, took),
                mb(server.memory().peak),
                (server.warnings() - before.1).to_string(),
            ]);
            failures.extend(outcome.failures(format!("{hostile:?}, {who}")));
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

/// Whether the calls are too far behind; then the rest is recorded as failed.
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

/// Counts of hostile activity.
#[derive(Debug, Default)]
struct Counts {
    asked: AtomicUsize,
    cut_off: AtomicUsize,
    closed: AtomicUsize,
}

/// Hostile clients, on their own thread so that they do not delay the measured ones.
struct Attack {
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: JoinHandle<()>,
}

impl Attack {
    fn begin(hostile: Hostile, address: SocketAddr, language: &Arc<Language>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let (until, doing) = (Arc::clone(&over), Arc::clone(&counts));
        let language = Arc::clone(language);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                if matches!(hostile, Hostile::Slow | Hostile::Both) {
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
                            move |counts, language| unread_sse(address, counts, language, more),
                        ));
                    }
                }
                if matches!(hostile, Hostile::HalfOpen | Hostile::Both) {
                    for place in 0..HALF_OPEN {
                        tokio::spawn(half_open(address, place, Arc::clone(&doing)));
                    }
                }
                while !until.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            // Dropping the runtime ends all tasks and their connections.
        });
        Self {
            over,
            counts,
            thread,
        }
    }

    fn end(self) -> Arc<Counts> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic");
        self.counts
    }
}

/// Reconnects after each disconnect.
async fn forever<F: Future<Output = Option<()>>>(
    counts: Arc<Counts>,
    language: Arc<Language>,
    one: impl Fn(Arc<Counts>, Arc<Language>) -> F,
) {
    loop {
        // It ends when it is cut off or cannot connect.
        let _ = one(Arc::clone(&counts), Arc::clone(&language)).await;
        counts.cut_off.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(AGAIN).await;
    }
}

/// A connection with a tiny receive buffer.
async fn narrow(address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_recv_buffer_size(SLOW_BUFFER).ok()?;
    socket.connect(address).await.ok()
}

/// Sends calls to /mcp as fast as the server reads them.
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
    counts: Arc<Counts>,
    language: Arc<Language>,
    call: impl Fn(u64, &Language) -> String,
) -> Option<()> {
    let opened = Opened::over(narrow(address).await?, address).await.ok()?;
    let mut line = Line::open(address).await.ok()?;
    let endpoint = &opened.endpoint;
    post_message(&mut line, endpoint, hello()).await.ok()?;
    post_message(&mut line, endpoint, INITIALIZED.to_owned())
        .await
        .ok()?;
    for id in 1.. {
        post_message(&mut line, endpoint, call(id, &language))
            .await
            .ok()?;
        counts.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(SLOW_PACE).await;
    }
    None
}

/// Repeatedly connects and sends nothing or half a header.
async fn half_open(address: SocketAddr, place: usize, counts: Arc<Counts>) {
    // Many source addresses, since one has too few ports.
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
            // A refused connection was never open.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            _ => {
                counts.closed.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
