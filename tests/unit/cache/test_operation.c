/* test_operation.c: what operations mean, as scripts of steps on one key, each with what must be
 * answered.
 *
 * What is expected was seen on memcached 1.6.18 and 1.6.45. Every script runs three times: values
 * given directly, values in leases that were filled before, and values behind a prefix that is
 * larger than a page, where a value is not a number. */
#include "cache/operation/operation.h"
#include "os/fake.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/heap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS 4u
#define BEGIN_S 1700000000
#define DAYS_30 (30 * 86400)
#define PREFIX_BYTES 10000u
#define VALUE_MAX 16000u
#define SKIPPED_TTL INT64_MIN

/* ------------------------------------------------------------------ scripts ---------------- */

/* Asked: what is not named is 0. A CAS number is that of an earlier step (`compares`), moved by
 * `off`, or absolute. */
struct step {
	uint8_t kind;
	uint8_t mode;
	uint16_t options;
	const char *value;
	uint32_t client_flags;
	int64_t exptime, vivify, recache_s;
	uint64_t cas_compare, cas_new, delta, initial;
	uint8_t compares; /* 1 .. NUMBERS - 1: cas_compare is that of the step that said `keeps` */
	int8_t off;
	/* Before it: */
	int64_t pass_s;
	int64_t flush_s; /* seconds from now; -1: at once */
	/* Answered: */
	uint8_t status;
	uint8_t marks;
	uint8_t keeps; /* the number is kept under this name */
	uint8_t same;  /* it is the one kept */
	uint8_t newer; /* it is larger than the one kept */
	const char *found;
	int64_t ttl_s; /* 0: does not matter */
	uint64_t number;
	uint32_t flags;
};

#define SET(text) .kind = OPERATION_STORE, .mode = STORE_SET, .value = text, .status = STATUS_STORED
#define STORE(how, text, what) .kind = OPERATION_STORE, .mode = how, .value = text, .status = what
#define GET(text) \
	.kind = OPERATION_GET, .options = OPERATION_IS_META, .found = text, .status = STATUS_FOUND
#define GET_WITH(option, text)                                                     \
	.kind = OPERATION_GET, .options = OPERATION_IS_META | (option), .found = text, \
	.status = STATUS_FOUND
#define MISS .kind = OPERATION_GET, .options = OPERATION_IS_META, .status = STATUS_NOT_FOUND
#define DELETE(option, what) .kind = OPERATION_DELETE, .options = option, .status = what
#define COUNT(option, by, result)                                                       \
	.kind = OPERATION_ARITHMETIC, .options = OPERATION_IS_META | (option), .delta = by, \
	.number = result, .status = STATUS_DONE
#define COUNT_FAILS(option, what) \
	.kind = OPERATION_ARITHMETIC, .options = option, .delta = 1, .status = what

#define STEPS_MAX 16u

struct script {
	const char *name;
	bool is_of_numbers; /* not behind a prefix */
	struct step step[STEPS_MAX];
};

#define W OPERATION_WON
#define X OPERATION_STALE
#define Z OPERATION_WON_BEFORE
#define HAS_C OPERATION_HAS_CAS_COMPARE
#define WANTS_C OPERATION_WANTS_CAS

