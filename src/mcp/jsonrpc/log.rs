//! The log of messages that were refused, bounded so that no client can fill a disk with it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many lines are written in [`PERIOD`]: enough to see what a client does wrong.
const MAX_LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

static WRITTEN: Mutex<Option<Written>> = Mutex::new(None);

/// The lines of a period.
struct Written {
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// Logs that a message was refused with this code. Nothing of the message is logged.
pub(super) fn refused(code: i32) {
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let written = written.get_or_insert(Written {
        since: now,
        lines: 0,
        left_out: 0,
    });
    if now.duration_since(written.since) > PERIOD {
        if written.left_out > 0 {
            tracing::warn!(messages = written.left_out, "more messages were refused");
        }
        *written = Written {
            since: now,
            lines: 0,
            left_out: 0,
        };
    }
    if written.lines == MAX_LINES {
        written.left_out += 1;
        return;
    }
    written.lines += 1;
    tracing::warn!(code, "a message was refused: it is no valid request of MCP");
    if written.lines == MAX_LINES {
        tracing::warn!("further ones of this minute are only counted");
    }
}
