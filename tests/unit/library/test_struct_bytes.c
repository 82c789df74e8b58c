/* test_struct_bytes.c: callers that were compiled against older and newer headers than the library:
 * snug/version.h.
 *
 * One table of all structs that a caller gives and that may grow. Each is given as good options of
 * every size, from the size's own eight bytes on, in memory that ends where it ends, so that a
 * sanitizer sees what reads further. Each is given with more than the library knows: zeros are
 * good, anything else is VERSION, and nothing was made. What the library writes has room for more
 * at its end, which is zero. */
#include "base/grown.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)4 << 20)
#define BEYOND_BYTES 24u

/* ------------------------------------------------------------------ what is needed to use them  */

static snug_workers *workers;
static snug_coordinator *coordinator;
static snug_cache *cache;
static snug_cache_client *cache_client;
static snug_heap *heap;

static int open_all(void **state) {
	(void)state;
	snug_heap_options heap_options = snug_heap_options_default();
	snug_workers_options workers_options = snug_workers_options_default();
	snug_cache_options cache_options = snug_cache_options_default();
	heap_options.limit_bytes = workers_options.heap.limit_bytes = cache_options.limit_bytes =
		LIMIT_BYTES;
	REQUIRE_OK(snug_heap_create(&heap_options, &heap));
	REQUIRE_OK(snug_workers_create(&workers_options, &workers));
	REQUIRE_OK(snug_coordinator_create(workers, NULL, &coordinator));
	REQUIRE_OK(snug_cache_create(&cache_options, &cache));
	REQUIRE_OK(snug_cache_client_create(cache, NULL, &cache_client));
	return 0;
}

static int close_all(void **state) {
	(void)state;
	REQUIRE_OK(snug_cache_client_destroy(cache_client));
	REQUIRE_OK(snug_cache_destroy(cache));
	REQUIRE_OK(snug_coordinator_destroy(coordinator));
	REQUIRE_OK(snug_workers_destroy(workers));
	REQUIRE_OK(snug_heap_destroy(heap));
	return 0;
}

/* ------------------------------------------------------------------ the structs --------------- */

/* Makes something with options of this type and ends it again. What was refused has not written its
 * out-parameter. */
#define CREATES(name, type, create_call, destroy)                                 \
	static snug_error use_##name(const void *options) {                           \
		type *made = NULL;                                                        \
		snug_error error = create_call;                                           \
		REQUIRE((made != NULL) == (error == SNUG_OK), "a refusal made a " #name); \
		if (!error) REQUIRE_OK(destroy(made));                                    \
		return error;                                                             \
	}

CREATES(heap_options, snug_heap, snug_heap_create(options, &made), snug_heap_destroy)
CREATES(shard_options, snug_shard, snug_shard_create(options, &made), snug_shard_destroy)
CREATES(workers_options, snug_workers, snug_workers_create(options, &made), snug_workers_destroy)
CREATES(client_options, snug_client, snug_client_create(workers, options, &made),
		snug_client_destroy)
CREATES(coordinator_options, snug_coordinator, snug_coordinator_create(workers, options, &made),
		snug_coordinator_destroy)
CREATES(cache_options, snug_cache, snug_cache_create(options, &made), snug_cache_destroy)
CREATES(cache_client_options, snug_cache_client, snug_cache_client_create(cache, options, &made),
		snug_cache_client_destroy)

static snug_error use_defragment_options(const void *options) {
	snug_estimate_report estimate;
	snug_report report;
	snug_error error = snug_defragment(heap, options, &report);
	REQUIRE_ERROR(error, snug_estimate(heap, options, &estimate));
	return error;
}

static snug_error use_cache_store_options(const void *options) {
	return snug_cache_set(cache_client, "key", 3, "value", 5, options);
}

static int load_nothing(void *context, snug_cache_client *client, const void *key, size_t key_bytes,
						snug_cache_loaded *out) {
	(void)context;
	(void)client;
	(void)key;
	(void)key_bytes;
	(void)out;
	return 0;
}

static snug_error use_cache_load_options(const void *options) {
	char buffer[8];
	snug_cache_loading told;
	return snug_cache_get_or_load(cache_client, "load", 4, buffer, sizeof buffer, options, &told);
}

