//! Long stretches of blanks, which no part of a record can hold; carried beside its text.

use serde_json::{Map, Value, json};

use super::Metadata;

/// The metadata key of a JSON text with this program's marks and the metadata that Zep does not take.
pub(crate) const EXTRA_KEY: &str = "zm_x";
/// In [`EXTRA_KEY`]: the gaps of the part's text.
pub(crate) const GAPS: &str = "gaps";
/// The most bytes of blanks that are read: as many as the longest record has, 1,000,000 characters.
const MAX_GAP_BYTES: usize = 1_000_000 * char::MAX.len_utf8();

/// The longest line, in bytes, for which repetitions are written as a count.
const REPEATED_LINE_BYTES: usize = 64;
/// The shortest run of equal characters that is written as a count.
const REPEATED_CHARS: usize = 4;

/// A stretch of blanks cut out of a part's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its place: the index, in characters, of the character after it in the part's text.
    pub at: usize,
    /// The blanks.
    pub text: String,
}

/// The text of a stored part with its gaps, which its metadata holds.
pub(crate) fn text_with_gaps(text: &str, metadata: Option<&Metadata>) -> String {
    let gaps = metadata.and_then(|metadata| {
        let extra = metadata.get(EXTRA_KEY)?.as_str()?;
        let extra: Map<String, Value> = serde_json::from_str(extra).ok()?;
        from_json(extra.get(GAPS)?)
    });
    restore(text, &gaps.unwrap_or_default())
}

/// Puts gaps back into a text. Gaps are in ascending order; one beyond the end (the text was
/// changed) goes to the end.
pub(crate) fn restore(text: &str, gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        return text.to_owned();
    }
    let mut whole = String::with_capacity(text.len());
    let mut gaps = gaps.iter().peekable();
    for (index, c) in text.chars().enumerate() {
        while let Some(gap) = gaps.next_if(|gap| gap.at <= index) {
            whole.push_str(&gap.text);
        }
        whole.push(c);
    }
    gaps.for_each(|gap| whole.push_str(&gap.text));
    whole
}

/// `[[at, [[text, times], …]], …]`: blanks are nearly always few different runs, repeated.
pub(crate) fn to_json(gaps: &[Gap]) -> Value {
    gaps.iter()
        .map(|gap| json!([gap.at, shrink(&gap.text)]))
        .collect()
}

/// Reads the output of [`to_json`]; `None` for anything else, and for more text than a record can
/// have.
pub(crate) fn from_json(value: &Value) -> Option<Vec<Gap>> {
    let mut room = MAX_GAP_BYTES;
    let mut gaps = value
        .as_array()?
        .iter()
        .map(|gap| {
            let [at, runs] = gap.as_array()?.as_slice() else {
                return None;
            };
            let mut text = String::new();
            for run in runs.as_array()? {
                let [unit, times] = run.as_array()?.as_slice() else {
                    return None;
                };
                let (unit, times) = (unit.as_str()?, usize::try_from(times.as_u64()?).ok()?);
                room = room.checked_sub(unit.len().checked_mul(times)?)?;
                text.push_str(&unit.repeat(times));
            }
            Some(Gap {
                at: usize::try_from(at.as_u64()?).ok()?,
                text,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    gaps.sort_by_key(|gap| gap.at);
    Some(gaps)
}

fn shrink(text: &str) -> Vec<(String, usize)> {
    let mut runs = Vec::new();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for same in lines.chunk_by(|a, b| a == b) {
        let line = same[0];
        if same.len() > 1 && line.len() <= REPEATED_LINE_BYTES {
            runs.push((line.to_owned(), same.len()));
            continue;
        }
        for line in same {
            shrink_line(line, &mut runs);
        }
    }
    runs
}

fn shrink_line(line: &str, runs: &mut Vec<(String, usize)>) {
    let chars: Vec<char> = line.chars().collect();
    for same in chars.chunk_by(|a, b| a == b) {
        if same.len() >= REPEATED_CHARS {
            runs.push((same[0].to_string(), same.len()));
        } else if let Some((text, 1)) = runs.last_mut() {
            text.extend(same);
        } else {
            runs.push((same.iter().collect(), 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_come_back_as_they_were_and_are_short_when_they_repeat() {
        for (text, bytes) in [
            (" ".repeat(900_000), 30),
            ("\n".repeat(9_000), 30),
            ("    \n".repeat(5_000), 30),
            (format!("{}\n{}", " ".repeat(5_000), "\t".repeat(3)), 40),
            (" \t".repeat(1_000), 3_100),
        ] {
            let gaps = vec![
                Gap {
                    at: 3,
                    text: text.clone(),
                },
                Gap { at: 9, text },
            ];
            let json = to_json(&gaps);
            assert_eq!(from_json(&json), Some(gaps));
            assert!(
                json.to_string().len() <= 2 * bytes + 2,
                "{}",
                json.to_string().len()
            );
        }
    }

    #[test]
    fn gaps_of_somebody_else_are_not_believed() {
        for wrong in [
            json!(null),
            json!([[0]]),
            json!([[0, " "]]),
            json!([[-1, [[" ", 1]]]]),
            json!([[0, [[" ", -1]]]]),
            json!([[0, [[" ", u64::MAX]]]]),
            json!([[0, [["  ", 4_000_000_000_u64]]]]),
        ] {
            assert_eq!(from_json(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_gap_behind_the_end_goes_to_the_end() {
        let gap = |at, text: &str| Gap {
            at,
            text: text.into(),
        };
        assert_eq!(
            restore("ab", &[gap(0, "1"), gap(1, "2"), gap(7, "3")]),
            "1a2b3"
        );
        assert_eq!(restore("", &[gap(0, " ")]), " ");
    }
}
