use std::collections::HashSet;

use serde_json::json;
use zep_mcp_server::local::{Behavior, DateFilter, Direction, Filters, Listing, LocalZep, OrderBy};
use zep_mcp_server::zep::{
    Error, FactPatch, Graphs, NewEpisode, NewMessage, Owner, Threads, TimeOrder, Uuid,
};

use super::{Home, by_similarity, message, note, object, of, of_record};

async fn texts(zep: &LocalZep, owner: &Owner, listing: &Listing) -> Vec<String> {
    let mut listing = listing.clone();
    let mut texts = Vec::new();
    loop {
        let page = zep.list_episodes(owner, &listing).await.unwrap();
        texts.extend(page.items.into_iter().map(|one| one.content));
        match page.next_cursor {
            Some(cursor) => listing.cursor = Some(cursor),
            None => return texts,
        }
    }
}

fn by_time(direction: Direction) -> Listing {
    Listing {
        order_by: Some(OrderBy::CreatedAt),
        direction: Some(direction),
        limit: Some(2),
        ..Listing::default()
    }
}

#[tokio::test]
async fn pages_hold_every_episode_once_in_the_requested_order() {
    let home = Home::new();
    let user = home.user("u").await;
    for (text, at) in [("b", 2), ("d", 4), ("a", 1), ("e", 4), ("c", 3)] {
        let episode = NewEpisode {
            created_at: Some(format!("202{at}-01-01T00:00:00Z").parse().unwrap()),
            ..note(text)
        };
        home.zep.add_episode(&of(&user), &episode).await.unwrap();
    }
    let owner = of(&user);
    let read = async |listing| texts(&home.zep, &owner, &listing).await.concat();
    assert_eq!(read(by_time(Direction::Asc)).await, "abcde");
    assert_eq!(read(by_time(Direction::Desc)).await, "edcba");
    let by_uuid = |direction| Listing {
        direction,
        limit: Some(2),
        ..Listing::default()
    };
    let down = read(by_uuid(None)).await;
    let up = read(by_uuid(Some(Direction::Asc))).await;
    assert_eq!(up.len(), 5);
    assert_eq!(down, up.chars().rev().collect::<String>());
}

#[tokio::test]
async fn items_added_between_two_pages_shift_nothing() {
    let home = Home::new();
    let user = home.user("u").await;
    let owner = of(&user);
    for at in 1..=4 {
        let episode = NewEpisode {
            created_at: Some(format!("202{at}-01-01T00:00:00Z").parse().unwrap()),
            ..note(&at.to_string())
        };
        home.zep.add_episode(&owner, &episode).await.unwrap();
    }
    let mut listing = by_time(Direction::Desc);
    let first = home.zep.list_episodes(&owner, &listing).await.unwrap();
    home.note(&owner, "newest", json!({})).await;
    home.zep.delete_episode(&first.items[1].uuid).await.unwrap();
    listing.cursor = first.next_cursor;
    let second = home.again().list_episodes(&owner, &listing).await.unwrap();
    let second: Vec<_> = second
        .items
        .iter()
        .map(|one| one.content.as_str())
        .collect();
    assert_eq!(second, ["2", "1"]);

    listing.direction = Some(Direction::Asc);
    let error = home.zep.list_episodes(&owner, &listing).await.unwrap_err();
    assert!(
        matches!(error, Error::Invalid { .. }),
        "another order's cursor"
    );
}

#[tokio::test]
async fn a_page_has_at_most_50_items_and_100_by_default() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    for _ in 0..4 {
        home.zep
            .add_messages(&thread, &vec![message("x"); 30])
            .await
            .unwrap();
    }
    let size = async |limit| {
        let listing = Listing {
            limit,
            ..Listing::default()
        };
        home.zep
            .list_facts(&of(&user), &listing)
            .await
            .unwrap()
            .items
            .len()
    };
    assert_eq!(
        (size(None).await, size(Some(200)).await, size(Some(7)).await),
        (100, 50, 7)
    );
}

#[tokio::test]
async fn a_known_set_of_episodes_and_those_of_a_speaker_can_be_listed() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let owner = of(&user);
    let said = |name: &str, text: &str| NewMessage {
        name: Some(name.into()),
        ..message(text)
    };
    let added = home
        .zep
        .add_messages(
            &thread,
            &[said("Ann", "1"), said("Bob", "2"), said("Ann", "3")],
        )
        .await
        .unwrap();
    let stranger = home.user("stranger").await;
    let foreign = home.note(&of(&stranger), "foreign", json!({})).await;

    let list = |uuids: Vec<Uuid>| Listing {
        mentioned_node_uuids: Some(uuids),
        direction: Some(Direction::Asc),
        order_by: Some(OrderBy::CreatedAt),
        ..Listing::default()
    };
    let known = vec![added.message_uuids[1].clone(), foreign.uuid];
    assert_eq!(texts(&home.zep, &owner, &list(known)).await, ["2"]);
    let nodes = home
        .zep
        .list_nodes(&owner, &Listing::default())
        .await
        .unwrap();
    let ann = nodes.items.iter().find(|node| node.name == "Ann").unwrap();
    assert_eq!(
        texts(&home.zep, &owner, &list(vec![ann.uuid.clone()])).await,
        ["1", "3"]
    );

    let many = vec![ann.uuid.clone(); 257];
    assert!(home.zep.list_episodes(&owner, &list(many)).await.is_err());
    let no_uuid = list(vec![Uuid("x".into())]);
    assert!(home.zep.list_episodes(&owner, &no_uuid).await.is_err());
}

