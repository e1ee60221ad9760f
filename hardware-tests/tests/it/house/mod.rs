//! The house in order: which crate may use which, doors that open, no files that import each other in a circle, one place
//! for each promise.

mod allowed_edges;
mod doors;
mod imports;
mod promises;
