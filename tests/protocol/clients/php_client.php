<?php
// php_client.php: Debian's php-memcached, which is libmemcached, against a server: HOST PORT [binary]. Its cache with and without
// compression, and PHP's sessions in it with sess_binary_protocol=0, or, where it speaks that protocol, as it is by default.
//
// Prints as cmocka programs do; the last line is "N passed, N failed".

declare(strict_types=1);
error_reporting(E_ALL);
set_error_handler(function (int $level, string $text): bool {
	if ($level === E_DEPRECATED) { // PHP's own session settings, since 8.4
		return true;
	}
	throw new ErrorException($text, 0, $level);
});

[, $host, $port] = $argv;
$is_binary = ($argv[3] ?? '') === 'binary';

function check(bool $held, string $what): void {
	if (!$held) {
		throw new Exception($what);
	}
}

function same(mixed $found, mixed $expected): void {
	check($found === $expected, 'expected ' . var_export($expected, true) . ', found ' . var_export($found, true));
}

function client(): Memcached {
	global $host, $port, $is_binary;
	$client = new Memcached();
	$client->setOption(Memcached::OPT_BINARY_PROTOCOL, $is_binary);
	$client->addServer($host, (int)$port);
	return $client;
}

$cases['set and get'] = function (Memcached $client): void {
	same($client->get('key'), false);
	same($client->getResultCode(), Memcached::RES_NOTFOUND);
	foreach (['value', '', 1, 3.5, true, false, [1, 'a' => [2]], str_repeat('abc', 50000), "\0\r\n"] as $value) {
		same($client->set('key', $value), true);
		same($client->get('key'), $value);
		same($client->getResultCode(), Memcached::RES_SUCCESS);
	}
};
$cases['add, replace, append, prepend'] = function (Memcached $client): void {
	$client->setOption(Memcached::OPT_COMPRESSION, false);
	same($client->replace('key', '1'), false);
	same($client->add('key', 'mid'), true);
	same($client->add('key', '2'), false);
	same($client->append('key', '>'), true);
	same($client->prepend('key', '<'), true);
	same($client->get('key'), '<mid>');
};
$cases['many at once'] = function (Memcached $client): void {
	for ($number = 0; $number < 300; $number++) {
		$values["key$number"] = $number;
	}
	same($client->setMulti($values, 100), true);
	same($client->getMulti([...array_keys($values), 'none'], Memcached::GET_PRESERVE_ORDER)['key299'], 299);
	same(count($client->getMulti([...array_keys($values), 'none'])), 300);
	same($client->deleteMulti(['key0', 'none']), ['key0' => true, 'none' => Memcached::RES_NOTFOUND]);
	same(count($client->getMulti(array_keys($values))), 299);
};
$cases['delayed'] = function (Memcached $client): void {
	$client->setMulti(['a' => 1, 'b' => 2]);
	same($client->getDelayed(['a', 'b', 'c'], true), true);
	same(count($client->fetchAll()), 2);
	same($client->get('a'), 1);
};
$cases['increment and decrement'] = function (Memcached $client): void {
	same($client->increment('key'), false);
	$client->set('key', 10);
	same($client->increment('key', 5), 15);
	same($client->decrement('key', 100), 0);
	$client->set('text', 'abc');
	try {
		same($client->increment('text'), false);
	} catch (ErrorException $warning) {
		// Some versions warn.
	}
	same($client->get('key'), 0);
};
$cases['check and set'] = function (Memcached $client): void {
	$client->set('key', 1);
	$item = $client->get('key', null, Memcached::GET_EXTENDED);
	same($item['value'], 1);
	same($client->cas($item['cas'], 'key', 2), true);
	same($client->cas($item['cas'], 'key', 3), false);
	same($client->getResultCode(), Memcached::RES_DATA_EXISTS);
	same($client->get('key'), 2);
};
$cases['expiry and touch'] = function (Memcached $client): void {
	$client->set('short', 1, 1);
	$client->set('touched', 1, 1);
	$client->set('month', 1, time() + 40 * 24 * 3600);
	same($client->touch('touched', 100), true);
	same($client->touch('none', 100), false);
	usleep(2200000);
	same($client->get('short'), false);
	same($client->get('touched'), 1);
	same($client->get('month'), 1);
};
$cases['a time that is over'] = function (Memcached $client) use ($is_binary): void {
	if ($is_binary) {
		return; // such a time has no sign there: it is a date in 2106
	}
	$client->set('key', 1);
	same($client->set('key', 2, -1), true);
	same($client->get('key'), false);
	$client->set('key', 3);
	same($client->touch('key', -1), true);
	same($client->get('key'), false);
};
$cases['delete and flush'] = function (Memcached $client): void {
	same($client->delete('key'), false);
	$client->set('key', 1);
	same($client->delete('key'), true);
	$client->set('key', 1);
	same($client->flush(), true);
	same($client->get('key'), false);
};
$cases['user flags'] = function (Memcached $client): void {
	$client->setOption(Memcached::OPT_USER_FLAGS, 65535);
	same($client->set('key', 'v'), true);
	same($client->get('key', null, Memcached::GET_EXTENDED)['flags'], 65535);
};
$cases['noreply and buffers'] = function (Memcached $client): void {
	$client->setOption(Memcached::OPT_NOREPLY, true);
	for ($number = 0; $number < 200; $number++) {
		$client->set("key$number", $number);
	}
	$client->setOption(Memcached::OPT_NOREPLY, false);
	same($client->get('key199'), 199);
	$client->setOption(Memcached::OPT_BUFFER_WRITES, true);
	$client->set('buffered', 5);
	same($client->flushBuffers(), true);
	same($client->get('buffered'), 5);
};
$cases['too large'] = function (Memcached $client): void {
	$client->setOption(Memcached::OPT_COMPRESSION, false);
	$client->set('key', 'small');
	same($client->set('key', random_bytes(2000000)), false);
	same($client->get('key'), false);
	same($client->set('key', 1), true);
};
$cases['version'] = function (Memcached $client): void {
	global $host, $port;
	check(preg_match('/^1\.[0-9]+\.[0-9]+$/', $client->getVersion()["$host:$port"]) === 1, 'no version of memcached 1.x');
};
$cases['statistics'] = function (Memcached $client): void {
	global $host, $port;
	$client->set('key', 1);
	$fields = $client->getStats()["$host:$port"];
	check($fields['curr_items'] >= 1 && $fields['limit_maxbytes'] > 0 && $fields['pid'] > 0, 'no statistics');
	check($fields['cmd_set'] >= 1, 'no stores counted');
};

