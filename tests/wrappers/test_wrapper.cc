/* snug/snug.hpp: what is made is destroyed, errors are values, bytes come from what C++ has. */
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <snug/snug.hpp>
#include <thread>
#if __cplusplus >= 202002L
#include <span>
#endif

static_assert(!std::is_copy_constructible_v<snug::heap> &&
			  std::is_move_constructible_v<snug::heap>);
static_assert(!std::is_copy_constructible_v<snug::object> &&
			  !std::is_copy_constructible_v<snug::pin>);
static_assert(!std::is_copy_constructible_v<snug::client> &&
			  std::is_move_assignable_v<snug::cache>);

static const char *failed;
#define CHECK(what)         \
	do {                    \
		if (!(what)) {      \
			failed = #what; \
			return;         \
		}                   \
	} while (0)

constexpr std::size_t MIB = std::size_t{1} << 20;

static void every_error_has_its_number() {
#define SAME(symbol, sentence)                        \
	CHECK(snug::code(snug::from(symbol)) == symbol && \
		  std::strcmp(snug::text(snug::from(symbol)), sentence) == 0);
	SNUG_ERRORS(SAME)
#undef SAME
	CHECK(snug::from(SNUG_ERROR_PINNED) == snug::error::pinned);
	CHECK(snug::code(snug::error::cycle) ==
		  SNUG_ERROR_COUNT - 1); /* the last: a new one comes here, and in the header */
}

static std::uint64_t objects_of(const snug::heap &heap) {
	return heap.stats()->objects;
}

static void objects_go_with_their_owner() {
	auto heap = snug::heap::create(4 * MIB);
	CHECK(heap);
	{
		auto first = heap->alloc("hello");
		auto second = heap->alloc(100);
		CHECK(first && second && objects_of(*heap) == 2);
		CHECK(*first->string() == "hello" && *second->size() == 100);
		snug::object moved = *std::move(first);
		CHECK(*moved.string() == "hello");
		*second = std::move(moved);
		CHECK(*second->string() == "hello");
	}
	CHECK(objects_of(*heap) == 0);
	auto kept = heap->alloc("kept");
	snug_handle handle = kept->release();
	CHECK(handle != 0 && objects_of(*heap) == 1);
	snug::object again = heap->adopt(handle);
	CHECK(*again.string() == "kept" && again.free() && again.handle() == 0);
	CHECK(objects_of(*heap) == 0);
	CHECK(heap->close() && heap->get() == nullptr);
}

static void pins_hold_and_end() {
	auto heap = snug::heap::create(4 * MIB);
	auto object = heap->alloc("text");
	{
		auto pin = object->pin();
		CHECK(pin && std::memcmp(*pin->address(), "text", 4) == 0);
		CHECK(object->free().error() == snug::error::pinned);
		auto extents = pin->extents();
		CHECK(extents && extents->size() == 1 && extents->front().length == 4);
		snug::pin other = *std::move(pin);
		CHECK(heap->defragment()->outcome == SNUG_OUTCOME_NOTHING_PINNED || heap->estimate());
	}
	CHECK(object->free());
}

static void bytes_come_from_what_there_is() {
	auto heap = snug::heap::create(4 * MIB);
	std::array<std::uint32_t, 3> numbers{1, 2, 3};
	auto object = heap->alloc(numbers);
	CHECK(object && *object->size() == sizeof numbers);
	std::vector<std::uint32_t> back(3);
	CHECK(object->read(back) && back[2] == 3);
	CHECK(object->read(back, 4).error() == snug::error::range);
#if __cplusplus >= 202002L
	std::span<std::uint32_t> view(back);
	CHECK(object->write(view) && object->read(view));
#endif
	CHECK(object->resize(4) && *object->size() == 4);
	CHECK(heap->alloc(std::string_view()).error() == snug::error::size_zero);
}

static void a_shard_is_a_cache() {
	auto shard = snug::shard::create(4 * MIB);
	CHECK(shard && shard->set("key", std::string(5000, 'v')));
	CHECK(*shard->get("key") == std::string(5000, 'v'));
	CHECK(shard->stats()->items == 1 && shard->now_s() > 0);
	CHECK(shard->erase("key") && shard->get("key").error() == snug::error::not_found);
	CHECK(shard->set(std::string(251, 'k'), "").error() == snug::error::key);
	(void)shard->maintain();
}

