//! How the lines are linked.
//!
//! A line is `{"seq":N,"at":"…","prev":"P",…,"hash":"H"}`. `P` is the hash of the line before it, 64
//! zeros for the first. `H` is the SHA-256 of the line's bytes before `,"hash":`, so that it covers `P`:
//! no form of JSON has to be agreed on, and `sha256sum` is enough to check a line by hand.

use std::fmt;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

/// The length of a SHA-256, in bytes.
const BYTES: usize = 32;
/// What stands between what a hash covers, and the hash.
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
/// What ends a line.
const END: &[u8] = b"\"}";

/// The length of a label, in characters.
const LABEL_CHARS: usize = 12;

/// The hash of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; BYTES]);

impl Hash {
    /// What the first line follows.
    pub(super) const NONE: Self = Self([0; BYTES]);

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; BYTES];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    /// From 64 hexadecimal digits in lower case.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 2 * BYTES {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; BYTES];
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 2 * BYTES];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in the chain: a line's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Link {
    /// Before the first line.
    pub(super) const START: Self = Self {
        seq: 0,
        hash: Hash::NONE,
    };

    /// Appends the line of an entry with this JSON, line break included; gives its place.
    pub(super) fn append(self, at: Timestamp, entry: &[u8], lines: &mut Vec<u8>) -> Self {
        let seq = self.seq + 1;
        let start = lines.len();
        let head = format!(
            "{{\"seq\":{seq},\"at\":\"{at:.6}\",\"prev\":\"{}\",",
            self.hash
        );
        lines.extend_from_slice(head.as_bytes());
        // Without its braces.
        let inner = entry.get(1..entry.len().saturating_sub(1));
        lines.extend_from_slice(inner.unwrap_or_default());
        let hash = Hash::of(&lines[start..]);
        lines.extend_from_slice(BEFORE_HASH);
        lines.extend_from_slice(hash.to_string().as_bytes());
        lines.extend_from_slice(END);
        lines.push(b'\n');
        Self { seq, hash }
    }
}

/// What a line says of its place.
#[derive(Debug)]
pub(super) struct Linked {
    /// Its number and the hash that it states.
    pub(super) link: Link,
    /// The hash that it follows.
    pub(super) prev: Hash,
    pub(super) at: Timestamp,
    pub(super) note: Option<super::entry::TrailNote>,
    /// Whether its bytes have the hash that it states.
    pub(super) is_unchanged: bool,
}

impl Linked {
    /// Reads a line without its line break; `None` if it is not one of ours.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Parts {
            seq: u64,
            at: Timestamp,
            prev: String,
            #[serde(default)]
            note: Option<super::entry::TrailNote>,
        }
        let rest = line.strip_suffix(END)?;
        let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(2 * BYTES)?)?;
        let stated = Hash::parse(hash)?;
        let covered = rest.strip_suffix(BEFORE_HASH)?;
        let Parts {
            seq,
            at,
            prev,
            note,
        } = serde_json::from_slice(line).ok()?;
        Some(Self {
            link: Link { seq, hash: stated },
            prev: Hash::parse(prev.as_bytes())?,
            at,
            note,
            is_unchanged: Hash::of(covered) == stated,
        })
    }
}

/// A few characters for a text that is a secret or may be content: equal for equal texts.
pub fn label(text: &str) -> String {
    let mut label = Hash::of(text.as_bytes()).to_string();
    label.truncate(LABEL_CHARS);
    label
}
