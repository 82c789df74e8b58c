/* test_lifecycle.c: create, stop and destroy answer alike in all modules (docs/embedding.md,
 * "Create, stop, destroy").
 *
 * The signatures are compared in tests/tree/check_lifecycle.py; here is what they answer: to NULL,
 * to options that are left out, to what is still in use, on the wrong thread and inside a callback.
 * What is refused is left as it was, and so is the out-parameter. */
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <pthread.h>
#include <snug/snug.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)4 << 20)

static snug_workers *workers;
static snug_cache *cache;

static int open_all(void **state) {
	(void)state;
	snug_workers_options workers_options = snug_workers_options_default();
	snug_cache_options cache_options = snug_cache_options_default();
	workers_options.heap.limit_bytes = cache_options.limit_bytes = LIMIT_BYTES;
	REQUIRE_OK(snug_workers_create(&workers_options, &workers));
	REQUIRE_OK(snug_cache_create(&cache_options, &cache));
	return 0;
}

static int close_all(void **state) {
	(void)state;
	REQUIRE_OK(snug_cache_destroy(cache));
	REQUIRE_OK(snug_workers_destroy(workers));
	return 0;
}

/* ------------------------------------------------------------------ NULL ------------------- */

/* One of each: what stands alone, and what belongs to a parent. */
#define ALONE(X) X(heap) X(shard) X(workers) X(cache)
#define OF_A_PARENT(X) X(client, workers) X(coordinator, workers) X(cache_client, cache)

