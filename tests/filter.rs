//! mem0's filter language means what its documentation says, and what is read off a filter never
//! leaves out a match.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use zep_mcp_server::memory::filter::{Candidate, Filter, Within};
use zep_mcp_server::memory::model::{AgentId, Owner, UserId};

const DEFAULT_USER: &str = "me";
const USERS: [&str; 4] = [DEFAULT_USER, "ada", "bob", "名前"];
const AGENTS: [&str; 3] = ["a1", "a2", "é agent"];
const APPS: [&str; 2] = ["app", "App"];
const RUNS: [&str; 3] = ["r1", "r2", "default"];
const IDS: [&str; 4] = ["m1", "m2", "m3", "m4"];
const CATEGORIES: [&str; 4] = ["Finance", "finance", "health", "über"];
const TEXTS: [&str; 6] = ["", "Pizza", "pizza", "ÜBER 日本 ada", "über", "日本"];
const KEYS: [&str; 4] = ["k", "type", "日", "user_id"];
/// The instants of records, all of one width: their order as texts is their order in time.
const INSTANTS: [&str; 6] = [
    "2024-07-30T23:59:59Z",
    "2024-07-31T00:00:00Z",
    "2024-07-31T10:00:00Z",
    "2024-07-31T23:59:59Z",
    "2024-08-01T00:00:00Z",
    "2025-01-01T12:00:00Z",
];
/// Times as filters have them, and the instants they mean; or the day.
const TIMES: [(&str, &str); 9] = [
    ("2024-07-31T10:00:00Z", "2024-07-31T10:00:00Z"),
    ("2024-07-31T12:00:00+02:00", "2024-07-31T10:00:00Z"),
    ("2024-07-31 10:00", "2024-07-31T10:00:00Z"),
    ("2024-08-01T00:00:00.000Z", "2024-08-01T00:00:00Z"),
    ("2024-08-01T01:00:00+01:00", "2024-08-01T00:00:00Z"),
    ("2024-07-31", "2024-07-31"),
    (" 2024-08-01", "2024-08-01"),
    ("2024-12-31", "2024-12-31"),
    ("2024-07-30", "2024-07-30"),
];

/// The plain reading of a filter: straight over the JSON of both, one clause after the other.
mod plain {
    use super::*;

    pub fn eval(filter: &Value, record: &Value) -> bool {
        for (key, value) in filter.as_object().unwrap() {
            let good = match key.as_str() {
                "AND" => list(value).iter().all(|one| eval(one, record)),
                "OR" => list(value).iter().any(|one| eval(one, record)),
                "NOT" if value.is_object() => !eval(value, record),
                "NOT" => !list(value).iter().any(|one| eval(one, record)),
                "metadata" => metadata(value, &record["metadata"]),
                "keywords" | "text" => words(value, record["memory"].as_str().unwrap()),
                "created_at" | "timestamp" => clause(value, &record["created_at"], time),
                "updated_at" => clause(value, &record["updated_at"], time),
                "expiration_date" => clause(value, &record["metadata"]["expiration_date"], time),
                "memory_ids" | "memory_id" | "id" => clause(value, &record["ids"], member),
                "categories" => clause(value, &record["categories"], member),
                "session_id" => clause(value, &record["run_id"], text),
                field => clause(value, &record[field], text),
            };
            if !good {
                return false;
            }
        }
        true
    }

    fn list(value: &Value) -> &[Value] {
        value.as_array().unwrap()
    }

    /// A field against a bare value, a list, or operators.
    fn clause(asked: &Value, there: &Value, is: fn(&str, &Value, &Value) -> bool) -> bool {
        let gone = there.is_null() || *there == json!([]);
        let one = |operator: &str, asked: &Value| match (operator, asked) {
            ("eq", Value::Null) => gone,
            ("ne", Value::Null) => !gone,
            ("eq", asked) if asked == "*" => !gone,
            ("ne", asked) if asked == "*" => gone,
            ("ne", asked) => gone || !is("eq", there, asked),
            ("in", asked) => !gone && list(asked).iter().any(|asked| is("eq", there, asked)),
            (operator, asked) => !gone && is(operator, there, asked),
        };
        match asked {
            Value::Object(operators) => operators.iter().all(|(name, asked)| one(name, asked)),
            Value::Array(_) => one("in", asked),
            asked => one("eq", asked),
        }
    }

