//! The places of connections.
//!
//! A connection counts for its address until a request on it is authenticated, and then for that
//! token. One holder's connections never cost another's place: each has a bounded share, and where
//! all places are taken, an address without a token or the token with the most loses its oldest.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Level, Subject, lock};
use crate::config::Bounds;

/// Places that stay free where possible, so that a new connection needs not wait for one to end.
const FREE: usize = 16;
/// The most connections without a token: room for all clients that reconnect at once after a
/// restart. Real clients send at once.
const MAX_STRANGERS: usize = 2048;

/// When the process started to count times.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now_millis() -> u64 {
    u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// For whom a connection counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    Address(IpAddr),
    Token(Subject),
}

/// All places.
#[derive(Debug)]
pub(in crate::http) struct Places {
    open: Mutex<Open>,
    most: usize,
    share: usize,
    strangers: usize,
    strangers_share: usize,
    strangers_at_least: usize,
}

#[derive(Debug, Default)]
struct Open {
    /// The oldest first.
    groups: HashMap<Holder, BTreeMap<u64, Arc<Place>>>,
    count: usize,
    strangers: usize,
    next: u64,
}

/// The place of one connection.
#[derive(Debug)]
pub(in crate::http) struct Place {
    id: u64,
    holder: Mutex<Holder>,
    has_sent: AtomicBool,
    cut: CancellationToken,
    /// The memory of answers on it that are not read yet, in bytes.
    unread: AtomicUsize,
    /// When it was last written to.
    written: AtomicU64,
}

impl Place {
    /// Notes that a request arrived.
    pub(in crate::http) fn has_sent(&self) {
        self.has_sent.store(true, Ordering::Relaxed);
    }

    /// Notes that the client made room for more.
    pub(in crate::http) fn was_written(&self) {
        self.written.store(now_millis(), Ordering::Relaxed);
    }

    /// Adds to its unread bytes; returns their sum.
    pub(super) fn add(&self, bytes: usize) -> usize {
        let before = self.unread.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 {
            self.was_written();
        }
        before + bytes
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.unread.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    /// How long the client has read nothing; none if there is nothing to read.
    pub(super) fn stalled(&self) -> Duration {
        if self.unread() == 0 {
            return Duration::ZERO;
        }
        let written = self.written.load(Ordering::Relaxed);
        Duration::from_millis(now_millis().saturating_sub(written))
    }

    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Returns once the connection is to be dropped: it has sent no request until `deadline`, or it
    /// was cut.
    pub(in crate::http) async fn must_go(&self, deadline: Instant) {
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = self.cut.cancelled() => return,
        }
        if self.has_sent.load(Ordering::Relaxed) {
            self.cut.cancelled().await;
        }
    }
}

impl Open {
    fn insert(&mut self, holder: Holder, place: Arc<Place>) {
        self.count += 1;
        self.strangers += usize::from(matches!(holder, Holder::Address(_)));
        self.groups
            .entry(holder)
            .or_default()
            .insert(place.id, place);
    }

    fn remove(&mut self, holder: &Holder, id: u64) {
        let Some(group) = self.groups.get_mut(holder) else {
            return;
        };
        if group.remove(&id).is_some() {
            self.count -= 1;
            self.strangers -= usize::from(matches!(holder, Holder::Address(_)));
        }
        if group.is_empty() {
            self.groups.remove(holder);
        }
    }

    fn len(&self, holder: &Holder) -> usize {
        self.groups.get(holder).map_or(0, BTreeMap::len)
    }

    /// Ends this holder's oldest connection.
    fn cut_oldest(&mut self, holder: &Holder) {
        let oldest = self.groups.get(holder).and_then(BTreeMap::first_key_value);
        if let Some((id, place)) = oldest.map(|(id, place)| (*id, Arc::clone(place))) {
            place.cut();
            self.remove(holder, id);
        }
    }

    /// The holder of the most connections among those.
    fn largest(&self, among: impl Fn(&Holder) -> bool) -> Option<Holder> {
        let groups = self.groups.iter().filter(|(holder, _)| among(holder));
        let largest = groups.max_by_key(|(_, group)| group.len());
        largest.map(|(holder, _)| holder.clone())
    }
}

impl Places {
    pub(in crate::http) fn new(most: usize, bounds: &Bounds) -> Arc<Self> {
        // Half of the places are always left for connections with a token.
        let strangers = MAX_STRANGERS.min(most / 2);
        Arc::new(Self {
            open: Mutex::default(),
            most: most.saturating_sub(FREE.min(most / 4)).max(1),
            // Some are always left for others, health checks among them.
            share: bounds.share_of(most).min(most - most / 16).max(1),
            strangers,
            strangers_share: bounds.share_of(strangers),
            strangers_at_least: most / 16,
        })
    }

