//! The project and its users.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Metadata, lenient_time};
use crate::zep::ids::{UserId, Uuid};

/// The project that a key belongs to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Project {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// Its name.
    pub name: Option<String>,
    /// When it was created.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
}

/// A user as Zep stores it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// The application's id.
    pub user_id: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// The application's own fields.
    pub metadata: Option<Metadata>,
    /// When the user was created in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// When the user was last changed.
    #[serde(deserialize_with = "lenient_time")]
    pub updated_at: Option<Timestamp>,
}

/// The fields of a user that an application sets. Absent ones are left as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserFields {
    /// Email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The application's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A user to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    /// The application's id.
    pub user_id: UserId,
    /// The user's fields.
    pub fields: UserFields,
}
