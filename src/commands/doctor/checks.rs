//! The checks, one function each.

use std::path::Path;

use serde::Serialize;
use zep_mcp_server::audit::{self, Trail};
use zep_mcp_server::config::Backend;
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::beside::Whereabouts;
use zep_mcp_server::memory::queue::{Counts, QueueError};
use zep_mcp_server::zep::{Accounts, Error, NewUser, Outcome, UserFields, UserId, Zep};

/// A larger difference of the clocks fails: memories carry the time of this machine, and Zep dates
/// facts by it.
const MAX_SKEW_SECS: i64 = 60;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Passed.
    Ok,
    /// Not measurable, or not applicable.
    NotMeasured,
    /// Needs action.
    Failed,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// The name of the check.
    pub name: &'static str,
    /// The result.
    pub state: State,
    /// What it found.
    pub detail: String,
    /// What to do about a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Ok, detail)
    }

    fn not_measured(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::NotMeasured, detail)
    }

    fn failed(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        let mut check = Self::new(name, State::Failed, detail);
        check.advice = Some(advice.into());
        check
    }

    fn new(name: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self {
            name,
            state,
            detail: detail.into(),
            advice: None,
        }
    }
}

/// Runs all checks on mem0, where it has everything.
pub(crate) async fn of_mem0(backend: &Backend, memories: &MemoryService) -> Vec<Check> {
    vec![
        Check::ok("backend", backend.to_string()),
        mem0(memories).await,
    ]
}

/// Whether mem0 answers and accepts the key, and how many users are where.
pub(crate) async fn mem0(memories: &MemoryService) -> Check {
    const NAME: &str = "mem0";
    match memories.check_mem0().await {
        Err(error) => Check::failed(
            NAME,
            error.to_string(),
            "check MEM0_API_KEY; mem0 is used until MEM0_ENABLED is false",
        ),
        Ok(()) if !memories.moves_in_phases() => Check::ok(NAME, "the key is valid"),
        Ok(()) => match memories.whereabouts().await {
            Ok(found) => Check::ok(NAME, shown(&found)),
            Err(error) => Check::failed(NAME, error.to_string(), "try again later"),
        },
    }
}

/// How many users are where, in words.
pub(crate) fn shown(found: &Whereabouts) -> String {
    let moving = match found.moving {
        0 => String::new(),
        moving => format!(", {moving} of them being moved"),
    };
    format!(
        "{} users are in Zep, {} in mem0{moving}",
        found.in_zep, found.in_mem0
    )
}

/// Runs all checks on an opened backend.
pub(crate) async fn all(backend: &Backend, zep: &dyn Zep) -> Vec<Check> {
    let mut checks = accounts(backend, zep).await;
    checks.push(match backend {
        Backend::Zep(_) | Backend::Mem0(_) => clock(zep.clock_ahead_secs()),
        Backend::Local { path } => data_dir(path),
    });
    checks
}

/// Whether contents on the disk are encrypted.
pub(crate) fn encryption(backend: &Backend, is_on: bool) -> Check {
    const NAME: &str = "encryption";
    match (backend, is_on) {
        (Backend::Local { .. }, _) => Check::not_measured(
            NAME,
            "the embedded store is not encrypted: keep it on an encrypted disk",
        ),
        (_, false) => Check::not_measured(
            NAME,
            "off: what waits for Zep is readable in the data directory until Zep has it",
        ),
        (_, true) => Check::ok(NAME, "what waits for Zep, and backups of hosts' files"),
    }
}

/// Whether the audit trail is whole, and can be written.
pub(crate) async fn audit(trail: &Trail) -> Check {
    const NAME: &str = "audit trail";
    let Some(directory) = trail.directory() else {
        return Check::not_measured(NAME, "off: nobody can tell later who read or changed what");
    };
    // Also tells how a trail fails that is not required.
    let _ = trail.ready().await;
    if let audit::State::Failing { problem, .. } = trail.state() {
        let advice = format!("make {} writable for this user", directory.display());
        return Check::failed(NAME, problem, advice);
    }
    let place = directory.to_owned();
    let verdict = tokio::task::spawn_blocking(move || audit::verify(&place, None));
    match verdict.await {
        Ok(Ok(verdict)) if verdict.intact => {
            let since = verdict.first_at.map(|at| format!(" since {at:.0}"));
            let entries = verdict.entries;
            Check::ok(
                NAME,
                format!(
                    "{entries} entries{}, whole and unchanged",
                    since.unwrap_or_default()
                ),
            )
        }
        Ok(Ok(verdict)) => {
            let problems = verdict.problems.len() as u64 + verdict.problems_more;
            Check::failed(
                NAME,
                format!("{problems} lines were changed, removed or added"),
                "`zep-mcp-server audit verify` tells which",
            )
        }
        Ok(Err(error)) => Check::failed(NAME, error.to_string(), "check the directory"),
        Err(_) => Check::failed(NAME, "the check was interrupted", "run doctor again"),
    }
}

