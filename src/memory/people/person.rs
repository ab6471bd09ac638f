//! Users as an application keeps them: who they are, their role, and whether their memories may be used.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    error::if_found,
    model::{Owner, UserId},
    people::{profile::Profile, standing::Standing},
    record::{
        draft::now,
        fit::{self, EXTRA_KEY, pack_flat, unpack_flat},
    },
    service::MemoryService,
};
use crate::zep::{self, Metadata, NewUser, UserFields};

/// The field of a user with their role (guide: user role mapping).
pub const ROLE_FIELD: &str = "role";
/// The field of a user with their status.
pub const STATUS_FIELD: &str = "status";
/// The field of a user with the time when the application made them.
pub const CREATED_FIELD: &str = "created_at";
/// The field of a user with the time of their last login.
pub const LOGIN_FIELD: &str = "last_login";
/// The fields that are a person's own, and none of the application's.
pub const OWN_FIELDS: [&str; 4] = [ROLE_FIELD, STATUS_FIELD, CREATED_FIELD, LOGIN_FIELD];

/// The role of a user that nobody stated (Memory API).
pub const DEFAULT_ROLE: &str = "patient";
/// The longest name, in characters. Ours.
const MAX_NAME_CHARS: usize = 500;
/// The longest address, in characters (RFC 5321, 4.5.3.1, with the `@`).
const MAX_EMAIL_CHARS: usize = 320;

/// Whether a user's memories may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// They may.
    #[default]
    Active,
    /// They may; the user does not come at present.
    Inactive,
    /// They may neither be read nor be written.
    Suspended,
    /// The same: the user is gone, and their memories are to be deleted.
    Deleted,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Inactive, Self::Suspended, Self::Deleted];

    /// The word for it (Memory API).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Whether memories may be read and written.
    pub fn admits(self) -> bool {
        matches!(self, Self::Active | Self::Inactive)
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(word: &str) -> std::result::Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|status| status.as_str() == word).ok_or(())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The id.
    pub id: UserId,
    /// The address.
    pub email: Option<String>,
    /// The whole name.
    pub name: Option<String>,
    /// The role: the application's word.
    pub role: String,
    /// Whether their memories may be used.
    pub status: Status,
    /// When the application made them.
    pub created_at: Option<Timestamp>,
    /// When they were here last, as far as the application said so.
    pub last_login: Option<Timestamp>,
    /// The application's own fields.
    pub metadata: Map<String, Value>,
}

/// A change of a user. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PersonChange {
    /// The whole name.
    pub name: Option<String>,
    /// Whether their memories may be used.
    pub status: Option<Status>,
    /// Fields to be added or replaced.
    pub metadata: Map<String, Value>,
}

impl Person {
    fn of(id: &UserId, user: zep::User) -> Self {
        let mut metadata = unpack_flat(&user.metadata.unwrap_or_default());
        let mut own = |field| match metadata.shift_remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let [role, status, created_at, last_login] = OWN_FIELDS.map(&mut own);
        let time = |text: Option<String>| text.as_deref().and_then(crate::time::parse);
        let names = [user.first_name, user.last_name].into_iter().flatten();
        let names = names.filter(|name| !name.is_empty());
        let name = names.collect::<Vec<_>>().join(" ");
        Self {
            id: id.clone(),
            email: user.email.filter(|email| !email.is_empty()),
            name: Some(name).filter(|name| !name.is_empty()),
            role: role.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            status: status
                .and_then(|word| word.parse().ok())
                .unwrap_or_default(),
            created_at: time(created_at).or(user.created_at),
            last_login: time(last_login),
            metadata,
        }
    }
}

/// A text of a person, trimmed.
fn short(field: &str, raw: &str, most: usize) -> Result<String> {
    let text = raw.trim();
    let problem = match text.chars().count() {
        0 => "is blank; give it some text".to_owned(),
        count if count > most => format!("has {count} characters; it may have at most {most}"),
        _ if text.chars().any(char::is_control) => {
            "has control characters; leave them out".to_owned()
        }
        _ => return Ok(text.to_owned()),
    };
    Err(Error::invalid(field, problem))
}

/// Refuses fields of the application that would say something else than the person's own.
fn check_fields(metadata: &Map<String, Value>) -> Result<()> {
    if let Some(own) = OWN_FIELDS.iter().find(|own| metadata.contains_key(**own)) {
        return Err(Error::invalid(
            format!("metadata.{own}"),
            "is a field of the user itself; leave it out, or give it another name",
        ));
    }
    fit::check_metadata(metadata).map_err(|error| Error::invalid("metadata", error.problem()))
}

