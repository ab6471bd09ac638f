//! What the store promises its tables.

use std::sync::Arc;

use super::batches::settle_due;
use super::behavior::Behavior;
use super::sqlite::{Step, Store};
use super::tables::{episodes, messages, threads, users};
use crate::zep::{Error, NewMessage, NewUser, Role, ThreadId, UserFields, UserId};

fn store(directory: &tempfile::TempDir) -> Arc<Store> {
    let path = directory.path().join("memory.db");
    Arc::new(Store::new(path, Behavior::default(), settle_due))
}

fn message(text: &str) -> NewMessage {
    NewMessage {
        role: Role::User,
        content: text.into(),
        name: None,
        created_at: None,
        mark: None,
        metadata: crate::zep::Metadata::new(),
    }
}

async fn with_thread(store: &Arc<Store>) -> ThreadId {
    let thread = ThreadId::new("t").unwrap();
    let name = thread.clone();
    store
        .write(move |w| {
            let user = NewUser {
                user_id: UserId::new("u").unwrap(),
                fields: UserFields::default(),
            };
            users::add(w, &user)?;
            threads::create(w, &name, &user.user_id)
        })
        .await
        .unwrap();
    thread
}

/// How many messages are stored.
async fn stored(store: &Arc<Store>, thread: ThreadId) -> Option<u64> {
    let page = store.read(move |w| messages::all(w, &thread)).await;
    page.unwrap().total_count
}

#[tokio::test]
async fn a_full_disk_refuses_a_write_whole_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let thread = with_thread(&store).await;
    // From here on the file cannot grow.
    store
        .read(|w| {
            let pages: i64 = w.tx.pragma_query_value(None, "page_count", |r| r.get(0))?;
            w.tx.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    let name = thread.clone();
    let many: Vec<_> = (0..30)
        .map(|n| message(&format!("{n} ").repeat(900)))
        .collect();
    let error = store
        .write(move |w| messages::add(w, &name, &many, &[]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!(stored(&store, thread).await, Some(0));
}

#[tokio::test]
async fn a_panic_is_an_error_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let thread = with_thread(&store).await;
    let name = thread.clone();
    let error = store
        .write(move |w| -> Step<()> {
            messages::add(w, &name, &[message("x")], &[])?;
            panic!("as a defect would");
        })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Storage { .. }));
    assert_eq!(stored(&store, thread).await, Some(0));
}

#[tokio::test]
async fn a_users_threads_are_looked_up_without_a_look_at_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    with_thread(&store).await;
    store
        .read(|w| {
            let plan: String =
                w.tx.prepare(&format!("EXPLAIN QUERY PLAN {}", threads::IS_OF))?
                    .query_map(("t", "u"), |row| row.get::<_, String>(3))?
                    .collect::<rusqlite::Result<_>>()?;
            let own = "SEARCH thread USING COVERING INDEX thread_owner (owner=? AND name=?)";
            assert!(plan.contains(own), "{plan}");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn records_are_looked_up_by_index() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    with_thread(&store).await;
    store
        .read(|w| {
            let sql = episodes::record_query().replace('?', "9");
            let record: String =
                w.tx.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?
                    .query_map([], |row| row.get::<_, String>(3))?
                    .collect::<rusqlite::Result<_>>()?;
            assert!(record.contains("zm_id"), "{record}");
            Ok(())
        })
        .await
        .unwrap();
}
