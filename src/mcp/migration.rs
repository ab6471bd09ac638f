//! What the migration tools have in common: whose memories, from where, and telling how far it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{error::ToolError, server::MemoryServer};
use crate::config::Setting;
use crate::mem0::SourceUser;
use crate::memory::access::Right;
use crate::memory::model::{Owner, SessionId, UserId};
use crate::migration::{
    self, ImportDir, Migrator, Phase, Progress, Request, Selection, Source, Watch,
};

/// The most errors, notes and issues that a tool answers one by one. The command line tells all.
const MAX_ANSWERED: usize = 50;

/// Cuts a list to what an agent can use. Answers how many were left off.
pub(super) fn shorten<T>(list: &mut Vec<T>) -> u64 {
    let left_off = list.len().saturating_sub(MAX_ANSWERED);
    list.truncate(MAX_ANSWERED);
    left_off as u64
}

/// The keys of which an object that has one describes a user.
const OF_A_USER: [&str; 6] = [
    "messages",
    "sessions",
    "insights",
    "summary",
    "traits",
    "preferences",
];

/// The user, as the old system describes them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserArg {
    /// Their id in the old system, which they keep.
    id: String,
    /// Their whole name.
    name: Option<String>,
    /// Their address.
    email: Option<String>,
    /// Their role in the old system: user (becomes patient), therapist, admin, support; others stay
    /// as they are.
    role: Option<String>,
    /// What they prefer, any JSON; kept in the user's metadata.
    preferences: Option<Value>,
    /// Further fields of theirs.
    metadata: Option<Map<String, Value>>,
}

impl UserArg {
    fn checked_id(&self) -> Result<UserId, ToolError> {
        UserId::new(&self.id)
            .map_err(|error| ToolError::argument(format!("`user.id`: {}", error.problem)))
    }

    /// What is asked for, and of whom.
    pub(super) fn request(self, sessions: &[String]) -> Result<Request, ToolError> {
        let id = self.checked_id()?;
        let sessions = sessions
            .iter()
            .map(|session| SessionId::new(session))
            .collect::<Result<_, _>>()
            .map_err(crate::memory::Error::from)?;
        let mut metadata = self.metadata.unwrap_or_default();
        if let Some(preferences) = self.preferences {
            metadata.insert("preferences".into(), preferences);
        }
        Ok(Request {
            profile: Some(SourceUser {
                id: id.to_string(),
                name: self.name,
                email: self.email,
                role: self.role,
                metadata,
            }),
            selection: Selection {
                user: Some(id),
                sessions,
            },
            ..Request::default()
        })
    }
}

impl MemoryServer {
    /// Where the memories of this user are to be read from.
    pub(super) fn source(
        &self,
        user: &UserArg,
        data: Option<Value>,
        file: Option<&str>,
    ) -> Result<Option<Source>, ToolError> {
        let refuse = |detail: String| Err(ToolError::argument(detail));
        match (data, file) {
            (Some(_), Some(_)) => refuse("give `data` or `file`, not both".into()),
            (Some(Value::Object(mut data)), None) => {
                // What describes a user describes this one.
                let of_user = OF_A_USER.iter().any(|key| data.contains_key(*key));
                if of_user && !data.contains_key("id") && !data.contains_key("user_id") {
                    data.insert("id".into(), user.id.trim().into());
                }
                Ok(Some(Source::value(&data.into())))
            }
            (Some(data @ Value::Array(_)), None) => Ok(Some(Source::value(&data))),
            (Some(_), None) => refuse("`data` must be an object or an array".into()),
            (None, None) => Ok(None),
            (None, Some(file)) => {
                let variable = Setting::ImportDir;
                let Some(directory) = self.import_dir() else {
                    return refuse(format!(
                        "`file`: this server reads no files, since {variable} is not set; whoever \
                         runs it must set {variable} to the directory that holds the exports. \
                         Small exports can be given as `data`"
                    ));
                };
                let opened = ImportDir::open(directory).and_then(|exports| exports.file(file));
                match opened {
                    Ok(source) => Ok(Some(source)),
                    Err(error) => refuse(format!("`file` {error} ({variable})")),
                }
            }
        }
    }

