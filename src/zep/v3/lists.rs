//! Lists: generation 3's page numbers, cursors and filters.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ZepCloud;
use super::calls::owned_by;
use crate::zep::error::{Error, Result};
use crate::zep::ids::{Owner, Uuid};
use crate::zep::limits;
use crate::zep::port::{Pages, TimeOrder};
use crate::zep::transport::{Answer, Request};
use crate::zep::types::Episode;

/// Users, threads or graphs of a page. Ours.
pub(super) const NUMBERED_PAGE: u32 = 100;

/// Zep's word for episodes in the path of an owner's list.
pub(super) const EPISODES: &str = "episodes";
/// Zep's word for facts in the path of an owner's list.
pub(super) const FACTS: &str = "edge";

/// The body that asks for a list in this order.
pub(super) fn in_time_order(order: TimeOrder, page_size: u32) -> Value {
    let direction = match order {
        TimeOrder::OldestFirst => "asc",
        TimeOrder::NewestFirst => "desc",
    };
    let limit = page_size.min(limits::PAGE_ITEMS);
    json!({ "limit": limit, "order_by": "created_at", "direction": direction })
}

impl ZepCloud {
    /// An owner's episodes or facts as this body asks for them.
    pub(super) fn pages<'a, T>(
        &'a self,
        kind: &'static str,
        owner: &'a Owner,
        listing: Value,
    ) -> Pages<'a, T>
    where
        T: DeserializeOwned + Send + 'a,
    {
        Pages::by_cursor(move |cursor: Option<String>| {
            let mut body = listing.clone();
            if let Some(cursor) = &cursor {
                body["cursor"] = cursor.as_str().into();
            }
            self.page(kind, owner, body, cursor)
        })
    }

    async fn page<T: DeserializeOwned + Send>(
        &self,
        kind: &str,
        owner: &Owner,
        body: Value,
        cursor: Option<String>,
    ) -> Result<(Vec<T>, Option<String>)> {
        let request = Request::post(&owned_by(kind, owner))
            .json(&body)?
            .repeatable();
        let answer = self.ask_list(&request).await?;
        if answer.next_cursor.is_some() && answer.next_cursor == cursor {
            return Err(Error::BadAnswer {
                message: "the cursor of the next page is that of this page".into(),
            });
        }
        Ok((answer.value, answer.next_cursor))
    }

    /// Which of these an owner has. `listing` makes the body that asks for some of them.
    pub(super) async fn by_id<T: DeserializeOwned + Send>(
        &self,
        kind: &'static str,
        owner: &Owner,
        ids: &[Uuid],
        listing: impl Fn(&[Uuid]) -> Value,
        id: impl Fn(&T) -> &Uuid,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for some in ids.chunks(limits::FILTER_UUIDS) {
            let mut left: HashSet<&Uuid> = some.iter().collect();
            let mut pages = self.pages(kind, owner, listing(some));
            // A page has at least one of them, unless Zep does not honour the filter: then reading
            // on would read everything. What was not asked for does not count as found.
            for _ in 0..some.len() {
                let Some(page) = pages.next().await? else {
                    break;
                };
                found.extend(page.items.into_iter().filter(|item| left.remove(id(item))));
                if left.is_empty() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// A list. `null` may be an empty one, or a gateway's body: it is accepted when it comes twice.
    pub(super) async fn ask_list<T: DeserializeOwned + Send>(
        &self,
        request: &Request,
    ) -> Result<Answer<Vec<T>>> {
        let deadline = self.transport.deadline();
        let ask = || self.transport.ask::<Option<Vec<T>>>(request, deadline);
        let mut answer = ask().await?;
        if answer.value.is_none() {
            answer = ask().await?;
        }
        Ok(Answer {
            value: answer.value.unwrap_or_default(),
            next_cursor: answer.next_cursor,
        })
    }

    /// The newest episodes of an owner, messages included.
    ///
    /// # Errors
    /// As every call of [`Zep`](crate::zep::Zep).
    pub async fn newest_episodes(&self, owner: &Owner, count: u32) -> Result<Vec<Episode>> {
        #[derive(Deserialize)]
        struct Newest {
            episodes: Option<Vec<Episode>>,
        }
        let request = Request::get(&owned_by(EPISODES, owner)).query("lastn", count);
        let newest: Newest = self.ask(request).await?;
        Ok(newest.episodes.unwrap_or_default())
    }
}
