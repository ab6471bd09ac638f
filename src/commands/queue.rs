//! `queue`: shows and sends what waits for Zep.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use console::Term;
use jiff::Timestamp;
use serde::Serialize;
use zep_mcp_server::config::{Backend, Config};
use zep_mcp_server::local::likeness;
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::Owner;
use zep_mcp_server::memory::queue::{Cancelled, Job, Queue};
use zep_mcp_server::queue::WriteQueue;

use crate::cli::{QueueArgs, QueueCommand};
use crate::commands::install::ask;
use crate::output::{Misuse, Page, on_one_line};

/// How often it is looked at what is left.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the subcommand.
///
/// # Errors
/// If there is no queue, or its file cannot be used.
pub(crate) fn run(config: &Config, args: QueueArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let queue = open(config)?;
        match args.command {
            QueueCommand::List { json } => list(&queue, json).await,
            QueueCommand::Flush { wait } => flush(config, queue, Duration::from_secs(wait)).await,
            QueueCommand::Show { number } => show(&queue, number).await,
            QueueCommand::Drop { number, yes } => forget(&queue, number, yes).await,
        }
    })
}

fn open(config: &Config) -> anyhow::Result<Arc<WriteQueue>> {
    if let Backend::Local { .. } = config.backend {
        bail!(Misuse(
            "the embedded store needs no queue: what is written to it is stored at once".into()
        ));
    }
    super::write_queue_even_if_off(config)
        .ok_or_else(|| Misuse("there is no data directory: set ZEP_MCP_DATA_DIR".into()).into())
}

/// An entry of the list. No content.
#[derive(Debug, Serialize)]
struct Line {
    number: i64,
    user_id: Option<String>,
    graph_id: Option<String>,
    session_id: Option<String>,
    queued_at: Timestamp,
    attempts: u32,
    /// waiting, or refused.
    state: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Job> for Line {
    fn from(job: Job) -> Self {
        let (user_id, graph_id) = match job.lane.owner {
            Owner::User(user) => (Some(user.to_string()), None),
            Owner::Graph(graph) => (None, Some(graph.to_string())),
        };
        Self {
            number: job.number,
            user_id,
            graph_id,
            session_id: job.lane.session.map(|session| session.to_string()),
            queued_at: job.queued_at,
            attempts: job.attempts,
            state: match job.parked {
                Some(_) => "refused",
                None => "waiting",
            },
            reason: job.parked,
        }
    }
}

async fn list(queue: &WriteQueue, json: bool) -> anyhow::Result<ExitCode> {
    let page = Page::stdout();
    let mut last = 0;
    while let Some(job) = queue.after(None, last).await? {
        last = job.number;
        let line = Line::from(job);
        if json {
            page.line(&serde_json::to_string(&line)?)?;
            continue;
        }
        let whose = match (&line.user_id, &line.graph_id) {
            (Some(user), _) => format!("user {user}"),
            (None, graph) => format!("graph {}", graph.as_deref().unwrap_or_default()),
        };
        let session = line
            .session_id
            .map(|session| format!(", session {session}"));
        let state = match line.reason {
            Some(reason) => format!("refused: {reason}"),
            None => format!("waiting, tried {} times", line.attempts),
        };
        page.line(&on_one_line(&format!(
            "{:>6}  since {:.0}  {whose}{}  {state}",
            line.number,
            line.queued_at,
            session.unwrap_or_default(),
        )))?;
    }
    if last == 0 && !json {
        page.line("Nothing waits.")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn flush(
    config: &Config,
    queue: Arc<WriteQueue>,
    wait: Duration,
) -> anyhow::Result<ExitCode> {
    let zep = super::open_backend_telling(config, super::late_writes(config))?;
    let memories = MemoryService::new(zep, config.default_user.clone());
    let memories = memories.queueing(queue.clone(), likeness);
    queue.hurry().await?;
    let delivery = tokio::spawn(memories.clone().deliver_queued());
    let begun = Instant::now();
    let mut left = queue.counts().await?;
    while left.waiting > 0 && begun.elapsed() < wait {
        tokio::time::sleep(LOOK).await;
        left = queue.counts().await?;
    }
    delivery.abort();
    memories.settle().await;
    left = queue.counts().await?;
    let page = Page::stdout();
    if left.waiting > 0 {
        let away = memories.why_away().map(|why| format!(": {why}"));
        page.line(&format!(
            "{} entries still wait{}",
            left.waiting,
            away.unwrap_or_default()
        ))?;
    }
    if left.refused > 0 {
        page.line(&format!(
            "Zep refused {} entries for good: `zep-mcp-server queue list` tells why",
            left.refused
        ))?;
    }
    if left.waiting + left.refused > 0 {
        return Ok(ExitCode::FAILURE);
    }
    page.line("Nothing waits: Zep has everything.")?;
    Ok(ExitCode::SUCCESS)
}

async fn find(queue: &WriteQueue, number: i64) -> anyhow::Result<Job> {
    match queue.after(None, number.saturating_sub(1)).await? {
        Some(job) if job.number == number => Ok(job),
        _ => bail!("there is no entry {number}: it was delivered, or never there"),
    }
}

async fn show(queue: &WriteQueue, number: i64) -> anyhow::Result<ExitCode> {
    let job = find(queue, number).await?;
    let body: serde_json::Value = serde_json::from_str(&job.body)?;
    let mut shown = serde_json::to_value(Line::from(job))?;
    shown["content"] = body;
    Page::stdout().line(&serde_json::to_string_pretty(&shown)?)?;
    Ok(ExitCode::SUCCESS)
}

async fn forget(queue: &WriteQueue, number: i64, yes: bool) -> anyhow::Result<ExitCode> {
    let job = find(queue, number).await?;
    if !yes {
        if !ask::is_possible() {
            bail!(Misuse("there is no terminal to ask on: use --yes".into()));
        }
        let terminal = Term::stderr();
        terminal.write_str(&on_one_line(&format!(
            "Entry {number} of {} goes to Zep never, and is lost. Type `drop` to go on: ",
            job.lane.owner
        )))?;
        if terminal.read_line()?.trim() != "drop" {
            Page::stdout().line("Nothing was changed.")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    match queue.cancel(number).await? {
        Cancelled::Done => Page::stdout().line(&format!("Entry {number} is forgotten."))?,
        Cancelled::Claimed => bail!("entry {number} is being sent just now: look again"),
        Cancelled::NotThere => bail!("entry {number} was delivered just now"),
    }
    Ok(ExitCode::SUCCESS)
}
