//! `audit`: checks and searches the audit trail.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use zep_mcp_server::audit::{
    self, Action, Filter, Found, HEADER, Line, Owner, ReadError, Verdict, csv_line,
};
use zep_mcp_server::config::{Config, Flags};

use crate::cli::{AuditArgs, AuditCommand, AuditFormat, WhichArgs};
use crate::output::{Misuse, Page, Style, on_one_line, shown_path};

/// The most callers that a search counts apart. Ours.
const MAX_CALLERS: usize = 1_000;
/// The length of a day, as `2026-03-01`.
const DAY_CHARS: usize = 10;

/// Runs the subcommand.
///
/// # Errors
/// If there is no trail, it cannot be read, or the result cannot be written.
pub(crate) fn run(settings: Flags, args: AuditArgs) -> anyhow::Result<ExitCode> {
    let directory = match args.trail {
        Some(directory) => directory,
        None => Config::audit_directory(settings)?.ok_or_else(|| {
            Misuse("there is no data directory: set ZEP_MCP_DATA_DIR, or name --trail".into())
        })?,
    };
    match args.command {
        AuditCommand::Verify { expect, json } => verify(&directory, expect.as_deref(), json),
        AuditCommand::Search { which, json } => search(&directory, &which.filter()?, json),
        AuditCommand::Export {
            which,
            format,
            output,
        } => export(&directory, &which.filter()?, format, output),
    }
}

/// A trail that is not there is wrong usage.
fn read<T>(read: Result<T, ReadError>) -> anyhow::Result<T> {
    read.map_err(|error| match error {
        ReadError::None(_) => Misuse(error.to_string()).into(),
        ReadError::Output(error) => error.into(),
        ReadError::File { .. } => error.into(),
    })
}