/// Whether what was written is in Zep.
pub(crate) fn queue(is_on: bool, counts: Result<Counts, QueueError>) -> Check {
    const NAME: &str = "queue";
    let counts = match counts {
        Ok(counts) => counts,
        Err(error) => return Check::failed(NAME, error.to_string(), "see above"),
    };
    match (counts.waiting, counts.refused, counts.oldest) {
        (0, 0, _) if !is_on => Check::not_measured(NAME, "off"),
        (0, 0, _) => Check::ok(NAME, "nothing waits"),
        (waiting, 0, oldest) => {
            let since = oldest.map(|oldest| format!(", the oldest since {oldest:.0}"));
            let detail = format!("{waiting} entries wait{}", since.unwrap_or_default());
            match is_on {
                true => Check::ok(NAME, detail),
                false => Check::failed(
                    NAME,
                    detail,
                    "the queue is off: `zep-mcp-server queue flush` sends them",
                ),
            }
        }
        (_, refused, _) => Check::failed(
            NAME,
            format!("Zep refused {refused} entries for good"),
            "`zep-mcp-server queue list` tells why; `queue show` and `queue drop` deal with each",
        ),
    }
}

async fn accounts(backend: &Backend, accounts: &dyn Accounts) -> Vec<Check> {
    let access = access(backend, accounts).await;
    let reached = access.state == State::Ok;
    let mut checks = vec![Check::ok("backend", backend.to_string()), access];
    checks.push(if reached {
        write_access(accounts).await
    } else {
        Check::not_measured(
            "write access",
            "not checked, because the check above failed",
        )
    });
    checks
}

/// The check of a backend that could not be opened.
pub(crate) fn unopened(backend: &Backend, error: &anyhow::Error) -> Check {
    let advice = match backend {
        Backend::Zep(_) => "check ZEP_API_URL and ZEP_API_KEY".to_owned(),
        Backend::Mem0(_) => "check MEM0_BASE_URL and MEM0_API_KEY".to_owned(),
        Backend::Local { path } => format!(
            "make sure that you can write to {}, or set ZEP_MCP_DATA_DIR to another directory",
            path.parent().unwrap_or(path).display()
        ),
    };
    Check::failed("backend", format!("{backend}: {error:#}"), advice)
}

/// Whether the backend answers and accepts the key.
async fn access(backend: &Backend, accounts: &dyn Accounts) -> Check {
    let name = match backend {
        Backend::Zep(_) | Backend::Mem0(_) => "API key",
        Backend::Local { .. } => "store",
    };
    match accounts.project().await {
        Ok(project) => Check::ok(
            name,
            match project.name {
                Some(project) if matches!(backend, Backend::Zep(_)) => {
                    format!("valid for the project {project}")
                }
                _ => "readable".to_owned(),
            },
        ),
        Err(error) => Check::failed(name, error.to_string(), advice(&error)),
    }
}

