//! A running server, asked over HTTP.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zep_mcp_server::metrics::requests::{self, Requests};
use zep_mcp_server::outgoing::check_address;

use crate::output::Misuse;

/// How long the server may take to answer. Container engines repeat their checks every few seconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer, in bytes: any program may answer on that port. Ours: metrics have some 100 kB.
const MAX_ANSWER: usize = 4 << 20;
/// What the address of a server looks like.
const EXAMPLE: &str = "http://127.0.0.1:5003";

/// A client. It trusts any certificate only where it sends no secret, and the certificate names the public
/// host instead of this machine.
pub(super) fn client(trusts_any: bool) -> anyhow::Result<Client> {
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .timeout(TIMEOUT)
        .tls_danger_accept_invalid_certs(trusts_any)
        .no_proxy();
    Ok(client.build()?)
}

/// The text of an answer.
///
/// # Errors
/// If it breaks off, or is too large.
pub(super) async fn text(mut answer: Response) -> anyhow::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        ensure!(
            body.len() + chunk.len() <= MAX_ANSWER,
            "the answer is larger than {} MB",
            MAX_ANSWER >> 20
        );
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The requests that a server answered since it began.
#[derive(Debug, Serialize)]
pub(super) struct Running {
    url: String,
    requests: u64,
    failed: u64,
    /// Half of them took no longer.
    half_within_ms: Option<f64>,
    /// 95 of 100 took no longer.
    most_within_ms: Option<f64>,
}

/// Asks a server for its metrics.
///
/// # Errors
/// [`Misuse`] if the address cannot be asked; if nothing answers, or the answer is not that of a server of ours.
pub(super) async fn requests(url: &str, token: Option<&SecretString>) -> anyhow::Result<Running> {
    check_address(url, EXAMPLE).map_err(|problem| Misuse(format!("--url {problem}")))?;
    let base = url.trim().trim_end_matches('/');
    let mut request = client(false)?.get(format!("{base}/metrics"));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await;
    let answer = answer.with_context(|| format!("nothing answers at {base}"))?;
    match answer.status().as_u16() {
        200 => {}
        401 | 403 => bail!(
            "{base} wants a token of the role operator for all users: set MCP_AUTH_TOKEN to one"
        ),
        status => bail!("{base}/metrics answered {status}; is it a server of this program?"),
    }
    let routes = requests::routes(&text(answer).await?);
    let all = Requests::of_all(routes.values());
    let within = |share| all.within(share).map(|seconds| seconds * 1_000.0);
    Ok(Running {
        url: base.to_owned(),
        requests: all.requests,
        failed: all.failed,
        half_within_ms: within(0.5),
        most_within_ms: within(0.95),
    })
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            requests,
            failed,
            ..
        } = self;
        write!(f, "server {url}: {requests} requests, {failed} failed")?;
        for (share, within) in [
            ("half", self.half_within_ms),
            ("95 of 100", self.most_within_ms),
        ] {
            if let Some(within) = within {
                write!(f, "; {share} within {within} ms")?;
            }
        }
        Ok(())
    }
}
