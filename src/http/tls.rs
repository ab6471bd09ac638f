//! HTTPS without a proxy in front.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::{Setting, Tls};

/// Why TLS cannot be served with the configured files.
#[derive(Debug, thiserror::Error)]
#[error("{setting} cannot be used: {problem}")]
pub struct TlsError {
    setting: Setting,
    problem: String,
}

impl TlsError {
    fn new(setting: Setting, problem: impl ToString) -> Self {
        Self {
            setting,
            problem: problem.to_string(),
        }
    }
}

/// Reads the certificate and the key. Blocks.
///
/// # Errors
/// [`TlsError`], which names the setting of the wrong file.
pub(super) fn acceptor(files: &Tls) -> Result<TlsAcceptor, TlsError> {
    let chain = certificates(&files.certificate)
        .map_err(|problem| TlsError::new(Setting::TlsCert, problem))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|problem| TlsError::new(Setting::TlsKey, describe(&files.key, problem)))?;
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|problem| TlsError::new(Setting::TlsCert, problem))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|problem| match problem {
                rustls::Error::InconsistentKeys(_) => TlsError::new(
                    Setting::TlsKey,
                    "the key does not belong to the certificate in ZEP_MCP_TLS_CERT",
                ),
                problem => TlsError::new(Setting::TlsCert, problem),
            })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|problem| describe(file, problem))?;
    if chain.is_empty() {
        return Err(format!("{} contains no PEM certificate", file.display()));
    }
    Ok(chain)
}

fn describe(file: &Path, problem: rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    let what = match problem {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "contains no private key in PEM".to_owned(),
        // Its text can repeat the file.
        _ => "is not in PEM".to_owned(),
    };
    format!("{}: {what}", file.display())
}
