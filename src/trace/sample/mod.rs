//! Samplers: which traces are kept, and the rates that tracers are told (spec: trace-agent 4).