#[tokio::test]
async fn episodes_and_facts_are_filtered_by_metadata_ids_and_time() {
    let home = Home::new();
    let user = home.user("u").await;
    let owner = of(&user);
    let one = home
        .note(&owner, "one", json!({"k": 1, "zm_id": "r1"}))
        .await;
    let two = home
        .note(&owner, "two", json!({"k": 2, "zm_id": "r2"}))
        .await;
    home.note(&owner, "none", json!({})).await;

    let filtered = Listing {
        episode_metadata_filters: Some(of_record("r2")),
        ..Listing::default()
    };
    assert_eq!(texts(&home.zep, &owner, &filtered).await, ["two"]);

    let facts = async |filters: Filters| {
        let listing = Listing {
            filters: Some(filters),
            direction: Some(Direction::Asc),
            ..Listing::default()
        };
        let page = home.zep.list_facts(&owner, &listing).await.unwrap();
        page.items
            .into_iter()
            .map(|fact| fact.fact)
            .collect::<Vec<_>>()
    };
    let all = home
        .zep
        .list_facts(&owner, &Listing::default())
        .await
        .unwrap();
    let of_one = all.items.iter().find(|fact| fact.fact == "one").unwrap();
    let by_edge = Filters {
        edge_uuids: Some(vec![of_one.uuid.clone()]),
        ..Filters::default()
    };
    assert_eq!(facts(by_edge).await, ["one"]);
    let by_episode = Filters {
        episode_uuids: Some(vec![two.uuid.clone(), one.uuid.clone()]),
        ..Filters::default()
    };
    assert_eq!(facts(by_episode).await, ["one", "two"]);
    let condition = json!({"type": "or", "filters": [
        {"comparison_operator": ">=", "property_name": "k", "property_value": 2},
        {"comparison_operator": "IS NULL", "property_name": "k"}]});
    let by_metadata = Filters {
        episode_metadata_filters: serde_json::from_value(condition).unwrap(),
        ..Filters::default()
    };
    assert_eq!(facts(by_metadata).await, ["two", "none"]);
    let before = |date: &str| Filters {
        created_at: Some(vec![vec![DateFilter {
            comparison_operator: "<".into(),
            date: Some(date.into()),
        }]]),
        ..Filters::default()
    };
    assert!(facts(before("2001-01-01T00:00:00Z")).await.is_empty());
    assert_eq!(facts(before("2999-01-01T00:00:00Z")).await.len(), 3);
    let too_many = Listing {
        filters: Some(Filters {
            edge_uuids: Some(vec![of_one.uuid.clone(); 257]),
            ..Filters::default()
        }),
        ..Listing::default()
    };
    assert!(home.zep.list_facts(&owner, &too_many).await.is_err());
}

#[tokio::test]
async fn a_fact_says_where_it_came_from_and_since_when_it_is_true() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let said = NewMessage {
        created_at: Some("2020-02-02T00:00:00Z".parse().unwrap()),
        name: Some("Ann".into()),
        ..message("I live in Bern")
    };
    let added = home
        .zep
        .add_messages(&thread, std::slice::from_ref(&said))
        .await
        .unwrap();
    let page = home
        .zep
        .list_facts(&of(&user), &Listing::default())
        .await
        .unwrap();
    let fact = &page.items[0];
    assert_eq!(fact.fact, "I live in Bern");
    assert_eq!(fact.episodes, added.message_uuids);
    assert_ne!(fact.uuid, added.message_uuids[0]);
    assert_eq!(fact.valid_at, said.created_at);
    assert!(fact.created_at > said.created_at, "the time of extraction");
    let speaker = home
        .zep
        .node(fact.source_node_uuid.as_ref().unwrap())
        .await
        .unwrap();
    assert_eq!(speaker.name, "Ann");
    let owner = home.zep.user_node(&user).await.unwrap();
    assert_eq!(fact.target_node_uuid.as_ref(), Some(&owner.uuid));
    assert_eq!(home.zep.node(&owner.uuid).await.unwrap(), owner);
    assert_eq!(&home.zep.fact(&fact.uuid).await.unwrap(), fact);
    // An episode's id is not a fact's.
    assert!(
        home.zep
            .fact(&fact.episodes[0])
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_changed_fact_is_found_by_its_new_words_only_and_its_episode_by_the_old() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let owner = of(&user);
    home.say(&thread, &["I live in Bern"]).await;
    let page = home
        .zep
        .list_facts(&owner, &Listing::default())
        .await
        .unwrap();
    let uuid = &page.items[0].uuid;
    for text in ["She lives in Geneva", "She lives in Lausanne"] {
        let patch = FactPatch {
            fact: Some(text.into()),
            attributes: Some(object(json!({"checked": true, "x": null}))),
        };
        let changed = home.zep.update_fact(uuid, &patch).await.unwrap();
        assert_eq!(changed.fact, text);
        assert_eq!(changed.attributes, Some(object(json!({"checked": true}))));
    }
    assert_eq!(
        home.find(&owner, "Lausanne").await,
        ["She lives in Lausanne"]
    );
    assert!(home.find(&owner, "Geneva").await.is_empty());
    assert!(home.find(&owner, "Bern").await.is_empty());
    assert_eq!(
        home.find_episodes(&owner, "Bern").await[0].content,
        "I live in Bern"
    );
    assert!(home.find_episodes(&owner, "Lausanne").await.is_empty());

    let only_it = Filters {
        edge_uuids: Some(vec![uuid.clone()]),
        ..Filters::default()
    };
    let found = home
        .zep
        .search_filtered(&owner, &by_similarity("Lausanne"), &only_it)
        .await;
    assert_eq!(found.unwrap().edges.len(), 1);

    let blank = FactPatch {
        fact: Some(" ".into()),
        ..FactPatch::default()
    };
    assert!(home.zep.update_fact(uuid, &blank).await.is_err());

    let when = "2024-01-01T00:00:00Z".parse().unwrap();
    let ended = home
        .zep
        .set_fact_validity(uuid, Some(when), None)
        .await
        .unwrap();
    assert_eq!((ended.invalid_at, ended.expired_at), (Some(when), None));
}

