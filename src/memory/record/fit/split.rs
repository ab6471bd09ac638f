//! Splits text into pieces within Zep's limits.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::{FitError, Gap};

/// A longer stretch of blanks, in characters, is cut out of text that has to be split, so that no
/// piece can be blank. The same at every level, so that the number of parts tells the level.
const BLANKS_KEPT_WHOLE: usize = 400;
/// How many characters of a stretch stay, to keep the words around it apart.
const BLANKS_LEFT: usize = 2;
/// How much shorter than its limit a piece may be to end at a good place: a third.
const SHORTEST_PIECE: (usize, usize) = (2, 3);
/// How many characters behind the limit are examined to judge a place to cut.
const LOOK_AHEAD: usize = 64;

/// One piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text: never blank.
    pub text: String,
    /// Its gaps, in order.
    pub gaps: Vec<Gap>,
}

/// Whether text is blank: white space and the separators U+001C to U+001F, as Zep's loader has it
/// (zep-ingest 0.3.0, `str.strip`).
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_blank_char)
}

fn is_blank_char(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The text trimmed of blanks.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank_char)
}

/// Splits text into pieces of at most `max_chars` characters (Unicode scalar values; at least 1),
/// none of them blank. The pieces with their gaps, concatenated, are the text.
///
/// Cuts at the end of a paragraph, else of a sentence, else of a word in the last third of a piece,
/// else between graphemes, and inside a grapheme only if it fills that third. Takes linear time.
///
/// # Errors
/// [`FitError::Blank`] if the text is blank.
pub fn split(text: &str, max_chars: usize) -> Result<Vec<Piece>, FitError> {
    if is_blank(text) {
        return Err(FitError::Blank);
    }
    let max_chars = max_chars.max(1);
    if text.chars().nth(max_chars).is_none() {
        return Ok(vec![Piece {
            text: text.to_owned(),
            gaps: Vec::new(),
        }]);
    }
    let (text, gaps) = cut_out_long_blanks(text, max_chars);
    let last_word = text.rfind(|c| !is_blank_char(c)).unwrap_or_default();
    let mut gaps = gaps.into_iter().peekable();
    let mut pieces = Vec::new();
    let (mut start, mut chars_before) = (0, 0);
    while start < text.len() {
        let rest = &text[start..];
        let piece = &rest[..piece_length(rest, last_word - start, max_chars)];
        let chars = piece.chars().count();
        let mut own = Vec::new();
        while let Some(gap) = gaps.next_if(|gap| gap.at <= chars_before + chars) {
            own.push(Gap {
                at: gap.at - chars_before,
                text: gap.text,
            });
        }
        pieces.push(Piece {
            text: piece.to_owned(),
            gaps: own,
        });
        start += piece.len();
        chars_before += chars;
    }
    Ok(pieces)
}

/// The text without its long stretches of blanks, and these as gaps. No stretch of more than
/// `(max_chars - 1) / 2` blanks remains, which [`piece_length`] relies on.
fn cut_out_long_blanks(text: &str, max_chars: usize) -> (String, Vec<Gap>) {
    let longest = BLANKS_KEPT_WHOLE.min((max_chars - 1) / 2);
    let left = BLANKS_LEFT.min(longest);
    let mut kept = String::with_capacity(text.len());
    let mut kept_chars = 0;
    let mut gaps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let blank = rest.starts_with(is_blank_char);
        let end = rest
            .find(|c| is_blank_char(c) != blank)
            .unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        let chars = run.chars().count();
        if !blank || chars <= longest {
            kept.push_str(run);
            kept_chars += chars;
            continue;
        }
        let cut = byte_of_char(run, left);
        kept.push_str(&run[..cut]);
        kept_chars += left;
        gaps.push(Gap {
            at: kept_chars,
            text: run[cut..].to_owned(),
        });
    }
    (kept, gaps)
}

/// The bytes of `rest` that the next piece takes. `last_word` is the place of the last character
/// that is not blank: every piece needs one.
///
/// Let b = (max_chars - 1) / 2, the longest stretch of blanks. If `rest` is longer than a piece,
/// at least max_chars - b > b characters stand before its last one that is not blank, and at most
/// b before its first one: so there is always a place to cut between them.
fn piece_length(rest: &str, last_word: usize, max_chars: usize) -> usize {
    let Some((limit, _)) = rest.char_indices().nth(max_chars) else {
        return rest.len();
    };
    let limit = limit.min(last_word);
    let first_word = rest.find(|c| !is_blank_char(c)).unwrap_or_default();
    let behind_first = first_word + rest[first_word..].chars().next().map_or(0, char::len_utf8);
    let shortest = byte_of_char(rest, max_chars * SHORTEST_PIECE.0 / SHORTEST_PIECE.1);
    // If only blanks follow the last word and the limit lies before it, any place will do.
    let from = if shortest < limit { shortest } else { 0 }.max(behind_first);
    best_cut(rest, from, limit)
}

/// The best place to cut in `from..=limit`.
fn best_cut(text: &str, from: usize, limit: usize) -> usize {
    let ahead = limit + byte_of_char(&text[limit..], LOOK_AHEAD);
    let region = &text[from..ahead];
    let in_range = |place: &usize| *place > from && *place <= limit;
    let whole = |place: &&usize| is_whole(text, **place);
    let sentences: Vec<usize> = region
        .split_sentence_bound_indices()
        .map(|(at, _)| from + at)
        .filter(in_range)
        .collect();
    if let Some(&place) = sentences
        .iter()
        .rev()
        .filter(|place| ends_paragraph(&text[..**place]))
        .find(whole)
        .or_else(|| sentences.iter().rev().find(whole))
    {
        return place;
    }
    // Forwards: backwards, each step would count a row of flag emoji anew.
    let words: Vec<usize> = region
        .split_word_bound_indices()
        .map(|(at, _)| from + at)
        .filter(in_range)
        .collect();
    words
        .iter()
        .rev()
        .filter(|place| text[..**place].ends_with(is_blank_char))
        .find(whole)
        .or_else(|| words.iter().rev().find(whole))
        .copied()
        .unwrap_or_else(|| whole_before(text, from, limit))
}

