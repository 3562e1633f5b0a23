//! Stats: hits, errors and latencies of spans by group and time bucket, as the agent computes them (spec: trace-agent 5).
