//! Splits text into words, for the index and for questions.

use unicode_segmentation::UnicodeSegmentation;

/// English stop words. They are indexed all the same, so that a question of stop words alone finds
/// something.
const STOP_WORDS: [&str; 127] = [
    "a", "about", "above", "after", "again", "against", "all", "am", "an", "and", "any", "are",
    "as", "at", "be", "because", "been", "before", "being", "below", "between", "both", "but",
    "by", "can", "could", "d", "did", "do", "does", "doing", "don", "down", "during", "each",
    "few", "for", "from", "further", "had", "has", "have", "having", "he", "her", "here", "hers",
    "herself", "him", "himself", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "itself", "just", "ll", "m", "me", "more", "most", "my", "myself", "no", "nor", "not", "now",
    "of", "off", "on", "once", "only", "or", "other", "our", "ours", "out", "over", "own", "re",
    "s", "same", "she", "should", "so", "some", "such", "t", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "those", "through", "to", "too", "under",
    "until", "up", "ve", "very", "was", "we", "were", "what", "when", "where", "which", "while",
    "who", "why", "will", "with", "would", "you", "your",
];

/// How many words of a question are looked up at most: more than fit into 400 characters of prose.
const QUESTION_WORDS: usize = 64;

/// The words of a text in lower case.
///
/// Split by UAX #29, which also splits Chinese and Japanese, and then wherever SQLite's `unicode61`
/// splits, so that it never finds two words in one.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.unicode_words()
        .flat_map(|piece| piece.split(|c| !is_word_char(c)))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Letters, digits and combining accents. Circled and squared letters are letters for Unicode, but
/// not for `unicode61`.
fn is_word_char(c: char) -> bool {
    match c {
        '\u{300}'..='\u{36f}' => true,
        '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}' => false,
        c => c.is_alphanumeric(),
    }
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The distinct words of a question without its stop words, unless it has no others.
pub(crate) fn question(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in words(text) {
        if !all.contains(&word) {
            all.push(word);
        }
        if all.len() == 4 * QUESTION_WORDS {
            break;
        }
    }
    let content: Vec<String> = all.iter().filter(|w| !is_stop_word(w)).cloned().collect();
    let mut chosen = if content.is_empty() { all } else { content };
    chosen.truncate(QUESTION_WORDS);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stop_words_are_sorted_for_binary_search() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn text_of_any_script_is_split_into_words() {
        let split = |text: &str| words(text).collect::<Vec<_>>();
        assert_eq!(
            split("Don't e-mail me_at 3.14!"),
            ["don", "t", "e", "mail", "me", "at", "3", "14"]
        );
        assert_eq!(split("我喜欢茶"), ["我", "喜", "欢", "茶"]);
        assert_eq!(split("שלום, Ärger\u{301} Ⓐ 👍"), ["שלום", "ärger\u{301}"]);
    }

    #[test]
    fn a_question_keeps_each_content_word_once() {
        assert_eq!(
            question("What is the tea that the TEA lover likes?"),
            ["tea", "lover", "likes"]
        );
        assert_eq!(question("Who am I?"), ["who", "am", "i"]);
        assert!(question("?!").is_empty());
    }
}
