use serde_json::json;
use zep_mcp_server::local::{Behavior, Direction, ExistingThread, PageNumber, UserOrder};
use zep_mcp_server::zep::{Accounts, Error, Graphs, NewUser, Owner, Threads, UserFields};

use super::{Home, graph, object, of, thread, user};

const ALL: PageNumber = PageNumber {
    number: 1,
    size: 50,
};

#[tokio::test]
async fn a_user_is_read_as_they_were_added_and_changed() {
    let home = Home::new();
    let new = NewUser {
        user_id: user("jane/doe?#"),
        fields: UserFields {
            email: Some("jane@example.com".into()),
            first_name: Some("Jane".into()),
            last_name: None,
            metadata: Some(object(json!({"role": "patient", "deep": {"a": [1]}}))),
        },
    };
    home.zep.add_user(&new).await.unwrap();
    let changes = UserFields {
        last_name: Some("Doe".into()),
        ..UserFields::default()
    };
    home.zep.update_user(&new.user_id, &changes).await.unwrap();

    let read = home.again().user(&new.user_id).await.unwrap();
    assert_eq!(read.user_id.as_deref(), Some("jane/doe?#"));
    assert_eq!(read.email, new.fields.email);
    assert_eq!(read.last_name.as_deref(), Some("Doe"));
    assert_eq!(read.metadata, new.fields.metadata);
}

#[tokio::test]
async fn creating_what_exists_is_refused_and_changes_nothing() {
    for (switch, status) in [
        (ExistingThread::BadRequest, 400),
        (ExistingThread::Conflict, 409),
    ] {
        let home = Home::with(Behavior {
            existing_thread: switch,
            ..Behavior::default()
        });
        let one = home.user("one").await;
        let other = home.user("other").await;
        home.thread("t", &one).await;

        let again = home.zep.create_thread(&thread("t"), &other).await;
        let error = again.unwrap_err();
        assert!(
            error.is_conflict() && error.status() == Some(status),
            "{error}"
        );
        assert!(error.to_string().contains("already exists"));
        let page = home.zep.all_messages(&thread("t")).await.unwrap();
        assert_eq!(page.user_id.as_deref(), Some("one"));

        let new = NewUser {
            user_id: one,
            fields: UserFields {
                first_name: Some("Somebody".into()),
                ..UserFields::default()
            },
        };
        let error = home.zep.add_user(&new).await.unwrap_err();
        assert!(error.is_conflict() && error.to_string().contains("already exists"));
        let kept = home.zep.user(&new.user_id).await.unwrap();
        assert_eq!(kept.first_name, None);
    }
}

#[tokio::test]
async fn nothing_is_created_for_owners_that_do_not_exist() {
    let home = Home::new();
    let nobody = user("nobody");
    let errors = [
        home.zep.user(&nobody).await.unwrap_err(),
        home.zep
            .create_thread(&thread("t"), &nobody)
            .await
            .unwrap_err(),
        home.zep.user_threads(&nobody).await.unwrap_err(),
        home.zep.delete_user(&nobody).await.unwrap_err(),
        home.zep
            .add_episode(&of(&nobody), &super::note("x"))
            .await
            .unwrap_err(),
        home.zep
            .search(&of(&nobody), &super::question("x"))
            .await
            .unwrap_err(),
        home.zep
            .add_messages(&thread("t"), &[super::message("x")])
            .await
            .unwrap_err(),
        home.zep.all_messages(&thread("t")).await.unwrap_err(),
        home.zep.graph(&graph("g")).await.unwrap_err(),
    ];
    assert!(errors.iter().all(Error::is_not_found), "{errors:?}");
    assert_eq!(
        home.zep.users().next().await.unwrap().unwrap().total_count,
        Some(0)
    );
}

#[tokio::test]
async fn listings_have_pages_oldest_first_or_in_the_requested_order() {
    let home = Home::new();
    for id in ["b", "c", "a"] {
        let one = home.user(id).await;
        home.thread(&format!("t-{id}"), &one).await;
    }
    let page = PageNumber { number: 2, size: 2 };
    let users = home
        .zep
        .list_users_by(page, UserOrder::CreatedAt, Direction::Asc)
        .await
        .unwrap();
    assert_eq!(users.total_count, 3);
    assert_eq!(users.items.len(), 1);
    assert_eq!(users.items[0].user_id.as_deref(), Some("a"));

    let by_id = home
        .zep
        .list_users_by(ALL, UserOrder::UserId, Direction::Desc)
        .await
        .unwrap();
    let ids: Vec<_> = by_id
        .items
        .iter()
        .flat_map(|one| one.user_id.as_deref())
        .collect();
    assert_eq!(ids, ["c", "b", "a"]);
    let threads = home.zep.threads().all().await.unwrap();
    assert_eq!(threads[0].thread_id.as_deref(), Some("t-b"));
}

#[tokio::test]
async fn deleting_a_user_deletes_all_their_data_and_nobody_elses() {
    let home = Home::new();
    let gone = home.user("gone").await;
    let stays = home.user("stays").await;
    let theirs = home.thread("theirs", &gone).await;
    let other = home.thread("other", &stays).await;
    let messages = home.say(&theirs, &["I keep bees"]).await;
    home.note(&of(&gone), "Bees are kept in the garden", json!({}))
        .await;
    home.say(&other, &["I keep bees, too"]).await;

    home.zep.delete_user(&gone).await.unwrap();

    assert!(home.zep.user(&gone).await.unwrap_err().is_not_found());
    assert!(
        home.zep
            .all_messages(&theirs)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        home.zep
            .episode(&messages[0])
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(home.find(&of(&stays), "bees").await, ["I keep bees, too"]);
    // A new user with the same id has none of the old data.
    home.user("gone").await;
    assert!(home.find(&of(&gone), "bees").await.is_empty());
    assert!(home.zep.user_threads(&gone).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_graph_may_have_the_same_id_as_a_user() {
    let home = Home::new();
    let person = home.user("same").await;
    let made = home
        .zep
        .create_graph(&graph("same"), "Agent", "its memories")
        .await
        .unwrap();
    assert_eq!(made.name.as_deref(), Some("Agent"));
    let owner = Owner::Graph(graph("same"));
    home.note(&owner, "The agent likes brevity", json!({}))
        .await;
    assert!(home.find(&of(&person), "brevity").await.is_empty());
    assert_eq!(home.find(&owner, "brevity").await.len(), 1);

    let again = home
        .zep
        .create_graph(&graph("same"), "", "")
        .await
        .unwrap_err();
    assert!(again.is_conflict());
    assert_eq!(home.zep.list_graphs(ALL).await.unwrap().total_count, 1);
    home.zep.delete_graph(&graph("same")).await.unwrap();
    assert!(
        home.zep
            .graph(&graph("same"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    home.zep.user(&person).await.unwrap();
}
