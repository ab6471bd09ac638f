use std::time::Duration;

use serde_json::json;
use zep_mcp_server::local::{Behavior, Filters, Listing};
use zep_mcp_server::zep::{Error, Graphs, NewMessage, Search, SearchScope, Threads};

use super::{Home, by_similarity, message, object, of, of_record, question};

#[tokio::test]
async fn each_user_finds_only_their_own_memories() {
    let home = Home::new();
    let ann = home.user("ann").await;
    let bob = home.user("bob").await;
    let of_ann = home.thread("a", &ann).await;
    let of_bob = home.thread("b", &bob).await;
    home.say(&of_ann, &["My cat is called Miso", "She is black"])
        .await;
    home.say(&of_bob, &["My cat is called Tofu"]).await;
    assert_eq!(
        home.find(&of(&ann), "What is the cat called?").await.len(),
        2
    );
    assert_eq!(home.find(&of(&bob), "cat").await, ["My cat is called Tofu"]);
    assert!(home.find(&of(&bob), "Miso").await.is_empty());
    assert!(home.find_episodes(&of(&bob), "Miso black").await.is_empty());
}

#[tokio::test]
async fn an_answer_is_found_by_the_question_before_it() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    home.say(&thread, &["Good morning"]).await;
    home.say(&thread, &["Which instrument do you play?"]).await;
    home.say(&thread, &["The cello, since I was six"]).await;
    home.say(&thread, &["Lovely weather", "Indeed", "Quite so"])
        .await;
    let found = home.find(&of(&user), "instrument").await;
    // The question itself, the two after it, and the one before it.
    assert_eq!(found[0], "Which instrument do you play?");
    assert_eq!(found.len(), 4);
    assert!(found.contains(&"The cello, since I was six".to_owned()));
    assert!(found.contains(&"Good morning".to_owned()));
}

#[tokio::test]
async fn words_are_found_in_other_forms_scripts_and_accents() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    home.say(
        &thread,
        &["I was running in the café", "我喜欢喝茶", "Привет мир"],
    )
    .await;
    for query in [
        "runs",
        "CAFE",
        "喝茶",
        "мир",
        "don't \"run\" AND NOT *(café):^",
    ] {
        assert!(!home.find(&of(&user), query).await.is_empty(), "{query}");
    }
    for query in ["swim", "👍", "\" OR 1=1 --"] {
        assert!(home.find(&of(&user), query).await.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn the_best_comes_first_and_scores_are_ranks_or_similarities() {
    let (home, user, _) = Home::with_thread(Behavior::default()).await;
    let owner = of(&user);
    for text in [
        "A dog",
        "Bread from the oven",
        "The dog ate bread",
        "Nothing of the kind",
    ] {
        home.note(&owner, text, json!({})).await;
    }
    let ranks = home
        .zep
        .search(&owner, &question("dog bread"))
        .await
        .unwrap()
        .edges;
    assert_eq!(ranks[0].fact, "The dog ate bread");
    let scores: Vec<f64> = ranks.iter().filter_map(|fact| fact.score).collect();
    assert_eq!(scores, [1.0, 0.5, 1.0 / 3.0]);
    let like = home
        .zep
        .search(&owner, &by_similarity("dog bread"))
        .await
        .unwrap()
        .edges;
    let scores: Vec<f64> = like.iter().filter_map(|fact| fact.score).collect();
    assert!(scores[0] > 0.99 && scores[0] <= 1.0, "{scores:?}");
    assert!(scores[1] < 0.7 && scores[1] > 0.0, "{scores:?}");
    // A word without matches lowers all similarities.
    let less = home
        .zep
        .search(&owner, &by_similarity("dog bread zeppelin"))
        .await
        .unwrap()
        .edges;
    assert!(less[0].score.unwrap() < 0.8);
}

#[tokio::test]
async fn a_search_is_limited_and_filtered() {
    let (home, user, _) = Home::with_thread(Behavior::default()).await;
    let owner = of(&user);
    let mut last = None;
    for number in 0..15 {
        last = Some(
            home.note(
                &owner,
                "tea",
                json!({"n": number, "zm_id": format!("{number}")}),
            )
            .await,
        );
    }
    let last = last.unwrap();
    let count = async |search: Search| {
        home.zep
            .search(&owner, &search)
            .await
            .map(|f| f.edges.len())
    };
    assert_eq!(count(question("tea")).await.unwrap(), 10);
    let limited = |limit| Search {
        limit: Some(limit),
        ..question("tea")
    };
    assert_eq!(count(limited(50)).await.unwrap(), 15);
    let of_last = Filters {
        episode_uuids: Some(vec![last.uuid.clone()]),
        ..Filters::default()
    };
    let of_third = Filters {
        episode_metadata_filters: Some(of_record("3")),
        ..Filters::default()
    };
    for filters in [of_last, of_third] {
        let search = question("tea");
        let found = home.zep.search_filtered(&owner, &search, &filters).await;
        assert_eq!(found.unwrap().edges.len(), 1);
    }
    let of_last = Search {
        from_episodes: vec![last.uuid.clone()],
        ..question("tea")
    };
    assert_eq!(count(of_last).await.unwrap(), 1);
    for wrong in [
        limited(51),
        limited(0),
        question(" "),
        question(&"x".repeat(401)),
    ] {
        let error = count(wrong).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { status: 400, .. }));
    }
    assert_eq!(count(question(&"tea ".repeat(100))).await.unwrap(), 10);
}

