//! What the panels show: the trail, the tokens, health, and facts page by page.

use serde_json::json;

use super::Browser;
use crate::common::program::World;

#[test]
fn the_trail_is_searched_and_verified_and_the_tokens_are_listed_without_secrets() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    browser.api(
        "POST",
        "/api/memory/add",
        &json!({"content": "likes tea", "user_id": "ann"}),
    );
    let page = browser.get("/ui/trail?user=ann");
    assert!(page.text.contains("POST /api/memory/add"));
    assert!(!page.text.contains("likes tea"));
    let shown = browser.post("/ui/trail/verify", &[("csrf", &page.csrf())]);
    assert!(shown.text.contains("✓ Intact"), "{}", shown.text);
    assert!(
        browser
            .page("/ui/trail?user=nobody")
            .contains("No entry is like this")
    );
    assert!(
        browser
            .page("/ui/trail?since=tomorrow")
            .contains("a time is a day")
    );
    let tokens = browser.page("/ui/tokens");
    for word in [
        "operator",
        "reader",
        "narrow",
        "users: ann",
        "all users",
        "never",
        "not yet",
    ] {
        assert!(tokens.contains(word), "{word}");
    }
    for secret in ["sha256", &crate::api::token("reader")] {
        assert!(!tokens.contains(secret));
    }
}

#[test]
fn health_tells_of_the_backend_requests_and_the_queue() {
    let world = World::emulated();
    let browser = Browser::of(&world).signed_in();
    browser.api(
        "POST",
        "/api/memory/add",
        &json!({"content": "likes tea", "user_id": "ann"}),
    );
    let page = browser.page("/ui");
    for word in [
        "✓ answers",
        "Backend: zep",
        "Queue",
        "Rate limit",
        "POST /api/memory/add",
        "≤ ",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
}

#[test]
fn facts_are_turned_over_while_the_conversation_stays() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    for n in 0..53 {
        let said = json!({"content": format!("likes tea number {n:02}"), "user_id": "ann", "session_id": "monday"});
        browser.api("POST", "/api/memory/add", &said);
    }
    let facts = |page: &str| {
        let (_, facts) = page.split_once("<h2>Facts</h2>").unwrap();
        facts.matches("likes tea number").count()
    };
    let newest = "/ui/session?user=ann&id=monday&newest=1";
    let first = browser.page(newest);
    assert_eq!(facts(&first), 50);
    let next = format!("{newest}&facts=2");
    assert!(first.contains(&next.replace('&', "&amp;")), "{first}");
    let second = browser.page(&next);
    assert_eq!(facts(&second), 3);
    assert!(second.contains("From the beginning"), "the newest turns");
    assert_eq!(facts(&browser.page(&format!("{newest}&facts=9"))), 0);
}
