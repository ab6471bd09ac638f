//! The index of words: which word occurs in which row, the speaker's name included.
//!
//! Every word is indexed with its owner's number as a prefix (`17xtea`), so that the rows of one
//! entry belong to one owner and are stored side by side: a search reads only its owner's rows,
//! regardless of how much others have stored.

use std::fmt::{self, Write};

use crate::local::sqlite::{Step, Work};
use crate::local::words::words;

/// A word with its owner's prefix. Digits and `x` are consonants to the stemmer, so it treats the
/// word as it would without them.
struct Prefixed<'a>(i64, &'a str);

impl fmt::Display for Prefixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.0, self.1)
    }
}

/// Indexes a row, in place of what was indexed for it.
pub(crate) fn put(w: &Work<'_>, id: i64, speaker: Option<&str>, content: &str) -> Step<()> {
    let owner = owner_of(id);
    let mut text = String::with_capacity(2 * content.len());
    for word in speaker.into_iter().chain([content]).flat_map(words) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{} ", Prefixed(owner, &word));
    }
    w.tx.prepare_cached("REPLACE INTO words (rowid, text) VALUES (?1, ?2)")?
        .execute((id, text))?;
    Ok(())
}

/// Removes a row.
pub(crate) fn remove(w: &Work<'_>, id: i64) -> Step<()> {
    w.tx.prepare_cached("DELETE FROM words WHERE rowid = ?1")?
        .execute([id])?;
    Ok(())
}

/// Removes all messages of a thread and the texts of their facts.
pub(crate) fn remove_thread(w: &Work<'_>, thread: i64) -> Step<()> {
    w.tx.execute(
        "DELETE FROM words WHERE rowid IN (
           SELECT id FROM episode WHERE thread = ?1
           UNION ALL
           SELECT fact_doc FROM episode WHERE thread = ?1 AND fact_doc IS NOT NULL)",
        [thread],
    )?;
    Ok(())
}

/// The row ids of an owner in which a word occurs, ascending.
pub(crate) fn rows_with(w: &Work<'_>, owner: i64, word: &str) -> Step<Vec<i64>> {
    let mut statement =
        w.tx.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1")?;
    let rows: rusqlite::Result<Vec<i64>> = statement
        .query_map([format!("\"{}\"", Prefixed(owner, word))], |row| row.get(0))?
        .collect();
    match rows {
        // SQLite splits a word at letters that its Unicode version does not know, and this index
        // has no phrases: the word finds nothing.
        Err(error) if error.to_string().contains("phrase") => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(mut rows) => {
            // Never another owner's rows, whatever the stemmer made of the word.
            rows.retain(|id| owner_of(*id) == owner);
            Ok(rows)
        }
    }
}

fn owner_of(id: i64) -> i64 {
    id >> 32
}
