// memjs_client.js: npm's memjs against a server: HOST PORT. It speaks the binary protocol alone.
//
// Prints as cmocka programs do; the last line is "N passed, N failed".

'use strict';
const assert = require('assert');
const memjs = require('memjs');

const [host, port] = process.argv.slice(-2);

const cases = {
  'set and get': async (client) => {
    assert.strictEqual((await client.get('key')).value, null);
    for (const value of ['value', '', 'abc'.repeat(50000), Buffer.from('\0\r\n')]) {
      assert.strictEqual(await client.set('key', value, {}), true);
      assert.ok((await client.get('key')).value.equals(Buffer.from(value)));
    }
  },
  'add and replace': async (client) => {
    assert.strictEqual(await client.replace('key', '1', {}), false);
    assert.strictEqual(await client.add('key', '2', {}), true);
    assert.strictEqual(await client.add('key', '3', {}), false);
    assert.strictEqual(await client.replace('key', '4', {}), true);
    assert.strictEqual((await client.get('key')).value.toString(), '4');
  },
  // memjs 1.3 says append for prepend.
  'append': async (client) => {
    await assert.rejects(client.append('key', '>'), /not stored/);
    await client.set('key', 'mid', {});
    assert.strictEqual(await client.append('key', '>'), true);
    assert.strictEqual((await client.get('key')).value.toString(), 'mid>');
  },
  'counters': async (client) => {
    assert.strictEqual((await client.increment('count', 5, { initial: 10 })).value, 10);
    assert.strictEqual((await client.increment('count', 5, {})).value, 15);
    assert.strictEqual((await client.decrement('count', 16, {})).value, 0);
  },
  'delete': async (client) => {
    await client.set('key', '1', {});
    assert.strictEqual(await client.delete('key'), true);
    assert.strictEqual(await client.delete('key'), false);
  },
  'touch': async (client) => {
    assert.strictEqual(await client.touch('key', 100), false);
    await client.set('key', '1', { expires: 1 });
    assert.strictEqual(await client.touch('key', 100), true);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    assert.strictEqual((await client.get('key')).value.toString(), '1');
  },
  'many at once': async (client) => {
    const keys = Array.from({ length: 300 }, (_, number) => `key${number}`);
    const stored = await Promise.all(keys.map((key) => client.set(key, `of ${key}`, {})));
    assert.ok(stored.every(Boolean));
    const found = await Promise.all(keys.map((key) => client.get(key)));
    found.forEach(({ value }, number) => assert.strictEqual(value.toString(), `of ${keys[number]}`));
  },
  'flags': async (client) => {
    await client.set('key', '1', {});
    assert.ok((await client.get('key')).flags.equals(Buffer.alloc(4)));
  },
  'statistics': async (client) => {
    const figures = await new Promise((resolve, reject) => client.stats((error, _, stats) => (error ? reject(error) : resolve(stats))));
    assert.ok(Number(figures.pid) > 0);
  },
  'a key too long is refused, and what follows is answered': async (client) => {
    await assert.rejects(client.set('k'.repeat(251), '1', {}));
    const fresh = connect();
    assert.strictEqual(await fresh.set('key', '2', {}), true);
    fresh.close();
  },
};

function connect() {
  return memjs.Client.create(`${host}:${port}`, { retries: 0, timeout: 60, conntimeout: 60, logger: { log() {} } });
}

async function main() {
  let passed = 0;
  const names = Object.keys(cases);
  console.log(`[==========] Running ${names.length} test(s).`);
  for (const name of names) {
    const client = connect();
    try {
      await new Promise((resolve, reject) => client.flush((error) => (error ? reject(error) : resolve())));
      await cases[name](client);
      passed++;
      console.log(`[       OK ] ${name}`);
    } catch (error) {
      console.log(`[  FAILED  ] ${name}\n${error.stack}`);
    }
    client.close();
  }
  console.log(`${passed} passed, ${names.length - passed} failed`);
  process.exit(passed === names.length ? 0 : 1);
}

main();
