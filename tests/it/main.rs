//! The integration tests: a file per promise.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by a panic, and its parts are not an interface"
)]

mod api_keys;
mod architecture;
mod complaints;
mod conf_file;
mod docker;
mod dogstatsd;
mod environment;
mod examples;
mod hidden;
mod identity;
mod init_exit_codes;
mod init_first_instant;
mod init_gvisor;
mod init_reaping;
mod init_signals;
mod init_start_state;
mod init_stdio;
mod init_terminal;
mod intake_drain;
mod intake_limits;
mod intake_mutations;
mod intake_routes;
mod log_files;
mod logs;
mod obfuscation;
mod older;
mod otlp_corpus;
mod otlp_grpc;
mod otlp_http;
mod otlp_mutations;
mod otlp_signals;
mod output;
mod platform;
mod proxy;
mod quickstart;
mod real_dogstatsd;
mod real_go;
mod real_node;
mod real_otlp;
mod real_otlp_signals;
mod real_platforms;
mod real_python;
mod redaction;
mod reference;
mod relay;
mod report;
mod sampling;
mod settings;
mod sketches;
mod stats;
mod support;
mod usage;
mod view;
