use std::collections::HashSet;

use serde_json::{Value, json};
use zep_mcp_server::local::{Behavior, CursorMeaning, EpisodeDeletion, MetadataPatch};
use zep_mcp_server::zep::{
    DataType, Error, Graphs, NewMessage, Outcome, PartNo, RecordMark, Role, Threads, Uuid, Window,
};

use super::{Home, message, object, of};

#[tokio::test]
async fn a_message_comes_back_as_it_was_given_and_is_an_episode_of_its_user() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let given = NewMessage {
        role: Role::Assistant,
        content: "שלום 👋\n\0 \"quoted\"".into(),
        name: Some("Dr. Weiß".into()),
        created_at: Some("2024-06-15T10:30:00.123456789Z".parse().unwrap()),
        mark: None,
        metadata: object(json!({"b": [1, 2.5, true], "a": "x", "n": 9007199254740993_i64})),
    };
    let added = home
        .zep
        .add_messages(&thread, std::slice::from_ref(&given))
        .await
        .unwrap();

    let page = home.again().all_messages(&thread).await.unwrap();
    let read = &page.messages[0];
    assert_eq!(page.user_id.as_deref(), Some("u"));
    assert_eq!(read.uuid.as_ref(), Some(&added.message_uuids[0]));
    assert_eq!(
        (read.role, &read.content, &read.name),
        (given.role, &given.content, &given.name)
    );
    assert_eq!(read.created_at, given.created_at);
    assert_eq!(read.metadata.as_ref(), Some(&given.metadata));
    assert_eq!(read.processed, Some(true));

    let episode = home.zep.episode(&added.message_uuids[0]).await.unwrap();
    assert_eq!(episode.thread_id.as_deref(), Some("t"));
    assert_eq!(
        (episode.role, episode.role_type),
        (given.name, Some(Role::Assistant))
    );
    assert_eq!(episode.source, Some(DataType::Message));
    assert_eq!(home.zep.thread_episodes(&thread).await.unwrap().len(), 1);
    assert_eq!(
        home.zep.last_episodes(&of(&user), 5).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_thread_is_ordered_by_arrival_not_by_timestamps() {
    let (home, _, thread) = Home::with_thread(Behavior::default()).await;
    let dated = |text: &str, at: &str| NewMessage {
        created_at: Some(at.parse().unwrap()),
        ..message(text)
    };
    let messages = [
        dated("new", "2025-01-01T00:00:00Z"),
        dated("old", "1999-01-01T00:00:00Z"),
    ];
    home.zep.add_messages(&thread, &messages).await.unwrap();
    home.say(&thread, &["last"]).await;
    assert_eq!(home.contents(&thread).await, ["new", "old", "last"]);
}

#[tokio::test]
async fn what_zep_refuses_is_refused_and_nothing_of_it_is_stored() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let with = |metadata: Value| NewMessage {
        metadata: object(metadata),
        ..message("x")
    };
    let eleven: serde_json::Map<String, Value> =
        (0..11).map(|key| (key.to_string(), json!(1))).collect();
    let refused: Vec<NewMessage> = vec![
        message(&"é".repeat(4_097)),
        message(" \n"),
        NewMessage {
            name: Some("n".repeat(101)),
            ..message("x")
        },
        with(Value::Object(eleven)),
        with(json!({"k": {"nested": 1}})),
        with(json!({"k": [["nested"]]})),
        with(json!({"k": null})),
        with(json!({"k": []})),
        with(json!({" ": 1})),
    ];
    for wrong in refused {
        let call = [message("fine"), wrong];
        let error = home.zep.add_messages(&thread, &call).await.unwrap_err();
        assert!(
            matches!(error, Error::Invalid { status: 400, .. }),
            "{error}"
        );
        assert_eq!(error.outcome(), Outcome::Refused);
    }
    let many = vec![message("x"); 31];
    assert!(home.zep.add_messages(&thread, &many).await.is_err());
    assert!(home.zep.add_messages(&thread, &[]).await.is_err());
    let long = super::note(&"x".repeat(10_001));
    assert!(home.zep.add_episode(&of(&user), &long).await.is_err());
    assert_eq!(home.contents(&thread).await.len(), 0);
    assert!(
        home.zep
            .last_episodes(&of(&user), 9)
            .await
            .unwrap()
            .is_empty()
    );

    let most = vec![message(&"é".repeat(4_096)); 30];
    home.zep.add_messages(&thread, &most).await.unwrap();
    let long = super::note(&"x".repeat(10_000));
    home.zep.add_episode(&of(&user), &long).await.unwrap();
}

