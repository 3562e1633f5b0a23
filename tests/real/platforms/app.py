"""An app as users deploy it: a tracer, a DogStatsD client, and prints. Its one argument says how it ends."""

import sys
import time

from datadog import statsd
from ddtrace.trace import tracer

statsd.disable_telemetry()


def work():
    with tracer.trace("order.load", service="shop", resource="order 7", span_type="web") as span:
        span.set_tag("order.kind", "book")
        span.set_metric("order.number", 7)
        with tracer.trace("redis.command", service="redis", resource="GET", span_type="redis") as below:
            below.set_tag("redis.raw_command", "GET order:7")
    statsd.increment("orders", 2, tags=["kind:book"])
    statsd.gauge("queue", 4)
    statsd.distribution("size", 7.5)
    statsd.event("deployed", "version 1.2.3")
    statsd.service_check("db.up", 0)
    statsd.flush()
    print("loaded order 7", flush=True)
    print('{"level": "warn", "message": "the warehouse is nearly empty"}', flush=True)


work()
# The tracer sends once a second.
time.sleep(2)
if sys.argv[1] == "crash":
    raise ValueError("the warehouse is closed")
if sys.argv[1] == "wait":
    print("ready", flush=True)
    time.sleep(60)
print("done", end="", flush=True)
