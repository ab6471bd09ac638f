//! The members of a `.zip` file, one after the other, by its central directory.
//!
//! Written for this program since a library keeps the whole directory in memory and takes one of two
//! members with the same name. Format: APPNOTE.TXT 6.3.10 of PKWARE.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;
use flate2::{Crc, bufread};

use super::packed::{Counted, Meter, damage};

/// The longest end of an archive: its record and a comment.
const MAX_END: u64 = 22 + 65_535;
const END: &[u8] = b"PK\x05\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const END_64: &[u8] = b"PK\x06\x06";
const MEMBER: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// In the flags of a member.
const ENCRYPTED: u16 = 1;
/// The kind of a file in its Unix mode.
const KIND: u32 = 0o170_000;
const SYMLINK: u32 = 0o120_000;

/// An archive, at the next of its members.
pub(super) struct Zip<'f> {
    file: &'f File,
    /// How many bytes came before the archive, as in one that unpacks itself.
    before: u64,
    at: u64,
    left: u64,
}

/// A member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Its path in the archive, as it says.
    pub(super) name: String,
    pub(super) is_directory: bool,
    pub(super) is_symlink: bool,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    offset: u64,
}

impl<'f> Zip<'f> {
    /// An archive of this length. Answers also how many members it has.
    pub(super) fn open(file: &'f File, length: u64) -> io::Result<(Self, u64)> {
        let tail_at = length.saturating_sub(MAX_END);
        let tail = read_at(file, tail_at, (length - tail_at) as usize)?;
        let end = (0..tail.len().saturating_sub(21)).rev().find(|at| {
            let comment = u64::from(u16_at(&tail, at + 20));
            tail[*at..].starts_with(END) && tail_at + *at as u64 + 22 + comment <= length
        });
        let end = end.ok_or_else(|| damage("its directory is missing: it was cut off"))?;
        let mut count = u64::from(u16_at(&tail, end + 10));
        let mut size = u64::from(u32_at(&tail, end + 12));
        let mut offset = u64::from(u32_at(&tail, end + 16));
        let mut directory_end = tail_at + end as u64;
        if count == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF {
            let locator_at = directory_end.checked_sub(20);
            let locator = locator_at.map(|at| read_at(file, at, 20)).transpose()?;
            if let Some(locator) = locator.filter(|locator| locator.starts_with(END_64_LOCATOR)) {
                // What comes before the archive moves it, to right before the locator.
                let moved = directory_end.saturating_sub(20 + 56);
                let stated = u64_at(&locator, 8).min(moved);
                let (mut at, mut end) = (stated, read_at(file, stated, 56)?);
                if !end.starts_with(END_64) {
                    (at, end) = (moved, read_at(file, moved, 56)?);
                }
                if !end.starts_with(END_64) {
                    return Err(damage("its directory is not where it says"));
                }
                (count, size, offset) = (u64_at(&end, 32), u64_at(&end, 40), u64_at(&end, 48));
                directory_end = at;
            }
        }
        let at = directory_end.checked_sub(size);
        let before = at.and_then(|at| at.checked_sub(offset));
        let (Some(at), Some(before)) = (at, before) else {
            return Err(damage("its directory is not where it says"));
        };
        let zip = Self {
            file,
            before,
            at,
            left: count,
        };
        Ok((zip, count))
    }

