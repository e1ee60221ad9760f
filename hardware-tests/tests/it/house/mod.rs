//! The house in order: which crate may use which, doors that open, no files that import each other in a circle, one place
//! for each promise, each step of a life reached by people, two languages for each failure, documents that name what exists, and
//! units of the service manager that fit programs, users and folders.

mod allowed_edges;
mod documents;
mod doors;
mod imports;
mod languages;
mod promises;
mod transitions;
mod units;