static const struct script scripts[] = {
	{"add, replace, append, prepend need what they need",
	 false,
	 {{STORE(STORE_REPLACE, "a", STATUS_NOT_STORED)},
	  {STORE(STORE_APPEND, "a", STATUS_NOT_STORED)},
	  {STORE(STORE_PREPEND, "a", STATUS_NOT_STORED)},
	  {MISS},
	  {STORE(STORE_ADD, "b", STATUS_STORED), .client_flags = 7, .exptime = 100},
	  {STORE(STORE_ADD, "c", STATUS_NOT_STORED)},
	  {STORE(STORE_APPEND, "d", STATUS_STORED), .client_flags = 8, .exptime = 5},
	  {GET("bd"), .flags = 7, .ttl_s = 100},
	  {STORE(STORE_REPLACE, "e", STATUS_STORED)},
	  {GET("e"), .ttl_s = -1}}},
	{"expiry: never, negative, relative, absolute, long ago",
	 false,
	 {{SET("a"), .exptime = 0},
	  {GET("a"), .ttl_s = -1, .pass_s = 100000},
	  {SET("a"), .exptime = -1},
	  {MISS},
	  {SET("a"), .exptime = DAYS_30},
	  {GET("a"), .ttl_s = DAYS_30 - 60, .pass_s = 60},
	  {SET("a"), .exptime = DAYS_30 + 1}, /* 1970 */
	  {MISS},
	  {SET("a"), .exptime = BEGIN_S + 100500},
	  {GET("a"), .ttl_s = 440},
	  {GET("a"), .ttl_s = 1, .pass_s = 439},
	  {MISS, .pass_s = 1}}},
	{"an exptime beyond 32 bits is the last one there is",
	 false,
	 {{SET("a"), .exptime = INT64_MAX}, {GET("a"), .ttl_s = (int64_t)UINT32_MAX - BEGIN_S}}},
	{"touch, and get and touch",
	 false,
	 {{SET("a"), .client_flags = 9},
	  {GET_WITH(OPERATION_HAS_EXPTIME | OPERATION_IS_TOUCH, NULL), .exptime = 50, .flags = 9},
	  {GET("a"), .ttl_s = 50, .flags = 9},
	  {GET_WITH(OPERATION_HAS_EXPTIME, "a"), .exptime = 0, .ttl_s = -1},
	  {GET_WITH(OPERATION_HAS_EXPTIME | OPERATION_TELLS_OLD_TTL, "a"), .exptime = 60, .ttl_s = -1},
	  {GET_WITH(OPERATION_HAS_EXPTIME, "a"), .exptime = -1, .marks = OPERATION_EXPIRES_NOW},
	  {MISS},
	  {SET("b")},
	  {GET_WITH(OPERATION_HAS_EXPTIME, "b"), .exptime = BEGIN_S, .marks = OPERATION_EXPIRES_NOW},
	  {MISS}}},
	{"cas",
	 false,
	 {{STORE(STORE_SET, "a", STATUS_NOT_FOUND), .options = HAS_C, .cas_compare = 5},
	  {SET("a")},
	  {GET_WITH(WANTS_C, "a"), .keeps = 1},
	  {GET_WITH(WANTS_C, "a"), .same = 1},
	  {STORE(STORE_SET, "b", STATUS_EXISTS), .options = HAS_C, .compares = 1, .off = 1},
	  {STORE(STORE_SET, "b", STATUS_EXISTS), .options = HAS_C, .cas_compare = 0},
	  {SET("b"), .options = HAS_C, .compares = 1},
	  {STORE(STORE_SET, "c", STATUS_EXISTS), .options = HAS_C, .compares = 1},
	  {GET_WITH(WANTS_C, "b"), .newer = 1, .keeps = 2},
	  {SET("d")},
	  {STORE(STORE_SET, "c", STATUS_EXISTS), .options = HAS_C, .compares = 2},
	  {GET_WITH(WANTS_C, "d"), .newer = 2}}},
	{"each change takes the number",
	 true,
	 {{SET("1"), .options = WANTS_C, .keeps = 1},
	  {STORE(STORE_APPEND, "0", STATUS_STORED)},
	  {GET_WITH(WANTS_C, "10"), .newer = 1, .keeps = 2},
	  {COUNT(0, 1, 11)},
	  {GET_WITH(WANTS_C, "11"), .newer = 2, .keeps = 3},
	  {DELETE(OPERATION_INVALIDATES, STATUS_DONE)},
	  {GET_WITH(WANTS_C | OPERATION_NO_STALE, "11"), .newer = 3, .keeps = 1},
	  {GET_WITH(OPERATION_HAS_EXPTIME | OPERATION_NO_STALE, "11"), .exptime = 9},
	  {GET_WITH(WANTS_C | OPERATION_NO_STALE, "11"), .same = 1, .ttl_s = 9}}},
	{"conditions on append and replace",
	 false,
	 {{SET("a"), .options = WANTS_C, .keeps = 1},
	  {STORE(STORE_APPEND, "b", STATUS_EXISTS), .options = HAS_C, .compares = 1, .off = 1},
	  {STORE(STORE_APPEND, "b", STATUS_EXISTS), .options = HAS_C | OPERATION_INVALIDATES,
	   .compares = 1, .off = -1},
	  {STORE(STORE_APPEND, "b", STATUS_STORED), .options = HAS_C | WANTS_C, .compares = 1,
	   .keeps = 2},
	  {STORE(STORE_APPEND, "c", STATUS_STORED), .options = HAS_C, .cas_compare = 0},
	  {GET("abc")},
	  {STORE(STORE_REPLACE, "d", STATUS_EXISTS), .options = HAS_C, .compares = 2},
	  {STORE(STORE_ADD, "d", STATUS_NOT_STORED), .options = HAS_C, .compares = 2},
	  {DELETE(0, STATUS_DONE)},
	  {STORE(STORE_REPLACE, "d", STATUS_NOT_FOUND), .options = HAS_C, .cas_compare = 3},
	  {STORE(STORE_ADD, "d", STATUS_STORED), .options = HAS_C, .cas_compare = 3}}},
	{"numbers that are given",
	 false,
	 {{SET("a"), .options = OPERATION_HAS_CAS_NEW, .cas_new = 500},
	  {GET_WITH(WANTS_C, "a"), .keeps = 1},
	  {SET("b"), .options = OPERATION_HAS_CAS_NEW | HAS_C | WANTS_C, .cas_compare = 500,
	   .cas_new = 30, .keeps = 2},
	  {GET_WITH(WANTS_C, "b"), .same = 2},
	  {STORE(STORE_SET, "c", STATUS_EXISTS), .options = HAS_C, .cas_compare = 500},
	  {SET("c"), .options = WANTS_C, .newer = 1},
	  {SET("d"), .options = OPERATION_HAS_CAS_NEW | WANTS_C, .cas_new = 0, .newer = 1, .keeps = 3},
	  {SET("e"), .options = OPERATION_HAS_CAS_NEW, .cas_new = UINT64_MAX},
	  {GET_WITH(HAS_C, "e"), .cas_compare = UINT64_MAX, .marks = OPERATION_CAS_MATCHES},
	  {SET("f"), .options = WANTS_C, .newer = 3}}},
	{"a value that the asker has already",
	 false,
	 {{SET("a"), .options = WANTS_C, .keeps = 1},
	  {GET_WITH(HAS_C, "a"), .compares = 1, .marks = OPERATION_CAS_MATCHES},
	  {GET_WITH(HAS_C, "a"), .compares = 1, .off = 1},
	  {SET("b")},
	  {GET_WITH(HAS_C, "b"), .cas_compare = 0}}},
	{"stale: the first is to make it anew, the others know",
	 false,
	 {{DELETE(OPERATION_INVALIDATES, STATUS_NOT_FOUND)},
	  {SET("a"), .exptime = 500},
	  {DELETE(OPERATION_INVALIDATES | OPERATION_HAS_EXPTIME, STATUS_DONE), .exptime = 30},
	  {GET("a"), .marks = W | X, .ttl_s = 30},
	  {GET("a"), .marks = X | Z},
	  {GET_WITH(OPERATION_NO_STALE, "a")},
	  {DELETE(OPERATION_INVALIDATES, STATUS_DONE)},
	  {GET_WITH(OPERATION_NO_STALE, "a")},
	  {GET("a"), .marks = W | X, .ttl_s = 30},
	  {STORE(STORE_APPEND, "b", STATUS_STORED)},
	  {GET("ab"), .ttl_s = 30},
	  {DELETE(OPERATION_INVALIDATES, STATUS_DONE)},
	  {SET("c")},
	  {GET("c"), .ttl_s = -1}}},
	{"an older value is taken, and stale",
	 false,
	 {{SET("a"), .options = WANTS_C, .exptime = 100, .keeps = 1},
	  {DELETE(OPERATION_INVALIDATES, STATUS_DONE)},
	  {GET("a"), .marks = W | X},
	  {SET("b"), .options = HAS_C | OPERATION_INVALIDATES, .compares = 1, .exptime = 50},
	  {GET("b"), .marks = X | Z, .ttl_s = 100},
	  {GET_WITH(WANTS_C, "b"), .marks = X | Z, .newer = 1, .keeps = 2},
	  {STORE(STORE_SET, "c", STATUS_EXISTS), .options = HAS_C | OPERATION_INVALIDATES,
	   .compares = 2, .off = 1},
	  {SET("d"), .options = HAS_C | OPERATION_INVALIDATES, .compares = 2, .exptime = 50},
	  {GET("d"), .ttl_s = 50},
	  {STORE(STORE_SET, "e", STATUS_EXISTS), .options = HAS_C | OPERATION_INVALIDATES,
	   .cas_compare = 0},
	  {SET("e"), .options = OPERATION_INVALIDATES},
	  {GET("e"), .ttl_s = -1}}},
	{"numbers that were never given are not older",
	 false,
	 {{SET("a")},
	  {STORE(STORE_SET, "b", STATUS_EXISTS), .options = HAS_C | OPERATION_INVALIDATES,
	   .cas_compare = 99},
	  {GET("a")}}},
	{"vivify",
	 false,
	 {{GET_WITH(OPERATION_HAS_VIVIFY | WANTS_C, ""), .vivify = 30, .marks = W, .keeps = 1},
	  {GET_WITH(OPERATION_HAS_VIVIFY | WANTS_C, ""), .vivify = 60, .marks = Z, .same = 1,
	   .ttl_s = 30},
	  {STORE(STORE_ADD, "a", STATUS_NOT_STORED)},
	  {SET("a")},
	  {GET("a"), .ttl_s = -1},
	  {DELETE(0, STATUS_DONE)},
	  {GET_WITH(OPERATION_HAS_VIVIFY, ""), .vivify = -1, .marks = W},
	  {MISS},
	  {STORE(STORE_APPEND, "b", STATUS_STORED), .options = OPERATION_HAS_VIVIFY, .vivify = 40,
	   .client_flags = 3},
	  {STORE(STORE_PREPEND, "c", STATUS_STORED), .options = OPERATION_HAS_VIVIFY, .vivify = 90,
	   .client_flags = 4},
	  {GET("cb"), .ttl_s = 40, .flags = 3}}},
	{"recache",
	 false,
	 {{SET("a"), .exptime = 100},
	  {GET_WITH(OPERATION_HAS_RECACHE, "a"), .recache_s = 100},
	  {GET_WITH(OPERATION_HAS_RECACHE, "a"), .recache_s = 101, .marks = W},
	  {GET_WITH(OPERATION_HAS_RECACHE, "a"), .recache_s = 101, .marks = Z},
	  {GET("a"), .marks = Z, .ttl_s = 100},
	  {SET("b"), .exptime = 100},
	  {GET_WITH(OPERATION_HAS_RECACHE | OPERATION_HAS_EXPTIME | OPERATION_TOUCHES_FIRST, "b"),
	   .recache_s = 101, .exptime = 200},
	  {GET_WITH(OPERATION_HAS_RECACHE | OPERATION_HAS_EXPTIME, "b"), .recache_s = 201,
	   .exptime = 900, .marks = W},
	  {SET("c")}, /* for ever */
	  {GET_WITH(OPERATION_HAS_RECACHE, "c"), .recache_s = 1000}}},
	{"deletes",
	 false,
	 {{DELETE(0, STATUS_NOT_FOUND)},
	  {SET("a")},
	  {DELETE(HAS_C, STATUS_EXISTS), .cas_compare = 0},
	  {DELETE(HAS_C, STATUS_EXISTS), .cas_compare = 12345},
	  {GET_WITH(WANTS_C, "a"), .keeps = 1},
	  {DELETE(HAS_C | OPERATION_INVALIDATES, STATUS_EXISTS), .compares = 1, .off = -1},
	  {DELETE(HAS_C | OPERATION_CLEARS_VALUE, STATUS_EXISTS), .compares = 1, .off = 1},
	  {DELETE(HAS_C, STATUS_DONE), .compares = 1},
	  {MISS},
	  {DELETE(HAS_C, STATUS_NOT_FOUND), .compares = 1}}},
	{"a delete that leaves the item",
	 false,
	 {{DELETE(OPERATION_CLEARS_VALUE, STATUS_NOT_FOUND)},
	  {SET("a"), .client_flags = 6, .exptime = 60, .options = WANTS_C, .keeps = 1},
	  {DELETE(OPERATION_CLEARS_VALUE, STATUS_DONE)},
	  {GET_WITH(WANTS_C, ""), .ttl_s = -1, .same = 1},
	  {SET("b"), .client_flags = 6},
	  {DELETE(OPERATION_CLEARS_VALUE | OPERATION_INVALIDATES | OPERATION_HAS_EXPTIME |
				  OPERATION_HAS_CAS_NEW,
			  STATUS_DONE),
	   .exptime = 30, .cas_new = 1000},
	  {GET_WITH(HAS_C, ""), .cas_compare = 1000, .ttl_s = 30,
	   .marks = W | X | OPERATION_CAS_MATCHES},
	  {DELETE(OPERATION_CLEARS_VALUE | OPERATION_HAS_EXPTIME, STATUS_DONE), .exptime = -1},
	  {MISS}}},
	{"arithmetic",
	 true,
	 {{COUNT_FAILS(0, STATUS_NOT_FOUND)},
	  {SET("10"), .client_flags = 4, .exptime = 70},
	  {COUNT(0, 5, 15)},
	  {COUNT(OPERATION_DECREMENTS, 6, 9)},
	  {GET("9 "), .flags = 4, .ttl_s = 70},
	  {COUNT(OPERATION_DECREMENTS, 100, 0)},
	  {COUNT(0, 18446744073709551615u, 18446744073709551615u)},
	  {GET("18446744073709551615")},
	  {COUNT(0, 2, 1)},
	  {GET("1                   "), .flags = 4},
	  {COUNT(OPERATION_HAS_EXPTIME, 0, 1), .exptime = 20, .ttl_s = 20},
	  {COUNT(OPERATION_HAS_EXPTIME | OPERATION_TELLS_OLD_TTL, 0, 1), .exptime = 0, .ttl_s = 20},
	  {GET("1                   "), .ttl_s = -1}}},
	{"what is a number",
	 true,
	 {{SET("")},
	  {COUNT_FAILS(0, STATUS_NOT_A_NUMBER)},
	  {SET("5a")},
	  {COUNT_FAILS(0, STATUS_NOT_A_NUMBER)},
	  {SET("-5")},
	  {COUNT_FAILS(0, STATUS_NOT_A_NUMBER)},
	  {SET("18446744073709551616")},
	  {COUNT_FAILS(0, STATUS_NOT_A_NUMBER)},
	  {SET(" ")},
	  {COUNT_FAILS(0, STATUS_NOT_A_NUMBER)},
	  {SET("5\r\n "), .options = OPERATION_IS_META},
	  {COUNT(0, 1, 6)},
	  {SET(" +5 x")},
	  {COUNT(0, 1, 6)},
	  {GET("6    ")}}},
	{"arithmetic with conditions, and on what is missing",
	 true,
	 {{COUNT(OPERATION_HAS_VIVIFY | WANTS_C, 3, 40), .initial = 40, .vivify = 50, .keeps = 1},
	  {GET("40"), .ttl_s = 50},
	  {COUNT_FAILS(HAS_C, STATUS_EXISTS), .compares = 1, .off = 1},
	  {COUNT(HAS_C, 2, 42), .compares = 1},
	  {COUNT_FAILS(HAS_C, STATUS_EXISTS), .compares = 1},
	  {COUNT(HAS_C | WANTS_C, 1, 43), .cas_compare = 0, .newer = 1, .keeps = 2},
	  {COUNT(OPERATION_HAS_CAS_NEW, 1, 44), .cas_new = 900},
	  {GET_WITH(HAS_C, "44"), .cas_compare = 900, .marks = OPERATION_CAS_MATCHES},
	  {SET("x")},
	  {COUNT_FAILS(HAS_C, STATUS_EXISTS), .cas_compare = 77},
	  {COUNT(OPERATION_HAS_VIVIFY, 3, 7), .initial = 7, .vivify = -1, .flush_s = -1},
	  {MISS}}},
	{"arithmetic leaves marks alone",
	 true,
	 {{SET("1")},
	  {DELETE(OPERATION_INVALIDATES, STATUS_DONE)},
	  {COUNT(0, 1, 2)},
	  {GET("2"), .marks = W | X},
	  {COUNT(0, 1, 3)},
	  {GET("3"), .marks = X | Z}}},
	{"flushes",
	 false,
	 {{SET("a")},
	  {MISS, .flush_s = -1},
	  {SET("b")},
	  {GET("b")},
	  {GET("b"), .flush_s = 10},
	  {SET("c"), .pass_s = 9},
	  {MISS, .pass_s = 1},
	  {SET("d")},
	  {GET("d"), .flush_s = 5},
	  {GET("d"), .flush_s = 50, .pass_s = 4},
	  {GET("d"), .pass_s = 10},
	  {MISS, .pass_s = 50}}},
	{"a flush that was due is not replaced by a later one",
	 false,
	 {{SET("a")},
	  {GET("a"), .flush_s = 5},
	  {MISS, .pass_s = 5, .flush_s = 100},
	  {SET("b")},
	  {MISS, .pass_s = 100}}},
};

