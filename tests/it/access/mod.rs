//! Who may do what: at the door, and behind it.

mod door;
mod filters;
mod library;
mod making;
mod revoking;
mod signed;
mod table;
mod world;
