//! What the transport and the adapter promise when the network or Zep fails, or a limit is reached.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::response::Response;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};
use zep_mcp_server::zep::{
    Accounts, Batches, Connection, DataType, Error, Graphs, Metadata, NewEpisode, NewMessage,
    NewUser, Outcome, Owner, PartNo, RecordMark, Result, ThreadPages, Threads, UserFields, UserId,
    Uuid, Window, Zep,
};

use crate::common::fake::{Cursor, FakeZep, Fate};
use crate::common::{self, KEY, cloud, message, metadata, serve, thread, until};

/// Of calls that must succeed, with the waits between their tries.
const TIMEOUT: Duration = Duration::from_secs(15);
/// What a busy machine may add to a time-out of 1 s: less than the answers below take.
const SLACK: Duration = Duration::from_secs(25);

/// A server that answers its `n`th request (from 0) as told.
async fn scripted(
    answer: impl Fn(usize) -> Response + Clone + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let url = serve(move |_| {
        let response = answer(counted.fetch_add(1, Ordering::SeqCst));
        async move { response }
    })
    .await;
    (url, count)
}

fn project() -> Value {
    json!({ "project": { "uuid": "p-1", "name": "test" } })
}

fn refusal(status: u16, header: Option<(&'static str, String)>) -> Response {
    let mut response = common::json(status, &json!({ "message": "slow down" }));
    if let Some((name, value)) = header {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a header"));
    }
    response
}

#[tokio::test]
async fn a_refused_connection_says_what_to_check_and_was_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let zep = cloud(&url, TIMEOUT);
    let error = zep.project().await.expect_err("nobody listens");
    assert_eq!(error.outcome(), Outcome::NotSent, "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("Failed to connect to Zep at {url}: ")),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
    assert!(
        text.ends_with("check ZEP_API_URL and your network"),
        "{text}"
    );
}

#[tokio::test]
async fn a_used_up_limit_is_waited_for_as_long_as_zep_asks() {
    let in_seconds = || "1".to_owned();
    let as_date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    for header in [in_seconds as fn() -> String, as_date] {
        let (url, count) = scripted(move |n| match n {
            0 => refusal(429, Some(("retry-after", header()))),
            _ => common::json(200, &json!({ "user_id": "u-1" })),
        })
        .await;
        let zep = cloud(&url, TIMEOUT);
        let start = Instant::now();
        // A write: a request refused by the rate limit was not processed.
        let user = NewUser {
            user_id: UserId::new("u-1").expect("an id"),
            fields: UserFields::default(),
        };
        zep.add_user(&user)
            .await
            .expect("it succeeds the second time");
        assert!(
            start.elapsed() >= Duration::from_millis(900),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(count.load(Ordering::SeqCst), 2);
        let stats = zep.stats().unwrap();
        assert_eq!((stats.requests, stats.retries), (2, 1));
        assert!(stats.waited >= Duration::from_millis(900));
    }
}

#[tokio::test]
async fn a_wait_longer_than_the_call_may_last_is_not_begun() {
    let (url, count) = scripted(|_| refusal(429, Some(("retry-after", "600".into())))).await;
    let zep = cloud(&url, TIMEOUT);
    let error = zep.project().await.expect_err("the limit is used up");
    assert_eq!(zep.stats().unwrap().waited, Duration::ZERO);
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(
        error
            .to_string()
            .contains("slow down; try again in 600 seconds"),
        "{error}"
    );
    // The next call sends nothing before that time either.
    let error = zep.project().await.expect_err("the limit is still used up");
    assert_eq!(error.status(), Some(429));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_read_is_repeated_after_every_failure_of_zep() {
    let (url, count) = scripted(|n| match n {
        0 => common::json(502, &json!("<html>gateway</html>")),
        1 => common::broken_off(),
        2 => Response::new("no json".into()),
        _ => common::json(200, &project()),
    })
    .await;
    let zep = cloud(&url, Duration::from_secs(20));
    let found = zep.project().await.expect("the fourth try succeeds");
    assert_eq!(found.name.as_deref(), Some("test"));
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn retries_come_to_an_end() {
    let (url, count) = scripted(|_| common::json(503, &json!({ "message": "down" }))).await;
    let zep = cloud(&url, Duration::from_secs(60));
    let error = zep.project().await.expect_err("it never succeeds");
    assert!(
        matches!(error, Error::Upstream { status: 503, .. }),
        "{error:?}"
    );
    assert_eq!(count.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_call_never_lasts_longer_than_its_time_out() {
    let url = serve(|_| async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        common::json(200, &project())
    })
    .await;
    let zep = cloud(&url, Duration::from_secs(1));
    let start = Instant::now();
    let error = zep.project().await.expect_err("the server sleeps");
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_millis(900) && elapsed < SLACK,
        "{elapsed:?}"
    );
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(
        error.to_string(),
        "No answer from Zep: none within 1 seconds; whether it was carried out is not known"
    );
}

#[tokio::test]
async fn settling_a_write_takes_its_time_out_once_more_at_most() {
    let url = serve(|_| async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        common::json(200, &json!({}))
    })
    .await;
    let zep = cloud(&url, Duration::from_secs(1));
    let start = Instant::now();
    let error = zep
        .add_messages(&thread("s-1"), &[message("r-1", "a")])
        .await
        .expect_err("the server sleeps");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_without_tls_is_never_sent_anything() {
    let (url, count) = scripted(|_| common::json(200, &project())).await;
    let zep = cloud(&url.replace("http:", "https:"), TIMEOUT);
    let error = zep.project().await.expect_err("no TLS there");
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn every_status_means_what_it_should() {
    let cases: [(u16, &str, &str, Outcome); 10] = [
        (401, "bad key", "unauthorized", Outcome::Refused),
        (403, "no", "unauthorized", Outcome::Refused),
        (404, "no user", "not_found", Outcome::Refused),
        (409, "exists", "conflict", Outcome::Refused),
        (400, "thread already exists", "conflict", Outcome::Refused),
        (400, "too long", "invalid_request", Outcome::Refused),
        (422, "odd", "invalid_request", Outcome::Refused),
        (302, "elsewhere", "invalid_request", Outcome::Refused),
        (408, "late", "zep_failed", Outcome::Unknown),
        (500, "oops", "zep_failed", Outcome::Unknown),
    ];
    for (status, message, code, outcome) in cases {
        let body = json!({ "message": message });
        let (url, count) = scripted(move |_| {
            let mut response = common::json(status, &body);
            let elsewhere = "http://127.0.0.1:9/".parse().expect("a header");
            response.headers_mut().insert("location", elsewhere);
            response
        })
        .await;
        let zep = cloud(&url, TIMEOUT);
        // A write that is not harmless twice and cannot be settled: always one request.
        let error = zep
            .create_batch(&metadata(json!({})))
            .await
            .expect_err("refused");
        assert_eq!((error.code(), error.outcome()), (code, outcome), "{status}");
        assert!(
            status == 302 || error.to_string().contains(message),
            "{error}"
        );
        assert_eq!(count.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn explanations_are_short_and_never_show_the_key_or_a_foreign_page() {
    const LONG_KEY: &str = "z_very-secret-key";
    let connect = |url: &str| {
        Connection::new(url, SecretString::from(LONG_KEY), TIMEOUT).expect("a loopback address")
    };
    let echo = json!({ "message": format!("{LONG_KEY} {}", "é".repeat(1_000)) });
    let (url, _) = scripted(move |_| common::json(401, &echo)).await;
    let connection = connect(&url);
    assert!(!format!("{connection:?}").contains(LONG_KEY));
    let zep = zep_mcp_server::zep::v3::ZepCloud::new(connection);
    let error = zep.project().await.expect_err("a wrong key");
    let shown = format!("{error} {error:?} {zep:?}");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(error.to_string().chars().count() < 450);

    let (url, _) = scripted(|_| {
        let mut page = Response::new("<html>a proxy's own page</html>".into());
        *page.status_mut() = axum::http::StatusCode::FORBIDDEN;
        page
    })
    .await;
    let error = cloud(&url, TIMEOUT).project().await.expect_err("a proxy");
    assert!(!error.to_string().contains("html"), "{error}");

    let (url, _) =
        scripted(|_| common::json(200, &json!({ "project": "what somebody said" }))).await;
    let error = cloud(&url, TIMEOUT).project().await;
    let text = error.expect_err("not a project").to_string();
    assert!(!text.contains("somebody"), "{text}");
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let (url, count) = scripted(|_| {
        let chunk = axum::body::Bytes::from(vec![b' '; 1 << 20]);
        let endless =
            futures::stream::iter((0..100).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
        Response::new(axum::body::Body::from_stream(endless))
    })
    .await;
    let error = cloud(&url, Duration::from_secs(30)).project().await;
    let error = error.expect_err("100 MiB");
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_burst_slows_down_before_it_is_refused() {
    const LIMIT: u64 = 60;
    const SECONDS: u64 = 12;
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
    };
    // The count of each window, and how many were refused.
    let counts = Arc::new(std::sync::Mutex::new((0_u64, 0_u64, 0_u64)));
    let shared = counts.clone();
    let url = serve(move |_| {
        let mut state = shared.lock().expect("no panic");
        let window = now().as_secs() / SECONDS;
        if state.0 != window {
            (state.0, state.1) = (window, 0);
        }
        state.1 += 1;
        let refused = state.1 > LIMIT;
        state.2 += u64::from(refused);
        let mut response = match refused {
            true => refusal(429, None),
            false => common::json(200, &project()),
        };
        for (name, value) in [
            ("x-ratelimit-limit", LIMIT),
            ("x-ratelimit-remaining", LIMIT.saturating_sub(state.1)),
            ("x-ratelimit-reset", (window + 1) * SECONDS),
        ] {
            let value = value.to_string().parse().expect("a header");
            response.headers_mut().insert(name, value);
        }
        async move { response }
    })
    .await;
    let into_window = now().as_millis() as u64 % (SECONDS * 1_000);
    tokio::time::sleep(Duration::from_millis(SECONDS * 1_000 - into_window + 20)).await;

    let zep = cloud(&url, Duration::from_secs(30));
    let start = Instant::now();
    for _ in 0..30 {
        zep.project().await.expect("plenty is left");
    }
    let waited = zep.stats().unwrap().waited;
    assert_eq!(waited, Duration::ZERO, "nobody waits while plenty is left");
    let burst = (0..32).map(|_| zep.project());
    let results: Result<Vec<_>> = futures::future::join_all(burst).await.into_iter().collect();
    results.expect("every call succeeds");
    let elapsed = start.elapsed();
    assert_eq!(counts.lock().expect("no panic").2, 0, "none was refused");
    assert!(elapsed > Duration::from_millis(1_500), "{elapsed:?}");
    assert!(zep.stats().unwrap().waited > Duration::from_secs(1));
    assert_eq!(zep.stats().unwrap().retries, 0);
}

#[tokio::test]
async fn dropping_a_call_ends_its_wait() {
    let (url, count) = scripted(|_| refusal(429, Some(("retry-after", "1".into())))).await;
    let zep = cloud(&url, Duration::from_secs(30));
    let refused = until(async || count.load(Ordering::SeqCst) == 1);
    tokio::select! {
        result = zep.project() => panic!("it does not wait: {result:?}"),
        () = refused => {}
    }
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    assert_eq!(
        count.load(Ordering::SeqCst),
        1,
        "nothing went on without its caller"
    );
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_before_it_is_sent_again() {
    let fates = [
        (Fate::DoneAnswerLost, 1),
        (Fate::DoneAnswerGarbled, 1),
        (Fate::DoneWithoutIds, 1),
        (Fate::DoneLater(Duration::from_millis(300)), 1),
        (Fate::NotDoneAnswerLost, 2),
        (Fate::Status(500), 2),
        (Fate::Status(429), 2),
        (Fate::PartlyDone(1), 2),
    ];
    for (fate, writes) in fates {
        let fake = FakeZep::start().await;
        fake.fill(150);
        fake.state().fates.push_back(fate);
        let zep = cloud(&fake.url, TIMEOUT);
        // The same text twice: only the record ids differ.
        let batch = [
            message("r-1", "ok"),
            message("r-2", "ok"),
            message("r-3", "bye"),
        ];
        let added = zep.add_messages(&thread("s-1"), &batch).await;
        let added = added.unwrap_or_else(|error| panic!("{fate:?}: {error}"));
        assert_eq!(fake.contents()[150..], ["ok", "ok", "bye"], "{fate:?}");
        let uuids: Vec<&str> = added.message_uuids.iter().map(Uuid::as_str).collect();
        assert_eq!(uuids, ["new-150", "new-151", "new-152"], "{fate:?}");
        assert_eq!(fake.state().writes, writes, "{fate:?}");
    }
}

#[tokio::test]
async fn losing_the_second_answer_too_doubles_nothing() {
    let fake = FakeZep::start().await;
    fake.state()
        .fates
        .extend([Fate::NotDoneAnswerLost, Fate::DoneAnswerLost]);
    let zep = cloud(&fake.url, TIMEOUT);
    let batch = [message("r-1", "a"), message("r-2", "b")];
    let added = zep
        .add_messages(&thread("s-1"), &batch)
        .await
        .expect("settled");
    assert_eq!(added.message_uuids.len(), 2);
    assert_eq!(fake.contents(), ["a", "b"]);
}

#[tokio::test]
async fn the_parts_of_one_record_are_told_apart() {
    let fake = FakeZep::start().await;
    fake.fill(150);
    fake.state().fates.push_back(Fate::PartlyDone(2));
    let zep = cloud(&fake.url, TIMEOUT);
    let part = |number: u32| NewMessage {
        mark: Some(RecordMark {
            record: "r-1".into(),
            part: PartNo { number, total: 3 },
        }),
        ..message("r-1", &format!("part {number}"))
    };
    let batch = [part(1), part(2), part(3)];
    zep.add_messages(&thread("s-1"), &batch)
        .await
        .expect("settled");
    assert_eq!(fake.contents()[150..], ["part 1", "part 2", "part 3"]);
}

#[tokio::test]
async fn a_record_that_reaches_out_of_the_newest_messages_is_found_whole() {
    let fake = FakeZep::start().await;
    fake.fill(300);
    for (index, part) in [(10, "1/2"), (299, "2/2")] {
        fake.state().messages[index]["metadata"] = json!({ "zm_id": "r-1", "zm_part": part });
    }
    let zep = cloud(&fake.url, TIMEOUT);
    let records = HashSet::from(["r-1".to_owned()]);
    let found = zep
        .find_messages(&thread("s-1"), &records)
        .await
        .expect("readable");
    let contents: Vec<_> = found
        .iter()
        .map(|message| message.content.as_str())
        .collect();
    assert_eq!(contents, ["10", "299"]);
}

#[tokio::test]
async fn what_cannot_be_settled_is_reported_as_not_known() {
    let cases = [
        // Without a mark.
        vec![NewMessage {
            mark: None,
            ..message("", "ok")
        }],
        // With the same mark.
        vec![message("r-1", "ok"), message("r-1", "ok")],
    ];
    for batch in cases {
        let fake = FakeZep::start().await;
        fake.state().fates.push_back(Fate::DoneAnswerLost);
        let zep = cloud(&fake.url, TIMEOUT);
        let error = zep
            .add_messages(&thread("s-1"), &batch)
            .await
            .expect_err("not known");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(fake.contents().len(), batch.len());
        assert_eq!(fake.state().writes, 1);
    }
    let fake = FakeZep::start().await;
    fake.state().fates.extend([Fate::Status(500); 10]);
    let zep = cloud(&fake.url, TIMEOUT);
    let error = zep
        .add_messages(&thread("s-1"), &[message("r-1", "a")])
        .await;
    assert_eq!(error.expect_err("Zep is down").outcome(), Outcome::Unknown);
    assert_eq!(fake.state().writes, 3, "it gives up");
}

#[tokio::test]
async fn a_lost_episode_is_stored_once() {
    let owner = Owner::User(UserId::new("u-1").expect("an id"));
    let episode = NewEpisode {
        data_type: DataType::Text,
        data: "Prefers tea".into(),
        created_at: None,
        mark: Some(RecordMark::whole("r-1")),
        metadata: Metadata::new(),
        source_description: None,
    };
    let fates = [
        (Fate::DoneAnswerLost, 1),
        (Fate::NotDoneAnswerLost, 2),
        (Fate::DoneLater(Duration::from_millis(300)), 1),
    ];
    for (fate, writes) in fates {
        // The metadata filter is experimental: what it misses must not be stored twice.
        for filter_is_blind in [false, true] {
            let fake = FakeZep::start().await;
            fake.state().fates.push_back(fate);
            fake.state().filter_is_blind = filter_is_blind;
            let zep = cloud(&fake.url, TIMEOUT);
            let stored = zep.add_episode(&owner, &episode).await.expect("settled");
            assert_eq!(stored.uuid.as_str(), "new-0");
            let state = fake.state();
            assert_eq!(
                (state.episodes.len(), state.writes),
                (1, writes),
                "{fate:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_retried_delete_that_finds_nothing_has_succeeded() {
    let gone = || common::json(404, &json!({ "message": "not found" }));
    let (url, _) = scripted(move |n| match n {
        0 => common::broken_off(),
        _ => gone(),
    })
    .await;
    let zep = cloud(&url, TIMEOUT);
    zep.delete_thread(&thread("s-1")).await.expect("it is gone");
    let (url, _) = scripted(move |n| match n {
        0 => common::json(502, &json!({})),
        _ => gone(),
    })
    .await;
    cloud(&url, TIMEOUT)
        .delete_thread(&thread("s-1"))
        .await
        .expect("it is gone");
    let (url, _) = scripted(move |_| gone()).await;
    let error = cloud(&url, TIMEOUT).delete_thread(&thread("s-1")).await;
    assert!(error.expect_err("it never was").is_not_found());
}

#[tokio::test]
async fn a_thread_made_by_a_lost_try_is_ours_only_if_its_owner_is() {
    for (owner, ours) in [("u-1", true), ("u-2", false)] {
        let (url, _) = scripted(move |n| match n {
            0 => common::json(504, &json!({})),
            1 => common::json(400, &json!({ "message": "thread already exists" })),
            _ => common::json(
                200,
                &json!({ "messages": [], "user_id": owner, "total_count": 0 }),
            ),
        })
        .await;
        let user = UserId::new("u-1").expect("an id");
        let made = cloud(&url, TIMEOUT)
            .create_thread(&thread("s-1"), &user)
            .await;
        match ours {
            true => assert_eq!(made.expect("ours").user_id.as_deref(), Some("u-1")),
            false => assert!(made.expect_err("somebody else's").is_conflict()),
        }
    }
}

#[tokio::test]
async fn an_existing_thread_is_a_conflict_at_once() {
    let (url, count) =
        scripted(|_| common::json(400, &json!({ "message": "thread already exists" }))).await;
    let user = UserId::new("u-1").expect("an id");
    let made = cloud(&url, TIMEOUT)
        .create_thread(&thread("s-1"), &user)
        .await;
    assert!(made.expect_err("it exists").is_conflict());
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_whole_thread_is_read_exactly_whatever_cursor_counts() {
    let cursors = [
        Cursor::Offset,
        Cursor::PageFromZero,
        Cursor::PageFromOne,
        Cursor::Ignored,
        Cursor::Refused,
    ];
    for cursor in cursors {
        for (count, most) in [
            (0, usize::MAX),
            (1_000, usize::MAX),
            (2_357, usize::MAX),
            (457, 50),
        ] {
            // A server that ignores the cursor and answers only a part cannot be read whole.
            let readable =
                most == usize::MAX || !matches!(cursor, Cursor::Ignored | Cursor::Refused);
            let fake = FakeZep::start().await;
            fake.fill(count);
            (fake.state().cursor, fake.state().most) = (cursor, most);
            let zep = cloud(&fake.url, Duration::from_secs(30));
            let read = zep.all_messages(&thread("s-1")).await;
            if !readable {
                let error = read.expect_err("never a short answer");
                assert!(
                    matches!(error, Error::BadAnswer { .. }),
                    "{cursor:?} {error:?}"
                );
                // Nor is the end of the thread what comes after the error.
                let thread = thread("s-1");
                let mut pages = ThreadPages::new(&zep, &thread);
                while let Ok(page) = pages.next().await {
                    assert!(page.is_some(), "{cursor:?}");
                }
                let again = pages.next().await;
                assert!(
                    matches!(again, Err(Error::BadAnswer { .. })),
                    "{cursor:?} {again:?}"
                );
                continue;
            }
            let read = read.unwrap_or_else(|error| panic!("{cursor:?} {count}/{most}: {error}"));
            assert_eq!(read.total_count, Some(count as u64));
            let contents: Vec<_> = read.messages.into_iter().map(|m| m.content).collect();
            assert_eq!(contents, fake.contents(), "{cursor:?} {count}/{most}");
        }
    }
}

fn any_cursor() -> impl Strategy<Value = Cursor> {
    prop_oneof![
        Just(Cursor::Offset),
        Just(Cursor::PageFromZero),
        Just(Cursor::PageFromOne),
        Just(Cursor::Ignored),
        Just(Cursor::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_window_is_exactly_what_stands_there(
        cursor in any_cursor(),
        count in 1_usize..60,
        most in prop_oneof![Just(usize::MAX), 2_usize..20],
        windows in prop::collection::vec((1_usize..60, 1_u32..25), 1..6),
        last in 1_u32..70,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let fake = FakeZep::start().await;
            fake.fill(count);
            (fake.state().cursor, fake.state().most) = (cursor, most);
            let zep = cloud(&fake.url, Duration::from_secs(30));
            let may_fail = most != usize::MAX && matches!(cursor, Cursor::Ignored | Cursor::Refused);
            let all = fake.contents();
            for (offset, limit) in windows {
                let offset = offset.min(count);
                let window = Window::After {
                    offset: offset as u64,
                    last: Uuid(format!("m-{}", offset - 1)),
                    limit,
                };
                match zep.messages(&thread("s-1"), &window).await {
                    Err(error) => assert!(may_fail, "{window:?}: {error}"),
                    Ok(page) => {
                        let got: Vec<_> = page.messages.into_iter().map(|m| m.content).collect();
                        let end = (offset + limit as usize).min(count);
                        assert_eq!(&got[..], &all[offset..end], "{window:?}");
                        assert_eq!(page.total_count, Some(count as u64));
                    }
                }
            }
            match zep.messages(&thread("s-1"), &Window::Last { limit: last }).await {
                Err(error) => assert!(may_fail, "last {last}: {error}"),
                Ok(page) => {
                    let got: Vec<_> = page.messages.into_iter().map(|m| m.content).collect();
                    assert_eq!(&got[..], &all[count.saturating_sub(last as usize)..]);
                }
            }
        });
    }
}

#[tokio::test]
async fn a_known_message_that_is_not_there_is_an_error() {
    let fake = FakeZep::start().await;
    fake.fill(20);
    let zep = cloud(&fake.url, TIMEOUT);
    let window = Window::After {
        offset: 5,
        last: Uuid("gone".into()),
        limit: 5,
    };
    let error = zep
        .messages(&thread("s-1"), &window)
        .await
        .expect_err("not to be believed");
    assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_window_is_right_although_an_earlier_message_was_removed() {
    let fake = FakeZep::start().await;
    fake.fill(20);
    fake.state().messages.remove(2);
    let zep = cloud(&fake.url, TIMEOUT);
    let window = Window::After {
        offset: 10,
        last: Uuid("m-9".into()),
        limit: 3,
    };
    let page = zep
        .messages(&thread("s-1"), &window)
        .await
        .expect("found by its id");
    let got: Vec<_> = page.messages.iter().map(|m| m.content.as_str()).collect();
    assert_eq!(got, ["10", "11", "12"]);
}

#[test]
fn only_an_address_that_keeps_the_key_safe_is_accepted() {
    let connect = |url: &str| Connection::new(url, SecretString::from(KEY), TIMEOUT);
    for url in [
        "https://api.getzep.com",
        "https://zep.example:8443/",
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
    ] {
        connect(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    for url in [
        "",
        "api.getzep.com",
        "ftp://api.getzep.com",
        "http://api.getzep.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "https://user:hunter2@api.getzep.com",
        "https://api.getzep.com/api/v2",
        "https://api.getzep.com/?x=1",
        "https://api.getzep.com/#x",
    ] {
        let error = connect(url).expect_err(url);
        assert_eq!(error.field, "ZEP_API_URL");
        assert!(!error.to_string().contains("hunter2"));
    }
    let url = "https://api.getzep.com";
    for key in ["", "  ", "a\nb", "ключ"] {
        let error = Connection::new(url, SecretString::from(key), TIMEOUT).expect_err(key);
        assert_eq!(error.field, "ZEP_API_KEY");
    }
    let zero = Connection::new(url, SecretString::from(KEY), Duration::ZERO);
    assert_eq!(zero.expect_err("no time").field, "ZEP_TIMEOUT_SECS");
}
