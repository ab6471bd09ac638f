//! What a command line starts: the package, module, script or image that its launcher is told to run.
//!
//! Only that word counts. A server that gets a directory named `mem0-mcp-server` as an argument is
//! not mem0's.

use reqwest::Url;

use super::command_line::stem;

/// Options of `docker run` that take a value (docs.docker.com, "docker container run"). The first
/// other word after them is the image.
const DOCKER_VALUES: &[&str] = &[
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
/// Options with a value of uv (docs.astral.sh/uv/reference/cli, `uvx` and `uv run`) and pipx.
const UV_VALUES: &[&str] = &[
    "-c",
    "-i",
    "-p",
    "-w",
    "--cache-dir",
    "--config-file",
    "--constraints",
    "--directory",
    "--env-file",
    "--extra",
    "--extra-index-url",
    "--from",
    "--group",
    "--index",
    "--index-url",
    "--pip-args",
    "--project",
    "--python",
    "--spec",
    "--with",
    "--with-editable",
    "--with-requirements",
];
/// Options with a value of npx (docs.npmjs.com/cli/commands/npx), bunx, pnpm and yarn.
const NPM_VALUES: &[&str] = &[
    "-C",
    "-c",
    "-p",
    "-w",
    "--cache",
    "--call",
    "--package",
    "--prefix",
    "--registry",
    "--userconfig",
    "--workspace",
];
/// Options with a value of Node.js, Bun, Deno and Python.
const INTERPRETER_VALUES: &[&str] = &["-C", "-r", "-W", "-X", "--import", "--loader", "--require"];
/// Programs and packages that connect a host with a server given as a URL or a package.
const BRIDGES: [&str; 8] = [
    "mcp-remote",
    "mcp-proxy",
    "mcp-stdio-proxy",
    "openmemory-mcp-bridge",
    "supergateway",
    "smithery",
    "@smithery/cli",
    "install-mcp",
];

/// What is started.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Started<'a> {
    /// A package or a program by name, with the package that a flag names.
    Named(&'a str, Option<&'a str>),
    /// A script, with the directory it is run in.
    Script(&'a str, Option<&'a str>),
    /// A container image.
    Image(&'a str),
    /// A remote server.
    Remote(&'a str),
}

/// What `words` start, and the launcher that is told so; `None` if that is not known.
pub(super) fn started(words: &[String]) -> Option<(String, Started<'_>)> {
    let (program, rest) = words.split_first()?;
    let launcher = stem(program);
    let launched = match launcher.as_str() {
        "docker" | "podman" | "nerdctl" => Started::Image(image(rest)?),
        "uvx" | "uv" | "pipx" => uv(rest)?,
        "npx" | "bunx" | "pnpx" => npm(rest)?,
        "npm" | "pnpm" | "yarn" | "bun" if has_runner(rest) => {
            let runner = rest.iter().position(|it| is_runner(it))?;
            npm(&rest[runner + 1..])?
        }
        "node" | "bun" | "deno" => script(rest, None)?,
        "poetry" | "pdm" | "hatch" | "rye" => {
            let run = rest.iter().position(|it| it == "run")?;
            inner(&rest[run + 1..], None, None)?
        }
        "py" => script(rest, None)?,
        python if python.starts_with("python") || python.starts_with("pypy") => script(rest, None)?,
        bridge if BRIDGES.contains(&bridge) => bridged(rest)?,
        _ => Started::Named(program, None),
    };
    Some((launcher, launched))
}

fn is_runner(word: &str) -> bool {
    matches!(word, "exec" | "x" | "dlx")
}

fn has_runner(words: &[String]) -> bool {
    words.iter().any(|it| is_runner(it))
}

/// The image of `docker run`.
fn image(words: &[String]) -> Option<&str> {
    let run = words.iter().position(|word| word == "run")?;
    Some(Options::of(&words[run + 1..], DOCKER_VALUES).rest.first()?)
}

/// `uvx`, `uv tool run`, `uv run`, `pipx run`.
fn uv(words: &[String]) -> Option<Started<'_>> {
    let outer = Options::of(words, UV_VALUES);
    let mut rest = outer.rest;
    while matches!(rest.first().map(String::as_str), Some("tool" | "run" | "x")) {
        rest = &rest[1..];
    }
    let own = Options::of(rest, UV_VALUES);
    let value = |names: &[&str]| own.value(names).or_else(|| outer.value(names));
    let package = value(&["--from", "--spec"]);
    let directory = value(&["--directory", "--project"]);
    if let Some(module) = own.module {
        return Some(Started::Named(module, package));
    }
    inner(own.rest, package, directory)
}

/// `npx` and its kind.
fn npm(words: &[String]) -> Option<Started<'_>> {
    let own = Options::of(words, NPM_VALUES);
    let package = own.value(&["-p", "--package"]);
    inner(own.rest, package, None)
}

