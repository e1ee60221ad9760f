//! The issuing office: applications, decisions, production of cards, and its HTTP API.
