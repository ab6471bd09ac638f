//! Who gets in, and for how long.

use std::fs;
use std::time::Duration;

use reqwest::redirect::Policy;

use super::{Browser, OPERATOR};
use crate::api::{token, tokens};
use crate::common::program::World;
use crate::common::wait_until;

/// All pages.
const PAGES: [&str; 8] = [
    "/ui",
    "/ui/people",
    "/ui/user?id=ann",
    "/ui/session?user=ann&id=s",
    "/ui/migrations",
    "/ui/migrations/run?id=x",
    "/ui/trail",
    "/ui/tokens",
];

#[test]
fn nothing_is_shown_or_done_without_signing_in() {
    let browser = Browser::of(&World::embedded());
    for path in PAGES.into_iter().chain(["/ui/migrations/events"]) {
        let shown = browser.get(path);
        assert_eq!(shown.status, 303, "{path}");
        assert_eq!(shown.header("location"), "/ui/login");
        assert_eq!(shown.text, "");
    }
    for path in [
        "/ui/migrations/rollback",
        "/ui/migrations/stop",
        "/ui/trail/verify",
        "/ui/logout",
    ] {
        let shown = browser.post(path, &[("csrf", "x")]);
        assert_eq!(
            (shown.status.as_u16(), shown.header("location")),
            (303, "/ui/login")
        );
    }
    // A bearer token opens no page: it is not sent by forms, and would need no CSRF token.
    let bearer = format!("Bearer {}", token(OPERATOR));
    let shown = browser.send("GET", "/ui", None, &[("authorization", &bearer)]);
    assert_eq!(shown.status, 303);
}

#[test]
fn only_an_operator_of_everybody_signs_in_and_refusals_are_in_the_trail() {
    let world = World::embedded();
    let browser = Browser::of(&world);
    let shown = browser.try_token("wrong");
    assert_eq!(shown.status, 401);
    assert!(shown.text.contains("unknown, expired or revoked"));
    assert!(!shown.headers.contains_key("set-cookie"));
    for name in ["reader", "narrow"] {
        let shown = browser.try_token(&token(name));
        assert_eq!(shown.status, 403, "{name}");
        assert!(shown.text.contains("role operator"), "{name}");
        assert!(!shown.headers.contains_key("set-cookie"));
    }
    for _ in 0..6 {
        browser.try_token("wrong");
    }
    // As everywhere else.
    assert_eq!(browser.try_token("wrong").status, 429);
    let browser = Browser::of(&world).signed_in();
    let trail = browser.page("/ui/trail");
    for word in [
        "unauthenticated",
        "forbidden",
        "login",
        "POST /ui/login",
        "narrow",
    ] {
        assert!(trail.contains(word), "{word}");
    }
}

#[test]
fn the_cookie_is_for_this_page_and_no_script() {
    let browser = Browser::of(&World::embedded());
    let shown = browser.try_token(&token(OPERATOR));
    let cookie = shown.header("set-cookie").to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/ui"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let id = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(id.len(), 64, "256 random bits");
    assert!(!cookie.contains("Secure"), "over plain HTTP");
}

#[test]
fn a_form_without_its_token_does_nothing() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    for fields in [&[][..], &[("csrf", "")], &[("csrf", "0000")]] {
        for path in ["/ui/logout", "/ui/trail/verify", "/ui/migrations/rollback"] {
            let shown = browser.post(path, fields);
            assert_eq!(shown.status, 403, "{path}");
            assert!(shown.text.contains("Nothing was done"));
        }
    }
    let csrf = browser.get("/ui").csrf();
    let elsewhere = browser.send(
        "POST",
        "/ui/logout",
        Some(super::form(&[("csrf", &csrf)])),
        &[("sec-fetch-site", "cross-site")],
    );
    assert_eq!(elsewhere.status, 403);
    assert_eq!(browser.get("/ui").status, 200, "still signed in");
    let huge = browser.post("/ui/logout", &[("csrf", &"x".repeat(20_000))]);
    assert_eq!(huge.status, 413);
}

