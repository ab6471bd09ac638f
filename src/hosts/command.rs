//! An entry's command line, without what only leads to the program that it runs.

use serde_json::{Map, Value};

/// Options of `docker run` that are followed by a value of their own (docs.docker.com, "docker
/// container run"): what comes after the last of them is the image.
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

/// A command line, without what only leads to it.
pub struct Command {
    /// The program and its arguments, after `env`, a shell or `cmd /c`.
    words: Vec<String>,
    /// All words, those that lead to it included.
    pub every_word: Vec<String>,
}

impl Command {
    /// That of an entry.
    pub fn of(entry: &Map<String, Value>) -> Self {
        let mut words: Vec<String> = Vec::new();
        match entry.get("command") {
            Some(Value::String(command)) => words.push(command.clone()),
            // Some hosts take the whole command line as a list.
            Some(Value::Array(all)) => {
                words.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
        if let Some(Value::Array(args)) = entry.get("args") {
            words.extend(args.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        // A whole line in `command`, as if a shell read it; a path may have spaces, too.
        if let [line] = &words[..]
            && line.contains(' ')
            && !line.contains(['/', '\\'])
        {
            words = split(line);
        }
        let mut words: Vec<String> = words.iter().map(|word| defaulted(word)).collect();
        let mut every_word = words.clone();
        // Each turn takes at least one word away.
        while let Some(led) = led_to(&words) {
            // A line that was split is no word any more.
            every_word.retain(|word| led.line.as_ref() != Some(word));
            every_word.extend(led.seen);
            words = led.rest;
        }
        Self { words, every_word }
    }

    /// The program's name, as [`stem`] has it; empty if there is none.
    pub fn program(&self) -> String {
        self.words
            .first()
            .map(|word| stem(word))
            .unwrap_or_default()
    }

    /// What follows it.
    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether it runs containers.
    pub fn is_container(&self) -> bool {
        matches!(self.program().as_str(), "docker" | "podman" | "nerdctl")
    }

    /// The image of `docker run`.
    pub fn image(&self) -> Option<&str> {
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

/// A command that another one leads to.
struct Led {
    /// What it was split from, if it was one line.
    line: Option<String>,
    /// The words on the way that are read for what they set.
    seen: Vec<String>,
    /// The command.
    rest: Vec<String>,
}

/// The command that `words` lead to, if they only lead to one.
fn led_to(words: &[String]) -> Option<Led> {
    let (program, rest) = words.split_first()?;
    match stem(program).as_str() {
        "env" => {
            let start = rest
                .iter()
                .position(|word| !word.contains('=') && !word.starts_with('-'))?;
            Some(Led {
                line: None,
                seen: Vec::new(),
                rest: rest[start..].to_vec(),
            })
        }
        "cmd" => {
            let start = rest
                .iter()
                .position(|word| word.eq_ignore_ascii_case("/c"))?
                + 1;
            let (line, rest) = match &rest[start..] {
                [line] => (Some(line.clone()), split(line)),
                words => (None, words.to_vec()),
            };
            Some(Led {
                line,
                seen: Vec::new(),
                rest,
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
            // Of `cd there && VAR=1 exec uvx …`, what is run last.
            let last = words
                .rsplit(|word| matches!(word.as_str(), "&&" | "||" | ";" | "|"))
                .find(|it| !it.is_empty())?;
            let start = last
                .iter()
                .position(|word| word != "exec" && !word.contains('='))?;
            Some(Led {
                line: Some(line.clone()),
                // Nobody else would put in what `$NAME` stands for.
                seen: words
                    .iter()
                    .filter(|word| !word.contains(['$', '`']))
                    .cloned()
                    .collect(),
                rest: last[start..].to_vec(),
            })
        }
        _ => None,
    }
}

/// `${NAME:-default}` as its default: mem0's own example configuration starts
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

/// A program's name without its directory and the endings that Windows has for programs.
pub fn stem(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let name = name.to_ascii_lowercase();
    [".exe", ".cmd", ".bat", ".ps1", ".sh"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(&name)
        .to_owned()
}
