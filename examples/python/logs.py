"""Where the log lines of these examples go, and what stands in them."""

import logging
import logging.handlers
import os
import sys


def start():
    """Lines go to standard output, where the wrapper takes them, and to LOG_FILE, where a sidecar reads them."""
    outputs = [logging.StreamHandler(sys.stdout)]
    if os.environ.get("LOG_FILE"):
        # A volume in memory has to stay small. What is in a file when it is renamed is read all the same.
        outputs.append(logging.handlers.RotatingFileHandler(os.environ["LOG_FILE"], maxBytes=10_000_000, backupCount=1))
    # The tracer adds its ids to every record: by them Datadog shows a line beside its trace. Where it does not run, they are 0.
    line = logging.Formatter(
        "%(asctime)s %(levelname)s [%(name)s] [dd.trace_id=%(dd.trace_id)s dd.span_id=%(dd.span_id)s] - %(message)s",
        defaults={"dd.trace_id": "0", "dd.span_id": "0"},
    )
    for output in outputs:
        output.setFormatter(line)
    logging.basicConfig(level=logging.INFO, handlers=outputs)
