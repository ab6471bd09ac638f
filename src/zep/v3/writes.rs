//! Adds messages and episodes: a lost answer neither loses nor doubles any.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::ZepCloud;
use super::answers::Told;
use super::calls::owner_field;
use super::settle::{self, InDoubt};
use crate::zep::error::{Outcome, Result};
use crate::zep::ids::{Owner, ThreadId, Uuid};
use crate::zep::port::{Graphs, SentAgain, SentTo, Threads};
use crate::zep::transport::Request;
use crate::zep::types::{
    AddedMessages, Episode, Message, NewEpisode, NewMessage, PartNo, RecordMark, Window,
};

/// How many of the newest messages are looked at first. Ours: more than three full writes, so that a
/// recent one is among them even if others write to the thread, too.
const NEWEST_MESSAGES: u32 = 100;
/// How many of the newest episodes are looked at beside the metadata filter. Ours.
const NEWEST_EPISODES: u32 = 100;

impl ZepCloud {
    pub(super) async fn write_messages(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
    ) -> Result<AddedMessages> {
        let write = Messages {
            zep: self,
            thread,
            messages,
        };
        let all: Vec<usize> = (0..messages.len()).collect();
        let marks = settle::distinct(messages.iter().map(|message| message.mark.as_ref()));
        match write.post(&all).await {
            Ok(added) if added.message_uuids.len() == messages.len() => Ok(added),
            Ok(added) => Ok(write.with_uuids(added, marks).await),
            Err(doubt) if doubt.outcome() == Outcome::Unknown => {
                let Some(marks) = marks else {
                    return Err(doubt);
                };
                let time = self.transport.timeout();
                let settled = settle::settle(&write, &marks, doubt, time).await;
                if settled.is_err() {
                    // The caller may send it again.
                    write.tell(&all).await;
                }
                Ok(AddedMessages {
                    message_uuids: settled?,
                    ..AddedMessages::default()
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn tell_resent(&self, to: SentTo, record: &str) {
        if let Some(resends) = &self.resends {
            let (record, deleted) = (record.to_owned(), false);
            let sent = SentAgain {
                to,
                record,
                deleted,
            };
            resends.note(sent).await;
        }
    }

    pub(super) async fn look_for_messages(
        &self,
        thread: &ThreadId,
        records: &HashSet<String>,
    ) -> Result<Vec<Message>> {
        let newest = Window::Last {
            limit: NEWEST_MESSAGES,
        };
        let page = self.messages(thread, &newest).await?;
        let is_whole = page
            .total_count
            .is_some_and(|total| total <= page.messages.len() as u64);
        let found = of_records(page.messages, records);
        if is_whole || all_whole(&found, records) {
            return Ok(found);
        }
        let page = self.all_messages(thread).await?;
        Ok(of_records(page.messages, records))
    }

    pub(super) async fn write_episode(
        &self,
        owner: &Owner,
        episode: &NewEpisode,
    ) -> Result<Episode> {
        let write = OneEpisode {
            zep: self,
            owner,
            episode,
        };
        let doubt = match write.post().await {
            Err(doubt) if doubt.outcome() == Outcome::Unknown => doubt,
            done => return done,
        };
        let Some(marks) = settle::distinct([episode.mark.as_ref()]) else {
            return Err(doubt);
        };
        let time = self.transport.timeout();
        let settled = settle::settle(&write, &marks, doubt.clone(), time).await;
        if settled.is_err() {
            // The caller may send it again.
            write.tell().await;
        }
        let uuid = settled?.into_iter().next().ok_or(doubt)?;
        // It is stored, even if it cannot be read back now.
        Ok(self.episode(&uuid).await.unwrap_or_else(|_| Episode {
            uuid,
            content: episode.data.clone(),
            created_at: episode.created_at,
            metadata: Some(RecordMark::encode(episode.mark.as_ref(), &episode.metadata)),
            processed: None,
            role: None,
            role_type: None,
            source: Some(episode.data_type),
            source_description: episode.source_description.clone(),
            thread_id: None,
            score: None,
        }))
    }
}

struct Messages<'a> {
    zep: &'a ZepCloud,
    thread: &'a ThreadId,
    messages: &'a [NewMessage],
}

impl Messages<'_> {
    async fn post(&self, items: &[usize]) -> Result<AddedMessages> {
        let messages: Vec<NewMessage> = items
            .iter()
            .map(|&index| self.messages[index].with_mark_in_metadata())
            .collect();
        let request = Request::post(&["threads", self.thread.as_str(), "messages"])
            .json(&json!({ "messages": messages }))?;
        Ok(self.zep.ask::<Told<AddedMessages>>(request).await?.0)
    }

    /// Tells that these may arrive twice.
    async fn tell(&self, items: &[usize]) {
        let marks = items.iter().map(|&item| self.messages[item].mark.as_ref());
        let records: BTreeSet<&str> = marks.flatten().map(|mark| mark.record.as_str()).collect();
        for record in records {
            let to = SentTo::Thread(self.thread.clone());
            self.zep.tell_resent(to, record).await;
        }
    }

    /// Zep took them, but did not answer an id for each: they are looked up, and if that fails, no ids
    /// are answered rather than wrong ones.
    async fn with_uuids(
        &self,
        mut added: AddedMessages,
        marks: Option<Vec<RecordMark>>,
    ) -> AddedMessages {
        added.message_uuids = match marks {
            Some(marks) => self
                .look()
                .await
                .ok()
                .and_then(|found| settle::in_order(&marks, &found))
                .unwrap_or_default(),
            None => Vec::new(),
        };
        added
    }
}

#[async_trait]
impl InDoubt for Messages<'_> {
    async fn look(&self) -> Result<HashMap<RecordMark, Uuid>> {
        let records = self
            .messages
            .iter()
            .filter_map(|message| Some(message.mark.as_ref()?.record.clone()))
            .collect();
        let found = self.zep.look_for_messages(self.thread, &records).await?;
        let mut stored = HashMap::new();
        for message in found {
            if let (Some(mark), Some(uuid)) = (message.mark(), message.uuid) {
                stored.entry(mark).or_insert(uuid);
            }
        }
        Ok(stored)
    }

    async fn send(&self, items: &[usize]) -> Result<Vec<Uuid>> {
        self.zep.transport.resends();
        self.tell(items).await;
        Ok(self.post(items).await?.message_uuids)
    }
}

struct OneEpisode<'a> {
    zep: &'a ZepCloud,
    owner: &'a Owner,
    episode: &'a NewEpisode,
}

impl OneEpisode<'_> {
    async fn post(&self) -> Result<Episode> {
        let (owner, id) = owner_field(self.owner);
        let mut body = episode_fields(self.episode);
        body.insert("type".into(), json!(self.episode.data_type));
        body.insert(owner.into(), id.into());
        self.zep.ask(Request::post(&["graph"]).json(&body)?).await
    }

