// The real Datadog trace agent as a peer for measurements: the published packages with their defaults, the agent's own receiver and writers,
// listening on PEER_PORT and sending to PEER_INTAKE.
package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/DataDog/datadog-agent/pkg/obfuscate"
	"github.com/DataDog/datadog-agent/pkg/trace/agent"
	"github.com/DataDog/datadog-agent/pkg/trace/config"
	"github.com/DataDog/datadog-agent/pkg/trace/telemetry"
	"github.com/DataDog/datadog-go/v5/statsd"
	"github.com/DataDog/zstd"
)

// The agent's own zstd component is not published; this one makes the same calls of the same C library.
type zstdComponent struct{}

func (zstdComponent) NewWriter(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriterLevel(w, zstd.BestSpeed), nil
}
func (zstdComponent) NewReader(r io.Reader) (io.ReadCloser, error) { return zstd.NewReader(r), nil }
func (zstdComponent) Encoding() string                             { return "zstd" }

func main() {
	port, err := strconv.Atoi(os.Getenv("PEER_PORT"))
	if err != nil {
		panic("PEER_PORT is not a number")
	}
	c := config.New()
	c.ReceiverHost, c.ReceiverPort = "127.0.0.1", port
	c.Endpoints = []*config.Endpoint{{Host: os.Getenv("PEER_INTAKE"), APIKey: "x"}}
	c.Hostname, c.AgentVersion = "bench", "7.85.2"
	c.HasContainerFeatures = false
	c.DecoderTimeout, c.ConnectionLimit = 1000, 2000
	c.StatsdEnabled, c.TelemetryConfig.Enabled, c.EVPProxy.Enabled = false, false, false
	c.HTTPTransportFunc = func() *http.Transport { return http.DefaultTransport.(*http.Transport).Clone() }
	// What the agent's settings file says by default.
	c.Obfuscation = &config.ObfuscationConfig{
		ES: obfuscate.JSONConfig{Enabled: true}, OpenSearch: obfuscate.JSONConfig{Enabled: true}, Mongo: obfuscate.JSONConfig{Enabled: true},
		Memcached: obfuscate.MemcachedConfig{Enabled: true}, Redis: obfuscate.RedisConfig{Enabled: true}, Valkey: obfuscate.ValkeyConfig{Enabled: true},
		CreditCards: obfuscate.CreditCardsConfig{Enabled: true}, Cache: obfuscate.CacheConfig{Enabled: true, MaxSize: 5_000_000},
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	agent.NewAgent(ctx, c, telemetry.NewNoopCollector(), &statsd.NoOpClient{}, zstdComponent{}).Run()
}
