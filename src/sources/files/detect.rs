//! What a file is, by its beginning.

use serde::de::IgnoredAny;

/// The byte order mark that some programs write before UTF-8.
pub(super) const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Within this many bytes a NUL means that the file is not text.
const BINARY_WITHIN: usize = 4096;

/// What the file is and what to do with it, if it is not UTF-8 text.
pub(super) fn not_text(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 6] = [
        (
            b"\xFF\xFE",
            "this is UTF-16 text; convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
        ),
        (
            b"\xFE\xFF",
            "this is UTF-16 text; convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
        ),
        (
            b"\x28\xB5\x2F\xFD",
            "this is a zstd file; unpack it first, for example with `unzstd`",
        ),
        (
            b"\xFD7zXZ\x00",
            "this is an xz file; unpack it first, for example with `unxz`",
        ),
        (
            b"BZh",
            "this is a bzip2 file; unpack it first, for example with `bunzip2`",
        ),
        (
            b"SQLite format 3\x00",
            "this is an SQLite database; export its memories as JSON first",
        ),
    ];
    if let Some((_, reason)) = known.iter().find(|(mark, _)| start.starts_with(mark)) {
        return Some(reason);
    }
    // `{` or `[` in two bytes.
    match start {
        [0x80, 2..=5, ..] => Some(
            "this is a Python pickle, as older releases of mem0 keep FAISS's memories: give what the \
             script of `migrate --print-exporter` writes instead",
        ),
        [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..] => Some(
            "this is UTF-16 text without a byte order mark; convert it to UTF-8, for example with `iconv`",
        ),
        _ if start.iter().take(BINARY_WITHIN).any(|byte| *byte == 0) => {
            Some("this is not text; give the export as JSON or JSON Lines in UTF-8")
        }
        _ => None,
    }
}

/// Whether the beginning can only be JSON Lines, even if its first line is broken: no document
/// continues like that.
pub(super) fn is_lines(start: &[u8]) -> bool {
    let mut lines = start
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| (line.ends_with(b"\n"), line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty());
    let opens = |line: &[u8]| matches!(line.first(), Some(b'{' | b'['));
    let is_open = |line: &[u8]| matches!(line.last(), Some(b'{' | b'[' | b',' | b':'));
    let is_whole = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();

    let (Some((true, first)), Some((second_ends, second))) = (lines.next(), lines.next()) else {
        return false;
    };
    if !is_open(first) {
        return opens(second);
    }
    // In a document, the second line would be followed by a comma or a closing bracket.
    let mut third_opens = || lines.next().is_some_and(|(_, third)| opens(third));
    first.len() > 1 && second_ends && opens(second) && is_whole(second) && third_opens()
}