/** One request of a browser: opens the session $id, changes it by $work, and closes it. Returns its content before that. */
function request(string $id, callable $work = null): array {
	session_id($id);
	check(session_start(['lazy_write' => 1, 'use_strict_mode' => 0]), 'no session');
	$before = $_SESSION;
	if ($work) {
		$work();
	}
	check(session_write_close(), 'the session is not written');
	$_SESSION = [];
	return $before;
}

/** All settings of a session must stand before anything is printed. */
function prepare_sessions(): void {
	global $host, $port, $is_binary;
	foreach (
		[
			'session.save_handler' => 'memcached',
			'session.save_path' => "$host:$port",
			'session.use_cookies' => '0',
			'session.use_only_cookies' => '0',
			'session.cache_limiter' => '',
			'session.gc_maxlifetime' => '1440',
			'memcached.sess_binary_protocol' => $is_binary ? '1' : '0',
			'memcached.sess_locking' => '1',
			'memcached.sess_lock_wait_min' => '10',
			'memcached.sess_lock_wait_max' => '20',
			'memcached.sess_lock_retries' => '3',
		] as $name => $value
	) {
		check(ini_set($name, $value) !== false, "no setting $name");
	}
}

$cases['sessions: kept from request to request'] = function (): void {
	same(request('s1'), []);
	request('s1', function (): void { $_SESSION['user'] = 'alice'; });
	same(request('s1'), ['user' => 'alice']);
	same(request('s1'), ['user' => 'alice']); // unchanged: touched alone
	request('s1', function (): void { $_SESSION['cart'] = range(1, 1000); });
	same(request('s1')['cart'], range(1, 1000));
};
$cases['sessions: another id, and the end of one'] = function (Memcached $client): void {
	request('s2', function (): void { $_SESSION['n'] = 1; });
	$new = '';
	request('s2', function () use (&$new): void {
		check(session_regenerate_id(true), 'no new id');
		$new = session_id();
	});
	same(request($new), ['n' => 1]);
	same($client->get('memc.sess.key.s2'), false);
	session_id($new);
	session_start();
	check(session_destroy(), 'not destroyed');
	same($client->get("memc.sess.key.$new"), false);
};
$cases['sessions: locked by somebody else'] = function (Memcached $client): void {
	request('s3', function (): void { $_SESSION['n'] = 1; });
	same($client->add('memc.sess.key.lock.s3', '1', 100), true);
	session_id('s3');
	$refused = false;
	try {
		$refused = !session_start();
	} catch (ErrorException $warning) {
		$refused = true;
	}
	check($refused, 'the lock was not seen');
	if (session_status() === PHP_SESSION_ACTIVE) {
		session_abort();
	}
	$client->delete('memc.sess.key.lock.s3');
	same(request('s3'), ['n' => 1]);
};

prepare_sessions();
ob_start(); // what is printed would be headers sent, and sessions end there
$passed = $failed = 0;
echo '[==========] Running ', count($cases), " test(s).\n";
foreach ($cases as $name => $case) {
	$client = client();
	$client->flush();
	try {
		$case($client);
		$passed++;
		echo "[       OK ] $name\n";
	} catch (Throwable $fault) {
		$failed++;
		echo "[  FAILED  ] $name: line {$fault->getLine()}: {$fault->getMessage()}\n";
	}
	$client->quit();
}
echo "$passed passed, $failed failed\n";
ob_end_flush();
exit($failed === 0 && $passed > 0 ? 0 : 1);
