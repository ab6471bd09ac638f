//! Ids of users, agents, apps and sessions, and words that only look like one.

/// The arguments that say whose memory is meant.
const ENTITIES: [&str; 5] = ["user_id", "agent_id", "app_id", "run_id", "session_id"];

/// What programs write for nothing.
const NOTHING: [&str; 5] = ["null", "undefined", "none", "nan", "[object object]"];

/// Names that other programs use for an argument that decides whose memories are reached, without
/// case and punctuation. To ignore one would reach the default user's instead.
const OTHER_NAMES: [(&str, &[&str]); 3] = [
    ("user_id", &["user", "userid", "username", "uid"]),
    ("agent_id", &["agent", "agentid", "agentname"]),
    ("filters", &["filter", "filters"]),
];

/// Whether the argument names an entity.
pub(super) fn is_entity(argument: &str) -> bool {
    ENTITIES.contains(&argument)
}

/// Whether a template or a program without a value left this behind in place of an id.
pub(super) fn is_left_over(id: &str) -> bool {
    let id = id.trim();
    NOTHING.contains(&id.to_lowercase().as_str()) || id.contains("{{") || id.contains("${")
}

/// The argument that an unknown name probably stands for, if it says whose memories are meant.
/// A letter more, less, or exchanged counts as the same name.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .take(20)
        .collect();
    OTHER_NAMES
        .iter()
        .find(|(argument, others)| {
            let typo = || strsim::osa_distance(&plain, &argument.replace('_', "")) <= 1;
            others.contains(&plain.as_str()) || typo()
        })
        .map(|(argument, _)| *argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_templates_leave_behind_is_no_id() {
        for left in [
            "null",
            " NULL ",
            "undefined",
            "None",
            "{{user}}",
            "${USER}",
            "[object Object]",
            "team-{{user}}",
        ] {
            assert!(is_left_over(left), "{left}");
        }
        for id in [
            "nulla",
            "bob",
            "none-such",
            "{id}",
            "1",
            "Ann <ann@example.com",
        ] {
            assert!(!is_left_over(id), "{id}");
        }
    }

    #[test]
    fn other_spellings_of_an_owner_are_known() {
        for name in [
            "user",
            "userId",
            "USER_ID",
            "usr_id",
            "user_ids",
            "user-name",
        ] {
            assert_eq!(meant(name), Some("user_id"), "{name}");
        }
        assert_eq!(meant("agentId"), Some("agent_id"));
        for name in [
            "toolCallId",
            "sessionId",
            "action",
            "chatInput",
            "random_string",
            "top_k",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
    }
}
