//! Reproducible text with the word frequencies of natural language (Zipf's law), in sentences and
//! conversations with topics.

use std::iter::repeat_with;

use fastrand::Rng;

/// The most frequent words of English, about 40 % of natural text.
const COMMON: [&str; 50] = [
    "the", "to", "and", "of", "a", "in", "is", "it", "you", "that", "he", "was", "for", "on",
    "are", "with", "as", "they", "at", "be", "this", "have", "from", "or", "one", "had", "by",
    "but", "not", "what", "all", "were", "we", "when", "your", "can", "said", "there", "use", "an",
    "each", "which", "she", "do", "how", "their", "if", "will", "up", "about",
];
/// Size of the vocabulary.
const WORDS: usize = 30_000;
/// Topic words of a conversation; each sentence contains one.
const TOPICS: usize = 12;

/// The vocabulary.
pub(crate) struct Language {
    words: Vec<String>,
    /// Cumulative weights of `words`.
    cumulative: Vec<f64>,
}

impl Language {
    pub(crate) fn new() -> Self {
        let mut rng = Rng::with_seed(1);
        let made_up = repeat_with(|| made_up_word(&mut rng)).take(WORDS - COMMON.len());
        let words: Vec<String> = COMMON
            .iter()
            .map(|&word| word.to_owned())
            .chain(made_up)
            .collect();
        let mut sum = 0.0;
        let cumulative = (1..=words.len())
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { words, cumulative }
    }

    /// One turn of a conversation: one to three sentences.
    pub(crate) fn turn(&self, conversation: u64, turn: u64) -> String {
        let topics = self.topics(conversation);
        let mut rng = Rng::with_seed(conversation << 32 | turn);
        let sentences = rng.usize(1..=3);
        let mut text = String::new();
        for _ in 0..sentences {
            self.sentence(&mut rng, &topics, &mut text);
        }
        text
    }

    /// A question about this turn, from its words that are not common; each turn has at least its
    /// topic.
    pub(crate) fn question(&self, conversation: u64, turn: u64) -> String {
        let said = self.turn(conversation, turn);
        let telling: Vec<&str> = said
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty() && !COMMON.contains(&word.to_lowercase().as_str()))
            .collect();
        let mut rng = Rng::with_seed(!(conversation << 32 | turn));
        let asked = rng.choose_multiple(&telling, 4);
        let asked: Vec<&str> = asked.into_iter().copied().collect();
        format!("What was it that they said about {}?", asked.join(" and "))
    }

    /// Paragraphs of exactly this many ASCII characters.
    pub(crate) fn long(&self, chars: usize) -> String {
        let topics = self.topics(0);
        let mut rng = Rng::with_seed(chars as u64);
        let mut text = String::with_capacity(chars + 200);
        while text.len() < chars {
            for _ in 0..rng.usize(3..=8) {
                self.sentence(&mut rng, &topics, &mut text);
            }
            text.push_str("\n\n");
        }
        text.truncate(chars);
        text
    }

    fn topics(&self, conversation: u64) -> Vec<&str> {
        let mut rng = Rng::with_seed(conversation);
        repeat_with(|| self.words[rng.usize(COMMON.len()..WORDS)].as_str())
            .take(TOPICS)
            .collect()
    }

    fn sentence(&self, rng: &mut Rng, topics: &[&str], text: &mut String) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push(' ');
        }
        let start = text.len();
        let length = rng.usize(5..=18);
        let topical = rng.usize(0..length);
        for place in 0..length {
            if place > 0 {
                text.push(' ');
            }
            text.push_str(if place == topical {
                topics[rng.usize(0..topics.len())]
            } else {
                self.word(rng)
            });
        }
        text[start..=start].make_ascii_uppercase();
        text.push('.');
    }

    fn word(&self, rng: &mut Rng) -> &str {
        let all = self.cumulative[self.cumulative.len() - 1];
        let drawn = rng.f64() * all;
        let rank = self.cumulative.partition_point(|&sum| sum < drawn);
        &self.words[rank.min(WORDS - 1)]
    }
}

/// Two to four syllables.
fn made_up_word(rng: &mut Rng) -> String {
    const ONSETS: [&str; 16] = [
        "b", "br", "d", "f", "g", "gr", "k", "l", "m", "n", "p", "pl", "r", "s", "t", "v",
    ];
    const VOWELS: [&str; 7] = ["a", "e", "i", "o", "u", "ea", "ou"];
    const CODAS: [&str; 6] = ["", "n", "r", "l", "st", "m"];
    let mut word = String::new();
    for _ in 0..rng.usize(2..=4) {
        for sounds in [&ONSETS[..], &VOWELS, &CODAS] {
            word.push_str(sounds[rng.usize(0..sounds.len())]);
        }
    }
    word
}