/// Creates a user and deletes it, even after an error or Ctrl-C.
async fn write_access(accounts: &dyn Accounts) -> Check {
    const NAME: &str = "write access";
    let id = format!("zep-mcp-doctor-{}", uuid::Uuid::new_v4());
    let user = match UserId::new(&id) {
        Ok(user_id) => NewUser {
            user_id,
            fields: UserFields::default(),
        },
        Err(invalid) => return Check::failed(NAME, invalid.to_string(), "report this"),
    };
    let added = tokio::select! {
        added = accounts.add_user(&user) => Some(added),
        _ = tokio::signal::ctrl_c() => None,
    };
    let removed = match &added {
        Some(Err(error)) if error.outcome() != Outcome::Unknown => Ok(()),
        // Without an answer, the user may exist.
        Some(Err(_)) | None => match accounts.delete_user(&user.user_id).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        },
        Some(Ok(_)) => accounts.delete_user(&user.user_id).await,
    };
    match (added, removed) {
        (Some(Ok(_)), Ok(())) => Check::ok(NAME, "created a temporary user and deleted it"),
        (_, Err(error)) => Check::failed(
            NAME,
            format!("the temporary user {id} could not be deleted: {error}"),
            format!("delete the user {id} yourself; {}", advice(&error)),
        ),
        (Some(Err(error)), Ok(())) => Check::failed(
            NAME,
            format!("no user could be created: {error}"),
            match error.outcome() {
                Outcome::Unknown => {
                    format!(
                        "{}; if a user {id} appears later, delete it",
                        advice(&error)
                    )
                }
                _ => advice(&error),
            },
        ),
        (None, Ok(())) => Check::failed(NAME, "interrupted", "run doctor again"),
    }
}

/// Compares the clocks.
fn clock(ahead_secs: Option<i64>) -> Check {
    const NAME: &str = "clock";
    let Some(skew) = ahead_secs else {
        return Check::not_measured(NAME, "the backend did not send its time");
    };
    let detail = match skew {
        0 => "same as Zep's".to_owned(),
        1.. => format!("{skew} s ahead of Zep's"),
        _ => format!("{} s behind Zep's", -skew),
    };
    if skew.abs() <= MAX_SKEW_SECS {
        return Check::ok(NAME, detail);
    }
    Check::failed(
        NAME,
        detail,
        "set the clock of this machine (enable NTP): it dates the memories",
    )
}

/// Whether only the owner can read and replace the memories.
#[cfg(unix)]
fn data_dir(file: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;

    const NAME: &str = "data directory";
    /// Group and others may read or write.
    const OTHERS_READ_OR_WRITE: u32 = 0o066;
    /// Group and others may write.
    const OTHERS_WRITE: u32 = 0o022;

    let dir = file.parent().unwrap_or(file);
    for (path, forbidden, remedy) in [
        (dir, OTHERS_WRITE, "chmod go-w"),
        (file, OTHERS_READ_OR_WRITE, "chmod go-rw"),
    ] {
        let shown = path.display();
        match std::fs::metadata(path) {
            Ok(found) if found.permissions().mode() & forbidden != 0 => {
                return Check::failed(
                    NAME,
                    format!(
                        "other users can access {shown} (mode {:o})",
                        found.permissions().mode() & 0o7777
                    ),
                    format!("{remedy} '{shown}'"),
                );
            }
            Ok(_) => {}
            Err(error) => {
                return Check::failed(
                    NAME,
                    format!("{shown} cannot be read: {error}"),
                    "make sure that it exists and is yours, or set ZEP_MCP_DATA_DIR to another directory",
                );
            }
        }
    }
    Check::ok(NAME, format!("only you can access {}", dir.display()))
}

/// File modes do not exist on this system.
#[cfg(not(unix))]
fn data_dir(file: &Path) -> Check {
    Check::not_measured(
        "data directory",
        format!(
            "{}: check its security settings",
            file.parent().unwrap_or(file).display()
        ),
    )
}

/// What to do about an error.
fn advice(error: &Error) -> String {
    match error {
        Error::Unauthorized { .. } => {
            "copy the key from https://app.getzep.com into ZEP_API_KEY again"
        }
        Error::Connect { .. } => {
            "check ZEP_API_URL and your network; behind a proxy, set HTTPS_PROXY"
        }
        Error::NoAnswer { .. } => "try again; if it persists, raise ZEP_TIMEOUT_SECS",
        Error::RateLimited { .. } => {
            "wait a minute and try again; Zep allows a free account over its quota very few calls"
        }
        Error::Upstream { .. } | Error::Cancelled | Error::Busy => "try again later",
        Error::NotFound { .. } | Error::BadAnswer { .. } => {
            "check that ZEP_API_URL is Zep's address"
        }
        Error::Storage { .. } => {
            "make sure that the file is yours and the disk is not full, or set ZEP_MCP_DATA_DIR"
        }
        Error::Conflict { .. } | Error::Invalid { .. } => "run doctor again",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
