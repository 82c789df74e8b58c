// node_client.js: npm's memcached against a server: HOST PORT.
//
// Prints as cmocka programs do; the last line is "N passed, N failed".
'use strict';

const assert = require('node:assert');
const Memcached = require('memcached');

const address = `${process.argv[2]}:${process.argv[3]}`;
const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The client with promises in place of callbacks.
function connect(options = {}) {
	const client = new Memcached(address, { retries: 0, timeout: 5000, maxKeySize: 250, maxValue: 10000000, ...options });
	return new Proxy(client, {
		get(target, name) {
			if (name === 'end') return () => target.end();
			return (...words) => new Promise((resolve, reject) => {
				target[name](...words, (error, data) => (error ? reject(error) : resolve(data)));
			});
		},
	});
}

const cases = {
	async 'set and get'(cache) {
		assert.strictEqual(await cache.get('key'), undefined);
		for (const value of ['value', '', 1, 2.5, true, [1, { a: 2 }], 'ÿ€', 'abc'.repeat(50000), 'a\r\nEND\r\nb']) {
			assert.strictEqual(await cache.set('key', value, 100), true);
			assert.deepStrictEqual(await cache.get('key'), value);
		}
		const bytes = Buffer.from([0, 13, 10, 255]);
		await cache.set('key', bytes, 100);
		assert.deepStrictEqual(await cache.get('key'), bytes);
	},
	async 'add, replace, append, prepend'(cache) {
		await assert.rejects(cache.replace('key', 'x', 100));
		assert.strictEqual(await cache.add('key', 'mid', 100), true);
		await assert.rejects(cache.add('key', 'x', 100));
		assert.strictEqual(await cache.append('key', '>'), true);
		assert.strictEqual(await cache.prepend('key', '<'), true);
		assert.strictEqual(await cache.get('key'), '<mid>');
		assert.strictEqual(await cache.replace('key', 'y', 100), true);
		assert.strictEqual(await cache.get('key'), 'y');
	},
	async 'many at once'(cache) {
		const keys = Array.from({ length: 300 }, (_, number) => `key${number}`);
		await Promise.all(keys.map((key) => cache.set(key, key, 100)));
		const found = await cache.getMulti([...keys, 'none']);
		assert.deepStrictEqual(Object.keys(found).length, 300);
		for (const key of keys) assert.strictEqual(found[key], key);
	},
	async 'increment and decrement'(cache) {
		assert.strictEqual(await cache.incr('key', 1), false);
		await cache.set('key', 10, 100);
		assert.strictEqual(await cache.incr('key', 5), 15);
		assert.strictEqual(await cache.decr('key', 100), 0);
		await cache.set('text', 'abc', 100);
		await assert.rejects(cache.incr('text', 1), /non-numeric/);
	},
	async 'check and set'(cache) {
		await cache.set('key', 1, 100);
		const { cas, key } = await cache.gets('key');
		assert.strictEqual(key, 1);
		assert.strictEqual(await cache.cas('key', 2, cas, 100), true);
		assert.strictEqual(await cache.cas('key', 3, cas, 100), false);
		assert.strictEqual(await cache.get('key'), 2);
	},
	async 'delete'(cache) {
		assert.strictEqual(await cache.del('key'), false);
		await cache.set('key', 1, 100);
		assert.strictEqual(await cache.del('key'), true);
		assert.strictEqual(await cache.get('key'), undefined);
	},
	async 'expiry and touch'(cache) {
		await cache.set('short', 1, 1);
		await cache.set('touched', 1, 1);
		await cache.set('month', 1, 60 * 60 * 24 * 29);
		assert.strictEqual(await cache.touch('touched', 100), true);
		assert.strictEqual(await cache.touch('none', 100), false);
		await rest(2200);
		assert.strictEqual(await cache.get('short'), undefined);
		assert.strictEqual(await cache.get('touched'), 1);
		assert.strictEqual(await cache.get('month'), 1);
	},
	async 'too large'(cache) {
		await cache.set('key', 'small', 100);
		await cache.set('key', 'v'.repeat(2000000), 100).catch((error) => assert.match(String(error), /too large/));
		const other = connect(); // the first has given the server up for a while
		assert.strictEqual(await other.get('key'), undefined);
		assert.strictEqual(await other.set('key', 1, 100), true);
		assert.strictEqual(await other.get('key'), 1);
		other.end();
	},
	async 'flush'(cache) {
		await cache.set('key', 1, 100);
		await cache.flush();
		assert.strictEqual(await cache.get('key'), undefined);
	},
	async 'statistics and version'(cache) {
		await cache.set('key', 1, 100);
		const [stats] = await cache.stats();
		assert.strictEqual(stats.curr_items, 1);
		assert.strictEqual(stats.server, address);
		assert.ok((await cache.settings())[0].maxconns > 0);
		const [slabs] = await cache.slabs();
		assert.ok(Object.values(slabs).some((slab) => slab.used_chunks > 0));
		const [items] = await cache.items();
		assert.ok(Object.values(items).some((item) => item.number === 1));
		assert.match((await cache.version())[0].version, /^1\.6\.\d+$/);
	},
	async 'many connections'(_) {
		const clients = Array.from({ length: 20 }, () => connect({ poolSize: 5 }));
		await Promise.all(clients.map(async (cache, number) => {
			for (let round = 0; round < 20; round++) {
				await cache.set(`key${number}`, round, 100);
				assert.strictEqual(await cache.get(`key${number}`), round);
			}
		}));
		for (const cache of clients) cache.end();
	},
};

async function main() {
	const names = Object.keys(cases);
	let passed = 0;
	console.log(`[==========] Running ${names.length} test(s).`);
	for (const name of names) {
		const cache = connect();
		try {
			await cache.flush();
			await cases[name](cache);
			passed++;
			console.log(`[       OK ] ${name}`);
		} catch (error) {
			console.log(`[  FAILED  ] ${name}\n${error && error.stack ? error.stack : error}`);
		}
		cache.end();
	}
	console.log(`${passed} passed, ${names.length - passed} failed`);
	process.exit(passed === names.length ? 0 : 1);
}

main();
