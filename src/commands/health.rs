//! `health`: the health check of a running server, for container engines and monitors.

use std::process::ExitCode;

use anyhow::{Context, bail};
use zep_mcp_server::config::{Config, Flags, HttpConfig, HttpFlags};

use super::running;
use crate::cli::HealthArgs;

/// Sends the request; the command succeeds if the answer is 200.
///
/// # Errors
/// If there is no answer or a bad one, or a setting is wrong.
pub(crate) fn run(settings: Flags, args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let base = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => address(settings)?,
    };
    let route = if args.ready { "ready" } else { "health" };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = running::client(args.url.is_none())?;
        let answer = client.get(format!("{base}/{route}")).send().await;
        let answer = answer.with_context(|| format!("nothing answers at {base}"))?;
        let status = answer.status();
        let said = running::text(answer).await.unwrap_or_default();
        let said: String = said.chars().take(MOST_SHOWN).collect();
        if !status.is_success() {
            bail!("{base}/{route} answered {status}: {}", said.trim());
        }
        println!("{}", said.trim());
        Ok(ExitCode::SUCCESS)
    })
}

/// How much of an answer is shown, in characters.
const MOST_SHOWN: usize = 500;

/// Where the server with these settings listens.
fn address(settings: Flags) -> anyhow::Result<String> {
    let config = Config::load_for_http(settings, HttpFlags::default())?;
    let Some(HttpConfig {
        host, port, tls, ..
    }) = config.http
    else {
        unreachable!("set by load_for_http");
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    // The wildcard addresses cannot be called.
    let host = match host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "[::1]",
        host => host,
    };
    Ok(match host.contains(':') && !host.starts_with('[') {
        true => format!("{scheme}://[{host}]:{port}"),
        false => format!("{scheme}://{host}:{port}"),
    })
}
