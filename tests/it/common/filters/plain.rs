//! A second evaluator of filters, straight over JSON, to compare ours with.

use serde_json::{Value, json};

use super::TIMES;

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
                (Value::Array(items), asked) => items.iter().any(|item| equal(&fold(item), &asked)),
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
