//! The contents of the queue, encrypted, and the proof of the key that they are encrypted with. Ids, times
//! and counts are not.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::file::{failed, open_existing, unusable};
use crate::local::make_private;
use crate::memory::queue::QueueError;
use crate::seal::{self, SealKey};

/// What contents are sealed for.
const CONTENT: &str = "queue content 1";
/// What the proof is sealed for.
const PROOF: &str = "queue proof 1";

/// A content as it is kept.
pub(super) fn sealed(key: Option<&SealKey>, content: &str) -> String {
    match key {
        Some(key) => key.seal(CONTENT, content.as_bytes()),
        None => content.to_owned(),
    }
}

/// A content as it was.
pub(super) fn opened(key: Option<&SealKey>, kept: String) -> rusqlite::Result<String> {
    // What was put in before there was a key is JSON.
    let Some(key) = key.filter(|_| seal::is_sealed(&kept)) else {
        return Ok(kept);
    };
    let content = key.open(CONTENT, &kept);
    let content = content.map_err(|_| rusqlite::Error::InvalidQuery)?;
    String::from_utf8(content).map_err(|_| rusqlite::Error::InvalidQuery)
}

/// Checks that a file is encrypted with this key, or not at all; one without contents becomes so.
/// `changing`: whether it is to be encrypted, so that contents need not be.
///
/// # Errors
/// [`QueueError::Unusable`] says what to set, or what to do.
pub(super) fn check(
    db: &Connection,
    path: &Path,
    key: Option<&SealKey>,
    changing: bool,
) -> Result<(), QueueError> {
    let sqlite = |error| failed(path, &error);
    let proof: Option<String> = db
        .query_row("SELECT proof FROM sealed", [], |row| row.get(0))
        .optional()
        .map_err(sqlite)?;
    let refuse = |problem: &str| Err(unusable(path, problem));
    match (proof, key) {
        (None, None) => Ok(()),
        (Some(_), None) => {
            refuse("it is encrypted: set ZEP_MCP_ENCRYPTION_KEY_FILE to the file of its key")
        }
        (Some(proof), Some(key)) => match key.open(PROOF, &proof) {
            Ok(_) => Ok(()),
            Err(_) => refuse(
                "it is encrypted with another key than that of ZEP_MCP_ENCRYPTION_KEY_FILE; set that one",
            ),
        },
        (None, Some(_)) if changing => Ok(()),
        (None, Some(key)) => {
            let is_empty: bool = db
                .query_row("SELECT NOT EXISTS (SELECT 1 FROM waiting)", [], |row| {
                    row.get(0)
                })
                .map_err(sqlite)?;
            if !is_empty {
                return refuse(
                    "what waits in it is not encrypted: `zep-mcp-server key convert` encrypts it",
                );
            }
            db.execute(
                "INSERT INTO sealed (proof) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM sealed)",
                [key.seal(PROOF, b"")],
            )
            .map(drop)
            .map_err(sqlite)
        }
    }
}

/// What was encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// How many entries.
    pub entries: u64,
    /// The file as it was before.
    pub backup: PathBuf,
}

/// Encrypts all contents of a file with another key.
pub(super) fn anew(
    path: &Path,
    from: Option<&SealKey>,
    to: &SealKey,
) -> Result<Sealed, QueueError> {
    let mut db = open_existing(path)?;
    check(&db, path, from, from.is_none())?;
    // Only a connection that is alone can do without the log. Another one would go on with the old key.
    let alone: Result<String, _> =
        db.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0));
    if !matches!(alone.as_deref(), Ok("delete")) {
        return Err(unusable(
            path,
            "a server uses it: stop all servers of this machine, and try again",
        ));
    }
    let backup = backup_of(path);
    make_private(&backup).map_err(|problem| unusable(&backup, problem))?;
    fs::copy(path, &backup)
        .map_err(|error| unusable(&backup, format!("it cannot be written: {error}")))?;
    let entries = seal_contents(&mut db, from, to).map_err(|error| failed(path, &error))?;
    Ok(Sealed { entries, backup })
}

/// The name of a backup: the times in such names sort as text.
fn backup_of(path: &Path) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".backup-{now}"));
    name.into()
}

/// How many there are.
fn seal_contents(
    db: &mut Connection,
    from: Option<&SealKey>,
    to: &SealKey,
) -> rusqlite::Result<u64> {
    db.pragma_update(None, "synchronous", "full")?;
    // What is replaced is overwritten, so that nothing readable stays in the file.
    db.pragma_update(None, "secure_delete", true)?;
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut count, mut last) = (0, 0);
    loop {
        let next: Option<(i64, String)> = change
            .query_row(
                "SELECT number, body FROM waiting WHERE number > ?1 ORDER BY number LIMIT 1",
                [last],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((number, kept)) = next else { break };
        let content = opened(from, kept)?;
        change.execute(
            "UPDATE waiting SET body = ?2 WHERE number = ?1",
            params![number, sealed(Some(to), &content)],
        )?;
        (last, count) = (number, count + 1);
    }
    change.execute("DELETE FROM sealed", [])?;
    change.execute(
        "INSERT INTO sealed (proof) VALUES (?1)",
        [to.seal(PROOF, b"")],
    )?;
    change.commit()?;
    // Pages that were freed before may hold old contents.
    db.execute_batch("VACUUM")?;
    Ok(count)
}
