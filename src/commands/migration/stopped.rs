//! What is said when a run is stopped by a signal: how to go on.

use std::env;
use std::path::Path;

/// Flags whose value is a secret.
const SECRET_FLAGS: [&str; 1] = ["--mem0-key"];

/// The command that goes on where this one was stopped: the same again. Secrets are left out.
pub(crate) fn to_go_on() -> String {
    let mut arguments = env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let program = Path::new(&program).file_name();
    let program = program.map_or_else(|| "zep-mcp-server".into(), |name| name.to_string_lossy());
    let command = again(&program, arguments);
    format!("to go on, run the same command again: {command}")
}

fn again(program: &str, arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec![quoted(program)];
    let mut is_secret = false;
    for argument in arguments {
        if std::mem::take(&mut is_secret) {
            words.push("…".into());
            continue;
        }
        match argument.split_once('=') {
            Some((flag, _)) if SECRET_FLAGS.contains(&flag) => words.push(format!("{flag}=…")),
            _ => {
                is_secret = SECRET_FLAGS.contains(&argument.as_str());
                words.push(quoted(&argument));
            }
        }
    }
    words.join(" ")
}

/// A word as a POSIX shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_and_holds_no_secret() {
        let arguments = [
            "migrate",
            "--file",
            "my export's.json",
            "--mem0-key",
            "s3cret",
            "--mem0-key=s3cret",
            "--json",
        ];
        assert_eq!(
            again("zep-mcp-server", arguments.into_iter().map(str::to_owned)),
            r"zep-mcp-server migrate --file 'my export'\''s.json' --mem0-key … --mem0-key=… --json"
        );
    }
}