    /// The next member; `None` after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let head = read_at(self.file, self.at, 46)?;
        if !head.starts_with(MEMBER) {
            return Err(damage("its directory is broken"));
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&head, at)));
        let rest = read_at(self.file, self.at + 46, name + extra)?;
        self.at += (46 + name + extra + comment) as u64;
        let (name, extra) = rest.split_at(name);
        let mode = u32_at(&head, 38) >> 16;
        let mut member = Member {
            name: String::from_utf8_lossy(name).into_owned(),
            is_directory: name.ends_with(b"/"),
            is_symlink: mode & KIND == SYMLINK,
            flags: u16_at(&head, 8),
            method: u16_at(&head, 10),
            crc: u32_at(&head, 16),
            packed: u64::from(u32_at(&head, 20)),
            unpacked: u64::from(u32_at(&head, 24)),
            offset: u64::from(u32_at(&head, 42)),
        };
        member.read_64(extra)?;
        Ok(Some(member))
    }

    /// The bytes of a member, checked against what the archive says of them.
    ///
    /// # Errors
    /// If they cannot be read; [`damage`] says why they cannot be unpacked.
    pub(super) fn content<'m>(
        &self,
        member: &Member,
        meter: &'m Meter,
    ) -> io::Result<Content<'f, 'm>> {
        if member.flags & ENCRYPTED != 0 {
            return Err(damage("is encrypted, and was not read; unpack it first"));
        }
        if member.method != STORED && member.method != DEFLATED {
            return Err(damage(format!(
                "is packed in a way that is unknown here (method {}), and was not read; unpack it \
                 first, for example with `unzip`",
                member.method
            )));
        }
        let at = self.before.checked_add(member.offset);
        let at = at.ok_or_else(|| damage("lies outside of the archive"))?;
        let head = read_at(self.file, at, 30)?;
        if !head.starts_with(LOCAL) {
            return Err(damage("is not where the archive says"));
        }
        let [name, extra] = [26, 28].map(|at| u64::from(u16_at(&head, at)));
        let mut file = self.file;
        file.seek(SeekFrom::Start(at + 30 + name + extra))?;
        let packed = Counted {
            inner: file.take(member.packed),
            meter,
            adds: false,
        };
        Ok(Content {
            inner: match member.method {
                STORED => Packed::Stored(packed),
                _ => Packed::Deflated(Box::new(DeflateDecoder::new(packed))),
            },
            crc: Crc::new(),
            left: member.unpacked,
            expected: member.crc,
        })
    }
}

impl Member {
    /// The numbers that are too large for their fields (APPNOTE 4.5.3), which follow in this order.
    fn read_64(&mut self, mut extra: &[u8]) -> io::Result<()> {
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let Some(mut field) = extra.get(4..4 + length) else {
                return Ok(());
            };
            extra = &extra[4 + length..];
            if id != 1 {
                continue;
            }
            for number in [&mut self.unpacked, &mut self.packed, &mut self.offset] {
                if *number == 0xFFFF_FFFF {
                    if field.len() < 8 {
                        return Err(damage("its directory is broken"));
                    }
                    *number = u64_at(field, 0);
                    field = &field[8..];
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a member.
pub(super) struct Content<'f, 'm> {
    inner: Packed<'f, 'm>,
    crc: Crc,
    left: u64,
    expected: u32,
}

enum Packed<'f, 'm> {
    Stored(Bytes<'f, 'm>),
    Deflated(Box<DeflateDecoder<Bytes<'f, 'm>>>),
}

/// The bytes of a member as they are in the archive.
type Bytes<'f, 'm> = Counted<'m, io::Take<&'f File>>;

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.inner {
            Packed::Stored(file) => file.read(buffer)?,
            Packed::Deflated(file) => file.read(buffer)?,
        };
        self.crc.update(&buffer[..read]);
        match self.left.checked_sub(read as u64) {
            None => Err(damage("is longer than the archive says")),
            Some(left) if read == 0 && left > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(0) if read == 0 && self.crc.sum() != self.expected => {
                Err(damage("its checksum is wrong"))
            }
            Some(left) => {
                self.left = left;
                Ok(read)
            }
        }
    }
}

/// Unpacks a `.gz` of any number of members.
pub(super) fn gunzip<R: io::BufRead>(reader: R) -> bufread::MultiGzDecoder<R> {
    bufread::MultiGzDecoder::new(reader)
}

fn read_at(mut file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let bytes = bytes
        .get(at..at + N)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}
