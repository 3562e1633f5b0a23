//! pillion: the second rider of a container. It starts the app as its child, is a correct PID 1, takes the app's traces in-process and
//! relays them to Datadog; ARCHITECTURE.md is the map. Modules in reading order.

pub mod app;
pub mod cgroup;
pub mod cli;
pub mod config;
pub mod dogstatsd;
pub mod environment;
pub mod init;
pub mod intake;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod pattern;
pub mod pipeline;
pub mod platform;
pub mod proxy;
pub mod relay;
pub mod report;
pub mod ring;
pub mod secret;
mod server;
pub mod tags;
pub mod trace;
pub mod usage;
pub mod version;
pub mod view;
mod wire;
