// SpymemcachedClient.java: spymemcached against a server: HOST PORT [binary].
//
// Prints as cmocka programs do; the last line is "N passed, N failed".

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import net.spy.memcached.BinaryConnectionFactory;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.ConnectionFactory;
import net.spy.memcached.DefaultConnectionFactory;
import net.spy.memcached.MemcachedClient;

public class SpymemcachedClient {
	interface Case {
		void run(MemcachedClient client) throws Exception;
	}

	static void same(Object found, Object expected) {
		if (expected == null ? found != null : !expected.equals(found))
			throw new AssertionError("expected " + expected + ", found " + found);
	}

	static void setAndGet(MemcachedClient client) throws Exception {
		same(client.get("key"), null);
		for (Object value : new Object[] {"value", "", 17, 1L << 60, true, 2.5, "ÿ€", "abc".repeat(50000)}) {
			same(client.set("key", 0, value).get(), true);
			same(client.get("key"), value);
		}
	}

	static void addAndReplace(MemcachedClient client) throws Exception {
		same(client.replace("key", 0, "1").get(), false);
		same(client.add("key", 0, "2").get(), true);
		same(client.add("key", 0, "3").get(), false);
		same(client.replace("key", 0, "4").get(), true);
		same(client.get("key"), "4");
	}

	static void appendAndPrepend(MemcachedClient client) throws Exception {
		client.set("key", 0, "mid").get();
		same(client.append("key", ">").get(), true);
		same(client.prepend("key", "<").get(), true);
		same(client.get("key"), "<mid>");
	}

	static void compareAndSet(MemcachedClient client) throws Exception {
		client.set("key", 0, "1").get();
		CASValue<Object> value = client.gets("key");
		same(value.getValue(), "1");
		same(client.cas("key", value.getCas(), "2"), CASResponse.OK);
		same(client.cas("key", value.getCas(), "3"), CASResponse.EXISTS);
		same(client.cas("none", value.getCas(), "3"), CASResponse.NOT_FOUND);
		same(client.get("key"), "2");
	}

	static void counters(MemcachedClient client) throws Exception {
		same(client.incr("count", 5, 10), 10L);
		same(client.incr("count", 5), 15L);
		same(client.decr("count", 16), 0L);
		same(client.incr("none", 1), -1L);
	}

	static void deleteAndTouch(MemcachedClient client) throws Exception {
		client.set("key", 1000, "1").get();
		same(client.touch("key", 1).get(), true);
		while (client.get("key") != null) Thread.sleep(100);
		client.set("key", 0, "1").get();
		same(client.delete("key").get(), true);
		same(client.delete("key").get(), false);
	}

	static void manyAtOnce(MemcachedClient client) throws Exception {
		Map<String, Object> values = new LinkedHashMap<>();
		for (int number = 0; number < 300; number++) values.put("key" + number, "value" + number);
		List<java.util.concurrent.Future<Boolean>> stored = new ArrayList<>();
		values.forEach((key, value) -> stored.add(client.set(key, 0, value)));
		for (var one : stored) same(one.get(), true);
		List<String> asked = new ArrayList<>(values.keySet());
		asked.add("none");
		same(client.getBulk(asked), values);
	}

	static void statistics(MemcachedClient client) {
		for (Map<String, String> figures : client.getStats().values())
			if (Integer.parseInt(figures.get("pid")) <= 0) throw new AssertionError("no pid");
		same(client.getVersions().size(), 1);
	}

	// By itself the client gives an operation up after 2.5 s, which a busy machine may take.
	static final long PATIENCE_MS = 600_000;

	static ConnectionFactory factory(boolean isBinary) {
		if (isBinary)
			return new BinaryConnectionFactory() {
				@Override
				public long getOperationTimeout() {
					return PATIENCE_MS;
				}
			};
		return new DefaultConnectionFactory() {
			@Override
			public long getOperationTimeout() {
				return PATIENCE_MS;
			}
		};
	}

	static MemcachedClient connect(String[] arguments) throws Exception {
		List<InetSocketAddress> servers =
			List.of(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
		return new MemcachedClient(factory(arguments.length > 2), servers);
	}

	public static void main(String[] arguments) throws Exception {
		System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
		Logger.getLogger("net.spy.memcached").setLevel(Level.OFF);
		Map<String, Case> cases = new LinkedHashMap<>();
		cases.put("set and get", SpymemcachedClient::setAndGet);
		cases.put("add and replace", SpymemcachedClient::addAndReplace);
		cases.put("append and prepend", SpymemcachedClient::appendAndPrepend);
		cases.put("compare and set", SpymemcachedClient::compareAndSet);
		cases.put("counters", SpymemcachedClient::counters);
		cases.put("delete and touch", SpymemcachedClient::deleteAndTouch);
		cases.put("many at once", SpymemcachedClient::manyAtOnce);
		cases.put("statistics", SpymemcachedClient::statistics);
		int passed = 0;
		System.out.println("[==========] Running " + cases.size() + " test(s).");
		for (var each : cases.entrySet()) {
			MemcachedClient client = connect(arguments);
			try {
				client.flush().get();
				each.getValue().run(client);
				passed++;
				System.out.println("[       OK ] " + each.getKey());
			} catch (Throwable error) {
				System.out.println("[  FAILED  ] " + each.getKey() + "\n" + error);
			}
			client.shutdown();
		}
		System.out.println(passed + " passed, " + (cases.size() - passed) + " failed");
		System.exit(passed == cases.size() ? 0 : 1);
	}
}
