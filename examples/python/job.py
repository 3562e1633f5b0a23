"""A job that packs orders and ends: a trace and a line for each, and their number as a metric. Its exit code says how it went.

The platform may run several tasks at once; each takes its own share of the orders. ORDERS is a list of numbers between commas.
"""

import logging
import os
import sys

from datadog import statsd
from ddtrace.trace import tracer

import logs

logs.start()
log = logging.getLogger("job")


@tracer.wrap("order.pack")
def pack(number):
    tracer.current_span().set_tag("order.number", number)
    if number < 0:
        raise ValueError(f"there is no order {number}")
    log.info("order %d is packed", number)
    statsd.increment("shop.packed")


def share(orders):
    """This task's part of all orders, on Cloud Run; all of them elsewhere."""
    index, count = (int(os.environ.get(f"CLOUD_RUN_TASK_{name}", default)) for name, default in (("INDEX", 0), ("COUNT", 1)))
    return orders[index::count]


failed = 0
for number in share([int(word) for word in os.environ.get("ORDERS", "1,2,3").split(",")]):
    try:
        pack(number)
    except ValueError:
        log.exception("order %d is left", number)
        failed += 1
# The tracer sends at the end what it holds, and pillion waits for it. The platform sees the job's own exit code and tries it again.
sys.exit(1 if failed else 0)
