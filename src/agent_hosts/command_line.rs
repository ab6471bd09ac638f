//! The command line of an entry, with wrappers (`env`, shells, `cmd /c`) removed.

use serde_json::{Map, Value};

/// Options of `docker run` that take a value (docs.docker.com, "docker container run"). The first
/// other word after them is the image.
const DOCKER_VALUES: [&str; 30] = [
    "-a",
    "-c",
    "-e",
    "-h",
    "-l",
    "-m",
    "-p",
    "-u",
    "-v",
    "-w",
    "--add-host",
    "--cpus",
    "--dns",
    "--entrypoint",
    "--env",
    "--env-file",
    "--gpus",
    "--hostname",
    "--label",
    "--log-driver",
    "--memory",
    "--mount",
    "--name",
    "--network",
    "--net",
    "--platform",
    "--publish",
    "--pull",
    "--user",
    "--volume",
];

/// A command line.
pub(super) struct CommandLine {
    /// The program and its arguments, without wrappers.
    words: Vec<String>,
    /// All words, including those of wrappers.
    pub(super) every_word: Vec<String>,
}

impl CommandLine {
    /// Reads `command` and `args` of an entry.
    pub(super) fn of(entry: &Map<String, Value>) -> Self {
        let mut words: Vec<String> = Vec::new();
        match entry.get("command") {
            Some(Value::String(command)) => words.push(command.clone()),
            // Some hosts accept the whole command line as a list.
            Some(Value::Array(all)) => {
                words.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
        if let Some(Value::Array(args)) = entry.get("args") {
            words.extend(args.iter().filter_map(Value::as_str).map(str::to_owned));
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

    /// The [`stem`] of the program's name; empty if there is none.
    pub(super) fn program(&self) -> String {
        self.words
            .first()
            .map(|word| stem(word))
            .unwrap_or_default()
    }

    /// The words after the program.
    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether the program is a container engine.
    pub(super) fn is_container(&self) -> bool {
        matches!(self.program().as_str(), "docker" | "podman" | "nerdctl")
    }

    /// The image of `docker run`.
    pub(super) fn image(&self) -> Option<&str> {
        let arguments = self.arguments();
        let start = arguments.iter().position(|word| word == "run")? + 1;
        let mut words = arguments[start..].iter();
        while let Some(word) = words.next() {
            if DOCKER_VALUES.contains(&word.as_str()) {
                words.next();
            } else if !word.starts_with('-') {
                return Some(word);
            }
        }
        None
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
