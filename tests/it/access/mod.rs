//! Authentication and authorisation.

mod authentication;
mod filters;
mod guessing;
mod library;
pub mod signed;
mod table;
mod token_new;
mod tokens_file;
mod world;
