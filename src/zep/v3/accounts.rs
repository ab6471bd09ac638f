//! The project and its users.

use async_trait::async_trait;
use serde::Deserialize;

use super::ZepCloud;
use super::lists::NUMBERED_PAGE;
use super::pages::UserPage;
use crate::zep::error::Result;
use crate::zep::ids::UserId;
use crate::zep::port::{Accounts, Pages};
use crate::zep::transport::Request;
use crate::zep::types::{Metadata, NewUser, Project, Thread, User, UserFields};

#[async_trait]
impl Accounts for ZepCloud {
    async fn project(&self) -> Result<Project> {
        #[derive(Deserialize)]
        struct Info {
            project: Option<Project>,
        }
        let info: Info = self.ask(Request::get(&["projects", "info"])).await?;
        Ok(info.project.unwrap_or_default())
    }

    async fn add_user(&self, user: &NewUser) -> Result<User> {
        let mut body = serde_json::to_value(&user.fields).unwrap_or_default();
        body["user_id"] = user.user_id.as_str().into();
        let request = Request::post(&["users"]).json(&body)?;
        let existing = Request::get(&["users", user.user_id.as_str()]);
        self.once(request, existing, |there: User| {
            is_same_user(&there, user).then_some(there)
        })
        .await
    }

    async fn user(&self, user: &UserId) -> Result<User> {
        self.ask(Request::get(&["users", user.as_str()])).await
    }

    async fn update_user(&self, user: &UserId, fields: &UserFields) -> Result<User> {
        // Setting fields is the same twice.
        self.ask(Request::patch(&["users", user.as_str()]).json(fields)?)
            .await
    }

    fn users(&self) -> Pages<'_, User> {
        Pages::by_number(NUMBERED_PAGE, move |number| async move {
            let request = Request::get(&["users-ordered"])
                .query("pageNumber", number)
                .query("pageSize", NUMBERED_PAGE)
                .query("order_by", "created_at")
                .query("asc", true);
            let page: UserPage = self.ask(request).await?;
            Ok((page.users, page.total_count))
        })
    }

    async fn delete_user(&self, user: &UserId) -> Result<()> {
        self.delete(&["users", user.as_str()]).await
    }

    async fn user_threads(&self, user: &UserId) -> Result<Vec<Thread>> {
        let request = Request::get(&["users", user.as_str(), "threads"]);
        Ok(self.ask_list(&request).await?.value)
    }
}

/// Whether a user is the one that was to be created, with the same fields: one with other fields was
/// created by somebody else.
fn is_same_user(there: &User, user: &NewUser) -> bool {
    fn text(field: &Option<String>) -> &str {
        field.as_deref().unwrap_or_default()
    }
    let fields = &user.fields;
    let metadata = |metadata: &Option<Metadata>| metadata.clone().unwrap_or_default();
    text(&there.user_id) == user.user_id.as_str()
        && text(&there.email) == text(&fields.email)
        && text(&there.first_name) == text(&fields.first_name)
        && text(&there.last_name) == text(&fields.last_name)
        && metadata(&there.metadata) == metadata(&fields.metadata)
}
