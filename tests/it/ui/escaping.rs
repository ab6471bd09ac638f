//! Whatever a person said stays text, on every panel.

use serde_json::json;

use super::Browser;
use crate::common::program::World;

/// What a person may have said.
const HOSTILE: &str =
    "<script>alert(1)</script>\"><img src=x onerror=alert(2)>\u{202e}gnp.exe' & more";

fn stays_text(path: &str, page: &str) {
    for word in ["<script>alert", "<img", "onerror=alert(2)>", "\u{202e}"] {
        assert!(!page.contains(word), "{path}: {word}");
    }
}

fn filled(world: &World) -> (Browser, String, String) {
    let browser = Browser::of(world).signed_in();
    let new = json!({"email": "ann@example.com", "name": "Ann <b>", "metadata": {"note": HOSTILE}});
    let user = browser.api("POST", "/api/v1/users", &new)["user_id"].clone();
    let user = user.as_str().unwrap().to_owned();
    let opened = browser.api("POST", "/api/v1/sessions", &json!({"user_id": user}));
    let session = opened["session_id"].as_str().unwrap().to_owned();
    for (what, body) in [
        (
            "messages",
            json!({"user_id": user, "content": HOSTILE, "role": "user"}),
        ),
        (
            "messages",
            json!({"user_id": user, "content": "What then?", "role": "assistant"}),
        ),
        (
            "summary",
            json!({"user_id": user, "summary": HOSTILE, "key_points": [HOSTILE]}),
        ),
        (
            "emotional-state",
            json!({"user_id": user, "emotions": {"hope": 1}, "context": HOSTILE}),
        ),
        (
            "treatment-plan",
            json!({"user_id": user, "goals": [HOSTILE], "interventions": [], "duration_weeks": 1}),
        ),
    ] {
        browser.api("POST", &format!("/api/v1/memory/{session}/{what}"), &body);
    }
    (browser, user, session)
}

#[test]
fn a_conversation_is_shown_whole_and_escaped_on_both_backends() {
    for world in [World::embedded(), World::emulated()] {
        let (browser, user, session) = filled(&world);
        let path = format!("/ui/session?user={user}&id={session}");
        let page = browser.page(&path);
        stays_text(&path, &page);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img"));
        assert!(page.contains("⟨U+202E⟩gnp.exe&#39; &amp; more"));
        for word in [
            "What then?",
            "key points",
            "hope",
            "goals",
            "Treatment plan",
            "messages",
        ] {
            assert!(page.contains(word), "{word}");
        }
        let path = format!("/ui/user?id={user}");
        let page = browser.page(&path);
        stays_text(&path, &page);
        assert!(page.contains("ann@example.com") && page.contains(&session));
        assert!(page.contains("Ann &lt;b&gt;") && page.contains("active"));
        let people = browser.page("/ui/people");
        assert!(people.contains(&user));
        assert!(browser.page("/ui/people?kind=run").contains(&session));
        let some = &user[..12];
        assert!(
            browser
                .page(&format!("/ui/people?q={some}"))
                .contains("1 found")
        );
        assert!(
            browser
                .page("/ui/people?q=nobody")
                .contains("No id contains this")
        );
        // Who looked is in the trail, whose memories they are, and none of the content.
        let trail = browser.page(&format!("/ui/trail?user={user}&action=read"));
        assert!(
            trail.contains("GET /ui/session") && trail.contains("GET /ui/user"),
            "{trail}"
        );
        assert!(!trail.contains("gnp.exe"));
    }
}

#[test]
fn ids_and_queries_stay_text_on_every_panel() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    let added = json!({"content": "likes tea", "user_id": HOSTILE.replace('\u{202e}', "")});
    browser.api("POST", "/api/memory/add", &added);
    let odd: String = HOSTILE.bytes().map(|b| format!("%{b:02x}")).collect();
    for path in [
        "/ui/people".to_owned(),
        format!("/ui/people?q={odd}&kind={odd}&page={odd}"),
        format!("/ui/user?id={odd}"),
        format!("/ui/session?user={odd}&id={odd}&cursor={odd}"),
        format!("/ui/migrations?page={odd}"),
        format!("/ui/migrations/run?id={odd}"),
        format!("/ui/trail?user={odd}&who={odd}&outcome={odd}&id={odd}"),
        format!("/ui/trail?since={odd}"),
        format!("/ui/trail?action={odd}"),
        "/ui/trail".to_owned(),
        "/ui/tokens".to_owned(),
    ] {
        let shown = browser.get(&path);
        assert!(shown.status.as_u16() < 500, "{path}: {}", shown.text);
        stays_text(&path, &shown.text);
    }
    assert!(browser.page("/ui/people").contains("&lt;script&gt;"));
    let missing = browser.get("/ui/user?id=nobody");
    assert_eq!(missing.status, 404);
    assert!(missing.text.contains("This cannot be shown"));
}
