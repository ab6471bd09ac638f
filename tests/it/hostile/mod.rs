//! Attacks from outside, bounded: what a stranger, a slow client or a crash may cost others.

mod once;
mod store;
