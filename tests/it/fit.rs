//! A packed record is read back whole, and Zep accepts each of its parts.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use zep_mcp_server::memory::fit::{
    Carrier, EXTRA_KEY, JoinPart, Level, Marks, Ours, RESERVED_KEYS, Speaker, fit_name, is_blank,
    join, pack, repack, unpack,
};
use zep_mcp_server::memory::model::{AgentId, AppId, MemoryKind, RecordId, TimeOrigin};
use zep_mcp_server::zep::{Metadata, PartNo, RecordMark, limits};

/// What Zep refuses by its documentation and zep-ingest 0.3.0; lengths as the level sets them.
fn check_as_zep(content: &str, metadata: &Metadata, carrier: Carrier, level: Level) {
    assert!(!content.trim().is_empty(), "blank content");
    let (hard, safe) = match carrier {
        Carrier::Message => (4_096, 4_000),
        Carrier::Episode => (10_000, 9_500),
    };
    match level {
        Level::Normal => assert!(content.chars().count() <= safe),
        Level::Small => assert!(content.len() <= hard, "{} bytes", content.len()),
    }
    assert!(metadata.len() <= 10, "{} keys", metadata.len());
    for (key, value) in metadata {
        assert!(!key.trim().is_empty(), "blank key");
        let scalar = |value: &Value| match value {
            Value::String(text) => !text.trim().is_empty() && !text.contains('\0'),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        let fine = match value {
            Value::Array(items) => !items.is_empty() && items.iter().all(scalar),
            value => scalar(value),
        };
        assert!(fine, "{key:?}: {value}");
    }
}

/// Metadata sent as JSON text and read back, its keys in the store's own order.
fn over_the_wire(metadata: &Metadata) -> Metadata {
    let text = serde_json::to_string(metadata).unwrap();
    let mut back: Metadata = serde_json::from_str(&text).unwrap();
    back.sort_keys();
    back
}

fn fragment() -> impl Strategy<Value = String> {
    let blank = vec![" ", "\n", "\r\n", "\t", "\u{3000}", "\u{1f}", " \n"];
    let unit = vec![
        "x",
        "é",
        "e\u{301}",
        "\u{301}",
        "👩‍👩‍👧‍👦",
        "🇨🇭",
        "👍🏽",
        "שלום ",
        "مرحبا. ",
        "漢",
        "ไทย",
        "\u{200d}",
        "\u{200b}",
        "\u{feff}",
        "\u{202e}",
        "\0",
        "Word, ",
        "One. Two! ",
        "par\n\n",
        "\"\\",
    ];
    prop_oneof![
        3 => any::<String>(),
        3 => (prop::sample::select(unit), 1..1_500_usize).prop_map(|(unit, n)| unit.repeat(n)),
        2 => (prop::sample::select(blank), 1..9_500_usize).prop_map(|(blank, n)| blank.repeat(n)),
        1 => "[ \t\n\r\u{a0}]{1,900}",
        2 => "([a-z]{1,12} ){1,80}",
    ]
}

fn content() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 1..9)
        .prop_map(|fragments| fragments.concat())
        .prop_filter("not blank", |text| !is_blank(text))
}

