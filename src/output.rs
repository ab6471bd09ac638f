//! What people read: results on stdout, the one line of an error on stderr.

use std::io::{self, Write};
use std::process::ExitCode;

use zep_mcp_server::config::{ConfigError, colours};

/// Something did not work.
const FAILED: u8 = 1;
/// The command line or a setting is wrong; clap ends with the same.
const MISUSED: u8 = 2;

/// A command line that is wrong in what it says, not in how it is written: names the flag.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// Says what went wrong: one line, or one for each wrong setting.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    if let Some(io) = error.downcast_ref::<io::Error>()
        && io.kind() == io::ErrorKind::BrokenPipe
    {
        // Whoever read us (`head`, a pager) has read enough.
        return ExitCode::from(FAILED);
    }
    let (lines, code) = match error.downcast_ref::<ConfigError>() {
        Some(wrong) => (wrong.problems.iter().map(on_one_line).collect(), MISUSED),
        None if error.is::<Misuse>() => (vec![on_one_line(error)], MISUSED),
        None => (vec![on_one_line(&format!("{error:#}"))], FAILED),
    };
    let mut stderr = io::stderr().lock();
    for line in lines {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(stderr, "error: {line}");
    }
    ExitCode::from(code)
}

/// A text on one line, without anything that a terminal would obey: it may be somebody else's.
pub fn on_one_line(text: &impl ToString) -> String {
    text.to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(char::is_control, "\u{fffd}")
}

/// Stdout, with colours where it is a terminal that shows them.
pub struct Page {
    coloured: bool,
}

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// A heading.
    Bold,
    /// What matters less.
    Dim,
    /// All is well.
    Good,
    /// Look at this.
    Doubtful,
    /// This failed.
    Bad,
}

impl Page {
    /// The page that is stdout.
    pub fn stdout() -> Self {
        Self {
            coloured: colours(&io::stdout()),
        }
    }

    /// A text in a style.
    pub fn styled(&self, style: Style, text: &str) -> String {
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

    /// Writes a heading, with an empty line before it.
    ///
    /// # Errors
    /// If stdout is closed.
    pub fn heading(&self, text: &str) -> io::Result<()> {
        self.line(&format!("\n{}", self.styled(Style::Bold, text)))
    }

    /// Writes a line at once.
    ///
    /// # Errors
    /// If stdout is closed.
    pub fn line(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }
}
