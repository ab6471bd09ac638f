//! What `migrate`, `validate` and `switch` share: the source and the backend, progress, stopping on
//! signals, and printing reports.

mod input;
mod progress;
pub(super) mod selection;
mod stopped;
pub(super) mod table;

use std::process::{self, ExitCode};
use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::audit::Action;
use zep_mcp_server::config::{Backend, Config, Flags};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::access::Caller;
use zep_mcp_server::memory::mapping::RoleMap;
use zep_mcp_server::migration::{Error, Migrator, Request, Watch};
use zep_mcp_server::sources::Source;
use zep_mcp_server::telemetry;

use crate::cli::{ExportArgs, WritingArgs};
use crate::commands::audited::Audited;
use crate::commands::{mem0_entries, signals};
use crate::output::{INTERRUPTED, Interrupted, Misuse, shown_path};
pub(super) use input::Input;
pub(super) use progress::Meter;

/// What a command was told to do.
pub(super) struct Job {
    pub(super) config: Config,
    pub(super) input: Input,
    pub(super) request: Request,
    pub(super) roles: RoleMap,
    /// The directory of a store that is removed with it.
    pub(super) throw_away: Option<TempDir>,
    /// Also of a rehearsal: it reads what is somebody's.
    pub(super) audited: Audited,
}

impl Job {
    /// What these flags and settings say.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub(super) fn of(
        settings: Flags,
        args: &ExportArgs,
        writing: &WritingArgs,
    ) -> anyhow::Result<Self> {
        let request = selection::request(&args.selection, writing)?;
        let roles = selection::roles(&args.selection)?;
        let key = args
            .entry
            .as_ref()
            .map(mem0_entries::key_of_entry)
            .transpose()?;
        let config = Config::load(settings)?;
        let input = Input::of(&args.source, key, &config)?;
        Ok(Self {
            audited: Audited::new(&config, "migrate", Action::Migrate),
            config,
            input,
            request,
            roles,
            throw_away: None,
        })
    }

    /// What is migrated into, for people.
    pub(super) fn target(&self) -> String {
        match (&self.throw_away, &self.config.backend) {
            (Some(_), _) => "a temporary store on this machine".to_owned(),
            (None, Backend::Zep(connection)) => format!("Zep ({})", connection.host()),
            (None, Backend::Local { path }) => shown_path(path),
            (None, Backend::Mem0(account)) => format!("mem0 ({})", account.url),
        }
    }

    /// Whether its users are Zep's afterwards, since they are moved one after the other.
    pub(super) fn moves_users(&self) -> bool {
        let is_phased = self.config.beside.as_ref().is_some_and(|it| it.phased);
        is_phased && self.input.is_mem0() && self.request.is_whole()
    }

    /// The same into a temporary embedded store.
    ///
    /// # Errors
    /// If there is no place for temporary files.
    pub(super) fn rehearsed(mut self) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        self.config.backend = Backend::Local {
            path: directory.path().join("memory.db"),
        };
        self.config.beside = None;
        self.config.data_dir = Some(directory.path().to_owned());
        self.throw_away = Some(directory);
        Ok(self)
    }
}

/// What a run works with.
pub(super) struct Run {
    /// On the configured backend, with the roles of the command line.
    pub(super) migrator: Migrator,
    /// The source.
    pub(super) source: Box<dyn Source>,
    /// The options of the command line.
    pub(super) request: Request,
    /// The progress display.
    pub(super) watch: Arc<dyn Watch>,
    /// Cancelled by Ctrl-C.
    pub(super) stop: CancellationToken,
    /// What is migrated into.
    pub(super) service: MemoryService,
}

/// Does a job with `work`. The source is opened before the backend, so that a wrong path has no
/// effect.
///
/// # Errors
/// If the source or the backend cannot be opened, or if `work` fails.
pub(super) fn run<T>(
    job: Job,
    work: impl AsyncFnOnce(Run) -> Result<T, Error>,
) -> anyhow::Result<T> {
    let Job {
        config,
        input,
        request,
        roles,
        throw_away,
        audited,
    } = job;
    if input.is_target(&config.backend) {
        return Err(Misuse(format!(
            "--from local: {input} is the store that would be written to; set ZEP_API_KEY to move it \
             to Zep Cloud, or name another store"
        ))
        .into());
    }
    let done = at_work(&config, request.dry_run, async |meter, stop| {
        let source = input.open(&request, &stop)?;
        let zep = super::open_backend(&config)?;
        let service = super::beside::service(&config, zep)?;
        service
            .needs_zep()
            .map_err(|error| Misuse(error.to_string()))?;
        meter.begin();
        let run = Run {
            migrator: Migrator::with_roles(service.clone(), Caller::Operator, roles)
                .noting_runs_in(config.data_dir.as_deref()),
            source,
            request,
            watch: meter,
            stop,
            service,
        };
        let work = async { Ok(work(run).await) };
        audited.during(work, Result::is_ok).await
    });
    drop(throw_away);
    done
}

/// Does `work` with a progress display, until it is done or a signal stops it.
///
/// # Errors
/// If `work` fails, or was stopped without a result.
pub(super) fn at_work<T>(
    config: &Config,
    dry_run: bool,
    work: impl AsyncFnOnce(Arc<Meter>, CancellationToken) -> anyhow::Result<Result<T, Error>>,
) -> anyhow::Result<T> {
    let meter = Arc::new(Meter::new(dry_run));
    let logs = meter.clone();
    telemetry::start_through(config.logging, move || logs.writer());
    super::log_start(config);
    // Two threads suffice to read the plan and write it: the backend is the slow part.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let stop = stop_at_a_signal(&meter)?;
        let done = work(meter.clone(), stop.clone()).await?;
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
