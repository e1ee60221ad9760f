//! All SQL of the issuer, for SQLite and PostgreSQL.
