/* example_threads.cc: a cache that four threads use, by the header for C++. Each thread has a client of its own, which ends with it.
 *
 *     c++ -std=c++17 example_threads.cc $(pkg-config --cflags --libs snug) -pthread */
#include <cstdio>
#include <snug/snug.hpp>
#include <thread>
#include <vector>

/* What is asked for and is not there is made, stored and counted. */
static bool serve(const snug::cache &cache) {
	auto client = cache.client();
	if (!client) return false;
	for (int i = 0; i < 1000; i++) {
		std::string key = "page " + std::to_string(i % 50);
		snug::result<std::string> page = client->get(key);
		if (page) continue;
		if (page.error() != snug::error::not_found) return false;
		/* Where two make the same page at once, the first one's stays. */
		snug::result<void> stored = client->add(key, std::string(2000, 'x'));
		if (stored && !client->increment("made")) return false;
		if (!stored && stored.error() != snug::error::not_stored) return false;
	}
	return true;
}

int main() {
	auto cache = snug::cache::create(16 << 20, 2); /* bytes for everything, workers */
	if (!cache) {
		std::fprintf(stderr, "%s\n", snug::text(cache.error()));
		return 1;
	}
	bool made_fifty;
	{
		auto client = cache->client();
		if (!client || !client->set("made", "0")) return 1;
		std::vector<char> done(4);
		std::vector<std::thread> threads;
		for (char &one : done) threads.emplace_back([&] { one = serve(*cache); });
		for (std::thread &thread : threads) thread.join();
		for (char one : done)
			if (!one) return 1;
		std::string count = client->get("made").value_or("none");
		std::printf("%s pages were made, each once\n", count.c_str());
		made_fifty = count == "50";
	}
	return cache->close() && made_fifty ? 0 : 1;
}
