/* cache_load.c: makes a load from its shape, or reads it from a trace. */
#include "caches/cache_load.h"

#include "ledger/ledger.h"
#include "workloads/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VALUE_MOST_BYTES ((size_t)1 << 20)
#define LOOP_KEYS_SHARE 5 /* one looped key for so many others */
#define SCAN_EVERY 20     /* a scan begins so often in a load */

/* What the making of a load remembers. Keys are numbered: popular ones, looped ones, then those
 * that come once. */
struct maker {
	const struct load_shape *shape;
	struct random random;
	struct popularity popularity;
	uint32_t *key_of_rank; /* drift exchanges keys */
	uint32_t *sizes;       /* by key */
	uint32_t loop_keys, looped;
	uint64_t scan_left, scan_period, change_period;
	bool other_sizes; /* after an odd number of changes */
	struct cache_load *load;
};

static uint32_t keys_of(const struct load_shape *shape, uint64_t requests) {
	double popular =
		(double)requests * (1 - shape->lone_share - shape->loop_share - shape->scan_share);
	double per_key = shape->requests_per_key;
	double keys = popular / (per_key > 0 ? per_key : 10);
	for (int round = 0; round < 8 && per_key <= 0; round++)
		keys = popular / popularity_requests_per_key(shape->rows, (uint32_t)keys + 1);
	return (uint32_t)keys + 1;
}

static uint32_t new_key(struct maker *maker) {
	const struct load_shape *shape = maker->shape;
	const struct sizes *sizes = maker->other_sizes ? &shape->other_sizes : &shape->sizes;
	uint32_t key = maker->load->keys++;
	maker->sizes[key] =
		(uint32_t)sizes_draw(sizes, &maker->random, VALUE_MOST_BYTES) + shape->key_bytes;
	return key;
}

static uint32_t popular_key(struct maker *maker) {
	uint32_t rank = popularity_draw(&maker->popularity, &maker->random);
	if (maker->shape->drift > 0 && random_unit(&maker->random) < maker->shape->drift) {
		uint32_t other = random_below(&maker->random, maker->popularity.keys);
		uint32_t key = maker->key_of_rank[rank];
		maker->key_of_rank[rank] = maker->key_of_rank[other];
		maker->key_of_rank[other] = key;
	}
	return maker->key_of_rank[rank];
}

static uint32_t looped_key(struct maker *maker) {
	uint32_t key = maker->popularity.keys + maker->looped;
	maker->looped = (maker->looped + 1) % maker->loop_keys;
	return key;
}

/* All popular keys are others from now on. */
static void change_keys(struct maker *maker) {
	maker->other_sizes = !maker->other_sizes;
	for (uint32_t rank = 0; rank < maker->popularity.keys; rank++)
		maker->key_of_rank[rank] = new_key(maker);
}

static uint32_t next_key(struct maker *maker, size_t index) {
	const struct load_shape *shape = maker->shape;
	if (shape->changes > 0 && index > 0 && index % maker->change_period == 0) change_keys(maker);
	if (shape->scan_share > 0 && index % maker->scan_period == maker->scan_period / 2)
		maker->scan_left = (uint64_t)((double)maker->scan_period * shape->scan_share);
	if (maker->scan_left > 0) {
		maker->scan_left--;
		return new_key(maker);
	}
	double unit = random_unit(&maker->random);
	if (unit < shape->lone_share) return new_key(maker);
	if (unit < shape->lone_share + shape->loop_share) return looped_key(maker);
	return popular_key(maker);
}

static bool maker_init(struct maker *maker, const struct load_shape *shape, uint64_t requests,
					   uint64_t seed, struct cache_load *load) {
	uint32_t keys = keys_of(shape, requests);
	*maker = (struct maker){.shape = shape,
							.load = load,
							.scan_period = requests / SCAN_EVERY + 1,
							.change_period = requests / (shape->changes + 1) + 1};
	random_init(&maker->random, seed, 1);
	if (!(shape->rows != NULL ? popularity_of_rows(shape->rows, keys, &maker->popularity)
							  : popularity_of_zipf(shape->exponent, keys, &maker->popularity)))
		return false;
	maker->loop_keys = shape->loop_share > 0 ? keys / LOOP_KEYS_SHARE + 1 : 0;
	maker->key_of_rank = calloc(keys, sizeof maker->key_of_rank[0]);
	size_t keys_most = (size_t)keys * (shape->changes + 1) + maker->loop_keys + requests;
	maker->sizes = calloc(keys_most, sizeof maker->sizes[0]);
	if (maker->key_of_rank == NULL || maker->sizes == NULL) return false;
	for (uint32_t rank = 0; rank < keys; rank++) maker->key_of_rank[rank] = rank;
	for (uint32_t key = 0; key < keys + maker->loop_keys; key++) (void)new_key(maker);
	return true;
}

