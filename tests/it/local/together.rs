//! Writes that arrive at once share a transaction: each is stored or refused for itself, in order.

use futures::future::join_all;
use serde_json::{Value, json};
use zep_mcp_server::local::Behavior;
use zep_mcp_server::zep::{Error, NewMessage, RecordMark, Threads};

use super::{Home, message, thread};
use crate::common::program::{Client, World, outcome};

/// How often the server is killed; more with `KILLS`.
const KILLS: usize = 4;
/// Sessions that are written to at once.
const SESSIONS: usize = 12;

fn marked(record: &str, text: &str) -> NewMessage {
    NewMessage {
        mark: Some(RecordMark::whole(record)),
        ..message(text)
    }
}

#[tokio::test]
async fn each_of_many_writes_at_once_is_stored_or_refused_for_itself() {
    let (home, _, session) = Home::with_thread(Behavior::default()).await;
    let first = [marked("there", "first")];
    home.zep.add_messages(&session, &first).await.unwrap();
    let nowhere = thread("nowhere");
    let outcomes = join_all((0..200).map(async |n| {
        let text = format!("turn {n}");
        let new = marked(&text, &text);
        match n % 4 {
            // Refused after its first message was written.
            1 => {
                let twice = [new, marked("there", "first")];
                home.zep.add_messages(&session, &twice).await
            }
            3 => home.zep.add_messages(&nowhere, &[new]).await,
            _ => home.zep.add_messages(&session, &[new]).await,
        }
    }));
    for (n, outcome) in outcomes.await.into_iter().enumerate() {
        match (n % 4, &outcome) {
            (1, Err(Error::Conflict { .. })) | (3, Err(Error::NotFound { .. })) => {}
            (0 | 2, Ok(added)) if added.message_uuids.len() == 1 => {}
            _ => panic!("{n}: {outcome:?}"),
        }
    }
    let stored = (0..200).step_by(2).map(|n| format!("turn {n}"));
    let stored: Vec<String> = ["first".to_owned()].into_iter().chain(stored).collect();
    assert_eq!(home.contents(&session).await, stored);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_before_it_begins_stops_nothing() {
    let (home, _, session) = Home::with_thread(Behavior::default()).await;
    for n in 0..20 {
        let (left, kept) = (format!("left {n}"), format!("kept {n}"));
        let (left, kept) = ([message(&left)], [message(&kept)]);
        let leaves = tokio::time::timeout(
            std::time::Duration::ZERO,
            home.zep.add_messages(&session, &left),
        );
        let (_, stays) = tokio::join!(leaves, home.zep.add_messages(&session, &kept));
        stays.unwrap();
    }
    let mut stored = home.contents(&session).await;
    stored.retain(|text| text.starts_with("kept"));
    let kept: Vec<String> = (0..20).map(|n| format!("kept {n}")).collect();
    assert_eq!(stored, kept);
}

#[test]
fn what_was_answered_is_stored_once_whenever_a_server_is_killed_among_many_writes() {
    let kills = std::env::var("KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let world = World::embedded();
    let mut rng = fastrand::Rng::with_seed(20_261_130);
    let mut answered: Vec<(usize, String, Value)> = Vec::new();
    for kill in 0..kills {
        // Two processes on one file.
        let mut clients: [Client; 2] = [world.connect(), world.connect()];
        let ids: Vec<Vec<(usize, String, u64)>> = clients
            .iter_mut()
            .enumerate()
            .map(|(process, client)| {
                let say = |n: usize| {
                    let (session, text) = (n % SESSIONS, format!("{kill} {process} {n}"));
                    let turn = json!({"role": "user", "content": text});
                    let new = json!({"user_id": "ann", "session_id": session.to_string(), "messages": [turn]});
                    let id = client.ask_tool("add_memory", &new);
                    (session, text, id)
                };
                (0..200).map(say).collect()
            })
            .collect();
        for (client, ids) in clients.iter_mut().zip(&ids) {
            for (session, text, id) in &ids[..rng.usize(1..60)] {
                let stored = outcome(&client.answer_to(*id)).unwrap()["results"][0]["id"].clone();
                answered.push((*session, text.clone(), stored));
            }
        }
        for (client, ids) in clients.iter_mut().zip(ids) {
            client.kill();
            for (session, text, id) in ids {
                let answer = client.answered(id);
                answered.extend(answer.map(|answer| {
                    let stored = outcome(&answer).unwrap()["results"][0]["id"].clone();
                    (session, text, stored)
                }));
            }
        }
    }
    let mut client = world.connect();
    for session in 0..SESSIONS {
        let stored = client.read_session("ann", &session.to_string());
        for (_, text, id) in answered.iter().filter(|(of, ..)| *of == session) {
            let mut copies = stored.iter().filter(|turn| turn["content"] == **text);
            assert_eq!(copies.next().map(|turn| &turn["id"]), Some(id), "{text}");
            assert!(copies.next().is_none(), "{text} is there twice");
        }
    }
}