/* Its limit has no default, so options are needed. */
#define NEEDS_OPTIONS(name)                                                                \
	do {                                                                                   \
		snug_##name *const untouched = (snug_##name *)(void *)&workers, *made = untouched; \
		snug_##name##_options options = snug_##name##_options_default();                   \
		REQUIRE_ERROR(SNUG_ERROR_NULL, snug_##name##_create(&options, NULL));              \
		REQUIRE_ERROR(SNUG_ERROR_NULL, snug_##name##_create(NULL, &made));                 \
		REQUIRE_ERROR(SNUG_ERROR_LIMIT_TOO_SMALL, snug_##name##_create(&options, &made));  \
		REQUIRE(made == untouched, "a refused " #name " wrote its out-parameter");         \
		REQUIRE_OK(snug_##name##_destroy(NULL));                                           \
	} while (0);

#define HAS_DEFAULTS(name, parent)                                                         \
	do {                                                                                   \
		snug_##name *const untouched = (snug_##name *)(void *)&workers, *made = untouched; \
		snug_##name##_options options = snug_##name##_options_default();                   \
		REQUIRE_ERROR(SNUG_ERROR_NULL, snug_##name##_create(NULL, &options, &made));       \
		REQUIRE_ERROR(SNUG_ERROR_NULL, snug_##name##_create(parent, &options, NULL));      \
		options.struct_bytes = 0;                                                          \
		REQUIRE_ERROR(SNUG_ERROR_VERSION, snug_##name##_create(parent, &options, &made));  \
		REQUIRE(made == untouched, "a refused " #name " wrote its out-parameter");         \
		REQUIRE_OK(snug_##name##_create(parent, NULL, &made));                             \
		REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_##parent##_destroy(parent));                 \
		REQUIRE_OK(snug_##name##_destroy(made));                                           \
		REQUIRE_OK(snug_##name##_destroy(NULL));                                           \
	} while (0);

static void null_is_answered_alike(void **state) {
	(void)state;
	ALONE(NEEDS_OPTIONS)
	OF_A_PARENT(HAS_DEFAULTS)
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_workers_stop(NULL, 0));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_coordinator_stop(NULL, 0));
}

/* ------------------------------------------------------------------ in use ----------------- */

static void what_is_in_use_stays(void **state) {
	(void)state;
	snug_client *client;
	snug_cache_client *cache_client;
	snug_object object;
	snug_cache_value value;
	REQUIRE_OK(snug_client_create(workers, NULL, &client));
	REQUIRE_OK(snug_cache_client_create(cache, NULL, &cache_client));
	REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_workers_destroy(workers));
	REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_cache_destroy(cache));
	REQUIRE_OK(snug_client_alloc(client, 0, 100, "x", 1, &object));
	REQUIRE_OK(snug_client_free(client, object));
	REQUIRE_OK(snug_cache_set(cache_client, "key", 3, "value", 5, NULL));
	REQUIRE_ERROR(SNUG_ERROR_BUFFER_TOO_SMALL,
				  snug_cache_get(cache_client, "key", 3, NULL, 0, &value));
	REQUIRE_OK(snug_client_destroy(client));
	REQUIRE_OK(snug_cache_client_destroy(cache_client));
}

/* The time-out that a client is made with is the one that it can be given later. */
static void a_client_has_the_time_out_it_was_made_with(void **state) {
	(void)state;
	snug_cache_client_options options = snug_cache_client_options_default();
	snug_cache_client *client;
	assert_true(options.timeout_ns == SNUG_FOREVER);
	options.timeout_ns = 0;
	REQUIRE_OK(snug_cache_client_create(cache, &options, &client));
	snug_error error = SNUG_OK;
	for (uint32_t i = 0; i < 1000 && error != SNUG_ERROR_TIMED_OUT; i++)
		error = snug_cache_set(client, "late", 4, "value", 5, NULL);
	assert_true(error == SNUG_ERROR_TIMED_OUT || error == SNUG_ERROR_QUEUE_FULL);
	REQUIRE_OK(snug_cache_client_destroy(client));
}

/* ------------------------------------------------------------------ the owner's thread ----- */

struct stranger {
	snug_heap *heap;
	snug_shard *shard;
	snug_error heap_error;
	snug_error shard_error;
};

static void *destroy_both(void *context) {
	struct stranger *stranger = context;
	stranger->heap_error = snug_heap_destroy(stranger->heap);
	stranger->shard_error = snug_shard_destroy(stranger->shard);
	return NULL;
}

/* A release build does not look. */
static void a_stranger_destroys_nothing(void **state) {
	(void)state;
#ifdef SNUG_DEBUG
	struct stranger stranger;
	snug_heap_options options = snug_heap_options_default();
	snug_shard_options shard_options = snug_shard_options_default();
	snug_handle handle;
	pthread_t thread;
	options.limit_bytes = shard_options.heap.limit_bytes = LIMIT_BYTES;
	REQUIRE_OK(snug_heap_create(&options, &stranger.heap));
	REQUIRE_OK(snug_shard_create(&shard_options, &stranger.shard));
	assert_int_equal(pthread_create(&thread, NULL, destroy_both, &stranger), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stranger.heap_error, SNUG_ERROR_WRONG_THREAD);
	assert_int_equal(stranger.shard_error, SNUG_ERROR_WRONG_THREAD);
	REQUIRE_OK(snug_alloc(stranger.heap, 100, &handle));
	REQUIRE_OK(snug_shard_check(stranger.shard, NULL));
	REQUIRE_OK(snug_heap_destroy(stranger.heap));
	REQUIRE_OK(snug_shard_destroy(stranger.shard));
#else
	(void)destroy_both;
	skip();
#endif
}

/* ------------------------------------------------------------------ inside a callback ------ */

struct owner {
	snug_heap *heap;
	snug_ref refs[2000];
	uint32_t moves;
	snug_error error;
};

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	struct owner *owner = context;
	(void)size;
	for (size_t i = 0; i < sizeof owner->refs / sizeof *owner->refs; i++)
		if (owner->refs[i] == from) owner->refs[i] = to;
	owner->moves++;
	owner->error = snug_heap_destroy(owner->heap);
}

static void a_callback_destroys_nothing(void **state) {
	(void)state;
	static struct owner owner;
	snug_heap_options options = snug_heap_options_default();
	snug_report report;
	options.limit_bytes = LIMIT_BYTES;
	options.owner = (snug_owner){.moved = moved, .context = &owner};
	REQUIRE_OK(snug_heap_create(&options, &owner.heap));
	for (size_t i = 0; i < 2000; i++) REQUIRE_OK(snug_ref_alloc(owner.heap, 100, &owner.refs[i]));
	for (size_t i = 0; i < 2000; i += 2) {
		REQUIRE_OK(snug_ref_free(owner.heap, owner.refs[i], 100));
		owner.refs[i] = 0;
	}
	REQUIRE_OK(snug_defragment(owner.heap, NULL, &report));
	assert_true(owner.moves > 0);
	assert_int_equal(owner.error, SNUG_ERROR_REENTERED);
	assert_int_equal(snug_check(owner.heap, NULL), SNUG_OK);
	REQUIRE_OK(snug_heap_destroy(owner.heap));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_answered_alike),
		cmocka_unit_test(what_is_in_use_stays),
		cmocka_unit_test(a_client_has_the_time_out_it_was_made_with),
		cmocka_unit_test(a_stranger_destroys_nothing),
		cmocka_unit_test(a_callback_destroys_nothing),
	};
	return cmocka_run_group_tests_name("lifecycle", tests, open_all, close_all);
}
