//! The terminal side: PC/SC transport, typed sessions for the three doors, and the card-reader program.

pub mod transport;
