//! Encryption of what lies on the disk: contents are sealed with a key of 32 bytes, each with a nonce of
//! its own (ChaCha20-Poly1305, RFC 8439).
//!
//! A sealed text begins with `zm1:`, and is base64 of the nonce and what it seals. It is bound to what it is
//! for: a sealed text that was moved to another place does not open there.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

/// The length of a key, in bytes.
pub const KEY_BYTES: usize = 32;
/// What a sealed text begins with.
const SEALED: &str = "zm1:";
/// The largest file of a key that is read, in bytes. Ours: far more than any way of writing 32 bytes.
const LARGEST: u64 = 4_096;

/// A sealed text does not open: it was sealed with another key, for another place, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is encrypted with another key, or damaged")]
pub struct DoesNotOpen;

/// A key. Its debug output hides it.
pub struct SealKey(LessSafeKey);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// A fresh key, as text.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> io::Result<SecretString> {
        let mut bytes = [0; KEY_BYTES];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(BASE64.encode(bytes).into())
    }

    /// A key from its text: 32 bytes in base64, or as 64 hexadecimal digits.
    ///
    /// # Errors
    /// What it must be, without what it is.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        let text = text.expose_secret().trim();
        let bytes = hexadecimal(text).or_else(|| BASE64.decode(text).ok());
        let key = bytes.filter(|bytes| bytes.len() == KEY_BYTES);
        let key = key.and_then(|key| UnboundKey::new(&CHACHA20_POLY1305, &key).ok());
        key.map(|key| Self(LessSafeKey::new(key))).ok_or_else(|| {
            "is not a key: 32 bytes in base64 or as 64 hexadecimal digits; `zep-mcp-server key new` \
             makes one"
                .to_owned()
        })
    }

    /// The key in a file.
    ///
    /// # Errors
    /// If it cannot be read, or holds no key.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let read =
            fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        match read {
            Ok(_) => Self::parse(&text.into()).map_err(|_| {
                format!(
                    "names {}, which holds no key: 32 bytes in base64 or as 64 hexadecimal digits",
                    path.display()
                )
            }),
            Err(error) => Err(format!(
                "names {}, which cannot be read: {error}",
                path.display()
            )),
        }
    }

    /// Seals a content for this place.
    pub fn seal(&self, place: &str, content: &[u8]) -> String {
        let mut nonce = [0; NONCE_LEN];
        let filled = SystemRandom::new().fill(&mut nonce);
        // Where it could not be had, no key could be made either.
        filled.unwrap_or_else(|_| unreachable!("the system has random numbers"));
        let mut sealed = content.to_vec();
        let aad = Aad::from(place.as_bytes());
        let done =
            self.0
                .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        done.unwrap_or_else(|_| unreachable!("far shorter than 256 GB"));
        format!("{SEALED}{}", BASE64.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, DoesNotOpen> {
        let sealed = sealed.strip_prefix(SEALED).ok_or(DoesNotOpen)?;
        let mut sealed = BASE64.decode(sealed.trim()).map_err(|_| DoesNotOpen)?;
        if sealed.len() < NONCE_LEN {
            return Err(DoesNotOpen);
        }
        let mut content = sealed.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&sealed).map_err(|_| DoesNotOpen)?;
        let aad = Aad::from(place.as_bytes());
        let opened = self.0.open_in_place(nonce, aad, &mut content);
        let length = opened.map_err(|_| DoesNotOpen)?.len();
        content.truncate(length);
        Ok(content)
    }
}

/// Whether a text is sealed.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED)
}

/// Writes a key to a new file that only its owner may read.
///
/// # Errors
/// If there is such a file already, or it cannot be written.
pub fn write_key(path: &Path, key: &SecretString) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(format!("{}\n", key.expose_secret()).as_bytes())?;
    file.sync_all()
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return None;
    }
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> SealKey {
        SealKey::parse(&SealKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_place_only() {
        let (key, other) = (fresh(), fresh());
        for content in ["", "I said so", &"ü".repeat(10_000)] {
            let sealed = key.seal("queue", content.as_bytes());
            assert!(is_sealed(&sealed) && !sealed.contains("said"));
            assert_eq!(key.open("queue", &sealed).unwrap(), content.as_bytes());
            assert_eq!(key.open("backup", &sealed), Err(DoesNotOpen));
            assert_eq!(other.open("queue", &sealed), Err(DoesNotOpen));
            assert_ne!(
                sealed,
                key.seal("queue", content.as_bytes()),
                "each has its nonce"
            );
            let mut damaged = sealed.into_bytes();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 1;
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(key.open("queue", &damaged), Err(DoesNotOpen));
        }
        for nonsense in ["", "zm1:", "zm1:AAAA", "I said so"] {
            assert_eq!(key.open("queue", nonsense), Err(DoesNotOpen));
        }
    }

    #[test]
    fn a_key_is_32_bytes_in_either_spelling() {
        for (text, is_key) in [
            ("00".repeat(32), true),
            ("AA".repeat(32), true),
            (BASE64.encode([7; 32]), true),
            (format!(" {}\n", BASE64.encode([7; 32])), true),
            ("00".repeat(16), false),
            (BASE64.encode([7; 31]), false),
            ("zz".repeat(32), false),
            (String::new(), false),
        ] {
            let parsed = SealKey::parse(&text.clone().into());
            assert_eq!(parsed.is_ok(), is_key, "{text}");
            if let Err(problem) = parsed {
                assert!(
                    text.is_empty() || !problem.contains(text.trim()),
                    "it is not repeated"
                );
            }
        }
    }
}
