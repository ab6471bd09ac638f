//! Context blocks: facts as text for a prompt.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::matches::{Match, best};
use crate::local::row_filter::{RowFilter, ShownAs};
use crate::local::sqlite::{Step, Work};
use crate::local::tables::{messages, owners, threads};
use crate::local::words::question;
use crate::zep::{Fact, ThreadContext, ThreadId};

/// How many facts a context block has. Ours: Zep documents no number.
pub(super) const FACTS: usize = 20;
/// How many of a thread's latest messages its context block is about. Ours: Zep says "the past
/// few".
const MESSAGES: u32 = 4;

/// The context block for a thread's latest messages.
pub(crate) fn thread_context(w: &Work<'_>, thread: &ThreadId) -> Step<ThreadContext> {
    let found = threads::find(w, thread)?;
    let texts = messages::latest_texts(w, &found, MESSAGES)?;
    let owner = owners::find(w, &threads::owner_of(&found)?)?;
    let words = question(&texts.join("\n"));
    let all = RowFilter::default();
    let found = best(w, &owner, &words, &all, ShownAs::Fact, FACTS)?;
    Ok(ThreadContext {
        context: Some(block(&facts(found))),
    })
}

/// The facts of a context block: of a long record the part that matched, so that one record cannot
/// fill a prompt.
pub(super) fn facts(found: Vec<Match>) -> Vec<Fact> {
    found
        .into_iter()
        .map(|Match { row, piece, .. }| {
            let fact = row.into_fact(None);
            Fact {
                fact: piece.unwrap_or(fact.fact),
                ..fact
            }
        })
        .collect()
}

/// Facts with the date ranges in which they are true, in the form of Zep's own context blocks.
pub(super) fn block(facts: &[Fact]) -> String {
    let mut block = String::from(
        "FACTS represent relevant context to the current conversation.\n\n\
         # These are the most relevant facts and their valid date ranges\n\
         # format: FACT (Date range: from - to)\n<FACTS>\n",
    );
    for fact in facts {
        let from = fact.valid_at.map_or_else(|| "unknown".into(), date);
        let to = fact.invalid_at.map_or_else(|| "present".into(), date);
        block.push_str(&format!("  - {} ({from} - {to})\n", fact.fact));
    }
    block.push_str("</FACTS>\n");
    block
}

fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}
