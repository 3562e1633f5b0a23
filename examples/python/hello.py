"""A small shop: one plain route, one that works with a database, one that fails. It logs its orders, counts them and measures them."""

import logging
import os
import signal
import sqlite3
import sys

from datadog import statsd
from ddtrace.trace import tracer
from flask import Flask

import logs

logs.start()
# Requests are seen in the traces; no line for each.
logging.getLogger("werkzeug").setLevel(logging.WARNING)
app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello World!\n"


@app.get("/orders/<int:number>")
def order(number):
    # The tracer makes a span of each query by itself; this one around them is our own. Beside it stands a distribution, in seconds.
    with tracer.trace("order.load", resource=f"order {number}") as span, statsd.distributed("shop.order.duration"):
        span.set_tag("order.number", number)
        shop = sqlite3.connect(":memory:")
        shop.execute("CREATE TABLE orders (number INTEGER, item TEXT)")
        shop.execute("INSERT INTO orders VALUES (?, ?)", (number, "a pillion seat"))
        (item,) = shop.execute("SELECT item FROM orders WHERE number = ?", (number,)).fetchone()
        shop.close()
        app.logger.info("order %d is %s", number, item)
    statsd.increment("shop.orders", tags=["item:seat"])
    return {"number": number, "item": item}


@app.get("/fail")
def fail():
    raise ValueError("the warehouse is closed")


if __name__ == "__main__":
    # Beside a sidecar it is process 1 of its container, and such a one does not hear TERM without a handler of its own.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    app.run(host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "5050")))
