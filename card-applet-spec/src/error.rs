//! What can be wrong with bytes: one error for the whole specification.

/// What can be wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side sent something that is not in the form of the specification.
    #[error("{what} has a wrong form")]
    Malformed {
        /// The object, in the words of the specification.
        what: &'static str,
    },
    /// Our side wants to write more than the form has room for.
    #[error("{what} does not fit")]
    TooLong {
        /// The object, in the words of the specification.
        what: &'static str,
    },
    /// A MAC, signature, tag, point or key is not right. Deliberately one value: which of them is nobody's business.
    #[error("the cryptographic check failed")]
    Crypto,
}
