//! What a mandate is and is not: its one text, the list that is signed at once, the assertion of an authenticator, and the two people.
//! Authenticators are played by a key of p256, as their specification says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod assertion;
mod authority;
mod batch;
mod sample;
mod text;
