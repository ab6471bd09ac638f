//! User profiles: created on first use, completed later, never overwritten.

use serde_json::{Map, Value};

use crate::memory::{
    Result,
    access::{Caller, Right},
    model::{Owner, UserId},
    people::creation::create_graph,
    record::fit::{EXTRA_KEY, pack_flat, same_value, unpack_flat},
    service::MemoryService,
};
use crate::zep::{self, Metadata, NewUser, UserFields};

/// What the application knows about a user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// The full name. Zep has two fields: the last word becomes the family name.
    pub name: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// Fields kept in the user's metadata under their own names, first.
    pub marks: Metadata,
    /// The application's own fields, any JSON.
    pub metadata: Map<String, Value>,
}

/// The outcome of [`MemoryService::ensure_user`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserState {
    /// The user is new.
    Made,
    /// The user existed. Absent fields were added, different ones left as they are.
    Completed(ProfileDiff),
}

/// How a stored user differs from a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileDiff {
    /// Names of the fields that the user lacks.
    pub absent: Vec<String>,
    /// Names of the fields with another value.
    pub different: Vec<String>,
}

impl Profile {
    /// The profile in Zep's fields.
    pub(crate) fn fields(&self) -> UserFields {
        let (first_name, last_name) = split_name(self.name.as_deref());
        let metadata = pack_flat(self.marks.clone(), &self.metadata);
        UserFields {
            email: self.email.clone(),
            first_name,
            last_name,
            metadata: (!metadata.is_empty()).then_some(metadata),
        }
    }

    /// How a stored user differs. Marks named in `ignored`, such as the time of writing, are not
    /// compared.
    pub fn compare(&self, user: &zep::User, ignored: &[&str]) -> ProfileDiff {
        let wanted = self.fields();
        let mut diff = ProfileDiff::default();
        for (name, wanted, there) in [
            ("email", &wanted.email, &user.email),
            ("first_name", &wanted.first_name, &user.first_name),
            ("last_name", &wanted.last_name, &user.last_name),
        ] {
            let there = there.as_deref().filter(|text| !text.is_empty());
            match (wanted.as_deref(), there) {
                (Some(_), None) => diff.absent.push(name.into()),
                (Some(wanted), Some(there)) if wanted != there => diff.different.push(name.into()),
                _ => {}
            }
        }
        let there = unpack_flat(&user.metadata.clone().unwrap_or_default());
        for (key, wanted) in self.marks.iter().chain(&self.metadata) {
            if ignored.contains(&key.as_str()) {
                continue;
            }
            match there.get(key) {
                None => diff.absent.push(format!("metadata.{key}")),
                Some(there) if !same_value(there, wanted) => {
                    diff.different.push(format!("metadata.{key}"));
                }
                Some(_) => {}
            }
        }
        diff
    }

    /// The fields that complete a stored user.
    fn completing(&self, user: &zep::User, diff: &ProfileDiff) -> UserFields {
        let wanted = self.fields();
        let absent = |name: &str| diff.absent.iter().any(|absent| absent == name);
        let there = user.metadata.clone().unwrap_or_default();
        let known = unpack_flat(&there);
        let mut more = known.clone();
        // Fields stored under their own names stay there regardless of number: other programs read
        // them.
        let mut flat = there;
        flat.shift_remove(EXTRA_KEY);
        more.retain(|key, _| !flat.contains_key(key));
        for (key, value) in self.marks.iter().chain(&self.metadata) {
            if !known.contains_key(key) {
                more.insert(key.clone(), value.clone());
            }
        }
        let changed = flat.len() + more.len() > known.len();
        UserFields {
            email: wanted.email.filter(|_| absent("email")),
            first_name: wanted.first_name.filter(|_| absent("first_name")),
            last_name: wanted.last_name.filter(|_| absent("last_name")),
            // The whole set: whether Zep merges or replaces is not documented.
            metadata: changed.then(|| pack_flat(flat, &more)),
        }
    }
}

/// The last word as family name, the rest as given name.
fn split_name(name: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        return (None, None);
    };
    match name.rsplit_once(char::is_whitespace) {
        Some((first, last)) => (Some(first.trim_end().to_owned()), Some(last.to_owned())),
        None => (Some(name.to_owned()), None),
    }
}

