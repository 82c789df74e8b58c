/* cache_real.c: see cache_real.h.
 *
 * Each hit is verified, and each must be of what was stored, is not deleted and has not expired
 * (cache_stock.h). The clock is the requests: one a second. Given the seed the shard does the same
 * each time. */
#include "caches/cache_real.h"

#include <stdio.h>
#include <stdlib.h>

/* Of maintenance, which a server does between two batches. Often, because loads are small samples
 * of long times: a lifetime of a day is some hundred thousand requests here, so the sweep for what
 * has expired must be as much faster. */
#define REQUESTS_PER_SLICE 4
#define VIEW_BYTES ((size_t)64 << 10) /* looked at at once */
/* that so many bytes are in, at most: fragments are pages but for the last ones */
#define VIEW_EXTENTS 64

const struct policy policy_shard = {
	.name = "shard", .summary = "libsnug's cache itself, each value verified when it is hit"};
const struct policy policy_shard_bytes = {.name = "shard-bytes",
										  .summary = "the same, evicting for bytes, not for hits"};

struct player {
	struct cache_outcome *outcome;
	snug_shard *shard;
	struct cache_stock stock;
	unsigned char *value; /* the one that is being stored */
	snug_os os;
	uint32_t now_s;
	unsigned char key_bytes[SNUG_KEY_BYTES_MAX];
};

static int64_t now_s(void *context) {
	const struct player *player = context;
	return player->now_s;
}

/* The shard draws its lots from the clock. */
static uint64_t now_ns(void *context) {
	const struct player *player = context;
	return player->stock.seed;
}

static snug_key key_of(struct player *player, uint32_t number) {
	cache_stock_key(&player->stock, number, player->key_bytes);
	return snug_shard_key(player->key_bytes, player->stock.load->key_bytes);
}

/* Bytes [offset, offset + length) of a value. */
static bool matches(const struct player *player, const struct pattern *pattern,
					const snug_item *item, size_t offset, size_t length) {
	snug_extent extents[VIEW_EXTENTS];
	size_t count = VIEW_EXTENTS, end = offset + length;
	if (snug_shard_view(player->shard, item, offset, length, extents, &count) != SNUG_OK)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!pattern_matches(pattern, offset, extents[i].data, extents[i].length)) return false;
		offset += extents[i].length;
	}
	return offset == end;
}

static bool is_right(const struct player *player, uint32_t number, const snug_item *item) {
	const struct stocked *entry = &player->stock.entries[number];
	struct pattern pattern = cache_stock_value(&player->stock, number);
	if (stocked_is_gone(entry, player->now_s) || entry->value_bytes != item->value_bytes ||
		entry->expires_at_s != item->attributes.expires_at_s)
		return false;
	for (size_t offset = 0; offset < item->value_bytes; offset += VIEW_BYTES) {
		size_t left = item->value_bytes - offset;
		if (!matches(player, &pattern, item, offset, left < VIEW_BYTES ? left : VIEW_BYTES))
			return false;
	}
	return true;
}

static bool get(struct player *player, const struct cache_request *request, const snug_key *key) {
	struct cache_outcome *outcome = player->outcome;
	snug_item item;
	bool hit = snug_shard_get(player->shard, key, &item) == SNUG_OK;
	misses_count(&outcome->misses, request->bytes, hit);
	if (!hit) return false;
	outcome->wrong += !is_right(player, request->key, &item);
	outcome->value_bytes += item.value_bytes;
	return true;
}

/* What was refused leaves no older value behind. */
static void set(struct player *player, const struct cache_request *request, const snug_key *key) {
	struct stocked *entry = &player->stock.entries[request->key];
	uint32_t bytes = cache_stock_value_bytes(&player->stock, request);
	snug_attributes attributes = {
		.expires_at_s = request->lifetime == 0 ? 0 : player->now_s + request->lifetime};
	*entry = (struct stocked){entry->stamp + 1, bytes, attributes.expires_at_s};
	struct pattern pattern = cache_stock_value(&player->stock, request->key);
	pattern_write(&pattern, 0, player->value, bytes);
	if (snug_shard_set(player->shard, key, &attributes, player->value, bytes) == SNUG_OK) return;
	entry->value_bytes = STOCK_NOTHING;
	player->outcome->refused++;
}

static void play(struct player *player, const struct cache_request *request) {
	snug_key key = key_of(player, request->key);
	player->now_s++;
	if (player->now_s % REQUESTS_PER_SLICE == 0) (void)snug_shard_maintain(player->shard);
	if (request->op == TRACE_DELETE) {
		player->stock.entries[request->key].value_bytes = STOCK_NOTHING;
		(void)!snug_shard_delete(player->shard, &key);
	} else if (request->op == TRACE_SET || !get(player, request, &key)) {
		set(player, request, &key);
	}
}

static bool make_tables(struct player *player, const struct cache_load *load, uint64_t seed) {
	if (!cache_stock_init(&player->stock, load, seed)) return false;
	player->value = malloc((size_t)player->stock.value_most_bytes + 1);
	return player->value != NULL;
}

static snug_error make_shard(struct player *player, const struct policy *policy,
							 uint64_t limit_bytes) {
	snug_shard_options options = snug_shard_options_default();
	player->os = *snug_os_linux();
	player->os.context = player; /* Linux's functions take none */
	player->os.now_ns = now_ns;
	options.heap.limit_bytes = (size_t)limit_bytes;
	options.heap.os = &player->os;
	options.item_max_bytes = SNUG_VALUE_BYTES_MAX;
	options.evict_for = policy == &policy_shard_bytes ? SNUG_EVICT_FOR_BYTES : SNUG_EVICT_FOR_HITS;
	options.now_s = now_s;
	options.now_context = player;
	return snug_shard_create(&options, &player->shard);
}

bool cache_real_play(const struct cache_load *load, const struct policy *policy,
					 uint64_t limit_bytes, uint64_t seed, struct cache_outcome *out, char *problem,
					 size_t room) {
	struct player player = {.outcome = out};
	*out = (struct cache_outcome){0};
	bool made = make_tables(&player, load, seed);
	snug_error error = made ? make_shard(&player, policy, limit_bytes) : SNUG_ERROR_NO_MEMORY;
	if (!error) {
		for (size_t i = 0; i < load->count; i++) play(&player, &load->requests[i]);
		error = snug_shard_stats_get(player.shard, &out->stats);
		snug_error ended = snug_shard_destroy(player.shard);
		if (!error) error = ended;
	}
	if (error) snprintf(problem, room, "%s", made ? snug_error_text(error) : "no memory");
	cache_stock_deinit(&player.stock);
	free(player.value);
	return !error;
}
