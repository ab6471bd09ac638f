//! `try`: an agent's day with the real server, on a store that is thrown away.

mod client;
mod scenes;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use zep_mcp_server::config::Setting;

use crate::output::{Page, Style};
use client::Client;
use scenes::{Past, SCENES, Scene};

/// For one answer. Far more than a local store needs, so that only a hang is called one.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest request or answer that is shown whole, in characters.
const SHOWN_CHARS: usize = 96;

/// Plays every scene, then prints the configuration to paste.
///
/// # Errors
/// If the server cannot be started, does not answer, or answers anything but what it should.
pub fn run() -> anyhow::Result<ExitCode> {
    let page = Page::stdout();
    let server = std::env::current_exe().context("this program's own path is not known")?;
    let store = tempfile::Builder::new()
        .prefix("zep-mcp-server-try-")
        .tempdir()
        .context("no temporary directory can be made")?;
    page.line(&page.styled(
        Style::Bold,
        "An agent's day, with a real server over stdio and a store that is thrown away",
    ))?;
    let mut client = Client::start(&mut server_command(&server, store.path()), PATIENCE)?;
    let mut past = Past::default();
    for (number, scene) in (1..).zip(SCENES) {
        page.line(&format!(
            "\n{number:>2}  {}",
            page.styled(Style::Bold, scene.says)
        ))?;
        play(scene, &mut client, &mut past, &page)
            .with_context(|| format!("scene {number} ({}) went wrong", scene.name()))?;
    }
    let took = client.close()?;
    page.line(&format!(
        "\n    All as it should be. The server ended {} after its stdin did.\n",
        milliseconds(took)
    ))?;
    print_entries(&page, &server)?;
    Ok(ExitCode::SUCCESS)
}

/// The server in surroundings of its own: none of the user's settings, no `.env`, no key.
fn server_command(server: &Path, store: &Path) -> Command {
    let mut command = Command::new(server);
    command.arg("serve").current_dir(store);
    for setting in Setting::ALL {
        command.env_remove(setting.name());
    }
    command
        .env(Setting::Backend.name(), "local")
        .env(Setting::DataDir.name(), store)
        .env(Setting::LogLevel.name(), "warn");
    command
}

fn play(scene: &Scene, client: &mut Client, past: &mut Past, page: &Page) -> anyhow::Result<()> {
    let (method, params, request) = match &scene.call {
        scenes::Call::Method(method, params) => (*method, params(), (*method).to_owned()),
        scenes::Call::Tool(tool, arguments) => {
            let arguments = arguments(past);
            let request = format!("{tool} {arguments}");
            let params = json!({ "name": tool, "arguments": arguments });
            ("tools/call", params, request)
        }
    };
    page.line(&format!(
        "    {} {}",
        page.styled(Style::Dim, "→"),
        shortened(&request)
    ))?;
    let asked = Instant::now();
    let result = client.request(method, params)?;
    let took = asked.elapsed();
    let answer = match scene.call {
        scenes::Call::Method(..) => result,
        scenes::Call::Tool(..) => tool_answer(result)?,
    };
    let seen = (scene.check)(&answer, past)?;
    page.line(&format!(
        "    {} {}  {}",
        page.styled(Style::Good, "←"),
        shortened(&seen),
        page.styled(Style::Dim, &milliseconds(took))
    ))?;
    if method == "initialize" {
        client.notify("notifications/initialized")?;
    }
    past.keep(scene.name(), answer);
    Ok(())
}

/// What a tool answered, as data.
fn tool_answer(mut result: Value) -> anyhow::Result<Value> {
    anyhow::ensure!(
        result["isError"] != true,
        "the tool answered an error: {}",
        result["content"][0]["text"]
            .as_str()
            .unwrap_or("(without a text)")
    );
    let answer = result["structuredContent"].take();
    anyhow::ensure!(answer.is_object(), "the tool answered no structuredContent");
    Ok(answer)
}

fn print_entries(page: &Page, server: &Path) -> anyhow::Result<()> {
    let path = absolute(server);
    for (title, entry) in [
        (
            "To keep memories in Zep Cloud, paste this into your agent host's configuration\n\
             (keys: https://app.getzep.com; if there is a mem0 entry, let this one take its place):",
            entry(
                &path,
                json!({
                    "ZEP_API_KEY": "<your key>",
                    "ZEP_DEFAULT_USER_ID": "<your name>"
                }),
            ),
        ),
        (
            "To keep them in a file on this machine, without any account:",
            entry(
                &path,
                json!({
                    "MEMORY_BACKEND": "local",
                    "ZEP_DEFAULT_USER_ID": "<your name>"
                }),
            ),
        ),
    ] {
        page.line(&page.styled(Style::Bold, title))?;
        page.line(&format!("{}\n", serde_json::to_string_pretty(&entry)?))?;
    }
    page.line("Then `zep-mcp-server doctor` tells whether all is well.")?;
    Ok(())
}

/// A host's whole configuration with this server in it. The entry is called `mem0`, as hosts put
/// the entry's name before the names of its tools: agents find them where they were.
fn entry(server: &Path, env: Value) -> Value {
    json!({ "mcpServers": { "mem0": { "command": server.to_string_lossy(), "env": env } } })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_entries_are_valid_and_name_only_known_settings() {
        let entry = entry(
            Path::new("/opt/zep-mcp-server"),
            json!({"ZEP_API_KEY": "k"}),
        );
        let server = &entry["mcpServers"]["mem0"];
        assert_eq!(server["command"], "/opt/zep-mcp-server");
        assert_eq!(server["env"]["ZEP_API_KEY"], "k");
    }

    #[test]
    fn the_server_is_started_without_any_setting_of_the_user() {
        let command = server_command(Path::new("/bin/server"), Path::new("/store"));
        let changed: Vec<_> = command.get_envs().collect();
        for setting in Setting::ALL {
            assert!(
                changed.iter().any(|(name, _)| *name == setting.name()),
                "{setting} would reach the child"
            );
        }
        assert!(changed.contains(&("ZEP_API_KEY".as_ref(), None)));
        assert_eq!(command.get_current_dir(), Some(Path::new("/store")));
    }

    #[test]
    fn a_tools_error_is_not_taken_for_an_answer() {
        let refused =
            json!({"isError": true, "content": [{"type": "text", "text": "no such user"}]});
        let error = tool_answer(refused).unwrap_err();
        assert!(error.to_string().contains("no such user"));
        assert!(tool_answer(json!({"content": []})).is_err());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let shown = shortened(&"ü".repeat(500));
        assert_eq!(shown.chars().count(), SHOWN_CHARS + 1);
    }
}
