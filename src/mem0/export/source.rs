//! The bytes of an export, one after the other, with where they stand.

use std::{
    cell::RefCell,
    io::{self, Read},
};

use super::MAX_ITEM_BYTES;

/// How much is looked at to tell what the source is; also the buffer.
const AHEAD: usize = 1024 * 1024;

/// How much of a line's beginning is remembered.
const MAX_HEAD: usize = 64;

/// Within so many bytes without a backslash no escape of JSON, `\ud83d\ude00` being the longest,
/// can be open.
const LONGEST_ESCAPE: usize = 12;

/// The bytes of an export.
pub(super) struct Source<'r> {
    inner: &'r mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// Up to where nothing but a line's end needs a look: hot.
    plain_end: usize,
    /// How many bytes came before the buffer.
    before: u64,
    /// Lines, from 1.
    line: u64,
    /// Where the line begins.
    line_start: u64,
    /// Whether a line's end is the end of what can be read, until [`Self::next_line`].
    by_line: bool,
    /// What of this line came before the buffer: no more than tells whether it is a bracket alone.
    head: Vec<u8>,
    /// The longest token, in bytes.
    longest: u64,
    /// From which byte on the token being read is too long to be kept.
    too_long: u64,
    /// For how many bytes only text came, no backslash and no quote, while a token is too long.
    plain: usize,
    /// Whether the rest of a text that is too long is being left out.
    dropping: bool,
    escaped: bool,
    /// Whether something was left out since [`Self::boundary`].
    cut: bool,
    /// Whether a text was too long in a way that nothing could be left out.
    gave_up: bool,
}

impl<'r> Source<'r> {
    pub(super) fn new(inner: &'r mut dyn Read) -> Self {
        Self {
            inner,
            buffer: vec![0; AHEAD],
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
        }
    }

    /// With another bound for the longest token, so that tests need not be long.
    #[cfg(test)]
    pub(super) fn with_longest(inner: &'r mut dyn Read, longest: u64) -> Self {
        Self {
            longest,
            too_long: longest,
            ..Self::new(inner)
        }
    }

    /// The beginning: all of it that fits into the buffer. To be called before anything else.
    pub(super) fn look(&mut self) -> io::Result<&[u8]> {
        while self.end < self.buffer.len() {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[..self.end])
    }

    /// Leaves bytes out that belong to no line, such as a byte order mark.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.line_start += bytes as u64;
    }

    /// How many bytes were read.
    pub(super) fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The line that is read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many bytes of the line were read.
    pub(super) fn column(&self) -> u64 {
        self.offset() - self.line_start
    }

    /// Whether each line is read by itself from here on.
    pub(super) fn read_by_line(&mut self, by_line: bool) {
        self.by_line = by_line;
    }

    /// Whether each line is read by itself. Ends by itself at a line that only opens something.
    pub(super) fn reads_by_line(&self) -> bool {
        self.by_line
    }

    /// Begins a new token. Whether something of the last one was left out.
    pub(super) fn boundary(&mut self) -> bool {
        self.too_long = self.offset() + self.longest;
        self.dropping = false;
        self.plain = 0;
        self.find_plain_end();
        std::mem::take(&mut self.cut)
    }

    /// Whether the parser was told that the source ends, since a text was too long to be read at all.
    pub(super) fn gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// Goes to where the next value begins, over lines' ends. `None` at the end of the source. Commas
    /// between lines mean nothing and hide nothing.
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

    /// Goes to the beginning of the next line. Nothing if this one has not begun.
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
            match self.inner.read(&mut self.buffer) {
                Ok(read) => {
                    self.end = read;
                    self.find_plain_end();
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Once a token is too long for the buffer, each byte of it needs a look.
    #[inline]
    fn find_plain_end(&mut self) {
        let fits = self.before + self.end as u64 <= self.too_long;
        self.plain_end = if fits { self.end } else { 0 };
    }

    /// Whether the line that ends here is a bracket and nothing else.
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
                // No line of JSON Lines is a single bracket: a document over several lines begins.
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

    /// Leaves out the rest of a text that is too long for anything to keep it, so that what follows
    /// can be read all the same. Begins where neither an escape nor a character is cut in two.
    #[cold]
    fn is_dropped(&mut self, byte: u8) -> bool {
        if !self.dropping {
            if byte == b'\n' {
                // No text goes on over a line's end.
                self.too_long = self.offset() + self.longest;
            }
            if matches!(byte, b'\\' | b'"' | b'\t' | b'\r' | b'\n') {
                self.plain = 0;
                return false;
            }
            // Blanks alone are no text.
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

/// What the parser reads from, while others ask where it is.
pub(super) struct Bytes<'s, 'r>(pub(super) &'s RefCell<Source<'r>>);

impl Read for Bytes<'_, '_> {
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
