use std::time::Duration;

use zep_mcp_server::local::{Behavior, DraftMessages};
use zep_mcp_server::zep::{
    Accounts, Batch, BatchItem, BatchItemKind, BatchItemStatus, BatchStatus, Batches, Error,
    Graphs, Metadata, NewMessage, ThreadId, Threads,
};

use super::{Home, message, note, of, thread, user};

fn items(thread: &ThreadId, texts: &[&str]) -> Vec<BatchItem> {
    texts
        .iter()
        .map(|text| BatchItem::Message(thread.clone(), message(text)))
        .collect()
}

async fn draft(home: &Home) -> String {
    let batch = home.zep.create_batch(&Metadata::new()).await.unwrap();
    assert_eq!(batch.status, Some(BatchStatus::Draft));
    batch.batch_id.unwrap()
}

fn stored(batch: &Batch) -> Option<u64> {
    batch.progress.as_ref()?.succeeded_items
}

#[tokio::test]
async fn a_batch_is_stored_in_order_under_the_returned_ids() {
    for drafts in [DraftMessages::Hidden, DraftMessages::Visible] {
        let behavior = Behavior {
            draft_messages: drafts,
            ..Behavior::default()
        };
        let (home, person, thread) = Home::with_thread(behavior).await;
        home.say(&thread, &["before"]).await;
        let batch = draft(&home).await;
        let mut states = home
            .zep
            .add_batch_items(&batch, &items(&thread, &["0", "1"]))
            .await
            .unwrap();
        let more = [
            BatchItem::Message(thread.clone(), message("walnut")),
            BatchItem::Episode(of(&person), note("about walnuts")),
        ];
        states.extend(home.zep.add_batch_items(&batch, &more).await.unwrap());
        let places: Vec<_> = states
            .iter()
            .flat_map(|state| state.sequence_index)
            .collect();
        assert_eq!(places, [0, 1, 2, 3]);
        assert!(
            states
                .iter()
                .all(|state| state.status == Some(BatchItemStatus::Pending))
        );
        assert_eq!(states[3].user_id.as_deref(), Some("u"));

        let shown = home.contents(&thread).await;
        match drafts {
            DraftMessages::Hidden => assert_eq!(shown, ["before"]),
            DraftMessages::Visible => assert_eq!(shown, ["before", "0", "1", "walnut"]),
        }
        assert!(home.find(&of(&person), "walnut").await.is_empty());

        let done = home.zep.process_batch(&batch).await.unwrap();
        assert_eq!(done.status, Some(BatchStatus::Succeeded));
        assert_eq!((done.item_count, stored(&done)), (Some(4), Some(4)));
        assert_eq!(home.contents(&thread).await, ["before", "0", "1", "walnut"]);
        assert_eq!(
            home.find(&of(&person), "walnut").await.len(),
            3,
            "two, and the one before"
        );
        let page = home.zep.all_messages(&thread).await.unwrap();
        let uuids: Vec<_> = page
            .messages
            .into_iter()
            .skip(1)
            .map(|one| one.uuid)
            .collect();
        let answered: Vec<_> = states
            .iter()
            .take(3)
            .map(|one| one.episode_uuid.clone())
            .collect();
        assert_eq!(uuids, answered);
        home.zep
            .episode(states[3].episode_uuid.as_ref().unwrap())
            .await
            .unwrap();

        let again = home.zep.process_batch(&batch).await.unwrap_err();
        assert!(again.is_conflict());
        assert!(
            home.zep
                .delete_batch(&batch)
                .await
                .unwrap_err()
                .is_conflict()
        );
        let late = home
            .zep
            .add_batch_items(&batch, &items(&thread, &["x"]))
            .await;
        assert!(late.unwrap_err().is_conflict());
    }
}

