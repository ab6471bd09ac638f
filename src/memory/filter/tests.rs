use serde_json::{Map, Value, json};

use super::*;
use crate::memory::model::{AgentId, SessionId};

/// A memory, with something in every field.
struct Memory {
    user: Option<&'static str>,
    agent: Option<&'static str>,
    app: Option<&'static str>,
    run: Option<&'static str>,
    text: &'static str,
    created_at: Option<&'static str>,
    categories: Vec<&'static str>,
    metadata: Value,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            user: Some("ada"),
            agent: None,
            app: None,
            run: None,
            text: "Ada likes Pizza",
            created_at: Some("2024-07-31T10:00:00Z"),
            categories: vec!["Finance", "health"],
            metadata: json!({"source": "email", "n": 1, "tags": ["Red", "blue"], "nested": {"a": [1]}}),
        }
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn parsed(filter: Value) -> Filter {
    Filter::parse(Some(&map(filter))).unwrap()
}

fn refused(filter: Value) -> InvalidFilter {
    Filter::parse(Some(&map(filter))).unwrap_err()
}

impl Memory {
    fn is(&self, filter: Value) -> bool {
        let metadata = map(self.metadata.clone());
        parsed(filter).matches(&Candidate {
            ids: &["m1", "m2"],
            text: self.text,
            user: self.user,
            agent: self.agent,
            app: self.app,
            run: self.run,
            created_at: self.created_at.map(|time| time.parse().unwrap()),
            updated_at: None,
            memory_type: None,
            role: None,
            actor: None,
            categories: &self.categories,
            metadata: &metadata,
        })
    }
}

fn found(filter: Value) -> bool {
    Memory::default().is(filter)
}

#[test]
fn no_filter_matches_everything() {
    let none = Filter::parse(None).unwrap();
    assert_eq!(none, parsed(json!({})));
    assert_eq!(none, parsed(json!({"AND": []})).simplified());
    assert!(found(json!({})));
}

impl Filter {
    fn simplified(&self) -> Self {
        match self.within(&user("nobody")) {
            Within::Everything => Self::parse(None).unwrap(),
            Within::Some(filter) => filter,
            Within::Nothing => parsed(json!({"memory_ids": []})),
        }
    }
}

#[test]
fn several_keys_mean_all_of_them_also_beside_and_or_and_not() {
    assert!(found(
        json!({"user_id": "ada", "categories": {"in": ["health"]}})
    ));
    assert!(!found(
        json!({"user_id": "ada", "categories": {"in": ["food"]}})
    ));
    let beside = |app: Value| json!({"AND": [{"user_id": "ada"}], "OR": [{"app_id": app}], "memory_ids": ["m1"]});
    assert!(found(beside(Value::Null)));
    assert!(!found(beside(json!("x"))));
}

#[test]
fn not_means_none_of_these() {
    assert!(found(json!({"NOT": {"user_id": "bob"}})));
    assert!(!found(
        json!({"NOT": [{"user_id": "bob"}, {"user_id": "ada"}]})
    ));
    assert!(
        found(json!({"NOT": {"user_id": "ada", "app_id": "x"}})),
        "not both"
    );
    assert!(found(json!({"NOT": {"NOT": {"user_id": "ada"}}})));
    assert!(!found(
        json!({"NOT": {"OR": [{"user_id": "bob"}, {"app_id": null}]}})
    ));
}

#[test]
fn ne_matches_what_has_no_value_and_the_wildcard_does_not() {
    assert!(found(json!({"agent_id": {"ne": "a1"}})));
    assert!(!found(
        json!({"AND": [{"agent_id": "*"}, {"agent_id": {"ne": "a1"}}]})
    ));
    assert!(!found(json!({"agent_id": "*"})));
    assert!(found(json!({"user_id": "*", "agent_id": null})));
    assert!(found(
        json!({"agent_id": {"ne": "*"}, "user_id": {"ne": null}})
    ));
    assert!(!found(json!({"user_id": {"ne": "ada"}})));
}

