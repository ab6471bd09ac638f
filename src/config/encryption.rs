//! The key with which contents on the disk are encrypted.

use std::sync::Arc;

use secrecy::SecretString;

use super::reader::Reader;
use super::{Setting, parse};
use crate::seal::SealKey;

/// The key; the inner `None` if nothing is encrypted.
pub(super) fn read(reader: &mut Reader) -> Option<Option<Arc<SealKey>>> {
    let set = |_: &SealKey| "set".to_owned();
    let key = reader.optional(
        Setting::EncryptionKey,
        |raw| SealKey::parse(&SecretString::from(raw)),
        set,
    );
    let of_file = reader.optional(
        Setting::EncryptionKeyFile,
        |raw| SealKey::of_file(&parse::file(raw)?),
        set,
    );
    match (key?, of_file?) {
        (Some(_), Some(_)) => {
            reader.missing(
                Setting::EncryptionKey,
                "and ZEP_MCP_ENCRYPTION_KEY_FILE are both set; set one of them",
            );
            None
        }
        (key, of_file) => Some(key.or(of_file).map(Arc::new)),
    }
}
