//! The server as the operators' page needs it: who may sign in, the tokens in use, and the metrics.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::access::{Access, InUse, Refusal, Subject, is_operator};
use super::metrics::Measured;
use crate::memory::access::{Allowed, Caller, Grant};
use crate::ui::{Admitted, Denied, Host, KnownToken, Pass};

/// The most ids of a token's reach that are named.
const MAX_NAMED: usize = 10;

/// The server, for the page.
#[derive(Debug)]
pub(super) struct Operators {
    pub(super) access: Arc<Access>,
    pub(super) measured: Arc<Measured>,
    pub(super) is_encrypted: bool,
    /// Ends streams.
    pub(super) end: CancellationToken,
}

/// An operator's token.
#[derive(Debug)]
struct Ticket {
    access: Arc<Access>,
    subject: Subject,
}

#[async_trait]
impl Pass for Ticket {
    async fn still_admits(&self) -> bool {
        self.access.still_admits_operator(&self.subject).await
    }
}

#[async_trait]
impl Host for Operators {
    fn needs_token(&self) -> bool {
        self.access.needs_token()
    }

    fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    async fn admit(&self, token: &str, peer: Option<IpAddr>) -> Result<Admitted, Denied> {
        match self.access.check(token, peer).await {
            Ok((caller, who, subject)) if is_operator(&caller) => Ok(Admitted {
                caller,
                who,
                pass: Arc::new(Ticket {
                    access: Arc::clone(&self.access),
                    subject,
                }),
            }),
            Ok((_, who, _)) => Err(Denied::NotOperator(who)),
            Err(Refusal::Throttled(wait)) => Err(Denied::Wait(wait)),
            Err(Refusal::Unavailable) => Err(Denied::Unavailable),
            Err(_) => Err(Denied::Wrong),
        }
    }

    async fn tokens(&self) -> Option<Vec<KnownToken>> {
        let known = |token: InUse| KnownToken {
            name: token.who.name,
            role: token.who.role,
            reach: reach(&token.caller),
            expires: token.expires,
            used_at: token.used_at,
        };
        let tokens = self.access.in_use().await?;
        Some(tokens.into_iter().map(known).collect())
    }

    async fn metrics(&self) -> String {
        self.measured.text().await.unwrap_or_default()
    }

    fn ending(&self) -> CancellationToken {
        self.end.clone()
    }
}

/// Whose memories a caller reaches, in words.
fn reach(caller: &Caller) -> String {
    let Caller::Granted(grant) = caller else {
        return "everybody".to_owned();
    };
    let Grant {
        users,
        agents,
        apps,
        ..
    } = &**grant;
    let parts = [
        named("users", users),
        named("agents", agents),
        named("apps", apps),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

fn named<T: Ord + Display>(kind: &str, allowed: &Allowed<T>) -> Option<String> {
    match allowed {
        Allowed::All => Some(format!("all {kind}")),
        Allowed::These(ids) if ids.is_empty() => None,
        Allowed::These(ids) => {
            let some: Vec<String> = ids
                .iter()
                .take(MAX_NAMED)
                .map(ToString::to_string)
                .collect();
            let more = ids.len().saturating_sub(MAX_NAMED);
            let more = (more > 0).then(|| format!(" and {more} more"));
            Some(format!(
                "{kind}: {}{}",
                some.join(", "),
                more.unwrap_or_default()
            ))
        }
    }
}
