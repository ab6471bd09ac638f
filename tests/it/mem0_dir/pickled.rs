//! Pickles as Python writes them, and as an attacker would.

/// Opcodes.
pub const MARK: &[u8] = b"(";
pub const EMPTY_LIST: &[u8] = b"]";
pub const EMPTY_DICT: &[u8] = b"}";
pub const MEMOIZE: &[u8] = b"\x94";
pub const STOP: &[u8] = b".";

/// A text.
pub fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

/// A dictionary of these pickled values.
pub fn dict(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut all = [EMPTY_DICT, MARK].concat();
    for (name, value) in fields {
        all.extend([text(name), value.clone()].concat());
    }
    all.push(b'u');
    all
}

/// An object of a class of Qdrant's client with these fields.
pub fn object(class: &str, fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let state = dict(&[
        ("__dict__", dict(fields)),
        ("__pydantic_extra__", b"N".to_vec()),
        ("__pydantic_fields_set__", b"\x8f".to_vec()),
        ("__pydantic_private__", b"N".to_vec()),
    ]);
    let module = text("qdrant_client.http.models.models");
    [&module, &text(class), &b"\x93)\x81"[..], &state, b"b"].concat()
}

/// A point with this payload, which is pickled already.
pub fn with_payload(id: &str, payload: Vec<u8>) -> Vec<u8> {
    let vector = dict(&[
        (
            "",
            b"](G\x3f\xf0\0\0\0\0\0\0G\x3f\xf0\0\0\0\0\0\0e".to_vec(),
        ),
        (
            "bm25",
            object("SparseVector", &[("indices", b"](K\x01e".to_vec())]),
        ),
    ]);
    let fields = [("id", text(id)), ("vector", vector), ("payload", payload)];
    [&b"\x80\x04"[..], &object("PointStruct", &fields), STOP].concat()
}

/// A point of mem0 with these texts in its payload.
pub fn point(id: &str, payload: &[(&str, &str)]) -> Vec<u8> {
    let payload: Vec<_> = payload
        .iter()
        .map(|(name, value)| (*name, text(value)))
        .collect();
    with_payload(id, dict(&payload))
}

/// A memory of ann's.
pub fn memory(id: &str, says: &str) -> Vec<u8> {
    point(id, &[("data", says), ("user_id", "ann")])
}