static void a_cache_serves_threads() {
	auto cache = snug::cache::create(16 * MIB, 2);
	CHECK(cache);
	{
		auto client = cache->client();
		CHECK(client && cache->close().error() == snug::error::in_use && cache->get() != nullptr);
		CHECK(client->set("count", "0"));
		std::vector<std::thread> threads;
		for (int i = 0; i < 4; i++)
			threads.emplace_back([&cache] {
				auto own = cache->client();
				for (int j = 0; j < 100; j++) (void)own->increment("count");
			});
		for (std::thread &thread : threads) thread.join();
		CHECK(*client->get("count") == "400" && *client->decrement("count", 300) == 100);
		std::string large(100000, 'x');
		CHECK(client->set("large", large, {7, 0, 0}) && *client->get("large") == large);
		auto all = client->gets("large");
		CHECK(all && all->client_flags == 7 && all->cas != 0 && all->value == large);
		CHECK(client->set("large", "new", {0, 0, all->cas}));
		CHECK(client->set("large", "newer", {0, 0, all->cas}).error() == snug::error::exists);
		std::array<char, 2> small;
		snug_cache_value value{};
		CHECK(client->get("large", small, value).error() == snug::error::buffer_too_small &&
			  value.bytes == 3);
		CHECK(client->add("large", "").error() == snug::error::not_stored &&
			  client->replace("large", "b"));
		CHECK(client->append("large", "c") && client->prepend("large", "a") &&
			  *client->get("large") == "abc");
		CHECK(client->touch("large", 0) && client->set_later("later", "") &&
			  client->wait()->stored == 1);
		CHECK(client->get("later")->empty() && client->stats()->items == 3);
		CHECK(client->flush() && client->erase("large").error() == snug::error::not_found);
	}
	CHECK(cache->close());
}

static void what_is_missing_is_loaded() {
	auto cache = snug::cache::create(16 * MIB, 2);
	auto client = cache->client();
	std::atomic<int> calls{0};
	auto load = [&](std::string_view key) {
		calls++;
		return std::string(1000, key[0]);
	};
	CHECK(*client->get_or_load("a", load, {60, 60, 0, 7}) == std::string(1000, 'a'));
	CHECK(*client->get_or_load("a", load) == std::string(1000, 'a') && calls == 1);
	CHECK(client->gets("a")->client_flags == 7 && client->gets("a")->expires_at_s != 0);
	auto absent = [&](std::string_view) -> snug::result<std::string> {
		calls++;
		return snug::error::not_found;
	};
	snug::loading remembered;
	remembered.absent_s = 100;
	CHECK(client->get_or_load("none", absent, remembered).error() == snug::error::not_found);
	CHECK(client->get_or_load("none", absent).error() == snug::error::not_found && calls == 2);
	auto failing = [&](std::string_view) -> snug::result<std::string> {
		return snug::error::no_memory;
	};
	CHECK(client->get_or_load("b", failing).error() == snug::error::no_memory);
	auto nested = [&](std::string_view) { return client->get_or_load("a", load); };
	CHECK(*client->get_or_load("c", nested) == std::string(1000, 'a'));
	auto circle = [&](std::string_view key) {
		return client->get_or_load(key, [](std::string_view) { return std::string(); });
	};
	CHECK(client->get_or_load("d", circle).error() == snug::error::cycle);
	calls = 0;
	std::vector<std::thread> threads;
	std::atomic<int> right{0};
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			auto own = cache->client();
			for (int j = 0; j < 50; j++) {
				auto found = own->get_or_load("key " + std::to_string(j), load);
				right += found && *found == std::string(1000, 'k');
			}
		});
	for (std::thread &thread : threads) thread.join();
	CHECK(right == 200 && calls == 50);
#if defined __cpp_exceptions
	try {
		(void)client->get_or_load(
			"e", [](std::string_view) -> std::string { throw std::runtime_error("no source"); });
		CHECK(false && "not thrown");
	} catch (const std::runtime_error &error) {
		CHECK(std::string(error.what()) == "no source");
	}
	CHECK(client->get("e").error() == snug::error::not_found);
#endif
}

