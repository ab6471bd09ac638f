//! `export`: writes what the backend holds into a file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::audit::{Action, touched};
use zep_mcp_server::config::{Backend, Config, Flags};
use zep_mcp_server::memory::model::UserId;
use zep_mcp_server::sources::{Format, ReadError, Source, Stored, ToFile, Written};
use zep_mcp_server::telemetry;
use zep_mcp_server::zep::Zep;

use super::audited::Audited;
use super::signals;
use crate::cli::{ExportFileArgs, FormatArg};
use crate::output::{Misuse, on_one_line, shown_path};

/// Exports. Exit code 1 if something could not be read, and so is missing in the file.
///
/// # Errors
/// If the command line or the configuration is wrong, the backend cannot be read, or the file cannot
/// be written: then there is no new file.
pub(crate) fn run(settings: Flags, args: &ExportFileArgs) -> anyhow::Result<ExitCode> {
    let users: Result<Vec<_>, _> = args.user.iter().map(|id| UserId::new(id)).collect();
    let users = users.map_err(|wrong| Misuse(format!("--user {}", wrong.problem)))?;
    let file = (args.to_file != Path::new("-")).then_some(&args.to_file);
    if let Some(file) = file
        && !args.force
        && file.symlink_metadata().is_ok()
    {
        return Err(exists(file).into());
    }
    let config = Config::load(settings)?;
    if let Backend::Local { path } = &config.backend
        && !path.is_file()
    {
        let path = shown_path(path);
        return Err(Misuse(format!(
            "there are no memories to export: {path} does not exist"
        ))
        .into());
    }
    telemetry::start(config.logging);
    super::log_start(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let written = runtime.block_on(async {
        let stop = signals::listen()?.first;
        let zep = super::open_backend(&config)?;
        let export = Export {
            zep,
            users,
            format: match args.format {
                FormatArg::JsonLines => Format::JsonLines,
                FormatArg::Mem0 => Format::Mem0,
            },
            include_expired: args.include_expired,
            stop,
        };
        let (file, force) = (file.cloned(), args.force);
        let work = async {
            let touched = touched::current();
            let write = move || match file {
                Some(file) => export.write_file(&file, force),
                None => export
                    .write(io::stdout().lock())
                    .map(|(written, _)| written),
            };
            tokio::task::spawn_blocking(move || touched.sync_scope(write)).await?
        };
        let audited = Audited::new(&config, "export", Action::Read);
        audited.during(work, |written| !written.is_incomplete).await
    })?;
    report(&written, file)?;
    Ok(match written.is_incomplete {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

struct Export {
    zep: Arc<dyn Zep>,
    users: Vec<UserId>,
    format: Format,
    include_expired: bool,
    stop: CancellationToken,
}

impl Export {
    /// Writes everything beside the file, and puts it in its place when it is whole.
    fn write_file(self, file: &Path, force: bool) -> anyhow::Result<Written> {
        let file = std::path::absolute(file)?;
        let parent = file.parent().unwrap_or(&file);
        // Made so that only its owner can read it.
        let beside = tempfile::Builder::new()
            .prefix(".zep-mcp-export-")
            .tempfile_in(parent)?;
        let (written, out) = self.write(BufWriter::new(beside))?;
        let beside: NamedTempFile = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        beside.as_file().sync_all()?;
        match force {
            true => beside.persist(&file).map_err(|failed| failed.error)?,
            false => {
                beside
                    .persist_noclobber(&file)
                    .map_err(|failed| match failed.error.kind() {
                        io::ErrorKind::AlreadyExists => anyhow::Error::from(exists(&file)),
                        _ => failed.error.into(),
                    })?
            }
        };
        Ok(written)
    }

    fn write<W: Write>(self, out: W) -> anyhow::Result<(Written, W)> {
        let mut sink = ToFile::begin(out, self.format, self.include_expired)?;
        let source = Box::new(Stored::new(self.zep, self.users, String::new()));
        match source.read(&mut sink, &self.stop) {
            // The writer says why it stopped.
            Err(ReadError::Stopped) if !self.stop.is_cancelled() => {}
            Err(ReadError::Stopped) => anyhow::bail!("stopped: nothing was exported"),
            read => read?,
        }
        Ok(sink.end()?)
    }
}

fn exists(file: &Path) -> Misuse {
    Misuse(format!(
        "--to-file {} exists; name another file, or replace it with --force",
        shown_path(file)
    ))
}

/// Says on stderr what was written: stdout may be the export.
fn report(written: &Written, file: Option<&PathBuf>) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for problem in &written.problems {
        let record = problem.record.as_deref().unwrap_or_default();
        let line = format!("{} {record}: {}", problem.position, problem.defect);
        writeln!(stderr, "{}", on_one_line(&line))?;
    }
    if written.problems_not_listed > 0 {
        writeln!(stderr, "… and {} more", written.problems_not_listed)?;
    }
    if written.expired > 0 {
        writeln!(
            stderr,
            "{} expired memories were left out (--include-expired)",
            written.expired
        )?;
    }
    let to = file.map_or_else(String::new, |file| format!(" to {}", shown_path(file)));
    writeln!(
        stderr,
        "exported {} memories of {} users{to}",
        written.memories, written.users
    )
}
