//! The routes of Qdrant that mem0's library and a migration need.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, KEY, Refused};

/// A point without its vector.
pub struct Point {
    id: Value,
    pub payload: Map<String, Value>,
}

/// A Qdrant server.
#[derive(Default)]
pub struct Qdrant {
    /// Points by the text that they are sorted by.
    pub collections: BTreeMap<String, BTreeMap<String, Point>>,
    /// How many points a page may have, where it is limited ("strict mode").
    pub most_a_page: Option<u64>,
    /// Filters of fields that have no index are refused ("strict mode"), and here none has one.
    pub has_no_index: bool,
}

/// Numbers come before UUIDs.
fn place(id: &Value) -> String {
    match id {
        Value::Number(number) => format!("0{:020}", number.as_u64().expect("a positive id")),
        id => format!("1{}", id.as_str().expect("an id").to_lowercase()),
    }
}

impl Qdrant {
    pub fn add(&mut self, collection: &str, id: Value, payload: Value) {
        let Value::Object(payload) = payload else {
            panic!("a payload is an object")
        };
        let points = self.collections.entry(collection.to_owned()).or_default();
        points.insert(place(&id), Point { id, payload });
    }

    pub(super) fn delete(&mut self, id: &str) {
        for points in self.collections.values_mut() {
            points.retain(|_, point| point.id != id);
        }
    }

    fn refused(status: u16, error: &str) -> Refused {
        (status, json!({"status": {"error": error}, "time": 0.001}))
    }

    fn points(&mut self, name: &str) -> Result<&mut BTreeMap<String, Point>, Refused> {
        let error = format!("Not found: Collection `{name}` doesn't exist!");
        let found = self.collections.get_mut(name);
        found.ok_or_else(|| Self::refused(404, &error))
    }

    pub(super) fn answer(&mut self, call: &Call) -> Result<Value, Refused> {
        if call.path == "/" {
            return Ok(json!({"title": "qdrant - vector search engine", "version": "1.20.0"}));
        }
        if call.header("api-key") != KEY {
            let error = "Must provide an API key or an Authorization bearer token";
            return Err((401, json!(error)));
        }
        let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        let body = &call.body;
        let result = match (call.method.as_str(), path.as_slice()) {
            ("GET", ["collections"]) => {
                let names = self.collections.keys();
                let names: Vec<_> = names.map(|name| json!({"name": name})).collect();
                json!({"collections": names})
            }
            ("PUT", ["collections", name]) => {
                self.collections.entry((*name).to_owned()).or_default();
                json!(true)
            }
            ("GET", ["collections", name]) => {
                let count = self.points(name)?.len();
                json!({"status": "green", "optimizer_status": "ok", "points_count": count,
                    "segments_count": 1, "payload_schema": {}, "config": {
                        "params": {"vectors": {"size": 4, "distance": "Cosine"}},
                        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
                        "optimizer_config": {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000,
                            "default_segment_number": 0, "flush_interval_sec": 5}}})
            }
            ("PUT", ["collections", name, "index"]) => {
                self.points(name)?;
                json!({"operation_id": 1, "status": "completed"})
            }
            ("PUT", ["collections", name, "points"]) => {
                self.points(name)?;
                for point in body["points"].as_array().into_iter().flatten() {
                    self.add(name, point["id"].clone(), point["payload"].clone());
                }
                json!({"operation_id": 1, "status": "completed"})
            }
            ("POST", ["collections", name, "points"]) => {
                let points = self.points(name)?;
                let ids = body["ids"].as_array().into_iter().flatten();
                ids.filter_map(|id| points.get(&place(id)))
                    .map(listed)
                    .collect()
            }
            ("POST", ["collections", name, "points", "delete"]) => {
                self.points(name)?;
                for id in body["points"].as_array().into_iter().flatten() {
                    self.delete(id.as_str().unwrap_or_default());
                }
                json!({"operation_id": 1, "status": "completed"})
            }
            ("POST", ["collections", name, "points", "count"]) => {
                let found = self.found(name, &body["filter"])?;
                json!({"count": found.len()})
            }
            ("POST", ["collections", name, "points", "scroll"]) => self.page(name, body)?,
            ("POST", ["collections", name, "facet"]) => self.facet(name, body)?,
            _ => return Err((404, Value::Null)),
        };
        Ok(json!({"result": result, "status": "ok", "time": 0.001}))
    }

    fn found(&mut self, name: &str, filter: &Value) -> Result<Vec<&Point>, Refused> {
        if self.has_no_index && !filter.is_null() {
            let error = "Bad request: Index required but not found for \"user_id\" of one of the \
                         following types: [keyword]. Help: Create an index for this key or use a \
                         different filter.";
            return Err(Self::refused(400, error));
        }
        let points = self.points(name)?.values();
        Ok(points
            .filter(|point| passes(&point.payload, filter))
            .collect())
    }

    fn page(&mut self, name: &str, body: &Value) -> Result<Value, Refused> {
        let limit = body["limit"].as_u64().unwrap_or(10);
        if let Some(most) = self.most_a_page
            && limit > most
        {
            let error = format!("Bad request: Limit exceeded {limit} > {most} for \"limit\"");
            return Err(Self::refused(400, &error));
        }
        let from = (!body["offset"].is_null()).then(|| place(&body["offset"]));
        let found = self.found(name, &body["filter"])?.into_iter();
        let mut rest =
            found.filter(|point| from.as_ref().is_none_or(|from| place(&point.id) >= *from));
        let limit = usize::try_from(limit).expect("a small number");
        let points: Vec<_> = rest.by_ref().take(limit).map(listed).collect();
        let next = rest.next().map(|point| point.id.clone());
        Ok(json!({"points": points, "next_page_offset": next}))
    }

    fn facet(&mut self, name: &str, body: &Value) -> Result<Value, Refused> {
        let key = body["key"].as_str().unwrap_or_default();
        if self.has_no_index {
            return Err(Self::refused(400, "Bad request: Index required"));
        }
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for point in self.points(name)?.values() {
            if let Some(value) = point.payload.get(key).and_then(Value::as_str) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let hits = counts.iter();
        let hits: Vec<_> = hits
            .map(|(value, count)| json!({"value": value, "count": count}))
            .collect();
        Ok(json!({"hits": hits}))
    }
}

fn listed(point: &Point) -> Value {
    json!({"id": point.id, "payload": point.payload})
}

/// Whether a payload passes a filter: what is in `must`, and something of what is in `should`.
fn passes(payload: &Map<String, Value>, filter: &Value) -> bool {
    let conditions = |name: &str| filter[name].as_array().filter(|each| !each.is_empty());
    let is_met = |condition: &Value| {
        let Some(key) = condition["key"].as_str() else {
            return passes(payload, condition);
        };
        let value = payload.get(key).unwrap_or(&Value::Null);
        let any = condition["match"]["any"].as_array();
        condition["match"].get("value") == Some(value) || any.is_some_and(|any| any.contains(value))
    };
    conditions("must").is_none_or(|each| each.iter().all(is_met))
        && conditions("should").is_none_or(|each| each.iter().any(is_met))
}
