//! The command line of an entry, with wrappers (`env`, shells, `cmd /c`) removed.

use serde_json::{Map, Value};

use super::convention::STANDARD;
use super::shape::Shape;

/// A command line.
pub(super) struct CommandLine {
    /// The program and its arguments, without wrappers.
    words: Vec<String>,
    /// All words, including those of wrappers.
    pub(super) every_word: Vec<String>,
}

impl CommandLine {
    /// Reads the program and the arguments of an entry.
    pub(super) fn of(entry: &Map<String, Value>) -> Self {
        let shape = Shape::of(entry, &STANDARD);
        let holder = shape.holder(entry);
        let mut words: Vec<String> = Vec::new();
        for member in [shape.program, "args"] {
            match holder.get(member) {
                Some(Value::String(word)) => words.push(word.clone()),
                // Some hosts accept the whole command line as a list.
                Some(Value::Array(all)) => {
                    words.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => {}
            }
        }
        // A whole shell line in `command`, unless it is a path with spaces.
        if let [line] = &words[..]
            && line.contains(' ')
            && !line.contains(['/', '\\'])
        {
            words = split(line);
        }
        let mut words: Vec<String> = words.iter().map(|word| defaulted(word)).collect();
        let mut every_word = words.clone();
        // Terminates: each iteration removes at least one word.
        while let Some(wrapped) = unwrap(&words) {
            every_word.retain(|word| wrapped.line.as_ref() != Some(word));
            every_word.extend(wrapped.line_words);
            words = wrapped.command;
        }
        Self { words, every_word }
    }

    /// The program and its arguments.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }
}

/// The command that a wrapper runs.
struct Wrapped {
    /// The argument that held the command as one line.
    line: Option<String>,
    /// The words of that line that may set variables.
    line_words: Vec<String>,
    /// The command.
    command: Vec<String>,
}

/// Removes one wrapper, if `words` begin with one.
fn unwrap(words: &[String]) -> Option<Wrapped> {
    let (program, rest) = words.split_first()?;
    match stem(program).as_str() {
        "env" => {
            let start = rest
                .iter()
                .position(|word| !word.contains('=') && !word.starts_with('-'))?;
            Some(Wrapped {
                line: None,
                line_words: Vec::new(),
                command: rest[start..].to_vec(),
            })
        }
        "cmd" => {
            let start = rest
                .iter()
                .position(|word| word.eq_ignore_ascii_case("/c"))?
                + 1;
            let (line, command) = match &rest[start..] {
                [line] => (Some(line.clone()), split(line)),
                words => (None, words.to_vec()),
            };
            Some(Wrapped {
                line,
                line_words: Vec::new(),
                command,
            })
        }
        "sh" | "bash" | "zsh" | "fish" | "dash" | "powershell" | "pwsh" => {
            let is_command = |word: &String| {
                let word = word.to_ascii_lowercase();
                word.starts_with('-') && !word.starts_with("--") && word.ends_with('c')
                    || word == "-command"
            };
            let line = rest.get(rest.iter().position(is_command)? + 1)?;
            let words = shlex::split(line).unwrap_or_default();
            // The last command of `cd there && VAR=1 exec uvx …`.
            let last = words
                .rsplit(|word| matches!(word.as_str(), "&&" | "||" | ";" | "|"))
                .find(|it| !it.is_empty())?;
            let start = last
                .iter()
                .position(|word| word != "exec" && !word.contains('='))?;
            Some(Wrapped {
                line: Some(line.clone()),
                // Only a shell can expand `$NAME`.
                line_words: words
                    .iter()
                    .filter(|word| !word.contains(['$', '`']))
                    .cloned()
                    .collect(),
                command: last[start..].to_vec(),
            })
        }
        _ => None,
    }
}

/// Replaces `${NAME:-default}` by its default: mem0's example configuration starts
/// `${MEM0_MCP_COMMAND:-uvx}` (mem0-mcp-server 0.2.1, `mcp.json`).
fn defaulted(word: &str) -> String {
    let inner = word.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
    match inner.and_then(|it| it.split_once(":-")) {
        Some((_, default)) => default.to_owned(),
        None => word.to_owned(),
    }
}

fn split(line: &str) -> Vec<String> {
    line.split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']).to_owned())
        .collect()
}

/// A program's name in lower case, without directory and executable extension.
pub(super) fn stem(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let name = name.to_ascii_lowercase();
    [".exe", ".cmd", ".bat", ".ps1", ".sh"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(&name)
        .to_owned()
}
