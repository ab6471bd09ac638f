//! The OpenAPI document, completed with what holds for every call, and the pages that show it.

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, Info, OpenApi, RefOr, Response as DocumentedResponse, ResponseBuilder,
    Schema,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::error::{ErrorBody, FieldProblem, ValidationBody};
use super::words::Order;
use crate::memory::model::MAX_ID_CHARS;

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";
/// Where the pages are that show it.
const PAGES: &str = "/docs";
/// The name of the only way to authenticate.
const BEARER: &str = "token";
/// What the pages may load: their own files, which style themselves.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'self'";

/// The failures that every call can have: status, what it means, and whether it names fields.
const FAILURES: [(&str, &str, bool); 11] = [
    ("400", "It cannot be carried out as it is.", false),
    ("401", "It has no valid token.", false),
    (
        "403",
        "The token does not allow it, or the user is suspended.",
        false,
    ),
    ("404", "It is not there, or not for this token.", false),
    ("408", "Its body took too long.", false),
    ("409", "Something else is in its way.", false),
    ("413", "Its body is larger than 16 MB.", false),
    (
        "422",
        "Fields cannot be accepted. Nothing was written.",
        true,
    ),
    ("429", "Too many at once, or too many wrong tokens.", false),
    ("500", "The server made a mistake.", false),
    ("503", "What it needs does not answer; try again.", false),
];

/// Describes a capability at another path: its operation has another id there.
pub(super) fn describe_again(paths: &mut Paths, path: &str, item: PathItem, number: usize) {
    let mut item = item;
    for operation in operations(&mut item) {
        if let Some(id) = &mut operation.operation_id {
            id.push_str(&format!("_{number}"));
        }
    }
    match paths.paths.get_mut(path) {
        Some(there) => there.merge_operations(item),
        None => drop(paths.paths.insert(path.to_owned(), item)),
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Every call of a document: its name, method and path.
pub(super) fn calls(document: &OpenApi) -> Vec<(String, String, String)> {
    let mut calls = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ] {
            let Some(operation) = operation else { continue };
            let name = operation.operation_id.clone().unwrap_or_default();
            calls.push((name, method.to_owned(), path.clone()));
        }
    }
    calls
}

/// The document with what holds for every call: who may, how it fails, what ids are like.
pub(super) fn completed(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("zep-mcp-server: the Memory API", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "Users, sessions, messages, snapshots and memories, kept in Zep Cloud or in a local file. \
         Every path takes its fields in one JSON body; those under /api/memory also take scalars in \
         the query."
            .to_owned(),
    );
    let components = document.components.get_or_insert_with(Components::new);
    for (name, schema) in [
        ("ErrorBody", ErrorBody::schema()),
        ("FieldProblem", FieldProblem::schema()),
        ("ValidationBody", ValidationBody::schema()),
        // Named by a parameter alone.
        ("Order", Order::schema()),
    ] {
        components.schemas.insert(name.to_owned(), schema);
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(BEARER, bearer);
    document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(
        BEARER,
        [],
    )]);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            for (status, about, names_fields) in FAILURES {
                let schema = if names_fields {
                    "ValidationBody"
                } else {
                    "ErrorBody"
                };
                let response = failure(about, schema);
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert(response);
            }
        }
    }
    document
}

fn failure(about: &str, schema: &str) -> RefOr<DocumentedResponse> {
    let schema = RefOr::<Schema>::Ref(utoipa::openapi::Ref::from_schema_name(schema));
    let content = Content::new(Some(schema));
    let response = ResponseBuilder::new().description(about);
    RefOr::T(response.content("application/json", content).build())
}

/// What an id is like: not blank, and without control characters (the service's rule for ids).
const ID: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// What a text is like: not blank.
const TEXT: &str = r"[^\s\x1c-\x1f\x85]";
/// What a cursor of a history is like.
const CURSOR: &str = concat!(
    r"^(back:[0-9]{1,5}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|",
    r"[0-9]{1,9}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9]{19})?",
    r"(~[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?)$"
);

/// The rule that a field of this name keeps, if it is a text.
fn rule(name: &str) -> Option<&'static str> {
    match name {
        "id" | "user_id" | "session_id" | "agent_id" | "name" | "email" | "run_id" => Some(ID),
        "cursor" => Some(CURSOR),
        "content" | "summary" | "context" | "query" | "text" => Some(TEXT),
        _ => None,
    }
}

/// Adds to every field of a request and to every parameter what it may be.
fn add_rules(document: &mut Value) {
    let schemas = document.pointer_mut("/components/schemas");
    let schemas = schemas.and_then(Value::as_object_mut).into_iter().flatten();
    for (kind, schema) in schemas.filter(|(name, _)| is_request(name)) {
        let fields = schema
            .pointer_mut("/properties")
            .and_then(Value::as_object_mut);
        // A name and an address are taken as the old system has them.
        let is_ruled = |name: &str| kind != "MigratedUser" || name == "id";
        for (name, field) in fields.into_iter().flatten() {
            if is_ruled(name) {
                add_rule(name, field);
            }
            if name == "session_ids" {
                add_rule("session_id", &mut field["items"]);
            }
        }
    }
    let paths = document
        .pointer_mut("/paths")
        .and_then(Value::as_object_mut);
    let items = paths
        .into_iter()
        .flatten()
        .filter_map(|(_, item)| item.as_object_mut());
    for (_, operation) in items.flatten() {
        let parameters = operation
            .pointer_mut("/parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            add_rule(&name, &mut parameter["schema"]);
        }
    }
}

/// Whether a schema is of what callers send.
fn is_request(name: &str) -> bool {
    name.starts_with("New") || ["UserChange", "Question", "MigratedUser"].contains(&name)
}

fn add_rule(name: &str, field: &mut Value) {
    let is_text = match &field["type"] {
        Value::String(one) => one == "string",
        Value::Array(several) => several.iter().any(|one| one == "string"),
        _ => false,
    };
    if let (true, Some(fields), Some(rule)) = (is_text, field.as_object_mut(), rule(name))
        && !fields.contains_key("format")
    {
        fields.insert("pattern".to_owned(), rule.into());
        if rule == ID {
            fields.entry("minLength").or_insert(1.into());
            fields.entry("maxLength").or_insert(MAX_ID_CHARS.into());
        }
    }
}

/// The document, and the pages that show it.
pub(super) fn pages(document: &OpenApi) -> Router {
    // None of its parts has a key that is no text.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    add_rules(&mut document);
    // As text: the value would take megabytes for as long as the server runs.
    let document = Bytes::from(document.to_string());
    let shown = get(async move || ([(CONTENT_TYPE, "application/json")], document));
    let pages: Router = SwaggerUi::new(PAGES).config(Config::from(DOCUMENT)).into();
    let pages = pages.route(DOCUMENT, shown);
    pages.layer(axum::middleware::map_response(guarded))
}

/// The same page, which loads nothing from elsewhere.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