#[tokio::test]
async fn a_deleted_fact_is_gone_and_its_episode_stays() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let owner = of(&user);
    home.say(&thread, &["I live in Bern", "I moved to Basel"])
        .await;
    let page = home
        .zep
        .list_facts(&owner, &Listing::default())
        .await
        .unwrap();
    let bern = page
        .items
        .iter()
        .find(|fact| fact.fact.contains("Bern"))
        .unwrap();
    home.zep.delete_fact(&bern.uuid).await.unwrap();

    assert!(home.zep.fact(&bern.uuid).await.unwrap_err().is_not_found());
    assert!(
        home.zep
            .delete_fact(&bern.uuid)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(
        home.zep
            .list_facts(&owner, &Listing::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert!(
        !home
            .find(&owner, "Bern")
            .await
            .contains(&"I live in Bern".to_owned())
    );
    assert_eq!(home.contents(&thread).await.len(), 2);
    assert_eq!(home.zep.thread_episodes(&thread).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_speaker_with_the_owners_name_is_the_owner() {
    let home = Home::new();
    let user = home.user("ann").await;
    let thread = home.thread("t", &user).await;
    let said = |name: &str| NewMessage {
        name: Some(name.into()),
        ..message("hello")
    };
    home.zep
        .add_messages(&thread, &[said("Ann"), said("Bob"), said("Bob")])
        .await
        .unwrap();
    let nodes = home
        .zep
        .list_nodes(&of(&user), &Listing::default())
        .await
        .unwrap();
    let mut names: Vec<_> = nodes.items.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Bob", "ann"]);

    let one_each = Listing {
        limit: Some(1),
        ..Listing::default()
    };
    let first = home.zep.list_nodes(&of(&user), &one_each).await.unwrap();
    let rest = Listing {
        cursor: first.next_cursor,
        ..one_each
    };
    let second = home.zep.list_nodes(&of(&user), &rest).await.unwrap();
    assert_ne!(first.items[0].uuid, second.items[0].uuid);
    assert_eq!(second.next_cursor, None);
}

#[tokio::test]
async fn only_an_owners_own_episodes_and_facts_are_found_by_id() {
    let home = Home::new();
    let (jane, joe) = (home.user("jane").await, home.user("joe").await);
    let mut hers = Vec::new();
    for nth in 0..300 {
        let note = home
            .note(&of(&jane), &format!("note {nth}"), json!({}))
            .await;
        hers.push(note.uuid);
    }
    let his = home.note(&of(&joe), "his", json!({})).await.uuid;
    let speaker = home.zep.user_node(&jane).await.unwrap().uuid;
    let mut asked = hers.clone();
    asked.extend([his, speaker, Uuid("no uuid".into())]);

    let episodes = home.zep.episodes_by_id(&of(&jane), &asked).await.unwrap();
    let found: HashSet<Uuid> = episodes.into_iter().map(|one| one.uuid).collect();
    assert_eq!(found, hers.iter().cloned().collect());

    let (hers_alone, his_alone) = (of(&jane), of(&joe));
    let mut pages = home.zep.facts(&hers_alone, TimeOrder::OldestFirst, 50);
    let mut facts = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        assert_eq!(page.items.len(), 50);
        facts.extend(page.items);
        assert_eq!(page.is_last, facts.len() == 300);
    }
    let ids: Vec<Uuid> = facts.into_iter().map(|fact| fact.uuid).collect();
    assert_eq!(
        home.zep.facts_by_id(&hers_alone, &ids).await.unwrap().len(),
        300
    );
    assert!(
        home.zep
            .facts_by_id(&his_alone, &ids)
            .await
            .unwrap()
            .is_empty()
    );
}
