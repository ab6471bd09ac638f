//! Random filters and memories from one pool of values, so that they match often, and a second
//! evaluator ([`plain`]).

pub mod plain;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

pub const DEFAULT_USER: &str = "me";
pub const USERS: [&str; 4] = [DEFAULT_USER, "ada", "bob", "名前"];
pub const AGENTS: [&str; 3] = ["a1", "a2", "é agent"];
pub const APPS: [&str; 2] = ["app", "App"];
pub const RUNS: [&str; 3] = ["r1", "r2", "default"];
pub const IDS: [&str; 4] = ["m1", "m2", "m3", "m4"];
pub const CATEGORIES: [&str; 4] = ["Finance", "finance", "health", "über"];
pub const TEXTS: [&str; 6] = ["", "Pizza", "pizza", "ÜBER 日本 ada", "über", "日本"];
pub const KEYS: [&str; 4] = ["k", "type", "日", "user_id"];
/// The instants of records, all of one width: they sort as text as they do in time.
pub const INSTANTS: [&str; 6] = [
    "2024-07-30T23:59:59Z",
    "2024-07-31T00:00:00Z",
    "2024-07-31T10:00:00Z",
    "2024-07-31T23:59:59Z",
    "2024-08-01T00:00:00Z",
    "2025-01-01T12:00:00Z",
];
/// Times as filters write them, and the instants or the day that they mean.
pub const TIMES: [(&str, &str); 9] = [
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

pub fn any_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> + Clone {
    select(values).prop_map(Value::from)
}

pub fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> + Clone {
    prop::collection::vec(any_of(values), 0..3).prop_map(Value::from)
}

pub fn ids(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
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

pub fn categories() -> impl Strategy<Value = Value> {
    let contains = (select(vec!["contains", "icontains"]), any_of(&TEXTS));
    prop_oneof![
        ids(&CATEGORIES),
        contains.prop_map(|(operator, text)| json!({ operator: text })),
    ]
}

pub fn times() -> impl Strategy<Value = Value> {
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

pub fn words() -> impl Strategy<Value = Value> {
    let operator = select(vec!["contains", "icontains"]);
    prop_oneof![
        any_of(&TEXTS),
        Just(json!("*")),
        (operator, any_of(&TEXTS)).prop_map(|(name, text)| json!({ name: text })),
    ]
}

/// Values of metadata that are neither operators nor a wildcard.
pub fn value() -> impl Strategy<Value = Value> {
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

pub fn metadata() -> impl Strategy<Value = Value> {
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

pub fn condition() -> impl Strategy<Value = Value> {
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

pub fn filter() -> impl Strategy<Value = Value> {
    combined(condition().boxed())
}

/// A filter of conditions that can narrow a search only, mostly several at once.
pub fn readable_filter() -> impl Strategy<Value = Value> {
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
pub fn combined(condition: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
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

pub fn record() -> impl Strategy<Value = Value> {
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

/// JSON of any shape, with many keys that filters use.
pub fn any_json() -> impl Strategy<Value = Value> {
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
