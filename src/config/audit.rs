//! The audit trail.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::words::words;
use super::{Setting, parse};
use crate::audit::{self, Options};

/// How many days entries may be kept. The default is six years: 45 CFR 164.316(b)(2)(i).
const DAYS: RangeInclusive<u32> = 1..=36_500;

words!(
    /// What happens while the audit trail cannot be written.
    pub AuditMode {
        /// Calls are refused.
        On = "on",
        /// Calls go on, with a warning.
        Warn = "warn",
        /// There is no trail.
        Off = "off",
    }
);

/// How the audit trail is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSettings {
    /// What happens while it cannot be written.
    pub mode: AuditMode,
    /// How many days entries are kept.
    pub days: u32,
}

impl AuditSettings {
    /// The directory of the trail within a data directory.
    pub fn directory(data_dir: &Path) -> PathBuf {
        data_dir.join(audit::DIRECTORY)
    }

    /// How the trail in this data directory is written; `None` if there is none.
    pub fn options(&self, data_dir: &Path) -> Option<Options> {
        let is_required = match self.mode {
            AuditMode::On => true,
            AuditMode::Warn => false,
            AuditMode::Off => return None,
        };
        let directory = Self::directory(data_dir);
        Some(Options::new(directory, is_required, self.days))
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<AuditSettings> {
    let mode = reader.value(Setting::Audit, AuditMode::parse, ToString::to_string);
    let days = reader.value(
        Setting::AuditDays,
        |raw| parse::number(raw, DAYS, "days"),
        u32::to_string,
    );
    Some(AuditSettings {
        mode: mode?,
        days: days?,
    })
}
