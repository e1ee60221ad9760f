//! The signing page: static, at an origin of its own, so that no page of the counter can ask the authenticators that sign mandates. It
//! gets a mandate by navigation, shows in words what its bytes say beside the photo whose digest it checks, asks the authenticator, and
//! goes back with the signature.
//!
//! Whoever serves it holds nothing: no ledger, no session, no cookie. In a rehearsal it holds the key files of sample staff, and signs
//! with them at the press of the button. Left out: the program around it (`issuer signing-page`, `permit up`), TLS (a proxy ends it), and
//! checking what was signed (the office).

mod page;
mod rehearsal;

pub use page::{SigningPage, serve};
pub use rehearsal::{REHEARSAL_ORIGIN, RehearsalKey, RehearsalKeys};
