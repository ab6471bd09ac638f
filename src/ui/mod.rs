//! The operators' page, `/ui`: pages made on the server, with forms and one small script of our own.
//!
//! - `host`: what the page needs of the server that it is part of. `state`: what it shows.
//! - `routes`: the paths. `guard`: who gets past the login. `headers`: what browsers may do with a page.
//! - `visit`: a signed-in request. `session`: who is signed in. `fields`: queries and forms.
//! - `layout`, `text`, `shown`: the frame of all pages; text that stays text; times and counts.
//! - One file a panel: `login`, `health`, `people`, `person`, `conversation`, `migrations`, `live`, `trail`,
//!   `tokens`.
//!
//! A panel makes calls of the service and shows their answers; it decides nothing.

mod conversation;
mod fields;
mod guard;
mod headers;
mod health;
mod host;
mod layout;
mod live;
mod login;
mod migrations;
mod people;
mod person;
mod routes;
mod run;
mod session;
mod shown;
mod state;
mod text;
mod tokens;
mod trail;
mod visit;

pub use host::{Admitted, Denied, Host, KnownToken, Pass};
pub use routes::routes;
pub use state::Ui;
