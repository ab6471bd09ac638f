//! The arguments of a call, whichever dialect sends them: scalars in the query with lists and objects in
//! the body (the code of the original server), or everything in one JSON object (its documents).

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::Method;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{ApiError, FieldProblem};

/// What a field is, where it is given as text in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list or an object: in the body only.
    Json,
}

/// A field of a call.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// A field that must be given.
pub(super) const fn needed(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

/// A field that may be left out.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

/// The arguments of a capability.
pub(super) trait Arguments: DeserializeOwned {
    /// Its fields.
    const FIELDS: &'static [Field];
    /// The field that the whole body is where the others are in the query, as FastAPI has it with one
    /// parameter in the body.
    const WHOLE_BODY: Option<&'static str> = None;
}

/// The arguments of a call.
#[derive(Debug)]
pub(super) struct Given<T>(pub(super) T);

impl<T: Arguments, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let has_body = matches!(
            *request.method(),
            Method::POST | Method::PUT | Method::PATCH
        );
        let body = match has_body {
            true => Bytes::from_request(request, state).await.map_err(|_| {
                ApiError::new(
                    axum::http::StatusCode::BAD_REQUEST,
                    "invalid_request",
                    "the body is incomplete",
                )
            })?,
            false => Bytes::new(),
        };
        read(&query, has_body, &body).map(Self)
    }
}

/// Reads the arguments of a call.
fn read<T: Arguments>(query: &str, has_body: bool, body: &[u8]) -> Result<T, ApiError> {
    let mut problems = Vec::new();
    let mut given = of_query::<T>(query, &mut problems);
    let in_query: Vec<String> = given.keys().cloned().collect();
    let is_in_query = |name: &str| in_query.iter().any(|field| field == name);
    let mut body = parse_body(body)?;
    let is_whole = T::WHOLE_BODY.is_some_and(|field| {
        let sole = body.len() == 1 && body.get(field).is_some_and(|it| it.is_object());
        let mut scalars = T::FIELDS
            .iter()
            .filter(|it| it.name != field && it.required);
        let has_scalars = !in_query.is_empty();
        has_scalars
            && !sole
            && scalars.all(|it| is_in_query(it.name))
            && !body.keys().any(|key| key == field)
    });
    match T::WHOLE_BODY {
        Some(field) if is_whole && !body.is_empty() => {
            given.insert(field.to_owned(), std::mem::take(&mut body).into());
        }
        _ => {}
    }
    for (name, value) in body {
        let place = "body";
        let field = T::FIELDS.iter().find(|field| field.name == name);
        let value = match field {
            Some(field) if field.kind == Kind::Integer => whole_number(value),
            _ => value,
        };
        if field.is_none() {
            let known: Vec<&str> = T::FIELDS.iter().map(|field| field.name).collect();
            let msg = format!("is no field of this call; those are {}", known.join(", "));
            problems.push(FieldProblem::new(place, &name, "extra_forbidden", msg));
        } else if given.get(&name).is_some_and(|there| *there != value) {
            let msg = "is given in the query and, differently, in the body; give it once";
            problems.push(FieldProblem::new(place, &name, "value_error", msg));
        } else {
            given.insert(name, value);
        }
    }
    let place = if has_body && in_query.is_empty() {
        "body"
    } else {
        "query"
    };
    for field in T::FIELDS.iter().filter(|field| field.required) {
        let failed = problems
            .iter()
            .any(|it: &FieldProblem| it.loc.last().is_some_and(|at| at == field.name));
        if !given.contains_key(field.name) && !failed {
            let place = if field.kind == Kind::Json {
                "body"
            } else {
                place
            };
            problems.push(FieldProblem::new(
                place,
                field.name,
                "missing",
                "Field required",
            ));
        }
    }
    if !problems.is_empty() {
        return Err(ApiError::fields(problems));
    }
    serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let path = error.path().to_string();
        let name = path.split(['.', '[']).next().unwrap_or_default();
        let place = if is_in_query(name) { "query" } else { "body" };
        let mut loc = vec![place.to_owned()];
        loc.extend(
            path.split('.')
                .filter(|part| *part != ".")
                .map(str::to_owned),
        );
        ApiError::fields(vec![FieldProblem {
            loc,
            msg: format!("`{path}` cannot be read: {}", error.inner()),
            r#type: "value_error",
        }])
    })
}

/// 3 for 3.0: they are the same number in JSON.
fn whole_number(value: Value) -> Value {
    let float = value.as_f64().filter(|_| value.as_i64().is_none());
    // Below 2^53 every whole float is exactly that number.
    match float.filter(|float| float.fract() == 0.0 && float.abs() < 9e15) {
        Some(float) => (float as i64).into(),
        None => value,
    }
}

/// The fields that a query gives.
fn of_query<T: Arguments>(query: &str, problems: &mut Vec<FieldProblem>) -> Map<String, Value> {
    let mut given = Map::new();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    for (name, raw) in pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        let (Some(name), Some(text)) = (decoded(name), decoded(raw)) else {
            let msg = "is not UTF-8 text";
            problems.push(FieldProblem::new("query", "query", "value_error", msg));
            continue;
        };
        let mut refuse = |r#type, msg: &str| {
            problems.push(FieldProblem::new("query", &name, r#type, msg));
        };
        let Some(field) = T::FIELDS.iter().find(|field| field.name == name) else {
            let known: Vec<&str> = T::FIELDS.iter().map(|field| field.name).collect();
            let msg = format!("is no field of this call; those are {}", known.join(", "));
            refuse("extra_forbidden", &msg);
            continue;
        };
        let value = match field.kind {
            Kind::Text => Value::String(text),
            Kind::Integer => match text.trim().parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => {
                    refuse("int_parsing", "is not a whole number");
                    continue;
                }
            },
            Kind::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => true.into(),
                "false" | "0" | "no" | "off" => false.into(),
                _ => {
                    refuse("bool_parsing", "is neither `true` nor `false`");
                    continue;
                }
            },
            Kind::Json => {
                refuse("value_error", "belongs into the body, as JSON");
                continue;
            }
        };
        if given.insert(name.clone(), value).is_some() {
            let msg = "is given twice";
            problems.push(FieldProblem::new("query", &name, "value_error", msg));
        }
    }
    given
}

fn decoded(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// The object of a body; an empty body or `null` has no fields.
fn parse_body(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let problem = |r#type, msg: String| {
        ApiError::fields(vec![FieldProblem {
            loc: vec!["body".to_owned()],
            msg,
            r#type,
        }])
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(problem(
            "dict_type",
            "the body must be a JSON object with the fields of this call".into(),
        )),
        Err(error) => {
            // Its position, without what is there.
            let (line, column) = (error.line(), error.column());
            let msg = format!("the body is no JSON: see line {line}, column {column}");
            Err(problem("json_invalid", msg))
        }
    }
}

/// The id in a path.
#[derive(Debug)]
pub(super) struct PathId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| {
            let msg = "is not UTF-8 text";
            ApiError::fields(vec![FieldProblem::new("path", "id", "value_error", msg)])
        })
    }
}

/// No arguments at all.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Nothing {}

impl Arguments for Nothing {
    const FIELDS: &'static [Field] = &[];
}
