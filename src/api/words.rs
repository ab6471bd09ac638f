//! The lists of words of the Memory API.

use serde::Deserialize;
use utoipa::ToSchema;

use super::error::{ApiError, FieldProblem, NO_SUCH_WORD};
use crate::memory::model::MemoryKind;

/// In the metadata of a message, beside the application's own fields: what kind of memory it is.
pub(super) const TYPE_FIELD: &str = "memory_type";

/// Defines a list of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $python:literal { $($(#[$about:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $name {
            $($(#[$about])* $variant,)*
        }

        impl $name {
            /// All of them.
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word.
            pub(super) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The word that was given in a field. Enclosing blanks and case do not matter.
            ///
            /// # Errors
            /// For a word that is none of these.
            pub(super) fn read(place: &str, field: &str, word: &str) -> Result<Self, ApiError> {
                let wanted = word.trim().to_lowercase();
                let mut all = Self::ALL.iter().copied();
                all.find(|known| known.as_str() == wanted).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    let short: String = word.chars().take(50).collect();
                    let msg = format!("'{short}' is not a valid {}; it may be {}", $python, known.join(", "));
                    ApiError::fields(vec![FieldProblem::new(place, field, NO_SUCH_WORD, msg)])
                })
            }
        }
    };
}

words!(
    /// What somebody is in the application.
    UserRole, "UserRole" {
        /// Whose memories these are.
        Patient = "patient",
        /// Treats patients.
        Therapist = "therapist",
        /// Runs the application.
        Admin = "admin",
        /// Helps its users.
        Support = "support",
    }
);

words!(
    /// Whether somebody's memories may be used: those of suspended and deleted users are neither read nor
    /// written.
    UserStatus, "UserStatus" {
        /// They may.
        Active = "active",
        /// They may; the user does not come at present.
        Inactive = "inactive",
        /// They may not.
        Suspended = "suspended",
        /// They may not; the user is gone.
        Deleted = "deleted",
    }
);

words!(
    /// Who says something.
    MessageRole, "MessageRole" {
        /// The person.
        User = "user",
        /// The AI.
        Assistant = "assistant",
        /// A therapist.
        Therapist = "therapist",
        /// Notes on the conversation.
        System = "system",
    }
);

words!(
    /// What kind of memory it is.
    MemoryType, "MemoryType" {
        /// What was said.
        Conversation = "conversation",
        /// A session in short.
        SessionSummary = "session_summary",
        /// A therapist's notes.
        TherapeuticNotes = "therapeutic_notes",
        /// How somebody feels.
        EmotionalState = "emotional_state",
        /// What is planned.
        TreatmentPlan = "treatment_plan",
        /// What is known of a crisis.
        CrisisContext = "crisis_context",
        /// How it goes.
        ProgressNotes = "progress_notes",
    }
);

words!(
    /// In which order.
    Order, "Order" {
        /// Oldest first.
        Asc = "asc",
        /// Newest first.
        Desc = "desc",
    }
);

impl MemoryType {
    /// The kind, as the service has it.
    pub(super) fn kind(self) -> MemoryKind {
        MemoryKind::new(self.as_str()).unwrap_or_else(|_| unreachable!("it is a short word"))
    }
}
