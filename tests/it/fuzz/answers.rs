//! Answers of Zep's API: whatever comes, a call ends, with what Zep said or with an error.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use zep_mcp_server::zep::{
    Accounts, DataType, Graphs, Metadata, NewEpisode, Owner, RecordMark, Threads, TimeOrder,
    UserId, Uuid, Window,
};

use super::{corpus, fuzz_bytes};
use crate::common::{cloud, message, record, thread};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"uuid\":\"x\",",
    "\"messages\":[",
    "\"total_count\":3,",
    "\"total_count\":-1,",
    "\"row_count\":9,",
    "\"user_id\":\"u-1\",",
    "\"created_at\":\"0000-00-00\",",
    "\"metadata\":{\"zm_id\":\"r\",\"zm_part\":\"2/3\"},",
    "\"metadata\":null,",
    "\"episodes\":[",
    "\"edges\":[",
    "\"role\":\"robot\",",
    "\"processed\":1,",
    "\"message_uuids\":[",
];

#[test]
fn a_call_ends_whatever_is_answered() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let answer: Arc<Mutex<Vec<u8>>> = Arc::default();
    let told = answer.clone();
    let (url, _calls) = runtime.block_on(record(move |_| {
        let body = told.lock().unwrap().clone();
        Response::builder()
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap()
    }));
    let user_id = UserId::new("u-1").unwrap();
    let owner = Owner::User(user_id.clone());
    let messages = [message("r", "x")];
    let id = Uuid("0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001".to_owned());
    // Short: reads are repeated as long as their time allows.
    let zep = cloud(&url, Duration::from_millis(150));
    fuzz_bytes("answers", 24, corpus("answers"), WORDS, |bytes| {
        *answer.lock().unwrap() = bytes.to_owned();
        // By the grammar: a number that no float holds is refused only where it is read.
        let text = std::str::from_utf8(bytes).ok();
        let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        runtime.block_on(async {
            let (session, records) = (thread("s"), HashSet::from(["r".to_owned()]));
            let pages = async {
                // A server that always names a further page is asked until a test ends it.
                let mut pages = zep.episodes(&owner, TimeOrder::OldestFirst, 10);
                for _ in 0..3 {
                    if !matches!(pages.next().await, Ok(Some(_))) {
                        break;
                    }
                }
            };
            let episode = NewEpisode {
                data_type: DataType::Text,
                data: "x".into(),
                created_at: None,
                mark: Some(RecordMark::whole("r")),
                metadata: Metadata::new(),
                source_description: None,
            };
            let (all, _, _, _, _, _, _, user, ()) = futures::join!(
                zep.all_messages(&session),
                zep.messages(&session, &Window::Last { limit: 3 }),
                zep.find_messages(&session, &records),
                zep.add_messages(&session, &messages),
                zep.add_episode(&owner, &episode),
                zep.episode(&id),
                zep.facts_by_id(&owner, std::slice::from_ref(&id)),
                zep.user_threads(&user_id),
                pages,
            );
            if let Ok(page) = all
                && let Some(total) = page.total_count
            {
                prop_assert!(page.messages.len() as u64 >= total, "{page:?}");
            }
            prop_assert!(is_json || user.is_err() || bytes.is_empty());
            Ok(())
        })
    });
}