#[test]
fn signing_out_ends_the_session() {
    let browser = Browser::of(&World::embedded()).signed_in();
    let csrf = browser.get("/ui").csrf();
    let shown = browser.post("/ui/logout", &[("csrf", &csrf)]);
    assert_eq!(shown.header("location"), "/ui/login");
    assert!(shown.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get("/ui").status, 303);
}

#[test]
fn a_revoked_token_ends_its_session() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    assert_eq!(browser.get("/ui").status, 200);
    let file = world.directory().join("tokens.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let rest: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("\"operator\",\"hash\""))
        .collect();
    assert!(rest.len() < text.lines().count());
    fs::write(&file, rest.join("\n")).unwrap();
    wait_until("it is ended", || {
        std::thread::sleep(Duration::from_millis(200));
        browser.get("/ui").status == 303
    });
}

#[test]
fn without_tokens_the_page_says_so_and_forms_still_have_theirs() {
    let browser = Browser::run(&World::embedded(), &[]);
    let login = browser.page("/ui/login");
    assert!(login.contains("No token is configured"));
    assert!(!login.contains("type=\"password\""));
    let browser = browser.signed_in_with(&[]);
    assert!(browser.page("/ui").contains("No token is configured"));
    assert_eq!(browser.post("/ui/trail/verify", &[]).status, 403);
}

#[test]
fn every_page_is_strict_and_names_nothing_from_elsewhere() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    let all = PAGES
        .into_iter()
        .chain(["/ui/login", "/ui/style.css", "/ui/live.js"]);
    for path in all {
        let shown = browser.get(path);
        let policy = shown.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(shown.header("x-content-type-options"), "nosniff");
        assert_eq!(shown.header("referrer-policy"), "same-origin");
        assert_eq!(shown.header("cache-control"), "no-store");
        let text = &shown.text;
        for word in ["http://", "https://", "url(", "@import"] {
            assert!(!text.contains(word), "{path}: {word}");
        }
        if shown.header("content-type").starts_with("text/html") {
            assert!(
                !text.contains("<style") && !text.contains(" style="),
                "{path}"
            );
            for script in text.split("<script").skip(1) {
                assert!(
                    script.starts_with(" src=\"/ui/live.js\" defer></script>"),
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn over_tls_the_cookie_is_for_this_host_alone() {
    let world = World::embedded();
    let files = crate::http::tls::files(&world, "own");
    let [certificate, key] = [&files.certificate, &files.key].map(|path| path.to_str().unwrap());
    let tokens = tokens(world.directory(), &[(OPERATOR, "operator", None)]);
    let flags = ["--auth-tokens-file", tokens.to_str().unwrap()];
    let flags = [&flags[..], &["--tls-cert", certificate, "--tls-key", key]].concat();
    let mut browser = Browser::run(&world, &flags);
    let root = reqwest::Certificate::from_pem(files.pem.as_bytes()).unwrap();
    let client = crate::common::http().redirect(Policy::none());
    browser.client = client.tls_certs_only([root]).build().unwrap();
    let shown = browser.try_token(&token(OPERATOR));
    assert_eq!(shown.status, 303, "{}", shown.text);
    let cookie = shown.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-zep-mcp-ui="), "{cookie}");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Secure"] {
        assert!(
            cookie.split("; ").any(|part| part == word),
            "{word}: {cookie}"
        );
    }
    browser.cookie = cookie.split(';').next().map(str::to_owned);
    let page = browser.get("/ui");
    assert_eq!(page.status, 200);
    let out = browser.post("/ui/logout", &[("csrf", &page.csrf())]);
    let taken = out.header("set-cookie");
    assert!(
        taken.starts_with("__Host-zep-mcp-ui=;") && taken.contains("Max-Age=0"),
        "{taken}"
    );
    assert_eq!(browser.get("/ui").status, 303);
}
