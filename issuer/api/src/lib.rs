//! The HTTP API of the office: OpenAPI 3.1 from the handlers, one file per operation, RFC 9457 for every refusal.
//!
//! Operations: create and read an application, take, see, confirm, take back and erase its applicant's photo, open and
//! close its case, decide, order production, order status, read a permit, health and
//! readiness. No operation searches: everything is read by an id that the caller was given with an open case. Requests
//! are logged by method, route, status and time; never by path, body or query. Left out: TLS (a proxy or the mTLS of the
//! counter agents ends it), and the counter's pages.

mod approve_erasure;
mod caller;
mod confirm_photo;
mod create_application;
mod decide;
mod health;
mod idempotency;
mod list_photos;
mod look_at_photo;
mod order_production;
mod order_status;
mod photo_body;
mod photo_case;
mod photo_reads;
mod problem;
mod read_application;
mod read_permit;
mod readiness;
mod request_erasure;
mod router;
mod state;
mod submit_photo;
mod take_back_photo;

pub use router::openapi_json;
pub use state::Api;
