//! What a person is asked, on the terminal: on stderr, since stdout is for results.

use std::io::{self, IsTerminal};

use console::Term;
use secrecy::SecretString;

use crate::output::Misuse;

/// Whether there is somebody to ask.
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; anything but a yes is a no.
///
/// # Errors
/// [`Misuse`] if there is nobody to ask, or if the terminal fails.
pub fn yes(question: &str) -> anyhow::Result<bool> {
    if !is_possible() {
        return Err(Misuse(
            "there is no terminal to ask on: say --yes to change it, or --dry-run to look only"
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

/// Asks for something that is not echoed.
///
/// # Errors
/// If the terminal fails.
pub fn secretly(question: &str) -> io::Result<SecretString> {
    let terminal = Term::stderr();
    terminal.write_str(question)?;
    terminal.read_secure_line().map(SecretString::from)
}
