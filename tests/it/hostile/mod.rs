//! Attacks from outside, bounded: what a stranger, a slow client or a crash may cost others.

mod attack;

mod http_lines;
mod once;
mod shares;
mod store;
mod unread;
