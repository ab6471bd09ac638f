//! Search filters.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::emulator::error::{ApiError, ApiResult};
use crate::local::Filters;

/// Filters of Zep that the embedded store does not have (zep-cloud 3.30.0, `SearchFilters`). They
/// are refused: ignoring one would return too much.
const UNSUPPORTED: [&str; 11] = [
    "connected_node_uuids",
    "edge_types",
    "exclude_edge_types",
    "exclude_node_labels",
    "expired_at",
    "invalid_at",
    "node_labels",
    "property_filters",
    "source_node_uuids",
    "target_node_uuids",
    "valid_at",
];

/// Filters of a request.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct FilterBody(Map<String, Value>);

impl FilterBody {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_filters(mut self) -> ApiResult<Filters> {
        self.0.retain(|_, filter| match filter {
            Value::Null => false,
            Value::Array(entries) => !entries.is_empty(),
            _ => true,
        });
        if let Some(name) = UNSUPPORTED.iter().find(|name| self.0.contains_key(**name)) {
            return Err(ApiError::bad_request(format_args!(
                "the embedded Zep does not filter by {name}"
            )));
        }
        serde_json::from_value(Value::Object(self.0))
            .map_err(|error| ApiError::bad_request(format_args!("invalid filters: {error}")))
    }
}
