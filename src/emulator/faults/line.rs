//! Connections that can be cut at any moment, and a door that can be shut for a while.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use backon::{ConstantBuilder, Retryable};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long to wait if the address is not free yet after a restart.
const REBIND_DELAY: Duration = Duration::from_millis(20);

/// All open connections, and the way to the door.
#[derive(Debug)]
pub(in crate::emulator) struct Lines {
    open: Mutex<HashMap<u64, CancellationToken>>,
    next_id: AtomicU64,
    door: mpsc::UnboundedSender<Restart>,
}

/// An order to be gone for a while.
#[derive(Debug)]
struct Restart {
    down: Duration,
    /// Told once connections are refused.
    closed: oneshot::Sender<()>,
}

impl Lines {
    /// Refuses new connections for a while and cuts all that are open, but for that of who asks.
    /// Returns when both is so.
    pub async fn restart(&self, down: Duration, spared: Option<&Peer>) {
        let (closed, is_closed) = oneshot::channel();
        if self.door.send(Restart { down, closed }).is_err() || is_closed.await.is_err() {
            // Nobody listens any more: the emulator is stopping.
            return;
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, cut) in open.iter() {
            if spared.is_none_or(|peer| peer.id != *id) {
                cut.cancel();
            }
        }
    }

    fn add(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) -> Line {
        // An answer that is sent bit by bit is to leave bit by bit.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may send late");
        }
        let peer = Peer {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            address,
            cut: CancellationToken::new(),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(peer.id, peer.cut.clone());
        Line {
            stream,
            is_cut: Box::pin(peer.cut.clone().cancelled_owned()),
            peer,
            lines: Arc::clone(self),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Peer {
    id: u64,
    address: SocketAddr,
    cut: CancellationToken,
}

impl Peer {
    /// Closes the connection: nothing that was not sent yet is sent any more.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().peer.clone()
    }
}

/// The listening socket, which is closed now and then.
#[derive(Debug)]
pub(in crate::emulator) struct Door {
    address: SocketAddr,
    /// `None` while it is shut.
    listener: Option<TcpListener>,
    restarts: mpsc::UnboundedReceiver<Restart>,
    lines: Arc<Lines>,
}

impl Door {
    /// Listens.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (door, restarts) = mpsc::unbounded_channel();
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            restarts,
            lines: Arc::new(Lines {
                open: Mutex::default(),
                next_id: AtomicU64::default(),
                door,
            }),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections that come through it.
    pub fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }

    async fn be_shut(&mut self, restart: Restart) {
        self.listener = None;
        // Whoever asked may be gone.
        let _ = restart.closed.send(());
        tokio::time::sleep(restart.down).await;
        let address = self.address;
        let bound = (|| TcpListener::bind(address))
            .retry(
                ConstantBuilder::default()
                    .with_delay(REBIND_DELAY)
                    .without_max_times(),
            )
            .await;
        match bound {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => tracing::error!(%error, "not listening any more"),
        }
    }
}

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            let Some(listener) = &mut self.listener else {
                return std::future::pending().await;
            };
            tokio::select! {
                biased;
                Some(restart) = self.restarts.recv() => self.be_shut(restart).await,
                (stream, address) = Listener::accept(listener) => {
                    return (self.lines.add(stream, address), address);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection that can be cut.
#[derive(Debug)]
pub(in crate::emulator) struct Line {
    stream: TcpStream,
    peer: Peer,
    /// Wakes whoever waits for the other end.
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    lines: Arc<Lines>,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.peer.cut.is_cancelled() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut open = self
            .lines
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.peer.id);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The server reads whatever else it does, so that this wakes it always.
        if self.is_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.check());
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
