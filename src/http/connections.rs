//! Accepts connections and speaks HTTP/1.1 on them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::network_of;
use super::early;
use super::limits::{
    FIRST_REQUEST_WITHIN, IDLE_CONNECTION, MAX_HEADER_BYTES, OTHER_FILES, STALLED_WRITE,
};
use super::shares::{Place, Places};

/// How long to wait if the system has no file descriptor left.
const NONE_LEFT: Duration = Duration::from_millis(200);

/// How many connections there may be, of so many that are wanted. Raises the system's limit of open
/// files as far as allowed.
pub(super) fn max_connections(wanted: usize) -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => usize::try_from(files)
            .unwrap_or(usize::MAX)
            .saturating_sub(OTHER_FILES)
            .clamp(2, wanted),
        // A system without this limit.
        Err(_) => wanted,
    }
}

/// All connections, and what they share.
pub(super) struct Connections {
    app: Router,
    tls: Option<TlsAcceptor>,
    /// One for each connection that may be open.
    open_files: Arc<Semaphore>,
    places: Arc<Places>,
    /// Connections finish their current request, and no new ones are accepted.
    closing: CancellationToken,
    /// Connections end at once.
    closed: CancellationToken,
    open: TaskTracker,
}

impl Connections {
    /// At most this many, in these places.
    pub(super) fn new(
        app: Router,
        tls: Option<TlsAcceptor>,
        most: usize,
        places: Arc<Places>,
    ) -> Arc<Self> {
        Arc::new(Self {
            app,
            tls,
            open_files: Arc::new(Semaphore::new(most)),
            places,
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
        while let Ok(file) = Arc::clone(&self.open_files).acquire_owned().await {
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
                    () = all.serve(stream, peer, file) => {}
                }
            });
        }
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, _file: OwnedSemaphorePermit) {
        // Without Nagle's algorithm each event of a stream is sent at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may send late");
        }
        let entered = self.places.enter(network_of(peer.ip()));
        let place = &entered.place;
        let mut stream = TimeoutWriter::new(Written {
            stream,
            place: Arc::clone(place),
        });
        stream.set_timeout(Some(STALLED_WRITE));
        let deadline = Instant::now() + FIRST_REQUEST_WITHIN;
        match &self.tls {
            None => {
                self.speak_http(Box::pin(stream), peer, place, deadline)
                    .await;
            }
            Some(tls) => {
                let stream = tokio::select! {
                    stream = tls.accept(Box::pin(stream)) => stream,
                    () = place.must_go(deadline) => return,
                    () = self.closing.cancelled() => return,
                };
                match stream {
                    Ok(stream) => self.speak_http(stream, peer, place, deadline).await,
                    Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
                }
            }
        }
    }

    async fn speak_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        peer: SocketAddr,
        place: &Arc<Place>,
        deadline: Instant,
    ) {
        let app = TowerToHyperService::new(self.app.clone());
        let service = hyper::service::service_fn(|request: hyper::Request<_>| {
            place.has_sent();
            let (mut request, rest) = early::watch(request);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(Arc::clone(place));
            let answer = app.call(request);
            async move {
                let mut answer = answer.await?;
                rest.discard(&mut answer).await;
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_CONNECTION)
            .max_header_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut must_go = pin!(place.must_go(deadline));
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

/// A stream that notes when the client made room for more.
struct Written {
    stream: TcpStream,
    place: Arc<Place>,
}

impl Written {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.place.was_written();
        }
    }
}

impl AsyncRead for Written {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Written {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