fn verify(directory: &Path, expect: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let verdict = read(audit::verify(directory, expect))?;
    let page = Page::stdout();
    match json {
        true => page.line(&serde_json::to_string_pretty(&verdict)?)?,
        false => print(&page, &verdict)?,
    }
    Ok(match verdict.intact {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print(page: &Page, verdict: &Verdict) -> io::Result<()> {
    for problem in &verdict.problems {
        let line = problem
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        let place = shown_path(&problem.file);
        page.line(&format!("{place}{line}: {}", on_one_line(&problem.what)))?;
    }
    if verdict.problems_more > 0 {
        page.line(&format!("… and {} more", verdict.problems_more))?;
    }
    for note in &verdict.notes {
        page.line(&format!("  - {note}"))?;
    }
    let Verdict { entries, files, .. } = verdict;
    let mut what = format!("{entries} entries in {files} files");
    if let (Some(first), Some(last)) = (verdict.first_at, verdict.last_at) {
        what = format!("{what}, from {first:.0} to {last:.0}");
    }
    if let (Some(last), Some(hash)) = (verdict.last, &verdict.last_hash) {
        what = format!("{what}; entry {last} has the hash {hash}");
    }
    match verdict.intact {
        true => page.line(&format!(
            "{} The trail is whole and unchanged: {what}",
            page.styled(Style::Good, "✓")
        )),
        false => page.line(&format!(
            "{} The trail is not whole: {what}",
            page.styled(Style::Bad, "✗")
        )),
    }
}

fn search(directory: &Path, filter: &Filter, json: bool) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut callers: BTreeMap<String, u64> = BTreeMap::new();
    let found = audit::search(directory, filter, |line, text| {
        if json {
            out.write_all(text)?;
            return out.write_all(b"\n");
        }
        let who = line.entry.who.as_deref().unwrap_or("nobody known");
        if callers.len() < MAX_CALLERS || callers.contains_key(who) {
            *callers.entry(who.to_owned()).or_default() += line.entry.count.max(1);
        }
        writeln!(out, "{}", on_one_line(&shown(line)))
    });
    let found = read(found)?;
    if !json {
        let callers: Vec<_> = callers
            .iter()
            .map(|(who, count)| format!("{} {count}", on_one_line(who)))
            .collect();
        writeln!(
            out,
            "{} entries; by caller: {}",
            found.entries,
            listed(&callers)
        )?;
    }
    out.flush()?;
    Ok(end(found))
}

fn listed(callers: &[String]) -> String {
    match callers.is_empty() {
        true => "nobody".to_owned(),
        false => callers.join(", "),
    }
}

/// Says on stderr what could not be told.
fn end(found: Found) -> ExitCode {
    let mut stderr = io::stderr().lock();
    // If stderr is closed, there is nowhere to report it.
    if found.uncertain > 0 {
        let _ = writeln!(
            stderr,
            "{} further entries left out some of their owners or ids, which may be these",
            found.uncertain
        );
    }
    if found.unreadable > 0 {
        let _ = writeln!(
            stderr,
            "error: {} lines cannot be read; `audit verify` tells which",
            found.unreadable
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// An entry for people.
fn shown(line: &Line) -> String {
    let Line { at, entry, .. } = line;
    let who = entry.who.as_deref().unwrap_or("nobody known");
    let role = entry.role.as_ref().map(|role| format!(" ({role})"));
    let owners = entry.owners.iter().map(|touched| {
        let (kind, id) = touched.owner.parts();
        format!("{kind} {id}")
    });
    let mut owners = owners.collect::<Vec<_>>().join(", ");
    if entry.owners_more > 0 {
        owners = format!("{owners} and {} more", entry.owners_more);
    }
    let count = match entry.count {
        0 | 1 => String::new(),
        count => format!("  {count} times"),
    };
    let note = entry
        .note
        .as_ref()
        .and_then(|note| serde_json::to_string(note).ok());
    format!(
        "{at:.3}  {who}{}  {}  {}  {owners}  {}{count}  {:.1} ms  {}{}",
        role.unwrap_or_default(),
        entry.action.as_str(),
        entry.call,
        entry.outcome,
        entry.micros as f64 / 1_000.0,
        entry.request.as_deref().unwrap_or_default(),
        note.unwrap_or_default(),
    )
}

fn export(
    directory: &Path,
    filter: &Filter,
    format: AuditFormat,
    output: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let out: Box<dyn Write> = match &output {
        None => Box::new(io::stdout().lock()),
        Some(file) => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let opened = options
                .open(file)
                .map_err(|error| Misuse(format!("--output {}: {error}", shown_path(file))));
            Box::new(opened?)
        }
    };
    let mut out = BufWriter::new(out);
    if format == AuditFormat::Csv {
        write!(out, "{HEADER}\r\n")?;
    }
    let found = audit::search(directory, filter, |line, text| match format {
        AuditFormat::JsonLines => out.write_all(text).and_then(|()| out.write_all(b"\n")),
        AuditFormat::Csv => write!(out, "{}\r\n", csv_line(line)),
    });
    let found = read(found)?;
    out.flush()?;
    if output.is_some() {
        Page::stdout().line(&format!("exported {} entries", found.entries))?;
    }
    Ok(end(found))
}

impl WhichArgs {
    fn filter(self) -> anyhow::Result<Filter> {
        let time = |flag: &str, text: Option<String>, is_end: bool| match text {
            None => Ok(None),
            Some(text) => moment(&text, is_end).map(Some).ok_or_else(|| {
                Misuse(format!(
                    "{flag} {} is neither a day (2026-03-01) nor a moment (2026-03-01T12:00:00Z)",
                    on_one_line(&text)
                ))
            }),
        };
        let action = |name: &String| {
            Action::ALL
                .into_iter()
                .find(|action| action.as_str() == name)
        };
        Ok(Filter {
            owner: self.user.map(Owner::User).or(self.agent.map(Owner::Agent)),
            since: time("--since", self.since, false)?,
            until: time("--until", self.until, true)?,
            who: self.who,
            call: self.tool,
            action: self.action.as_ref().and_then(action),
            outcome: self.outcome,
            id: self.id,
        })
    }
}

/// A moment, or the beginning or the end of a day in UTC.
fn moment(text: &str, is_end: bool) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    // A date with a time and no zone would pass for its day.
    let day: Date = (text.len() == DAY_CHARS).then(|| text.parse().ok())??;
    let day = if is_end { day.tomorrow().ok()? } else { day };
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
