//! The listening socket, which can be closed for a while and bound again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use backon::{ConstantBuilder, Retryable};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::connections::{Connection, Connections, Peer, Restart};

/// The wait between attempts to bind the address again after a restart.
const REBIND_DELAY: Duration = Duration::from_millis(20);

impl Connected<IncomingStream<'_, RestartingListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, RestartingListener>) -> Self {
        stream.io().peer.clone()
    }
}

/// A TCP listener that restarts on request.
#[derive(Debug)]
pub(in crate::emulator) struct RestartingListener {
    address: SocketAddr,
    /// `None` during a restart.
    listener: Option<TcpListener>,
    restarts: mpsc::UnboundedReceiver<Restart>,
    connections: Arc<Connections>,
}

impl RestartingListener {
    /// Binds the address.
    pub(in crate::emulator) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (sender, restarts) = mpsc::unbounded_channel();
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            restarts,
            connections: Arc::new(Connections::new(sender)),
        })
    }

    /// The bound address.
    pub(in crate::emulator) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections that it accepts.
    pub(in crate::emulator) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
    }

    async fn restart(&mut self, restart: Restart) {
        self.listener = None;
        // The caller may be gone.
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
            Err(error) => tracing::error!(%error, "the address cannot be bound again"),
        }
    }
}

impl Listener for RestartingListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Some(listener) = &mut self.listener else {
                return std::future::pending().await;
            };
            tokio::select! {
                biased;
                Some(restart) = self.restarts.recv() => self.restart(restart).await,
                (stream, address) = Listener::accept(listener) => {
                    return (self.connections.add(stream, address), address);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
