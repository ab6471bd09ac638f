//! Ranks an owner's rows: BM25F over two fields, a row's own words and its neighbours' words at
//! half the weight, so that an answer is found by the words of the question before it.
//!
//! The neighbours of a message are the two before it and the one after it in its thread. Their
//! words are not indexed with it: they would make up three quarters of the index, and each new
//! message would change the row before it. They are taken from the thread's order at query time.
//!
//! FTS5's own `bm25()` is not used: it counts every word over the whole table.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::local::sqlite::{Step, Work};
use crate::local::tables::index;
use crate::local::tables::owners::OwnerRow;

/// How fast the weight of further occurrences saturates (BM25's k1).
const K1: f32 = 1.2;
/// The weight of a row's own words.
const OWN_WEIGHT: f32 = 1.0;
/// The weight of the neighbours' words, measured on the LoCoMo questions.
const NEAR_WEIGHT: f32 = 0.5;
/// The messages that have a message as their neighbour, by position relative to it: it is the one
/// after its predecessor, and among the two before each of its two successors.
const NEIGHBOUR_OF: [isize; 3] = [-1, 1, 2];

/// A row and its score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// The row id.
    pub(super) id: i64,
    /// Above 0.
    pub(super) score: f32,
}

impl Ord for Hit {
    /// By score, then newest.
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

/// The matching rows, best first when popped, and the score of a row that has every word itself.
pub(super) struct Ranking {
    pub(super) hits: BinaryHeap<Hit>,
    pub(super) full_score: f32,
}

/// Ranks an owner's rows by these words.
pub(super) fn rank(w: &Work<'_>, owner: &OwnerRow, words: &[String]) -> Step<Ranking> {
    let (first, _) = owner.range();
    let position_of = |id: i64| usize::try_from(id - first).unwrap_or(usize::MAX);
    let mut found: Vec<Vec<usize>> = Vec::with_capacity(words.len());
    for word in words {
        let rows = index::rows_with(w, owner.id, word)?;
        found.push(rows.into_iter().map(position_of).collect());
    }
    let rows = position_of(first + owner.next_n);
    let mut scores = Scores::default();
    if found.iter().any(|rows| !rows.is_empty()) {
        scores = Scores::new(rows, Threads::read(w, owner, rows, position_of)?);
    }
    let full_score = found.iter().map(|own| scores.add(rows, own)).sum();
    let hits = (first..)
        .zip(scores.scores)
        .filter(|(_, score)| *score > 0.0)
        .map(|(id, score)| Hit { id, score })
        .collect();
    Ok(Ranking { hits, full_score })
}

/// The scores of an owner's rows, by position in the owner's range.
#[derive(Default)]
pub(super) struct Scores {
    pub(super) scores: Vec<f32>,
    /// The current word's weight in each row; all 0 between two words.
    weights: Vec<f32>,
    threads: Threads,
}

impl Scores {
    pub(super) fn new(rows: usize, threads: Threads) -> Self {
        Self {
            scores: vec![0.0; rows],
            weights: vec![0.0; rows],
            threads,
        }
    }

    /// Adds a word that these rows have themselves. Returns its score in a row without neighbours.
    pub(super) fn add(&mut self, rows: usize, own: &[usize]) -> f32 {
        let mut touched = Vec::new();
        for place in own {
            for neighbour in self.threads.neighbours_of(*place) {
                if let Some(weight) = self.weights.get_mut(neighbour)
                    && *weight == 0.0
                {
                    *weight = NEAR_WEIGHT;
                    touched.push(neighbour);
                }
            }
        }
        for place in own {
            if let Some(weight) = self.weights.get_mut(*place) {
                if *weight == 0.0 {
                    touched.push(*place);
                }
                *weight += OWN_WEIGHT;
            }
        }
        let idf = inverse_frequency(rows, touched.len());
        for place in touched {
            self.scores[place] += idf * saturated(self.weights[place]);
            self.weights[place] = 0.0;
        }
        idf * saturated(OWN_WEIGHT)
    }
}

/// The order of an owner's messages in their threads.
#[derive(Default)]
pub(super) struct Threads {
    /// Thread after thread, each in its order: thread and position of the row.
    order: Vec<(i64, usize)>,
    /// The index of each row in `order`, or [`NOWHERE`].
    index: Vec<u32>,
}

/// The index of rows in no thread.
const NOWHERE: u32 = u32::MAX;

impl Threads {
    fn read(
        w: &Work<'_>,
        owner: &OwnerRow,
        rows: usize,
        position_of: impl Fn(i64) -> usize,
    ) -> Step<Self> {
        // Answered from the indexes alone.
        let order: Vec<(i64, usize)> =
            w.tx.prepare_cached(
                "SELECT e.thread, e.id FROM thread t CROSS JOIN episode e ON e.thread = t.id
                 WHERE t.owner = ?1 ORDER BY t.id, e.id",
            )?
            .query_map([owner.id], |row| {
                Ok((row.get(0)?, position_of(row.get(1)?)))
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self::new(rows, order))
    }

    fn new(rows: usize, order: Vec<(i64, usize)>) -> Self {
        let mut index = vec![NOWHERE; rows];
        for (place, (_, row)) in (0..NOWHERE).zip(&order) {
            if let Some(index) = index.get_mut(*row) {
                *index = place;
            }
        }
        Self { order, index }
    }

    /// The rows that have this row as a neighbour.
    fn neighbours_of(&self, row: usize) -> impl Iterator<Item = usize> {
        let place = self.index.get(row).copied().filter(|at| *at != NOWHERE);
        place.into_iter().flat_map(move |at| {
            let at = at as usize;
            let thread = self.order[at].0;
            NEIGHBOUR_OF
                .into_iter()
                .filter_map(move |step| self.order.get(at.checked_add_signed(step)?))
                .filter(move |(other, _)| *other == thread)
                .map(|(_, row)| *row)
        })
    }
}

/// BM25's IDF of a word that occurs in `found` of `rows` rows.
fn inverse_frequency(rows: usize, found: usize) -> f32 {
    let (rows, found) = (rows.max(found) as f32, found as f32);
    (1.0 + (rows - found + 0.5) / (found + 0.5)).ln()
}

fn saturated(weight: f32) -> f32 {
    weight * (K1 + 1.0) / (K1 + weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_neighbour_of_the_one_before_it_and_the_two_after_it_in_its_thread() {
        let threads = Threads::new(7, vec![(1, 0), (1, 2), (1, 3), (1, 5), (2, 1), (2, 6)]);
        let of = |row| threads.neighbours_of(row).collect::<Vec<_>>();
        assert_eq!(of(0), [2, 3]);
        assert_eq!(of(2), [0, 3, 5]);
        assert_eq!(of(5), [3]);
        assert_eq!(of(1), [6]);
        assert!(of(4).is_empty() && of(99).is_empty());
    }

    #[test]
    fn a_row_with_the_word_next_to_another_one_scores_most() {
        let mut scores = Scores::new(9, Threads::new(9, (0..5).map(|row| (1, row)).collect()));
        scores.add(9, &[1, 2]);
        let score = &scores.scores;
        assert!(score[2] > score[0], "has the word, and a neighbour with it");
        assert_eq!(score[2], score[1]);
        assert_eq!(score[0], score[3]);
        assert_eq!(score[3], score[4]);
        assert_eq!(score[5], 0.0);
        assert!(scores.weights.iter().all(|weight| *weight == 0.0));
    }

    #[test]
    fn rare_words_weigh_more() {
        assert!(inverse_frequency(100, 1) > inverse_frequency(100, 50));
        assert!(inverse_frequency(100, 100) > 0.0);
    }
}
