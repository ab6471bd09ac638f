//! `status`: whether all is well, in one look. What `/ui` shows first, in the terminal.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use zep_mcp_server::audit;
use zep_mcp_server::config::{Config, Flags, HttpFlags};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::beside::Whereabouts;
use zep_mcp_server::memory::queue::{Counts, Queue, Result as QueueResult};
use zep_mcp_server::migration::history;
use zep_mcp_server::migration::ledger::RunState;
use zep_mcp_server::telemetry;

use super::doctor::checks;
use super::running::{self, Running};
use crate::cli::StatusArgs;
use crate::output::{Misuse, Page};

/// How long the backend may take. Ours: a person waits.
const WITHIN: Duration = Duration::from_secs(15);

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Status {
    /// Whether nothing needs a look.
    well: bool,
    /// zep, local or mem0.
    backend: &'static str,
    /// How long it took to answer; `null` if it did not.
    answered_in_ms: Option<f64>,
    /// Whether users are moved from mem0 one after the other.
    phased: bool,
    /// How many are in Zep, or in the embedded store; `null` where that cannot be asked.
    users_in_zep: Option<u64>,
    /// How many are in mem0.
    users_in_mem0: Option<u64>,
    /// How many of these are being moved.
    users_moving: Option<u64>,
    /// What is left of Zep's limit.
    rate_limit: Option<RateLimit>,
    /// What waits for Zep, or for mem0 as the users' backend.
    queue: Option<Waiting>,
    /// What mem0 is still to be told.
    copies: Option<Waiting>,
    /// The runs of the ledger.
    migrations: Option<Migrations>,
    /// `written`, `failing` or `off`.
    audit_trail: &'static str,
    /// The requests of the server of --url.
    server: Option<Running>,
    /// What needs a look, in words.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RateLimit {
    left: u64,
    per_minute: u64,
}

#[derive(Debug, Default, Serialize)]
struct Waiting {
    waiting: u64,
    refused: u64,
    oldest: Option<String>,
}

