//! `serve`: MCP over stdin and stdout, or on a network.

use std::process::ExitCode;

use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::http::{self, Serving, Stop};
use zep_mcp_server::local::likeness;
use zep_mcp_server::mcp::{self, MemoryServer};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::telemetry;
use zep_mcp_server::zep::SentAgain;

use super::signals;
use crate::cli::ServeArgs;
use crate::output::Misuse;

/// Serves until stdin ends or, on a network, until a signal.
///
/// # Errors
/// If a setting is wrong, the backend cannot be opened or the address cannot be used.
pub(crate) fn run(settings: Flags, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = if args.http {
        Config::load_for_http(settings, args.flags)?
    } else {
        Config::load(settings)?
    };
    telemetry::start(config.logging);
    super::log_start(&config);
    if args.http {
        on_a_network(config)
    } else {
        over_stdio(config)
    }
}

fn over_stdio(config: Config) -> anyhow::Result<ExitCode> {
    // One thread: there is one client, and startup is faster.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        mcp::serve_stdio(server(&config, open(&config)?)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn on_a_network(mut config: Config) -> anyhow::Result<ExitCode> {
    let Some(http) = config.http.take() else {
        unreachable!("set by load_for_http");
    };
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let signals = signals::listen()?;
        let stop = Stop {
            asked: signals.first,
            hurry: signals.second,
        };
        let server = server(&config, open(&config)?);
        let serving = Serving {
            config: http,
            server: server.clone(),
        };
        let served = http::serve(serving, stop, |addresses| {
            for address in addresses {
                tracing::info!("listening on {scheme}://{address} (/mcp, /sse)");
            }
        });
        let served = served.await;
        server.stop_migrations().await;
        served.map_err(|error| match error.is_misuse() {
            true => Misuse(error.to_string()).into(),
            false => anyhow::Error::from(error),
        })
    });
    // All writes are settled, and pending reads need not finish.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

/// The service. In the background, records that were sent again are looked at
/// later; nothing waits for that, and what the end of the process interrupts is done by the next one.
fn open(config: &Config) -> anyhow::Result<MemoryService> {
    let late = super::late_writes(config);
    let zep = super::open_backend_telling(config, late.clone())?;
    let memories = super::beside::service(config, zep)?;
    let memories = match super::write_queue(config) {
        Some(queue) => memories.queueing(queue, likeness),
        None => memories,
    };
    tokio::spawn(memories.clone().deliver_queued());
    tokio::spawn(memories.clone().deliver_copies());
    if let Some(late) = late {
        let memories = memories.clone();
        tokio::spawn(late.watch(move |sent| look_again(memories.clone(), sent)));
    }
    Ok(memories)
}

/// Whether it could be looked.
async fn look_again(memories: MemoryService, sent: SentAgain) -> bool {
    match memories.remove_doubles(&sent).await {
        Ok(0) => true,
        Ok(count) => {
            tracing::info!(count, "doubles of a write that was sent again were removed");
            true
        }
        Err(error) => {
            tracing::debug!(
                code = error.code(),
                "a write that was sent again is looked at later"
            );
            false
        }
    }
}

fn server(config: &Config, memories: MemoryService) -> MemoryServer {
    MemoryServer::new(memories)
        .offering(&config.tools)
        .confirming(config.confirm)
        .reading_exports_in(config.import_dir.as_deref())
        .noting_migrations_in(config.data_dir.as_deref())
        .migrating_from(&config.sources)
}