    fn text(operator: &str, there: &Value, asked: &Value) -> bool {
        assert_eq!(operator, "eq");
        there == asked
    }

    fn member(operator: &str, there: &Value, asked: &Value) -> bool {
        list(there).iter().any(|there| match operator {
            "eq" => there == asked,
            _ => folded(there).contains(&folded(asked)),
        })
    }

    fn folded(value: &Value) -> String {
        value.as_str().unwrap().to_lowercase()
    }

    fn time(operator: &str, there: &Value, asked: &Value) -> bool {
        let there = there.as_str().unwrap();
        let written = asked.as_str().unwrap();
        let (_, asked) = TIMES.iter().find(|(text, _)| *text == written).unwrap();
        let (midnight, to_compare) = if asked.len() == "2024-07-31".len() {
            (format!("{asked}T00:00:00Z"), &there[..asked.len()])
        } else {
            ((*asked).to_owned(), there)
        };
        match operator {
            "eq" => to_compare == *asked,
            "lte" => to_compare <= *asked,
            "lt" => there < midnight.as_str(),
            "gt" => there > midnight.as_str(),
            "gte" => there >= midnight.as_str(),
            other => panic!("{other}"),
        }
    }

    fn words(asked: &Value, there: &str) -> bool {
        match asked {
            Value::String(asked) if asked == "*" => true,
            Value::String(asked) => there.to_lowercase().contains(&asked.to_lowercase()),
            Value::Object(operators) => operators.iter().all(|(name, asked)| {
                let asked = asked.as_str().unwrap();
                match name.as_str() {
                    "contains" => there.contains(asked),
                    _ => there.to_lowercase().contains(&asked.to_lowercase()),
                }
            }),
            other => panic!("{other}"),
        }
    }

    fn metadata(asked: &Value, there: &Value) -> bool {
        if asked == "*" {
            return !there.as_object().unwrap().is_empty();
        }
        let is_operator = |key: &String| {
            [
                "eq",
                "ne",
                "in",
                "gt",
                "gte",
                "lt",
                "lte",
                "contains",
                "icontains",
            ]
            .contains(&key.as_str())
        };
        let key = |there: &Value, key: &str| there.get(key).unwrap_or(&Value::Null).clone();
        let equal_keys = |asked: &Value| {
            let asked = asked.as_object().unwrap();
            asked
                .iter()
                .all(|(name, asked)| value("eq", &key(there, name), asked))
        };
        let asked = asked.as_object().unwrap();
        if asked.keys().all(is_operator) {
            return asked.iter().all(|(name, asked)| match name.as_str() {
                "ne" => !equal_keys(asked),
                _ if asked.is_object() => equal_keys(asked),
                name => {
                    let mut values = there.as_object().unwrap().values();
                    values.any(|there| value(name, there, asked))
                }
            });
        }
        asked.iter().all(|(name, asked)| {
            let there = &key(there, name);
            match asked {
                Value::Object(map) if !map.is_empty() && map.keys().all(is_operator) => {
                    map.iter().all(|(name, asked)| value(name, there, asked))
                }
                asked => value("eq", there, asked),
            }
        })
    }

