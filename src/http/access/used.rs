//! When tokens were used last, by the names of their entries.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::audit::{Proof, Who};

/// The most names that are kept. Ours: above the most entries of a file of tokens.
const MAX_NAMES: usize = 20_000;

/// When each token was used last.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<HashMap<Arc<str>, Timestamp>>);

impl Used {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a token is used now. Those that an issuer signs are not noted: there is no list of them.
    pub(super) fn note(&self, who: &Who) {
        if who.proof != Proof::Token {
            return;
        }
        let mut used = self.lock();
        if used.len() >= MAX_NAMES && !used.contains_key(&who.name) {
            // Names that were replaced in the file have gathered.
            used.clear();
        }
        used.insert(Arc::clone(&who.name), Timestamp::now());
    }

    /// When a token was used last by this process.
    pub(super) fn at(&self, name: &str) -> Option<Timestamp> {
        self.lock().get(name).copied()
    }
}
