//! Tokens: a file of them is read whole or refused, and a signed one admits only whom it names.

use proptest::prelude::*;
use serde_json::{Value, json};
use zep_mcp_server::config::AccessSettings;
use zep_mcp_server::http::access::Access;

use super::{corpus, faulty_json, fuzz, fuzz_bytes};
use crate::access::signed::{AUDIENCE, World, now};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\"",
    "\\",
    "#",
    "null",
    "\"*\"",
    "\"users\":[\"ann\"],",
    "\"users\":\"*\",",
    "\"role\":\"operator\",",
    "\"expires\":\"2024-01-01\",",
    "\"agents\":[],",
    "\"name\":\"x\",",
    "sha256:",
    "\"hash\":7,",
    "\u{feff}",
    "\u{202e}",
];

#[test]
fn a_file_of_tokens_is_read_or_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokens.jsonl");
    std::fs::write(&file, "").unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fuzz_bytes("tokens", 300, corpus("tokens"), WORDS, |bytes| {
        std::fs::write(&file, bytes).unwrap();
        let access = Access::new(AccessSettings {
            tokens_file: Some(file.clone()),
            ..AccessSettings::default()
        });
        if let Err(wrong) = access {
            prop_assert!(wrong.to_string().contains("tokens.jsonl"), "{wrong}");
        }
        Ok(())
    });
}

#[test]
fn a_signed_token_admits_only_as_its_claims_say() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let seeds = vec![
        json!({"header": {"alg": "EdDSA", "typ": "at+jwt", "kid": "edwards"}, "claims": {}}),
        json!({"header": {"alg": "EdDSA"}, "claims": {"aud": ["other", AUDIENCE], "nbf": now()}}),
        json!({"header": {"alg": "EdDSA", "crit": ["x"]}, "claims": {"scope": "memory:admin"}}),
        json!({"header": {"alg": "none"}, "claims": {"iss": "other"}}),
    ];
    let written = |input: &Value| input.to_string().into_bytes();
    fuzz("signed-tokens", 30, &faulty_json(seeds), written, |input| {
        runtime.block_on(async {
            // Five wrong tokens from an address are followed by a wait.
            let world = World::new().await;
            let mut claims = world.claims();
            match &input["claims"] {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        claims[name] = value.clone();
                    }
                }
                other => claims = other.clone(),
            }
            let token = world.edwards.sign(&input["header"], &claims);
            let (status, who) = world.server.show(&token).await;
            prop_assert!(
                [200, 400, 401, 403, 431].contains(&status),
                "{status}: {who}"
            );
            if status == 200 {
                let audience = &claims["aud"];
                let is_meant = |one: &Value| *one == AUDIENCE;
                prop_assert_eq!(&claims["iss"], &world.issuer);
                prop_assert!(
                    is_meant(audience)
                        || audience
                            .as_array()
                            .is_some_and(|all| all.iter().any(is_meant))
                );
                prop_assert!(claims["exp"].as_f64() > Some(now() as f64 - 120.0));
                prop_assert!(
                    claims["sub"]
                        .as_str()
                        .is_some_and(|user| !user.trim().is_empty())
                );
            }
            Ok(())
        })
    });
}
