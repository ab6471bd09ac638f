//! What the README and the pages in `docs/` say is what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use zep_mcp_server::config::Setting;

use crate::common::http;
use crate::common::program::World;

const README: &str = "README.md";
/// Each command, and the page that describes its flags.
const COMMANDS: [(&str, &str); 22] = [
    ("serve", "docs/configuration.md"),
    ("doctor", "docs/configuration.md"),
    ("install", "docs/install.md"),
    ("switch", "docs/migration.md"),
    ("migrate", "docs/migration.md"),
    ("validate", "docs/migration.md"),
    ("export", "docs/migration.md"),
    ("report", "docs/migration.md"),
    ("rollback", "docs/migration.md"),
    ("emulate", "docs/emulator.md"),
    ("token new", "docs/deployment.md"),
    ("health", "docs/deployment.md"),
    ("status", "docs/operators-page.md"),
    ("queue list", "docs/queue.md"),
    ("queue flush", "docs/queue.md"),
    ("queue drop", "docs/queue.md"),
    ("audit verify", "docs/audit.md"),
    ("audit search", "docs/audit.md"),
    ("audit export", "docs/audit.md"),
    ("key new", "docs/queue.md"),
    ("key convert", "docs/queue.md"),
    ("key rotate", "docs/queue.md"),
];
/// What clients show, not this program.
const CLIENTS_WORDS: [&str; 1] = ["Session terminated"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README, the changelog and every page of `docs/`, by their paths in the repository.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    assert!(!pages.is_empty());
    pages.extend([README.to_owned(), "CHANGELOG.md".to_owned()]);
    pages
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A page's fenced blocks, each with its language, and the text around them.
fn parts(page: &str) -> (Vec<(String, String)>, String) {
    let (mut blocks, mut around) = (Vec::new(), String::new());
    let mut open: Option<(String, String)> = None;
    for line in read(page).lines() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (None, Some((language, text))) => open = Some((language, text + line + "\n")),
            (None, None) => around += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    (blocks, around)
}

/// A page's fenced blocks in a language.
fn snippets(page: &str, language: &str) -> Vec<String> {
    let (blocks, _) = parts(page);
    let chosen = blocks.into_iter().filter(|(theirs, _)| theirs == language);
    let found: Vec<_> = chosen.map(|(_, text)| text).collect();
    found
}

/// What stands between backticks in a text without blocks.
fn code(text: &str) -> Vec<String> {
    let spans: Vec<_> = text.split('`').collect();
    assert!(spans.len() % 2 == 1, "a backtick is missing");
    let within = spans.into_iter().skip(1).step_by(2);
    within
        .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let (_, text) = parts(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Link targets within the repository.
fn links(page: &str) -> Vec<String> {
    let (_, text) = parts(page);
    let targets = text.split("](").skip(1);
    targets
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .filter(|target| !target.starts_with("http"))
        .collect()
}

/// The command lines of this program on a page, in shell blocks and in running text.
fn command_lines(page: &str) -> Vec<String> {
    let (blocks, around) = parts(page);
    let shell = blocks.iter().filter(|(language, _)| language == "sh");
    let joined = shell.map(|(_, text)| text.replace("\\\n", " "));
    let lines = joined.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let mut found: Vec<_> = lines
        .filter_map(|line| match line.split_once("$(zep-mcp-server ") {
            Some((_, rest)) => rest.split_once(')').map(|(words, _)| words.to_owned()),
            None => line
                .trim()
                .strip_prefix("zep-mcp-server ")
                .map(str::to_owned),
        })
        .collect();
    let inline = code(&around).into_iter();
    found.extend(inline.filter_map(|span| span.strip_prefix("zep-mcp-server ").map(str::to_owned)));
    found
}

fn help(arguments: &[String]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"))
        .args(arguments)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// The flags that a command has, `--help` and `--version` apart.
fn flags(command: &str) -> BTreeSet<String> {
    let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
    let text = help(&words).unwrap();
    let options = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('-'));
    let names = options.filter_map(|line| {
        let long = line.split_once(", ").filter(|(short, _)| short.len() == 2);
        let line = long.map_or(line, |(_, long)| long);
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_option = name.starts_with("--") && (rest.is_empty() || rest.starts_with('<'));
        is_option.then(|| name.trim_end_matches("...").to_owned())
    });
    names
        .filter(|name| name != "--help" && name != "--version")
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    for page in pages() {
        let directory = root().join(&page).parent().unwrap().to_owned();
        for link in links(&page) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target: PathBuf = match file {
                "" => root().join(&page),
                file => directory.join(file),
            };
            assert!(target.exists(), "{page}: {link}");
            let target = target.to_str().unwrap();
            assert!(
                anchor.is_empty() || anchors(target).contains(anchor),
                "{page}: {link}"
            );
        }
    }
}

#[test]
fn every_page_is_reached_from_the_readme_and_the_readme_is_short() {
    assert!(read(README).lines().count() < 200);
    let links = links(README);
    for page in pages() {
        assert!(page == README || links.contains(&page), "{page}");
    }
}

#[test]
fn every_block_of_json_and_toml_can_be_read() {
    for page in pages() {
        for text in snippets(&page, "json") {
            let read = serde_json::from_str::<Value>(&text);
            assert!(read.is_ok(), "{page}: {read:?}: {text}");
        }
        for text in snippets(&page, "toml") {
            let read = text.parse::<toml_edit::DocumentMut>();
            assert!(read.is_ok(), "{page}: {read:?}: {text}");
        }
    }
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let mut tried = 0;
    for page in pages() {
        for line in command_lines(&page) {
            let line = line.split(" > ").next().unwrap();
            let words = shlex::split(line).unwrap_or_else(|| panic!("{page}: {line}"));
            let answer = help(&words);
            assert!(answer.is_ok(), "{page}: {line}: {answer:?}");
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} were found");
}

#[test]
fn every_flag_and_every_setting_is_described_and_no_other() {
    let everywhere = flags("");
    let configuration = read("docs/configuration.md");
    for name in everywhere
        .iter()
        .map(String::as_str)
        .chain(Setting::ALL.map(Setting::name))
    {
        assert!(configuration.contains(&format!("`{name}`")), "{name}");
    }
    let mut known = everywhere.clone();
    for (command, page) in COMMANDS {
        let text = read(page);
        for flag in flags(command).difference(&everywhere) {
            assert!(text.contains(flag), "{page}: {command} {flag}");
            known.insert(flag.clone());
        }
    }
    for page in pages() {
        for span in code(&parts(&page).1) {
            let flag = span.split([' ', '=']).next().unwrap();
            let is_flag = flag.starts_with("--");
            assert!(!is_flag || known.contains(flag), "{page}: {span}");
        }
    }
}

#[test]
fn the_messages_explained_are_the_ones_that_the_program_prints() {
    let mut source = String::new();
    let mut directories = vec![root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => source += &fs::read_to_string(path).unwrap(),
            }
        }
    }
    // Texts that go on in the next line.
    let mut source: String = source.split("\\\n").map(str::trim_start).collect();
    source.extend(CLIENTS_WORDS);
    let (_, text) = parts("docs/troubleshooting.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    for seen in rows.filter_map(|row| row.split(" | ").next()) {
        for message in code(seen) {
            for said in message.split('…').map(str::trim) {
                assert!(source.contains(said), "{message}: {said}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn entries_are_shown_as_install_changes_them() {
    use crate::install::{Home, KEY, program};
    use zep_mcp_server::agent_hosts::document::Syntax;

    for (page, syntax, at, arguments) in [
        (
            README,
            Syntax::Json,
            ".config/Claude/claude_desktop_config.json",
            &["--host", "claude-desktop"][..],
        ),
        (
            "docs/install.md",
            Syntax::Json,
            ".config/Code/User/mcp.json",
            &["--host", "vscode", "--key-from-env"],
        ),
        (
            "docs/install.md",
            Syntax::Toml,
            ".codex/config.toml",
            &["--host", "codex", "--key-from-env"],
        ),
    ] {
        let language = match syntax {
            Syntax::Json => "json",
            Syntax::Toml => "toml",
            Syntax::Yaml => "yaml",
        };
        let shown = snippets(page, language);
        let [before, after] = &shown[..] else {
            panic!("{page}: {} blocks of {language}", shown.len());
        };
        let home = Home::empty();
        home.put(at, before.as_bytes());
        home.install(&[&["--yes"][..], arguments].concat()).ended(0);
        let changed = home
            .text(at)
            .replace(program(), "/usr/local/bin/zep-mcp-server")
            .replace(KEY, "your key from https://app.getzep.com");
        assert_eq!(
            syntax.read(&changed).unwrap(),
            syntax.read(after).unwrap(),
            "{page}: {changed}"
        );
    }
}

#[test]
fn the_export_shown_is_migrated_and_valid() {
    let world = World::embedded();
    let shown = snippets("docs/migration.md", "json");
    let [export] = &shown[..] else {
        panic!("{} exports", shown.len());
    };
    fs::write(world.directory().join("export.json"), export).unwrap();
    let arguments = ["migrate", "--file", "export.json", "--validate", "--strict"];
    let output = world.command().args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn the_emulator_takes_the_faults_shown() {
    let world = World::emulated();
    let shown = snippets("docs/emulator.md", "sh");
    let curl = shown.iter().find(|text| text.starts_with("curl")).unwrap();
    let body = curl.split('\'').nth(1).unwrap().to_owned();
    let url = format!("{}/_emulator/faults/next", world.address());
    let answer = http().build().unwrap().post(url).body(body).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

#[test]
fn every_tool_and_every_argument_of_our_own_tools_is_described() {
    let page = read("docs/tools.md");
    let readme = read(README);
    let tools = World::embedded().connect().request("tools/list", json!({}));
    for tool in tools["result"]["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let quoted = format!("`{name}`");
        assert!(readme.contains(&quoted), "{name}");
        let Some((_, rest)) = page.split_once(&format!("### {name}\n")) else {
            assert!(page.contains(&quoted), "{name}");
            continue;
        };
        let section = rest.split("\n## ").next().unwrap();
        let section = section.split("\n### ").next().unwrap();
        for argument in tool["inputSchema"]["properties"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(
                section.contains(&format!("`{argument}`")),
                "{name}: {argument}"
            );
        }
    }
}

#[test]
fn the_calls_shown_are_made_by_try() {
    let output = World::embedded().command().arg("try").output().unwrap();
    let played = String::from_utf8(output.stdout).unwrap();
    let shown = snippets(README, "text");
    assert_eq!(shown.len(), 1);
    // How long each took is not shown.
    for line in shown[0].lines() {
        assert!(played.contains(line), "{line}: {played}");
    }
}
