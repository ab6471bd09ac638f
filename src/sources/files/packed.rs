//! What is packed: how a file begins, and how much may be unpacked.

use std::cell::Cell;
use std::io::{self, Read};

/// How many bytes of the beginning tell what a file is.
pub(super) const START: usize = 16;

/// The most layers of packing within one another: a `.gz` in a `.zip` in a directory's `.zip`.
pub(super) const MAX_LAYERS: usize = 3;

/// Exports shrink to a tenth to a fiftieth; deflate can reach a thousandth. What grows more than this
/// was made to fill a disk.
const MAX_GROWTH: u64 = 200;

/// So much may be unpacked in any case: little exports of repetitions shrink more.
const ALWAYS_UNPACKED: u64 = 256 * 1024 * 1024;

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zip,
}

impl Packing {
    /// By the beginning of the file.
    pub(super) fn of(start: &[u8]) -> Self {
        let is = |mark: &[u8]| start.starts_with(mark);
        match () {
            () if is(b"\x1F\x8B") => Self::Gzip,
            // A file, or an archive without any.
            () if is(b"PK\x03\x04") || is(b"PK\x05\x06") => Self::Zip,
            () => Self::None,
        }
    }
}

/// How many bytes were read, and how many were unpacked.
#[derive(Debug, Default)]
pub(super) struct Meter {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    read: Cell<u64>,
}

impl Meter {
    /// Bytes of the source itself that can be unpacked.
    pub(super) fn add_packed(&self, bytes: u64) {
        self.packed.set(self.packed.get().saturating_add(bytes));
    }

    /// How many bytes of the source itself were read.
    pub(super) fn read(&self) -> u64 {
        self.read.get()
    }

    fn unpack(&self, bytes: usize) -> io::Result<()> {
        let unpacked = self.unpacked.get().saturating_add(bytes as u64);
        self.unpacked.set(unpacked);
        let allowed = self.packed.get().saturating_mul(MAX_GROWTH);
        if unpacked > allowed.max(ALWAYS_UNPACKED) {
            return Err(damage(format!(
                "unpacks to more than {MAX_GROWTH} times its size, which no export does; what \
                 follows was not read"
            )));
        }
        Ok(())
    }
}

/// The bytes of the source itself, counted.
pub(super) struct Counted<'m, R> {
    pub(super) inner: R,
    pub(super) meter: &'m Meter,
    /// Whether their number was not known before.
    pub(super) adds: bool,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.read.set(self.meter.read.get() + read as u64);
        if self.adds {
            self.meter.add_packed(read as u64);
        }
        Ok(read)
    }
}

/// Bytes that are unpacked, counted and bounded.
pub(super) struct Unpacked<'m, R> {
    pub(super) inner: R,
    pub(super) meter: &'m Meter,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.unpack(read)?;
        Ok(read)
    }
}

/// What was packed cannot be unpacked: the file is at fault, and not the reading of it.
pub(super) fn damage(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// Why a packed file cannot be unpacked; `None` if it cannot be read.
pub(super) fn damage_of(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Some("ends in the middle: it was cut off; what follows was not read".into())
        }
        // The words of the decoder, which quote nothing.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            let said = error.to_string();
            Some(match said.contains("not read") {
                true => said,
                false => format!("is damaged ({said}); what follows was not read"),
            })
        }
        _ => None,
    }
}

/// Reads the beginning of a file.
pub(super) fn start(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(START);
    reader.take(START as u64).read_to_end(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: u64) -> (u64, io::Error) {
        let meter = Meter::default();
        meter.add_packed(packed);
        let mut bomb = Unpacked {
            inner: io::repeat(b' '),
            meter: &meter,
        };
        let mut buffer = vec![0; 1 << 20];
        loop {
            if let Err(error) = bomb.read(&mut buffer) {
                return (meter.unpacked.get(), error);
            }
        }
    }

    #[test]
    fn what_grows_more_than_any_export_is_not_unpacked_to_its_end() {
        let mega = 1 << 20;
        let (small, error) = unpacked(1_000);
        assert!((256 * mega..258 * mega).contains(&small), "{small}");
        assert!(
            damage_of(&error)
                .unwrap()
                .starts_with("unpacks to more than 200 times")
        );
        let (large, _) = unpacked(2 * mega);
        assert!((400 * mega..402 * mega).contains(&large), "{large}");
    }
}
