//! What can be checked from outside, one function a check.

use std::path::Path;

use serde::Serialize;
use zep_mcp_server::config::Backend;
use zep_mcp_server::zep::{Accounts, Error, NewUser, Outcome, UserFields, UserId, Zep};

/// From how many seconds on a wrong clock counts as failed: memories carry its time, and Zep dates
/// facts by it.
const MAX_SKEW_SECS: i64 = 60;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All is well.
    Ok,
    /// It could not be measured, or it does not matter here.
    NotMeasured,
    /// Something must be done.
    Failed,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it, where it failed.
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

/// All checks of an opened backend.
pub async fn all(backend: &Backend, zep: &dyn Zep) -> Vec<Check> {
    let mut checks = accounts(backend, zep).await;
    checks.push(match backend {
        Backend::Zep(_) => clock(zep.clock_ahead_secs()),
        Backend::Local { path } => data_dir(path),
    });
    checks
}

async fn accounts(backend: &Backend, accounts: &dyn Accounts) -> Vec<Check> {
    let access = access(backend, accounts).await;
    let reached = access.state == State::Ok;
    let mut checks = vec![Check::ok("backend", backend.to_string()), access];
    checks.push(if reached {
        write_access(accounts).await
    } else {
        Check::not_measured("write access", "not tried, since the line above failed")
    });
    checks
}

/// The line for a backend that could not even be opened.
pub fn unopened(backend: &Backend, error: &anyhow::Error) -> Check {
    let advice = match backend {
        Backend::Zep(_) => "check ZEP_API_URL and ZEP_API_KEY".to_owned(),
        Backend::Local { path } => format!(
            "see that you may write to {}, or set ZEP_MCP_DATA_DIR to another directory",
            path.parent().unwrap_or(path).display()
        ),
    };
    Check::failed("backend", format!("{backend}: {error:#}"), advice)
}

/// Whether the backend answers, and to this key.
async fn access(backend: &Backend, accounts: &dyn Accounts) -> Check {
    let name = match backend {
        Backend::Zep(_) => "API key",
        Backend::Local { .. } => "store",
    };
    match accounts.project().await {
        Ok(project) => Check::ok(
            name,
            match project.name {
                Some(project) if matches!(backend, Backend::Zep(_)) => {
                    format!("valid for the project {project}")
                }
                _ => "can be read".to_owned(),
            },
        ),
        Err(error) => Check::failed(name, error.to_string(), advice(&error)),
    }
}

/// Makes a user and deletes it. It is deleted whatever happens in between, an interruption by the
/// keyboard included.
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
        // Whether it was made is known only if the answer came.
        Some(Err(_)) | None => match accounts.delete_user(&user.user_id).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        },
        Some(Ok(_)) => accounts.delete_user(&user.user_id).await,
    };
    match (added, removed) {
        (Some(Ok(_)), Ok(())) => Check::ok(NAME, "made a throw-away user and deleted it"),
        (_, Err(error)) => Check::failed(
            NAME,
            format!("the throw-away user {id} could not be deleted: {error}"),
            format!("delete the user {id} yourself; {}", advice(&error)),
        ),
        (Some(Err(error)), Ok(())) => Check::failed(
            NAME,
            format!("no user could be made: {error}"),
            match error.outcome() {
                Outcome::Unknown => {
                    format!(
                        "{}; should a user {id} appear later, delete it",
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
        return Check::not_measured(NAME, "the backend did not tell its time");
    };
    let detail = match skew {
        0 => "as Zep's".to_owned(),
        1.. => format!("{skew} s ahead of Zep's"),
        _ => format!("{} s behind Zep's", -skew),
    };
    if skew.abs() <= MAX_SKEW_SECS {
        return Check::ok(NAME, detail);
    }
    Check::failed(
        NAME,
        detail,
        "set this machine's clock (turn on NTP): memories are dated by it",
    )
}

/// Whether only their owner can read the memories, and nobody else can replace them.
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
                        "other users can get at {shown} (mode {:o})",
                        found.permissions().mode() & 0o7777
                    ),
                    format!("{remedy} '{shown}'"),
                );
            }
            Ok(_) => {}
            Err(error) => {
                return Check::failed(
                    NAME,
                    format!("{shown} cannot be looked at: {error}"),
                    "see that it exists and is yours, or set ZEP_MCP_DATA_DIR to another directory",
                );
            }
        }
    }
    Check::ok(NAME, format!("{} is yours alone", dir.display()))
}

/// What others may do is not a matter of a file's mode here.
#[cfg(not(unix))]
fn data_dir(file: &Path) -> Check {
    Check::not_measured(
        "data directory",
        format!(
            "{}: see its security settings",
            file.parent().unwrap_or(file).display()
        ),
    )
}

/// What to do about an error.
fn advice(error: &Error) -> String {
    match error {
        Error::Unauthorized { .. } => {
            "copy the key again from https://app.getzep.com into ZEP_API_KEY"
        }
        Error::Connect { .. } => {
            "check ZEP_API_URL and your network; behind a proxy, set HTTPS_PROXY"
        }
        Error::NoAnswer { .. } => "try again; if it stays so, raise ZEP_TIMEOUT_SECS",
        Error::RateLimited { .. } => {
            "wait a minute and try again; a free Zep account over its quota is held to very few calls"
        }
        Error::Upstream { .. } | Error::Cancelled | Error::Busy => "try again later",
        Error::NotFound { .. } | Error::BadAnswer { .. } => {
            "check that ZEP_API_URL is Zep's address"
        }
        Error::Storage { .. } => {
            "see that the file is yours and the disk has room, or set ZEP_MCP_DATA_DIR"
        }
        Error::Conflict { .. } | Error::Invalid { .. } => "run doctor again",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
