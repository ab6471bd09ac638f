//! The OpenAPI document, completed with what holds for every call, and the pages that show it.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, Info, OpenApi, RefOr, Response as DocumentedResponse, ResponseBuilder,
    Schema,
};
use utoipa_swagger_ui::SwaggerUi;

use super::error::{ErrorBody, FieldProblem, ValidationBody};

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

/// The document, and the pages that show it.
pub(super) fn pages(document: OpenApi) -> Router {
    let pages: Router = SwaggerUi::new(PAGES).url(DOCUMENT, document).into();
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
