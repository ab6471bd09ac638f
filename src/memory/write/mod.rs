//! Storing memories: requests, the jobs that carry them out, and the locks between them.

pub mod batch;
pub mod import;
pub(crate) mod job;
pub(crate) mod locks;
mod once;
pub(crate) mod request;
pub(crate) mod work;
