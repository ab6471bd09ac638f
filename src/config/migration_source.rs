//! Where migrations may read from.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::Setting;
use super::reader::Reader;

/// Addresses and keys of the systems that migrations read from. Checked by the source that uses them:
/// a server that never migrates must start whatever they are.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The key of mem0 Platform.
    pub mem0_key: Option<SecretString>,
    /// The address of mem0 Platform, if it is not the usual one.
    pub mem0_url: Option<String>,
    /// The address of a self-hosted mem0.
    pub server_url: Option<String>,
    /// Its key.
    pub server_key: Option<SecretString>,
    /// The key of Qdrant.
    pub qdrant_key: Option<SecretString>,
    /// The directory of mem0's library, if it is not the usual one.
    pub mem0_dir: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader) -> SourceSettings {
    SourceSettings {
        mem0_key: secret(reader, Setting::Mem0ApiKey),
        mem0_url: address(reader, Setting::Mem0BaseUrl),
        server_url: address(reader, Setting::Mem0ServerUrl),
        server_key: secret(reader, Setting::Mem0ServerKey),
        qdrant_key: secret(reader, Setting::QdrantApiKey),
        mem0_dir: address(reader, Setting::Mem0Dir).map(PathBuf::from),
    }
}

fn secret(reader: &mut Reader, setting: Setting) -> Option<SecretString> {
    reader.if_usable(setting, |_| "set".to_owned())
}

fn address(reader: &mut Reader, setting: Setting) -> Option<String> {
    let address = reader.if_usable(setting, str::to_owned)?;
    Some(address.expose_secret().to_owned())
}