#[test]
fn a_list_is_in_and_an_empty_one_is_nobody() {
    assert!(found(
        json!({"user_id": ["bob", " ada "], "memory_ids": ["m2", "x"]})
    ));
    assert!(!found(json!({"user_id": {"in": []}})));
    assert!(!found(json!({"memory_ids": ["x"]})));
    assert!(found(json!({"id": "m1", "memory_id": {"ne": "x"}})));
    assert!(
        !found(json!({"memory_ids": {"ne": "m2"}})),
        "any of its ids"
    );
}

#[test]
fn run_and_session_are_one() {
    let memory = Memory {
        run: Some("r1"),
        ..Memory::default()
    };
    assert!(memory.is(json!({"run_id": "r1", "session_id": {"in": ["r1"]}})));
    assert!(!memory.is(json!({"session_id": "r2"})));
}

#[test]
fn a_date_without_a_time_is_the_whole_day_where_it_ends_or_equals() {
    for day in ["2024-07-31", " 2024-07-31 "] {
        assert!(found(json!({"created_at": {"gte": day, "lte": day}})));
        assert!(found(json!({"created_at": day})));
        assert!(found(json!({"timestamp": {"eq": day}})));
        assert!(found(json!({"created_at": {"in": ["2020-01-01", day]}})));
        assert!(
            found(json!({"created_at": {"gt": day}})),
            "after its first instant"
        );
        assert!(!found(json!({"created_at": {"lt": day}})));
        assert!(!found(json!({"created_at": {"ne": day}})));
    }
    assert!(!found(json!({"created_at": {"lte": "2024-07-30"}})));
    assert!(
        !found(json!({"created_at": {"lte": "2024-07-31T00:00:00"}})),
        "a time is an instant"
    );
    assert!(found(json!({"created_at": "2024-07-31T12:00:00+02:00"})));
    assert!(
        found(json!({"created_at": {"gte": "2024-07-31 10:00"}})),
        "UTC where nothing is said"
    );
}

#[test]
fn the_last_day_there_is_has_an_end() {
    assert!(found(json!({"created_at": {"lte": "9999-12-30"}})));
}

#[test]
fn what_has_no_time_is_neither_before_nor_after() {
    let undated = Memory {
        created_at: None,
        ..Memory::default()
    };
    assert!(!undated.is(json!({"created_at": {"gte": "2000-01-01"}})));
    assert!(!undated.is(json!({"created_at": {"lte": "2100-01-01"}})));
    assert!(undated.is(json!({"created_at": {"ne": "2024-07-31"}})));
    assert!(undated.is(json!({"NOT": {"created_at": {"gte": "2000-01-01"}}})));
    assert!(undated.is(json!({"created_at": null, "updated_at": null})));
}

#[test]
fn the_day_of_expiry_is_read_from_the_metadata() {
    let memory = Memory {
        metadata: json!({"expiration_date": "2026-12-31"}),
        ..Memory::default()
    };
    assert!(memory.is(json!({"expiration_date": {"lte": "2026-12-31", "gt": "2026-12-30"}})));
    assert!(!memory.is(json!({"expiration_date": {"gt": "2026-12-31"}})));
    assert!(found(json!({"expiration_date": null})));
}

#[test]
fn categories_are_exact_in_a_list_and_partial_with_contains() {
    assert!(found(json!({"categories": {"in": ["x", "Finance"]}})));
    assert!(!found(json!({"categories": {"in": ["finance"]}})));
    assert!(found(json!({"categories": {"contains": "FINAN"}})));
    assert!(found(json!({"categories": "health"})));
    assert!(!found(json!({"categories": {"ne": "health"}})));
    assert!(found(
        json!({"NOT": {"categories": {"in": ["spam", "test"]}}})
    ));
    let none = Memory {
        categories: Vec::new(),
        ..Memory::default()
    };
    assert!(none.is(json!({"categories": {"ne": "health"}})));
    assert!(!none.is(json!({"categories": "*"})));
}

#[test]
fn keywords_look_into_the_text() {
    assert!(found(json!({"keywords": {"contains": "Pizza"}})));
    assert!(!found(json!({"keywords": {"contains": "pizza"}})));
    assert!(found(json!({"keywords": {"icontains": "pIZZA"}})));
    assert!(found(json!({"keywords": "pizza", "text": "*"})));
    let greek = Memory {
        text: "ΟΔΥΣΣΕΑΣ ΚΑΙ",
        ..Memory::default()
    };
    assert!(greek.is(json!({"text": {"icontains": "οδυσσεασ"}})));
    assert!(greek.is(json!({"text": {"icontains": "οδυσσ"}})));
}

