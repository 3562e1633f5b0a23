//! The recording intake of the integration tests, and the way to it.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "shared with other tests, of which this one uses a part"
)]

#[path = "../it/support/authority.rs"]
pub mod authority;
#[path = "../it/support/connect_proxy.rs"]
pub mod connect_proxy;
#[path = "../it/support/decoded.rs"]
pub mod decoded;
#[path = "../it/support/metrics.rs"]
pub mod metrics;
#[path = "../it/support/recorder.rs"]
pub mod recorder;
