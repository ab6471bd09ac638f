//! Output for people: results on stdout, errors on stderr.

use std::io::{self, Write};
use std::process::ExitCode;

use zep_mcp_server::config::{ConfigError, colours};

/// Exit code if the command failed.
const FAILED: u8 = 1;
/// Exit code for an invalid command line or setting; the same as clap's.
const MISUSED: u8 = 2;

/// A command line that parses but is invalid. The text names the flag.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub String);

/// Prints an error: one line, or one per invalid setting.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    if let Some(io) = error.downcast_ref::<io::Error>()
        && io.kind() == io::ErrorKind::BrokenPipe
    {
        // The reader (`head`, a pager) has closed the pipe on purpose.
        return ExitCode::from(FAILED);
    }
    let (lines, code) = match error.downcast_ref::<ConfigError>() {
        Some(wrong) => (wrong.problems.iter().map(on_one_line).collect(), MISUSED),
        None if error.is::<Misuse>() => (vec![on_one_line(error)], MISUSED),
        None => (vec![on_one_line(&format!("{error:#}"))], FAILED),
    };
    let mut stderr = io::stderr().lock();
    for line in lines {
        // If stderr is closed, there is nowhere to report it.
        let _ = writeln!(stderr, "error: {line}");
    }
    ExitCode::from(code)
}

/// The text on one line, without control characters: it can come from an untrusted source.
pub(crate) fn on_one_line(text: &impl ToString) -> String {
    text.to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(char::is_control, "\u{fffd}")
}

/// Stdout, coloured if the terminal supports it.
pub(crate) struct Page {
    coloured: bool,
}

/// The style of a text on a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// For headings.
    Bold,
    /// For details.
    Dim,
    /// Success.
    Good,
    /// A warning.
    Doubtful,
    /// A failure.
    Bad,
}

impl Page {
    /// A page on stdout.
    pub(crate) fn stdout() -> Self {
        Self {
            coloured: colours(&io::stdout()),
        }
    }

    /// The text in this style, if stdout is coloured.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Doubtful => "33",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Writes an empty line and a heading.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn heading(&self, text: &str) -> io::Result<()> {
        self.line(&format!("\n{}", self.styled(Style::Bold, text)))
    }

    /// Writes a line and flushes.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }
}
