//! What a file is, by its beginning.

/// The mark that some programs put before UTF-8.
pub(super) const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How far a NUL is looked for: text has none.
const BINARY_WITHIN: usize = 4096;

/// What the file is and what to do, if it is no text in UTF-8.
pub(super) fn not_text(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 8] = [
        (
            b"\xFF\xFE",
            "this is UTF-16 text; convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
        ),
        (
            b"\xFE\xFF",
            "this is UTF-16 text; convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
        ),
        (
            b"\x1F\x8B",
            "this is a gzip file; unpack it first, for example with `gunzip`",
        ),
        (
            b"PK\x03\x04",
            "this is a zip file; unpack it first, for example with `unzip`",
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
    // `{` or `[` and its other, empty half.
    match start {
        [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..] => Some(
            "this is UTF-16 text without a mark; convert it to UTF-8, for example with `iconv`",
        ),
        _ if start.iter().take(BINARY_WITHIN).any(|byte| *byte == 0) => {
            Some("this is not text; give the export as JSON or JSON Lines in UTF-8")
        }
        _ => None,
    }
}

/// Whether the beginning can only be JSON Lines: a line that asks for nothing more, and one that opens
/// something. A line that is broken is told from a document by that too.
pub(super) fn is_lines(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    let (first, rest) = start.split_at(end);
    let open = matches!(
        first.trim_ascii_end().last(),
        Some(b'{' | b'[' | b',' | b':')
    );
    let next_opens = matches!(rest.trim_ascii_start().first(), Some(b'{' | b'['));
    !open && next_opens
}
