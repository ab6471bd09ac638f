//! Lists and filters of facts and entities.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::emulator::error::{ApiError, ApiResult};
use crate::zep::{Filters, Listing};

/// Filters of Zep that the embedded store does not know (zep-cloud 3.30.0, `SearchFilters`). To
/// pass over one would answer more than was asked for, so they are refused.
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

/// Filters as they arrive.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct FilterBody(Map<String, Value>);

impl FilterBody {
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

/// Which page of which facts or entities (zep-cloud 3.30.0, `GraphEdgesRequest`).
#[derive(Deserialize)]
pub(super) struct ListBody {
    #[serde(flatten)]
    listing: Listing,
    filters: Option<FilterBody>,
    /// Deprecated in Zep, and still sent: the last item of the page before.
    uuid_cursor: Option<String>,
}

impl ListBody {
    pub(super) fn into_listing(self) -> ApiResult<Listing> {
        Ok(Listing {
            filters: self.filters.map(FilterBody::into_filters).transpose()?,
            cursor: self.listing.cursor.or(self.uuid_cursor),
            ..self.listing
        })
    }
}
