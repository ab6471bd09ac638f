//! The file of tokens: its format, and that changes take effect.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use zep_mcp_server::config::AccessSettings;
use zep_mcp_server::http::access::{Access, TokenHash, fresh};

use super::authentication::Guarded;
use super::world::{Backend, OldClient, Who, World, client};
use crate::common::{PATIENCE, until};

fn token() -> String {
    fresh().unwrap().expose_secret().to_owned()
}

fn entry(name: &str, token: &str) -> Value {
    json!({
        "name": name, "hash": TokenHash::of(token).to_string(), "role": "writer",
        "users": ["alice"],
    })
}

fn settings(file: &Path) -> AccessSettings {
    AccessSettings {
        tokens_file: Some(file.to_owned()),
        ..AccessSettings::default()
    }
}

/// A file with these lines that only its owner can write.
fn file(lines: &[String]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.jsonl");
    write(&path, lines);
    (directory, path)
}

fn write(path: &Path, lines: &[String]) {
    let _ = fs::remove_file(path);
    fs::write(path, lines.join("\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn soon(server: &Guarded, token: &str, status: u16) {
    until(async || server.show(token).await.0 == status).await;
}

#[tokio::test]
async fn tokens_are_revoked_and_added_without_a_restart() {
    let (first, second) = (token(), token());
    let (_directory, path) = file(&[entry("first", &first).to_string()]);
    let server = Guarded::new(settings(&path)).await;
    assert_eq!(server.show(&first).await.0, 200);
    assert_eq!(server.show(&second).await.0, 401);
    write(&path, &[entry("second", &second).to_string()]);
    soon(&server, &first, 401).await;
    soon(&server, &second, 200).await;
    // Changed in place, to the same length, and changed again at once.
    fs::write(&path, entry("first2", &first).to_string()).unwrap();
    fs::write(&path, entry("second", &second).to_string()).unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    soon(&server, &second, 200).await;
    fs::write(&path, entry("other3", &first).to_string()).unwrap();
    soon(&server, &second, 401).await;
    soon(&server, &first, 200).await;
}

#[tokio::test]
async fn streams_can_check_whether_their_subject_is_still_admitted() {
    let token = token();
    let (_directory, path) = file(&[entry("first", &token).to_string()]);
    let access = Access::new(settings(&path)).unwrap();
    let server = Guarded::new(settings(&path)).await;
    assert_eq!(server.show(&token).await.0, 200);
    let subject = super::authentication::subject_of(&server.access, &token).await;
    assert!(access.still_admits(&subject).await);
    write(&path, &[]);
    until(async || !access.still_admits(&subject).await).await;
}

#[tokio::test]
async fn a_token_expires_at_its_time() {
    let at = |offset: i64| {
        let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(offset);
        time.to_string()
    };
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    for (expires, good) in [
        (at(-1), false),
        (at(3600), true),
        (today, true),
        ("2020-02-29".to_owned(), false),
        ("2999-12-31".to_owned(), true),
    ] {
        let token = token();
        let mut line = entry("one", &token);
        line["expires"] = expires.clone().into();
        let (_directory, path) = file(&[line.to_string()]);
        let server = Guarded::new(settings(&path)).await;
        assert_eq!(server.show(&token).await.0 == 200, good, "{expires}");
    }
    let token = token();
    let mut line = entry("soon", &token);
    line["expires"] = at(10).into();
    let (_directory, path) = file(&[line.to_string()]);
    let server = Guarded::new(settings(&path)).await;
    assert_eq!(server.show(&token).await.0, 200);
    soon(&server, &token, 401).await;
}

#[tokio::test]
async fn a_file_that_others_can_write_is_refused() {
    let token = token();
    for (mode, good) in [
        (0o600, true),
        (0o644, true),
        (0o620, false),
        (0o602, false),
        (0o666, false),
    ] {
        let (_directory, path) = file(&[entry("one", &token).to_string()]);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let access = Access::new(settings(&path));
        assert_eq!(access.is_ok(), good, "{mode:o}");
        if let Err(error) = access {
            let error = error.to_string();
            assert!(
                error.contains("tokens.jsonl") && error.contains("chmod go-w"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_entry_is_named_by_line_and_field_and_no_token_is_repeated() {
    let (one, other) = (token(), token());
    let changed = |field: &str, value: Value| {
        let mut line = entry("second", &other);
        line[field] = value;
        line.to_string()
    };
    for (line, field) in [
        (changed("hash", other.clone().into()), "`hash`"),
        (changed("hash", "sha256:12".into()), "`hash`"),
        (changed("role", "admin".into()), "`role`"),
        (changed("role", Value::Null), "`role` must be a string"),
        (changed("name", 7.into()), "`name` must be a string"),
        ("7".to_owned(), "must be an object"),
        (changed("users", "alice".into()), "`users`"),
        (changed("users", json!(["alice", "*"])), "`users`"),
        (changed("users", json!([""])), "`users`"),
        (changed("users", json!([])), "`users`"),
        (changed("agents", json!([7])), "`agents`"),
        (changed("expires", "tomorrow".into()), "`expires`"),
        (changed("user", "alice".into()), "user"),
        (changed("name", "first".into()), "`name`"),
        (changed("name", "".into()), "`name`"),
        (
            changed("hash", TokenHash::of(&one).to_string().into()),
            "`hash`",
        ),
        (format!("{{\"name\": \"x\", {other}"), "JSON"),
        (format!("{} {{}}", entry("second", &other)), "JSON"),
    ] {
        let lines = [
            "# tokens".to_owned(),
            entry("first", &one).to_string(),
            String::new(),
            line.clone(),
        ];
        let (_directory, path) = file(&lines);
        let error = Access::new(settings(&path)).unwrap_err().to_string();
        assert!(error.contains("line 4"), "{line}: {error}");
        assert!(error.contains(field), "{line}: {error}");
        assert!(!error.contains(&other), "{error}");
    }
    let (_directory, path) = file(&["x".repeat(5 << 20)]);
    let error = Access::new(settings(&path)).unwrap_err().to_string();
    assert!(error.contains("larger"), "{error}");
    let error = Access::new(settings(&path.with_extension("gone"))).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn a_broken_file_is_tolerated_for_a_moment_and_not_for_long() {
    let token = token();
    let line = entry("one", &token).to_string();
    let (_directory, path) = file(std::slice::from_ref(&line));
    let server = Guarded::new(settings(&path)).await;
    assert_eq!(server.show(&token).await.0, 200);
    write(&path, &[line[..40].to_owned()]);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(server.show(&token).await.0, 200);
    // Revoked tokens are not known: then nobody is authenticated.
    until(async || server.show(&token).await.0 != 200).await;
    assert_eq!(server.show(&token).await.0, 503);
    write(&path, &[line]);
    soon(&server, &token, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_soon_after_its_token_is_revoked_and_others_continue() {
    let world = World::new(Backend::Embedded).await;
    let client = client();
    let open = async |who| {
        let token = world.token(who);
        let opened = OldClient::open(&client, &world.url, Some(&token)).await;
        opened.unwrap_or_else(|refused| panic!("{refused:?}"))
    };
    let mut theirs = open(Who::AllUsers).await;
    let others = open(Who::Everybodys).await;
    world.revoke(Who::AllUsers);
    tokio::time::timeout(PATIENCE, theirs.end())
        .await
        .expect("the stream ends");
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}});
    assert_eq!(others.call(&list).await.0, 200);
}
