//! Resolves the host to listen on and binds its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::limits::{SEND_BUFFER, WAITING_CONNECTIONS};

/// The addresses of a host: for a name, all of them.
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

/// Listens on those of the addresses that this machine has; there must be one.
///
/// # Errors
/// The address, and why it cannot be used.
pub(super) fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut absent = None;
    for mut address in addresses.iter().copied() {
        if address.port() == 0
            && let Some(first) = listeners.first()
            && let Ok(first) = first.local_addr()
        {
            address.set_port(first.port());
        }
        match listener(address) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 may still resolve its name to an IPv6 address.
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

/// Listens on an address, as [`TcpListener::bind`] does, with a small buffer of each connection.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of an earlier process may still be closing. On Windows it means something else.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(WAITING_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

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
