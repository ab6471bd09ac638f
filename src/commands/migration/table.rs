//! Reports as text.

use std::io;

use indicatif::HumanCount;
use jiff::Timestamp;
use zep_mcp_server::migration::{
    Difference, Named, Outcome, RecordTally, Repaired, Report, SessionVerdict, Trouble,
    UserVerdict, Validation,
};

use crate::output::{Page, Style, on_one_line};

/// The width of the labels.
const LABEL: usize = 24;

/// Prints a migration and its validation. The last line is the verdict: whether and why all is
/// `well`.
///
/// # Errors
/// If stdout is closed.
pub(crate) fn print_migration(page: &Page, outcome: &Outcome, well: bool) -> io::Result<()> {
    let Outcome { report, validation } = outcome;
    print_counts(page, report)?;
    print_troubles(page, "Errors", &report.errors, report.errors_not_listed)?;
    let more = report.warnings_not_listed;
    print_troubles(page, "Warnings", &report.warnings, more)?;
    if !report.notes.is_empty() {
        page.heading("Notes")?;
        for note in &report.notes {
            page.line(&format!("  - {}", on_one_line(note)))?;
        }
        not_listed(page, report.notes_not_listed)?;
    }
    if let Some(found) = validation {
        print_findings(page, found)?;
    }
    print_verdict(page, well, &verdict(report, validation.as_ref(), well))
}

/// Prints a validation. The last line is the verdict.
///
/// # Errors
/// If stdout is closed.
pub(crate) fn print_validation(page: &Page, found: &Validation) -> io::Result<()> {
    let title = format!("Validation of {}", found.target_system);
    page.line(&titled(page, &title, found.timestamp))?;
    print_findings(page, found)?;
    page.line("")?;
    row(page, "requests", found.requests, Zero::LeftOut)?;
    text(page, "took", &seconds(found.duration_secs))?;
    let verdict = match (found.valid, found.sample) {
        (true, _) => "valid: everything is as in the export".to_owned(),
        (false, Some(sample)) if sample.as_in_source => format!(
            "a sample of {} of {} records is as in the export; the others were not compared",
            HumanCount(sample.records),
            HumanCount(sample.of)
        ),
        (false, Some(sample)) => format!(
            "{}, in a sample of {} of {} records",
            not_valid(found),
            HumanCount(sample.records),
            HumanCount(sample.of)
        ),
        (false, None) => not_valid(found),
    };
    print_verdict(page, found.is_as_in_source(), &verdict)
}

/// Prints a repair: what was sent, and the validation after it.
///
/// # Errors
/// If stdout is closed.
pub(crate) fn print_repair(page: &Page, repaired: &Repaired) -> io::Result<()> {
    if let Some(report) = &repaired.report {
        page.heading("Repair")?;
        row(page, "sent", report.memories_migrated, Zero::Shown)?;
        row(page, "failed", report.failed, Zero::LeftOut)?;
        row(
            page,
            "removed by a rollback",
            repaired.left_undone,
            Zero::LeftOut,
        )?;
        row(page, "gone since", repaired.left_deleted, Zero::LeftOut)?;
        print_troubles(page, "Errors", &report.errors, report.errors_not_listed)?;
        let more = report.warnings_not_listed;
        print_troubles(page, "Warnings", &report.warnings, more)?;
        page.line("")?;
    }
    print_validation(page, &repaired.validation)
}

fn print_counts(page: &Page, report: &Report) -> io::Result<()> {
    let would = |done, planned| if report.dry_run { planned } else { done };
    let title = format!(
        "{} from {} to {}{}",
        would("Migration", "Dry run"),
        report.source_system,
        report.target_system,
        would("", ": nothing was written"),
    );
    page.line(&titled(page, &title, report.timestamp))?;

    page.heading("Users")?;
    let migrated = would("migrated", "would be migrated");
    row(page, migrated, report.users_migrated, Zero::Shown)?;
    let existing = report.users_existing;
    row(page, "of these, existing", existing, Zero::LeftOut)?;

    page.heading("Memories")?;
    for (label, count, zero) in [
        (migrated, report.memories_migrated, Zero::Shown),
        ("already there", report.already_there, Zero::LeftOut),
        ("failed", report.failed, Zero::Shown),
        ("not reached", report.not_reached, Zero::LeftOut),
        ("in sessions", report.sessions, Zero::LeftOut),
        (
            would("messages written", "messages to write"),
            report.messages,
            Zero::LeftOut,
        ),
        (
            would("episodes written", "episodes to write"),
            report.episodes,
            Zero::LeftOut,
        ),
        ("split (too long)", report.split, Zero::LeftOut),
        ("undated", report.undated, Zero::LeftOut),
        ("expired, left out", report.expired, Zero::LeftOut),
        ("deleted, left out", report.deleted, Zero::LeftOut),
        ("skipped", report.skipped, Zero::LeftOut),
        ("duplicates removed", report.doubles_removed, Zero::LeftOut),
    ] {
        row(page, label, count, zero)?;
    }

    page.heading("Effort")?;
    row(page, "requests", report.requests, Zero::LeftOut)?;
    if report.requests > 0 {
        row(
            page,
            "minimum possible",
            report.least_requests,
            Zero::LeftOut,
        )?;
    }
    if report.wait_secs > 0.0 {
        text(page, "waited for rate limits", &seconds(report.wait_secs))?;
    }
    text(page, "took", &seconds(report.duration_secs))
}

