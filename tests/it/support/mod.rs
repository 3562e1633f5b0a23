//! What several tests use.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "not every test uses every part, and `pub` is shorter than `pub(crate)`"
)]

pub mod arrived;
pub mod authority;
pub mod bodies;
pub mod connect_proxy;
pub mod decoded;
pub mod first_instant;
pub mod grpc;
pub mod http;
pub mod limited;
pub mod lines;
pub mod logged;
pub mod metrics;
pub mod mutate;
#[path = "../../shared/noise.rs"]
pub mod noise;
pub mod otlp;
pub mod place;
pub mod pty;
#[path = "../../shared/recorded.rs"]
pub mod recorded;
pub mod recorder;
pub mod running_intake;
pub mod running_otlp;
pub mod tee;
pub mod tee_v10;
pub mod traced;
pub mod wrapped;