    fn value(operator: &str, there: &Value, asked: &Value) -> bool {
        let number = |value: &Value| value.as_f64();
        match operator {
            "eq" if asked == "*" => !there.is_null(),
            "eq" => equal(there, asked),
            "ne" => !value("eq", there, asked),
            "in" => !there.is_null() && list(asked).iter().any(|asked| equal(there, asked)),
            "contains" | "icontains" => {
                let fold = |value: &Value| match value {
                    Value::String(text) if operator == "icontains" => json!(text.to_lowercase()),
                    value => value.clone(),
                };
                match (fold(there), fold(asked)) {
                    (Value::String(there), Value::String(asked)) => there.contains(&asked),
                    (Value::Array(items), asked) => {
                        items.iter().any(|item| equal(&fold(item), &asked))
                    }
                    _ => false,
                }
            }
            operator => {
                let order = match (there, asked) {
                    (Value::String(there), Value::String(asked)) => Some(there.cmp(asked)),
                    _ => number(there)
                        .zip(number(asked))
                        .map(|(one, other)| one.total_cmp(&other)),
                };
                order.is_some_and(|order| match operator {
                    "gt" => order.is_gt(),
                    "gte" => order.is_ge(),
                    "lt" => order.is_lt(),
                    "lte" => order.is_le(),
                    other => panic!("{other}"),
                })
            }
        }
    }

    /// Equal as JSON once every number is a float.
    fn equal(one: &Value, other: &Value) -> bool {
        fn floats(value: &Value) -> Value {
            match value {
                Value::Number(number) => json!(number.as_f64()),
                Value::Array(items) => items.iter().map(floats).collect(),
                Value::Object(map) => map
                    .iter()
                    .map(|(key, value)| (key.clone(), floats(value)))
                    .collect(),
                value => value.clone(),
            }
        }
        floats(one) == floats(other)
    }
}

fn any_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> + Clone {
    select(values).prop_map(Value::from)
}

fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> + Clone {
    prop::collection::vec(any_of(values), 0..3).prop_map(Value::from)
}

fn ids(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any_of(values),
        2 => some_of(values),
        1 => Just(json!("*")),
        1 => Just(Value::Null),
        1 => any_of(values).prop_map(|value| json!({"eq": value})),
        2 => any_of(values).prop_map(|value| json!({"ne": value})),
        2 => some_of(values).prop_map(|list| json!({"in": list})),
        1 => (some_of(values), any_of(values)).prop_map(|(list, not)| json!({"in": list, "ne": not})),
        1 => select(vec![json!({"ne": "*"}), json!({"ne": null}), json!({"eq": "*"})]),
    ]
}

fn categories() -> impl Strategy<Value = Value> {
    let contains = (select(vec!["contains", "icontains"]), any_of(&TEXTS));
    prop_oneof![
        ids(&CATEGORIES),
        contains.prop_map(|(operator, text)| json!({ operator: text })),
    ]
}

fn times() -> impl Strategy<Value = Value> {
    let time = || select(&TIMES[..]).prop_map(|(text, _)| json!(text));
    let operator = || select(vec!["eq", "ne", "gt", "gte", "lt", "lte"]);
    prop_oneof![
        1 => time(),
        4 => (operator(), time()).prop_map(|(name, time)| json!({ name: time })),
        2 => (time(), time()).prop_map(|(from, to)| json!({"gte": from, "lte": to})),
        1 => prop::collection::vec(time(), 0..3).prop_map(|list| json!({"in": list})),
        1 => select(vec![json!("*"), Value::Null, json!({"ne": null})]),
    ]
}

fn words() -> impl Strategy<Value = Value> {
    let operator = select(vec!["contains", "icontains"]);
    prop_oneof![
        any_of(&TEXTS),
        Just(json!("*")),
        (operator, any_of(&TEXTS)).prop_map(|(name, text)| json!({ name: text })),
    ]
}

