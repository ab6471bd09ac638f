//! `serve`: MCP over stdin and stdout, or on a network.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::emulator::stop_on_signals;
use zep_mcp_server::http::{self, Serving, Stop};
use zep_mcp_server::mcp::{self, MemoryServer};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::telemetry;

use crate::cli::ServeArgs;
use crate::output::Misuse;

/// Serves until stdin ends or, on a network, until it is told to stop.
///
/// # Errors
/// If a setting is wrong, the backend cannot be opened or the address cannot be used.
pub fn run(settings: Flags, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = if args.http {
        Config::load_for_http(settings, args.flags)?
    } else {
        Config::load(settings)?
    };
    telemetry::start(config.logging);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!("memories are kept by the backend {}", config.backend);
    if args.http {
        on_a_network(config)
    } else {
        over_stdio(config)
    }
}

fn over_stdio(config: Config) -> anyhow::Result<ExitCode> {
    // One thread: a host talks to one server at a time, and it starts sooner.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let zep = super::open_backend(&config)?;
        let memories = MemoryService::new(zep, config.default_user.clone());
        mcp::serve_stdio(server(&config, memories)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn on_a_network(mut config: Config) -> anyhow::Result<ExitCode> {
    let Some(http) = config.http.take() else {
        unreachable!("loaded for it");
    };
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    // Many threads: many talk to it at once.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let stop = stop_at_a_signal()?;
        let zep = super::open_backend(&config)?;
        let memories = MemoryService::new(zep.clone(), config.default_user.clone());
        let serving = Serving {
            config: http,
            server: server(&config, memories),
            zep,
        };
        let served = http::serve(serving, stop, |addresses| {
            for address in addresses {
                tracing::info!("listening on {scheme}://{address} (/mcp, /sse)");
            }
        });
        served.await.map_err(|error| match error.is_misuse() {
            true => Misuse(error.to_string()).into(),
            false => anyhow::Error::from(error),
        })
    });
    // What was written is settled; a read that hangs keeps nobody.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

fn server(config: &Config, memories: MemoryService) -> MemoryServer {
    MemoryServer::new(memories)
        .offering(&config.tools)
        .confirming(config.confirm)
        .reading_exports_in(config.import_dir.as_deref())
}

/// The first signal asks to stop, the second not to wait for what is in flight.
fn stop_at_a_signal() -> anyhow::Result<Stop> {
    let stop = Stop {
        asked: stop_on_signals()?,
        hurry: CancellationToken::new(),
    };
    let both = stop.clone();
    tokio::spawn(async move {
        both.asked.cancelled().await;
        // If signals cannot be heard, the wait is over by itself.
        if let Ok(second) = stop_on_signals() {
            second.cancelled().await;
            both.hurry.cancel();
        }
    });
    Ok(stop)
}
