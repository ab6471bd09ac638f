//! Qdrant, as mem0's library uses it, as a source.
//!
//! - `client`: Qdrant's REST API, typed.
//! - [`Qdrant`]: a collection, read page by page in the order of its ids. So no id is kept in memory,
//!   and a page that repeats another is found out.
//!
//! mem0 keeps a memory as the payload of a point, which is read as its library shows it.

mod client;

use std::collections::HashSet;
use std::fmt;

use secrecy::SecretString;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use client::{Client, Next, Page, PointId, filter};

use super::client::{Error, Limits};
use super::mem0::handing::Handing;
use super::mem0::{Entity, EntityKind};
use super::{Defect, MEM0, Position, ReadError, Severity, Sink, Source, payload};

/// Where Qdrant listens unless told otherwise.
pub const URL: &str = "http://localhost:6333";
/// mem0's own name of the collection.
pub const COLLECTION: &str = "mem0";
/// OpenMemory's name of it.
const OPENMEMORY: &str = "openmemory";
/// The end of the name of mem0's second collection, which holds entities.
const OF_ENTITIES: &str = "_entities";
/// A collection in which mem0 counts its installations.
const OF_INSTALLATIONS: &str = "mem0migrations";

/// How many points are asked for at a time.
const PAGE_SIZE: u64 = 1_000;
/// The most users that are listed. Ours.
const MOST_USERS: u64 = 10_000;
/// The most collections that an error names. Ours.
const MOST_NAMED: usize = 20;

/// Which memories to read, and from where.
#[derive(Debug, Clone)]
pub struct QdrantSettings {
    /// The address.
    pub url: String,
    /// The key; `None` for a server without authentication.
    pub key: Option<SecretString>,
    /// The collection.
    pub collection: String,
    /// Only memories of these; empty: all.
    pub entities: Vec<Entity>,
    /// How long to try.
    pub limits: Limits,
}