fn print_findings(page: &Page, found: &Validation) -> io::Result<()> {
    page.heading("Checks")?;
    let heads = format!("    {:<16}{:>12}{:>12}  detail", "", "expected", "found");
    page.line(&page.styled(Style::Dim, &heads))?;
    for check in &found.checks {
        let mark = mark(page, check.passed);
        page.line(&format!(
            "  {mark} {:<16}{:>12}{:>12}  {}",
            check.name.as_str(),
            HumanCount(check.expected).to_string(),
            HumanCount(check.found).to_string(),
            check.detail
        ))?;
    }
    page.line("")?;
    row(page, "memories there", found.memory_count, Zero::Shown)?;
    for (label, named) in [
        ("first", &found.first_message),
        ("last", &found.last_message),
    ] {
        if let Some(Named { record, created_at }) = named {
            let record = record.as_ref().map(|id| format!(", record {id}"));
            let record = record.unwrap_or_default();
            text(
                page,
                label,
                &format!("{created_at}{}", on_one_line(&record)),
            )?;
        }
    }
    print_users(page, found)?;
    if !found.notes.is_empty() {
        page.heading("Notes")?;
        for note in &found.notes {
            page.line(&format!("  - {}", on_one_line(note)))?;
        }
    }
    let unread = &found.source_problems;
    print_troubles(
        page,
        "Not compared, because unreadable",
        unread,
        found.source_problems_not_listed,
    )?;
    if !found.issues.is_empty() {
        page.heading(&counted(
            "Issues",
            found.issues.len() as u64 + found.issues_not_listed,
        ))?;
        for issue in &found.issues {
            page.line(&format!("  {}", difference(issue)))?;
        }
        not_listed(page, found.issues_not_listed)?;
    }
    Ok(())
}

fn print_troubles(page: &Page, title: &str, listed: &[Trouble], more: u64) -> io::Result<()> {
    if listed.is_empty() && more == 0 {
        return Ok(());
    }
    page.heading(&counted(title, listed.len() as u64 + more))?;
    for one in listed {
        page.line(&format!("  {}", trouble(one)))?;
    }
    not_listed(page, more)
}

fn not_listed(page: &Page, more: u64) -> io::Result<()> {
    match more {
        0 => Ok(()),
        more => page.line(&format!("  and {} more", HumanCount(more))),
    }
}

/// The verdict on each user of whom something differs, and on the others if they are few.
fn print_users(page: &Page, found: &Validation) -> io::Result<()> {
    if found.users.is_empty() {
        return Ok(());
    }
    page.heading("Users")?;
    let are_few = found.users_ok <= FEW_USERS;
    let shown = |user: &&UserVerdict| !user.ok || are_few;
    for user in found.users.iter().filter(shown) {
        verdict_line(page, 2, user.ok, &user.owner, user.records, &user.verdict)?;
        let is_alone = |session: &SessionVerdict| user.sessions.len() == 1 && session.ok == user.ok;
        for session in user.sessions.iter().filter(|one| !one.ok && !is_alone(one)) {
            let name = session.session.as_ref().map(|id| format!("session {id}"));
            let name = name.unwrap_or_else(|| "outside of sessions".into());
            verdict_line(
                page,
                6,
                session.ok,
                &name,
                session.records,
                &session.verdict,
            )?;
        }
        not_listed(page, user.sessions_not_listed)?;
    }
    if !are_few {
        page.line(&format!("  {} users: ok", HumanCount(found.users_ok)))?;
    }
    let listed = found.users.iter().filter(|user| !user.ok).count() as u64;
    not_listed(page, found.users_differing.saturating_sub(listed))
}

