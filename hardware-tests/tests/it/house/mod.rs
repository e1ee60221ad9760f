//! The house in order: which crate may use which, no files that import each other in a circle, one place for each promise.

mod allowed_edges;
mod imports;
mod promises;
