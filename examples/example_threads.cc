/* example_threads.cc: a cache that four threads use, by the header for C++. Each thread has a client of its own, which ends with it.
 *
 *     c++ -std=c++17 example_threads.cc $(pkg-config --cflags --libs snug) -pthread */
#include <atomic>
#include <cstdio>
#include <snug/snug.hpp>
#include <thread>
#include <vector>

/* Stands for what is slow: a database, a renderer. */
static std::atomic<int> made{0};
static std::string make_page(std::string_view key) {
	made++;
	return std::string(key) + ": " + std::string(2000, 'x');
}

/* What is missing is made by one of the threads that ask for it, while the others wait; after a minute it
 * is stale, and made anew by one while the others have the old one. */
static bool serve(const snug::cache &cache) {
	auto client = cache.client();
	if (!client) return false;
	for (int i = 0; i < 1000; i++) {
		std::string key = "page " + std::to_string(i % 50);
		snug::result<std::string> page = client->get_or_load(key, make_page, {60, 600});
		if (!page || page->compare(0, key.size(), key) != 0) return false;
		if (!client->increment("served")) return false;
	}
	return true;
}

int main() {
	auto cache = snug::cache::create(16 << 20, 2); /* bytes for everything, workers */
	if (!cache) {
		std::fprintf(stderr, "%s\n", snug::text(cache.error()));
		return 1;
	}
	{
		auto client = cache->client();
		if (!client || !client->set("served", "0")) return 1;
		std::vector<char> done(4);
		std::vector<std::thread> threads;
		for (char &one : done) threads.emplace_back([&] { one = serve(*cache); });
		for (std::thread &thread : threads) thread.join();
		for (char one : done)
			if (!one) return 1;
		std::string served = client->get("served").value_or("none");
		std::printf("%s pages were served, %d were made\n", served.c_str(), made.load());
		if (served != "4000") return 1;
		std::size_t bytes = 0;
		if (!client->walk([&](const snug::met &item) { bytes += item.value.size(); })) return 1;
		std::printf("%zu bytes of values\n", bytes);
	}
	return cache->close() && made == 50 ? 0 : 1;
}
