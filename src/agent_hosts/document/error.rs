//! Why a file's text cannot be read or changed.

/// Never quotes the text, which contains keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A syntax error.
    #[error("line {line}, column {column}: {problem}")]
    Broken {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The parser's message.
        problem: String,
    },
    /// A value has the wrong type.
    #[error("{at} is not {expected}")]
    WrongKind {
        /// Its path.
        at: String,
        /// The type it must have.
        expected: &'static str,
    },
    /// A name occurs twice; hosts differ in which one they use.
    #[error("`{0}` occurs twice; remove one of them")]
    Twice(String),
    /// The edited text does not read back as intended. Not known to happen.
    #[error("the entry cannot be changed without touching something else; change it by hand")]
    Unsafe,
}
