//! `serve`: MCP over stdin and stdout or on a network, and the Memory API.

use std::process::ExitCode;
use std::sync::Arc;

use zep_mcp_server::api::{self, Api};
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::http::{self, RestRoutes, Serving, Stop};
use zep_mcp_server::local::likeness;
use zep_mcp_server::mcp::{self, MemoryServer};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::beside::sides::Sides;
use zep_mcp_server::moves::Moves;
use zep_mcp_server::telemetry;
use zep_mcp_server::traces;
use zep_mcp_server::ui::{self, Ui};
use zep_mcp_server::zep::SentAgain;

use super::signals;
use crate::cli::ServeArgs;
use crate::output::Misuse;

/// Serves until stdin ends or, on a network, until a signal.
///
/// # Errors
/// If a setting is wrong, the backend cannot be opened or the address cannot be used.
pub(crate) fn run(settings: Flags, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = match (args.api, args.http) {
        (true, _) => Config::load_for_api(settings, args.flags)?,
        (false, true) => Config::load_for_http(settings, args.flags)?,
        (false, false) => Config::load(settings)?,
    };
    telemetry::start(config.logging);
    super::log_start(&config);
    let traces = traces::start();
    let served = match args.http || args.api {
        true => on_a_network(config, args.http, args.api),
        false => over_stdio(config),
    };
    traces.finish();
    served
}

fn over_stdio(config: Config) -> anyhow::Result<ExitCode> {
    // One thread: there is one client, and startup is faster.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let memories = open(&config, |memories| memories)?;
        let server = server(&config, moves(&config, memories));
        let trail = server.trail().clone();
        let served = mcp::serve_stdio(server).await;
        trail.close();
        served?;
        Ok(ExitCode::SUCCESS)
    })
}

fn on_a_network(mut config: Config, serves_mcp: bool, api: bool) -> anyhow::Result<ExitCode> {
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
        let memories = match api {
            true => open(&config, MemoryService::minding_status)?,
            false => open(&config, |memories| memories)?,
        };
        let moves = moves(&config, memories);
        let server = server(&config, moves.clone());
        let trail = server.trail().clone();
        let rest = match api {
            true => rest(
                Api {
                    moves: moves.clone(),
                    trail: trail.clone(),
                    compat: http.api_compat,
                },
                Ui::new(moves.clone(), trail.clone()),
            ),
            false => RestRoutes::default(),
        };
        let serving = Serving {
            config: http,
            server,
            serves_mcp,
            rest,
        };
        let served = http::serve(serving, stop, |addresses| {
            let paths = match (serves_mcp, api) {
                (true, true) => "/mcp, /sse, /api, /docs, /ui",
                (true, false) => "/mcp, /sse",
                (false, _) => "/api, /docs, /ui",
            };
            for address in addresses {
                tracing::info!("listening on {scheme}://{address} ({paths})");
            }
        });
        let served = served.await;
        moves.stop().await;
        trail.close();
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
fn open(
    config: &Config,
    more: fn(MemoryService) -> MemoryService,
) -> anyhow::Result<MemoryService> {
    let late = super::late_writes(config);
    let zep = super::open_backend_telling(config, late.clone())?;
    let memories = super::beside::service(config, zep)?;
    let memories = match super::write_queue(config) {
        Some(queue) => memories.queueing(queue, likeness),
        None => memories,
    };
    let memories = more(memories);
    tokio::spawn(memories.clone().deliver_queued());
    tokio::spawn(memories.clone().deliver_copies());
    if let Some(late) = late {
        let memories = memories.clone();
        tokio::spawn(late.watch(move |sent| look_again(memories.clone(), sent)));
    }
    Ok(memories)
}

/// The routes of the Memory API, and of the operators' page.
fn rest(api: Api, ui: Ui) -> RestRoutes {
    let api::Routes { guarded, open } = api::routes(api);
    RestRoutes {
        guarded,
        open: open.merge(ui::routes(ui)),
        is_served: true,
    }
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

fn server(config: &Config, moves: Moves) -> MemoryServer {
    MemoryServer::new(moves.memories().clone())
        .offering(&config.tools)
        .confirming(config.confirm)
        .auditing(super::audited::trail(config))
        .migrating(moves)
}

/// Where migrations are begun.
fn moves(config: &Config, memories: MemoryService) -> Moves {
    Moves::new(memories)
        .reading_exports_in(config.import_dir.as_deref())
        .noting_migrations_in(config.data_dir.as_deref())
        .migrating_from(&config.sources)
        .giving_back(super::write_queue_even_if_off(config).map(|sides| sides as Arc<dyn Sides>))
}
