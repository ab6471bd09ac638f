//! Archives and directories: what their files tell of each other.

use std::collections::BTreeSet;

use crate::sources::{
    Container, ContainerId, Conversation, Entry, IdKind, Names, Origin, SourceItem, SourceRecord,
};

/// The archives and directories around the file that is read, and the ids of all containers so far.
#[derive(Debug, Default)]
pub(super) struct Sets {
    around: Vec<Set>,
    containers: ContainerId,
}

/// An archive or a directory.
#[derive(Debug)]
struct Set {
    id: ContainerId,
    /// The users that are described in it, or that an object with items in it names.
    explained: Users,
    /// The users that anything in it names.
    named: Users,
    /// Ids of users that its files explain, and that only the source uses.
    internal: Users,
    /// Whether anything is in it.
    is_used: bool,
}

/// Some users.
#[derive(Debug, Default)]
struct Users {
    some: BTreeSet<String>,
    /// Whether there are more than are kept.
    more: bool,
}

/// How many users are kept: one is what matters, and some may turn out to be other names of it.
const KEPT: usize = 16;

impl Users {
    fn add(&mut self, user: &str) {
        let user = user.trim();
        if self.some.len() < KEPT {
            self.some.insert(user.to_owned());
        } else {
            self.more |= !self.some.contains(user);
        }
    }

    /// Those that are not among others.
    fn without(mut self, others: &Self) -> Self {
        self.some.retain(|user| !others.some.contains(user));
        self
    }

    /// The only one.
    fn only(self) -> Option<String> {
        let Self { mut some, more } = self;
        let first = some.pop_first()?;
        (some.is_empty() && !more).then_some(first)
    }
}

impl Sets {
    /// Begins an archive or a directory.
    pub(super) fn begin(&mut self) {
        self.containers += 1;
        self.around.push(Set {
            id: self.containers,
            explained: Users::default(),
            named: Users::default(),
            internal: Users::default(),
            is_used: false,
        });
    }

    /// Ends the innermost one, and answers what it is to its items.
    pub(super) fn end(&mut self) -> Option<Container> {
        let set = self.around.pop().filter(|set| set.is_used)?;
        self.use_innermost();
        let explained = set.explained.without(&set.internal).only();
        let named = set.named.without(&set.internal).only();
        let user_of_rest = explained.filter(|_| named.is_some());
        Some(Container {
            id: set.id,
            parent: self.innermost(),
            user_of_rest,
            ..Container::default()
        })
    }

    /// The highest id of a container so far.
    pub(super) fn containers(&self) -> ContainerId {
        self.containers
    }

    /// Makes an item of a file one of the whole source: with the file's path in its position, and in
    /// the innermost archive or directory. `base` was the highest id when the file began.
    pub(super) fn adopt(&mut self, item: &mut SourceItem, base: ContainerId, path: &str) {
        let locate = |origin: &mut Origin, innermost| {
            origin.container = origin.container.map(|id| id + base).or(innermost);
            put_before(&mut origin.position.0, path);
        };
        let innermost = self.innermost();
        if let SourceItem::Entry(_) | SourceItem::Container(_) = item {
            self.use_innermost();
        }
        match item {
            SourceItem::Entry(Entry::Record(record)) => {
                self.note(&record.names);
                locate(&mut record.origin, innermost);
            }
            SourceItem::Entry(Entry::Conversation(Conversation { origin, turns })) => {
                locate(origin, innermost);
                for SourceRecord { names, origin, .. } in turns {
                    self.note(names);
                    locate(origin, innermost);
                }
            }
            SourceItem::Entry(Entry::Change(change)) => {
                self.note(&change.record.names);
                locate(&mut change.record.origin, innermost);
            }
            SourceItem::Entry(Entry::User { position, user }) => {
                self.explain(&user.id);
                put_before(&mut position.0, path);
            }
            SourceItem::Container(container) => {
                container.id += base;
                container.parent = container.parent.map(|id| id + base).or(innermost);
                self.containers = self.containers.max(container.id);
                if let Some(user) = &container.names.user {
                    self.explain(user);
                }
            }
            SourceItem::Problem(problem) => put_before(&mut problem.position.0, path),
            SourceItem::Explained(explained) => {
                explained.container += base;
                if explained.kind == IdKind::User {
                    for set in &mut self.around {
                        set.internal.add(&explained.id);
                    }
                    self.explain(&explained.name);
                }
            }
            SourceItem::UnplacedField(_) | SourceItem::LeftOut(_) => {}
        }
    }

    fn innermost(&self) -> Option<ContainerId> {
        self.around.last().map(|set| set.id)
    }

    fn use_innermost(&mut self) {
        if let Some(set) = self.around.last_mut() {
            set.is_used = true;
        }
    }

    fn explain(&mut self, user: &str) {
        for set in &mut self.around {
            set.explained.add(user);
            set.named.add(user);
        }
    }

    fn note(&mut self, names: &Names) {
        if let Some(user) = &names.user {
            self.around.iter_mut().for_each(|set| set.named.add(user));
        }
    }
}

/// `memories.json: users[3]`.
fn put_before(position: &mut String, path: &str) {
    if !path.is_empty() {
        position.insert_str(0, ": ");
        position.insert_str(0, path);
    }
}
