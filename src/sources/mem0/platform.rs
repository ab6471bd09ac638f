//! mem0 Platform as a source.

use std::collections::HashSet;
use std::io;

use futures::future::join_all;
use futures::{StreamExt, stream};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::client::platform::{Client, URL};
use super::entity::{Entity, EntityKind};
use super::handing::{Handed, Handing};
use super::listing::{Listing, list};
use crate::sources::client::{Error, Limits};
use crate::sources::{MEM0, ReadError, Severity, Sink, Source, Unheard};

/// How many entities are read at a time: enough to use the time that answers take, few enough for any
/// rate limit. Ours.
const AT_A_TIME: usize = 4;
/// How many histories are asked for at a time. Ours.
const HISTORIES_AT_A_TIME: usize = 8;
/// After so many entities in a row that mem0 failed to list, it is not asked for more. Ours.
const FAILED_IN_A_ROW: u32 = 10;
/// The most pages of the list of entities: 10 million of them at 100 a page.
const MAX_ENTITY_PAGES: u64 = 100_000;
/// So many entities may be made while they are listed. Ours.
const SLACK: u64 = 1_000;
/// The list of memories that are in the list of no entity, in positions.
const OF_NO_ENTITY: &str = "memories of no listed entity";

/// Which memories to read, and from where.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// The address.
    pub url: String,
    /// The key.
    pub key: SecretString,
    /// Only memories of these; empty: all.
    pub entities: Vec<Entity>,
    /// Also the turns that memories were made from: one more request for each memory.
    pub history: bool,
    /// Also the turns of memories that are expired or replaced.
    pub include_expired: bool,
    /// How long to try.
    pub limits: Limits,
}

impl PlatformSettings {
    /// All memories of mem0 Platform that this key may read.
    pub fn new(key: SecretString) -> Self {
        Self {
            url: URL.to_owned(),
            key,
            entities: Vec::new(),
            history: false,
            include_expired: false,
            limits: Limits::default(),
        }
    }
}

