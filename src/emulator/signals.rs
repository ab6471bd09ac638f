//! The wish of the person at the terminal, or of the system, that this ends.

use tokio::signal;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled on Ctrl-C and, on Unix, on SIGTERM. To be called within a runtime.
///
/// # Errors
/// If the system does not let this program hear its signals.
pub fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    // From here on, not from when the task first runs: until then a signal would end the program.
    #[cfg(unix)]
    let (mut interrupt, mut terminate) = (
        signal::unix::signal(signal::unix::SignalKind::interrupt())?,
        signal::unix::signal(signal::unix::SignalKind::terminate())?,
    );
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
        asked.cancel();
    });
    Ok(stop)
}
