//! The photo store: judges, normalises, seals and releases permit photos.
