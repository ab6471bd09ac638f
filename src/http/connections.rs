//! Accepts connections and speaks HTTP/1.1 on them.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{
    FIRST_REQUEST_WITHIN, IDLE_CONNECTION, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_PENDING,
    OTHER_FILES, STALLED_WRITE,
};
use super::pending::{Pending, PendingConnections};

/// How long to wait if the system has no file descriptor left.
const NONE_LEFT: Duration = Duration::from_millis(200);

/// How many connections there may be. Raises the system's limit of open files as far as allowed.
fn max_connections() -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => usize::try_from(files)
            .unwrap_or(usize::MAX)
            .saturating_sub(OTHER_FILES)
            .clamp(2, MAX_CONNECTIONS),
        // A system without this limit.
        Err(_) => MAX_CONNECTIONS,
    }
}

/// All connections, and what they share.
pub(super) struct Connections {
    app: Router,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    pending: Arc<PendingConnections>,
    /// Connections finish their current request, and no new ones are accepted.
    closing: CancellationToken,
    /// Connections end at once.
    closed: CancellationToken,
    open: TaskTracker,
}

impl Connections {
    pub(super) fn new(app: Router, tls: Option<TlsAcceptor>) -> Arc<Self> {
        let places = max_connections();
        Arc::new(Self {
            app,
            tls,
            places: Arc::new(Semaphore::new(places)),
            // Half of the places are always left for connections that send requests.
            pending: PendingConnections::new(MAX_PENDING.min(places / 2)),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
            open: TaskTracker::new(),
        })
    }

    /// Accepts connections in the background until [`Self::close`].
    pub(super) fn listen(self: &Arc<Self>, listeners: Vec<TcpListener>) {
        for listener in listeners {
            let all = Arc::clone(self);
            self.open.spawn(async move {
                let closing = all.closing.clone();
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = all.accept(listener) => {}
                }
            });
        }
    }

    /// Accepts no more connections, and ends each after its current request.
    pub(super) fn close(&self) {
        self.closing.cancel();
        self.open.close();
    }

    /// Waits until all connections have ended, and ends those that are left after `within`.
    pub(super) async fn ended(&self, within: Duration) {
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
                    // The client closed it before it was accepted.
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections at the moment");
                        tokio::time::sleep(NONE_LEFT).await;
                    }
                }
            };
            let all = Arc::clone(self);
            self.open.spawn(async move {
                let closed = all.closed.clone();
                tokio::select! {
                    () = closed.cancelled() => {}
                    () = all.serve(stream, peer, place) => {}
                }
            });
        }
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
        // Without Nagle's algorithm each event of a stream is sent at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may send late");
        }
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(STALLED_WRITE));
        let pending = self.pending.enter();
        let deadline = Instant::now() + FIRST_REQUEST_WITHIN;
        match &self.tls {
            None => {
                self.speak_http(Box::pin(stream), peer, pending, deadline)
                    .await;
            }
            Some(tls) => {
                let stream = tokio::select! {
                    stream = tls.accept(Box::pin(stream)) => stream,
                    () = pending.must_go(deadline) => return,
                    () = self.closing.cancelled() => return,
                };
                match stream {
                    Ok(stream) => self.speak_http(stream, peer, pending, deadline).await,
                    Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
                }
            }
        }
    }

    async fn speak_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        peer: SocketAddr,
        pending: Pending,
        deadline: Instant,
    ) {
        let app = TowerToHyperService::new(self.app.clone());
        let service = hyper::service::service_fn(|request: hyper::Request<_>| {
            pending.has_sent();
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
        let mut must_go = pin!(pending.must_go(deadline));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = &mut must_go => return,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = must_go => return,
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
