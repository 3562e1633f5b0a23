// A shop's work, measured with hot-shots as an app would use it. Where the agent is, the client finds in the environment. The first argument says how
// the client sends: as it is by default, `buffered` or `aggregated`. The same work is in ../go and ../java.
'use strict'

const StatsD = require('hot-shots')

const MANNERS = { plain: {}, buffered: { maxBufferSize: 1432 }, aggregated: { aggregation: true } }
// What the app ends with, and nobody else.
const EXIT_CODE = 7

const then = Number(process.env.THEN)
const client = new StatsD({
  ...MANNERS[process.argv[2]],
  containerID: '00f4',
  cardinality: 'low',
  errorHandler: (error) => { console.error(error); process.exit(1) }
})

function work () {
  for (let number = 0; number < 300; number++) {
    client.increment('orders', 1, ['kind:book', 'place:Zoë’s', 'url:http://shop/a'])
    client.set('users', `id:${number % 8}`)
  }
  client.increment('orders', 5, { kind: 'toy' })
  client.decrement('stock', 3)
  for (let number = 0; number <= 40; number++) client.gauge('queue', number)
  for (let number = 1; number <= 100; number++) {
    client.histogram('took', number)
    client.timing('load', number)
  }
  for (let number = 0; number <= 300; number++) client.distribution('size', number)
  for (let number = 0; number < 400; number++) {
    client.increment('sampled', 1, 0.5)
    client.distribution('sampled.size', 2, 0.5)
    client.gauge(`many.${number}`, number + 0.5, [`n:${number}`])
  }
  client.gauge('then', 7.25, { timestamp: then, tags: ['k:v'] })
  client.increment('late', 20, { timestamp: then })
  client.event('déployed', 'line 1\nlïne 2 | pipe', {
    date_happened: then,
    hostname: 'box',
    aggregation_key: 'key',
    priority: 'low',
    source_type_name: 'shop',
    alert_type: 'warning'
  }, ['k:v'])
  client.check('db.up', client.CHECKS.CRITICAL, { date_happened: then, hostname: 'box', message: 'm: dówn' }, ['k:v'])
  client.close(() => process.exit(EXIT_CODE))
}

// All of it in one bucket of ten seconds.
const into = Date.now() % 10000
setTimeout(work, into > 4000 ? 10050 - into : 0)
