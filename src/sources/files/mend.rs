//! What programs write that is no JSON, and can mean only one thing: `NaN` and `Infinity` (Python,
//! pandas), half a surrogate pair (a text that was cut within an emoji), and control characters within
//! a text. All of them are mended while they are read, so that they cost no record; bytes that are no
//! UTF-8 cost the record that has them, and nothing behind it.

use std::collections::VecDeque;

/// What was written in the place of something that is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mended {
    /// `\t` and the like for a control character. Nothing is different.
    Control,
    /// `null` for a number that is none.
    NotANumber,
    /// U+FFFD for half a surrogate pair.
    Surrogate,
    /// U+FFFD for bytes that are no UTF-8: what they meant is lost.
    NotUtf8,
}

impl Mended {
    /// What a report says of it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Control => {
                "has a control character that JSON does not allow within a text; it was kept"
            }
            Self::NotANumber => "has a number that is none (`NaN` or `Infinity`), read as null",
            Self::Surrogate => {
                "has half of a character that takes two escapes, such as an emoji that was cut; read \
                 as U+FFFD"
            }
            Self::NotUtf8 => {
                "is not UTF-8; convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
            }
        }
    }
}

const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

const NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// The length of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// Mends bytes in pieces.
#[derive(Debug, Default)]
pub(super) struct Mend {
    in_text: bool,
    /// What was mended and not taken yet, with where that was in what was written.
    done: VecDeque<(u64, Mended)>,
}

/// How many are remembered. Ours: each token takes what was mended in it, and a part of a file that
/// is skipped as a whole has no use for more.
const MOST: usize = 1024;

impl Mend {
    /// The worst that was mended before this place.
    #[inline]
    pub(super) fn take(&mut self, before: u64) -> Option<Mended> {
        let mut worst = None;
        while self.done.front().is_some_and(|(at, _)| *at < before) {
            worst = worst.max(self.done.pop_front().map(|(_, mended)| mended));
        }
        worst
    }

    /// Appends the bytes to `into`, mended. `before` is how many bytes were written before `into`.
    /// Answers how many bytes were read: what may be the beginning of something longer is left, unless
    /// they are the last ones.
    pub(super) fn pass(
        &mut self,
        bytes: &[u8],
        are_last: bool,
        before: u64,
        into: &mut Vec<u8>,
    ) -> usize {
        let mut read = 0;
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid().as_bytes();
            let ends = read + valid.len() == bytes.len();
            let passed = self.text(valid, are_last || !ends, before, into);
            read += passed;
            if passed < valid.len() || chunk.invalid().is_empty() {
                break;
            }
            let is_cut = read + chunk.invalid().len() == bytes.len() && chunk.invalid().len() < 4;
            if is_cut && !are_last {
                break;
            }
            self.note(before, into, Mended::NotUtf8);
            into.extend_from_slice(REPLACEMENT);
            read += chunk.invalid().len();
        }
        read
    }

    /// The same for bytes that are UTF-8.
    fn text(&mut self, bytes: &[u8], are_last: bool, before: u64, into: &mut Vec<u8>) -> usize {
        let mut at = 0;
        let mut written = 0;
        while let Some(byte) = bytes.get(at) {
            let (length, mended) = match (self.in_text, *byte) {
                (_, b'"') => {
                    self.in_text = !self.in_text;
                    (1, None)
                }
                (true, b'\n') => {
                    // No text continues across a line end.
                    self.in_text = false;
                    (1, None)
                }
                (true, b'\\') => match escape(&bytes[at..]) {
                    Some(found) => found,
                    None if are_last => (2, None),
                    None => break,
                },
                (true, 0..0x20) if *byte != b'\r' => (1, Some(Mended::Control)),
                (false, b'N' | b'I' | b'-') => match number(&bytes[at..]) {
                    Some(found) => found,
                    None if are_last => (1, None),
                    None => break,
                },
                _ => (1, None),
            };
            if let Some(mended) = mended {
                into.extend_from_slice(&bytes[written..at]);
                self.note(before, into, mended);
                match mended {
                    Mended::Control => into.extend(format!("\\u{byte:04x}").bytes()),
                    Mended::NotANumber => into.extend_from_slice(b"null"),
                    Mended::Surrogate | Mended::NotUtf8 => into.extend_from_slice(REPLACEMENT),
                }
                written = at + length;
            }
            at += length;
        }
        let at = at.min(bytes.len());
        into.extend_from_slice(&bytes[written..at]);
        at
    }

    fn note(&mut self, before: u64, into: &[u8], mended: Mended) {
        if self.done.len() < MOST {
            self.done.push_back((before + into.len() as u64, mended));
        }
    }
}

