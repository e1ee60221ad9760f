//! The HTTP API of the office: OpenAPI 3.1 from the handlers, one file per operation, RFC 9457 for every refusal.
//!
//! Operations: create, read, correct and withdraw an application, take, see, confirm, take back and erase its applicant's
//! photo, open and close its case, decide, order production and give it up, order status, read a permit, propose, sign off
//! and give up a change of its card, health and readiness. No operation searches: everything is read by an id that the
//! caller was given with an open case. Requests are logged by method, route, status and time; never by path, body or query.
//! Left out: TLS (a proxy or the mTLS of the counter agents ends it), what needs the office's own key or a reader (sealing
//! updates, writing a card), and the counter's pages.

mod approve_change;
mod approve_erasure;
mod body;
mod caller;
mod change_status;
mod complete_intake;
mod confirm_photo;
mod connections;
mod correct_application;
mod create_application;
mod decide;
mod decision_body;
mod failure;
mod give_up_change;
mod give_up_order;
mod health;
mod idempotency;
mod language;
mod list_photos;
mod look_at_photo;
mod order_production;
mod order_status;
mod path;
mod photo_body;
mod photo_case;
mod photo_reads;
mod problem;
mod propose_change;
mod read_application;
mod read_mandate;
mod read_permit;
mod read_proposal;
mod readiness;
mod request_erasure;
mod router;
mod state;
mod submit_photo;
mod take_back_photo;
mod withdraw_application;

pub use router::openapi_json;
pub use state::{Api, Times};