/// The program that a launcher was told to run, which can be an interpreter or a bridge.
fn inner<'a>(
    words: &'a [String],
    package: Option<&'a str>,
    directory: Option<&'a str>,
) -> Option<Started<'a>> {
    let (target, rest) = words.split_first()?;
    let name = stem(unversioned(target));
    if name.starts_with("python") {
        return script(rest, directory);
    }
    if BRIDGES.contains(&unversioned(target)) || BRIDGES.contains(&name.as_str()) {
        return bridged(rest);
    }
    if [".py", ".js", ".mjs", ".ts"]
        .iter()
        .any(|it| target.ends_with(it))
    {
        return Some(Started::Script(target, directory));
    }
    Some(Started::Named(target, package))
}

/// `python -m MODULE`, `node FILE`.
fn script<'a>(words: &'a [String], directory: Option<&'a str>) -> Option<Started<'a>> {
    let own = Options::of(words, INTERPRETER_VALUES);
    if let Some(module) = own.module {
        return Some(Started::Named(module, None));
    }
    let mut rest = own.rest;
    while rest.first().is_some_and(|it| it == "run") {
        rest = Options::of(&rest[1..], INTERPRETER_VALUES).rest;
    }
    let file = rest.first()?;
    Some(match file.strip_prefix("npm:") {
        Some(package) => Started::Named(package, None),
        None => Started::Script(file, directory),
    })
}

/// The first URL of a bridge's arguments, or the package that it runs.
fn bridged(words: &[String]) -> Option<Started<'_>> {
    let values = words.iter().map(|word| match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => value,
        _ => word,
    });
    let remote = values
        .clone()
        .find(|word| word.starts_with("http") && Url::parse(word).is_ok());
    match remote {
        Some(url) => Some(Started::Remote(url)),
        None => {
            let run = words.iter().position(|word| word == "run")?;
            Some(Started::Named(words.get(run + 1)?, None))
        }
    }
}

/// A package's name without its version and extras: `mem0-mcp-server` for
/// `mem0-mcp-server[agent]==0.2.1`.
pub(super) fn unversioned(word: &str) -> &str {
    let scope = usize::from(word.starts_with('@'));
    let end = word[scope..]
        .find(['=', '@', '[', '<', '>', '~', '!', ' '])
        .map_or(word.len(), |end| end + scope);
    &word[..end]
}

/// The options before the first other word.
struct Options<'a> {
    given: Vec<(&'a str, &'a str)>,
    /// The value of `-m` or `--module`, which ends the options.
    module: Option<&'a str>,
    /// From the first word that is no option.
    rest: &'a [String],
}

impl<'a> Options<'a> {
    fn of(words: &'a [String], with_value: &[&str]) -> Self {
        let mut given = Vec::new();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            match word.as_str() {
                "--" => {
                    at += 1;
                    break;
                }
                "-m" | "--module" if !with_value.contains(&word.as_str()) => {
                    return Self {
                        given,
                        module: words.get(at + 1).map(String::as_str),
                        rest: words.get(at + 2..).unwrap_or_default(),
                    };
                }
                option if option.starts_with('-') => match option.split_once('=') {
                    Some(pair) => given.push(pair),
                    None if with_value.contains(&option) => {
                        at += 1;
                        given.push((option, words.get(at).map_or("", String::as_str)));
                    }
                    None => {}
                },
                _ => break,
            }
            at += 1;
        }
        Self {
            given,
            module: None,
            rest: words.get(at..).unwrap_or_default(),
        }
    }

    fn value(&self, names: &[&str]) -> Option<&'a str> {
        let found = self.given.iter().find(|(name, _)| names.contains(name));
        found.map(|(_, value)| *value)
    }
}