#[test]
fn metadata_matches_exactly_by_its_top_level_keys() {
    assert!(found(json!({"metadata": {"source": "email", "n": 1.0}})));
    assert!(!found(json!({"metadata": {"source": "email", "n": 2}})));
    assert!(!found(json!({"metadata": {"n": "1"}})));
    assert!(found(json!({"metadata": {"nested": {"a": [1]}}})));
    assert!(!found(json!({"metadata": {"nested": {}}})));
    assert!(found(json!({"metadata": {"tags": ["Red", "blue"]}})));
    assert!(!found(json!({"metadata": {"tags": "Red"}})));
    assert!(found(json!({"metadata": {"gone": null, "n": "*"}})));
    assert!(!found(json!({"metadata": {"gone": "*"}})));
    assert!(found(json!({"metadata": "*"})));
}

#[test]
fn metadata_can_be_asked_with_operators() {
    assert!(found(
        json!({"metadata": {"source": {"ne": "chat"}, "gone": {"ne": "x"}}})
    ));
    assert!(found(
        json!({"metadata": {"source": {"contains": "mai"}, "tags": {"contains": "Red"}}})
    ));
    assert!(!found(json!({"metadata": {"tags": {"contains": "red"}}})));
    assert!(found(json!({"metadata": {"tags": {"icontains": "red"}}})));
    assert!(found(
        json!({"metadata": {"n": {"gt": 0, "lte": 1.0, "in": [2, 1]}}})
    ));
    assert!(
        !found(json!({"metadata": {"n": {"gte": "0"}}})),
        "of one kind"
    );
    assert!(found(json!({"metadata": {"contains": "mail"}})));
    assert!(found(
        json!({"metadata": {"contains": {"source": "email"}}})
    ));
    assert!(!found(json!({"metadata": {"ne": {"source": "email"}}})));
    assert!(!found(json!({"metadata": {"nested": {"eq": {"gt": 1}}}})));
}

#[test]
fn an_unknown_field_or_operator_names_the_known_ones() {
    let wrong = refused(json!({"AND": [{"user_id": "a"}, {"sender": "x"}]}));
    assert_eq!(wrong.path, "filters.AND[1].sender");
    assert!(wrong.to_string().contains("\"sender\""), "{wrong}");
    assert!(wrong.advice.contains("`user_id`") && wrong.advice.contains("metadata"));

    let wrong = refused(json!({"created_at": {">=": "2024-01-01"}}));
    assert_eq!(wrong.path, "filters.created_at[\">=\"]");
    assert!(wrong.advice.contains("`gte`"));

    let wrong = refused(json!({"NOT": {"metadata": {"type": {"nin": ["a"]}}}}));
    assert_eq!(wrong.path, "filters.NOT.metadata.type.nin");
    assert!(wrong.advice.contains("`NOT`"));

    assert_eq!(
        refused(json!({"user_id": {"gt": "a"}})).path,
        "filters.user_id.gt"
    );
}

#[test]
fn an_error_quotes_what_is_wrong_shortened_between_letters() {
    let wrong = refused(json!({"created_at": {"gte": "é".repeat(3_000)}}));
    assert_eq!(wrong.path, "filters.created_at.gte");
    assert!(wrong.problem.contains("éé") && wrong.problem.contains('…'));
    assert!(wrong.to_string().chars().count() < 300, "{wrong}");

    let wrong = refused(json!({"metadata": {"k\nk".repeat(1_000): {"$gt": 1}}}));
    assert!(wrong.path.chars().count() < 80, "{wrong}");
    assert!(!wrong.path.contains('\n'));
}