static snug_error use_request(const void *request) {
	snug_response response;
	snug_ticket late = 0;
	snug_error error = snug_coordinator_call(coordinator, request, SNUG_FOREVER, &response, &late);
	return error ? error : response.error;
}

static void init_request(snug_request *request, size_t struct_bytes) {
	snug_request_init(request, struct_bytes, SNUG_REQUEST_METRICS);
}

/* Good options in a struct of so many bytes, of which the struct is the first part, or which are
 * the first part of it. */
#define FILLS(name, type, init, setting)                             \
	static void fill_##name(void *given, size_t bytes) {             \
		type whole;                                                  \
		init(&whole, sizeof whole);                                  \
		setting;                                                     \
		init(given, bytes);                                          \
		size_t shared = bytes < sizeof whole ? bytes : sizeof whole; \
		memcpy(given, &whole, shared);                               \
		memcpy(given, &bytes, sizeof bytes);                         \
	}

FILLS(heap_options, snug_heap_options, snug_heap_options_init, whole.limit_bytes = LIMIT_BYTES)
FILLS(shard_options, snug_shard_options, snug_shard_options_init,
	  whole.heap.limit_bytes = LIMIT_BYTES)
FILLS(workers_options, snug_workers_options, snug_workers_options_init,
	  whole.heap.limit_bytes = LIMIT_BYTES)
FILLS(client_options, snug_client_options, snug_client_options_init, whole.flight_max = 64)
FILLS(coordinator_options, snug_coordinator_options, snug_coordinator_options_init,
	  whole.audit = 16)
FILLS(cache_options, snug_cache_options, snug_cache_options_init, whole.limit_bytes = LIMIT_BYTES)
FILLS(cache_client_options, snug_cache_client_options, snug_cache_client_options_init,
	  whole.timeout_ns = 1)
FILLS(defragment_options, snug_defragment_options, snug_defragment_options_init,
	  whole.step_bytes = 1000)
FILLS(cache_store_options, snug_cache_store_options, snug_cache_store_options_init,
	  whole.client_flags = 7)
FILLS(cache_load_options, snug_cache_load_options, snug_cache_load_options_init,
	  whole.load = load_nothing)
FILLS(request, snug_request, init_request, whole.worker = 0)

struct kind {
	const char *name;
	size_t bytes;
	size_t needed_bytes; /* with so many it is complete: the limit is in it */
	snug_error without;  /* what is answered when it is not */
	void (*fill)(void *given, size_t bytes);
	snug_error (*use)(const void *given);
};

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define FULL(name, member)                                                                   \
	{                                                                                        \
#name, sizeof(snug_##name), END_OF(snug_##name, member), SNUG_ERROR_LIMIT_TOO_SMALL, \
			fill_##name, use_##name                                                          \
	}