impl MemoryService {
    /// Makes a user under a new id, for callers who reach everybody.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field; [`Error::Forbidden`], or the backend's error.
    pub async fn add_person(
        &self,
        caller: &Caller,
        email: &str,
        name: &str,
        role: &str,
        metadata: Map<String, Value>,
    ) -> Result<Person> {
        let id = UserId::new(&uuid::Uuid::new_v4().to_string())?;
        caller.may(Right::Write, &Owner::User(id.clone()))?;
        self.needs_zep()?;
        check_fields(&metadata)?;
        let made_at = now();
        let marks: Metadata = [
            (ROLE_FIELD, role.to_owned()),
            (STATUS_FIELD, Status::Active.to_string()),
            (CREATED_FIELD, made_at.to_string()),
        ]
        .into_iter()
        .map(|(field, text)| (field.to_owned(), text.into()))
        .collect();
        let profile = Profile {
            name: Some(short("name", name, MAX_NAME_CHARS)?),
            email: Some(short("email", email, MAX_EMAIL_CHARS)?),
            marks,
            metadata,
        };
        let new = NewUser {
            user_id: id.clone(),
            fields: profile.fields(),
        };
        let made = self.zep().add_user(&new).await?;
        self.inner
            .standing
            .insert(id.clone(), Arc::new(Standing::now(Status::Active)));
        // What Zep's answer omits is as it was sent.
        Ok(Person::of(
            &id,
            zep::User {
                email: made.email.or(new.fields.email),
                first_name: new.fields.first_name,
                last_name: new.fields.last_name,
                metadata: new.fields.metadata,
                ..made
            },
        ))
    }

    /// A user.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if there is none within reach.
    pub async fn person(&self, caller: &Caller, id: &UserId) -> Result<Person> {
        caller.may(Right::Read, &Owner::User(id.clone()))?;
        let user = if_found(self.zep().user(id).await)?.ok_or_else(|| no_person(id))?;
        let person = Person::of(id, user);
        self.inner
            .standing
            .insert(id.clone(), Arc::new(Standing::now(person.status)));
        Ok(person)
    }

    /// Changes a user; their last login is now. Only an operator may change a status.
    ///
    /// # Errors
    /// As [`MemoryService::person`]; [`Error::Invalid`] names the field.
    pub async fn change_person(
        &self,
        caller: &Caller,
        id: &UserId,
        change: PersonChange,
    ) -> Result<Person> {
        caller.may(Right::Write, &Owner::User(id.clone()))?;
        if change.status.is_some() {
            caller.may(Right::Delete, &Owner::User(id.clone()))?;
        }
        check_fields(&change.metadata)?;
        let name = change.name.as_deref();
        let name = name.map(|name| short("name", name, MAX_NAME_CHARS));
        let profile = Profile {
            name: name.transpose()?,
            ..Profile::default()
        };
        // Two changes at once would undo each other: the fields are sent as a whole set.
        let turn = self.inner.people.of(id);
        let _turn = turn.lock().await;
        let user = if_found(self.zep().user(id).await)?.ok_or_else(|| no_person(id))?;
        let there = user.metadata.clone().unwrap_or_default();
        let mut fields = unpack_flat(&there);
        fields.extend(change.metadata);
        if let Some(status) = change.status {
            fields.insert(STATUS_FIELD.into(), status.to_string().into());
        }
        fields.insert(LOGIN_FIELD.into(), now().to_string().into());
        // Fields stored under their own names stay there: other programs read them.
        let mut flat = Metadata::new();
        for key in there.keys().filter(|key| *key != EXTRA_KEY) {
            if let Some(value) = fields.shift_remove(key) {
                flat.insert(key.clone(), value);
            }
        }
        let UserFields {
            first_name,
            last_name,
            ..
        } = profile.fields();
        let change = UserFields {
            email: None,
            // An absent family name would stay.
            last_name: last_name.or(first_name.as_ref().map(|_| String::new())),
            first_name,
            metadata: Some(pack_flat(flat, &fields)),
        };
        self.zep().update_user(id, &change).await?;
        let person = Person::of(
            id,
            zep::User {
                first_name: change.first_name.or(user.first_name),
                last_name: change.last_name.or(user.last_name),
                metadata: change.metadata,
                ..user
            },
        );
        self.inner
            .standing
            .insert(id.clone(), Arc::new(Standing::now(person.status)));
        Ok(person)
    }
}

fn no_person(id: &UserId) -> Error {
    Error::NoEntity {
        what: format!("user `{id}`"),
    }
}