#[tokio::test]
async fn windows_show_the_first_the_last_and_those_after_a_known_message() {
    let (home, _, thread) = Home::with_thread(Behavior::default()).await;
    let uuids = home.say(&thread, &["0", "1", "2", "3", "4"]).await;
    let read = |window: Window| {
        let (zep, thread) = (home.zep.clone(), thread.clone());
        async move {
            let page = zep.messages(&thread, &window).await?;
            assert_eq!(page.total_count, Some(5));
            let texts: Vec<String> = page.messages.into_iter().map(|one| one.content).collect();
            Ok::<_, Error>(texts.concat())
        }
    };
    assert_eq!(read(Window::First { limit: 2 }).await.unwrap(), "01");
    assert_eq!(read(Window::Last { limit: 2 }).await.unwrap(), "34");
    let after = |offset, last: &Uuid| Window::After {
        offset,
        last: last.clone(),
        limit: 2,
    };
    assert_eq!(read(after(2, &uuids[1])).await.unwrap(), "23");
    // The known message decides, not the offset.
    assert_eq!(read(after(1, &uuids[2])).await.unwrap(), "34");
    let unknown = Uuid("0190a7f0-0000-7000-8000-000000000000".into());
    let error = read(after(2, &unknown)).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }));
}

#[tokio::test]
async fn a_cursor_is_an_offset_or_a_page() {
    for (switch, second) in [(CursorMeaning::Offset, "23"), (CursorMeaning::Page, "23")] {
        let behavior = Behavior {
            cursor: switch,
            ..Behavior::default()
        };
        let (home, _, thread) = Home::with_thread(behavior).await;
        home.say(&thread, &["0", "1", "2", "3", "4"]).await;
        let read = async |limit, cursor, lastn| {
            let page = home
                .zep
                .messages_raw(&thread, limit, cursor, lastn)
                .await
                .unwrap();
            page.messages
                .into_iter()
                .map(|one| one.content)
                .collect::<String>()
        };
        assert_eq!(read(None, None, None).await, "01234");
        assert_eq!(read(Some(2), None, None).await, "01");
        assert_eq!(read(Some(2), Some(2), None).await, second);
        let fourth = read(Some(2), Some(4), None).await;
        assert_eq!(
            fourth,
            if switch == CursorMeaning::Offset {
                "4"
            } else {
                ""
            }
        );
        assert_eq!(read(Some(2), Some(1), Some(3)).await, "234");
    }
}

#[tokio::test]
async fn patching_metadata_merges_or_replaces_and_setting_replaces() {
    for (switch, expected) in [
        (MetadataPatch::Merges, json!({"stays": 1, "new": 3})),
        (MetadataPatch::Replaces, json!({"new": 3})),
    ] {
        let behavior = Behavior {
            metadata_patch: switch,
            ..Behavior::default()
        };
        let (home, _, thread) = Home::with_thread(behavior).await;
        let one = NewMessage {
            metadata: object(json!({"stays": 1, "goes": 2})),
            ..message("x")
        };
        let added = home.zep.add_messages(&thread, &[one]).await.unwrap();
        let uuid = &added.message_uuids[0];
        let patch = object(json!({"goes": null, "new": 3}));
        let patched = home.zep.patch_message_metadata(uuid, &patch).await.unwrap();
        assert_eq!(patched.metadata, Some(object(expected)));
        let patched = home.zep.patch_episode_metadata(uuid, &patch).await.unwrap();
        assert_eq!(patched.metadata.unwrap()["new"], 3);

        let whole = object(json!({"only": "this"}));
        let set = home
            .zep
            .set_message_metadata(uuid, None, &whole)
            .await
            .unwrap();
        assert_eq!(set.metadata.as_ref(), Some(&whole));
        assert_eq!(set.content, "x");
        let nested = object(json!({"a": {"b": 1}}));
        assert!(
            home.zep
                .set_message_metadata(uuid, None, &nested)
                .await
                .is_err()
        );
        let read = home.zep.all_messages(&thread).await.unwrap();
        assert_eq!(read.messages[0].metadata.as_ref(), Some(&whole));
    }
}

