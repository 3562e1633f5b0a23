"""A small shop: one plain route, one that works with a database, one that fails."""

import os
import sqlite3

from ddtrace.trace import tracer
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello World!\n"


@app.get("/orders/<int:number>")
def order(number):
    # The tracer makes a span of each query by itself; this one around them is our own.
    with tracer.trace("order.load", resource=f"order {number}") as span:
        span.set_tag("order.number", number)
        shop = sqlite3.connect(":memory:")
        shop.execute("CREATE TABLE orders (number INTEGER, item TEXT)")
        shop.execute("INSERT INTO orders VALUES (?, ?)", (number, "a pillion seat"))
        (item,) = shop.execute("SELECT item FROM orders WHERE number = ?", (number,)).fetchone()
        shop.close()
    return {"number": number, "item": item}


@app.get("/fail")
def fail():
    raise ValueError("the warehouse is closed")


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "5050")))
