//! Messages of the photo store, and a client over any byte stream.
