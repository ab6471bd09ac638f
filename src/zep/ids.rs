//! The ids of users, threads, graphs, and of what Zep creates.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an id cannot be used. Names the field, never the value: ids can be names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidId {
    /// The field, as the caller knows it (`user_id`, `session_id` …).
    pub field: &'static str,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// Checks an id and returns it trimmed: 1 to `max` characters, no control characters, and not `.` or
/// `..`, which no URL can carry as a path segment, escaped or not (WHATWG URL Standard, "double-dot
/// URL path segment").
///
/// # Errors
/// [`InvalidId`] that names `field`.
pub fn check_id(field: &'static str, raw: &str, max: usize) -> Result<String, InvalidId> {
    let id = raw.trim();
    let refuse = |problem: String| Err(InvalidId { field, problem });
    let length = id.chars().count();
    if length == 0 {
        return refuse(format!("is empty; it must have 1 to {max} characters"));
    }
    if length > max {
        return refuse(format!(
            "has {length} characters; it may have at most {max}"
        ));
    }
    if id.chars().any(char::is_control) {
        return refuse("contains a control character (a line break, a tab, …); remove it".into());
    }
    if id == "." || id == ".." {
        return refuse("is only dots, which cannot be addressed over HTTP; choose another".into());
    }
    Ok(id.to_owned())
}

/// Defines an id type that can only hold a checked id.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id, trimmed.
            ///
            /// # Errors
            /// [`InvalidId`] if it is empty, too long, has control characters or is only dots.
            pub fn new(raw: &str) -> Result<Self, $crate::zep::InvalidId> {
                $crate::zep::check_id($field, raw, $max).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use id_type;

/// The longest id an application may choose, in characters. Ours: Zep documents none.
pub const MAX_ID_CHARS: usize = 500;

/// Thread and graph ids consist of up to two application ids and a separator.
const MAX_DERIVED_ID_CHARS: usize = 2 * MAX_ID_CHARS + 64;

id_type!(
    /// A user, by the application's own id.
    UserId, "user_id", MAX_ID_CHARS
);
id_type!(
    /// A thread. Global to a Zep project, not to its user.
    ThreadId, "thread_id", MAX_DERIVED_ID_CHARS
);
id_type!(
    /// A graph that belongs to no user.
    GraphId, "graph_id", MAX_DERIVED_ID_CHARS
);

/// The owner of a graph and of everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A user's own graph.
    User(UserId),
    /// A graph that belongs to no user.
    Graph(GraphId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user {id}"),
            Self::Graph(id) => write!(f, "graph {id}"),
        }
    }
}

/// An id that Zep assigned: of a message, an episode, a fact, an entity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uuid(pub String);

impl Uuid {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