    /// Tells that it may arrive twice.
    async fn tell(&self) {
        if let Some(mark) = &self.episode.mark {
            let to = SentTo::Graph(self.owner.clone());
            self.zep.tell_resent(to, &mark.record).await;
        }
    }
}

#[async_trait]
impl InDoubt for OneEpisode<'_> {
    async fn look(&self) -> Result<HashMap<RecordMark, Uuid>> {
        let Some(mark) = self.episode.mark.clone() else {
            return Ok(HashMap::new());
        };
        let is_it = |episode: &Episode| episode.mark().as_ref() == Some(&mark);
        let mut found = self.zep.find_episodes(self.owner, &mark.record).await?;
        if !found.iter().any(is_it) {
            // The metadata filter is experimental in Zep: what it misses must not be stored twice.
            found = self
                .zep
                .newest_episodes(self.owner, NEWEST_EPISODES)
                .await?;
        }
        let uuid = found.into_iter().find(is_it).map(|episode| episode.uuid);
        Ok(uuid.map(|uuid| (mark, uuid)).into_iter().collect())
    }

    async fn send(&self, _items: &[usize]) -> Result<Vec<Uuid>> {
        self.tell().await;
        Ok(vec![self.post().await?.uuid])
    }
}

/// The fields of an episode that adding it to a graph and to a batch share.
pub(super) fn episode_fields(episode: &NewEpisode) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("data".into(), episode.data.as_str().into());
    if let Some(time) = episode.created_at {
        fields.insert("created_at".into(), time.to_string().into());
    }
    let metadata = RecordMark::encode(episode.mark.as_ref(), &episode.metadata);
    if !metadata.is_empty() {
        fields.insert("metadata".into(), Value::Object(metadata));
    }
    if let Some(description) = &episode.source_description {
        fields.insert("source_description".into(), description.as_str().into());
    }
    fields
}

fn of_records(mut messages: Vec<Message>, records: &HashSet<String>) -> Vec<Message> {
    messages.retain(|message| {
        message
            .mark()
            .is_some_and(|mark| records.contains(&mark.record))
    });
    messages
}

/// Whether each record is there with all its parts, so that none can be further up.
fn all_whole(found: &[Message], records: &HashSet<String>) -> bool {
    let mut parts: HashMap<String, HashSet<PartNo>> = HashMap::new();
    for mark in found.iter().filter_map(Message::mark) {
        parts.entry(mark.record).or_default().insert(mark.part);
    }
    records.iter().all(|record| {
        parts
            .get(record)
            .and_then(|found| {
                Some(found.len() >= found.iter().map(|part| part.total).max()? as usize)
            })
            .unwrap_or(false)
    })
}
