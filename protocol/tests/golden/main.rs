//! Every message of the protocol has a golden file below `protocol/golden`: what is sent is written exactly so, and what lies there is
//! still understood. A kind of message without one fails.
//!
//! To add one, add its example here and run the tests with `CLAUSTRE_GOLDEN=add`, which writes the files that are missing and never
//! changes one that is there.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod check;
mod dashboard;
mod hook;
mod link;
mod request;
mod rpc;
mod samples;
