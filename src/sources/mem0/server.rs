//! mem0's self-hosted server as a source.

use std::collections::HashMap;
use std::fmt;

use secrecy::SecretString;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::client::server::{Client, MOST_LISTED};
use super::entity::{Entity, EntityKind};
use super::handing::Handing;
use super::kept::Kept;
use crate::sources::client::{Error, Limits};
use crate::sources::{MEM0, ReadError, Severity, Sink, Source, Unheard};

/// The most memories that the server looks at to list its entities (mem0: `SCAN_LIMIT`).
const MOST_SCANNED: u64 = 10_000;
/// How often an entity is read again whose memories are not as many as the server counts: someone may
/// have written in between. Ours.
const PASSES: u32 = 3;
/// Releases of the server that ignore `top_k` answer at least so many memories, if there are as many.
const LEAST_DEFAULT: usize = 20;

/// What can read what the server does not list.
const ANOTHER_WAY: &str = "read them from its vector store instead: --from qdrant; or --file with a \
                           dump of its Postgres table `memories` (id and payload); or any store with \
                           the script of --print-exporter";

/// Which memories to read, and from where.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address.
    pub url: String,
    /// The key, or the token of a login; `None` for a server without authentication.
    pub key: Option<SecretString>,
    /// Only memories of these; empty: all.
    pub entities: Vec<Entity>,
    /// How long to try.
    pub limits: Limits,
}

/// mem0's self-hosted server, read entity by entity.
///
/// The server lists 1,000 memories of an entity at most, and never says that there are more: where
/// that may be, the entity is a problem.
pub struct Server {
    client: Client,
    url: String,
    entities: Vec<Entity>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("entities", &self.entities)
            .finish_non_exhaustive()
    }
}

/// How many memories the server counts of each entity, if it does.
type Totals = Option<HashMap<Entity, u64>>;

impl Server {
    /// Sends nothing.
    ///
    /// # Errors
    /// If the address or the key cannot be used.
    pub fn new(settings: ServerSettings) -> Result<Self, Error> {
        let client = Client::new(&settings.url, settings.key.as_ref(), settings.limits)?;
        Ok(Self {
            client,
            url: settings.url,
            entities: settings.entities,
        })
    }

    /// The entities that have memories; none if the server does not tell.
    ///
    /// # Errors
    /// If mem0 cannot be asked.
    pub async fn listed(&self) -> Result<Vec<Entity>, ReadError> {
        let totals = self.totals(&mut Handing::new(&mut Unheard)).await?;
        Ok(totals.into_iter().flat_map(HashMap::into_keys).collect())
    }

    async fn read_all(&self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut handing = Handing::new(sink);
        let all = self.entities.is_empty();
        let totals = self.totals(&mut handing).await?;
        let mut entities: Vec<Entity> = match &totals {
            Some(totals) if all => totals.keys().cloned().collect(),
            _ => self.entities.clone(),
        };
        entities.sort();
        entities.dedup();
        handing.expect(entities.clone());
        handing.total = totals.as_ref().filter(|_| all).map(most_of_a_kind);
        for entity in &entities {
            self.read_entity(&mut handing, entity, &totals).await?;
        }
        if all {
            self.read_the_rest(&mut handing).await?;
            let counted = totals.as_ref().map_or(0, most_of_a_kind);
            if counted.max(handing.handed) >= MOST_SCANNED {
                let reason = format!(
                    "the server looks at {MOST_SCANNED} memories to list them, and has at least as \
                     many: entities may be missing; {ANOTHER_WAY}"
                );
                handing.trouble("entities", Severity::Other, reason)?;
            }
        }
        Ok(())
    }

    /// What the server counts. It may keep that from a key without rights, and older releases do not
    /// know it: then the entities must be named.
    async fn totals(&self, handing: &mut Handing<'_>) -> Result<Totals, ReadError> {
        let named = !self.entities.is_empty();
        let list = match self.client.entities().await {
            Ok(list) => list,
            Err(Error::NotFound { .. } | Error::Unauthorized { status: 403, .. }) if named => {
                return Ok(None);
            }
            Err(error @ (Error::NotFound { .. } | Error::Unauthorized { status: 403, .. })) => {
                return Err(ReadError::Io(std::io::Error::other(format!(
                    "this mem0 does not say which users it has ({error}); name them with --user, or \
                     use an administrator's key"
                ))));
            }
            Err(error) => return Err(error.into()),
        };
        let mut totals = HashMap::new();
        for (index, raw) in list.iter().enumerate() {
            let item: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            match described(&item) {
                Some((entity, total)) => {
                    totals.insert(entity, total);
                }
                None if named => {}
                None => {
                    let reason = "is no user, agent or run with a `type`, an `id` and its \
                                  `total_memories`";
                    let position = format!("entities, [{index}]");
                    handing.trouble(position, Severity::Other, reason)?;
                }
            }
        }
        Ok(Some(totals))
    }