/// Values of metadata that are no operators and no wildcard.
fn value() -> impl Strategy<Value = Value> {
    let flat = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        select(vec![json!(1.0), json!(0.5), json!(-0.5), json!(1e300)]),
        any_of(&TEXTS),
    ];
    flat.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((select(&KEYS[..]), inner), 0..3)
                .prop_map(|pairs| pairs.into_iter().collect::<Value>()),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Value> {
    let orderly = || {
        prop_oneof![
            (-2..3_i64).prop_map(Value::from),
            Just(json!(0.5)),
            any_of(&TEXTS)
        ]
    };
    let order = select(vec!["gt", "gte", "lt", "lte"]);
    let asked = prop_oneof![
        4 => value(),
        1 => Just(json!("*")),
        1 => value().prop_map(|value| json!({"eq": value})),
        2 => value().prop_map(|value| json!({"ne": value})),
        1 => prop::collection::vec(value(), 0..3).prop_map(|list| json!({"in": list})),
        2 => (order, orderly()).prop_map(|(name, value)| json!({ name: value })),
        1 => value().prop_filter("not null", |value| !value.is_null())
            .prop_map(|value| json!({"contains": value})),
        1 => any_of(&TEXTS).prop_map(|text| json!({"icontains": text})),
    ];
    let whole = prop::collection::vec((select(&KEYS[..]), value()), 1..3);
    let any_key = select(vec!["contains", "icontains"]);
    prop_oneof![
        1 => Just(json!("*")),
        1 => (any_key, any_of(&TEXTS)).prop_map(|(name, text)| json!({ name: text })),
        1 => (select(vec!["eq", "ne", "contains"]), whole).prop_map(|(name, pairs)| {
            json!({ name: pairs.into_iter().collect::<Value>() })
        }),
        7 => prop::collection::vec((select(&KEYS[..]), asked), 1..3)
            .prop_map(|pairs| pairs.into_iter().collect::<Value>()),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    fn named<S: Strategy<Value = Value>>(
        names: &'static [&'static str],
        asked: S,
    ) -> impl Strategy<Value = (&'static str, Value)> {
        (select(names), asked)
    }
    let one = prop_oneof![
        3 => named(&["user_id"], ids(&USERS)),
        3 => named(&["agent_id"], ids(&AGENTS)),
        1 => named(&["app_id"], ids(&APPS)),
        3 => named(&["run_id", "session_id"], ids(&RUNS)),
        2 => named(&["memory_ids", "memory_id", "id"], ids(&IDS)),
        3 => named(&["created_at", "timestamp", "updated_at", "expiration_date"], times()),
        1 => named(&["categories"], categories()),
        1 => named(&["keywords", "text"], words()),
        3 => named(&["metadata"], metadata()),
    ];
    prop::collection::vec(one, 1..3).prop_map(|pairs| pairs.into_iter().collect::<Value>())
}

fn filter() -> impl Strategy<Value = Value> {
    combined(condition().boxed())
}

/// A filter of nothing but what can be read off one, mostly several conditions at once.
fn readable_filter() -> impl Strategy<Value = Value> {
    let several = |values: &'static [&'static str]| {
        prop_oneof![
            3 => prop::collection::vec(any_of(values), 1..3).prop_map(Value::from),
            1 => ids(values),
        ]
    };
    let condition = prop_oneof![
        several(&IDS).prop_map(|asked| json!({"memory_ids": asked})),
        several(&RUNS).prop_map(|asked| json!({"run_id": asked})),
        times().prop_map(|asked| json!({"created_at": asked})),
    ]
    .boxed();
    let at_once = prop::collection::vec(condition.clone(), 1..3);
    prop_oneof![
        3 => at_once.prop_map(|list| json!({"AND": list})),
        1 => combined(condition),
    ]
}

/// Conditions under `AND`, `OR` and `NOT`.
fn combined(condition: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    condition.prop_recursive(4, 16, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!({"AND": list})),
            list().prop_map(|list| json!({"OR": list})),
            list().prop_map(|list| json!({"NOT": list})),
            inner.clone().prop_map(|one| json!({"NOT": one})),
            (inner.clone(), list(), list()).prop_map(|(mut one, and, or)| {
                one["AND"] = json!(and);
                one["OR"] = json!(or);
                one
            }),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    let maybe = |values: &'static [&'static str]| {
        prop_oneof![Just(Value::Null), any_of(values), any_of(values)]
    };
    let of_a_user = (any_of(&USERS), maybe(&AGENTS), maybe(&RUNS));
    let of_an_agent = any_of(&AGENTS).prop_map(|agent| (Value::Null, agent, Value::Null));
    let owned = prop_oneof![2 => of_a_user, 1 => of_an_agent];
    let pairs = prop::collection::vec((select(&KEYS[..]), value()), 0..4);
    (
        owned,
        maybe(&APPS),
        prop::collection::btree_set(select(&IDS[..]), 1..3),
        any_of(&TEXTS),
        maybe(&INSTANTS),
        maybe(&INSTANTS),
        some_of(&CATEGORIES),
        (pairs, maybe(&INSTANTS)),
    )
        .prop_map(
            |(
                (user, agent, run),
                app,
                ids,
                text,
                created,
                updated,
                categories,
                (pairs, expires),
            )| {
                let mut metadata: Value = pairs.into_iter().collect();
                if !expires.is_null() {
                    metadata["expiration_date"] = expires;
                }
                json!({
                    "ids": ids, "memory": text, "user_id": user, "agent_id": agent, "app_id": app,
                    "run_id": run, "created_at": created, "updated_at": updated,
                    "categories": categories, "metadata": metadata,
                })
            },
        )
}

