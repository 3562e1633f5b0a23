// A shop's work, traced by OpenTelemetry's SDK alone; every span that was made is a line on stdout.
'use strict'

const { context, trace, SpanKind, SpanStatusCode } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http')
const { defaultResource, resourceFromAttributes } = require('@opentelemetry/resources')
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base')

const printer = {
  onStart () {},
  onEnd (span) {
    const { traceId, spanId } = span.spanContext()
    console.log(`${traceId} ${spanId} ${span.name}`)
  },
  forceFlush: async () => {},
  shutdown: async () => {}
}

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const provider = new BasicTracerProvider({
  resource: defaultResource().merge(resourceFromAttributes({
    'service.name': process.env.OTEL_SERVICE_NAME,
    'service.version': '1.2.3',
    'deployment.environment.name': 'testing'
  })),
  spanProcessors: [printer, new BatchSpanProcessor(new OTLPTraceExporter())]
})
trace.setGlobalTracerProvider(provider)
const tracer = trace.getTracer('shop', '0.1')

function order (number) {
  const attributes = { 'http.request.method': 'GET', 'http.route': '/orders/{number}', 'http.response.status_code': 200 }
  return tracer.startActiveSpan('GET /orders/{number}', { kind: SpanKind.SERVER, attributes }, (server) => {
    server.addEvent('accepted', { number, ok: true })
    const query = { 'db.system.name': 'postgresql', 'db.query.text': 'SELECT item FROM orders WHERE number = 7' }
    tracer.startActiveSpan('SELECT orders', { kind: SpanKind.CLIENT, attributes: query }, (client) => {
      client.setAttribute('order.number', number)
      client.end()
    })
    server.end()
    return { context: server.spanContext() }
  })
}

function fail (link) {
  const attributes = { 'http.request.method': 'GET', 'http.response.status_code': 500 }
  const span = tracer.startSpan('GET /fail', { kind: SpanKind.SERVER, attributes, links: [link] })
  span.recordException(new Error('the warehouse is closed'))
  span.setStatus({ code: SpanStatusCode.ERROR, message: 'the warehouse is closed' })
  span.end()
}

let last
for (let number = 0; number < Number(process.env.ORDERS || 20); number++) last = order(number)
fail(last)
provider.shutdown()
