//! `status`: where memories are kept, how many users are where, and what waits.

use std::process::ExitCode;

use serde::Serialize;
use zep_mcp_server::config::Config;
use zep_mcp_server::memory::queue::{Counts, Queue};

use super::doctor::checks;
use crate::cli::StatusArgs;
use crate::output::Page;

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Status {
    /// zep, local or mem0.
    backend: &'static str,
    /// Whether users are moved from mem0 one after the other.
    phased: bool,
    /// How many are in Zep, or in the embedded store.
    users_in_zep: u64,
    /// How many are in mem0.
    users_in_mem0: u64,
    /// How many of these are being moved.
    users_moving: u64,
    /// What waits for Zep, or for mem0 as the users' backend.
    queue: Option<Waiting>,
    /// What mem0 is still to be told.
    copies: Option<Waiting>,
}

#[derive(Debug, Serialize)]
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

/// Prints it.
///
/// # Errors
/// If the backend or mem0 does not answer.
pub(crate) fn run(config: &Config, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(look(config))?;
    let page = Page::stdout();
    if args.json {
        page.line(&serde_json::to_string_pretty(&status.0)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Status { queue, copies, .. } = &status.0;
    page.line(&format!("backend: {}", config.backend))?;
    page.line(&status.1)?;
    for (what, waiting) in [("the queue", queue), ("what mem0 is to be told", copies)] {
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
    Ok(ExitCode::SUCCESS)
}

/// The status, and the users in words.
async fn look(config: &Config) -> anyhow::Result<(Status, String)> {
    let zep = super::open_backend_telling(config, None)?;
    let memories = super::beside::service(config, zep)?;
    let users = memories.whereabouts().await?;
    let mut queue = None;
    if let Some(file) = super::write_queue_even_if_off(config) {
        queue = Some(Waiting::from(file.counts().await?));
    }
    let mut copies = None;
    if let Some(file) = super::beside::copies(config) {
        copies = Some(Waiting::from(Queue::counts(file.as_ref()).await?));
    }
    let in_words = match memories.backend() {
        "local" => format!("{} users are in the embedded store", users.in_zep),
        _ => checks::shown(&users),
    };
    let status = Status {
        backend: memories.backend(),
        phased: memories.moves_in_phases(),
        users_in_zep: users.in_zep,
        users_in_mem0: users.in_mem0,
        users_moving: users.moving,
        queue,
        copies,
    };
    Ok((status, in_words))
}