#define BARE(name) \
	{ #name, sizeof(snug_##name), sizeof(size_t), SNUG_OK, fill_##name, use_##name }

static const struct kind kinds[] = {
	FULL(heap_options, limit_bytes),
	FULL(shard_options, heap.limit_bytes),
	FULL(workers_options, heap.limit_bytes),
	FULL(cache_options, limit_bytes),
	BARE(client_options),
	BARE(coordinator_options),
	BARE(cache_client_options),
	BARE(defragment_options),
	BARE(cache_store_options),
	{"cache_load_options", sizeof(snug_cache_load_options), END_OF(snug_cache_load_options, load),
	 SNUG_ERROR_NULL, fill_cache_load_options, use_cache_load_options},
	{"request", sizeof(snug_request), END_OF(snug_request, kind), SNUG_ERROR_OPTION, fill_request,
	 use_request},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* ------------------------------------------------------------------ older and newer callers --- */

static void an_older_caller_gets_the_defaults(void **state) {
	const struct kind *kind = *state;
	for (size_t bytes = sizeof(size_t); bytes <= kind->bytes; bytes += sizeof(size_t)) {
		void *given = malloc(bytes); /* and not one byte more */
		REQUIRE(given != NULL, "no memory");
		kind->fill(given, bytes);
		snug_error expected = bytes >= kind->needed_bytes ? SNUG_OK : kind->without,
				   answer = kind->use(given);
		REQUIRE(answer == expected, "snug_%s of %zu bytes: %s", kind->name, bytes,
				snug_error_name(answer));
		free(given);
	}
}

static void a_newer_caller_may_ask_for_nothing_new(void **state) {
	const struct kind *kind = *state;
	size_t bytes = kind->bytes + BEYOND_BYTES;
	unsigned char *given = malloc(bytes);
	REQUIRE(given != NULL, "no memory");
	kind->fill(given, bytes);
	REQUIRE_OK(kind->use(given));
	for (size_t at = kind->bytes; at < bytes; at++) {
		given[at] = 1;
		REQUIRE_ERROR(SNUG_ERROR_VERSION, kind->use(given));
		given[at] = 0;
	}
	REQUIRE_OK(kind->use(given));
	free(given);
}

static void what_was_not_initialised_is_refused(void **state) {
	const struct kind *kind = *state;
	const size_t sizes[] = {0,
							1,
							sizeof(size_t) - 1,
							sizeof(size_t) + 3,
							GROWN_BYTES_MAX + 1,
							SIZE_MAX,
							0xA5A5A5A5A5A5A5A5u};
	unsigned char *given = malloc(kind->bytes);
	REQUIRE(given != NULL, "no memory");
	kind->fill(given, kind->bytes);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memcpy(given, &sizes[i], sizeof sizes[i]);
		REQUIRE_ERROR(SNUG_ERROR_VERSION, kind->use(given));
	}
	free(given);
}

/* ------------------------------------------------------------------ init ---------------------- */

static void init_writes_what_there_is_room_for(void **state) {
	(void)state;
	unsigned char made[2 * sizeof(snug_workers_options)];
	snug_workers_options whole = snug_workers_options_default();
	assert_int_equal(whole.struct_bytes, sizeof whole);
	assert_int_equal(whole.heap.struct_bytes, sizeof whole.heap);
	assert_int_equal(whole.count, 1);
	assert_int_equal(snug_request_default(SNUG_REQUEST_ESTIMATE).options.struct_bytes,
					 sizeof(snug_defragment_options));
	assert_int_equal(snug_shard_options_default().heap.struct_bytes, sizeof(snug_heap_options));
	for (size_t bytes = 0; bytes <= sizeof made; bytes++) {
		memset(made, 0xA5, sizeof made);
		snug_workers_options_init((snug_workers_options *)(void *)made, bytes);
		for (size_t at = bytes; at < sizeof made; at++) assert_int_equal(made[at], 0xA5);
		if (bytes < sizeof bytes) continue;
		assert_memory_equal(made, &bytes, sizeof bytes);
		if (bytes > sizeof whole)
			assert_true(grown_is_zero(made + sizeof whole, bytes - sizeof whole));
	}
	snug_workers_options_init(NULL, sizeof whole);
}

/* ------------------------------------------------------------------ what is reserved ---------- */

static void nothing(void) {
}

#define REFUSED(type, make, member, value, function)         \
	do {                                                     \
		type asked = make;                                   \
		asked.member = value;                                \
		REQUIRE_ERROR(SNUG_ERROR_VERSION, function(&asked)); \
	} while (0)

static void what_is_reserved_must_be_zero(void **state) {
	(void)state;
	snug_heap_options with_os = snug_heap_options_default();
	snug_os os = *snug_os_linux();
	os.reserved[2] = nothing;
	with_os.limit_bytes = LIMIT_BYTES;
	with_os.os = &os;
	REQUIRE_ERROR(SNUG_ERROR_VERSION, use_heap_options(&with_os));
	REFUSED(snug_shard_options, snug_shard_options_default(), reserved, 1, use_shard_options);
	REFUSED(snug_workers_options, snug_workers_options_default(), reserved[3], 1,
			use_workers_options);
	REFUSED(snug_workers_options, snug_workers_options_default(), hook.reserved[0], nothing,
			use_workers_options);
	REFUSED(snug_coordinator_options, snug_coordinator_options_default(), reserved[1], 1,
			use_coordinator_options);
	REFUSED(snug_request, snug_request_default(SNUG_REQUEST_METRICS), reserved[2], 1, use_request);
	REFUSED(snug_request, snug_request_default(SNUG_REQUEST_METRICS), schedule.reserved[1], 1,
			use_request);
}

/* Written over what was there before. */
#define WRITES_ZERO(type, call)                                                       \
	do {                                                                              \
		type out;                                                                     \
		memset(&out, 0xA5, sizeof out);                                               \
		REQUIRE_OK(call);                                                             \
		REQUIRE(grown_is_zero(out.reserved, sizeof out.reserved), #type ".reserved"); \
	} while (0)

static void what_is_written_has_zeros_at_its_end(void **state) {
	(void)state;
	char buffer[8];
	WRITES_ZERO(snug_stats, snug_stats_get(heap, &out));
	WRITES_ZERO(snug_report, snug_defragment(heap, NULL, &out));
	WRITES_ZERO(snug_estimate_report, snug_estimate(heap, NULL, &out));
	WRITES_ZERO(snug_worker_stats, snug_workers_stats(workers, 0, &out));
	WRITES_ZERO(snug_coordinator_stats, snug_coordinator_stats_get(coordinator, &out));
	WRITES_ZERO(snug_cache_stats, snug_cache_stats_get(cache_client, &out));
	REQUIRE_OK(snug_cache_set(cache_client, "key", 3, "value", 5, NULL));
	WRITES_ZERO(snug_cache_value,
				snug_cache_get(cache_client, "key", 3, buffer, sizeof buffer, &out));
	snug_shard_options options = snug_shard_options_default();
	snug_shard *shard;
	options.heap.limit_bytes = LIMIT_BYTES;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	WRITES_ZERO(snug_shard_stats, snug_shard_stats_get(shard, &out));
	REQUIRE_OK(snug_shard_destroy(shard));
}

static void answers_have_zeros_at_their_end(void **state) {
	(void)state;
	static snug_response response;
	static snug_part part;
	static snug_audit_entry entry;
	static snug_schedule_entry schedule;
	uint32_t parts = 1, entries = 1, schedules = 1;
	snug_ticket ticket;
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	memset(&response, 0xA5, sizeof response);
	memset(&part, 0xA5, sizeof part);
	memset(&entry, 0xA5, sizeof entry);
	memset(&schedule, 0xA5, sizeof schedule);
	REQUIRE_OK(snug_coordinator_submit(coordinator, &request, &ticket));
	REQUIRE_OK(snug_coordinator_wait(coordinator, ticket, SNUG_FOREVER, &response, &part, &parts));
	REQUIRE(grown_is_zero(response.reserved, sizeof response.reserved), "a response");
	REQUIRE(grown_is_zero(response.report.reserved, sizeof response.report.reserved), "its report");
	REQUIRE(parts == 1 && grown_is_zero(part.reserved, sizeof part.reserved), "a part");
	request = snug_request_default(SNUG_REQUEST_SCHEDULE);
	request.schedule.interval_ns = UINT64_C(3600000000000);
	REQUIRE_OK(use_request(&request));
	REQUIRE_OK(snug_coordinator_audit(coordinator, &entry, &entries));
	REQUIRE(entries == 1 && grown_is_zero(entry.reserved, sizeof entry.reserved),
			"an entry of the audit");
	REQUIRE_OK(snug_coordinator_schedules(coordinator, &schedule, &schedules));
	REQUIRE(schedules == 1 && grown_is_zero(schedule.reserved, sizeof schedule.reserved),
			"a schedule");
}

int main(void) {
	static struct CMUnitTest tests[3 * KINDS + 4];
	static char names[3 * KINDS][64];
	const struct {
		const char *name;
		CMUnitTestFunction function;
	} cases[] = {{"an_older_caller_gets_the_defaults", an_older_caller_gets_the_defaults},
				 {"a_newer_caller_may_ask_for_nothing_new", a_newer_caller_may_ask_for_nothing_new},
				 {"what_was_not_initialised_is_refused", what_was_not_initialised_is_refused}};
	size_t count = 0;
	for (size_t i = 0; i < KINDS; i++)
		for (size_t c = 0; c < 3; c++, count++) {
			snprintf(names[count], sizeof names[count], "%s (%s)", cases[c].name, kinds[i].name);
			tests[count] = (struct CMUnitTest){names[count], cases[c].function, NULL, NULL,
											   (void *)(uintptr_t)&kinds[i]};
		}
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(init_writes_what_there_is_room_for);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(what_is_reserved_must_be_zero);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(what_is_written_has_zeros_at_its_end);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(answers_have_zeros_at_their_end);
	return _cmocka_run_group_tests("struct_bytes", tests, count, open_all, close_all);
}