fn key() -> impl Strategy<Value = String> {
    let reserved = RESERVED_KEYS.map(str::to_owned).to_vec();
    let marks = ["time", "metadata", "gaps", "deleted", "name"].map(str::to_owned);
    prop_oneof![
        4 => "[a-z]{1,6}",
        2 => any::<String>(),
        1 => Just(String::new()),
        1 => Just(" ".to_owned()),
        2 => prop::sample::select(reserved),
        1 => prop::sample::select(marks.to_vec()),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000..1_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z ]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|entries| Value::from(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn caller() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((key(), json_value()), 0..16)
        .prop_map(|entries| entries.into_iter().collect())
}

prop_compose! {
    fn marks()(
        inferred in any::<bool>(),
        replaces in prop::option::of("[0-9a-f-]{36}"),
        instead_of in prop::option::of("[a-z0-9-]{1,40}"),
        deleted in any::<bool>(),
        double in any::<bool>(),
        updated in prop::option::of(0_i64..4_000_000_000_000_000),
        speaker in prop::option::of((any::<String>(), prop::option::of(any::<String>()))),
        name in prop::option::of(any::<String>()),
        session in prop::option::of(caller()),
        other in prop::collection::vec(("later_[a-z]{3}", json_value()), 0..3),
    ) -> Marks {
        Marks {
            time: if inferred { TimeOrigin::Inferred } else { TimeOrigin::Given },
            replaces,
            instead_of,
            run: None,
            deleted,
            double,
            updated: updated.map(|micros| Timestamp::from_microsecond(micros).unwrap()),
            speaker: speaker.map(|(role, name)| Speaker { role, name }),
            name,
            session,
            other: other.into_iter().collect(),
        }
    }
}

prop_compose! {
    fn ours()(
        record in "[a-z0-9-]{1,40}",
        memory_type in prop::option::of("[a-z_]{1,20}"),
        migration_source in prop::option::of(any::<String>()),
        original_role in prop::option::of(prop_oneof![any::<String>(), Just(" ".to_owned())]),
        agent in prop::option::of("[^\\pC\\s]{1,20}"),
        app in prop::option::of("[^\\pC\\s]{1,20}"),
        marks in prop_oneof![Just(Marks::default()), marks()],
    ) -> Ours {
        Ours {
            record: RecordId::new(&record).unwrap(),
            memory_type: memory_type.map(|kind| MemoryKind::new(&kind).unwrap()),
            migration_source,
            original_role,
            agent: agent.and_then(|id| AgentId::new(&id).ok()),
            app: app.and_then(|id| AppId::new(&id).ok()),
            marks,
        }
    }
}

fn carrier_and_level() -> impl Strategy<Value = (Carrier, Level)> {
    (
        prop::sample::select(vec![Carrier::Message, Carrier::Episode]),
        prop::sample::select(vec![Level::Normal, Level::Small]),
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_record_goes_in_whole_and_comes_out_whole(
        ours in ours(),
        caller in caller(),
        content in content(),
        (carrier, level) in carrier_and_level(),
        turn in any::<prop::sample::Index>(),
    ) {
        let parts = pack(&ours, &caller, &content, carrier, level).unwrap();
        let mut stored = Vec::new();
        for part in &parts {
            let metadata = RecordMark::encode(Some(&part.mark), &part.metadata);
            check_as_zep(&part.content, &metadata, carrier, level);
            let unpacked = unpack(&over_the_wire(&metadata));
            prop_assert_eq!(unpacked.ours.as_ref(), Some(&ours));
            prop_assert_eq!(&unpacked.caller, &caller);
            // Changing nothing changes nothing.
            let again = repack(&unpacked, &ours, &unpacked.caller).unwrap();
            prop_assert_eq!(&again, &(part.mark.clone(), part.metadata.clone()));
            stored.push((part.content.clone(), unpacked));
        }
        let first = stored[0].1.clone();
        let turn = turn.index(stored.len());
        stored.rotate_left(turn);
        let joined = join(
            &stored
                .iter()
                .map(|(content, unpacked)| JoinPart {
                    part: unpacked.part,
                    content,
                    gaps: &unpacked.gaps,
                })
                .collect::<Vec<_>>(),
        );
        prop_assert!(joined.missing.is_empty());
        prop_assert!(joined.content == content, "content changed");

        let again = pack(&ours, &first.caller, &joined.content, carrier, level).unwrap();
        prop_assert!(again == parts, "packed again, the parts are others");
    }

    #[test]
    fn metadata_of_others_never_panics_and_loses_nothing(
        foreign in caller(),
        id in prop::option::of(json_value()),
        part in prop_oneof![
            json_value(),
            "[0-9]{1,12}/[0-9]{1,12}".prop_map(Value::from)
        ],
        extra in prop_oneof![
            json_value(),
            json_value().prop_map(|value| value.to_string().into()),
            (key(), json_value()).prop_map(|(key, value)| json!({ key: value }).to_string().into()),
        ],
        content in "[a-z]{1,9}",
    ) {
        let mut metadata = foreign;
        metadata.insert("zm_id".into(), id.unwrap_or_else(|| "r".into()));
        metadata.insert("zm_part".into(), part);
        metadata.insert("zm_x".into(), extra);
        let unpacked = unpack(&metadata);
        let Some(ours) = &unpacked.ours else {
            prop_assert_eq!(&unpacked.caller, &metadata);
            return Ok(());
        };
        for key in metadata.keys().filter(|key| !RESERVED_KEYS.contains(&key.as_str())) {
            prop_assert_eq!(unpacked.caller.get(key), metadata.get(key));
        }
        join(&[JoinPart { part: unpacked.part, content: &content, gaps: &unpacked.gaps }]);
        let (mark, again) = repack(&unpacked, ours, &unpacked.caller).unwrap();
        let again = RecordMark::encode(Some(&mark), &again);
        check_as_zep(&content, &again, Carrier::Message, Level::Normal);
        prop_assert_eq!(unpack(&over_the_wire(&again)), unpacked);
    }

    #[test]
    fn a_name_fits_and_comes_back_whole(name in prop_oneof![any::<String>(), fragment()]) {
        let fitted = fit_name(&name);
        if let Some(short) = &fitted.name {
            prop_assert!(short.chars().count() <= limits::NAME_CHARS && !is_blank(short));
        }
        prop_assert_eq!(fitted.name.is_none(), is_blank(&name));
        if !is_blank(&name) {
            prop_assert_eq!(fitted.full.or(fitted.name), Some(name));
        }
    }
}

fn simple(caller: Value, content: &str) -> Vec<Metadata> {
    let ours = Ours::new(RecordId::new("r").unwrap());
    let caller = caller.as_object().cloned().unwrap();
    pack(&ours, &caller, content, Carrier::Message, Level::Normal)
        .unwrap()
        .into_iter()
        .map(|part| RecordMark::encode(Some(&part.mark), &part.metadata))
        .collect()
}

#[test]
fn a_plain_record_carries_nothing_but_its_id_and_the_callers_keys() {
    let metadata = simple(json!({"b": 1, "a": ["x", 2, true]}), "hello");
    assert_eq!(
        serde_json::to_string(&metadata).unwrap(),
        r#"[{"zm_id":"r","b":1,"a":["x",2,true]}]"#
    );
}

#[test]
fn ten_keys_are_used_before_anything_is_put_aside() {
    let keys = |n: usize| Value::Object((0..n).map(|i| (format!("k{i}"), json!(i))).collect());
    let nine = simple(keys(9), "hello").remove(0);
    assert_eq!((nine.len(), nine.contains_key(EXTRA_KEY)), (10, false));
    let ten = simple(keys(10), "hello").remove(0);
    assert_eq!(ten.len(), 10);
    assert_eq!(ten[EXTRA_KEY], r#"{"metadata":{"k8":8,"k9":9}}"#);
}

#[test]
fn what_zep_does_not_take_is_put_aside_in_the_callers_order() {
    let metadata = simple(
        json!({
            "": 1, "null": null, "ok": "yes", "blank": " ", "empty": [], "nested": {"a": 1},
            "deep": [[1]], "holes": ["a", ""], "zm_id": "mine", "agent_id": "a",
            "big": 9_007_199_254_740_993_i64,
        }),
        "hello",
    )
    .remove(0);
    let keys: Vec<&str> = metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, ["zm_id", "ok", "zm_x"]);
    assert_eq!(
        metadata[EXTRA_KEY],
        concat!(
            r#"{"metadata":{"":1,"null":null,"blank":" ","empty":[],"nested":{"a":1},"deep":[[1]],"#,
            r#""holes":["a",""],"zm_id":"mine","agent_id":"a","big":9007199254740993}}"#
        )
    );
}

#[test]
fn every_part_carries_the_whole_metadata_and_its_number() {
    let caller = json!({"topic": "x", "n": {"a": 1}});
    let parts = simple(caller.clone(), &"word ".repeat(2_000));
    assert_eq!(parts.len(), 3);
    for (number, metadata) in (1..).zip(&parts) {
        assert_eq!(metadata["zm_part"], format!("{number}/3"));
        assert_eq!(metadata["topic"], "x");
        assert_eq!(unpack(metadata).part, PartNo { number, total: 3 });
        assert_eq!(Value::from(unpack(metadata).caller), caller);
    }
}

#[test]
fn marks_of_a_later_version_survive_a_change_of_the_rest() {
    let metadata = json!({
        "zm_id": "r",
        "zm_x": r#"{"time":"inferred","audience":["a"],"deleted":"maybe","metadata":{"n":null}}"#,
    });
    let unpacked = unpack(metadata.as_object().unwrap());
    let ours = unpacked.ours.clone().unwrap();
    assert_eq!(ours.marks.time, TimeOrigin::Inferred);
    assert!(!ours.marks.deleted);
    let (_, changed) = repack(&unpacked, &ours, &Map::new()).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(changed[EXTRA_KEY].as_str().unwrap()).unwrap(),
        json!({"time": "inferred", "audience": ["a"], "deleted": "maybe"})
    );
}
