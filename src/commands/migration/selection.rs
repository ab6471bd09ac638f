//! What the command line selects.

use std::collections::BTreeSet;
use std::fs;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use zep_mcp_server::memory::mapping::RoleMap;
use zep_mcp_server::memory::model::{SessionId, UserId};
use zep_mcp_server::migration::{Request, Selection};

use crate::cli::{SelectionArgs, WritingArgs};
use crate::output::Misuse;

/// The request of these flags.
///
/// # Errors
/// [`Misuse`] if a value of them cannot be used.
pub(crate) fn request(args: &SelectionArgs, writing: &WritingArgs) -> Result<Request, Misuse> {
    Ok(Request {
        selection: selection(args)?,
        include_expired: args.include_expired,
        append: writing.append,
        strict: writing.strict,
        update: writing.update,
        method: writing.method.map(Into::into).unwrap_or_default(),
        concurrency: writing.concurrency,
        ..Request::default()
    })
}

fn selection(args: &SelectionArgs) -> Result<Selection, Misuse> {
    let mut users = BTreeSet::new();
    for id in &args.user {
        users.insert(UserId::new(id).map_err(|wrong| misuse("--user", &wrong.problem))?);
    }
    if let Some(path) = &args.users_from {
        let flag = format!("--users-from {}", path.display());
        let text = fs::read_to_string(path)
            .map_err(|error| misuse(&flag, &format!("cannot be read: {error}")))?;
        for (number, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                users.insert(UserId::new(line).map_err(|wrong| {
                    misuse(&flag, &format!("line {}: {}", number + 1, wrong.problem))
                })?);
            }
        }
        if users.is_empty() {
            return Err(misuse(&flag, "names no user"));
        }
    }
    let sessions: Result<_, _> = args.session.iter().map(|id| SessionId::new(id)).collect();
    Ok(Selection {
        users,
        sessions: sessions.map_err(|wrong| misuse("--session", &wrong.problem))?,
        since: args.since.as_deref().map(since).transpose()?,
    })
}

/// A day begins at midnight, UTC.
fn since(text: &str) -> Result<Timestamp, Misuse> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = text.parse().ok().or_else(|| Some(day()?.timestamp()));
    time.ok_or_else(|| {
        misuse(
            "--since",
            "is neither a day (2024-05-01) nor a time in RFC 3339",
        )
    })
}

/// The roles of users.
///
/// # Errors
/// [`Misuse`] if a pair of them cannot be used.
pub(crate) fn roles(args: &SelectionArgs) -> Result<RoleMap, Misuse> {
    let roles = args.role_map.as_deref().map(RoleMap::from_str).transpose();
    roles.map(Option::unwrap_or_default).map_err(|wrong| {
        misuse(
            "--role-map",
            &format!(
                "has a pair that cannot be used: `{}` {}",
                wrong.pair, wrong.problem
            ),
        )
    })
}

fn misuse(flag: &str, problem: &str) -> Misuse {
    Misuse(format!("{flag} {problem}"))
}
