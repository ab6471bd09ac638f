//! Questions on the terminal: on stderr, since stdout is for results.

use std::io::{self, IsTerminal};

use console::Term;
use secrecy::SecretString;

use crate::output::Misuse;

/// Whether there is a terminal to ask on.
pub(in crate::commands) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question. Any answer but yes is no.
///
/// # Errors
/// [`Misuse`] if there is no terminal, or an I/O error.
pub(in crate::commands) fn yes(question: &str) -> anyhow::Result<bool> {
    if !is_possible() {
        return Err(Misuse(
            "there is no terminal to ask on: use --yes to make the change, or --dry-run to see it"
                .to_owned(),
        )
        .into());
    }
    let terminal = Term::stderr();
    terminal.write_str(&format!("{question} [y/N] "))?;
    let answer = terminal.read_line()?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Asks for a text that is not echoed.
///
/// # Errors
/// If the terminal fails.
pub(in crate::commands) fn secretly(question: &str) -> io::Result<SecretString> {
    let terminal = Term::stderr();
    terminal.write_str(question)?;
    terminal.read_secure_line().map(SecretString::from)
}
