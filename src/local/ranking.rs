//! Which rows of an owner fit a question best: BM25F over the two columns of the index.
//!
//! Not FTS5's own `bm25()`, which counts every word over the whole table: here each word is asked
//! for, column by column, in the owner's range of rows only.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::owners::OwnerRow;
use super::store::{Step, Work};

/// How soon more occurrences stop to matter (BM25's k1).
const K1: f32 = 1.2;
/// What a word among a row's own words weighs.
const OWN_WEIGHT: f32 = 1.0;
/// What a word among the neighbours' words weighs: measured on the LoCoMo questions.
const NEAR_WEIGHT: f32 = 0.5;

/// A row and how well it fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// The row.
    pub id: i64,
    /// Above 0.
    pub score: f32,
}

impl Ord for Hit {
    /// The better, and of equals the newer, is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Hit {}

/// The rows that fit, best first when popped, and what a row scores that says every word itself.
pub(super) struct Ranking {
    pub hits: BinaryHeap<Hit>,
    pub full_score: f32,
}

/// Ranks an owner's rows by these words.
pub(super) fn rank(w: &Work<'_>, owner: &OwnerRow, words: &[String]) -> Step<Ranking> {
    let (first, _) = owner.range();
    let rows = owner.next_n.max(1);
    let mut scores: Vec<f32> = Vec::new();
    let mut full_score = 0.0;
    for word in words {
        let own = rows_with(w, owner, "own", word)?;
        let near = rows_with(w, owner, "near", word)?;
        let found = own.len() + near.len() - in_both(&own, &near);
        let idf = inverse_frequency(rows, found);
        full_score += idf * saturated(OWN_WEIGHT);
        if found > 0 && scores.is_empty() {
            scores.resize(usize::try_from(rows).unwrap_or(0), 0.0);
        }
        for_each_row(&own, &near, |id, weight| {
            let place = usize::try_from(id - first).unwrap_or(usize::MAX);
            if let Some(score) = scores.get_mut(place) {
                *score += idf * saturated(weight);
            }
        });
    }
    let hits = (first..)
        .zip(scores)
        .filter(|(_, score)| *score > 0.0)
        .map(|(id, score)| Hit { id, score })
        .collect();
    Ok(Ranking { hits, full_score })
}

/// The rows of an owner in which a word occurs in a column, in order.
fn rows_with(w: &Work<'_>, owner: &OwnerRow, column: &str, word: &str) -> Step<Vec<i64>> {
    let (first, last) = owner.range();
    let mut statement = w.tx.prepare_cached(
        "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3",
    )?;
    let rows = statement
        .query_map((format!("{column} : \"{word}\""), first, last), |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<_>>();
    match rows {
        // Letters that Unicode has but SQLite does not know yet split a word, and this index has no
        // phrases. Such a word finds nothing.
        Err(error) if error.to_string().contains("phrase") => Ok(Vec::new()),
        rows => Ok(rows?),
    }
}

/// How telling a word is that occurs in `found` of `rows` rows.
fn inverse_frequency(rows: i64, found: usize) -> f32 {
    let found = found as f32;
    let others = (rows as f32 - found).max(0.0);
    (1.0 + (others + 0.5) / (found + 0.5)).ln()
}

fn saturated(weight: f32) -> f32 {
    weight * (K1 + 1.0) / (K1 + weight)
}

fn in_both(own: &[i64], near: &[i64]) -> usize {
    let mut both = 0;
    for_each_row(own, near, |_, weight| {
        both += usize::from(weight > OWN_WEIGHT);
    });
    both
}

/// Walks two ordered lists at once and gives each row the weight of the columns it is in.
fn for_each_row(own: &[i64], near: &[i64], mut take: impl FnMut(i64, f32)) {
    let (mut own, mut near) = (own.iter().peekable(), near.iter().peekable());
    loop {
        let order = match (own.peek(), near.peek()) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let next = match order {
            Ordering::Less => own.next().map(|id| (id, OWN_WEIGHT)),
            Ordering::Greater => near.next().map(|id| (id, NEAR_WEIGHT)),
            Ordering::Equal => {
                near.next();
                own.next().map(|id| (id, OWN_WEIGHT + NEAR_WEIGHT))
            }
        };
        if let Some((id, weight)) = next {
            take(*id, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_in_both_columns_weighs_more_than_one_in_either() {
        let mut seen = Vec::new();
        for_each_row(&[1, 3, 5], &[2, 3, 9], |id, weight| seen.push((id, weight)));
        assert_eq!(seen, [(1, 1.0), (2, 0.5), (3, 1.5), (5, 1.0), (9, 0.5)]);
        assert_eq!(in_both(&[1, 3, 5], &[2, 3, 9]), 1);
    }

    #[test]
    fn rare_words_tell_more() {
        assert!(inverse_frequency(100, 1) > inverse_frequency(100, 50));
        assert!(inverse_frequency(100, 100) > 0.0);
    }
}
