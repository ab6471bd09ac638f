//! HTTPS without a proxy in front.

use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;

use super::client::{Mcp, Sse};
use super::server::{Server, command};
use crate::common::program::World;

/// A certificate for this machine, signed by itself.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub pem: String,
}

pub fn files(world: &World, name: &str) -> Files {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = world.directory().join(format!("{name}.pem"));
    let key = world.directory().join(format!("{name}.key"));
    let pem = cert.pem();
    std::fs::write(&certificate, &pem).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    Files {
        certificate,
        key,
        pem,
    }
}

#[tokio::test]
async fn both_transports_work_over_https() {
    let world = World::embedded();
    let files = files(&world, "own");
    let flags = [
        "--tls-cert",
        files.certificate.to_str().unwrap(),
        "--tls-key",
        files.key.to_str().unwrap(),
    ];
    let server = Server::with(&world, &flags);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let root = reqwest::Certificate::from_pem(files.pem.as_bytes()).unwrap();
    let http = crate::common::http()
        .tls_certs_only([root])
        .build()
        .unwrap();
    let mut client = Mcp::new(&server.url, "2025-06-18").through(http.clone());
    client.initialize().await;
    client
        .tool("add_memory", json!({"text": "Likes tea", "user_id": "ann"}))
        .await;
    let mut sse = Sse::open_through(http, &server.url).await;
    sse.initialize("2024-11-05").await;
    let found = sse
        .tool("search_memory", json!({"query": "tea", "user_id": "ann"}))
        .await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);

    let plain = server.url.replace("https", "http");
    let refused = super::client::http()
        .get(format!("{plain}/health"))
        .send()
        .await;
    assert!(refused.is_err(), "plain HTTP is not spoken there");
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn unusable_files_are_named() {
    let world = World::embedded();
    let own = files(&world, "own");
    let other = files(&world, "other");
    let no_pem = world.directory().join("no.pem");
    std::fs::write(&no_pem, "secret that is not a certificate").unwrap();
    let missing = world.directory().join("missing.pem");
    for (certificate, key, named) in [
        (&missing, &own.key, "ZEP_MCP_TLS_CERT"),
        (&no_pem, &own.key, "ZEP_MCP_TLS_CERT"),
        (&own.certificate, &missing, "ZEP_MCP_TLS_KEY"),
        (&own.certificate, &no_pem, "ZEP_MCP_TLS_KEY"),
        (&own.certificate, &other.key, "ZEP_MCP_TLS_KEY"),
    ] {
        let refused = command(&world, &["--port", "0"])
            .env("ZEP_MCP_TLS_CERT", certificate)
            .env("ZEP_MCP_TLS_KEY", key)
            .output()
            .unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with(&format!("error: {named} cannot be used")),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
}