/* ------------------------------------------------------------------ running them ----------- */

enum form { FORM_DIRECT, FORM_LEASED, FORM_PREFIXED };

struct stage {
	struct fake_os fake;
	snug_shard *shard;
	struct operation_counts counts;
	int64_t now_s;
	int64_t wall_ahead_s; /* the clock on the wall was set */
	uint64_t kept[NUMBERS];
	enum form form;
	char where[160];
};

static int64_t now_of(void *context) {
	return ((const struct stage *)context)->now_s;
}

static int64_t wall_of(void *context) {
	return now_of(context) + ((const struct stage *)context)->wall_ahead_s;
}

static void stage_begin(struct stage *stage, enum form form) {
	snug_shard_options options = snug_shard_options_default();
	memset(stage, 0, sizeof *stage);
	fake_os_init(&stage->fake);
	options.heap.limit_bytes = (size_t)4 << 20;
	options.heap.page_bytes = 4096;
	options.heap.os = &stage->fake.os;
	options.now_s = now_of;
	options.wall_s = wall_of;
	options.now_context = stage;
	stage->form = form;
	stage->now_s = BEGIN_S;
	assert_int_equal(snug_shard_create(&options, &stage->shard), SNUG_OK);
	for (uint64_t given = 0; given < 10;) given = snug_shard_next_cas(stage->shard);
}

