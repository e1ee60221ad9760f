//! The `card-reader` program: command line, the terminal's files, and what is printed.

pub(crate) mod args;
pub(crate) mod report;
pub(crate) mod terminal;
