//! Open connections, which can be closed at any moment.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// All open connections, and the channel to their listener.
#[derive(Debug)]
pub(in crate::emulator) struct Connections {
    open: Mutex<HashMap<u64, CancellationToken>>,
    next_id: AtomicU64,
    listener: mpsc::UnboundedSender<Restart>,
}

/// Tells the listener to refuse connections for a while.
#[derive(Debug)]
pub(super) struct Restart {
    pub(super) down: Duration,
    /// Signalled once connections are refused.
    pub(super) closed: oneshot::Sender<()>,
}

impl Connections {
    /// None yet; `listener` receives the restarts.
    pub(super) fn new(listener: mpsc::UnboundedSender<Restart>) -> Self {
        Self {
            open: Mutex::default(),
            next_id: AtomicU64::default(),
            listener,
        }
    }

    /// Refuses new connections for a while and closes all open ones but `spared`. Returns once both
    /// are done.
    pub(super) async fn restart(&self, down: Duration, spared: Option<&Peer>) {
        let (closed, is_closed) = oneshot::channel();
        if self.listener.send(Restart { down, closed }).is_err() || is_closed.await.is_err() {
            // The listener is gone: the emulator is stopping.
            return;
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, closed) in open.iter() {
            if spared.is_none_or(|peer| peer.id != *id) {
                closed.cancel();
            }
        }
    }

    pub(super) fn add(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) -> Connection {
        // A slow body must leave in the parts it is written in.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY: slow bodies may arrive in fewer parts");
        }
        let peer = Peer {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            address,
            closed: CancellationToken::new(),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(peer.id, peer.closed.clone());
        Connection {
            stream,
            is_closed: Box::pin(peer.closed.clone().cancelled_owned()),
            peer,
            connections: Arc::clone(self),
        }
    }
}

/// The client at the other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Peer {
    id: u64,
    address: SocketAddr,
    closed: CancellationToken,
}

impl Peer {
    /// Closes the connection; pending output is dropped.
    pub(super) fn disconnect(&self) {
        self.closed.cancel();
    }

    /// Whether it is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

/// A connection that can be closed from outside.
#[derive(Debug)]
pub(in crate::emulator) struct Connection {
    stream: TcpStream,
    pub(super) peer: Peer,
    /// Wakes a pending read.
    is_closed: Pin<Box<WaitForCancellationFutureOwned>>,
    connections: Arc<Connections>,
}

impl Connection {
    fn check(&self) -> io::Result<()> {
        if self.peer.closed.is_cancelled() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self
            .connections
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.peer.id);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The server always has a read pending, which this wakes.
        if self.is_closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.check());
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
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
