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

#[tokio::test]
async fn a_write_that_fails_or_panics_takes_no_other_of_its_transaction_along() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let thread = with_thread(&store).await;
    let write = async |n: usize| {
        let name = thread.clone();
        let write = store.write(move |w| {
            let added = messages::add(w, &name, &[message(&n.to_string())], &[])?;
            match n % 5 {
                1 => panic!("as a defect would"),
                3 => Err(w.tx.execute("not SQL", []).unwrap_err().into()),
                _ => Ok(added),
            }
        });
        write.await
    };
    let outcomes = futures::future::join_all((0..150).map(write)).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.is_ok(), !matches!(n % 5, 1 | 3), "{n}");
    }
    let page = store.read(move |w| messages::all(w, &thread)).await;
    let texts: Vec<String> = page
        .unwrap()
        .messages
        .into_iter()
        .map(|it| it.content)
        .collect();
    let kept = (0..150).filter(|n| !matches!(n % 5, 1 | 3));
    assert_eq!(texts, kept.map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_disk_refuses_the_writes_that_do_not_fit_and_no_other_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let thread = with_thread(&store).await;
    // From here on the file can grow by a few messages only, on whichever connection.
    let write = async |n: usize| {
        let name = thread.clone();
        let write = store.write(move |w| {
            let pages: i64 = w.tx.pragma_query_value(None, "page_count", |r| r.get(0))?;
            let most = if n % 3 == 1 { pages } else { pages + 1_000 };
            w.tx.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
            let many = vec![message(&format!("{n} ").repeat(900)); 8];
            messages::add(w, &name, &many, &[])
        });
        write.await
    };
    let outcomes = futures::future::join_all((0..40).map(write)).await;
    let stored_now = stored(&store, thread.clone()).await.unwrap();
    let kept = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(stored_now, 8 * kept as u64);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let mut refused = refused.map(ToString::to_string);
    assert!(
        refused
            .next()
            .is_some_and(|error| error.contains("disk is full"))
    );
    assert!(refused.all(|error| error.contains("disk is full")));
    let name = thread.clone();
    let after = store.write(move |w| {
        w.tx.pragma_update_and_check(None, "max_page_count", 1 << 30, |_| Ok(()))?;
        messages::add(w, &name, &[message("after")], &[])
    });
    after.await.unwrap();
    assert_eq!(stored(&store, thread).await, Some(stored_now + 1));
}
