//! `emulate`: the embedded store behind Zep's HTTP API.

use std::process::ExitCode;

use zep_mcp_server::emulator::{self, Options};

use super::signals;
use crate::cli::EmulateArgs;

/// Serves until a signal.
///
/// # Errors
/// If the address or the file cannot be used.
pub(crate) fn run(args: EmulateArgs) -> anyhow::Result<ExitCode> {
    let options = Options {
        host: args.host,
        port: args.port,
        data: args.data,
        api_key: args.api_key.map(Into::into),
        behavior: args.behavior.into(),
        faults: args.faults.into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        signals::outlive_file_size_limit()?;
        let stop = signals::listen()?.first;
        emulator::serve(options, stop, |address| {
            println!("Zep emulator listening on http://{address}");
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    })
}
