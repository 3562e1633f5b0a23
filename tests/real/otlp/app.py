"""A shop's work, traced by OpenTelemetry's SDK alone; every span that was made is a line on stdout."""

import os

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter


class Printer(SpanProcessor):
    def on_end(self, span):
        context = span.get_span_context()
        print(f"{context.trace_id:032x} {context.span_id:016x} {span.name}", flush=True)


provider = TracerProvider(resource=Resource.create())
provider.add_span_processor(Printer())
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop", "0.1")


def order(number):
    attributes = {"http.request.method": "GET", "http.route": "/orders/{number}", "http.response.status_code": 200}
    with tracer.start_as_current_span("GET /orders/{number}", kind=SpanKind.SERVER, attributes=attributes) as server:
        server.add_event("accepted", {"number": number, "ok": True})
        query = {"db.system.name": "postgresql", "db.query.text": "SELECT item FROM orders WHERE number = 7"}
        with tracer.start_as_current_span("SELECT orders", kind=SpanKind.CLIENT, attributes=query) as client:
            client.set_attribute("order.number", number)
        return trace.Link(server.get_span_context())


def fail(link):
    attributes = {"http.request.method": "GET", "http.response.status_code": 500}
    with tracer.start_as_current_span("GET /fail", kind=SpanKind.SERVER, attributes=attributes, links=[link]) as span:
        try:
            raise ValueError("the warehouse is closed")
        except ValueError as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, "the warehouse is closed"))


for number in range(int(os.environ.get("ORDERS", "20"))):
    last = order(number)
fail(last)
provider.shutdown()
