//! `emulate`: the embedded store behind Zep's own HTTP API.

use std::process::ExitCode;

use zep_mcp_server::emulator::{self, Options};

use crate::cli::EmulateArgs;

/// Serves until it is interrupted.
///
/// # Errors
/// If the address or the file cannot be used.
pub fn run(args: EmulateArgs) -> anyhow::Result<ExitCode> {
    let options = Options {
        host: args.host,
        port: args.port,
        data: args.data,
        api_key: args.api_key.map(Into::into),
        behavior: args.behavior.into(),
        faults: args.faults.into(),
    };
    // Many threads: it stands for a service that many clients use at once.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = emulator::stop_on_signals()?;
        emulator::serve(options, stop, |address| {
            println!("Zep emulator listening on http://{address}");
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    })
}