#[test]
fn a_bad_id_is_refused_and_not_repeated() {
    let secret = "name\u{7}of somebody";
    for field in [
        "user_id",
        "agent_id",
        "app_id",
        "run_id",
        "session_id",
        "memory_ids",
    ] {
        let wrong = refused(json!({field: {"in": ["fine", secret]}}));
        assert_eq!(wrong.path, format!("filters.{field}.in[1]"));
        assert!(!wrong.to_string().contains("somebody"), "{wrong}");
    }
    assert!(
        refused(json!({"run_id": "a::zm::b"}))
            .problem
            .contains("::zm::")
    );
    refused(json!({"user_id": ""}));
    refused(json!({"user_id": 7}));
    refused(json!({"user_id": ["a", "*"]}));
    refused(json!({"user_id": ["a", null]}));
}

#[test]
fn what_nobody_can_mean_is_refused() {
    for filter in [
        json!({"AND": {"user_id": "a"}}),
        json!({"OR": []}),
        json!({"NOT": []}),
        json!({"NOT": {}}),
        json!({"OR": [{}]}),
        json!({"AND": ["user_id"]}),
        json!({"and": [{"user_id": "a"}]}),
        json!({"user_id": {}}),
        json!({"user_id": {"in": "a"}}),
        json!({"metadata": {}}),
        json!({"metadata": {"k": {"ne": 1, "other": 2}}}),
        json!({"metadata": {"k": {"gt": [1]}}}),
        json!({"metadata": {"k": {"gt": null}}}),
        json!({"metadata": "text"}),
        json!({"keywords": {"eq": "x"}}),
        json!({"keywords": ["x"]}),
        json!({"keywords": null}),
        json!({"created_at": {"gte": 1_700_000_000}}),
        json!({"created_at": {"gte": "soon"}}),
        json!({"created_at": {"contains": "2024"}}),
        json!({"categories": {"gt": "a"}}),
    ] {
        let wrong = refused(filter.clone());
        assert!(!wrong.advice.is_empty(), "{filter}");
    }
}

#[test]
fn every_bound_holds_exactly() {
    let nested =
        |depth: usize| (0..depth).fold(json!({"user_id": "a"}), |inner, _| json!({"AND": [inner]}));
    parsed(nested(MAX_DEPTH));
    refused(nested(MAX_DEPTH + 1));

    let wide = |n: usize| json!({"OR": vec![json!({"user_id": "a"}); n]});
    parsed(wide(MAX_CONDITIONS - 1));
    refused(wide(MAX_CONDITIONS));
    refused(json!({"OR": vec![json!({"AND": []}); MAX_CONDITIONS]}));

    let list = |n: usize| json!({"AND": [{"user_id": {"in": vec!["a"; n]}}, {"app_id": ["b"]}]});
    parsed(list(MAX_ITEMS - 1));
    refused(list(MAX_ITEMS));

    let text = |n: usize| json!({"keywords": {"contains": "é".repeat(n)}});
    parsed(text(MAX_TEXT_CHARS));
    refused(text(MAX_TEXT_CHARS + 1));

    let value = |depth: usize| {
        let value = (0..depth).fold(json!(1), |inner, _| json!([inner]));
        json!({"metadata": {"k": value}})
    };
    parsed(value(MAX_METADATA_DEPTH));
    refused(value(MAX_METADATA_DEPTH + 1));
}

fn user(id: &str) -> Owner {
    Owner::User(UserId::new(id).unwrap())
}

fn graph(agent: &str) -> Owner {
    Owner::Graph(AgentId::new(agent).unwrap().graph())
}

/// The reach of a filter, with `me` as the default user.
fn reach(filter: Value) -> Reach {
    parsed(filter).reach(&UserId::new("me").unwrap())
}

fn only<const N: usize>(owners: [Owner; N]) -> Reach {
    Reach {
        owners: BTreeSet::from(owners),
        ..Reach::default()
    }
}

#[test]
fn what_names_no_user_reaches_the_default_user_only() {
    for filter in [
        json!({}),
        json!({"AND": []}),
        json!({"app_id": "x"}),
        json!({"run_id": "r"}),
        json!({"agent_id": {"ne": "a"}}),
        json!({"NOT": {"categories": {"in": ["spam"]}}}),
        json!({"OR": [{"keywords": "a"}, {"created_at": {"gt": "2024-01-01"}}]}),
    ] {
        assert_eq!(reach(filter.clone()), only([user("me")]), "{filter}");
    }
}