static void stage_end(struct stage *stage) {
	snug_shard_stats stats;
	assert_int_equal(snug_shard_check(stage->shard, NULL), SNUG_OK);
	assert_int_equal(snug_shard_stats_get(stage->shard, &stats), SNUG_OK);
	assert_int_equal(stats.leases, 0);
	assert_int_equal(snug_shard_destroy(stage->shard), SNUG_OK);
	assert_int_equal(stage->fake.reserved_bytes, 0);
	fake_os_deinit(&stage->fake);
}

#define EXPECT(stage, condition)                                                  \
	do {                                                                          \
		if (!(condition)) fail_msg("%s: not so: %s", (stage)->where, #condition); \
	} while (0)

/* Those that begin a value have it behind the prefix; what is appended or prepended has not. */
static const char *full_value(const struct stage *stage, const char *value, bool begins) {
	static char full[VALUE_MAX];
	if (stage->form != FORM_PREFIXED || !begins || *value == '\0') return value;
	memset(full, 'p', PREFIX_BYTES);
	memcpy(full + PREFIX_BYTES, value, strlen(value) + 1);
	return full;
}

static void give_value(struct stage *stage, const struct step *step, struct operation *operation) {
	bool begins = step->mode < STORE_APPEND;
	const char *value = full_value(stage, step->value, begins);
	operation->value_bytes = (uint32_t)strlen(value);
	operation->value = value;
	if (stage->form != FORM_LEASED) return;
	snug_extent extents[8];
	size_t count = 8;
	EXPECT(stage, snug_shard_reserve(stage->shard, &operation->key, operation->value_bytes,
									 &operation->lease) == SNUG_OK);
	EXPECT(stage, snug_shard_lease_view(stage->shard, &operation->lease, 0, operation->value_bytes,
										extents, &count) == SNUG_OK);
	for (size_t i = 0; i < count; i++) {
		memcpy(extents[i].data, value, extents[i].length);
		value += extents[i].length;
	}
	operation->value = NULL;
	operation->value_bytes = 0;
}

/* What was found is `expected`: itself, or somewhere around a prefix. */
static void require_value(struct stage *stage, const struct operation *operation,
						  const char *expected) {
	static char found[2 * VALUE_MAX];
	size_t length = operation->item.value_bytes, at = 0;
	if (length > 0)
		EXPECT(stage, snug_shard_read(stage->shard, &operation->item, 0, found, length) == SNUG_OK);
	for (size_t i = 0; i < length; i++)
		if (found[i] != 'p') found[at++] = found[i];
	EXPECT(stage, length == at || length == at + PREFIX_BYTES);
	found[at] = '\0';
	if (strcmp(found, expected) != 0)
		fail_msg("%s: found \"%s\", not \"%s\"", stage->where, found, expected);
}

static void require_number(struct stage *stage, const struct step *step, uint64_t cas) {
	if (step->same) EXPECT(stage, cas == stage->kept[step->same]);
	if (step->newer) EXPECT(stage, cas > stage->kept[step->newer]);
	if (step->keeps) {
		EXPECT(stage, cas != 0 || (step->options & WANTS_C) == 0);
		stage->kept[step->keeps] = cas;
	}
}

static void take_step(struct stage *stage, const struct step *step) {
	struct operation operation = {.key = snug_shard_key("key", 3),
								  .kind = step->kind,
								  .mode = step->mode,
								  .options = step->options,
								  .client_flags = step->client_flags,
								  .exptime = step->exptime,
								  .vivify_exptime = step->vivify,
								  .recache_s = step->recache_s,
								  .cas_compare = step->cas_compare,
								  .cas_new = step->cas_new,
								  .delta = step->delta,
								  .initial = step->initial};
	stage->now_s += step->pass_s;
	if (step->flush_s != 0)
		snug_shard_flush(stage->shard, stage->now_s + (step->flush_s < 0 ? 0 : step->flush_s));
	if (step->compares)
		operation.cas_compare = stage->kept[step->compares] + (uint64_t)(int64_t)step->off;
	if (step->kind == OPERATION_STORE) give_value(stage, step, &operation);
	operation_execute(stage->shard, &operation, &stage->counts);
	if (operation.status != step->status)
		fail_msg("%s: status %u, not %u", stage->where, operation.status, step->status);
	EXPECT(stage, operation.lease.ref == 0);
	EXPECT(stage, step->number == operation.number);
	require_number(stage, step, operation.cas);
	if (step->ttl_s != 0 && operation.ttl_s != step->ttl_s)
		fail_msg("%s: %lld s to live, not %lld", stage->where, (long long)operation.ttl_s,
				 (long long)step->ttl_s);
	if (step->kind == OPERATION_GET && step->status == STATUS_FOUND) {
		if (operation.marks != step->marks)
			fail_msg("%s: marks %u, not %u", stage->where, operation.marks, step->marks);
		if (step->flags != 0) EXPECT(stage, operation.item.attributes.client_flags == step->flags);
		if (step->found != NULL && *step->found != '\0')
			require_value(stage, &operation, step->found);
		if (step->found != NULL && *step->found == '\0')
			EXPECT(stage, operation.item.value_bytes == 0);
		operation_end(stage->shard, &operation);
	}
}

static void play_all(enum form form) {
	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		const struct script *script = &scripts[i];
		struct stage stage;
		if (form == FORM_PREFIXED && script->is_of_numbers) continue;
		stage_begin(&stage, form);
		for (size_t at = 0; at < STEPS_MAX; at++) {
			const struct step *step = &script->step[at];
			if (step->kind == OPERATION_GET && step->options == 0) break; /* the end */
			snprintf(stage.where, sizeof stage.where, "\"%s\", step %zu, form %d", script->name,
					 at + 1, (int)form);
			take_step(&stage, step);
			EXPECT(&stage, snug_shard_check(stage.shard, NULL) == SNUG_OK);
		}
		stage_end(&stage);
	}
}

