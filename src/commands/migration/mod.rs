//! What `migrate` and `validate` share: opening the export and the backend, progress, stopping on
//! signals, and printing reports.

mod input;
mod progress;
mod stopped;
pub(super) mod table;

use std::fmt::Display;
use std::process::{self, ExitCode};
use std::str::FromStr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::mapping::RoleMap;
use zep_mcp_server::memory::{
    access::Caller,
    model::{SessionId, UserId},
};
use zep_mcp_server::migration::{Error, Migrator, Request, Selection, Watch};
use zep_mcp_server::sources::Source;
use zep_mcp_server::telemetry;

use crate::cli::ExportArgs;
use crate::commands::signals;
use crate::output::{INTERRUPTED, Interrupted, Misuse};
use input::Input;
use progress::Meter;

/// What a run works with.
pub(super) struct Run {
    /// On the configured backend, with the roles of the command line.
    pub(super) migrator: Migrator,
    /// The export.
    pub(super) source: Box<dyn Source>,
    /// The options of the command line.
    pub(super) request: Request,
    /// The progress display.
    pub(super) watch: Arc<dyn Watch>,
    /// Cancelled by Ctrl-C.
    pub(super) stop: CancellationToken,
}

/// Runs `work` on the part of the export that `args` select. The export is opened before the
/// backend, so that a wrong path has no effect.
///
/// # Errors
/// If the command line or the configuration is wrong, if the backend cannot be opened, or if `work`
/// fails.
pub(super) fn run<T>(
    settings: Flags,
    args: &ExportArgs,
    request: Request,
    work: impl AsyncFnOnce(Run) -> Result<T, Error>,
) -> anyhow::Result<T> {
    let request = Request {
        selection: selection(args)?,
        include_expired: args.include_expired,
        ..request
    };
    let roles = roles(args)?;
    let config = Config::load(settings)?;
    let input = Input::of(&args.source, &config.sources)?;
    let meter = Arc::new(Meter::new(request.dry_run));
    let logs = meter.clone();
    telemetry::start_through(config.logging, move || logs.writer());
    super::log_start(&config);
    // Two threads suffice to read the plan and write it: the backend is the slow part.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let stop = stop_at_a_signal(&meter)?;
        let source = input.open(&stop)?;
        let zep = super::open_backend(&config)?;
        let service = MemoryService::new(zep, config.default_user);
        meter.begin();
        let done = work(Run {
            migrator: Migrator::with_roles(service, Caller::Operator, roles)
                .noting_runs_in(config.data_dir.as_deref()),
            source,
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
        // A pending read of standard input may never end.
        runtime.shutdown_background();
        let said = match &done {
            Err(Error::Plan(_)) => "stopped before anything was done",
            Err(_) => "stopped before the end",
            Ok(_) => {
                meter.say(&format!("stopped; {}", stopped::to_go_on()));
                return Ok(done?);
            }
        };
        return Err(Interrupted(format!("{said}; {}", stopped::to_go_on())).into());
    }
    Ok(done?)
}

/// The exit code of a run: whether all is well, and whether it was stopped before its end.
pub(super) fn exit_code(well: bool, was_stopped: bool) -> ExitCode {
    match (well, was_stopped) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(INTERRUPTED),
        (false, false) => ExitCode::FAILURE,
    }
}

/// The first Ctrl-C cancels the returned token; the second ends the program.
fn stop_at_a_signal(meter: &Arc<Meter>) -> anyhow::Result<CancellationToken> {
    let signals = signals::listen()?;
    let stop = CancellationToken::new();
    let (stopping, meter) = (stop.clone(), meter.clone());
    tokio::spawn(async move {
        signals.first.cancelled().await;
        // Before the run ends, which may be at once.
        meter.say("stopping: finishing what is in flight (Ctrl-C again ends at once)");
        stopping.cancel();
        signals.second.cancelled().await;
        meter.end();
        process::exit(INTERRUPTED.into());
    });
    Ok(stop)
}

fn selection(args: &ExportArgs) -> Result<Selection, Misuse> {
    let users: Result<_, _> = args.user.iter().map(|id| UserId::new(id)).collect();
    let sessions: Result<_, _> = args.session.iter().map(|id| SessionId::new(id)).collect();
    Ok(Selection {
        users: users.map_err(|wrong| misuse("--user", wrong.problem))?,
        sessions: sessions.map_err(|wrong| misuse("--session", wrong.problem))?,
    })
}

fn roles(args: &ExportArgs) -> Result<RoleMap, Misuse> {
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
