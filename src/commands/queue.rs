//! `queue`: shows and sends what waits for Zep.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use console::Term;
use jiff::Timestamp;
use serde::Serialize;
use zep_mcp_server::audit::Action;
use zep_mcp_server::config::{Backend, Config};
use zep_mcp_server::local::likeness;
use zep_mcp_server::memory::access::{Caller, Right};
use zep_mcp_server::memory::model::Owner;
use zep_mcp_server::memory::queue::{Cancelled, Counts, Job, Queue};
use zep_mcp_server::queue::WriteQueue;

use crate::cli::{QueueArgs, QueueCommand};
use crate::commands::audited::Audited;
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
        let queues = Queues::open(config)?;
        match args.command {
            QueueCommand::List { json } => list(&queues, json).await,
            QueueCommand::Flush { wait } => flush(config, queues, Duration::from_secs(wait)).await,
            QueueCommand::Show { number } => {
                let audited = Audited::new(config, "queue show", Action::Read);
                let shown = audited.during(show(&queues, number), |_| true);
                shown.await
            }
            QueueCommand::Drop { number, yes } => {
                let audited = Audited::new(config, "queue drop", Action::Delete);
                let is_dropped = |code: &ExitCode| *code == ExitCode::SUCCESS;
                audited
                    .during(forget(&queues, number, yes), is_dropped)
                    .await
            }
        }
    })
}

/// What waits for Zep, and what mem0 is still to be told.
struct Queues {
    for_zep: Arc<WriteQueue>,
    for_mem0: Option<Arc<WriteQueue>>,
}

impl Queues {
    /// # Errors
    /// If there is no queue.
    fn open(config: &Config) -> anyhow::Result<Self> {
        let no_queue = match config.backend {
            Backend::Zep(_) => None,
            Backend::Local { .. } => {
                Some("the embedded store needs no queue: what is written to it is stored at once")
            }
            Backend::Mem0(_) => {
                Some("with MEMORY_BACKEND=mem0 there is no queue: each call waits for mem0")
            }
        };
        if let Some(why) = no_queue {
            bail!(Misuse(why.into()));
        }
        let no_directory = "there is no data directory: set ZEP_MCP_DATA_DIR";
        Ok(Self {
            for_zep: super::write_queue_even_if_off(config)
                .ok_or_else(|| Misuse(no_directory.into()))?,
            for_mem0: super::beside::copies(config),
        })
    }

    /// Each with the name of where its entries go.
    fn each(&self) -> impl Iterator<Item = (&'static str, &WriteQueue)> {
        let for_mem0 = self.for_mem0.iter().map(|queue| ("mem0", queue.as_ref()));
        [("zep", self.for_zep.as_ref())].into_iter().chain(for_mem0)
    }

    async fn counts(&self) -> anyhow::Result<Counts> {
        let mut all = Counts::default();
        for (_, queue) in self.each() {
            let counts = queue.counts().await?;
            all.waiting += counts.waiting;
            all.refused += counts.refused;
        }
        Ok(all)
    }
}

/// An entry of the list. No content.
#[derive(Debug, Serialize)]
struct Line {
    number: i64,
    /// Where it goes: zep (mem0, while its user is not moved), or mem0, which is told of it.
    to: &'static str,
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

impl Line {
    fn of(to: &'static str, job: Job) -> Self {
        let (user_id, graph_id) = match job.lane.owner {
            Owner::User(user) => (Some(user.to_string()), None),
            Owner::Graph(graph) => (None, Some(graph.to_string())),
        };
        Self {
            number: job.number,
            to,
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

async fn list(queues: &Queues, json: bool) -> anyhow::Result<ExitCode> {
    let page = Page::stdout();
    let mut lines = 0;
    for (to, queue) in queues.each() {
        let mut last = 0;
        while let Some(job) = queue.after(None, last).await? {
            last = job.number;
            lines += 1;
            let line = Line::of(to, job);
            match json {
                true => page.line(&serde_json::to_string(&line)?)?,
                false => page.line(&on_one_line(&line.to_string()))?,
            }
        }
    }
    if lines == 0 && !json {
        page.line("Nothing waits.")?;
    }
    Ok(ExitCode::SUCCESS)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self;
        let whose = match (&line.user_id, &line.graph_id) {
            (Some(user), _) => format!("user {user}"),
            (None, graph) => format!("graph {}", graph.as_deref().unwrap_or_default()),
        };
        let session = line.session_id.as_ref();
        let session = session.map(|session| format!(", session {session}"));
        let state = match &line.reason {
            Some(reason) => format!("refused: {reason}"),
            None => format!("waiting, tried {} times", line.attempts),
        };
        let to = match line.to {
            "mem0" => ", to tell mem0",
            _ => "",
        };
        write!(
            f,
            "{:>6}  since {:.0}  {whose}{}{to}  {state}",
            line.number,
            line.queued_at,
            session.unwrap_or_default(),
        )
    }
}

async fn flush(config: &Config, queues: Queues, wait: Duration) -> anyhow::Result<ExitCode> {
    let zep = super::open_backend_telling(config, super::late_writes(config))?;
    let memories = super::beside::service(config, zep)?;
    let memories = memories.queueing(queues.for_zep.clone(), likeness);
    for (_, queue) in queues.each() {
        queue.hurry().await?;
    }
    let delivery = tokio::spawn(memories.clone().deliver_queued());
    let copying = tokio::spawn(memories.clone().deliver_copies());
    let begun = Instant::now();
    let mut left = queues.counts().await?;
    while left.waiting > 0 && begun.elapsed() < wait {
        tokio::time::sleep(LOOK).await;
        left = queues.counts().await?;
    }
    delivery.abort();
    memories.settle().await;
    copying.await?;
    left = queues.counts().await?;
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
            "{} entries were refused for good: `zep-mcp-server queue list` tells why",
            left.refused
        ))?;
    }
    if left.waiting + left.refused > 0 {
        return Ok(ExitCode::FAILURE);
    }
    page.line("Nothing waits: everything is delivered.")?;
    Ok(ExitCode::SUCCESS)
}

async fn find(queues: &Queues, number: i64) -> anyhow::Result<(&'static str, &WriteQueue, Job)> {
    for (to, queue) in queues.each() {
        if let Some(job) = queue.after(None, number.saturating_sub(1)).await?
            && job.number == number
        {
            return Ok((to, queue, job));
        }
    }
    bail!("there is no entry {number}: it was delivered, or never there")
}

async fn show(queues: &Queues, number: i64) -> anyhow::Result<ExitCode> {
    let (to, _, job) = find(queues, number).await?;
    Caller::Operator.may(Right::Read, &job.lane.owner)?;
    let body: serde_json::Value = serde_json::from_str(&job.body)?;
    let mut shown = serde_json::to_value(Line::of(to, job))?;
    shown["content"] = body;
    Page::stdout().line(&serde_json::to_string_pretty(&shown)?)?;
    Ok(ExitCode::SUCCESS)
}

async fn forget(queues: &Queues, number: i64, yes: bool) -> anyhow::Result<ExitCode> {
    let (to, queue, job) = find(queues, number).await?;
    Caller::Operator.may(Right::Delete, &job.lane.owner)?;
    if !yes {
        if !ask::is_possible() {
            bail!(Misuse("there is no terminal to ask on: use --yes".into()));
        }
        let terminal = Term::stderr();
        terminal.write_str(&on_one_line(&format!(
            "Entry {number} of {} goes to {} never, and is lost. Type `drop` to go on: ",
            job.lane.owner,
            if to == "mem0" { "mem0" } else { "Zep" },
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
