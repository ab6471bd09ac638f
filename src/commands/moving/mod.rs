//! What `migrate` and `validate` share: an export is opened, a backend too, and something is done
//! with both while a person watches.

mod input;
mod progress;
pub mod table;

use std::fmt::Display;
use std::io;
use std::process;
use std::str::FromStr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::emulator::stop_on_signals;
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::mapping::RoleMap;
use zep_mcp_server::memory::{
    access::Caller,
    model::{SessionId, UserId},
};
use zep_mcp_server::migration::{Error, Migrator, Request, Selection, Watch};
use zep_mcp_server::sources::Source;
use zep_mcp_server::telemetry;

use crate::cli::MovingArgs;
use crate::output::Misuse;
use input::Input;
use progress::Meter;

/// The exit code of a second Ctrl-C: something was asked for and not finished.
const STOPPED: i32 = 1;

/// Everything that it takes.
pub struct Work {
    /// The backend of the configuration, with the roles of the command line.
    pub migrator: Migrator,
    /// The export.
    pub source: Box<dyn Source>,
    /// What the command line asks.
    pub request: Request,
    /// To be told how far it came.
    pub watch: Arc<dyn Watch>,
    /// Cancelled by Ctrl-C.
    pub stop: CancellationToken,
}

/// Does something with the export and the backend: what `request` says, for the part of the export
/// that `args` name. The export is opened first: nothing is made or asked for the sake of one that
/// is not there.
///
/// # Errors
/// If the command line or the configuration is wrong, if the backend cannot be opened, or if it
/// cannot be done at all.
pub fn run<T>(
    settings: Flags,
    args: &MovingArgs,
    request: Request,
    work: impl AsyncFnOnce(Work) -> Result<T, Error>,
) -> anyhow::Result<T> {
    let request = Request {
        selection: selection(args)?,
        include_expired: args.include_expired,
        ..request
    };
    let roles = roles(args)?;
    let input = Input::open(&args.file)?;
    let config = Config::load(settings)?;
    let meter = Arc::new(Meter::on_stderr(request.dry_run));
    let beside = meter.clone();
    telemetry::start_through(config.logging, move || beside.beside());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!("memories are kept by the backend {}", config.backend);
    // Reading the plan and writing it take turns on two threads: what is slow is the backend.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let zep = super::open_backend(&config)?;
        let service = MemoryService::new(zep, config.default_user);
        let stop = stop_at_a_signal(&meter)?;
        meter.begin();
        let done = work(Work {
            migrator: Migrator::with_roles(service, Caller::Operator, roles),
            source: Box::new(input.export(&stop)),
            request,
            watch: meter.clone(),
            stop: stop.clone(),
        })
        .await;
        anyhow::Ok((done, stop))
    });
    meter.end();
    let (done, stop) = done?;
    if stop.is_cancelled() {
        // A read of standard input that nobody will answer is not waited for.
        runtime.shutdown_background();
        if let Err(Error::Plan(_)) = done {
            anyhow::bail!("stopped before anything was done");
        }
    }
    Ok(done?)
}

/// A token that the first Ctrl-C cancels. The second ends the program.
fn stop_at_a_signal(meter: &Arc<Meter>) -> io::Result<CancellationToken> {
    let stop = stop_on_signals()?;
    let (first, meter) = (stop.clone(), meter.clone());
    tokio::spawn(async move {
        first.cancelled().await;
        meter.say("stopping: finishing what is in flight (Ctrl-C again ends at once)");
        // If signals cannot be heard, the work in flight ends by itself.
        let Ok(second) = stop_on_signals() else {
            return;
        };
        second.cancelled().await;
        meter.end();
        process::exit(STOPPED);
    });
    Ok(stop)
}

fn selection(args: &MovingArgs) -> Result<Selection, Misuse> {
    let user = args.user.as_deref().map(UserId::new).transpose();
    let sessions: Result<_, _> = args.session.iter().map(|id| SessionId::new(id)).collect();
    Ok(Selection {
        user: user.map_err(|wrong| misuse("--user", wrong.problem))?,
        sessions: sessions.map_err(|wrong| misuse("--session", wrong.problem))?,
    })
}

fn roles(args: &MovingArgs) -> Result<RoleMap, Misuse> {
    let roles = args.role_map.as_deref().map(RoleMap::from_str).transpose();
    roles.map(Option::unwrap_or_default).map_err(|wrong| {
        misuse(
            "--role-map",
            format!(
                "has a pair that cannot be used: `{}` {}",
                wrong.pair, wrong.problem
            ),
        )
    })
}

fn misuse(flag: &str, problem: impl Display) -> Misuse {
    Misuse(format!("{flag} {problem}"))
}