    async fn read_entity(
        &self,
        handing: &mut Handing<'_>,
        entity: &Entity,
        totals: &Totals,
    ) -> Result<(), ReadError> {
        let mut total = totals
            .as_ref()
            .map(|totals| totals.get(entity).copied().unwrap_or_default());
        let mut kept = Kept::new();
        let mut listed = 0;
        for pass in 1..=PASSES {
            let memories = match self.memories(entity).await {
                Ok(memories) => memories,
                Err(error @ Error::Unauthorized { status: 401, .. }) => {
                    return Err(error.into());
                }
                Err(error) => {
                    let reason = format!("cannot be read: {error}");
                    return handing.trouble(entity, Severity::Other, reason);
                }
            };
            listed = memories.len();
            kept = Kept::new();
            kept.add(1, &memories)?;
            let Some(counted) = total else { break };
            if listed >= MOST_LISTED || counted == kept.len() || pass == PASSES {
                break;
            }
            // Someone may have written since it was counted.
            if let Ok(Some(totals)) = self.totals(handing).await {
                total = Some(totals.get(entity).copied().unwrap_or_default());
            }
            if total == Some(kept.len()) {
                break;
            }
        }
        let found = kept.len();
        for raw in kept.read() {
            handing.memory(&raw?, Some(entity), entity, false)?;
        }
        handing.progress();
        if listed >= MOST_LISTED {
            let of = total.map_or_else(String::new, |total| format!(" of the {total} it counts"));
            let reason = format!(
                "the server listed {listed} memories{of}, and never lists more than {MOST_LISTED}: \
                 others may be missing; {ANOTHER_WAY}"
            );
            return handing.trouble(entity, Severity::Other, reason);
        }
        match total {
            Some(total) if found < total => {
                let reason =
                    format!("the server listed {found} memories and counts {total}; {ANOTHER_WAY}");
                handing.trouble(entity, Severity::Other, reason)
            }
            None if listed >= LEAST_DEFAULT && !self.obeys_top_k(entity).await => {
                let reason = format!(
                    "the server listed {listed} memories and ignores how many it is asked for, as \
                     older releases do: others may be missing; {ANOTHER_WAY}"
                );
                handing.trouble(entity, Severity::Other, reason)
            }
            _ => Ok(()),
        }
    }

    async fn memories(&self, entity: &Entity) -> Result<Vec<Box<RawValue>>, Error> {
        let of = Some((entity.kind.field(), entity.name.as_str()));
        self.client.memories(of, MOST_LISTED).await
    }

    async fn obeys_top_k(&self, entity: &Entity) -> bool {
        let of = Some((entity.kind.field(), entity.name.as_str()));
        let one = self.client.memories(of, 1).await;
        one.is_ok_and(|one| one.len() <= 1)
    }

    /// Reads memories that are in the list of no entity, where the key may list everybody's and all
    /// of them are listed. There are none unless someone put them into the vector store.
    async fn read_the_rest(&self, handing: &mut Handing<'_>) -> Result<(), ReadError> {
        match self.client.memories(None, MOST_LISTED).await {
            Ok(memories) if memories.len() < MOST_LISTED => {
                let mut kept = Kept::new();
                kept.add(1, &memories)?;
                for raw in kept.read() {
                    handing.memory(&raw?, None, "memories of no listed entity", false)?;
                }
                Ok(())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Source for Server {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        format!("mem0-server {}", self.url.trim_end_matches('/'))
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

/// A lower bound of the number of memories: each has a user, an agent or a run.
fn most_of_a_kind(totals: &HashMap<Entity, u64>) -> u64 {
    let of = |kind| {
        let of_kind = totals.iter().filter(|(entity, _)| entity.kind == kind);
        of_kind.map(|(_, total)| total).sum()
    };
    EntityKind::ALL
        .into_iter()
        .map(of)
        .max()
        .unwrap_or_default()
}

/// The entity that an item of the server's list describes, and its number of memories.
fn described(item: &Value) -> Option<(Entity, u64)> {
    let entity = Entity {
        kind: EntityKind::named(item.get("type")?.as_str()?)?,
        name: item.get("id")?.as_str()?.to_owned(),
    };
    Some((entity, item.get("total_memories")?.as_u64()?))
}
