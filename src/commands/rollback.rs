//! `rollback`: removes what a run of a migration wrote.

use std::io;
use std::process::ExitCode;

use console::Term;
use indicatif::HumanCount;
use zep_mcp_server::audit::Action;
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::UserId;
use zep_mcp_server::migration::history::{self, RunHistory};
use zep_mcp_server::migration::ledger::RunState;
use zep_mcp_server::migration::{Migrator, Receipt, Rollback};
use zep_mcp_server::moves::give_back;

use super::audited::Audited;
use super::install::ask;
use super::migration;
use crate::cli::RollbackArgs;
use crate::output::{Misuse, Page, Style, on_one_line};

/// What is typed to go on.
const WORD: &str = "undo";

/// Undoes a run, and prints the receipt. Exit code 1 if something could not be removed.
///
/// # Errors
/// If the command line or the configuration is wrong, there is no such run or no terminal to ask on, or
/// the receipt cannot be written.
pub(crate) fn run(settings: Flags, args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let user = args.user.as_deref().map(UserId::new).transpose();
    let user = user.map_err(|wrong| Misuse(format!("--user {}", wrong.problem)))?;
    let config = Config::load(settings)?;
    let Some(data_dir) = config.data_dir.as_deref() else {
        return Err(Misuse("there is no data directory, and so no ledger".into()).into());
    };
    let found = history::run(data_dir, &args.run, args.user.as_deref());
    let found = found.map_err(|error| Misuse(error.to_string()))?;
    let is_undone = found.line.state == RunState::Undone;
    if !args.yes && !args.dry_run && !is_undone && !asks(&found, args)? {
        Page::stdout().line("nothing was removed")?;
        return Ok(ExitCode::FAILURE);
    }
    let options = Rollback {
        user,
        dry_run: args.dry_run,
        include_changed: args.include_changed,
    };
    let mut given_back = 0;
    let audited = Audited::new(&config, "rollback", Action::Delete);
    let receipt = migration::at_work(&config, false, async |meter, stop| {
        let zep = super::open_backend(&config)?;
        let service = MemoryService::new(zep, config.default_user.clone());
        let migrator = Migrator::new(service.clone()).noting_runs_in(Some(data_dir));
        meter.show();
        let undo = async {
            let undone = migrator
                .rollback(&found.line.run, &options, meter, &stop)
                .await;
            if let Ok(receipt) = &undone
                && receipt.complete
                && !args.dry_run
                && let Some(sides) = super::write_queue_even_if_off(&config)
            {
                given_back = give_back(&service, sides.as_ref(), &found.owners).await?;
            }
            Ok(undone)
        };
        audited.during(undo, Result::is_ok).await
    })?;
    let page = Page::stdout();
    if args.json {
        page.line(&serde_json::to_string_pretty(&receipt)?)?;
    } else {
        print(&page, &receipt)?;
        if given_back > 0 {
            page.line(&format!(
                "{given_back} users and agents are mem0's again. What was written to Zep since they were \
                 moved stays there, and is in mem0 only if MEM0_MIRROR was true."
            ))?;
        }
    }
    Ok(migration::exit_code(receipt.complete, receipt.cancelled))
}

/// Says what the run is, and asks for a word that nobody types by accident.
fn asks(found: &RunHistory, args: &RollbackArgs) -> anyhow::Result<bool> {
    if !ask::is_possible() {
        return Err(Misuse(
            "there is no terminal to ask on: use --yes to remove it, or --dry-run to see what would go"
                .to_owned(),
        )
        .into());
    }
    let line = &found.line;
    let terminal = Term::stderr();
    let of = args.user.as_ref().map(|user| format!(" of user {user}"));
    terminal.write_line(&on_one_line(&format!(
        "Run {} of {:.0}, from {} to {}: {} records{} will be removed.",
        line.run,
        line.begun_at,
        line.source,
        line.target,
        HumanCount(found.totals.moved + found.totals.left),
        of.unwrap_or_default(),
    )))?;
    terminal.write_str(&format!("Type `{WORD}` to go on: "))?;
    Ok(terminal.read_line()?.trim() == WORD)
}

fn print(page: &Page, receipt: &Receipt) -> io::Result<()> {
    let title = match receipt.dry_run {
        true => "Rollback (dry run: nothing was removed)",
        false => "Rollback",
    };
    page.line(&format!(
        "{}  {}",
        page.styled(Style::Bold, title),
        page.styled(Style::Dim, &format!("run {}", receipt.run))
    ))?;
    for (label, count) in [
        ("users removed", receipt.users_removed),
        ("agents removed", receipt.graphs_removed),
        ("sessions removed", receipt.sessions_removed),
        ("records removed", receipt.records_removed),
        ("messages", receipt.messages_removed),
        ("texts", receipt.texts_removed),
        ("messages hidden only", receipt.messages_hidden),
        ("deleted before", receipt.deleted_before),
        (
            "kept, changed since",
            receipt.kept.len() as u64 + receipt.kept_not_listed,
        ),
        (
            "not removed",
            receipt.failures.len() as u64 + receipt.failures_not_listed,
        ),
        ("requests", receipt.requests),
    ] {
        if count > 0 {
            page.line(&format!(
                "  {label:<24}{:>12}",
                HumanCount(count).to_string()
            ))?;
        }
    }
    let place = |owner: &str, session: &Option<String>| match session {
        Some(session) => format!("{owner}, session {session}"),
        None => owner.to_owned(),
    };
    for kept in &receipt.kept {
        let place = place(&kept.owner, &kept.session);
        let line = format!("{place}, record {}: {}", kept.record, kept.reason);
        page.line(&format!("  kept: {}", on_one_line(&line)))?;
    }
    for failure in &receipt.failures {
        let place = place(&failure.owner, &failure.session);
        let line = format!("{place}: {}", failure.reason);
        page.line(&format!("  not removed: {}", on_one_line(&line)))?;
    }
    for note in &receipt.notes {
        page.line(&format!("  - {}", on_one_line(note)))?;
    }
    let (style, sign, verdict) = match receipt {
        receipt if receipt.undone_before => (
            Style::Good,
            "✓",
            "this run was undone before: this is the receipt of that",
        ),
        receipt if receipt.cancelled => (Style::Bad, "✗", "stopped early; run it again to go on"),
        receipt if !receipt.complete => (
            Style::Bad,
            "✗",
            "something could not be removed; run it again to go on",
        ),
        receipt if receipt.dry_run => {
            (Style::Good, "✓", "without --dry-run, this would be removed")
        }
        receipt if receipt.messages_hidden > 0 => (
            Style::Good,
            "✓",
            "removed as far as Zep allows: hidden messages go when their sessions are deleted",
        ),
        _ => (Style::Good, "✓", "what the run wrote is removed"),
    };
    page.line(&format!("\n{} {verdict}", page.styled(style, sign)))
}
