//! `health`: the health check of a running server, for container engines and monitors.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use zep_mcp_server::config::{Config, Flags, HttpConfig, HttpFlags};

use crate::cli::HealthArgs;

/// How long the server may take to answer. Container engines repeat the check every few seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

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
        // Fails only if a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // No secret is exchanged, and the certificate names the public host, not 127.0.0.1.
            .tls_danger_accept_invalid_certs(args.url.is_none())
            .no_proxy()
            .build()?;
        let answer = client.get(format!("{base}/{route}")).send().await;
        let answer = answer.with_context(|| format!("nothing answers at {base}"))?;
        let status = answer.status();
        // Bounded, because any program may answer on that port.
        let said = answer.text().await.unwrap_or_default();
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
