//! Where migrations may read from.

use secrecy::SecretString;

use super::Setting;
use super::reader::Reader;

/// Addresses and keys of the systems that migrations read from. Checked by the source that uses them:
/// a server that never migrates must start whatever they are.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The key of mem0 Platform.
    pub mem0_key: Option<SecretString>,
    /// The address of mem0 Platform.
    pub mem0_url: String,
    /// The address of a self-hosted mem0.
    pub server_url: Option<String>,
    /// Its key.
    pub server_key: Option<SecretString>,
    /// The key of Qdrant.
    pub qdrant_key: Option<SecretString>,
}

pub(super) fn read(reader: &mut Reader) -> Option<SourceSettings> {
    let text = |raw: &str| Ok(raw.trim().to_owned());
    let mem0_key = secret(reader, Setting::Mem0ApiKey);
    let mem0_url = reader.value(Setting::Mem0BaseUrl, text, Clone::clone);
    let server_url = reader.optional(Setting::Mem0ServerUrl, text, Clone::clone);
    let server_key = secret(reader, Setting::Mem0ServerKey);
    let qdrant_key = secret(reader, Setting::QdrantApiKey);
    Some(SourceSettings {
        mem0_key: mem0_key?,
        mem0_url: mem0_url?,
        server_url: server_url?,
        server_key: server_key?,
        qdrant_key: qdrant_key?,
    })
}

fn secret(reader: &mut Reader, setting: Setting) -> Option<Option<SecretString>> {
    reader.optional(
        setting,
        |raw| Ok(SecretString::from(raw.trim())),
        |_| "set".to_owned(),
    )
}
