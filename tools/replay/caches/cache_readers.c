/* cache_readers.c: see cache_readers.h.
 *
 *     requests   0 1 2 3 4 5 6 7 | 8 9 ...        dealt by key: key mod readers
 *     reader 0   0     3 4       | wait for the others, then on
 *     reader 1     1 2     5 6 7 |
 *
 * What concerns one key is asked by one thread, in the order of the load. Between keys the order is
 * lost, but not by far: nobody begins a stretch of requests before all have ended the last one. So
 * what is evicted is decided on almost the same past as in one thread, and the share that is missed
 * can be compared. A stretch is 2,048 requests, or a sixteenth of the shortest life of an object:
 * else what expires would depend on who came first. It costs that all wait for whoever has most to
 * do in a stretch.
 *
 * The cache's clock is the requests, as for a shard: one a second, told by the readers in batches
 * of CLOCK_STEP. A date is given by the wall's clock, which both sides know. */
#include "caches/cache_readers.h"

#include "ledger/clock.h"

#include <snug/cache.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STRETCH_MOST 2048u
#define LIFE_STRETCHES 16u
#define CLOCK_STEP 8u
#define NS_PER_S UINT64_C(1000000000)

const struct policy policy_cache = {
	.name = "cache", .summary = "the cache over workers, asked by --readers N threads"};
const struct policy policy_cache_bytes = {.name = "cache-bytes",
										  .summary = "the same, evicting for bytes, not for hits"};

struct crew;

/* One thread; its own, but for `crew`. */
struct reader {
	struct crew *crew;
	snug_cache_client *client;
	uint32_t *mine; /* indices of requests, ascending */
	size_t count;
	unsigned char *value; /* that is stored, or was found */
	uint64_t played;
	struct misses misses;
	uint64_t refused, wrong, value_bytes;
	snug_error error; /* the first one; then it plays no more */
	pthread_t thread;
	unsigned char key[SNUG_KEY_BYTES_MAX];
};

struct crew {
	const struct cache_load *load;
	const struct crew_options *options;
	struct cache_stock stock;
	snug_cache *cache;
	snug_os os;
	pthread_barrier_t together;
	size_t stretch;        /* requests */
	uint32_t reader_count; /* that have a client */
	struct reader readers[READERS_MAX];
	_Atomic uint64_t played; /* requests, by all: the clock */
};

/* ------------------------------------------------------------------ the clock ----------------- */

/* Any thread. The shards draw their lots from it when they begin. */
static uint64_t now_ns(void *context) {
	struct crew *crew = context;
	return crew->options->seed % NS_PER_S +
		   (1 + atomic_load_explicit(&crew->played, memory_order_relaxed)) * NS_PER_S;
}

static uint64_t now_s(struct crew *crew) {
	return now_ns(crew) / NS_PER_S;
}

static void tell_time(struct reader *reader) {
	if (++reader->played % CLOCK_STEP == 0)
		atomic_fetch_add_explicit(&reader->crew->played, CLOCK_STEP, memory_order_relaxed);
}

/* ------------------------------------------------------------------ requests ------------------ */

static bool is_right(struct reader *reader, uint32_t number, size_t bytes, uint64_t asked_at_s) {
	const struct cache_stock *stock = &reader->crew->stock;
	const struct stocked *entry = &stock->entries[number];
	struct pattern pattern = cache_stock_value(stock, number);
	return entry->value_bytes == bytes && !stocked_is_gone(entry, asked_at_s) &&
		   pattern_matches(&pattern, 0, reader->value, bytes);
}

static void note(struct reader *reader, snug_error error) {
	if (reader->error == SNUG_OK) reader->error = error;
}

static bool get(struct reader *reader, const struct cache_request *request) {
	uint64_t asked_at_s = now_s(reader->crew);
	snug_cache_value value;
	snug_error error = snug_cache_get(reader->client, reader->key, reader->crew->load->key_bytes,
									  reader->value, reader->crew->stock.value_most_bytes, &value);
	misses_count(&reader->misses, request->bytes, error == SNUG_OK);
	if (error != SNUG_OK && error != SNUG_ERROR_NOT_FOUND) note(reader, error);
	if (error != SNUG_OK) return false;
	reader->wrong += !is_right(reader, request->key, value.bytes, asked_at_s);
	reader->value_bytes += value.bytes;
	return true;
}