#[tokio::test]
async fn items_are_checked_when_they_are_added_all_or_none() {
    let (home, _, here) = Home::with_thread(Behavior::default()).await;
    let batch = draft(&home).await;
    let long = NewMessage {
        content: "x".repeat(4_097),
        ..message("")
    };
    for wrong in [
        BatchItem::Message(thread("nowhere"), message("x")),
        BatchItem::Episode(of(&user("nobody")), note("x")),
        BatchItem::Message(here.clone(), long),
    ] {
        let call = [BatchItem::Message(here.clone(), message("fine")), wrong];
        home.zep.add_batch_items(&batch, &call).await.unwrap_err();
    }
    let many = items(&here, &["x"; 351]);
    assert!(home.zep.add_batch_items(&batch, &many).await.is_err());
    assert_eq!(home.zep.batch(&batch).await.unwrap().item_count, Some(0));
    let empty = home.zep.process_batch(&batch).await.unwrap_err();
    assert!(matches!(empty, Error::Invalid { .. }));
    assert!(
        home.zep
            .batch("no-such-batch")
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn an_item_that_can_no_longer_be_stored_fails_alone() {
    let (home, person, here) = Home::with_thread(Behavior::default()).await;
    let doomed = home.thread("doomed", &person).await;
    let batch = draft(&home).await;
    let mut all = items(&here, &["stays"]);
    all.extend(items(&doomed, &["goes"]));
    home.zep.add_batch_items(&batch, &all).await.unwrap();
    home.zep.delete_thread(&doomed).await.unwrap();
    let done = home.zep.process_batch(&batch).await.unwrap();
    assert_eq!(done.status, Some(BatchStatus::Partial));
    let failed = home
        .zep
        .list_batch_items(&batch, Some(BatchItemStatus::Failed), None, None)
        .await
        .unwrap();
    assert_eq!(failed.items.len(), 1);
    assert_eq!(failed.items[0].sequence_index, Some(1));
    assert!(failed.items[0].error.is_some());
    assert_eq!(home.contents(&here).await, ["stays"]);
}

#[tokio::test]
async fn a_deleted_users_message_is_still_listed_as_a_message_without_their_name() {
    let (home, person, _) = Home::with_thread(Behavior::default()).await;
    let doomed = home.user("doomed").await;
    let theirs = home.thread("theirs", &doomed).await;
    let batch = draft(&home).await;
    let mut all = items(&theirs, &["goes"]);
    all.push(BatchItem::Episode(of(&person), note("stays")));
    home.zep.add_batch_items(&batch, &all).await.unwrap();
    home.zep.delete_user(&doomed).await.unwrap();
    home.zep.process_batch(&batch).await.unwrap();
    let page = home
        .zep
        .list_batch_items(&batch, None, None, None)
        .await
        .unwrap();
    let kinds: Vec<_> = page
        .items
        .iter()
        .map(|item| (item.kind.unwrap(), item.status.unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            (BatchItemKind::ThreadMessage, BatchItemStatus::Failed),
            (BatchItemKind::GraphEpisode, BatchItemStatus::Succeeded),
        ]
    );
    assert_eq!(
        (&page.items[0].user_id, &page.items[0].thread_id),
        (&None, &None)
    );
}

#[tokio::test]
async fn a_batch_lives_through_queued_and_processing_before_it_is_stored() {
    // A machine that is too busy to look in time looks at a slower batch.
    for delay in [2_400, 24_000, 240_000] {
        let seen = seen_of_a_batch(Duration::from_millis(delay)).await;
        if seen.contains(&1) && seen.contains(&2) {
            return;
        }
    }
    panic!("its items never follow one by one");
}

/// How many of a batch's three items were seen done while it was processed.
async fn seen_of_a_batch(delay: Duration) -> Vec<u64> {
    let behavior = Behavior {
        processing_delay: delay,
        ..Behavior::default()
    };
    let (home, _, here) = Home::with_thread(behavior).await;
    let batch = draft(&home).await;
    home.zep
        .add_batch_items(&batch, &items(&here, &["0", "1", "2"]))
        .await
        .unwrap();
    let given = home.zep.process_batch(&batch).await.unwrap();
    assert_eq!(given.status, Some(BatchStatus::Queued));
    let queued = Some(BatchItemStatus::Queued);
    let page = home
        .zep
        .list_batch_items(&batch, queued, Some(2), None)
        .await
        .unwrap();
    assert_eq!((page.items.len(), page.next_cursor), (2, Some(2)));
    let rest = home
        .zep
        .list_batch_items(&batch, queued, Some(2), page.next_cursor)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.next_cursor), (1, None));
    assert!(home.contents(&here).await.is_empty());

    // The items follow one by one; each stored one is in the thread and processed.
    let mut seen = vec![0];
    loop {
        tokio::time::sleep(Duration::from_millis(40)).await;
        let working = home.again().batch(&batch).await.unwrap();
        if working.status != Some(BatchStatus::Processing) {
            if working.status == Some(BatchStatus::Queued) {
                continue;
            }
            break;
        }
        let done = stored(&working).unwrap();
        let open = working.progress.unwrap().processing_items.unwrap();
        assert_eq!(done + open, 3);
        assert!(seen.last() <= Some(&done));
        seen.push(done);
        let there = home.zep.all_messages(&here).await.unwrap().messages;
        assert!(there.len() as u64 >= done);
        assert!(there.iter().all(|one| one.processed == Some(true)));
    }

    // The next call finishes it, also from another process.
    let done = home.again().batch(&batch).await.unwrap();
    assert_eq!(
        (done.status, stored(&done)),
        (Some(BatchStatus::Succeeded), Some(3))
    );
    assert_eq!(home.contents(&here).await, ["0", "1", "2"]);
    seen
}

#[tokio::test]
async fn drafts_are_listed_newest_first_and_deleted_with_their_visible_messages() {
    let behavior = Behavior {
        draft_messages: DraftMessages::Visible,
        ..Behavior::default()
    };
    let (home, _, here) = Home::with_thread(behavior).await;
    let one = draft(&home).await;
    let two = draft(&home).await;
    home.zep
        .add_batch_items(&one, &items(&here, &["shown"]))
        .await
        .unwrap();
    assert_eq!(home.contents(&here).await, ["shown"]);
    let page = home.zep.list_batches(None, Some(1), None).await.unwrap();
    assert_eq!(page.items[0].batch_id.as_ref(), Some(&two));
    let next = home
        .zep
        .list_batches(None, Some(1), page.next_cursor)
        .await
        .unwrap();
    assert_eq!(next.items[0].batch_id.as_ref(), Some(&one));
    assert_eq!(next.next_cursor, None);

    home.zep.delete_batch(&one).await.unwrap();
    assert!(home.contents(&here).await.is_empty());
    let drafts = home
        .zep
        .list_batches(Some(BatchStatus::Draft), None, None)
        .await
        .unwrap();
    assert_eq!(drafts.items.len(), 1);
}

#[tokio::test]
async fn a_large_batch_is_stored_whole() {
    let (home, _, here) = Home::with_thread(Behavior::default()).await;
    let batch = draft(&home).await;
    let texts: Vec<String> = (0..1_050).map(|number| number.to_string()).collect();
    for part in texts.chunks(350) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        home.zep
            .add_batch_items(&batch, &items(&here, &part))
            .await
            .unwrap();
    }
    let done = home.zep.process_batch(&batch).await.unwrap();
    assert_eq!(stored(&done), Some(1_050));
    assert_eq!(home.contents(&here).await, texts);
}