/// mem0 Platform, read entity by entity.
///
/// Each memory is handed on once, though it is in the lists of its user, agent, app and run. What
/// cannot be read is a problem that names the entity and the page, and reading continues with the next
/// entity.
pub struct Platform {
    client: Client,
    settings: PlatformSettings,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Platform {
    /// Sends nothing.
    ///
    /// # Errors
    /// If the address or the key cannot be used.
    pub fn new(settings: PlatformSettings) -> Result<Self, Error> {
        let client = Client::new(&settings.url, &settings.key, settings.limits)?;
        Ok(Self { client, settings })
    }

    /// The entities that have memories.
    ///
    /// # Errors
    /// If mem0 cannot be asked.
    pub async fn listed(&self) -> Result<Vec<Entity>, ReadError> {
        self.entities(&mut Handing::new(&mut Unheard)).await
    }

    async fn read_all(&self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        // Whatever else it answers, its lists decide.
        if let Err(error @ (Error::Unauthorized { .. } | Error::NoAnswer { .. })) =
            self.client.ping().await
        {
            return Err(error.into());
        }
        let mut handing = Handing::new(sink);
        if !self.settings.entities.is_empty() {
            let named: HashSet<Entity> = self.settings.entities.iter().cloned().collect();
            let mut entities: Vec<Entity> = named.into_iter().collect();
            entities.sort();
            handing.expect(entities.clone());
            return self.read_entities(&mut handing, entities).await;
        }

        let entities = self.entities(&mut handing).await?;
        handing.expect(entities.clone());
        handing.total = self.count(&EntityKind::ALL).await;
        for (number, kind) in (1..).zip(EntityKind::ALL) {
            let of_kind = entities.iter().filter(|entity| entity.kind == kind);
            self.read_entities(&mut handing, of_kind.cloned().collect())
                .await?;
            // Most memories have a user: agents, apps and runs, which may be many more, need not be
            // read where mem0 counts no memory that has one of them and no user.
            let (read, left) = EntityKind::ALL.split_at(number);
            let is_left = entities.iter().any(|entity| left.contains(&entity.kind));
            if is_left && !handing.troubled && self.has_all_of(&handing, read).await {
                break;
            }
        }
        self.read_the_rest(&mut handing).await
    }

    /// Whether the memories that were handed on are all, where these kinds of entities were read.
    async fn has_all_of(&self, handing: &Handing<'_>, kinds: &[EntityKind]) -> bool {
        let with_these = self.count(kinds).await;
        with_these == Some(handing.handed) && with_these == self.count(&EntityKind::ALL).await
    }

    /// How many memories there are with an entity of one of these kinds; `None` if mem0 does not say.
    async fn count(&self, kinds: &[EntityKind]) -> Option<u64> {
        let page = self.client.memories(&any_of(kinds), 1, 1).await;
        page.ok()?.count
    }

    /// Reads memories that are in the list of no entity, if mem0 counts more than were read. If an
    /// entity could not be read, that is known already.
    async fn read_the_rest(&self, handing: &mut Handing<'_>) -> Result<(), ReadError> {
        if handing.troubled {
            return Ok(());
        }
        let total = self.count(&EntityKind::ALL).await;
        if total.is_none_or(|total| total <= handing.handed) {
            return Ok(());
        }
        let everybody = any_of(&EntityKind::ALL);
        let listing = list(&self.client, &everybody).await?;
        self.hand_on(handing, None, listing).await?;
        Ok(())
    }

    /// The list of entities, and hands on what it says of users.
    async fn entities(&self, handing: &mut Handing<'_>) -> Result<Vec<Entity>, ReadError> {
        let mut seen = HashSet::new();
        let mut entities = Vec::new();
        let mut counted = None;
        let mut last = None;
        for number in 1.. {
            let page = self
                .client
                .entities(last.as_ref().map(|last| (last, number)));
            let page = page.await?;
            counted = page.count.or(counted);
            let before = seen.len();
            for (index, raw) in page.results.iter().enumerate() {
                let position = format!("entities, page {number}, results[{index}]");
                let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
                let Some(entity) = described(&value) else {
                    let reason = "is no user, agent, app or run with a `type` and a `name`";
                    handing.trouble(position, Severity::Other, reason)?;
                    seen.insert(Err((number, index)));
                    continue;
                };
                if seen.insert(Ok(entity.clone())) {
                    if entity.kind == EntityKind::User {
                        handing.entity(value, position)?;
                    }
                    entities.push(entity);
                }
            }
            if !page.has_next() {
                break;
            }
            let too_many = counted.is_some_and(|counted| seen.len() as u64 > counted + SLACK);
            if seen.len() == before || too_many || number == MAX_ENTITY_PAGES {
                let reason = match too_many {
                    true => "has more entities than mem0 counts, and says that more follow",
                    false => {
                        "has nothing that the pages before did not have, and says that more follow"
                    }
                };
                handing.trouble(format!("entities, page {number}"), Severity::Other, reason)?;
                break;
            }
            last = Some(page);
        }
        if let Some(counted) = counted
            && (seen.len() as u64) < counted
        {
            let reason = format!(
                "{} were listed of the {counted} that mem0 counts",
                seen.len()
            );
            handing.trouble("entities", Severity::Other, reason)?;
        }
        Ok(entities)
    }

    async fn read_entities(
        &self,
        handing: &mut Handing<'_>,
        entities: Vec<Entity>,
    ) -> Result<(), ReadError> {
        let mut listings = stream::iter(entities)
            .map(|entity| async move {
                let filters = json!({entity.kind.field(): entity.name});
                let listing = list(&self.client, &filters).await;
                (entity, listing)
            })
            .buffered(AT_A_TIME);
        let mut failed = 0;
        while let Some((entity, listing)) = listings.next().await {
            match self.hand_on(handing, Some(&entity), listing?).await? {
                Some(error) if error.is_of_the_service() => failed += 1,
                _ => failed = 0,
            }
            if failed >= FAILED_IN_A_ROW {
                return Err(ReadError::Io(io::Error::other(format!(
                    "mem0 failed to list {failed} entities in a row, the last of them {entity}; \
                     nothing was migrated, try again later"
                ))));
            }
        }
        Ok(())
    }

    /// Hands on a list; answers why it was not read to its end.
    async fn hand_on(
        &self,
        handing: &mut Handing<'_>,
        of: Option<&Entity>,
        listing: Listing,
    ) -> Result<Option<Error>, ReadError> {
        let list = of.map_or_else(|| OF_NO_ENTITY.to_owned(), Entity::to_string);
        let Listing {
            kept,
            trouble,
            error,
            page,
        } = listing;
        if let Some(error @ Error::Unauthorized { status: 401, .. }) = error {
            return Err(error.into());
        }
        let mut asked = Vec::new();
        for raw in kept.read() {
            let Some(memory) = handing.memory(&raw?, of, &list, self.settings.include_expired)?
            else {
                continue;
            };
            handing.progress();
            if self.settings.history {
                asked.push(memory);
                if asked.len() == HISTORIES_AT_A_TIME {
                    self.histories(handing, std::mem::take(&mut asked)).await?;
                }
            }
        }
        self.histories(handing, asked).await?;
        handing.progress();
        let at = format!("{list}, page {page}");
        if let Some(error) = &error {
            handing.trouble(&at, Severity::Other, format!("cannot be read: {error}"))?;
        }
        if let Some(trouble) = trouble {
            handing.trouble(at, trouble.severity, trouble.reason)?;
        }
        Ok(error)
    }

    /// Hands on the original turns of these memories.
    async fn histories(
        &self,
        handing: &mut Handing<'_>,
        memories: Vec<Handed>,
    ) -> Result<(), ReadError> {
        let asked = memories
            .iter()
            .map(|memory| self.client.history(&memory.id));
        let answers = join_all(asked).await;
        for (memory, answer) in memories.iter().zip(answers) {
            match answer {
                Ok(entries) => handing.history(memory, entries)?,
                Err(error @ Error::Unauthorized { status: 401, .. }) => {
                    return Err(error.into());
                }
                Err(error) => handing.no_history(memory, error)?,
            }
        }
        Ok(())
    }
}

impl Source for Platform {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        format!("mem0 {}", self.settings.url.trim_end_matches('/'))
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

/// The filter that memories with an entity of one of these kinds pass.
fn any_of(kinds: &[EntityKind]) -> Value {
    match kinds {
        [kind] => json!({kind.field(): "*"}),
        kinds => {
            let each: Vec<_> = kinds
                .iter()
                .map(|kind| json!({kind.field(): "*"}))
                .collect();
            json!({"OR": each})
        }
    }
}

/// The entity that an item of mem0's list describes.
pub(super) fn described(item: &Value) -> Option<Entity> {
    let text = |field: &str| match item.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some(Entity {
        kind: EntityKind::named(item.get("type")?.as_str()?)?,
        name: text("name").or_else(|| text("id"))?,
    })
}
