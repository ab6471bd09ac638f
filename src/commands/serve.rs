//! `serve`: MCP over stdin and stdout, or on a network.

use std::process::ExitCode;

use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::http::{self, Serving, Stop};
use zep_mcp_server::mcp::{self, MemoryServer};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::telemetry;

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
        let zep = super::open_backend(&config)?;
        let memories = MemoryService::new(zep, config.default_user.clone());
        mcp::serve_stdio(server(&config, memories)).await?;
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
    // All writes are settled, and pending reads need not finish.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

fn server(config: &Config, memories: MemoryService) -> MemoryServer {
    MemoryServer::new(memories)
        .offering(&config.tools)
        .confirming(config.confirm)
        .reading_exports_in(config.import_dir.as_deref())
        .noting_migrations_in(config.data_dir.as_deref())
}