static void values_given_directly(void **state) {
	(void)state;
	play_all(FORM_DIRECT);
}

static void values_in_leases(void **state) {
	(void)state;
	play_all(FORM_LEASED);
}

static void values_of_several_pages(void **state) {
	(void)state;
	play_all(FORM_PREFIXED);
}

/* ------------------------------------------------------------------ what is refused -------- */

static uint8_t run(struct stage *stage, struct operation *operation, const char *key) {
	operation->key = snug_shard_key(key, strlen(key));
	operation_execute(stage->shard, operation, &stage->counts);
	return operation->status;
}

static uint8_t store(struct stage *stage, const char *key, enum store_mode mode, uint16_t options,
					 const void *value, size_t bytes) {
	struct operation operation = {.kind = OPERATION_STORE,
								  .mode = (uint8_t)mode,
								  .options = options,
								  .value = value,
								  .value_bytes = (uint32_t)bytes};
	return run(stage, &operation, key);
}

static uint8_t get(struct stage *stage, const char *key) {
	struct operation operation = {.kind = OPERATION_GET, .options = OPERATION_NO_STALE};
	return run(stage, &operation, key);
}

static uint8_t remove_key(struct stage *stage, const char *key) {
	struct operation operation = {.kind = OPERATION_DELETE};
	return run(stage, &operation, key);
}

