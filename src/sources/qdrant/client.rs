//! Qdrant's REST API, as far as reading a collection needs it.

use std::collections::{BTreeMap, HashSet};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::URL;
use crate::outgoing;
use crate::sources::client::{Error, Http, Limits, Request, Result, Scheme, segment};
use crate::sources::mem0::Entity;

/// What errors call it.
const QDRANT: &str = "Qdrant";

/// The id of a point. Qdrant lists points in this order: numbers before UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PointId {
    Number(u64),
    Uuid(Uuid),
}

impl PointId {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_u64().map(Self::Number),
            Value::String(text) => Uuid::try_parse(text).ok().map(Self::Uuid),
            _ => None,
        }
    }

    /// The id of a point as it came.
    pub(super) fn of_point(point: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Known {
            id: Value,
        }
        let Known { id } = serde_json::from_str(point.get()).ok()?;
        Self::of(&id)
    }

    fn to_json(self) -> Value {
        match self {
            Self::Number(number) => number.into(),
            Self::Uuid(uuid) => uuid.to_string().into(),
        }
    }
}

/// A page of a collection.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// Each point as it came: one that cannot be read must not cost the others.
    pub(super) points: Vec<Box<RawValue>>,
    #[serde(default)]
    next_page_offset: Value,
}

/// What follows a page.
pub(super) enum Next {
    Nothing,
    /// The page that begins with this point.
    From(PointId),
    /// Something that is no id.
    Unknown,
}

impl Page {
    pub(super) fn next(&self) -> Next {
        match &self.next_page_offset {
            Value::Null => Next::Nothing,
            offset => PointId::of(offset).map_or(Next::Unknown, Next::From),
        }
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

/// A collection of a Qdrant server.
pub(super) struct Client {
    http: Http,
    collection: String,
}

impl Client {
    /// Checks the address and the key, and sends nothing.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub(super) fn new(
        url: &str,
        key: Option<&SecretString>,
        collection: &str,
        limits: Limits,
    ) -> Result<Self> {
        let settings = |field| {
            move |problem| Error::Settings {
                service: QDRANT,
                field,
                problem,
            }
        };
        let url: Url = outgoing::check_address(url, URL).map_err(settings("address"))?;
        let key = key.map(|key| SecretString::from(key.expose_secret().trim()));
        if let Some(key) = &key {
            let key = key.expose_secret();
            outgoing::check_key(key, "Qdrant's configuration").map_err(settings("key"))?;
        }
        let key = key.as_ref().map(|key| (key, Scheme::Qdrant));
        Ok(Self {
            http: Http::new(QDRANT, &url, key, limits)?,
            collection: segment(QDRANT, collection)?,
        })
    }

    /// The names of all collections.
    pub(super) async fn collections(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Collections {
            collections: Vec<Collection>,
        }
        #[derive(Deserialize)]
        struct Collection {
            name: String,
        }
        let Collections { collections } = self.ask(&Request::get("/collections")).await?;
        Ok(collections.into_iter().map(|one| one.name).collect())
    }

    /// How many points pass a filter, exactly.
    pub(super) async fn count(&self, filter: Option<&Value>) -> Result<u64> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        let body = filtered(json!({"exact": true}), filter);
        let Count { count } = self.ask(&self.to("points/count", body)).await?;
        Ok(count)
    }

    /// The next points that pass a filter, in the order of their ids.
    pub(super) async fn scroll(
        &self,
        filter: Option<&Value>,
        from: Option<PointId>,
        limit: u64,
    ) -> Result<Page> {
        let mut body = json!({"limit": limit, "with_payload": true, "with_vector": false});
        if let Some(from) = from {
            body["offset"] = from.to_json();
        }
        let request = self.to("points/scroll", filtered(body, filter));
        self.ask(&request).await
    }

    /// The commonest values of a field of the payload, at most so many. Qdrant refuses where the field
    /// has no index.
    pub(super) async fn values(&self, field: &str, limit: u64) -> Result<Vec<Value>> {
        #[derive(Deserialize)]
        struct Facet {
            hits: Vec<Hit>,
        }
        #[derive(Deserialize)]
        struct Hit {
            value: Value,
        }
        let body = json!({"key": field, "limit": limit, "exact": true});
        let Facet { hits } = self.ask(&self.to("facet", body)).await?;
        Ok(hits.into_iter().map(|hit| hit.value).collect())
    }

    fn to(&self, what: &str, body: Value) -> Request {
        Request::post(format!("/collections/{}/{what}", self.collection), body)
    }

    async fn ask<T: DeserializeOwned + Send>(&self, request: &Request) -> Result<T> {
        let Answer { result } = self.http.ask(request).await?;
        Ok(result)
    }
}

fn filtered(mut body: Value, filter: Option<&Value>) -> Value {
    if let Some(filter) = filter {
        body["filter"] = filter.clone();
    }
    body
}

/// The filter that the memories of these entities pass; `None`: all.
pub(super) fn filter(entities: &HashSet<Entity>) -> Option<Value> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Entity { kind, name } in entities {
        names.entry(kind.field()).or_default().push(name);
    }
    let mut conditions = Vec::new();
    for (field, mut names) in names {
        names.sort_unstable();
        // Ids that an application wrote as numbers.
        let numbers = names.iter().filter_map(|name| name.parse::<i64>().ok());
        let numbers: Vec<_> = numbers.collect();
        conditions.push(json!({"key": field, "match": {"any": names}}));
        if !numbers.is_empty() {
            conditions.push(json!({"key": field, "match": {"any": numbers}}));
        }
    }
    (!conditions.is_empty()).then(|| json!({"should": conditions}))
}
