//! How like a question texts are that are in no file, by the store's words and ranking.

use rusqlite::Connection;

use super::ranking::Scores;
use crate::local::words::{question, words};

/// As the index of the file (`sqlite/schema`).
const LAYOUT: &str = "CREATE VIRTUAL TABLE words USING fts5 (
  text, content = '', detail = none,
  tokenize = \"porter unicode61 categories 'L* N* Co M*'\"
)";

/// How like a question each of these texts is, in 0-1. Blocks for some milliseconds a hundred texts.
pub fn likeness(asked: &str, texts: &[String]) -> Vec<f64> {
    let nothing = vec![0.0; texts.len()];
    if texts.is_empty() {
        return nothing;
    }
    // Nothing is read or written outside of memory, so nothing is expected to fail.
    of(asked, texts).unwrap_or(nothing)
}

fn of(asked: &str, texts: &[String]) -> rusqlite::Result<Vec<f64>> {
    let mut db = Connection::open_in_memory()?;
    let index = db.transaction()?;
    index.execute_batch(LAYOUT)?;
    {
        let mut put = index.prepare("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
        for (row, text) in texts.iter().enumerate() {
            let text: Vec<String> = words(text).collect();
            put.execute((row as i64 + 1, text.join(" ")))?;
        }
    }
    let mut find = index.prepare("SELECT rowid FROM words WHERE words MATCH ?1")?;
    let mut scores = Scores::new(texts.len(), Default::default());
    let mut full_score = 0.0;
    for word in question(asked) {
        let rows = find.query_map([format!("\"{word}\"")], |row| {
            Ok(usize::try_from(row.get::<_, i64>(0)? - 1).unwrap_or(usize::MAX))
        })?;
        full_score += scores.add(texts.len(), &rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let similarity = |score: f32| match full_score > 0.0 {
        true => f64::from((score / full_score).min(1.0)),
        false => 0.0,
    };
    Ok(scores.scores.into_iter().map(similarity).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_with_the_words_of_the_question_is_most_alike() {
        let texts = ["Likes green tea", "Went hiking", "Has a cat"].map(str::to_owned);
        let alike = likeness("Does she hike?", &texts);
        assert!(
            alike[1] > 0.9 && alike[0] == 0.0 && alike[2] == 0.0,
            "{alike:?}"
        );
        assert_eq!(likeness("!", &texts), [0.0, 0.0, 0.0]);
        assert!(likeness("tea", &[]).is_empty());
    }
}
