//! `try`: a scripted session with the real server on a temporary store.

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
use scenes::SCENES;

/// For one answer. Far more than a local store needs, so that only a hang exceeds it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer requests and answers are shortened to this many characters.
const SHOWN_CHARS: usize = 96;

/// Plays every scene, then prints the configuration to paste.
///
/// # Errors
/// If the server cannot be started, does not answer, or gives a wrong answer.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let page = Page::stdout();
    let server = std::env::current_exe().context("this program's own path is not known")?;
    let store = tempfile::Builder::new()
        .prefix("zep-mcp-server-try-")
        .tempdir()
        .context("no temporary directory can be made")?;
    page.line(&page.styled(
        Style::Bold,
        "A day of an agent: a real server over stdio, on a temporary store",
    ))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let command = server_command(&server, store.path());
    let took = runtime.block_on(play(command, &page))?;
    page.line(&format!(
        "\n    All answers were right. The server ended {} after its stdin closed.\n",
        milliseconds(took)
    ))?;
    print_entries(&page, &server)?;
    Ok(ExitCode::SUCCESS)
}

/// The server with none of the user's settings: no environment, no `.env`, no key.
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

/// Plays all scenes, and returns how long the server took to end.
async fn play(server: Command, page: &Page) -> anyhow::Result<Duration> {
    let start = async {
        let client = Client::start(server.into(), PATIENCE).await?;
        let seen = scenes::check_start(&client.server_info()?)?;
        Ok((client, seen))
    };
    let mut client = scene(page, 1, scenes::START, "initialize", start).await?;
    let list = async {
        let seen = scenes::check_tools(&client.tools().await?)?;
        Ok(((), seen))
    };
    scene(page, 2, scenes::LIST, "tools/list", list).await?;
    for (number, called) in (3..).zip(SCENES) {
        let arguments = (called.arguments)();
        let request = format!("{} {arguments}", called.tool);
        let call = async {
            let Value::Object(arguments) = arguments else {
                anyhow::bail!("the arguments are not an object");
            };
            let answer = client.call(called.tool, arguments).await?;
            Ok(((), (called.check)(&answer)?))
        };
        scene(page, number, called.says, &request, call).await?;
    }
    client.close().await
}

/// Shows what happens, the request, and the result: what was seen, and how long it took.
async fn scene<T>(
    page: &Page,
    number: usize,
    says: &str,
    request: &str,
    result: impl Future<Output = anyhow::Result<(T, String)>>,
) -> anyhow::Result<T> {
    let says = page.styled(Style::Bold, says);
    page.line(&format!("\n{number:>2}  {says}"))?;
    let arrow = page.styled(Style::Dim, "→");
    page.line(&format!("    {arrow} {}", shortened(request)))?;
    let started = Instant::now();
    let (value, seen) = result
        .await
        .with_context(|| format!("scene {number} failed"))?;
    let took = page.styled(Style::Dim, &milliseconds(started.elapsed()));
    let arrow = page.styled(Style::Good, "←");
    page.line(&format!("    {arrow} {}  {took}", shortened(&seen)))?;
    Ok(value)
}

fn print_entries(page: &Page, server: &Path) -> anyhow::Result<()> {
    let path = absolute(server);
    for (title, entry) in [
        (
            "To keep memories in Zep Cloud, paste this into your agent host's configuration\n\
             (keys: https://app.getzep.com; if it has a mem0 entry, replace that one):",
            entry(
                &path,
                json!({
                    "ZEP_API_KEY": "<your key>",
                    "ZEP_DEFAULT_USER_ID": "<your name>"
                }),
            ),
        ),
        (
            "To keep them in a file on this machine, without an account:",
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
    page.line("Then check it with `zep-mcp-server doctor`.")?;
    Ok(())
}

/// A host's configuration with this server in it. The entry is named `mem0`, because hosts prefix
/// the names of tools with it: agents find the tools under the names they know.
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
    fn the_printed_entry_starts_the_server_with_its_environment() {
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
    fn long_texts_are_cut_between_characters() {
        let shown = shortened(&"ü".repeat(500));
        assert_eq!(shown.chars().count(), SHOWN_CHARS + 1);
    }
}