    /// Adds a connection, and ends older ones where there are too many.
    pub(in crate::http) fn enter(self: &Arc<Self>, address: IpAddr) -> Entered {
        let holder = Holder::Address(address);
        let mut open = lock(&self.open);
        let id = open.next;
        open.next += 1;
        let place = Arc::new(Place {
            id,
            holder: Mutex::new(holder.clone()),
            has_sent: AtomicBool::new(false),
            cut: CancellationToken::new(),
            unread: AtomicUsize::new(0),
            written: AtomicU64::new(0),
        });
        open.insert(holder.clone(), Arc::clone(&place));
        if open.len(&holder) > self.strangers_share {
            open.cut_oldest(&holder);
        }
        let is_full = open.count > self.most;
        // Strangers make room first, but for those that just came.
        let of_strangers = open.strangers > self.strangers
            || (is_full && open.strangers > self.strangers_at_least);
        if of_strangers || is_full {
            let is_among = |holder: &Holder| matches!(holder, Holder::Address(_)) == of_strangers;
            if let Some(largest) = open.largest(is_among) {
                open.cut_oldest(&largest);
            }
        }
        drop(open);
        Entered {
            place,
            all: Arc::clone(self),
        }
    }

    /// Counts a connection for this token from now on; `false` if the token has too many.
    pub(super) fn belongs_to(&self, place: &Arc<Place>, subject: &Subject) -> bool {
        let mut holder = lock(&place.holder);
        if matches!(&*holder, Holder::Token(token) if token == subject) {
            return true;
        }
        let token = Holder::Token(subject.clone());
        let mut open = lock(&self.open);
        if open.len(&token) >= self.share {
            return false;
        }
        open.remove(&holder, place.id);
        // One that was cut meanwhile is counted until it is dropped, as every other.
        open.insert(token.clone(), Arc::clone(place));
        *holder = token;
        true
    }

    /// This token's connections with unread answers.
    pub(super) fn unread_of(&self, subject: &Subject) -> Vec<Arc<Place>> {
        let open = lock(&self.open);
        let group = open.groups.get(&Holder::Token(subject.clone()));
        let places = group.into_iter().flat_map(BTreeMap::values);
        let unread = places.filter(|place| place.unread() > 0);
        unread.cloned().collect()
    }

    /// How many connections there are, and how many one token has at most.
    pub(super) fn level(&self) -> Level {
        let open = lock(&self.open);
        Level {
            now: open.count,
            most: self.most,
            share: self.share,
            largest: open.groups.values().map(BTreeMap::len).max().unwrap_or(0),
        }
    }
}

/// A connection's place until this is dropped.
#[derive(Debug)]
pub(in crate::http) struct Entered {
    pub(in crate::http) place: Arc<Place>,
    all: Arc<Places>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let holder = lock(&self.place.holder);
        lock(&self.all.open).remove(&holder, self.place.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn places(connections: usize, share: usize) -> Arc<Places> {
        let bounds = Bounds {
            connections,
            sessions: 1,
            calls: 1,
            calls_per_minute: None,
            unread_bytes: 1,
            share,
        };
        Places::new(connections, &bounds)
    }

    fn is_cut(entered: &Entered) -> bool {
        entered.place.cut.is_cancelled()
    }

    #[tokio::test]
    async fn a_flood_of_silent_connections_ends_the_oldest_of_its_own_address_only() {
        let all = places(64, 50);
        let far = Instant::now() + Duration::from_secs(3600);
        let other = all.enter(address(2));
        let known = all.enter(address(1));
        known.place.has_sent();
        assert!(all.belongs_to(&known.place, &Subject::named("ann")));
        let silent = all.enter(address(1));
        let flood: Vec<_> = (0..16).map(|_| all.enter(address(1))).collect();
        silent.place.must_go(far).await;
        assert!(!is_cut(&known) && !is_cut(&other));
        assert!(flood.iter().all(|entered| !is_cut(entered)));
        drop((silent, flood, other, known));
        assert!(lock(&all.open).groups.is_empty());
        assert_eq!(lock(&all.open).count, 0);
    }

    #[test]
    fn a_token_has_its_share_and_the_holder_of_the_most_makes_room() {
        let all = places(64, 50);
        let (ann, ben) = (Subject::named("ann"), Subject::named("ben"));
        let of = |subject: &Subject, count: usize| -> Vec<_> {
            (0..count)
                .map(|_| all.enter(address(1)))
                .filter(|entered| all.belongs_to(&entered.place, subject))
                .collect()
        };
        let anns = of(&ann, 40);
        assert_eq!(anns.len(), 32);
        let bens = of(&ben, 20);
        assert_eq!(bens.len(), 20);
        assert!(bens.iter().all(|entered| !is_cut(entered)));
        assert!(is_cut(&anns[0]) && !is_cut(&anns[31]));
    }
}
