//! The index of words: which word occurs in which row, by its own text or its neighbours'.
//!
//! A message is found by its own words and, half as well, by those of the two messages before it
//! and the one after it in its thread: an answer is found by the question before it.

use super::store::{Step, Work};
use super::words::{push_all, push_telling};

/// How many messages before one count as its neighbours.
const BEFORE: usize = 2;
/// How many messages after one count as its neighbours.
const AFTER: usize = 1;
/// A change to a thread reaches this far around it.
const REACH: i64 = (BEFORE + AFTER) as i64;

/// What is indexed of a row: the speaker's name and the text.
struct Spoken {
    id: i64,
    speaker: Option<String>,
    content: String,
}

impl Spoken {
    fn own(&self) -> String {
        let mut text = String::with_capacity(self.content.len());
        if let Some(speaker) = &self.speaker {
            push_all(&mut text, speaker);
        }
        push_all(&mut text, &self.content);
        text
    }

    fn push_to_neighbour(&self, text: &mut String) {
        if let Some(speaker) = &self.speaker {
            push_telling(text, speaker);
        }
        push_telling(text, &self.content);
    }
}

/// Indexes a text that has no neighbours.
pub(super) fn alone(w: &Work<'_>, id: i64, content: &str) -> Step<()> {
    let mut own = String::with_capacity(content.len());
    push_all(&mut own, content);
    put(w, id, &own, "")
}

/// Indexes the messages `first..=last` of a thread anew, where they are (still) in the graph, and
/// the messages around them whose neighbours they are or were.
pub(super) fn thread_part(w: &Work<'_>, thread: i64, first: i64, last: i64) -> Step<()> {
    let mut spoken = around(w, thread, first, "e.id < ?2 ORDER BY e.id DESC")?;
    spoken.reverse();
    let before = spoken.len();
    spoken.extend(between(w, thread, first, last)?);
    let inside = spoken.len();
    spoken.extend(around(w, thread, last, "e.id > ?2 ORDER BY e.id")?);

    let from = before.saturating_sub(AFTER);
    let to = (inside + BEFORE).min(spoken.len());
    for place in from..to {
        let mut near = String::new();
        let neighbours = place.saturating_sub(BEFORE)..(place + AFTER + 1).min(spoken.len());
        for neighbour in neighbours.filter(|other| *other != place) {
            spoken[neighbour].push_to_neighbour(&mut near);
        }
        put(w, spoken[place].id, &spoken[place].own(), &near)?;
    }
    Ok(())
}

const SPOKEN: &str = "SELECT e.id, s.name, e.content FROM episode e
    LEFT JOIN entity s ON s.id = e.speaker
    WHERE e.thread = ?1 AND e.in_graph AND e.ingested_at IS NOT NULL";

fn around(w: &Work<'_>, thread: i64, edge: i64, side: &str) -> Step<Vec<Spoken>> {
    Ok(w.tx
        .prepare_cached(&format!("{SPOKEN} AND {side} LIMIT ?3"))?
        .query_map((thread, edge, REACH), read)?
        .collect::<rusqlite::Result<_>>()?)
}

fn between(w: &Work<'_>, thread: i64, first: i64, last: i64) -> Step<Vec<Spoken>> {
    Ok(w.tx
        .prepare_cached(&format!(
            "{SPOKEN} AND e.id BETWEEN ?2 AND ?3 ORDER BY e.id"
        ))?
        .query_map((thread, first, last), read)?
        .collect::<rusqlite::Result<_>>()?)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Spoken> {
    Ok(Spoken {
        id: row.get(0)?,
        speaker: row.get(1)?,
        content: row.get(2)?,
    })
}

fn put(w: &Work<'_>, id: i64, own: &str, near: &str) -> Step<()> {
    w.tx.prepare_cached("REPLACE INTO words (rowid, own, near) VALUES (?1, ?2, ?3)")?
        .execute((id, own, near))?;
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
