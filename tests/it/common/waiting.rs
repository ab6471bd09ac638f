//! Waiting for what must happen. A verdict does not depend on how fast the machine is: a test waits
//! for a condition, and only a fault makes it wait for as long as [`PATIENCE`].

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits before it counts something as never happening. What it rules out must take
/// longer, or forever.
pub const PATIENCE: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `so` holds; `what` says what never happened if it does not.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(PAUSE);
    }
}

/// Waits until `so` holds, while other tasks continue.
pub async fn until(mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < PATIENCE, "it never happens");
        tokio::time::sleep(PAUSE).await;
    }
}
