//! A message from a client, before rmcp parses it.
//!
//! rmcp builds several copies of a whole message. So it is scanned while it arrives, refused where it
//! exceeds [`MESSAGE`], and a large export in it is left out for [`InlineData`].

use rmcp::{RoleServer, model::RequestId, service::RequestContext};
use serde::de::IgnoredAny;
use tokio_util::bytes::Bytes;

use super::jsonrpc::{MAX_ID_BYTES, Refusal, Refused, read_id};
use crate::json::{Bounds, Part, Scanner, TooMuch};
use crate::memory::filter::{MAX_CONDITIONS, MAX_ITEMS};
use crate::moves::Inline;

/// The bounds of a message. Values take about 600 bytes each while rmcp parses them (measured).
pub(crate) static MESSAGE: Bounds = Bounds {
    // The parser stops at 128.
    depth: 120,
    // A call with the most messages (1,000) and 60 fields in each.
    values: 64 * 1024,
    parts: &[
        Part {
            path: &["id"],
            values: 0,
            kept: MAX_ID_BYTES,
        },
        // More than the most conditions, with an object for each and its operator, and values.
        Part {
            path: &["params", "arguments", "filters"],
            values: MAX_CONDITIONS * 10 + MAX_ITEMS,
            kept: 0,
        },
        // An export is read item by item, and never built as a whole.
        Part {
            path: &["params", "arguments", "data"],
            values: usize::MAX,
            kept: 0,
        },
    ],
};
const ID: usize = 0;
const FILTERS: usize = 1;
const DATA: usize = 2;

/// The largest export that is parsed as a part of its message, in bytes.
const MAX_PARSED_DATA: usize = 64 * 1024;
/// What replaces a larger one. Sent by a client, it is no export.
const LEFT_OUT: &str = "zep-mcp-server: read apart from the message";

/// Scans a message that arrives in pieces.
#[derive(Debug)]
pub(crate) struct Incoming(Scanner);

/// How to stay within a bound.
pub(super) fn advice(exceeded: &TooMuch) -> String {
    match exceeded {
        TooMuch::Part(part) if **part == MESSAGE.parts[FILTERS] => format!(
            "use at most {MAX_CONDITIONS} conditions and {MAX_ITEMS} values in all; many values of one \
             field go into one `in`"
        ),
        TooMuch::Part(_) => "send a text or a number".into(),
        TooMuch::Depth(_) => "send a flatter value, or its JSON as a text".into(),
        TooMuch::Values(_) => {
            "send it in several calls; an export goes into `data` or `file` of migrate_user".into()
        }
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self(Scanner::new(&MESSAGE))
    }
}

impl Incoming {
    /// Reads the next piece. False if the message is refused and need not be kept any more; its id may
    /// still follow.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> bool {
        self.0.feed(piece);
        self.0.exceeded().is_none()
    }

    /// How many values rmcp would have to parse.
    pub(crate) fn values(&self) -> usize {
        self.0.values_outside(DATA)
    }

    /// The message for rmcp, and the export that was left out of it.
    pub(crate) fn finish(&self, message: Bytes) -> Result<(Bytes, Option<InlineData>), Refused> {
        let refused = |why| Refused::of(self.id(), why);
        if let Some(exceeded) = self.0.exceeded() {
            return Err(refused(Refusal::TooMuch { exceeded }));
        }
        let data = self.0.part(DATA);
        let Some(data) = data.filter(|data| data.len() > MAX_PARSED_DATA) else {
            return Ok((message, None));
        };
        let inline = message.slice(data.clone());
        let is_json = str::from_utf8(&inline)
            .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        if !is_json {
            return Err(refused(Refusal::NotJson));
        }
        let rest = [
            &message[..data.start],
            b"\"",
            LEFT_OUT.as_bytes(),
            b"\"",
            &message[data.end..],
        ];
        Ok((rest.concat().into(), Some(InlineData(inline))))
    }

    /// The message's id, if it was read to its end.
    pub(super) fn id(&self) -> Option<RequestId> {
        let id = str::from_utf8(self.0.kept(ID)?).ok()?;
        read_id(id.trim()).ok()
    }
}

/// The JSON of `data`, which was left out of its message. In the extensions of the request, or of its
/// HTTP request.
#[derive(Debug, Clone)]
pub(crate) struct InlineData(Bytes);

impl InlineData {
    /// The export of a request: this value, or what it replaces.
    pub(super) fn export(
        context: &RequestContext<RoleServer>,
        data: Option<serde_json::Value>,
    ) -> Option<Inline> {
        let left_out = Self::of(context, data.as_ref());
        left_out.map(Inline::Text).or(data.map(Inline::Value))
    }

    /// That of a request, if this value replaces it.
    fn of(context: &RequestContext<RoleServer>, data: Option<&serde_json::Value>) -> Option<Bytes> {
        let parts = context.extensions.get::<http::request::Parts>();
        let inline = context
            .extensions
            .get::<Self>()
            .or_else(|| parts.and_then(|parts| parts.extensions.get::<Self>()));
        let is_left_out = data.and_then(serde_json::Value::as_str) == Some(LEFT_OUT);
        inline
            .filter(|_| is_left_out)
            .map(|inline| inline.0.clone())
    }
}
