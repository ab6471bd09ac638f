//! How much clients may take: connections, time and memory.

use std::time::Duration;

/// Files that are not client connections: stores, logs, connections to Zep.
pub(super) const OTHER_FILES: usize = 128;
/// How long a new connection has for its first request, TLS included.
pub(super) const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection stays open without a request: longer than load balancers keep theirs (60 s),
/// so that they close an idle connection before we do.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(75);
/// The largest header of a request, in bytes: tokens take some kilobytes at most.
pub(super) const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Connections that wait to be accepted, as tokio has them.
pub(super) const WAITING_CONNECTIONS: u32 = 1024;
/// The system's buffer of each connection for what is not read yet, in bytes: otherwise the system lets
/// it grow to some megabytes, which no share counts. It bounds a connection to 5 MB/s at 50 ms.
pub(super) const SEND_BUFFER: u32 = 256 * 1024;
/// How long a client may read nothing before its connection is closed.
pub(super) const STALLED_WRITE: Duration = Duration::from_secs(30);
/// How often a silent stream sends a sign of life: before proxies (60 s) and clients give up.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The largest body that is read, in bytes: as over stdio, a call with the longest content, escaped
/// twice.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// How much of a larger body is read and discarded, so that its sender can read the response.
pub(super) const MAX_DISCARDED_BYTES: usize = 4 * MAX_BODY_BYTES;
/// How much of a refused client's body is read and discarded, so that the client can read the refusal:
/// otherwise closing the connection can reset it. Ours: more than the calls of agents have.
pub(super) const MAX_REFUSED_BYTES: usize = 64 * 1024;
/// How long that may take.
pub(super) const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// How long a body may take: 16 MB at 2 Mbit/s.
pub(super) const BODY_WITHIN: Duration = Duration::from_secs(64);
/// The memory of all requests that are being read or answered, in bytes: of their bodies, and of the
/// values that are parsed from them.
pub(super) const MAX_BODIES_BYTES: usize = 2 * MAX_BODIES_SHARE;
/// How much of it one token may take: one request with the most values, or four of the largest.
pub(super) const MAX_BODIES_SHARE: usize = 4 * MAX_BODY_BYTES;
/// The memory of a value while it is parsed, in bytes: measured with the smallest objects.
pub(super) const VALUE_BYTES: usize = 600;
/// The largest body that is parsed at once, in bytes. The values of a larger one take milliseconds,
/// for which other tasks move to another thread.
pub(super) const QUICK_BODY_BYTES: usize = 256 * 1024;

/// The most calls of one session that are answered at once: more than any agent makes, and few enough
/// that other sessions do not wait.
pub(super) const MAX_CALLS: usize = 256;
