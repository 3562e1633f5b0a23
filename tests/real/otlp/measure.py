"""A shop's work, measured and logged by OpenTelemetry's SDK alone, and sent once, at the end."""

import logging
import os

from opentelemetry import metrics
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

resource = Resource.create()
meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.set_meter_provider(meters)
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(loggers)
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=loggers))

meter = metrics.get_meter("shop", "0.1")
orders = meter.create_counter("shop.orders")
depth = meter.create_up_down_counter("shop.queue")
took = meter.create_histogram("shop.took")
for number in range(int(os.environ.get("ORDERS", "20"))):
    orders.add(1, {"kind": "book"})
    depth.add(2)
    took.record(number)
    logger.warning("order %d", number, extra={"order": number})
meters.force_flush()
for number in range(5):
    took.record(100 + number)
meters.shutdown()
loggers.shutdown()
