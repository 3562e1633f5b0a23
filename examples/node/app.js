// A small shop: one plain route, one that asks another service, one that fails. It logs its orders, counts them and measures them.
'use strict'

const tracer = require('dd-trace').init()
const fs = require('fs')
const express = require('express')

const app = express()
const port = Number(process.env.PORT || 5050)

// A line of JSON to standard output, where the wrapper takes it, and to LOG_FILE, where a sidecar reads it. The tracer adds its ids: by them
// Datadog shows a line beside its trace.
const file = process.env.LOG_FILE && fs.createWriteStream(process.env.LOG_FILE, { flags: 'a' })
function log (level, message, more) {
  const record = { level, message, ...more }
  tracer.inject(tracer.scope().active(), 'log', record)
  const line = JSON.stringify(record) + '\n'
  process.stdout.write(line)
  if (file) file.write(line)
}

app.get('/', (request, response) => response.send('Hello World!\n'))

app.get('/orders/:number', async (request, response) => {
  const number = Number(request.params.number)
  const start = performance.now()
  // The tracer makes a span of the request to the other service by itself; this one around it is our own.
  const item = await tracer.trace('order.load', { resource: `order ${number}` }, async (span) => {
    span.setTag('order.number', number)
    const answer = await fetch(`http://127.0.0.1:${port}/stock/${number}`)
    return (await answer.json()).item
  })
  tracer.dogstatsd.distribution('shop.order.duration', (performance.now() - start) / 1000)
  tracer.dogstatsd.increment('shop.orders', 1, { item: 'seat' })
  log('info', `order ${number} is ${item}`)
  response.json({ number, item })
})

app.get('/stock/:number', (request, response) => response.json({ item: 'a pillion seat' }))

app.get('/fail', () => {
  throw new Error('the warehouse is closed')
})

// Express knows a function of four arguments as the one for errors.
app.use((error, request, response, next) => {
  log('error', error.message, { error: { kind: error.name, stack: error.stack } })
  response.sendStatus(500)
})

const server = app.listen(port)

// Node ends at once on TERM, and what the tracer holds (up to two seconds of traces, ten of metrics) would end with it. Stop serving instead:
// when nothing is left to do, Node ends by itself and the tracer sends the rest before.
process.once('SIGTERM', () => server.close())