impl From<Counts> for Waiting {
    fn from(counts: Counts) -> Self {
        Self {
            waiting: counts.waiting,
            refused: counts.refused,
            oldest: counts.oldest.map(|time| format!("{time:.0}")),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Migrations {
    under_way: u64,
    done: u64,
    stopped: u64,
    not_complete: u64,
    undone: u64,
}

/// Prints it. Exit code 1 if something needs a look.
///
/// # Errors
/// If a setting is wrong, or the output cannot be written.
pub(crate) fn run(settings: Flags, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    // The token is a setting of servers on a network.
    let config = match args.url {
        Some(_) => Config::load_for_http(settings, HttpFlags::default())?,
        None => Config::load(settings)?,
    };
    telemetry::start(config.logging);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (status, users) = runtime.block_on(look(&config, args.url.as_deref()))?;
    let page = Page::stdout();
    match args.json {
        true => page.line(&serde_json::to_string_pretty(&status)?)?,
        false => print(&page, &config, &status, users.as_ref())?,
    }
    Ok(match status.well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The status, and where users are.
async fn look(config: &Config, url: Option<&str>) -> anyhow::Result<(Status, Option<Whereabouts>)> {
    let zep = super::open_backend_telling(config, None)?;
    let memories = super::beside::service(config, zep)?;
    let mut problems = Vec::new();
    let answered = answers(&memories).await;
    let answered = noted(&mut problems, "the backend", answered);
    let users = match answered {
        Some(_) => noted(&mut problems, "the users", memories.whereabouts().await),
        None => None,
    };
    let rate_limit = memories.stats().and_then(|stats| {
        Some(RateLimit {
            left: stats.left_this_minute?,
            per_minute: stats.per_minute?,
        })
    });
    let mut queue = None;
    if let Some(file) = super::write_queue_even_if_off(config) {
        queue = waiting(&mut problems, "the queue", file.counts().await);
    }
    let mut copies = None;
    if let Some(file) = super::beside::copies(config) {
        let counts = Queue::counts(file.as_ref()).await;
        copies = waiting(&mut problems, "what mem0 is to be told", counts);
    }
    let migrations = migrations(config).await;
    let migrations = noted(&mut problems, "the ledger", migrations).flatten();
    let mut server = None;
    if let Some(url) = url {
        let token = config
            .http
            .as_ref()
            .and_then(|http| http.access.token.clone());
        let asked = running::requests(url, token.as_ref()).await;
        server = match asked {
            Err(error) if error.is::<Misuse>() => return Err(error),
            asked => noted(&mut problems, "the server", asked),
        };
    }
    let status = Status {
        backend: memories.backend(),
        answered_in_ms: answered.map(|took| (took.as_secs_f64() * 10_000.0).round() / 10.0),
        phased: memories.moves_in_phases(),
        users_in_zep: users.as_ref().map(|users| users.in_zep),
        users_in_mem0: users.as_ref().map(|users| users.in_mem0),
        users_moving: users.as_ref().map(|users| users.moving),
        rate_limit,
        queue,
        copies,
        migrations,
        audit_trail: trail(config, &mut problems).await,
        server,
        well: problems.is_empty(),
        problems,
    };
    Ok((status, users))
}

/// What was found; what was not is a problem.
fn noted<T, E: ToString>(problems: &mut Vec<String>, what: &str, found: Result<T, E>) -> Option<T> {
    found
        .map_err(|error| problems.push(format!("{what}: {}", error.to_string())))
        .ok()
}

/// How long the backend takes to answer.
async fn answers(memories: &MemoryService) -> Result<Duration, String> {
    let begun = Instant::now();
    match tokio::time::timeout(WITHIN, memories.check()).await {
        Ok(Ok(())) => Ok(begun.elapsed()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", WITHIN.as_secs())),
    }
}

fn waiting(problems: &mut Vec<String>, what: &str, counts: QueueResult<Counts>) -> Option<Waiting> {
    let found = Waiting::from(noted(problems, what, counts)?);
    if found.refused > 0 {
        problems.push(format!(
            "{what}: {} entries were refused for good; `zep-mcp-server queue list` tells why",
            found.refused
        ));
    }
    Some(found)
}

/// The runs of the ledger by their states; `None` without a data directory.
async fn migrations(config: &Config) -> Result<Option<Migrations>, String> {
    let Some(directory) = config.data_dir.clone() else {
        return Ok(None);
    };
    let runs = tokio::task::spawn_blocking(move || history::runs(&directory)).await;
    let runs = runs.map_err(|error| error.to_string())?;
    let mut counts = Migrations::default();
    for run in runs.map_err(|error| error.to_string())? {
        *match run.state {
            RunState::Running => &mut counts.under_way,
            RunState::Done => &mut counts.done,
            RunState::Stopped => &mut counts.stopped,
            RunState::Failed => &mut counts.not_complete,
            RunState::Undone => &mut counts.undone,
        } += 1;
    }
    Ok(Some(counts))
}

/// Whether the audit trail can be written.
async fn trail(config: &Config, problems: &mut Vec<String>) -> &'static str {
    let trail = super::audited::trail(config);
    let ready = trail.ready().await;
    match (trail.state(), ready) {
        (audit::State::Off, _) => "off",
        (audit::State::Failing { problem, .. }, _) => {
            problems.push(format!("the audit trail: {problem}"));
            "failing"
        }
        (audit::State::Well, Err(unwritable)) => {
            problems.push(format!("the audit trail: {unwritable}"));
            "failing"
        }
        (audit::State::Well, Ok(_)) => "written",
    }
}

fn print(
    page: &Page,
    config: &Config,
    status: &Status,
    users: Option<&Whereabouts>,
) -> anyhow::Result<()> {
    let took = match status.answered_in_ms {
        Some(took) => format!("answered in {took} ms"),
        None => "does not answer".to_owned(),
    };
    page.line(&format!("backend: {}, {took}", config.backend))?;
    if let Some(users) = users {
        page.line(&match status.backend {
            "local" => format!("{} users are in the embedded store", users.in_zep),
            _ => checks::shown(users),
        })?;
    }
    if let Some(RateLimit { left, per_minute }) = &status.rate_limit {
        page.line(&format!(
            "rate limit: {left} of {per_minute} requests are left this minute"
        ))?;
    }
    for (what, waiting) in [
        ("the queue", &status.queue),
        ("what mem0 is to be told", &status.copies),
    ] {
        if let Some(waiting) = waiting {
            let oldest = waiting.oldest.as_ref();
            let oldest = oldest.map(|time| format!(", the oldest since {time}"));
            page.line(&format!(
                "{what}: {} entries wait{}, {} were refused",
                waiting.waiting,
                oldest.unwrap_or_default(),
                waiting.refused
            ))?;
        }
    }
    if let Some(runs) = &status.migrations {
        page.line(&format!(
            "migrations: {} under way, {} done, {} stopped, {} not complete, {} undone",
            runs.under_way, runs.done, runs.stopped, runs.not_complete, runs.undone
        ))?;
    }
    page.line(&format!("audit trail: {}", status.audit_trail))?;
    if let Some(server) = &status.server {
        page.line(&server.to_string())?;
    }
    for problem in &status.problems {
        page.line(&format!("! {problem}"))?;
    }
    Ok(())
}