fn parse(filter: &Value) -> Filter {
    Filter::parse(filter.as_object()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| text.parse().unwrap())
}

/// Whether our evaluation finds the record.
fn matches(filter: &Filter, record: &Value) -> bool {
    let ids: Vec<&str> = record["ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let categories: Vec<&str> = record["categories"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    filter.matches(&Candidate {
        ids: &ids,
        text: record["memory"].as_str().unwrap(),
        user: record["user_id"].as_str(),
        agent: record["agent_id"].as_str(),
        app: record["app_id"].as_str(),
        run: record["run_id"].as_str(),
        created_at: instant(&record["created_at"]),
        updated_at: instant(&record["updated_at"]),
        categories: &categories,
        metadata: record["metadata"].as_object().unwrap(),
    })
}

fn owner(record: &Value) -> Owner {
    match record["user_id"].as_str() {
        Some(user) => Owner::User(UserId::new(user).unwrap()),
        None => Owner::Graph(
            AgentId::new(record["agent_id"].as_str().unwrap())
                .unwrap()
                .graph(),
        ),
    }
}

fn default_user() -> UserId {
    UserId::new(DEFAULT_USER).unwrap()
}

/// JSON of any shape, many of its keys those of filters.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "\\PC{0,20}",
        select(vec![
            "*",
            "ada",
            "2024-07-31",
            "",
            "é",
            "::zm::",
            "\u{202e}x"
        ])
        .prop_map(str::to_owned),
        (1..6_000_usize).prop_map(|length| "é".repeat(length)),
    ];
    let key = prop_oneof![
        4 => select(vec![
            "AND", "OR", "NOT", "user_id", "agent_id", "app_id", "run_id", "session_id",
            "created_at", "updated_at", "timestamp", "expiration_date", "categories", "metadata",
            "keywords", "text", "memory_ids", "eq", "ne", "in", "gt", "gte", "lt", "lte",
            "contains", "icontains", "nin", "*", ">=", "$and", "and", "user",
        ])
        .prop_map(str::to_owned),
        1 => text.clone(),
    ];
    let flat = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    flat.prop_recursive(12, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_filter_means_what_the_plain_reading_says(filter in filter(), record in record()) {
        prop_assert_eq!(matches(&parse(&filter), &record), plain::eval(&filter, &record));
    }

    #[test]
    fn what_is_left_within_an_owner_decides_as_the_whole_does(
        filter in filter(), record in record()
    ) {
        let filter = parse(&filter);
        let left = match filter.within(&owner(&record)) {
            Within::Nothing => false,
            Within::Everything => true,
            Within::Some(rest) => matches(&rest, &record),
        };
        prop_assert_eq!(left, matches(&filter, &record));
    }

    #[test]
    fn the_default_user_is_reached_wherever_one_of_their_memories_matches(
        filter in filter(), mut record in record()
    ) {
        record["user_id"] = json!(DEFAULT_USER);
        let filter = parse(&filter);
        if !matches(&filter, &record) {
            return Ok(());
        }
        prop_assert!(filter.reach(&default_user()).contains(&owner(&record)));
    }

    #[test]
    fn an_owner_who_is_named_is_reached_wherever_one_of_their_memories_matches(
        filter in filter(), record in record(), how in 0..4, order in any::<bool>()
    ) {
        let named = match (record["user_id"].as_str(), record["agent_id"].as_str(), how) {
            (Some(user), _, 0) => json!({"user_id": user}),
            (Some(user), _, 1) => json!({"user_id": {"in": ["somebody", user]}}),
            (Some(_), _, 2) => json!({"user_id": "*"}),
            (_, Some(agent), 0) => json!({"agent_id": agent}),
            (None, _, 1) => json!({"agent_id": "*"}),
            (None, _, 2) => json!({"user_id": null}),
            _ => json!({"user_id": {"ne": "somebody"}}),
        };
        let both = if order { json!([named, filter]) } else { json!([filter, named]) };
        let filter = parse(&json!({"AND": both}));
        if !matches(&filter, &record) {
            return Ok(());
        }
        prop_assert!(filter.reach(&default_user()).contains(&owner(&record)));
    }

    #[test]
    fn nobody_is_reached_whom_the_filter_does_not_speak_of(filter in filter()) {
        let written = filter.to_string();
        // A key of metadata of that name counts here, as it does for mem0-mcp-server.
        let speaks_of = |field: &str| written.contains(&format!("\"{field}\""));
        let reach = parse(&filter).reach(&default_user());
        if !speaks_of("user_id") {
            prop_assert!(!reach.all_users);
            for owner in &reach.owners {
                match owner {
                    Owner::User(user) => prop_assert_eq!(user.as_str(), DEFAULT_USER),
                    Owner::Graph(_) => prop_assert!(speaks_of("agent_id")),
                }
            }
            prop_assert!(!reach.all_agents || speaks_of("agent_id"));
        }
        let allowed: BTreeSet<&str> = USERS.into_iter().collect();
        for owner in &reach.owners {
            if let Owner::User(user) = owner {
                prop_assert!(allowed.contains(user.as_str()) && written.contains(user.as_str())
                    || user.as_str() == DEFAULT_USER);
            }
        }
    }

    #[test]
    fn whatever_comes_is_understood_or_refused_in_a_few_words_with_advice(
        raw in any_json(), field in select(vec!["AND", "metadata", "user_id", "NOT", "created_at"])
    ) {
        let raw: Map<String, Value> = match raw {
            Value::Object(map) => map,
            other => Map::from_iter([(field.to_owned(), other)]),
        };
        match Filter::parse(Some(&raw)) {
            Err(wrong) => {
                let said = wrong.to_string();
                prop_assert!(said.chars().count() <= 800, "{}", said);
                prop_assert!(said.starts_with("filters") && !said.contains('\n'));
                prop_assert!(wrong.advice.len() > 5 && said.ends_with(&wrong.advice));
            }
            Ok(filter) => {
                let record = json!({
                    "ids": ["m1"], "memory": "é", "user_id": "ada", "categories": ["x"],
                    "metadata": raw,
                });
                matches(&filter, &record);
                filter.reach(&default_user());
                filter.within(&owner(&record));
                filter.sessions();
                filter.created_between();
                filter.ids();
            }
        }
    }
}

proptest! {
    // Few filters match: more of them are tried.
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_match_is_outside_the_sessions_the_times_and_the_ids_read_off(
        filter in prop_oneof![1 => filter().boxed(), 7 => readable_filter().boxed()], record in record()
    ) {
        let filter = parse(&filter);
        if !matches(&filter, &record) {
            return Ok(());
        }
        if let Some(sessions) = filter.sessions() {
            prop_assert!(record["run_id"].as_str().is_some_and(|run| sessions.contains(run)));
        }
        if let Some(ids) = filter.ids() {
            let has = |id: &Value| id.as_str().is_some_and(|id| ids.contains(id));
            prop_assert!(record["ids"].as_array().unwrap().iter().any(has));
        }
        let created = instant(&record["created_at"]);
        let (first, last) = filter.created_between();
        prop_assert!(first.is_none_or(|first| created.is_some_and(|time| first <= time)));
        prop_assert!(last.is_none_or(|last| created.is_some_and(|time| time <= last)));
    }
}
