//! Reads the spans of an OTLP request (opentelemetry-proto: collector/trace/v1, trace/v1, common/v1). By
//! hand, so that what arrives is not judged by the code that sent it.

use std::collections::BTreeMap;

/// A span as it arrived. Ids are hexadecimal.
#[derive(Debug, Clone, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty at the root.
    pub parent: String,
    pub state: String,
    pub name: String,
    /// `server`, `client` or `consumer`.
    pub kind: &'static str,
    pub begun: u64,
    pub ended: u64,
    pub attributes: BTreeMap<String, String>,
    /// The ids of linked spans.
    pub links: Vec<String>,
    pub failed: bool,
    /// The attributes of its program.
    pub resource: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The fields of a message, by number.
struct Message<'a>(Vec<(u64, Field<'a>)>);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number that does not end")
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

impl<'a> Message<'a> {
    fn of(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Number(varint(&mut bytes)),
                1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    Field::Bytes(take(&mut bytes, length))
                }
                5 => Field::Number(
                    u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into(),
                ),
                other => panic!("a field of type {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    fn all(&self, number: u64) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter_map(move |(known, field)| match field {
            Field::Bytes(bytes) if *known == number => Some(*bytes),
            _ => None,
        })
    }

    fn messages(&self, number: u64) -> impl Iterator<Item = Message<'a>> {
        self.all(number).map(Message::of)
    }

    fn bytes(&self, number: u64) -> &'a [u8] {
        self.all(number).next().unwrap_or_default()
    }

    fn text(&self, number: u64) -> String {
        String::from_utf8(self.bytes(number).to_vec()).unwrap()
    }

    fn hex(&self, number: u64) -> String {
        let bytes = self.bytes(number).iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    fn number(&self, number: u64) -> Option<u64> {
        self.0.iter().find_map(|(known, field)| match field {
            Field::Number(value) if *known == number => Some(*value),
            _ => None,
        })
    }

    /// The attributes in a field: texts, truths and numbers.
    fn attributes(&self, number: u64) -> BTreeMap<String, String> {
        let pairs = self.messages(number).map(|pair| {
            let value = Message::of(pair.bytes(2));
            let text = match (value.number(2), value.number(3)) {
                (Some(truth), _) => (truth == 1).to_string(),
                (_, Some(number)) => number.to_string(),
                _ => value.text(1),
            };
            (pair.text(1), text)
        });
        pairs.collect()
    }
}

/// The spans of a request.
pub fn spans(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for group in Message::of(request).messages(1) {
        let resource = Message::of(group.bytes(1)).attributes(1);
        for scope in group.messages(2) {
            spans.extend(scope.messages(2).map(|span| span_of(&span, &resource)));
        }
    }
    spans
}

fn span_of(span: &Message<'_>, resource: &BTreeMap<String, String>) -> Span {
    // Events would hold what is logged.
    assert_eq!(span.messages(11).count(), 0, "{}", span.text(5));
    let status = Message::of(span.bytes(15));
    assert_eq!(status.text(2), "", "{}", span.text(5));
    Span {
        trace: span.hex(1),
        id: span.hex(2),
        parent: span.hex(4),
        state: span.text(3),
        name: span.text(5),
        kind: match span.number(6) {
            Some(2) => "server",
            Some(3) => "client",
            Some(5) => "consumer",
            _ => "other",
        },
        begun: span.number(7).unwrap(),
        ended: span.number(8).unwrap(),
        attributes: span.attributes(9),
        links: span.messages(13).map(|link| link.hex(2)).collect(),
        failed: status.number(3) == Some(2),
        resource: resource.clone(),
    }
}
