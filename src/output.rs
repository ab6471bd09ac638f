//! Results on stdout, and errors on stderr.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use zep_mcp_server::config::{ConfigError, colours};

/// The command failed.
const FAILED: u8 = 1;
/// The command line or a setting is wrong. clap uses the same code.
const MISUSED: u8 = 2;

/// A well-formed command line with a wrong value; names the flag.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub String);

/// Prints an error: one line, or one line for each wrong setting.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    if let Some(io) = error.downcast_ref::<io::Error>()
        && io.kind() == io::ErrorKind::BrokenPipe
    {
        // The reader (`head`, a pager) has stopped reading.
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

/// A text on one line without control characters, which may come from untrusted input.
pub(crate) fn on_one_line<T: ToString + ?Sized>(text: &T) -> String {
    text.to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(char::is_control, "\u{fffd}")
}

/// A path, for messages.
pub(crate) fn shown_path(path: &Path) -> String {
    on_one_line(&path.display())
}

/// Stdout, with colours if it is a terminal that supports them.
pub(crate) struct Page {
    coloured: bool,
    /// Nothing is written, since stdout is for one JSON object.
    silent: bool,
}

/// The style of a text on a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// A heading.
    Bold,
    /// Of lesser importance.
    Dim,
    /// Success.
    Good,
    /// A warning.
    Warning,
    /// Failure.
    Bad,
}

impl Page {
    /// For this process.
    pub(crate) fn stdout() -> Self {
        Self {
            coloured: colours(&io::stdout()),
            silent: false,
        }
    }

    /// A page that shows nothing.
    pub(crate) fn silent() -> Self {
        Self {
            coloured: false,
            silent: true,
        }
    }

    /// A text in a style.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Warning => "33",
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

    /// Writes a line and flushes it.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }
}