impl MemoryService {
    /// A user as Zep knows them; `None` if there is none.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn user(&self, caller: &Caller, user: &UserId) -> Result<Option<zep::User>> {
        caller.may(Right::Migrate, &Owner::User(user.clone()))?;
        match self.zep().user(user).await {
            Ok(user) => Ok(Some(user)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a user, or adds what an existing one lacks. Changes nothing else. A created user keeps
    /// `maker`, a metadata field and its value, so that one whose creation was not answered is
    /// recognised as made.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn ensure_user(
        &self,
        caller: &Caller,
        user: &UserId,
        profile: &Profile,
        ignored: &[&str],
        maker: Option<(&str, &str)>,
    ) -> Result<UserState> {
        caller.may(Right::Migrate, &Owner::User(user.clone()))?;
        let mut made = profile.clone();
        made.marks
            .extend(maker.map(|(field, value)| (field.to_owned(), value.into())));
        let new = NewUser {
            user_id: user.clone(),
            fields: made.fields(),
        };
        match self.zep().add_user(&new).await {
            Ok(_) => return Ok(UserState::Made),
            Err(error) if !error.is_conflict() => return Err(error.into()),
            Err(_) => {}
        }
        let there = self.zep().user(user).await?;
        let diff = profile.compare(&there, ignored);
        if !diff.absent.is_empty() {
            let fields = profile.completing(&there, &diff);
            self.zep().update_user(user, &fields).await?;
        }
        let there = unpack_flat(&there.metadata.unwrap_or_default());
        let is_made = maker
            .is_some_and(|(field, value)| there.get(field).and_then(Value::as_str) == Some(value));
        Ok(match is_made {
            true => UserState::Made,
            false => UserState::Completed(diff),
        })
    }

    /// Whether this graph exists.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn has_graph(&self, caller: &Caller, graph: &zep::GraphId) -> Result<bool> {
        caller.may(Right::Migrate, &Owner::Graph(graph.clone()))?;
        match self.zep().graph(graph).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates an agent's graph if it does not exist. Returns whether it was created.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn ensure_graph(&self, caller: &Caller, graph: &zep::GraphId) -> Result<bool> {
        caller.may(Right::Migrate, &Owner::Graph(graph.clone()))?;
        match create_graph(self.zep(), graph).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_becomes_two_fields_and_loses_no_word() {
        for (name, first, last) in [
            ("Jane Doe", Some("Jane"), Some("Doe")),
            (" Ana María  López ", Some("Ana María"), Some("López")),
            ("Cher", Some("Cher"), None),
            ("  ", None, None),
        ] {
            let (given, family) = split_name(Some(name));
            assert_eq!(
                (given.as_deref(), family.as_deref()),
                (first, last),
                "{name:?}"
            );
        }
    }

    #[test]
    fn only_absent_fields_complete_a_user_and_differences_are_named() {
        let profile = Profile {
            name: Some("Jane Doe".into()),
            email: Some("jane@example.com".into()),
            marks: json!({"role": "patient"}).as_object().cloned().unwrap(),
            metadata: json!({"preferences": {"tone": "calm"}, "tz": "UTC"})
                .as_object()
                .cloned()
                .unwrap(),
        };
        let there = zep::User {
            email: Some("other@example.com".into()),
            metadata: json!({"tz": "CET", "own": 1}).as_object().cloned(),
            ..zep::User::default()
        };
        let diff = profile.compare(&there, &[]);
        assert_eq!(
            diff.absent,
            [
                "first_name",
                "last_name",
                "metadata.role",
                "metadata.preferences"
            ]
        );
        assert_eq!(diff.different, ["email", "metadata.tz"]);
        let fields = profile.completing(&there, &diff);
        assert_eq!(fields.email, None);
        assert_eq!(fields.first_name.as_deref(), Some("Jane"));
        let metadata = fields.metadata.unwrap();
        assert_eq!(metadata["tz"], "CET");
        let whole = unpack_flat(&metadata);
        assert_eq!(whole["preferences"], json!({"tone": "calm"}));
        assert_eq!(whole["own"], 1);
        // More keys than Zep is known to take stay where they are.
        let many: Metadata = (0..12).map(|n| (format!("k{n}"), json!(n))).collect();
        let crowded = zep::User {
            metadata: Some(many.clone()),
            ..zep::User::default()
        };
        let diff = profile.compare(&crowded, &[]);
        let packed = profile.completing(&crowded, &diff).metadata.unwrap();
        assert!(
            many.iter()
                .all(|(key, value)| packed.get(key) == Some(value))
        );
        assert_eq!(unpack_flat(&packed)["role"], "patient");
        let completed = zep::User {
            first_name: fields.first_name,
            last_name: fields.last_name,
            metadata: Some(metadata),
            ..there
        };
        assert!(profile.compare(&completed, &[]).absent.is_empty());
    }
}