#[test]
fn users_are_reached_by_name() {
    assert_eq!(reach(json!({"user_id": "ada"})), only([user("ada")]));
    assert_eq!(
        reach(json!({"user_id": {"in": ["ada", "bob"]}, "run_id": "r"})),
        only([user("ada"), user("bob")])
    );
    assert_eq!(
        reach(json!({"NOT": {"user_id": {"ne": "ada"}}})),
        only([user("ada")])
    );
    assert!(reach(json!({"AND": [{"user_id": "ada"}, {"user_id": "bob"}]})).is_empty());
}

#[test]
fn a_wildcard_reaches_all_users_and_ne_what_has_none_too() {
    let all = reach(json!({"user_id": "*"}));
    assert!(all.all_users && !all.all_agents && all.owners.is_empty());
    for filter in [
        json!({"user_id": {"ne": "ada"}}),
        json!({"NOT": {"user_id": "ada"}}),
    ] {
        let all = reach(filter);
        assert!(all.all_users && all.all_agents);
    }
    let nobody = reach(json!({"user_id": null}));
    assert!(!nobody.all_users && nobody.all_agents && nobody.owners.is_empty());
}

#[test]
fn an_agent_is_reached_in_its_graph_and_beside_the_users_meant() {
    assert_eq!(
        reach(json!({"agent_id": "a"})),
        only([graph("a"), user("me")])
    );
    assert_eq!(
        reach(json!({"agent_id": "a", "user_id": "ada"})),
        only([user("ada")])
    );
    assert_eq!(
        reach(json!({"agent_id": "a", "run_id": "r"})),
        only([user("me")])
    );
    assert_eq!(
        reach(json!({"OR": [{"user_id": "john"}, {"agent_id": "a"}]})),
        only([user("john"), user("me"), graph("a")])
    );
    assert_eq!(
        reach(json!({"AND": [{"user_id": {"ne": "ada"}}, {"agent_id": "a"}, {"user_id": null}]})),
        only([graph("a")])
    );
    let any = reach(json!({"agent_id": "*"}));
    assert!(any.all_agents && !any.all_users && any.owners == BTreeSet::from([user("me")]));
    assert!(any.contains(&graph("b")) && !any.contains(&user("ada")));
}

#[test]
fn within_an_owner_only_what_it_does_not_decide_is_left() {
    let filter = parsed(json!({"OR": [
        {"user_id": "john"}, {"agent_id": "a", "run_id": {"ne": "r"}, "app_id": "x"}
    ]}));
    assert_eq!(filter.within(&user("john")), Within::Everything);
    assert_eq!(filter.within(&graph("b")), Within::Nothing);
    let app = parsed(json!({"app_id": "x"})).simplified();
    assert_eq!(filter.within(&graph("a")), Within::Some(app));
    assert!(matches!(filter.within(&user("me")), Within::Some(_)));
}

#[test]
fn sessions_ids_and_times_are_read_off() {
    let filter = parsed(json!({
        "run_id": {"in": ["r1", "r2"]},
        "AND": [{"session_id": {"in": ["r2", "r3"]}}, {"memory_ids": ["m1", "m2"]}, {"id": "m3"}],
        "created_at": {"gte": "2024-07-01", "lte": "2024-07-31"},
    }));
    assert_eq!(filter.sessions(), Some(BTreeSet::from(["r2".into()])));
    assert_eq!(filter.ids(), Some(BTreeSet::from(["m3".into()])));
    let (first, last) = filter.created_between();
    assert_eq!(first, "2024-07-01T00:00:00Z".parse().ok());
    assert_eq!(last, "2024-07-31T23:59:59.999999999Z".parse().ok());

    let open = parsed(json!({"OR": [{"run_id": "r"}, {"created_at": {"gt": "2024-01-01"}}]}));
    assert_eq!(open.sessions(), None);
    assert_eq!(open.created_between(), (None, None));
    let session = SessionId::new("r").unwrap();
    let one = parsed(json!({"NOT": {"run_id": {"ne": session.as_str()}}}));
    assert_eq!(one.sessions(), Some(BTreeSet::from(["r".into()])));
}
