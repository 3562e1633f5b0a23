// A small shop: one plain route, one that asks another service, one that fails.
'use strict'

const tracer = require('dd-trace').init()
const express = require('express')

const app = express()
const port = Number(process.env.PORT || 5050)

app.get('/', (request, response) => response.send('Hello World!\n'))

app.get('/orders/:number', async (request, response) => {
  const number = Number(request.params.number)
  // The tracer makes a span of the request to the other service by itself; this one around it is our own.
  const item = await tracer.trace('order.load', { resource: `order ${number}` }, async (span) => {
    span.setTag('order.number', number)
    const answer = await fetch(`http://127.0.0.1:${port}/stock/${number}`)
    return (await answer.json()).item
  })
  response.json({ number, item })
})

app.get('/stock/:number', (request, response) => response.json({ item: 'a pillion seat' }))

app.get('/fail', () => {
  throw new Error('the warehouse is closed')
})

const server = app.listen(port)

// Node ends at once on TERM, and what the tracer holds (up to two seconds of traces) would end with it. Stop serving instead: when
// nothing is left to do, Node ends by itself and the tracer sends the rest before.
process.once('SIGTERM', () => server.close())