/* What was refused leaves no older value behind. */
static void set(struct reader *reader, const struct cache_request *request) {
	struct cache_stock *stock = &reader->crew->stock;
	struct stocked *entry = &stock->entries[request->key];
	uint32_t bytes = cache_stock_value_bytes(stock, request);
	snug_cache_store_options options = snug_cache_store_options_default();
	entry->stamp++;
	struct pattern pattern = cache_stock_value(stock, request->key);
	pattern_write(&pattern, 0, reader->value, bytes);
	if (request->lifetime != 0) options.expires_at_s = (uint32_t)time(NULL) + request->lifetime;
	snug_error error = snug_cache_set(reader->client, reader->key, reader->crew->load->key_bytes,
									  reader->value, bytes, &options);
	entry->value_bytes = error == SNUG_OK ? bytes : STOCK_NOTHING;
	/* At the latest, if the wall's second has changed on the way. */
	entry->expires_at_s = request->lifetime == 0 ? 0 : now_s(reader->crew) + request->lifetime + 1;
	if (error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_SIZE_TOO_LARGE)
		reader->refused++;
	else if (error != SNUG_OK)
		note(reader, error);
}

static void play(struct reader *reader, const struct cache_request *request) {
	struct cache_stock *stock = &reader->crew->stock;
	if (reader->error != SNUG_OK) return;
	cache_stock_key(stock, request->key, reader->key);
	tell_time(reader);
	if (request->op == TRACE_DELETE) {
		snug_error error = snug_cache_delete(reader->client, reader->key, stock->load->key_bytes);
		stock->entries[request->key].value_bytes = STOCK_NOTHING;
		if (error != SNUG_OK && error != SNUG_ERROR_NOT_FOUND) note(reader, error);
	} else if (request->op == TRACE_SET || !get(reader, request)) {
		set(reader, request);
	}
}

static void *play_all(void *context) {
	struct reader *reader = context;
	const struct cache_load *load = reader->crew->load;
	size_t next = 0, stretch = reader->crew->stretch;
	for (size_t end = stretch; end < load->count + stretch; end += stretch) {
		(void)pthread_barrier_wait(&reader->crew->together);
		while (next < reader->count && reader->mine[next] < end)
			play(reader, &load->requests[reader->mine[next++]]);
	}
	return NULL;
}

/* ------------------------------------------------------------------ the crew ------------------ */

static size_t stretch_of(const struct cache_load *load) {
	size_t stretch = STRETCH_MOST;
	for (size_t i = 0; i < load->count; i++) {
		uint32_t lifetime = load->requests[i].lifetime;
		if (lifetime != 0 && lifetime / LIFE_STRETCHES < stretch)
			stretch = lifetime / LIFE_STRETCHES + 1;
	}
	return stretch;
}

static bool deal(struct crew *crew) {
	const struct cache_load *load = crew->load;
	uint32_t readers = crew->options->readers;
	crew->stretch = stretch_of(load);
	size_t counts[READERS_MAX] = {0};
	for (size_t i = 0; i < load->count; i++) counts[load->requests[i].key % readers]++;
	for (uint32_t i = 0; i < readers; i++) {
		struct reader *reader = &crew->readers[i];
		*reader = (struct reader){.crew = crew,
								  .mine = malloc((counts[i] + 1) * sizeof reader->mine[0]),
								  .value = malloc((size_t)crew->stock.value_most_bytes + 1)};
		if (reader->mine == NULL || reader->value == NULL) return false;
	}
	for (size_t i = 0; i < load->count; i++) {
		struct reader *reader = &crew->readers[load->requests[i].key % readers];
		reader->mine[reader->count++] = (uint32_t)i;
	}
	return true;
}

