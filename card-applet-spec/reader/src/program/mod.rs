//! The `card-reader` program: command line, configuration, the terminal's files, its work, and what is printed.

pub(crate) mod args;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod failure;
pub(crate) mod files;
pub(crate) mod founding;
pub(crate) mod holding;
pub(crate) mod identity;
pub(crate) mod portrait;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod self_test;
pub(crate) mod services;
pub(crate) mod serving;
pub(crate) mod sync;
pub(crate) mod terminal;
pub(crate) mod wire;