/// So many users of whom nothing differs are listed one by one.
const FEW_USERS: u64 = 20;

fn verdict_line(
    page: &Page,
    indent: usize,
    ok: bool,
    name: &str,
    records: RecordTally,
    verdict: &str,
) -> io::Result<()> {
    page.line(&format!(
        "{:indent$}{} {}: {} of {}, {}",
        "",
        mark(page, ok),
        on_one_line(name),
        HumanCount(records.found),
        HumanCount(records.expected),
        on_one_line(verdict)
    ))
}

fn print_verdict(page: &Page, well: bool, verdict: &str) -> io::Result<()> {
    page.line(&format!("\n{} {verdict}", mark(page, well)))
}

/// The last line of a migration.
fn verdict(report: &Report, validation: Option<&Validation>, well: bool) -> String {
    let records = HumanCount(report.memories_migrated);
    let errors = HumanCount(report.errors.len() as u64 + report.errors_not_listed);
    match validation {
        _ if report.cancelled => {
            "stopped early; run it again to continue: existing records are recognised".to_owned()
        }
        _ if report.dry_run && well => {
            format!("no errors; without --dry-run, {records} memories would be migrated")
        }
        _ if report.dry_run => format!("not everything can be migrated; errors: {errors}"),
        _ if !report.success => format!(
            "not everything was migrated; errors: {errors}. Fix their causes and run it again: \
             existing records are recognised"
        ),
        Some(found) if !found.valid => not_valid(found),
        Some(_) => "everything was migrated, and is valid: as in the export".to_owned(),
        None if well => "everything was migrated".to_owned(),
        None => "everything was migrated, but not validated; `validate` does that".to_owned(),
    }
}

fn not_valid(found: &Validation) -> String {
    let unread = found.source_problems.len() as u64;
    let issues = HumanCount(found.issues.len() as u64 + found.issues_not_listed);
    match unread {
        0 => format!("not valid; issues: {issues}"),
        unread => format!(
            "not valid; issues: {issues}, not readable in the export: {}",
            HumanCount(unread)
        ),
    }
}

/// A problem on one line: position, record, owner, session, reason.
pub(crate) fn trouble(trouble: &Trouble) -> String {
    let Trouble {
        position,
        record,
        owner,
        session,
        reason,
    } = trouble;
    sentence(
        &[
            position.clone(),
            record.as_ref().map(|id| format!("record {id}")),
            owner.clone(),
            session.as_ref().map(|id| format!("session {id}")),
        ],
        reason,
    )
}

/// A difference on one line, in the same order.
fn difference(difference: &Difference) -> String {
    let Difference {
        check,
        owner,
        session,
        record,
        position,
        field,
        detail,
    } = difference;
    let place = sentence(
        &[
            position.clone(),
            record.as_ref().map(|id| format!("record {id}")),
            Some(owner.clone()),
            session.as_ref().map(|id| format!("session {id}")),
        ],
        &format!("{field} {detail}"),
    );
    format!("{}: {place}", check.as_str())
}

fn sentence(place: &[Option<String>], reason: &str) -> String {
    let place: Vec<_> = place.iter().flatten().map(String::as_str).collect();
    match place.is_empty() {
        true => on_one_line(&reason),
        false => on_one_line(&format!("{}: {reason}", place.join(", "))),
    }
}

fn counted(title: &str, count: u64) -> String {
    format!("{title} ({})", HumanCount(count))
}

fn titled(page: &Page, title: &str, at: Timestamp) -> String {
    let at = page.styled(Style::Dim, &format!("{at:.0}"));
    format!("{}  {at}", page.styled(Style::Bold, title))
}

fn mark(page: &Page, well: bool) -> String {
    match well {
        true => page.styled(Style::Good, "✓"),
        false => page.styled(Style::Bad, "✗"),
    }
}

/// What happens to a row whose count is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    Shown,
    LeftOut,
}

fn row(page: &Page, label: &str, count: u64, zero: Zero) -> io::Result<()> {
    if count == 0 && zero == Zero::LeftOut {
        return Ok(());
    }
    page.line(&format!(
        "  {label:<LABEL$}{:>12}",
        HumanCount(count).to_string()
    ))
}

fn text(page: &Page, label: &str, value: &str) -> io::Result<()> {
    page.line(&format!("  {label:<LABEL$}{value:>12}"))
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}
