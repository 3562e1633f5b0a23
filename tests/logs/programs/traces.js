// Prints stack traces the way Node programs do; the argument says which.
const { EventEmitter } = require('node:events');
const fs = require('node:fs');

function connect(host) {
  throw new TypeError(`no route to ${host}`);
}

function load(key) {
  try {
    connect('db');
  } catch (error) {
    throw new Error(`can't load ${key}`, { cause: error });
  }
}

async function serve() {
  await null;
  await fs.promises.readFile('/nowhere');
}

const cases = {
  uncaught: () => load('a'),
  printed: () => {
    try {
      load('b');
    } catch (error) {
      console.error(error);
      console.error('request failed', error.cause);
    }
  },
  async: async () => {
    async function outer() {
      await serve();
    }
    await outer().catch((error) => console.error(error));
  },
  rejected: () => Promise.reject(new Error('nobody looks')),
  rejectedValue: () => Promise.reject({ code: 7 }),
  emitted: () => new EventEmitter().emit('error', new Error('nobody listens')),
  aggregate: () =>
    Promise.any([Promise.reject(new Error('one')), Promise.reject(new Error('two'))]).catch((error) =>
      console.error(error),
    ),
  thrown: () => {
    throw 'a string';
  },
  traced: () => console.trace('here'),
  pretty: () => console.error(JSON.stringify({ event: 'done', items: [{ id: 1 }, []] }, null, 2)),
};

console.error('ready');
Promise.resolve(cases[process.argv[2]]()).then(() => setTimeout(() => console.error('done'), 20));