/// An escape: its length, and what is wrong with it. `None` if more bytes are needed.
fn escape(bytes: &[u8]) -> Option<(usize, Option<Mended>)> {
    if *bytes.get(1)? != b'u' {
        return Some((2, None));
    }
    let unit = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.get(2..ESCAPE)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    if bytes.len() < ESCAPE {
        return None;
    }
    match unit(bytes) {
        Some(0xD800..0xDC00) => {}
        Some(0xDC00..0xE000) => return Some((ESCAPE, Some(Mended::Surrogate))),
        _ => return Some((2, None)),
    }
    let next = &bytes[ESCAPE..];
    let may_follow = next.iter().zip(b"\\u").all(|(is, must)| is == must);
    if may_follow && next.len() < ESCAPE && !next.contains(&b'"') {
        return None;
    }
    match unit(next) {
        Some(0xDC00..0xE000) if next.starts_with(b"\\u") => Some((2 * ESCAPE, None)),
        _ => Some((ESCAPE, Some(Mended::Surrogate))),
    }
}

/// What may be a number that is none: its length. `None` if more bytes are needed.
fn number(bytes: &[u8]) -> Option<(usize, Option<Mended>)> {
    for number in NUMBERS {
        if bytes.starts_with(number) {
            return Some((number.len(), Some(Mended::NotANumber)));
        }
        if number.starts_with(bytes) {
            return None;
        }
    }
    Some((1, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &[u8], piece: usize) -> (String, Vec<Mended>) {
        let mut mend = Mend::default();
        let mut out = Vec::new();
        let mut waiting = Vec::new();
        for bytes in text.chunks(piece) {
            waiting.extend_from_slice(bytes);
            let read = mend.pass(&waiting, false, 0, &mut out);
            waiting.drain(..read);
        }
        assert_eq!(mend.pass(&waiting, true, 0, &mut out), waiting.len());
        let done = mend.done.into_iter().map(|(_, mended)| mended).collect();
        (String::from_utf8(out).unwrap(), done)
    }

    #[test]
    fn what_is_no_json_is_mended_wherever_it_is_cut() {
        use Mended::*;
        let cases: [(&[u8], &str, &[Mended]); 12] = [
            (br#"{"a":1}"#, r#"{"a":1}"#, &[]),
            (
                br#"[NaN,-Infinity,Infinity,-1]"#,
                "[null,null,null,-1]",
                &[NotANumber; 3],
            ),
            (
                br#"["NaN \" NaN",NaN]"#,
                r#"["NaN \" NaN",null]"#,
                &[NotANumber],
            ),
            (br#"["\ud83d\ude00"]"#, r#"["\ud83d\ude00"]"#, &[]),
            (br#"["\\ud83d"]"#, r#"["\\ud83d"]"#, &[]),
            (br#"["a\ud83d"]"#, "[\"a\u{FFFD}\"]", &[Surrogate]),
            (
                br#"["\ud83d\u0041 \ude00"]"#,
                "[\"\u{FFFD}\\u0041 \u{FFFD}\"]",
                &[Surrogate; 2],
            ),
            (
                br#"["\ud83d\ud83d\ude00"]"#,
                "[\"\u{FFFD}\\ud83d\\ude00\"]",
                &[Surrogate],
            ),
            (b"[\"a\tb\"]\t", "[\"a\\u0009b\"]\t", &[Control]),
            (
                b"[\"caf\xe9\",\"caf\xc3\xa9\"]",
                "[\"caf\u{FFFD}\",\"café\"]",
                &[NotUtf8],
            ),
            (b"{\"a\":\"b\nNaN", "{\"a\":\"b\nnull", &[NotANumber]),
            (b"[\"\\ud83d", "[\"\\ud83d", &[]),
        ];
        for (text, expected, done) in cases {
            for piece in 1..=text.len() {
                let (out, found) = mended(text, piece);
                let shown = String::from_utf8_lossy(text);
                assert_eq!(out, expected, "{shown} by {piece}");
                assert_eq!(found, done, "{shown} by {piece}");
            }
        }
    }
}
