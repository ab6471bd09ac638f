//! The bytes of an export, with line and column, for a parser that reads byte by byte.

use std::{
    cell::RefCell,
    io::{self, Read},
};

use super::budget::MAX_ITEM_BYTES;
use super::mend::{Mend, Mended};

/// How much of the beginning detection sees; also the size of the buffer.
const AHEAD: usize = 1024 * 1024;

/// How much of a line's beginning is kept.
const MAX_HEAD: usize = 64;

/// The length of the longest JSON escape, `\ud83d\ude00`: after as many bytes without a backslash no
/// escape is open.
const LONGEST_ESCAPE: usize = 12;

/// The bytes of an export.
pub(super) struct Input<'r> {
    inner: &'r mut dyn Read,
    /// What was read and is not in the buffer yet.
    raw: Vec<u8>,
    /// How much of it.
    raw_end: usize,
    mend: Mend,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// Up to here only line ends need attention. Hot.
    plain_end: usize,
    /// How many bytes came before the buffer.
    before: u64,
    /// Lines, from 1.
    line: u64,
    /// Where the current line begins.
    line_start: u64,
    /// Whether the parser sees the end of a line as the end of the input, until [`Self::next_line`].
    by_line: bool,
    /// The beginning of this line, where the buffer no longer has it: enough to tell whether the line
    /// is a single bracket.
    head: Vec<u8>,
    /// The longest token, in bytes.
    longest: u64,
    /// The token being read is too long to be kept from this byte on.
    too_long: u64,
    /// How many bytes without a backslash or a quote came last, while a token is too long.
    plain: usize,
    /// Whether the rest of a text that is too long is being skipped.
    dropping: bool,
    escaped: bool,
    /// Whether something was skipped since [`Self::boundary`].
    cut: bool,
    /// Whether a text was too long and nothing of it could be skipped.
    gave_up: bool,
    /// Why there is nothing after the buffer.
    failed: Option<io::Error>,
}

impl<'r> Input<'r> {
    pub(super) fn new(inner: &'r mut dyn Read) -> Self {
        Self {
            raw: vec![0; AHEAD],
            ..Self::unread(inner)
        }
    }

    /// For a parser of what was read already: nothing can be read from it.
    pub(super) fn unread(inner: &'r mut dyn Read) -> Self {
        Self {
            inner,
            raw: Vec::new(),
            raw_end: 0,
            mend: Mend::default(),
            buffer: Vec::new(),
            at: 0,
            end: 0,
            plain_end: 0,
            before: 0,
            line: 1,
            line_start: 0,
            by_line: false,
            head: Vec::new(),
            longest: MAX_ITEM_BYTES as u64,
            too_long: MAX_ITEM_BYTES as u64,
            plain: 0,
            dropping: false,
            escaped: false,
            cut: false,
            gave_up: false,
            failed: None,
        }
    }

    /// With another bound for the longest token, so that tests stay small.
    #[cfg(test)]
    pub(super) fn with_longest(inner: &'r mut dyn Read, longest: u64) -> Self {
        Self {
            longest,
            too_long: longest,
            ..Self::new(inner)
        }
    }

    /// The beginning as it is, as much as fits into the buffer. Call it first.
    pub(super) fn look(&mut self) -> &[u8] {
        while self.raw_end < self.raw.len() {
            match self.read_raw() {
                Ok(0) => break,
                Ok(_) => {}
                // What came before it is read.
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        &self.raw[..self.raw_end]
    }

    /// Skips bytes of the beginning that belong to no line, such as a byte order mark.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.take_raw(bytes);
        self.before += bytes as u64;
        self.line_start += bytes as u64;
        self.mend(false);
    }

    /// Reads more, up to [`AHEAD`] bytes that wait.
    fn read_raw(&mut self) -> io::Result<usize> {
        loop {
            match self.inner.read(&mut self.raw[self.raw_end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.raw_end += read;
                    return Ok(read);
                }
            }
        }
    }

    /// Removes the first bytes that wait.
    fn take_raw(&mut self, bytes: usize) {
        self.raw.copy_within(bytes..self.raw_end, 0);
        self.raw_end -= bytes;
    }

    /// Moves what was read into the empty buffer.
    fn mend(&mut self, is_last: bool) {
        self.buffer.clear();
        let waiting = &self.raw[..self.raw_end];
        let read = self
            .mend
            .pass(waiting, is_last, self.before, &mut self.buffer);
        self.take_raw(read);
        self.at = 0;
        self.end = self.buffer.len();
        self.find_plain_end();
    }

    /// What was mended in the bytes that were read.
    #[inline]
    pub(super) fn mended(&mut self) -> Option<Mended> {
        self.mend.take(self.offset())
    }

    /// How many bytes were read.
    pub(super) fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The current line, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many bytes of the current line were read.
    pub(super) fn column(&self) -> u64 {
        self.offset() - self.line_start
    }

    /// Sets whether each line is read on its own from here on.
    pub(super) fn read_by_line(&mut self, by_line: bool) {
        self.by_line = by_line;
    }

    /// Whether each line is read on its own. A line that is a single bracket ends this mode.
    pub(super) fn reads_by_line(&self) -> bool {
        self.by_line
    }

    /// Begins a new token. Answers whether something of the last one was skipped.
    pub(super) fn boundary(&mut self) -> bool {
        self.too_long = self.offset() + self.longest;
        self.dropping = false;
        self.plain = 0;
        self.find_plain_end();
        std::mem::take(&mut self.cut)
    }

    /// Whether the parser saw the end of the input because a text could not be skipped.
    pub(super) fn gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// Moves to the beginning of the next value, across lines. `None` at the end of the input. Commas
    /// between lines are ignored.
    pub(super) fn next_value(&mut self) -> io::Result<Option<u8>> {
        self.dropping = false;
        let blank = |byte: u8, by_line: bool| {
            matches!(byte, b' ' | b'\t' | b'\r' | b'\n') || (by_line && byte == b',')
        };
        while let Some(byte) = self.peek()? {
            if !blank(byte, self.by_line) {
                return Ok(Some(byte));
            }
            self.advance(byte);
        }
        Ok(None)
    }

    /// Moves to the beginning of the next line, unless the current one has not begun.
    pub(super) fn next_line(&mut self) -> io::Result<()> {
        self.dropping = false;
        while self.column() > 0 {
            match self.peek()? {
                Some(byte) => self.advance(byte),
                None => break,
            }
        }
        Ok(())
    }

    /// Skips the rest of the line.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        let line = self.line;
        while self.line == line {
            match self.peek()? {
                Some(byte) => self.advance(byte),
                None => break,
            }
        }
        Ok(())
    }