static void maker_deinit(struct maker *maker) {
	popularity_deinit(&maker->popularity);
	free(maker->key_of_rank);
	free(maker->sizes);
}

static bool out_of_memory(char *problem, size_t room) {
	snprintf(problem, room, "no memory for the requests");
	return false;
}

bool cache_load_make(const struct load_shape *shape, uint64_t requests, uint64_t seed,
					 struct cache_load *out, char *problem, size_t room) {
	struct maker maker;
	struct cache_load load = {.requests = calloc(requests, sizeof load.requests[0]),
							  .count = requests,
							  .key_bytes = shape->key_bytes};
	snprintf(load.name, sizeof load.name, "%s", shape->name);
	bool made = load.requests != NULL && maker_init(&maker, shape, requests, seed, &load);
	for (size_t i = 0; made && i < requests; i++) {
		uint32_t key = next_key(&maker, i);
		bool set = shape->set_share > 0 && random_unit(&maker.random) < shape->set_share;
		load.requests[i] =
			(struct cache_request){.key = key,
								   .bytes = maker.sizes[key],
								   .lifetime = (uint32_t)(shape->lifetime * (double)requests),
								   .op = set ? TRACE_SET : TRACE_GET};
	}
	if (load.requests != NULL) maker_deinit(&maker);
	if (!made) {
		free(load.requests);
		return out_of_memory(problem, room);
	}
	*out = load;
	return true;
}

bool cache_load_read(const char *path, struct cache_load *out, char *problem, size_t room) {
	struct trace trace;
	if (!trace_read(path, &trace, problem, room)) return false;
	struct cache_load load = {.requests = calloc(trace.count, sizeof load.requests[0]),
							  .count = trace.count,
							  .keys = trace.keys,
							  .key_bytes = CACHE_TRACE_KEY_BYTES};
	const char *slash = strrchr(path, '/');
	snprintf(load.name, sizeof load.name, "trace:%.50s", slash != NULL ? slash + 1 : path);
	if (load.requests == NULL) return out_of_memory(problem, room);
	for (size_t i = 0; i < trace.count; i++) {
		const struct trace_request *request = &trace.requests[i];
		/* What a disk writes is asked for like what it reads; in a trace of a cache a set is the
		 * answer to a miss. */
		enum trace_op op = trace.block_trace ? TRACE_GET : request->op;
		load.requests[i] = (struct cache_request){
			.key = request->key, .bytes = request->size + CACHE_TRACE_KEY_BYTES, .op = op};
	}
	munmap(trace.requests, trace.count * sizeof trace.requests[0]);
	*out = load;
	return true;
}

bool cache_load_charge(struct cache_load *load, uint32_t overhead_bytes) {
	uint32_t *largest = calloc(load->keys, sizeof largest[0]);
	if (largest == NULL) return false;
	load->overhead_bytes = overhead_bytes;
	for (size_t i = 0; i < load->count; i++) {
		struct cache_request *request = &load->requests[i];
		request->bytes += overhead_bytes;
		if (request->bytes <= largest[request->key]) continue;
		load->footprint_bytes += request->bytes - largest[request->key];
		largest[request->key] = request->bytes;
	}
	free(largest);
	return true;
}

/* What is asked for when it is stale is not the same object. */
static uint32_t next_of(const struct cache_load *load, size_t index, uint32_t next) {
	const struct cache_request *request = &load->requests[index];
	if (next == REQUEST_NEVER || load->requests[next - 1].op != TRACE_GET) return REQUEST_NEVER;
	bool lives = request->lifetime == 0 || next < index + 1 + request->lifetime;
	return lives ? next : REQUEST_NEVER;
}

bool cache_load_look_ahead(struct cache_load *load) {
	uint32_t *next = malloc(load->keys * sizeof next[0]);
	if (next == NULL) return false;
	for (uint32_t key = 0; key < load->keys; key++) next[key] = REQUEST_NEVER;
	for (size_t i = load->count; i-- > 0;) {
		struct cache_request *request = &load->requests[i];
		request->next = next_of(load, i, next[request->key]);
		next[request->key] = (uint32_t)i + 1;
	}
	free(next);
	return true;
}

void cache_load_deinit(struct cache_load *load) {
	free(load->requests);
}
