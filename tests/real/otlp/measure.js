// A shop's work, measured and logged by OpenTelemetry's SDK alone, and sent at the end: what measure.py does, and three more kinds of instruments.
'use strict'

const { context, trace, TraceFlags, ValueType } = require('@opentelemetry/api')
const { SeverityNumber } = require('@opentelemetry/api-logs')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs')
const { AggregationType, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics')
const { defaultResource, resourceFromAttributes } = require('@opentelemetry/resources')

// The exporter for each protocol is a package of its own.
const PACKAGES = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }
const name = PACKAGES[process.env.OTEL_EXPORTER_OTLP_PROTOCOL]
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${name}`)
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${name}`)

const ORDERS = Number(process.env.ORDERS)

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const resource = defaultResource().merge(resourceFromAttributes({
  'service.name': process.env.OTEL_SERVICE_NAME,
  'service.version': '1.2.3',
  'deployment.environment.name': 'testing'
}))
const meters = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
  views: [{ instrumentName: 'shop.weight', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }]
})
const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor(new OTLPLogExporter())] })
const logger = loggers.getLogger('shop', '0.1')
const meter = meters.getMeter('shop', '0.1')
const orders = meter.createCounter('shop.orders')
const depth = meter.createUpDownCounter('shop.queue')
const took = meter.createHistogram('shop.took')
const weight = meter.createHistogram('shop.weight')
const price = meter.createGauge('shop.price')
const open = meter.createObservableCounter('shop.opened', { valueType: ValueType.INT })
open.addCallback((result) => result.observe(3, { door: 'öst' }))

function order (number) {
  orders.add(1, { kind: 'book' })
  depth.add(2)
  took.record(number)
  weight.record(number + 0.5)
  price.record(number * 1.25)
  logger.emit({
    severityNumber: SeverityNumber.WARN,
    severityText: 'WARN',
    body: `order ${number}`,
    attributes: { order: number, 'shop.gift': number % 2 === 0, place: 'Zoë’s' }
  })
}

async function main () {
  const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: TraceFlags.SAMPLED }
  context.with(trace.setSpanContext(context.active(), span), () => {
    for (let number = 0; number < ORDERS; number++) order(number)
  })
  // Totals have to be older than a millisecond, or they say that they begin when they are read.
  await new Promise((resolve) => setTimeout(resolve, 20))
  await meters.forceFlush()
  for (let number = 0; number < 5; number++) took.record(100 + number)
  await meters.shutdown()
  await loggers.shutdown()
}

main()