fn ends_paragraph(text: &str) -> bool {
    text.strip_suffix('\n')
        .is_some_and(|line| line.trim_end_matches([' ', '\t', '\r']).ends_with('\n'))
}

/// The last grapheme boundary in `from..=limit`; the limit itself if there is none.
fn whole_before(text: &str, from: usize, limit: usize) -> usize {
    if is_whole(text, limit) {
        return limit;
    }
    GraphemeCursor::new(limit, text.len(), true)
        .prev_boundary(text, 0)
        .ok()
        .flatten()
        .filter(|&place| place >= from && place > 0)
        .unwrap_or(limit)
}

fn is_whole(text: &str, place: usize) -> bool {
    GraphemeCursor::new(place, text.len(), true)
        .is_boundary(text, 0)
        .unwrap_or(true)
}

/// The beginning of a text, at most `max_chars` characters, cut at a grapheme boundary.
pub(crate) fn shorten(text: &str, max_chars: usize) -> &str {
    let limit = byte_of_char(text, max_chars);
    &text[..whole_before(text, 0, limit)]
}

fn byte_of_char(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zep::gap::restore;

    fn texts(text: &str, max_chars: usize) -> Vec<String> {
        let pieces = split(text, max_chars).unwrap();
        let whole: String = pieces.iter().map(|p| restore(&p.text, &p.gaps)).collect();
        assert!(whole == text, "{} bytes became {}", text.len(), whole.len());
        for piece in &pieces {
            assert!(!is_blank(&piece.text));
            assert!(piece.text.chars().count() <= max_chars);
        }
        pieces.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn cuts_fall_at_paragraphs_then_sentences_then_words() {
        let paragraphs = format!("{}. Go.\n\n{}", "a".repeat(70), "b ".repeat(30));
        assert_eq!(
            texts(&paragraphs, 100)[0],
            format!("{}. Go.\n\n", "a".repeat(70))
        );
        let crlf = format!("{}. Go.\r\n \r\n{}", "a".repeat(70), "b. ".repeat(30));
        assert!(texts(&crlf, 100)[0].ends_with("Go.\r\n \r\n"));
        let sentences = format!("{}. Go on. {}", "a".repeat(70), "B ".repeat(60));
        assert!(texts(&sentences, 100)[0].ends_with("Go on. "));
        let words = "word ".repeat(50);
        assert!(
            texts(&words, 99)
                .iter()
                .all(|piece| piece.ends_with("word "))
        );
    }

    #[test]
    fn no_visible_character_is_torn() {
        for unit in ["👩‍👩‍👧‍👦", "🇨🇭", "e\u{301}\u{323}", "\r\n.", "각", "क्षि", "שָׁ"]
        {
            let text = unit.repeat(2_000);
            let mut place = 0;
            for piece in texts(&text, 400) {
                place += piece.len();
                assert!(is_whole(&text, place), "{unit:?} torn at {place}");
            }
        }
    }

    #[test]
    fn pieces_are_well_filled() {
        for (text, most) in [
            ("word ".repeat(820), 2),
            ("x".repeat(4_100), 2),
            ("x".repeat(100_000), 25),
            ("One sentence of some length. ".repeat(4_000), 30),
            (format!("{}\n\n", "y".repeat(1_500)).repeat(100), 52),
        ] {
            let pieces = texts(&text, 4_000).len();
            assert!(pieces <= most, "{pieces} pieces, not {most}");
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        for text in ["x", " x\n", &format!("{}x", " ".repeat(3_999))] {
            let pieces = split(text, 4_000).unwrap();
            assert_eq!(pieces.len(), 1);
            assert_eq!((pieces[0].text.as_str(), pieces[0].gaps.len()), (text, 0));
        }
    }

    #[test]
    fn huge_blanks_survive_and_leave_the_words_apart() {
        assert_eq!(texts(&format!("a{}b", " ".repeat(9_000)), 4_000), ["a  b"]);
        assert_eq!(texts(&format!("{}b", "\n".repeat(9_000)), 4_000), ["\n\nb"]);
        assert_eq!(
            texts(&format!("a{}", "\t".repeat(900_000)), 4_000),
            ["a\t\t"]
        );
        for blanks in 0..12 {
            for max in 1..9 {
                let run = " ".repeat(blanks);
                texts(&format!("{run}a{run}b{run}"), max);
                texts(&format!("{run}a\u{301}{run}"), max);
                texts(&format!("aaaaaa{run}aaaaa{run}"), max);
            }
        }
    }

    #[test]
    fn long_text_of_any_kind_comes_back_whole() {
        for unit in [
            "x",
            "\u{301}",
            "🇨🇭",
            "\u{200d}",
            "👩\u{200d}",
            " x",
            "\n",
            ". ",
            "1.",
            "a\n",
            "क्",
            "\"",
        ] {
            let text = format!("x{}x", unit.repeat(300_000 / unit.len()));
            texts(&text, 4_000);
        }
    }
}
