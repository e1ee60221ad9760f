//! Messages of the key vault, and a client over any byte stream.