static void namespaces_have_figures() {
	const snug_cache_namespace names[] = {{"page:", 5}, {"user:", 5}};
	snug_cache_options options = snug_cache_options_default();
	options.limit_bytes = 4 * MIB;
	options.namespaces = names;
	options.namespace_count = 2;
	auto cache = snug::cache::create(options);
	auto client = cache->client();
	CHECK(client->set("page:1", "x") && client->get("page:1") && !client->get("user:1"));
	auto stats = client->namespaces(2, true);
	CHECK(stats && stats->size() == 2 && (*stats)[0].items == 1 && (*stats)[0].hits == 1 &&
		  (*stats)[1].misses == 1);
	CHECK(client->namespaces(3, false).error() == snug::error::range);
}

static void all_items_are_met() {
	auto cache = snug::cache::create(16 * MIB, 2);
	auto client = cache->client();
	for (int i = 0; i < 1000; i++)
		CHECK(client->set("key " + std::to_string(i), std::to_string(i),
						  {static_cast<std::uint32_t>(i), 0, 0}));
	int count = 0, wrong = 0;
	CHECK(client->walk([&](const snug::met &item) {
		count++;
		wrong += item.value != std::to_string(item.client_flags) ||
				 item.key != "key " + std::string(item.value) || item.expires_at_s != 0;
	}));
	CHECK(count == 1000 && wrong == 0);
	CHECK(client->walk([&](const snug::met &) { return --count > 990; }) && count == 990);
	auto remove = [&](const snug::met &item) { (void)client->erase(item.key); };
	CHECK(client->walk(remove) && client->stats()->items == 0);
#if defined __cpp_exceptions
	CHECK(client->set("key", ""));
	try {
		(void)client->walk([](const snug::met &) { throw std::runtime_error("seen"); });
		CHECK(false && "not thrown");
	} catch (const std::runtime_error &error) {
		CHECK(std::string(error.what()) == "seen");
	}
#endif
}

static void workers_keep_objects() {
	snug_workers_options options = snug_workers_options_default();
	options.heap.limit_bytes = 4 * MIB;
	auto workers = snug::workers::create(options);
	CHECK(workers);
	{
		auto client = workers->client();
		auto object = client->alloc(client->place("key"), "hello");
		std::array<char, 5> text;
		CHECK(object && *client->size(*object) == 5 && client->read(*object, text) &&
			  text[4] == 'o');
		CHECK(client->write(*object, "j") && client->free(*object));
		CHECK(client->free(*object).error() == snug::error::handle);
	}
	CHECK(workers->stop() && workers->close());
}

static void errors_are_values_or_thrown() {
	CHECK(snug::heap::create(std::size_t{1}).error() == snug::error::limit_too_small);
	CHECK(snug::result<int>(snug::error::goal).value_or(3) == 3);
#if defined __cpp_exceptions
	try {
		auto none = snug::heap::create(std::size_t{1}).or_throw();
		CHECK(none.get() == nullptr);
	} catch (const snug::exception &thrown) {
		CHECK(thrown.code() == snug::error::limit_too_small);
		return;
	}
	CHECK(false && "not thrown");
#endif
}

int main() {
	const struct {
		const char *name;
		void (*run)();
	} cases[] = {{"what_is_missing_is_loaded", what_is_missing_is_loaded},
				 {"every_error_has_its_number", every_error_has_its_number},
				 {"objects_go_with_their_owner", objects_go_with_their_owner},
				 {"pins_hold_and_end", pins_hold_and_end},
				 {"bytes_come_from_what_there_is", bytes_come_from_what_there_is},
				 {"a_shard_is_a_cache", a_shard_is_a_cache},
				 {"a_cache_serves_threads", a_cache_serves_threads},
				 {"namespaces_have_figures", namespaces_have_figures},
				 {"all_items_are_met", all_items_are_met},
				 {"workers_keep_objects", workers_keep_objects},
				 {"errors_are_values_or_thrown", errors_are_values_or_thrown}};
	int status = 0;
	std::printf("[==========] Running %zu test(s).\n", sizeof cases / sizeof *cases);
	for (const auto &one : cases) {
		failed = nullptr;
		one.run();
		if (failed != nullptr) {
			std::printf("[  FAILED  ] %s: %s\n", one.name, failed);
			status = 1;
		} else {
			std::printf("[       OK ] %s\n", one.name);
		}
	}
	return status;
}
