//! The two versions that are said of us: the agent whose behaviour is reproduced, and our own.

/// The version of Datadog's agent whose behaviour is reproduced. Tracers and the intake read it: in `/info`, in headers and in payloads.
pub const AGENT: &str = "7.85.2";

/// Our own name and version, as in `--version`, `agent_implementation` of `/info` and the commit part of the User-Agent.
pub const OWN: &str = concat!("pillion-", env!("CARGO_PKG_VERSION"));
