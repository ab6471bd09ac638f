//! `emulate`: the embedded store behind Zep's own HTTP API.

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::cli::EmulateArgs;

/// Serves until it is interrupted.
///
/// # Errors
/// If the address or the file cannot be used.
pub fn run(args: EmulateArgs) -> anyhow::Result<ExitCode> {
    let address = SocketAddr::new(args.host, args.port);
    // Many threads: it stands for a service that many clients use at once.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let _data = args.data;
        anyhow::bail!("this build cannot emulate Zep at {address}")
    })
}