#[tokio::test]
async fn deleting_an_episode_removes_its_facts_and_its_message_or_keeps_the_message() {
    for (switch, left) in [
        (EpisodeDeletion::RemovesMessage, vec!["one", "three"]),
        (
            EpisodeDeletion::KeepsMessage,
            vec!["one", "rhubarb", "three"],
        ),
    ] {
        let behavior = Behavior {
            episode_deletion: switch,
            ..Behavior::default()
        };
        let (home, user, thread) = Home::with_thread(behavior).await;
        let uuids = home.say(&thread, &["one", "rhubarb", "three"]).await;
        home.zep.delete_episode(&uuids[1]).await.unwrap();

        assert_eq!(home.contents(&thread).await, left);
        assert!(
            home.zep
                .episode(&uuids[1])
                .await
                .unwrap_err()
                .is_not_found()
        );
        assert!(
            home.zep
                .delete_episode(&uuids[1])
                .await
                .unwrap_err()
                .is_not_found()
        );
        // Its neighbours do not find it either.
        assert!(home.find(&of(&user), "rhubarb").await.is_empty());
        assert_eq!(home.zep.thread_episodes(&thread).await.unwrap().len(), 2);
        home.zep.delete_thread(&thread).await.unwrap();
        assert!(
            home.zep
                .last_episodes(&of(&user), 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn deleting_a_thread_deletes_its_messages_episodes_facts_and_speakers() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let named = NewMessage {
        name: Some("Mallory".into()),
        ..message("I have a secret garden")
    };
    let added = home.zep.add_messages(&thread, &[named]).await.unwrap();
    home.note(&of(&user), "Likes gardens", json!({})).await;
    home.zep.delete_thread(&thread).await.unwrap();

    assert!(
        home.zep
            .all_messages(&thread)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        home.zep
            .episode(&added.message_uuids[0])
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(home.find(&of(&user), "garden").await, ["Likes gardens"]);
    let nodes = home
        .zep
        .list_nodes(&of(&user), &Default::default())
        .await
        .unwrap();
    assert!(nodes.items.iter().all(|node| node.name != "Mallory"));
}

#[tokio::test]
async fn messages_and_episodes_are_found_by_their_record() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let of_record = |text: &str, id: &str, number, total| NewMessage {
        mark: Some(RecordMark {
            record: id.into(),
            part: PartNo { number, total },
        }),
        ..message(text)
    };
    let messages = [
        of_record("1/2", "r1", 1, 2),
        of_record("2/2", "r1", 2, 2),
        of_record("other", "r2", 1, 1),
    ];
    home.zep.add_messages(&thread, &messages).await.unwrap();
    home.note(&of(&user), "a note", json!({"zm_id": "r3"}))
        .await;

    let wanted: HashSet<String> = ["r1".into(), "r3".into(), "missing".into()].into();
    let found = home.zep.find_messages(&thread, &wanted).await.unwrap();
    let texts: Vec<_> = found.iter().map(|one| one.content.as_str()).collect();
    assert_eq!(texts, ["1/2", "2/2"]);
    let notes = home.zep.find_episodes(&of(&user), "r3").await.unwrap();
    assert_eq!(notes.len(), 1);
    assert_eq!(
        home.zep
            .find_episodes(&of(&user), "r1")
            .await
            .unwrap()
            .len(),
        2
    );
    let stranger = home.user("stranger").await;
    assert!(
        home.zep
            .find_episodes(&of(&stranger), "r1")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn messages_are_accepted_for_any_thread() {
    // As in Zep, the thread's owner is not checked.
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    home.user("somebody-else").await;
    home.say(&thread, &["hello"]).await;
    assert_eq!(home.find(&of(&user), "hello").await.len(), 1);
}