static void what_is_too_large_takes_the_old_value_with_it(void **state) {
	(void)state;
	struct stage stage;
	stage_begin(&stage, FORM_DIRECT);
	size_t bytes = (size_t)1 << 20;
	char *large = calloc(1, bytes);
	assert_non_null(large);
	static const struct {
		enum store_mode mode;
		uint16_t options;
		uint8_t status;
		bool stays;
	} cases[] = {
		{STORE_SET, 0, STATUS_TOO_LARGE, false},
		{STORE_REPLACE, 0, STATUS_TOO_LARGE, true},
		{STORE_REPLACE, OPERATION_IS_META, STATUS_TOO_LARGE, false},
		{STORE_ADD, 0, STATUS_NOT_STORED, true},
		{STORE_APPEND, 0, STATUS_NOT_STORED, true},
		{STORE_PREPEND, OPERATION_IS_META, STATUS_NOT_STORED, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(store(&stage, "k", STORE_SET, 0, "old", 3), STATUS_STORED);
		assert_int_equal(store(&stage, "k", cases[i].mode, cases[i].options, large, bytes),
						 cases[i].status);
		assert_int_equal(get(&stage, "k"), cases[i].stays ? STATUS_FOUND : STATUS_NOT_FOUND);
	}
	assert_int_equal(stage.counts.store_too_large, 3);
	/* Together they are. */
	assert_int_equal(store(&stage, "k", STORE_SET, 0, large, bytes - 100), STATUS_STORED);
	assert_int_equal(store(&stage, "k", STORE_APPEND, 0, large, 200), STATUS_NOT_STORED);
	assert_int_equal(get(&stage, "k"), STATUS_FOUND);
	free(large);
	stage_end(&stage);
}

static void without_eviction_there_is_an_end(void **state) {
	(void)state;
	struct stage stage;
	snug_shard_options options = snug_shard_options_default();
	stage_begin(&stage, FORM_DIRECT);
	assert_int_equal(snug_shard_destroy(stage.shard), SNUG_OK);
	options.heap.limit_bytes = (size_t)1 << 20;
	options.heap.page_bytes = 4096;
	options.heap.os = &stage.fake.os;
	options.no_eviction = true;
	options.now_s = now_of;
	options.now_context = &stage;
	assert_int_equal(snug_shard_create(&options, &stage.shard), SNUG_OK);
	char *value = calloc(1, 100000), key[16];
	assert_non_null(value);
	uint32_t stored = 0;
	uint8_t status;
	do {
		snprintf(key, sizeof key, "%u", stored);
		status = store(&stage, key, STORE_ADD, 0, value, 30000);
	} while (status == STATUS_STORED && ++stored < 1000);
	assert_int_equal(status, STATUS_NO_MEMORY);
	assert_int_equal(stage.counts.store_no_memory, 1);
	/* A set that fails leaves nothing that could be taken for it; an append leaves what was
	 * there. */
	assert_int_equal(store(&stage, "0", STORE_APPEND, 0, value, 90000), STATUS_NO_MEMORY);
	assert_int_equal(get(&stage, "0"), STATUS_FOUND);
	assert_int_equal(store(&stage, "0", STORE_SET, 0, value, 100000), STATUS_NO_MEMORY);
	assert_int_equal(get(&stage, "0"), STATUS_NOT_FOUND);
	free(value);
	stage_end(&stage);
}

static void keys_of_a_wrong_length(void **state) {
	(void)state;
	struct stage stage;
	char key[SNUG_KEY_BYTES_MAX + 2];
	stage_begin(&stage, FORM_DIRECT);
	memset(key, 'k', sizeof key);
	key[SNUG_KEY_BYTES_MAX + 1] = '\0';
	for (int i = 0; i < 2; i++, key[0] = '\0') {
		assert_int_equal(store(&stage, key, STORE_SET, 0, "v", 1), STATUS_BAD_KEY);
		assert_int_equal(get(&stage, key), STATUS_NOT_FOUND);
		assert_int_equal(remove_key(&stage, key), STATUS_NOT_FOUND);
	}
	stage_end(&stage);
}

/* ------------------------------------------------------------------ what is told ----------- */

static void an_inspection_counts_as_nothing(void **state) {
	(void)state;
	struct stage stage;
	struct operation look = {.kind = OPERATION_INSPECT},
					 quiet = {.kind = OPERATION_GET, .options = OPERATION_NO_USE};
	struct operation use = {.kind = OPERATION_GET, .options = OPERATION_IS_META};
	stage_begin(&stage, FORM_DIRECT);
	assert_int_equal(run(&stage, &look, "k"), STATUS_NOT_FOUND);
	assert_int_equal(store(&stage, "k", STORE_SET, 0, "v", 1), STATUS_STORED);
	assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
	assert_int_equal(run(&stage, &quiet, "k"), STATUS_FOUND);
	assert_int_equal(store(&stage, "k", STORE_ADD, 0, "w", 1), STATUS_NOT_STORED);
	assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
	assert_false(look.item.was_fetched);
	assert_int_equal(look.cas, 0);
	assert_int_equal(look.ttl_s, -1);
	/* Told as it was before. */
	use.options |= OPERATION_WANTS_CAS | OPERATION_HAS_EXPTIME;
	use.exptime = 50;
	assert_int_equal(run(&stage, &use, "k"), STATUS_FOUND);
	assert_false(use.item.was_fetched);
	assert_int_equal(run(&stage, &use, "k"), STATUS_FOUND);
	assert_true(use.item.was_fetched);
	assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
	assert_true(look.item.was_fetched);
	assert_int_equal(look.cas, use.cas);
	assert_int_equal(look.ttl_s, 50);
	/* A number that changes is the same item; a new value is none. */
	assert_int_equal(store(&stage, "k", STORE_SET, 0, "1", 1), STATUS_STORED);
	assert_int_equal(run(&stage, &use, "k"), STATUS_FOUND);
	assert_false(use.item.was_fetched);
	struct operation count = {.kind = OPERATION_ARITHMETIC, .delta = 99};
	assert_int_equal(run(&stage, &count, "k"), STATUS_DONE);
	assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
	assert_true(look.item.was_fetched);
	stage_end(&stage);
}

struct counted {
	uint8_t kind, mode;
	uint16_t options;
	bool there;
	const char *value; /* what is there; NULL: "1" */
	const char *counts;
};

static const struct counted counted[] = {
	{OPERATION_GET, 0, 0, true, NULL, "cmd_get get_hits "},
	{OPERATION_GET, 0, 0, false, NULL, "cmd_get get_misses "},
	{OPERATION_GET, 0, OPERATION_HAS_EXPTIME, true, NULL, "cmd_touch touch_hits "},
	{OPERATION_GET, 0, OPERATION_HAS_EXPTIME | OPERATION_IS_TOUCH, false, NULL,
	 "cmd_touch touch_misses "},
	{OPERATION_GET, 0, OPERATION_HAS_EXPTIME | OPERATION_IS_META, true, NULL,
	 "cmd_touch cmd_meta touch_hits "},
	{OPERATION_GET, 0, OPERATION_HAS_EXPTIME | OPERATION_IS_META, false, NULL,
	 "cmd_get cmd_meta get_misses "},
	{OPERATION_GET, 0, OPERATION_HAS_VIVIFY | OPERATION_IS_META, false, NULL,
	 "cmd_get cmd_meta get_hits "},
	{OPERATION_STORE, STORE_SET, 0, false, NULL, "cmd_set "},
	{OPERATION_STORE, STORE_ADD, 0, true, NULL, "cmd_set "},
	{OPERATION_STORE, STORE_SET, HAS_C, true, NULL, "cmd_set cas_badval "},
	{OPERATION_STORE, STORE_SET, HAS_C, false, NULL, "cmd_set cas_misses "},
	{OPERATION_STORE, STORE_APPEND, HAS_C, true, NULL, "cmd_set "},
	{OPERATION_DELETE, 0, 0, true, NULL, "delete_hits "},
	{OPERATION_DELETE, 0, 0, false, NULL, "delete_misses "},
	{OPERATION_DELETE, 0, OPERATION_INVALIDATES, true, NULL, ""},
	{OPERATION_ARITHMETIC, 0, 0, true, NULL, "incr_hits "},
	{OPERATION_ARITHMETIC, 0, 0, false, NULL, "incr_misses "},
	{OPERATION_ARITHMETIC, 0, OPERATION_DECREMENTS, true, NULL, "decr_hits "},
	{OPERATION_ARITHMETIC, 0, OPERATION_DECREMENTS, false, NULL, "decr_misses "},
	{OPERATION_ARITHMETIC, 0, 0, true, "x", ""},
	{OPERATION_ARITHMETIC, 0, OPERATION_HAS_VIVIFY, false, NULL, ""},
	{OPERATION_INSPECT, 0, 0, true, NULL, "cmd_meta "},
};

/* The names of the counts that are not 0. */
static void list_counts(const struct operation_counts *counts, char *text) {
	*text = '\0';
#define NAME(name) \
	if (counts->name != 0) strcat(strcat(text, #name), counts->name == 1 ? " " : "+ ");
	OPERATION_COUNTS(NAME)
#undef NAME
}

static void what_is_counted(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
		const struct counted *one = &counted[i];
		struct stage stage;
		char text[400];
		stage_begin(&stage, FORM_DIRECT);
		if (one->there)
			assert_int_equal(
				store(&stage, "k", STORE_SET, 0, one->value == NULL ? "1" : one->value, 1),
				STATUS_STORED);
		memset(&stage.counts, 0, sizeof stage.counts);
		struct operation operation = {.kind = one->kind,
									  .mode = one->mode,
									  .options = one->options,
									  .exptime = 10,
									  .cas_compare = 4711,
									  .value = "2",
									  .value_bytes = 1};
		(void)run(&stage, &operation, "k");
		list_counts(&stage.counts, text);
		if (strcmp(text, one->counts) != 0)
			fail_msg("case %zu: \"%s\", not \"%s\"", i, text, one->counts);
		stage_end(&stage);
	}
}

static void expect_to_live(struct stage *stage, const char *key, int64_t exptime, int64_t seconds) {
	struct operation operation = {
		.kind = OPERATION_STORE, .value = "v", .value_bytes = 1, .exptime = exptime};
	assert_int_equal(run(stage, &operation, key), STATUS_STORED);
	for (int64_t shift_s = -100000; shift_s <= 100000; shift_s += 100000) {
		stage->wall_ahead_s += shift_s;
		assert_int_equal(get(stage, key), STATUS_FOUND);
	}
	stage->now_s += seconds - 1;
	assert_int_equal(get(stage, key), STATUS_FOUND);
	stage->now_s++;
	assert_int_equal(get(stage, key), STATUS_NOT_FOUND);
}

/* A date is told by the clock on the wall, as it is when the item is stored. Nothing else is. */
static void nobody_who_sets_the_clock_changes_what_is_to_live(void **state) {
	(void)state;
	struct stage stage;
	stage_begin(&stage, FORM_DIRECT);
	expect_to_live(&stage, "seconds", 60, 60);
	expect_to_live(&stage, "date", BEGIN_S + 60 + 1000, 1000);
	stage.wall_ahead_s = -50000;
	expect_to_live(&stage, "date of a clock set back", stage.now_s - 50000 + 10, 10);
	stage.wall_ahead_s = 50000;
	struct operation operation = {
		.kind = OPERATION_STORE, .value = "v", .value_bytes = 1, .exptime = stage.now_s + 10};
	assert_int_equal(run(&stage, &operation, "past"), STATUS_STORED);
	assert_int_equal(get(&stage, "past"), STATUS_NOT_FOUND);
	stage_end(&stage);
}

/* What was given as a date is told as one, and may be given again, whatever the clock on the wall
 * was set to in between. */
static void a_date_is_told_as_it_was_given(void **state) {
	(void)state;
	struct stage stage;
	stage_begin(&stage, FORM_DIRECT);
	for (int64_t ahead_s = -100000; ahead_s <= 100000; ahead_s += 100000) {
		stage.wall_ahead_s = ahead_s;
		int64_t date_s = stage.now_s + ahead_s + 60;
		struct operation operation = {
			.kind = OPERATION_STORE, .value = "v", .value_bytes = 1, .exptime = date_s};
		assert_int_equal(run(&stage, &operation, "k"), STATUS_STORED);
		struct operation look = {.kind = OPERATION_GET,
								 .options = OPERATION_NO_STALE | OPERATION_TELLS_DATE};
		assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
		assert_int_equal(look.item.attributes.expires_at_s, date_s);
		stage.wall_ahead_s += 5000;
		assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
		assert_int_equal(look.item.attributes.expires_at_s, date_s + 5000);
	}
	struct operation for_ever = {.kind = OPERATION_STORE, .value = "v", .value_bytes = 1};
	assert_int_equal(run(&stage, &for_ever, "k"), STATUS_STORED);
	struct operation look = {.kind = OPERATION_GET,
							 .options = OPERATION_NO_STALE | OPERATION_TELLS_DATE};
	assert_int_equal(run(&stage, &look, "k"), STATUS_FOUND);
	assert_int_equal(look.item.attributes.expires_at_s, 0);
	stage_end(&stage);
}

/* The clock that a shard has by itself goes by the system's that nobody sets. */
static void a_shard_of_its_own_clock_sees_time_pass(void **state) {
	(void)state;
	struct fake_os fake;
	struct stage stage = {0};
	snug_shard_options options = snug_shard_options_default();
	fake_os_init(&fake);
	options.heap.limit_bytes = (size_t)4 << 20;
	options.heap.os = &fake.os;
	assert_int_equal(snug_shard_create(&options, &stage.shard), SNUG_OK);
	struct operation operation = {
		.kind = OPERATION_STORE, .value = "v", .value_bytes = 1, .exptime = 60};
	assert_int_equal(run(&stage, &operation, "k"), STATUS_STORED);
	fake.time_ns += UINT64_C(58000000000);
	assert_int_equal(get(&stage, "k"), STATUS_FOUND);
	fake.time_ns += UINT64_C(2000000000);
	assert_int_equal(get(&stage, "k"), STATUS_NOT_FOUND);
	/* It tells its time, for who stores without exptime. */
	snug_key key = snug_shard_key("own", 3);
	int64_t begun_s = snug_shard_now_s(stage.shard);
	snug_attributes attributes = {.expires_at_s = (uint32_t)(begun_s + 60)};
	assert_int_equal(snug_shard_set(stage.shard, &key, &attributes, "v", 1), SNUG_OK);
	fake.time_ns += UINT64_C(59000000000);
	assert_int_equal(snug_shard_now_s(stage.shard), begun_s + 59);
	assert_int_equal(get(&stage, "own"), STATUS_FOUND);
	fake.time_ns += UINT64_C(1000000000);
	assert_int_equal(get(&stage, "own"), STATUS_NOT_FOUND);
	assert_int_equal(snug_shard_now_s(NULL), 0);
	assert_int_equal(snug_shard_destroy(stage.shard), SNUG_OK);
	fake_os_deinit(&fake);
}

static void misses_say_why(void **state) {
	(void)state;
	struct stage stage;
	stage_begin(&stage, FORM_DIRECT);
	struct operation operation = {
		.kind = OPERATION_STORE, .value = "v", .value_bytes = 1, .exptime = 5};
	assert_int_equal(run(&stage, &operation, "k"), STATUS_STORED);
	stage.now_s += 5;
	assert_int_equal(get(&stage, "k"), STATUS_NOT_FOUND);
	assert_int_equal(stage.counts.get_expired, 1);
	assert_int_equal(store(&stage, "k", STORE_SET, 0, "v", 1), STATUS_STORED);
	snug_shard_flush(stage.shard, stage.now_s);
	assert_int_equal(get(&stage, "k"), STATUS_NOT_FOUND);
	assert_int_equal(get(&stage, "k"), STATUS_NOT_FOUND);
	assert_int_equal(stage.counts.get_expired, 1);
	assert_int_equal(stage.counts.get_flushed, 1);
	stage_end(&stage);
}

int main(void) {
	test_set_secret(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_given_directly),
		cmocka_unit_test(values_in_leases),
		cmocka_unit_test(values_of_several_pages),
		cmocka_unit_test(what_is_too_large_takes_the_old_value_with_it),
		cmocka_unit_test(without_eviction_there_is_an_end),
		cmocka_unit_test(keys_of_a_wrong_length),
		cmocka_unit_test(an_inspection_counts_as_nothing),
		cmocka_unit_test(what_is_counted),
		cmocka_unit_test(misses_say_why),
		cmocka_unit_test(nobody_who_sets_the_clock_changes_what_is_to_live),
		cmocka_unit_test(a_date_is_told_as_it_was_given),
		cmocka_unit_test(a_shard_of_its_own_clock_sees_time_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