    /// Checks whether the caller may migrate this user's memories, before anything is read.
    pub(super) fn may_migrate(&self, user: &UserArg) -> Result<(), ToolError> {
        let owner = Owner::User(user.checked_id()?);
        Ok(self.caller().may(Right::Migrate, &owner)?)
    }

    /// Whoever migrates for this caller.
    pub(super) fn migrator(&self) -> Migrator {
        Migrator::with_roles(self.memories().clone(), self.caller(), Default::default())
    }
}

impl From<migration::Error> for ToolError {
    fn from(error: migration::Error) -> Self {
        match error {
            migration::Error::Memory(error) => error.into(),
            error => Self::failed("migration_failed", error.to_string()),
        }
    }
}

/// Tells the client how far something is, if it asked for that: where each phase begins, how far it
/// is now and then, and the end.
pub(super) struct Telling {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    sender: mpsc::UnboundedSender<Progress>,
    receiver: mpsc::UnboundedReceiver<Progress>,
}

impl Telling {
    /// For the call of this context.
    pub(super) fn new(context: &RequestContext<RoleServer>) -> Self {
        // It holds little: see `NowAndThen`.
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token(),
            sender,
            receiver,
        }
    }

    /// What is to be told how far it is.
    pub(super) fn watch(&self) -> Arc<dyn Watch> {
        Arc::new(NowAndThen {
            sender: self.sender.clone(),
            sent: Mutex::new(None),
        })
    }

    /// Does it, and tells meanwhile.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let Self {
            peer,
            token,
            mut receiver,
            ..
        } = self;
        let Some(token) = token else {
            drop(receiver);
            return work.await;
        };
        let mut told = 0.0;
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => {
                    while let Ok(progress) = receiver.try_recv() {
                        told = notify(&peer, token.clone(), progress, told).await;
                    }
                    return outcome;
                }
                Some(progress) = receiver.recv() => {
                    told = notify(&peer, token.clone(), progress, told).await;
                }
            }
        }
    }
}

/// How long at least there is between two notifications of a phase.
const BETWEEN: Duration = Duration::from_millis(200);

/// Passes on where a phase begins and ends, and in between how far it is now and then.
struct NowAndThen {
    sender: mpsc::UnboundedSender<Progress>,
    /// The phase that was passed on last, and when.
    sent: Mutex<Option<(Phase, Instant)>>,
}

impl Watch for NowAndThen {
    fn at(&self, progress: Progress) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let due = sent.is_none_or(|(phase, at)| {
            phase != progress.phase
                || at.elapsed() >= BETWEEN
                || progress.total == Some(progress.done)
        });
        if due {
            *sent = Some((progress.phase, Instant::now()));
            // A client that asked for no progress is told none.
            let _ = self.sender.send(progress);
        }
    }
}

/// Tells the client, if there is progress since; answers how far it was told.
async fn notify(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    progress: Progress,
    told: f64,
) -> f64 {
    let percent = percent(progress);
    // MCP: the number must grow with each notification.
    if percent <= told {
        return told;
    }
    let message = match (progress.phase, progress.total) {
        (phase @ (Phase::Writing | Phase::Validating), Some(total)) => {
            format!("{}: {} of {total} records", phase.as_str(), progress.done)
        }
        (phase, _) => phase.as_str().to_owned(),
    };
    let notification = ProgressNotificationParam::new(token, percent)
        .with_total(100.0)
        .with_message(message);
    // A client that is gone needs no progress.
    let _ = peer.notify_progress(notification).await;
    percent
}

/// How much of the whole is done: reading is taken for a tenth of it.
fn percent(progress: Progress) -> f64 {
    let share = match progress.total {
        Some(total) if total > 0 => progress.done.min(total) as f64 / total as f64,
        _ => 0.0,
    };
    match progress.phase {
        Phase::Reading => 1.0 + share * 4.0,
        Phase::Planning => 5.0 + share * 5.0,
        Phase::Writing | Phase::Validating => 10.0 + share * 90.0,
    }
}
