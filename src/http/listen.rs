//! Listening, and the connections that come in.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bounds::{
    FIRST_REQUEST_WITHIN, IDLE_CONNECTION, MAX_HEADER_BYTES, MOST_CONNECTIONS, MOST_WAITING,
    OTHER_FILES, STALLED_WRITE,
};

/// How long to wait if the system has no connection left to give.
const NONE_LEFT: Duration = Duration::from_millis(200);

/// The addresses of a host: of a name all that it has.
///
/// # Errors
/// If there is none.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut found: Vec<_> = lookup_host((host, port)).await?.collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(found)
}

/// Listens on these addresses; of a name that has several, on those that this machine has.
///
/// # Errors
/// The address, and why it cannot be used.
pub(super) async fn bind(
    addresses: &[SocketAddr],
) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut absent = None;
    for mut address in addresses.iter().copied() {
        if address.port() == 0
            && let Some(first) = listeners.first()
            && let Ok(first) = first.local_addr()
        {
            address.set_port(first.port());
        }
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 knows its name all the same.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                absent = Some((address, error));
            }
            Err(error) => return Err((address, error)),
        }
    }
    match (listeners.is_empty(), absent) {
        (true, Some(absent)) => Err(absent),
        _ => Ok(listeners),
    }
}

/// How many connections there may be: what the system allows is raised as far as it lets us.
fn places() -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => usize::try_from(files)
            .unwrap_or(usize::MAX)
            .saturating_sub(OTHER_FILES)
            .clamp(2, MOST_CONNECTIONS),
        // Where there is no such limit, or nobody tells.
        Err(_) => MOST_CONNECTIONS,
    }
}

/// What all connections share.
pub(super) struct Door {
    app: Router,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    waiting: Arc<Waiting>,
    /// Connections finish what they are at, and no new ones come in.
    closing: CancellationToken,
    /// Connections end.
    closed: CancellationToken,
    open: TaskTracker,
}

impl Door {
    pub fn new(app: Router, tls: Option<TlsAcceptor>) -> Arc<Self> {
        let places = places();
        Arc::new(Self {
            app,
            tls,
            places: Arc::new(Semaphore::new(places)),
            // Some places are always for those who have something to say.
            waiting: Waiting::new(MOST_WAITING.min(places / 2)),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
            open: TaskTracker::new(),
        })
    }

    /// Lets in who comes, until the door is closing.
    pub fn listen(self: &Arc<Self>, listeners: Vec<TcpListener>) {
        for listener in listeners {
            let door = Arc::clone(self);
            self.open.spawn(async move {
                let closing = door.closing.clone();
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = door.accept(listener) => {}
                }
            });
        }
    }

    /// Takes nobody in any more, and lets connections go as they finish what they are at.
    pub fn close(&self) {
        self.closing.cancel();
        self.open.close();
    }

    /// Waits until all connections are gone, and ends what is left then.
    pub async fn empty(&self, within: Duration) {
        if tokio::time::timeout(within, self.open.wait())
            .await
            .is_err()
        {
            self.closed.cancel();
            self.open.wait().await;
        }
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        // The semaphore is never closed.
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            let (stream, peer) = loop {
                match listener.accept().await {
                    Ok(accepted) => break accepted,
                    // It left again before it was let in.
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "no connection can be taken in for the moment");
                        tokio::time::sleep(NONE_LEFT).await;
                    }
                }
            };
            let door = Arc::clone(self);
            self.open.spawn(async move {
                let closed = door.closed.clone();
                tokio::select! {
                    () = closed.cancelled() => {}
                    () = door.take_in(stream, peer, place) => {}
                }
            });
        }
    }

    async fn take_in(&self, stream: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
        // An answer that is sent bit by bit is to leave bit by bit.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may send late");
        }
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(STALLED_WRITE));
        let waiter = self.waiting.enter();
        let deadline = Instant::now() + FIRST_REQUEST_WITHIN;
        match &self.tls {
            None => self.speak(Box::pin(stream), peer, waiter, deadline).await,
            Some(tls) => {
                let stream = tokio::select! {
                    stream = tls.accept(Box::pin(stream)) => stream,
                    () = waiter.is_unwanted(deadline) => return,
                    () = self.closing.cancelled() => return,
                };
                match stream {
                    Ok(stream) => self.speak(stream, peer, waiter, deadline).await,
                    Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
                }
            }
        }
    }

    /// Speaks HTTP/1.1.
    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        peer: SocketAddr,
        waiter: Waiter,
        deadline: Instant,
    ) {
        let app = TowerToHyperService::new(self.app.clone());
        let service = hyper::service::service_fn(|request: hyper::Request<_>| {
            waiter.passes();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            app.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_CONNECTION)
            .max_header_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut unwanted = pin!(waiter.is_unwanted(deadline));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = &mut unwanted => return,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = unwanted => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Connections that have not sent a request yet, oldest first.
#[derive(Debug)]
struct Waiting {
    waiters: Mutex<BTreeMap<u64, CancellationToken>>,
    next: AtomicU64,
    most: usize,
}

impl Waiting {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            waiters: Mutex::default(),
            next: AtomicU64::new(0),
            most,
        })
    }

    /// One more. The oldest goes if there are too many.
    fn enter(self: &Arc<Self>) -> Waiter {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let unwanted = CancellationToken::new();
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.insert(id, unwanted.clone());
        if waiters.len() > self.most
            && let Some((_, oldest)) = waiters.pop_first()
        {
            oldest.cancel();
        }
        Waiter {
            id,
            passed: AtomicBool::new(false),
            unwanted,
            waiting: Arc::clone(self),
        }
    }
}

/// A connection that has not sent a request yet.
#[derive(Debug)]
struct Waiter {
    id: u64,
    passed: AtomicBool,
    unwanted: CancellationToken,
    waiting: Arc<Waiting>,
}

impl Waiter {
    /// It has sent its first request.
    fn passes(&self) {
        if !self.passed.swap(true, Ordering::Relaxed) {
            self.leave();
        }
    }

    fn leave(&self) {
        let mut waiters = self
            .waiting
            .waiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiters.remove(&self.id);
    }

    /// Returns once it has waited too long, or others need its place; never if it has sent a
    /// request by then.
    async fn is_unwanted(&self, deadline: Instant) {
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = self.unwanted.cancelled() => {}
        }
        if self.passed.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_silent_connections_only_ends_silent_ones() {
        let waiting = Waiting::new(3);
        let far = Instant::now() + Duration::from_secs(3600);
        let speaking = waiting.enter();
        let silent = waiting.enter();
        speaking.passes();
        let flood: Vec<_> = (0..3).map(|_| waiting.enter()).collect();
        silent.is_unwanted(far).await;
        assert!(!speaking.unwanted.is_cancelled());
        assert!(flood.iter().all(|waiter| !waiter.unwanted.is_cancelled()));
        drop(flood);
        assert!(waiting.waiters.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_name_resolves_and_an_address_needs_no_resolving() {
        for host in ["127.0.0.1", "::1", "[::1]"] {
            assert_eq!(resolve(host, 1).await.unwrap().len(), 1);
        }
        let local = resolve("localhost", 1).await.unwrap();
        assert!(local.iter().all(|address| address.ip().is_loopback()));
        assert!(!local.is_empty());
    }
}
