module record

go 1.26.0

require github.com/DataDog/datadog-agent/pkg/obfuscate v0.85.2
