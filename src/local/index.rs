//! The index of words: which word occurs in which row, the speaker's name included.
//!
//! Every word is indexed with its owner's number before it (`17xtea`). So the rows of one word are
//! those of one owner, side by side in the file: a search reads what its owner wrote and nothing
//! else, however much others did.

use std::fmt::{self, Write};

use super::store::{Step, Work};
use super::words::words;

/// A word of an owner, as the index has it. Digits and `x` are consonants to the stemmer, which
/// therefore treats the word as it would without them.
struct Marked<'a>(i64, &'a str);

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.0, self.1)
    }
}

/// Indexes a row, or indexes it anew.
pub(super) fn put(w: &Work<'_>, id: i64, speaker: Option<&str>, content: &str) -> Step<()> {
    let owner = owner_of(id);
    let mut text = String::with_capacity(2 * content.len());
    for word in speaker.into_iter().chain([content]).flat_map(words) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{} ", Marked(owner, &word));
    }
    w.tx.prepare_cached("REPLACE INTO words (rowid, text) VALUES (?1, ?2)")?
        .execute((id, text))?;
    Ok(())
}

/// Forgets a row.
pub(super) fn remove(w: &Work<'_>, id: i64) -> Step<()> {
    w.tx.prepare_cached("DELETE FROM words WHERE rowid = ?1")?
        .execute([id])?;
    Ok(())
}

/// Forgets all messages of a thread and the texts of their facts.
pub(super) fn remove_thread(w: &Work<'_>, thread: i64) -> Step<()> {
    w.tx.execute(
        "DELETE FROM words WHERE rowid IN (
           SELECT id FROM episode WHERE thread = ?1
           UNION ALL
           SELECT fact_doc FROM episode WHERE thread = ?1 AND fact_doc IS NOT NULL)",
        [thread],
    )?;
    Ok(())
}

/// The rows of an owner in which a word occurs, in order.
pub(super) fn rows_with(w: &Work<'_>, owner: i64, word: &str) -> Step<Vec<i64>> {
    let mut statement =
        w.tx.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1")?;
    let rows: rusqlite::Result<Vec<i64>> = statement
        .query_map([format!("\"{}\"", Marked(owner, word))], |row| row.get(0))?
        .collect();
    match rows {
        // Letters that Unicode has but SQLite does not know yet split a word, and this index has no
        // phrases. Such a word finds nothing.
        Err(error) if error.to_string().contains("phrase") => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(mut rows) => {
            // Nothing of anybody else's, whatever a stemmer made of the words.
            rows.retain(|id| owner_of(*id) == owner);
            Ok(rows)
        }
    }
}

fn owner_of(id: i64) -> i64 {
    id >> 32
}