static snug_error make_cache(struct crew *crew) {
	const struct crew_options *options = crew->options;
	snug_cache_options cache = snug_cache_options_default();
	crew->os = *snug_os_linux();
	crew->os.context = crew; /* Linux's functions take none */
	crew->os.now_ns = now_ns;
	cache.os = &crew->os;
	cache.workers = options->workers;
	cache.limit_bytes = (size_t)options->limit_bytes;
	cache.item_max_bytes = SNUG_VALUE_BYTES_MAX;
	cache.evict_for = options->for_bytes ? SNUG_EVICT_FOR_BYTES : SNUG_EVICT_FOR_HITS;
	cache.keep_free_bytes = SNUG_NO_BUDGET; /* its seconds are requests here */
	snug_error error = snug_cache_create(&cache, &crew->cache);
	while (error == SNUG_OK && crew->reader_count < options->readers) {
		struct reader *reader = &crew->readers[crew->reader_count];
		error = snug_cache_client_create(crew->cache, NULL, &reader->client);
		crew->reader_count += error == SNUG_OK;
	}
	return error;
}

/* Without all its threads a crew cannot meet: then the program ends. */
static snug_error run(struct crew *crew, uint64_t *play_ns) {
	uint32_t started = 1;
	snug_error error = SNUG_OK;
	if (pthread_barrier_init(&crew->together, NULL, crew->reader_count) != 0)
		return SNUG_ERROR_OS_THREAD;
	uint64_t begin_ns = clock_ns();
	for (; started < crew->reader_count; started++) {
		struct reader *reader = &crew->readers[started];
		if (pthread_create(&reader->thread, NULL, play_all, reader) != 0) {
			fprintf(stderr, "snug-replay: no thread for reader %u\n", started);
			exit(EXIT_FAILURE);
		}
	}
	(void)play_all(&crew->readers[0]);
	for (uint32_t i = 1; i < started; i++) (void)pthread_join(crew->readers[i].thread, NULL);
	*play_ns = clock_ns() - begin_ns;
	(void)pthread_barrier_destroy(&crew->together);
	for (uint32_t i = 0; i < started && error == SNUG_OK; i++) error = crew->readers[i].error;
	return error;
}

static void add_up(const struct crew *crew, struct cache_outcome *out) {
	for (uint32_t i = 0; i < crew->reader_count; i++) {
		const struct reader *reader = &crew->readers[i];
		misses_add(&out->misses, &reader->misses);
		out->refused += reader->refused;
		out->wrong += reader->wrong;
		out->value_bytes += reader->value_bytes;
	}
}

static snug_error look(struct crew *crew, struct cache_outcome *out) {
	snug_cache_stats stats;
	snug_error error = snug_cache_stats_get(crew->readers[0].client, &stats);
	if (error != SNUG_OK) return error;
	out->told_hits = stats.hits;
	out->moves = stats.moves;
	out->stats = (snug_shard_stats){.items = stats.items,
									.item_bytes = stats.item_bytes,
									.index_bytes = stats.index_bytes,
									.stores = stats.stores,
									.evictions = stats.evictions,
									.expired = stats.expired,
									.heap.metadata_bytes = stats.metadata_bytes};
	return SNUG_OK;
}

static snug_error end(struct crew *crew) {
	snug_error error = SNUG_OK;
	for (uint32_t i = 0; i < crew->reader_count && error == SNUG_OK; i++)
		error = snug_cache_client_destroy(crew->readers[i].client);
	if (error == SNUG_OK) error = snug_cache_destroy(crew->cache);
	return error;
}

bool cache_readers_play(const struct cache_load *load, const struct crew_options *options,
						struct cache_outcome *out, char *problem, size_t room) {
	struct crew crew = {.load = load, .options = options};
	snug_error error = SNUG_ERROR_NO_MEMORY;
	*out = (struct cache_outcome){0};
	bool made = cache_stock_init(&crew.stock, load, options->seed) && deal(&crew);
	if (made) {
		error = make_cache(&crew);
		if (error == SNUG_OK) error = run(&crew, &out->play_ns);
		if (error == SNUG_OK) error = look(&crew, out);
		snug_error ended = end(&crew);
		if (error == SNUG_OK) error = ended;
	}
	add_up(&crew, out);
	if (error != SNUG_OK)
		snprintf(problem, room, "%s", made ? snug_error_text(error) : "no memory");
	for (uint32_t i = 0; i < options->readers; i++) {
		free(crew.readers[i].mine);
		free(crew.readers[i].value);
	}
	cache_stock_deinit(&crew.stock);
	return error == SNUG_OK;
}