#[tokio::test]
async fn entities_and_the_context_block_are_searched_for() {
    let (home, user, thread) = Home::with_thread(Behavior::default()).await;
    let said = |name: &str, text: &str| NewMessage {
        name: Some(name.into()),
        created_at: Some("2024-05-06T07:08:09Z".parse().unwrap()),
        ..message(text)
    };
    let messages = [
        said("Ann Lee", "We sailed to Corsica"),
        said("Bob", "And back"),
    ];
    home.zep.add_messages(&thread, &messages).await.unwrap();
    let scope = |scope, query: &str| Search {
        scope,
        ..by_similarity(query)
    };
    let found = home
        .zep
        .search(&of(&user), &scope(SearchScope::Nodes, "ann"))
        .await
        .unwrap();
    let names: Vec<_> = found.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["Ann Lee"]);
    let line = "  - We sailed to Corsica (2024-05-06 07:08:09 - present)\n";
    let found = home
        .zep
        .search(&of(&user), &scope(SearchScope::Auto, "Corsica"))
        .await
        .unwrap();
    let block = found.context.unwrap();
    assert!(
        block.contains("<FACTS>\n") && block.contains(line),
        "{block}"
    );
    let context = home
        .zep
        .thread_context(&thread)
        .await
        .unwrap()
        .context
        .unwrap();
    assert!(context.contains(line), "{context}");
}

#[tokio::test]
async fn with_a_delay_facts_and_results_appear_later() {
    let behavior = Behavior {
        processing_delay: Duration::from_secs(600),
        ..Behavior::default()
    };
    let (home, user, thread) = Home::with_thread(behavior).await;
    let owner = of(&user);
    let named = NewMessage {
        name: Some("Ann".into()),
        metadata: object(json!({"k": 1})),
        ..message("I grow tomatoes")
    };
    let added = home.zep.add_messages(&thread, &[named]).await.unwrap();
    let uuid = &added.message_uuids[0];
    assert_eq!(home.zep.episode(uuid).await.unwrap().processed, Some(false));
    assert_eq!(home.contents(&thread).await.len(), 1);
    assert!(home.find(&owner, "tomatoes").await.is_empty());
    assert!(home.find_episodes(&owner, "tomatoes").await.is_empty());
    let facts = home
        .zep
        .list_facts(&owner, &Listing::default())
        .await
        .unwrap();
    assert!(facts.items.is_empty());

    home.zep.set_behavior(Behavior {
        processing_delay: Duration::ZERO,
        ..behavior
    });
    assert_eq!(home.zep.episode(uuid).await.unwrap().processed, Some(true));
    assert_eq!(home.find(&owner, "tomatoes").await.len(), 1);
    let facts = home
        .zep
        .list_facts(&owner, &Listing::default())
        .await
        .unwrap();
    assert_eq!(facts.items.len(), 1);
}
