//! Requests to stop: Ctrl-C and, on Unix, SIGTERM.

use std::io;

use tokio::signal;
use tokio_util::sync::CancellationToken;

/// Tokens that signals cancel.
#[derive(Clone, Default)]
pub(super) struct Signals {
    /// Cancelled by the first signal.
    pub(super) first: CancellationToken,
    /// Cancelled by the second signal.
    pub(super) second: CancellationToken,
}

/// Lets a write beyond the limit of file sizes (`ulimit -f`) fail as one on a full disk does. Without a
/// handler, the signal ends the program. Must be called within a runtime.
///
/// # Errors
/// If the system does not deliver signals to this program.
pub(super) fn outlive_file_size_limit() -> io::Result<()> {
    /// SIGXFSZ on Linux, except on MIPS, and on macOS and the BSDs.
    #[cfg(all(unix, not(any(target_arch = "mips", target_arch = "mips64"))))]
    const FILE_TOO_LARGE: i32 = 25;
    // The handler stays when its stream is dropped.
    #[cfg(all(unix, not(any(target_arch = "mips", target_arch = "mips64"))))]
    drop(signal::unix::signal(signal::unix::SignalKind::from_raw(
        FILE_TOO_LARGE,
    ))?);
    Ok(())
}

/// Listens for signals from now on. Must be called within a runtime.
///
/// # Errors
/// If the system does not deliver signals to this program.
pub(super) fn listen() -> io::Result<Signals> {
    let signals = Signals::default();
    let Signals { first, second } = signals.clone();
    // Registered here and not in the task: until then, a signal ends the program.
    #[cfg(unix)]
    let (mut interrupt, mut terminate) = (
        signal::unix::signal(signal::unix::SignalKind::interrupt())?,
        signal::unix::signal(signal::unix::SignalKind::terminate())?,
    );
    tokio::spawn(async move {
        for token in [first, second] {
            #[cfg(unix)]
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            #[cfg(not(unix))]
            let _ = signal::ctrl_c().await;
            token.cancel();
        }
    });
    Ok(signals)
}
