// A shop's work, measured with datadog-go as an app would use it. The first argument is where the agent is, the second how the client sends: `plain`,
// `aggregated` (its default) or `extended`. The same work is in ../hot-shots and ../java. With a third argument, `steady`, it is other work: the same
// metrics over and over, as fast as the client takes them, for longer than a bucket of ten seconds.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/DataDog/datadog-go/v5/statsd"
)

// What the app ends with, and nobody else.
const exitCode = 7

var manners = map[string]statsd.Option{
	"plain":      statsd.WithoutClientSideAggregation(),
	"aggregated": statsd.WithClientSideAggregation(),
	"extended":   statsd.WithExtendedClientSideAggregation(),
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	seconds, err := strconv.ParseInt(os.Getenv("THEN"), 10, 64)
	must(err)
	client, err := statsd.New(os.Args[1], manners[os.Args[2]], statsd.WithContainerID("00f4"), statsd.WithCardinality(statsd.CardinalityLow),
		statsd.WithErrorHandler(func(err error) { log.Fatal(err) }))
	must(err)
	if len(os.Args) > 3 {
		steadyWork(client)
	} else {
		// All of it in one bucket of ten seconds.
		if into := time.Now().UnixMilli() % 10000; into > 4000 {
			time.Sleep(time.Duration(10050-into) * time.Millisecond)
		}
		work(client, time.Unix(seconds, 0))
	}
	must(client.Close())
	telemetry := client.GetTelemetry()
	if dropped := telemetry.TotalDroppedOnReceive + telemetry.TotalPayloadsDropped; dropped > 0 {
		log.Fatalf("the client dropped %d", dropped)
	}
	os.Exit(exitCode)
}

func work(client *statsd.Client, then time.Time) {
	for number := range 300 {
		must(client.Incr("orders", []string{"kind:book", "place:Zoë’s", "url:http://shop/a"}, 1))
		must(client.Set("users", fmt.Sprintf("id:%d", number%8), nil, 1))
	}
	must(client.Count("orders", 5, []string{"kind:toy"}, 1))
	must(client.Count("stock", -3, nil, 1))
	for number := range 41 {
		must(client.Gauge("queue", float64(number), nil, 1))
	}
	for number := 1; number <= 100; number++ {
		must(client.Histogram("took", float64(number), nil, 1))
		must(client.Timing("load", time.Duration(number)*time.Millisecond, nil, 1))
	}
	for number := range 301 {
		must(client.Distribution("size", float64(number), nil, 1))
	}
	for number := range 400 {
		must(client.Incr("sampled", nil, 0.5))
		must(client.Distribution("sampled.size", 2, nil, 0.5))
		must(client.Gauge(fmt.Sprintf("many.%d", number), float64(number)+0.5, []string{fmt.Sprintf("n:%d", number)}, 1))
	}
	must(client.GaugeWithTimestamp("then", 7.25, []string{"k:v"}, 1, then))
	must(client.CountWithTimestamp("late", 20, nil, 1, then))
	must(client.Event(&statsd.Event{
		Title: "déployed", Text: "line 1\nlïne 2 | pipe", Timestamp: then, Hostname: "box", AggregationKey: "key", Priority: statsd.Low,
		SourceTypeName: "shop", AlertType: statsd.Warning, Tags: []string{"k:v"},
	}))
	must(client.ServiceCheck(&statsd.ServiceCheck{
		Name: "db.up", Status: statsd.Critical, Timestamp: then, Hostname: "box", Message: "m: dówn", Tags: []string{"k:v"},
	}))
}

// Twelve seconds: 24 bursts of 10,000 values of each of two metrics.
func steadyWork(client *statsd.Client) {
	for burst := range 24 {
		next := time.Now().Add(500 * time.Millisecond)
		must(client.Gauge("burst", float64(burst), nil, 1))
		for number := range 10_000 {
			must(client.Incr("steady", []string{fmt.Sprintf("n:%d", number%10)}, 1))
			must(client.Distribution("steady.size", float64(number), nil, 1))
		}
		time.Sleep(time.Until(next))
	}
}