impl Default for QdrantSettings {
    /// All memories of a server on this machine.
    fn default() -> Self {
        Self {
            url: URL.to_owned(),
            key: None,
            collection: COLLECTION.to_owned(),
            entities: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A collection of Qdrant in which mem0 keeps memories.
///
/// What cannot be read, or is not as many points as Qdrant counts, is a problem that names the page.
pub struct Qdrant {
    client: Client,
    settings: QdrantSettings,
    entities: HashSet<Entity>,
}

impl fmt::Debug for Qdrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qdrant")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The points that are asked for, and how many there were at first.
struct Asked {
    filter: Option<Value>,
    counted: u64,
}

/// What is read of a collection.
#[derive(Default)]
struct Progress {
    /// How many points.
    read: u64,
    /// The last of them.
    last: Option<PointId>,
}

impl Qdrant {
    /// Sends nothing.
    ///
    /// # Errors
    /// If the address, the key or the name of the collection cannot be used.
    pub fn new(settings: QdrantSettings) -> Result<Self, Error> {
        let QdrantSettings {
            url,
            key,
            collection,
            limits,
            entities,
        } = &settings;
        Ok(Self {
            client: Client::new(url, key.as_ref(), collection, *limits)?,
            entities: entities.iter().cloned().collect(),
            settings,
        })
    }

    /// The users whose memories it holds, as far as Qdrant lists them: it does not where `user_id` has
    /// no index, and before release 1.12.
    ///
    /// # Errors
    /// If Qdrant cannot be asked, or has no such collection.
    pub async fn listed(&self) -> Result<Vec<Entity>, ReadError> {
        self.asked().await?;
        let field = EntityKind::User.field();
        match self.client.values(field, MOST_USERS).await {
            Ok(values) => {
                let payloads = values.into_iter().map(|value| [(field.to_owned(), value)]);
                let users = payloads
                    .filter_map(|payload| EntityKind::User.of(&payload.into_iter().collect()));
                Ok(users.collect())
            }
            Err(Error::Refused { .. } | Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The filter that Qdrant takes, and the number of points that pass it. A server may refuse
    /// filters of fields that have no index: then everything is read, and chosen from here.
    async fn asked(&self) -> Result<Asked, ReadError> {
        let mut filter = filter(&self.entities);
        let mut counted = self.client.count(filter.as_ref()).await;
        if let (Some(_), Err(Error::Refused { .. } | Error::Unauthorized { status: 403, .. })) =
            (&filter, &counted)
        {
            filter = None;
            counted = self.client.count(None).await;
        }
        match counted {
            Ok(counted) => Ok(Asked { filter, counted }),
            Err(Error::NotFound { .. }) => Err(self.missing().await),
            Err(error) => Err(error.into()),
        }
    }

    /// There is no such collection: names those that there are.
    async fn missing(&self) -> ReadError {
        let name = &self.settings.collection;
        let mut collections = match self.client.collections().await {
            Ok(collections) => collections,
            Err(error) => return error.into(),
        };
        collections.retain(|name| !name.ends_with(OF_ENTITIES) && name != OF_INSTALLATIONS);
        collections.sort();
        let more = collections.len().saturating_sub(MOST_NAMED);
        let shown = collections.iter().take(MOST_NAMED);
        let mut shown: Vec<_> = shown
            .map(|name| match name.as_str() {
                OPENMEMORY => "`openmemory`, which is OpenMemory's".to_owned(),
                "memories" => "`memories`, which is that of mem0's self-hosted server".to_owned(),
                name => format!("`{name}`"),
            })
            .collect();
        if more > 0 {
            shown.push(format!("{more} more"));
        }
        let others = match shown.is_empty() {
            true => "nor any other that could hold memories".to_owned(),
            false => format!("but {}; name one with --collection", shown.join(", ")),
        };
        ReadError::Io(std::io::Error::other(format!(
            "Qdrant has no collection `{name}`, {others}"
        )))
    }

    async fn read_all(&self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut handing = Handing::new(sink);
        let asked = self.asked().await?;
        handing.total = Some(asked.counted);
        if self.settings.collection == OPENMEMORY {
            let reason = "is OpenMemory's, which does not say in Qdrant what was archived, paused or \
                          deleted: its database and its backup do, see --from openmemory";
            handing.trouble(self.at(None), Severity::Warning, reason)?;
        }
        let Some(read) = self.read_pages(&mut handing, &asked).await? else {
            return Ok(());
        };
        let counted = match self.client.count(asked.filter.as_ref()).await {
            Ok(counted) => counted,
            Err(error) => {
                let reason = format!("cannot be counted, so that points may be missing: {error}");
                return handing.trouble(self.at(None), Severity::Other, reason);
            }
        };
        let (severity, reason) = if read < counted.min(asked.counted) {
            let counted = counted.min(asked.counted);
            let reason = format!("{read} points were listed of the {counted} that Qdrant counts");
            (Severity::Other, reason)
        } else if read < counted {
            let reason = "points were added while it was read: run this again to migrate them, too";
            (Severity::Warning, reason.to_owned())
        } else if read > counted {
            let reason = "points were deleted while it was read, and may have been migrated: run \
                          this again to have them named";
            (Severity::Warning, reason.to_owned())
        } else {
            return Ok(());
        };
        handing.trouble(self.at(None), severity, reason)
    }

    /// Reads to the end; answers how many points that were, or `None` if a problem ended it.
    async fn read_pages(
        &self,
        handing: &mut Handing<'_>,
        asked: &Asked,
    ) -> Result<Option<u64>, ReadError> {
        let mut progress = Progress::default();
        let mut size = PAGE_SIZE;
        let mut from = None;
        let mut most = asked.counted;
        for number in 1.. {
            let page = match self.page(asked, from, &mut size).await {
                Ok(page) => page,
                Err(error @ Error::Unauthorized { status: 401, .. }) => return Err(error.into()),
                Err(error) => {
                    let reason = format!("cannot be read: {error}");
                    handing.trouble(self.at(Some(number)), Severity::Other, reason)?;
                    return Ok(None);
                }
            };
            let mut trouble = progress.contradiction(&page);
            if trouble.is_none() {
                for (index, point) in page.points.iter().enumerate() {
                    let position = format!("{}, points[{index}]", self.at(Some(number)));
                    self.hand_on(handing, Position(position), point, asked.filter.is_some())?;
                }
                handing.progress();
            }
            if progress.read > most + PAGE_SIZE {
                // Someone may write all the time.
                most = self
                    .client
                    .count(asked.filter.as_ref())
                    .await
                    .unwrap_or(most);
                if progress.read > most + PAGE_SIZE {
                    trouble = Some("has more points than Qdrant counts, and says that more follow");
                }
            }
            if let Some(trouble) = trouble {
                handing.trouble(self.at(Some(number)), Severity::Other, trouble)?;
                return Ok(None);
            }
            match page.next() {
                Next::From(next) => from = Some(next),
                _ => break,
            }
        }
        Ok(Some(progress.read))
    }

    /// A page of `size` points at most, or of fewer where so many are more than is read, or than the
    /// server allows.
    async fn page(
        &self,
        asked: &Asked,
        from: Option<PointId>,
        size: &mut u64,
    ) -> Result<Page, Error> {
        loop {
            match self.client.scroll(asked.filter.as_ref(), from, *size).await {
                Err(
                    Error::BadAnswer {
                        is_too_large: true, ..
                    }
                    | Error::Refused { status: 400, .. },
                ) if *size > 1 => *size /= 10,
                page => return page,
            }
        }
    }

    fn hand_on(
        &self,
        handing: &mut Handing<'_>,
        position: Position,
        point: &RawValue,
        is_filtered: bool,
    ) -> Result<(), ReadError> {
        let Some(mut point) = handing.object(&position, point.get())? else {
            return Ok(());
        };
        let payload = point.get("payload").and_then(Value::as_object);
        match (self.is_selected(payload), is_filtered) {
            (true, _) => {
                let id = point.get("id").cloned().unwrap_or_default();
                if let Some(Value::Object(payload)) = point.remove("payload") {
                    point = payload::memory(id, payload);
                }
                handing.whole(Value::Object(point), position)
            }
            (false, true) => {
                let id = point.get("id").and_then(Value::as_str).map(str::to_owned);
                let reason = "is another one than Qdrant was asked for";
                handing.lost(position, id, Defect::whole(reason))
            }
            (false, false) => Ok(()),
        }
    }

    fn is_selected(&self, payload: Option<&Map<String, Value>>) -> bool {
        let named = |payload| {
            let mut named = EntityKind::ALL.iter().filter_map(|kind| kind.of(payload));
            named.any(|entity| self.entities.contains(&entity))
        };
        self.entities.is_empty() || payload.is_some_and(named)
    }

    /// Where a page is, or the collection.
    fn at(&self, page: Option<u64>) -> String {
        let page = page.map_or_else(String::new, |number| format!(", page {number}"));
        format!("collection {}{page}", self.settings.collection)
    }
}

impl Progress {
    /// Takes a page that goes on where the last one ended; answers what is wrong with another one.
    fn contradiction(&mut self, page: &Page) -> Option<&'static str> {
        let mut last = self.last;
        for point in &page.points {
            // A point without an id is reported when it is handed on.
            let Some(id) = PointId::of_point(point) else {
                continue;
            };
            if Some(id) <= last {
                return Some(
                    "has a point that the pages before had, or that belongs before them: Qdrant \
                     lists points in the order of their ids",
                );
            }
            last = Some(id);
        }
        self.last = last;
        self.read += page.points.len() as u64;
        match page.next() {
            Next::From(next) if Some(next) <= last => {
                Some("says that points follow which are there already")
            }
            Next::From(_) if page.points.is_empty() => {
                Some("has no points, and says that more follow")
            }
            Next::Unknown => Some("says that more follow, and not where"),
            Next::From(_) | Next::Nothing => None,
        }
    }
}

impl Source for Qdrant {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        let QdrantSettings {
            url, collection, ..
        } = &self.settings;
        format!("qdrant {} {collection}", url.trim_end_matches('/'))
    }

    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        let reading = cancelled.run_until_cancelled(self.read_all(sink));
        Handle::current()
            .block_on(reading)
            .unwrap_or(Err(ReadError::Stopped))
    }
}