    #[inline]
    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.end && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.buffer[self.at]))
    }

    #[inline]
    fn advance(&mut self, byte: u8) {
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
            self.line_start = self.offset();
            self.head.clear();
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let line = self.line_start.saturating_sub(self.before) as usize;
        let line = self.buffer[..self.end].get(line..).unwrap_or_default();
        let room = MAX_HEAD.saturating_sub(self.head.len());
        self.head.extend(line.iter().take(room));
        self.before += self.end as u64;
        self.at = 0;
        self.end = 0;
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let is_last = self.read_raw()? == 0;
            self.mend(is_last);
            if self.end > 0 || is_last {
                return Ok(self.end > 0);
            }
        }
    }

    /// Once a token is too long for the buffer, every byte of it needs attention.
    #[inline]
    fn find_plain_end(&mut self) {
        let fits = self.before + self.end as u64 <= self.too_long;
        self.plain_end = if fits { self.end } else { 0 };
    }

    /// Whether the line that ends here is a single bracket.
    fn is_bracket_alone(&self) -> bool {
        let line = self.line_start.saturating_sub(self.before) as usize;
        let line = self.buffer[..self.at].get(line..).unwrap_or_default();
        let (head, line) = (self.head.trim_ascii(), line.trim_ascii());
        matches!((head, line), ([b'{' | b'['], []) | ([], [b'{' | b'[']))
    }

    /// The next byte for the parser.
    fn byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(None);
            };
            if byte == b'\n' && self.by_line {
                // No line of JSON Lines is a single bracket: a document of several lines begins.
                if !self.is_bracket_alone() {
                    return Ok(None);
                }
                self.by_line = false;
            }
            if self.offset() >= self.too_long + self.longest && !self.dropping {
                self.gave_up = true;
                return Ok(None);
            }
            self.advance(byte);
            if self.offset() <= self.too_long || !self.is_dropped(byte) {
                return Ok(Some(byte));
            }
        }
    }

    /// Skips the rest of a text that is too long, so that what follows can be read. Begins where
    /// neither an escape nor a character is cut in two.
    #[cold]
    fn is_dropped(&mut self, byte: u8) -> bool {
        if !self.dropping {
            if byte == b'\n' {
                // No text continues across a line end.
                self.too_long = self.offset() + self.longest;
            }
            if matches!(byte, b'\\' | b'"' | b'\t' | b'\r' | b'\n') {
                self.plain = 0;
                return false;
            }
            // Blanks alone are not text.
            if byte != b' ' || self.plain > 0 {
                self.plain += 1;
            }
            let begins_a_character = byte & 0xC0 != 0x80;
            if self.plain <= LONGEST_ESCAPE || !begins_a_character {
                return false;
            }
            self.dropping = true;
            self.escaped = false;
            self.cut = true;
        }
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.dropping = false;
            self.plain = 0;
            return false;
        }
        true
    }
}

/// The reader of the JSON parser; the position stays readable meanwhile.
pub(super) struct InputReader<'s, 'r>(pub(super) &'s RefCell<Input<'r>>);

impl Read for InputReader<'_, '_> {
    // The parser asks for one byte at a time.
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = into.first_mut() else {
            return Ok(0);
        };
        let source = &mut *self.0.borrow_mut();
        if source.at < source.plain_end {
            let byte = source.buffer[source.at];
            if byte != b'\n' {
                source.at += 1;
                *first = byte;
                return Ok(1);
            }
        }
        match source.byte()? {
            Some(byte) => {
                *first = byte;
                Ok(1)
            }
            None => Ok(0),
        }
    }
}
