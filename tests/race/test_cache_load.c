/* test_cache_load.c: what is missing is loaded by one thread and told to all; what is stale is told meanwhile; a
 * change has the last word. Beside a naive model, and by a storm whose source knows what may be seen. */
#include "cache/client/cache_parts.h"
#include "crew.h"
#include "support/test_random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static snug_cache *cache;
static snug_cache_client *client;

static int open_cache(void **state) {
	(void)state;
	cache = crew_cache(2, (size_t)16 << 20);
	client = crew_client(cache);
	return 0;
}

static int close_cache(void **state) {
	(void)state;
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_null(cache->loads.loading.first);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
	return 0;
}

/* ------------------------------------------------------------------ a loader by order ------ */

/* Does what it is told, and waits at its gate if that is closed. */
struct loader {
	_Atomic bool is_closed;
	_Atomic uint32_t calls;
	uint32_t releases;
	int failure;
	bool is_absent;
	char text[32];
	size_t more_bytes; /* behind the text */
};

static int load(void *context, snug_cache_client *of, const void *key, size_t key_bytes,
				snug_cache_loaded *out) {
	struct loader *loader = context;
	(void)of;
	atomic_fetch_add(&loader->calls, 1);
	CREW_WAIT_UNTIL(!atomic_load(&loader->is_closed));
	if (loader->failure != 0) return loader->failure;
	out->is_absent = loader->is_absent;
	out->own = calloc(1, sizeof loader->text + loader->more_bytes);
	memcpy(out->own, loader->text, strlen(loader->text));
	out->value = out->own;
	out->value_bytes = strlen(loader->text) + loader->more_bytes;
	out->client_flags = (uint32_t)key_bytes + *(const unsigned char *)key;
	return 0;
}

static void release(void *context, snug_cache_loaded *loaded) {
	struct loader *loader = context;
	loader->releases++;
	free(loaded->own);
}

static snug_cache_load_options options_of(struct loader *loader) {
	snug_cache_load_options options = snug_cache_load_options_default();
	options.load = load;
	options.release = release;
	options.context = loader;
	options.wait_ns = HANG_NS;
	return options;
}

/* What a call has answered. */
struct answer {
	snug_error error;
	snug_cache_loading told;
	char text[64];
};

static struct answer ask(snug_cache_client *of, const char *key,
						 const snug_cache_load_options *options) {
	struct answer answer = {.error = SNUG_OK};
	answer.error = snug_cache_get_or_load(of, key, strlen(key), answer.text, sizeof answer.text - 1,
										  options, &answer.told);
	return answer;
}

static void assert_told(const struct answer *answer, const char *text) {
	assert_int_equal(answer->error, SNUG_OK);
	assert_int_equal(answer->told.value.bytes, strlen(text));
	assert_string_equal(answer->text, text);
}

static void assert_holds(const char *key, const char *text) {
	char buffer[64] = "";
	snug_cache_value value;
	assert_int_equal(snug_cache_get(client, key, strlen(key), buffer, sizeof buffer, &value),
					 SNUG_OK);
	assert_int_equal(value.bytes, strlen(text));
	assert_memory_equal(buffer, text, value.bytes);
}

static void assert_nothing(const char *key) {
	snug_cache_value value;
	assert_int_equal(snug_cache_get(client, key, strlen(key), NULL, 0, &value),
					 SNUG_ERROR_NOT_FOUND);
}

static void put(const char *key, const char *text, uint32_t expires_at_s) {
	snug_cache_store_options options = snug_cache_store_options_default();
	options.expires_at_s = expires_at_s;
	assert_int_equal(snug_cache_set(client, key, strlen(key), text, strlen(text), &options),
					 SNUG_OK);
}

static uint32_t from_now(uint32_t seconds) {
	return (uint32_t)time(NULL) + seconds;
}

/* ------------------------------------------------------------------ one thread ------------- */

static void what_is_missing_is_loaded_once(void **state) {
	struct loader loader = {.text = "value"};
	snug_cache_load_options options = options_of(&loader);
	snug_cache_loading told;
	char small[2];
	(void)state;
	options.fresh_s = 1000;
	struct answer answer = ask(client, "key", &options);
	assert_told(&answer, "value");
	assert_true(answer.told.is_loaded && answer.told.stored == SNUG_OK && !answer.told.is_stale);
	assert_int_equal(answer.told.value.client_flags, 3 + 'k');
	assert_in_range(answer.told.value.expires_at_s, from_now(900), from_now(1001));
	answer = ask(client, "key", &options);
	assert_told(&answer, "value");
	assert_false(answer.told.is_loaded);
	assert_int_equal(loader.calls, 1);
	assert_int_equal(loader.releases, 1);
	/* What does not fit is stored, and told when it is asked for with more room. */
	assert_int_equal(
		snug_cache_get_or_load(client, "long", 4, small, sizeof small, &options, &told),
		SNUG_ERROR_BUFFER_TOO_SMALL);
	assert_int_equal(told.value.bytes, 5);
	answer = ask(client, "long", &options);
	assert_told(&answer, "value");
	assert_int_equal(loader.calls, 2);
	/* What can't be stored is told all the same, and how that ended. */
	loader.more_bytes = 2 << 20;
	char *large = malloc(3 << 20);
	assert_int_equal(snug_cache_get_or_load(client, "large", 5, large, 3 << 20, &options, &told),
					 SNUG_OK);
	assert_int_equal(told.stored, SNUG_ERROR_SIZE_TOO_LARGE);
	assert_int_equal(told.value.bytes, 5 + (2 << 20));
	assert_memory_equal(large, "value", 6);
	free(large);
	assert_nothing("large");
}

static void a_failure_is_told_and_forgotten(void **state) {
	struct loader loader = {.failure = 7};
	snug_cache_load_options options = options_of(&loader);
	(void)state;
	for (uint32_t i = 1; i <= 2; i++) {
		struct answer answer = ask(client, "key", &options);
		assert_int_equal(answer.error, SNUG_ERROR_LOADER);
		assert_int_equal(answer.told.loader_error, 7);
		assert_int_equal(loader.calls, i);
		assert_int_equal(loader.releases, i);
	}
	assert_nothing("key");
}

static uint32_t calls_for_absent(struct loader *loader, const char *key, uint32_t absent_s) {
	snug_cache_load_options options = options_of(loader);
	uint32_t before = loader->calls;
	options.absent_s = absent_s;
	assert_int_equal(ask(client, key, &options).error, SNUG_ERROR_NOT_FOUND);
	return loader->calls - before;
}

static void an_absence_is_remembered_if_the_loader_says_so(void **state) {
	struct loader loader = {.is_absent = true};
	snug_cache_load_options options = options_of(&loader);
	(void)state;
	assert_int_equal(calls_for_absent(&loader, "key", 0), 1);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 1);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 0);
	/* What is stored is found, and what is deleted is asked for again. */
	put("key", "stored", 0);
	struct answer answer = ask(client, "key", &options);
	assert_told(&answer, "stored");
	assert_int_equal(snug_cache_delete(client, "key", 3), SNUG_OK);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 1);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 0);
	assert_int_equal(snug_cache_delete(client, "key", 3), SNUG_ERROR_NOT_FOUND);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 1);
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 1);
	/* The oldest give way. */
	for (uint32_t i = 0; i < 2 * LOADS_MAX; i++) {
		char key[16];
		(void)snprintf(key, sizeof key, "%u", i);
		assert_int_equal(calls_for_absent(&loader, key, 1000), 1);
	}
	assert_int_equal(calls_for_absent(&loader, "2047", 1000), 0);
	assert_int_equal(calls_for_absent(&loader, "key", 1000), 1);
}

static void what_is_stale_is_loaded_anew(void **state) {
	struct loader loader = {.text = "new"};
	snug_cache_load_options options = options_of(&loader);
	(void)state;
	options.fresh_s = 100000;
	put("key", "old", from_now(100));
	options.stale_s = 10;
	struct answer answer = ask(client, "key", &options);
	assert_told(&answer, "old");
	options.stale_s = 1000;
	loader.failure = 1;
	assert_int_equal(ask(client, "key", &options).error, SNUG_ERROR_LOADER);
	assert_holds("key", "old");
	loader.failure = 0;
	answer = ask(client, "key", &options);
	assert_told(&answer, "new");
	assert_true(answer.told.is_loaded);
	answer = ask(client, "key", &options);
	assert_false(answer.told.is_loaded);
	/* The source has none any more. */
	put("key", "old", from_now(100));
	loader.is_absent = true;
	assert_int_equal(ask(client, "key", &options).error, SNUG_ERROR_NOT_FOUND);
	assert_nothing("key");
}

static void what_makes_no_sense_is_refused(void **state) {
	struct loader loader = {.text = ""};
	snug_cache_load_options options = options_of(&loader), none = {0};
	snug_cache_loading told;
	(void)state;
	assert_int_equal(snug_cache_get_or_load(NULL, "k", 1, NULL, 0, &options, &told),
					 SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_get_or_load(client, "k", 1, NULL, 1, &options, &told),
					 SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_get_or_load(client, "k", 1, NULL, 0, NULL, &told), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_get_or_load(client, "k", 1, NULL, 0, &options, NULL),
					 SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_get_or_load(client, "k", 0, NULL, 0, &options, &told),
					 SNUG_ERROR_KEY);
	assert_int_equal(snug_cache_get_or_load(client, "k", 1, NULL, 0, &none, &told),
					 SNUG_ERROR_VERSION);
	assert_int_equal(loader.calls, 0);
	struct answer answer = ask(client, "empty", &options);
	assert_told(&answer, "");
	options.load = NULL;
	assert_int_equal(ask(client, "k", &options).error, SNUG_ERROR_NULL);
}

/* ------------------------------------------------------------------ loaders that ask ------- */

struct nest {
	uint32_t deepest;
	snug_error end; /* of the deepest call */
};

static int load_the_next(void *context, snug_cache_client *of, const void *key, size_t key_bytes,
						 snug_cache_loaded *out) {
	struct nest *nest = context;
	char text[16], next[16], buffer[16];
	snug_cache_loading told;
	snug_cache_load_options options = snug_cache_load_options_default();
	options.load = load_the_next;
	options.context = context;
	memcpy(text, key, key_bytes);
	text[key_bytes] = 0;
	uint32_t number = (uint32_t)strtoul(text, NULL, 10);
	out->value = "x";
	out->value_bytes = 1;
	if (number == nest->deepest) return 0;
	size_t next_bytes = (size_t)snprintf(next, sizeof next, "%u", number + 1);
	snug_error error =
		snug_cache_get_or_load(of, next, next_bytes, buffer, sizeof buffer, &options, &told);
	if (error && nest->end == SNUG_OK) nest->end = error;
	return error != SNUG_OK;
}

static void a_loader_may_ask_for_other_keys(void **state) {
	struct nest nest = {.deepest = 100};
	snug_cache_load_options options = snug_cache_load_options_default();
	(void)state;
	options.load = load_the_next;
	options.context = &nest;
	assert_int_equal(ask(client, "0", &options).error, SNUG_OK);
	assert_holds("100", "x");
	/* More than the table holds, and what is under way fails with it. */
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
	nest.deepest = LOADS_MAX;
	assert_int_equal(ask(client, "0", &options).error, SNUG_ERROR_LOADER);
	assert_int_equal(nest.end, SNUG_ERROR_QUEUE_FULL);
	nest.deepest = LOADS_MAX - 1;
	assert_int_equal(ask(client, "0", &options).error, SNUG_OK);
}

static int load_itself(void *context, snug_cache_client *of, const void *key, size_t key_bytes,
					   snug_cache_loaded *out) {
	snug_cache_loading told;
	snug_cache_value value;
	snug_error *answers = context;
	snug_cache_load_options options = snug_cache_load_options_default();
	options.load = load_itself;
	options.stale_s = 1000;
	answers[0] = snug_cache_get_or_load(of, key, key_bytes, NULL, 0, &options, &told);
	answers[1] = snug_cache_client_destroy(of);
	answers[2] = snug_cache_get(of, key, key_bytes, NULL, 0, &value);
	out->value = "x";
	out->value_bytes = 1;
	return 0;
}

/* Its own change has overtaken it. */
static int load_what_it_deletes(void *context, snug_cache_client *of, const void *key,
								size_t key_bytes, snug_cache_loaded *out) {
	assert_int_equal(snug_cache_delete(of, key, key_bytes), SNUG_ERROR_NOT_FOUND);
	return load_itself(context, of, key, key_bytes, out);
}

static void not_after_a_change_either(void **state) {
	snug_error answers[3] = {SNUG_OK, SNUG_OK, SNUG_OK};
	snug_cache_load_options options = snug_cache_load_options_default();
	(void)state;
	options.load = load_what_it_deletes;
	options.context = answers;
	struct answer answer = ask(client, "key", &options);
	assert_int_equal(answers[0], SNUG_ERROR_CYCLE);
	assert_int_equal(answer.error, SNUG_OK);
	assert_int_equal(answer.told.stored, SNUG_ERROR_EXISTS);
}

static void a_loader_may_not_ask_for_its_own(void **state) {
	snug_error answers[3] = {SNUG_OK, SNUG_OK, SNUG_OK};
	snug_cache_load_options options = snug_cache_load_options_default();
	(void)state;
	options.load = load_itself;
	options.context = answers;
	options.stale_s = 1000;
	assert_int_equal(ask(client, "key", &options).error, SNUG_OK);
	assert_int_equal(answers[0], SNUG_ERROR_CYCLE);
	assert_int_equal(answers[1], SNUG_ERROR_IN_USE);
	assert_int_equal(answers[2], SNUG_ERROR_NOT_FOUND);
	put("key", "old", from_now(100));
	assert_int_equal(ask(client, "key", &options).error, SNUG_OK);
	assert_int_equal(answers[0], SNUG_ERROR_CYCLE);
}

/* ------------------------------------------------------------------ several threads -------- */

struct asker {
	pthread_t thread;
	const char *key;
	snug_cache_load_options options;
	struct answer answer;
};

static void *run_asker(void *context) {
	struct asker *asker = context;
	snug_cache_client *own = crew_client(cache);
	asker->answer = ask(own, asker->key, &asker->options);
	assert_int_equal(snug_cache_client_destroy(own), SNUG_OK);
	return NULL;
}

static void start(struct asker *asker, const char *key, const snug_cache_load_options *options) {
	*asker = (struct asker){.key = key, .options = *options};
	assert_int_equal(pthread_create(&asker->thread, NULL, run_asker, asker), 0);
}

static void join(struct asker *asker) {
	assert_int_equal(pthread_join(asker->thread, NULL), 0);
}

/* Loader and waiters of the first load that is under way. */
static uint32_t users(void) {
	pthread_mutex_lock(&cache->loads.mutex);
	const struct load *first = cache->loads.loading.first;
	uint32_t count = first == NULL ? 0 : first->users;
	pthread_mutex_unlock(&cache->loads.mutex);
	return count;
}

#define ASKERS 4u

static void all_who_wait_are_told(const char *text, int failure, bool is_absent) {
	struct loader loader = {.is_closed = true, .failure = failure, .is_absent = is_absent};
	snug_cache_load_options options = options_of(&loader);
	struct asker askers[ASKERS];
	(void)snprintf(loader.text, sizeof loader.text, "%s", text);
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
	for (uint32_t i = 0; i < ASKERS; i++) start(&askers[i], "key", &options);
	CREW_WAIT_UNTIL(users() == ASKERS);
	options.wait_ns = 1;
	assert_int_equal(ask(client, "key", &options).error, SNUG_ERROR_TIMED_OUT);
	options.wait_ns = HANG_NS;
	assert_int_equal(snug_cache_client_set_timeout(client, 1000), SNUG_OK);
	assert_int_equal(ask(client, "key", &options).error, SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_cache_client_set_timeout(client, SNUG_FOREVER), SNUG_OK);
	assert_int_equal(users(), ASKERS);
	atomic_store(&loader.is_closed, false);
	uint32_t loaded = 0;
	for (uint32_t i = 0; i < ASKERS; i++) {
		join(&askers[i]);
		const struct answer *answer = &askers[i].answer;
		loaded += answer->told.is_loaded;
		if (failure != 0) assert_int_equal(answer->told.loader_error, failure);
		if (failure != 0 || is_absent)
			assert_int_equal(answer->error,
							 failure != 0 ? SNUG_ERROR_LOADER : SNUG_ERROR_NOT_FOUND);
		else
			assert_told(answer, text);
	}
	assert_int_equal(loaded, failure == 0 && !is_absent);
	assert_int_equal(loader.calls, 1);
}

static void whoever_waits_is_told_the_same(void **state) {
	(void)state;
	all_who_wait_are_told("value", 0, false);
	all_who_wait_are_told("", 0, false);
	all_who_wait_are_told("", 9, false);
	all_who_wait_are_told("", 0, true);
}

/* A call whose loader loads into the call's own buffer, but not at its beginning. */
struct in_place {
	_Atomic bool is_closed;
	char text[16];
	snug_error error;
};

static int load_in_place(void *context, snug_cache_client *of, const void *key, size_t key_bytes,
						 snug_cache_loaded *out) {
	struct in_place *in_place = context;
	(void)of;
	(void)key;
	(void)key_bytes;
	CREW_WAIT_UNTIL(!atomic_load(&in_place->is_closed));
	memcpy(in_place->text + 1, "value", 5);
	out->value = in_place->text + 1;
	out->value_bytes = 5;
	return 0;
}

static void *ask_in_place(void *context) {
	struct in_place *in_place = context;
	snug_cache_load_options options = snug_cache_load_options_default();
	snug_cache_client *own = crew_client(cache);
	snug_cache_loading told;
	options.load = load_in_place;
	options.context = in_place;
	in_place->error = snug_cache_get_or_load(own, "key", 3, in_place->text, sizeof in_place->text,
											 &options, &told);
	assert_int_equal(snug_cache_client_destroy(own), SNUG_OK);
	return NULL;
}

static void a_value_may_lie_in_the_call_s_buffer(void **state) {
	struct in_place in_place = {.is_closed = true};
	struct loader loader = {.text = "another"};
	snug_cache_load_options options = options_of(&loader);
	struct asker asker;
	pthread_t thread;
	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ask_in_place, &in_place), 0);
	CREW_WAIT_UNTIL(users() == 1);
	start(&asker, "key", &options);
	CREW_WAIT_UNTIL(users() == 2);
	atomic_store(&in_place.is_closed, false);
	join(&asker);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(in_place.error, SNUG_OK);
	assert_memory_equal(in_place.text, "value", 5);
	assert_told(&asker.answer, "value");
	assert_holds("key", "value");
	assert_int_equal(loader.calls, 0);
}

static void whoever_finds_a_stale_value_does_not_wait(void **state) {
	struct loader loader = {.text = "new", .is_closed = true};
	snug_cache_load_options options = options_of(&loader);
	struct asker asker;
	(void)state;
	options.stale_s = 1000;
	put("key", "old", from_now(100));
	start(&asker, "key", &options);
	CREW_WAIT_UNTIL(loader.calls == 1);
	struct answer answer = ask(client, "key", &options);
	assert_told(&answer, "old");
	assert_true(answer.told.is_stale && !answer.told.is_loaded);
	atomic_store(&loader.is_closed, false);
	join(&asker);
	assert_told(&asker.answer, "new");
	answer = ask(client, "key", &options);
	assert_told(&answer, "new");
	assert_int_equal(loader.calls, 1);
}

/* ------------------------------------------------------------------ changes ---------------- */

static void set_changed(void) {
	put("key", "changed", 0);
}
static void add_changed(void) {
	assert_int_equal(snug_cache_add(client, "key", 3, "changed", 7, NULL), SNUG_OK);
}
static void set_later_changed(void) {
	assert_int_equal(snug_cache_set_later(client, "key", 3, "changed", 7, NULL), SNUG_OK);
}
static void delete_it(void) {
	assert_int_equal(snug_cache_delete(client, "key", 3), SNUG_ERROR_NOT_FOUND);
}
static void flush_all(void) {
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
}
static void increment_it(void) {
	assert_int_equal(snug_cache_increment(client, "key", 3, 1, NULL), SNUG_ERROR_NOT_FOUND);
}

static void a_change_has_the_last_word(void **state) {
	static const struct {
		void (*change)(void);
		bool stores;
	} changes[] = {{set_changed, true}, {add_changed, true}, {set_later_changed, true},
				   {delete_it, false},  {flush_all, false},  {increment_it, false}};
	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct loader first = {.text = "first", .is_closed = true}, second = {.text = "second"};
		snug_cache_load_options options = options_of(&first), others = options_of(&second);
		struct asker askers[2];
		assert_int_equal(snug_cache_flush(client), SNUG_OK);
		start(&askers[0], "key", &options);
		CREW_WAIT_UNTIL(first.calls == 1);
		start(&askers[1], "key", &options);
		CREW_WAIT_UNTIL(users() == 2);
		changes[i].change();
		/* Who asks after the change does not wait for what may be older than it. */
		struct answer answer = ask(client, "key", &others);
		assert_told(&answer, changes[i].stores ? "changed" : "second");
		atomic_store(&first.is_closed, false);
		join(&askers[0]);
		join(&askers[1]);
		for (uint32_t j = 0; j < 2; j++) {
			assert_told(&askers[j].answer, "first");
			if (askers[j].answer.told.is_loaded)
				assert_int_equal(askers[j].answer.told.stored, SNUG_ERROR_EXISTS);
		}
		assert_holds("key", changes[i].stores ? "changed" : "second");
	}
}

/* ------------------------------------------------------------------ circles, the end ------- */

static _Atomic uint32_t under_way;

static int load_other(void *context, snug_cache_client *of, const void *key, size_t key_bytes,
					  snug_cache_loaded *out) {
	const char *other = ((const char *)key)[0] == 'a' ? "b" : "a";
	struct answer *answer = context;
	snug_cache_load_options options = snug_cache_load_options_default();
	options.load = load_other;
	options.context = context;
	options.wait_ns = HANG_NS;
	(void)key_bytes;
	atomic_fetch_add(&under_way, 1);
	CREW_WAIT_UNTIL(atomic_load(&under_way) >= 2);
	*answer = ask(of, other, &options);
	out->value = "x";
	out->value_bytes = 1;
	return answer->error == SNUG_ERROR_CYCLE ? 0 : (int)answer->error;
}

static void two_that_need_each_other_do_not_wait(void **state) {
	snug_cache_load_options options = snug_cache_load_options_default();
	struct asker askers[2];
	struct answer answers[2] = {{.error = SNUG_OK}, {.error = SNUG_OK}};
	(void)state;
	for (uint32_t round = 0; round < 50; round++) {
		atomic_store(&under_way, 0);
		options.load = load_other;
		for (uint32_t i = 0; i < 2; i++) {
			options.context = &answers[i];
			start(&askers[i], i == 0 ? "a" : "b", &options);
		}
		for (uint32_t i = 0; i < 2; i++) {
			join(&askers[i]);
			assert_int_equal(askers[i].answer.error, SNUG_OK);
		}
		/* One of them was refused, and the other had waited for it. */
		assert_int_equal(
			(answers[0].error == SNUG_ERROR_CYCLE) + (answers[1].error == SNUG_ERROR_CYCLE), 1);
		assert_int_equal(snug_cache_flush(client), SNUG_OK);
	}
}

/* ------------------------------------------------------------------ the table -------------- */

static snug_error enter_table(const char *key, uint32_t ended, enum loads_verdict *verdict,
							  struct load **out) {
	snug_key named = snug_shard_key(key, strlen(key));
	return loads_enter(&cache->loads, &named, false, ended, verdict, out);
}

static uint32_t ended_of(const char *key) {
	snug_key named = snug_shard_key(key, strlen(key));
	return loads_ended(&cache->loads, &named);
}

static void lead_table(const char *key, struct load **out) {
	enum loads_verdict verdict;
	assert_int_equal(enter_table(key, ended_of(key), &verdict, out), SNUG_OK);
	assert_int_equal(verdict, LOADS_LEAD);
}

static void end_table(struct load *load) {
	struct load_result result = {.error = SNUG_ERROR_NOT_FOUND};
	loads_end(&cache->loads, load, &result, 0);
}

/* What it has stored may have come just behind the look. */
static void whoever_looked_before_a_load_has_ended_looks_again(void **state) {
	enum loads_verdict verdict;
	struct load *load;
	uint32_t before = ended_of("key");
	(void)state;
	lead_table("key", &load);
	end_table(load);
	assert_int_equal(enter_table("key", before, &verdict, &load), SNUG_OK);
	assert_int_equal(verdict, LOADS_AGAIN);
	lead_table("key", &load);
	end_table(load);
}

static _Atomic uint32_t gate;

/* Loads "theirs", and waits for "ours". */
static void *wait_for_ours(void *context) {
	enum loads_verdict verdict;
	struct load *theirs, *ours;
	(void)context;
	lead_table("theirs", &theirs);
	assert_int_equal(enter_table("ours", ended_of("ours"), &verdict, &ours), SNUG_OK);
	assert_int_equal(verdict, LOADS_WAIT);
	atomic_store(&gate, 1);
	CREW_WAIT_UNTIL(atomic_load(&gate) == 2);
	assert_true(loads_wait(&cache->loads, ours, HANG_NS));
	loads_leave(&cache->loads, ours);
	end_table(theirs);
	return NULL;
}

/* Nobody is refused for one who has only not woken up yet. */
static void who_waits_for_what_has_ended_waits_for_nobody(void **state) {
	enum loads_verdict verdict;
	struct load *theirs, *ours, *outer;
	pthread_t thread;
	(void)state;
	atomic_store(&gate, 0);
	lead_table("outer", &outer);
	lead_table("ours", &ours);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_ours, NULL), 0);
	CREW_WAIT_UNTIL(atomic_load(&gate) == 1);
	assert_int_equal(enter_table("theirs", ended_of("theirs"), &verdict, &theirs),
					 SNUG_ERROR_CYCLE);
	end_table(ours);
	assert_int_equal(enter_table("theirs", ended_of("theirs"), &verdict, &theirs), SNUG_OK);
	assert_int_equal(verdict, LOADS_WAIT);
	atomic_store(&gate, 2);
	assert_true(loads_wait(&cache->loads, theirs, HANG_NS));
	loads_leave(&cache->loads, theirs);
	end_table(outer);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_stop_lets_loaders_end(void **state) {
	struct loader loader = {.text = "value", .is_closed = true};
	snug_cache_load_options options = options_of(&loader);
	struct asker askers[2];
	(void)state;
	for (uint32_t i = 0; i < 2; i++) start(&askers[i], "key", &options);
	CREW_WAIT_UNTIL(users() == 2);
	assert_int_equal(snug_cache_destroy(cache), SNUG_ERROR_IN_USE);
	assert_int_equal(snug_workers_stop(snug_cache_workers(cache), HANG_NS), SNUG_OK);
	assert_int_equal(ask(client, "key", &options).error, SNUG_ERROR_STOPPED);
	atomic_store(&loader.is_closed, false);
	for (uint32_t i = 0; i < 2; i++) {
		join(&askers[i]);
		assert_told(&askers[i].answer, "value");
		if (askers[i].answer.told.is_loaded)
			assert_int_equal(askers[i].answer.told.stored, SNUG_ERROR_STOPPED);
	}
	assert_int_equal(loader.calls, 1);
}

/* ------------------------------------------------------------------ a model ---------------- */

#define KEYS 12u

struct expected {
	bool is_there;
	bool is_old; /* with stale_s of 1000 */
	bool is_absent;
	char text[32];
};

static void ask_as_the_model_says(struct expected *one, const char *key, test_random *random,
								  uint32_t step) {
	struct loader loader = {.failure = test_random_chance(random, 200) ? 5 : 0,
							.is_absent = test_random_chance(random, 300)};
	snug_cache_load_options options = options_of(&loader);
	bool remembers = test_random_chance(random, 500);
	options.absent_s = remembers ? 1000 : 0;
	options.stale_s = test_random_chance(random, 500) ? 1000 : 0;
	options.fresh_s = test_random_chance(random, 500) ? 100000 : 0;
	(void)snprintf(loader.text, sizeof loader.text, "loaded %u", step);
	bool is_stale = one->is_there && one->is_old && options.stale_s > 0;
	bool loads = is_stale || (!one->is_there && !one->is_absent);
	struct answer answer = ask(client, key, &options);
	assert_int_equal(loader.calls, loads);
	if (!loads && one->is_there) {
		assert_told(&answer, one->text);
	} else if (!loads || (loader.failure == 0 && loader.is_absent)) {
		assert_int_equal(answer.error, SNUG_ERROR_NOT_FOUND);
	} else if (loader.failure != 0) {
		assert_int_equal(answer.error, SNUG_ERROR_LOADER);
	} else {
		assert_told(&answer, loader.text);
	}
	if (!loads || loader.failure != 0) return;
	one->is_there = !loader.is_absent;
	one->is_absent = loader.is_absent && remembers;
	one->is_old = false;
	memcpy(one->text, loader.text, sizeof one->text);
}

static void it_does_what_a_naive_model_does(void **state) {
	struct expected expected[KEYS];
	test_random random = {test_environment_number("SNUG_SEED", 7)};
	(void)state;
	memset(expected, 0, sizeof expected);
	for (uint32_t step = 0; step < 20000; step++) {
		uint32_t number = (uint32_t)test_random_below(&random, KEYS);
		struct expected *one = &expected[number];
		char key[16];
		(void)snprintf(key, sizeof key, "key %u", number);
		uint64_t what = test_random_below(&random, 100);
		if (what < 60) {
			ask_as_the_model_says(one, key, &random, step);
		} else if (what < 80) {
			one->is_old = test_random_chance(&random, 500);
			one->is_there = true;
			one->is_absent = false;
			(void)snprintf(one->text, sizeof one->text, "stored %u", step);
			put(key, one->text, one->is_old ? from_now(500) : 0);
		} else if (what < 99) {
			assert_int_equal(snug_cache_delete(client, key, strlen(key)),
							 one->is_there ? SNUG_OK : SNUG_ERROR_NOT_FOUND);
			one->is_there = one->is_absent = false;
		} else {
			assert_int_equal(snug_cache_flush(client), SNUG_OK);
			memset(expected, 0, sizeof expected);
		}
	}
}

/* ------------------------------------------------------------------ a storm ---------------- */

#define STORM_KEYS 8u
#define STORM_THREADS 4u
#define STORM_ROUNDS 4000u

/* What the keys stand for: versions that only grow. */
static _Atomic uint32_t source[STORM_KEYS];
static _Atomic uint32_t deleted[STORM_KEYS]; /* a delete that followed it has been answered */
static _Atomic uint32_t running[STORM_KEYS];
static _Atomic uint32_t storm_loads, storm_crowded, storm_old;

struct storm {
	pthread_t thread;
	uint64_t seed;
	bool changes;
};

static int load_version(void *context, snug_cache_client *of, const void *key, size_t key_bytes,
						snug_cache_loaded *out) {
	uint32_t number = (uint32_t)((const char *)key)[0] - 'a';
	(void)context;
	(void)of;
	(void)key_bytes;
	atomic_fetch_add(&storm_loads, 1);
	if (atomic_fetch_add(&running[number], 1) > 0) atomic_fetch_add(&storm_crowded, 1);
	uint32_t *version = malloc(sizeof *version);
	*version = atomic_load(&source[number]);
	os_thread_sleep(*version % 7 == 0 ? 50000 : 0);
	out->value = out->own = version;
	out->value_bytes = sizeof *version;
	out->is_absent = *version % 5 == 4;
	out->absent_s = 1000;
	atomic_fetch_sub(&running[number], 1);
	return *version % 11 == 10;
}

static void release_version(void *context, snug_cache_loaded *loaded) {
	(void)context;
	free(loaded->own);
}

static snug_cache_load_options storm_options(void) {
	snug_cache_load_options options = snug_cache_load_options_default();
	options.load = load_version;
	options.release = release_version;
	options.wait_ns = HANG_NS;
	return options;
}

/* Nothing that is older than the last change that had ended when the call began. */
static void ask_version(snug_cache_client *own, uint32_t number) {
	snug_cache_load_options options = storm_options();
	snug_cache_loading told;
	uint32_t before = atomic_load(&deleted[number]), found = 0;
	char key = (char)('a' + number);
	snug_error error = snug_cache_get_or_load(own, &key, 1, &found, sizeof found, &options, &told);
	if (error == SNUG_OK && found < before) atomic_fetch_add(&storm_old, 1);
	assert_true(error == SNUG_OK || error == SNUG_ERROR_NOT_FOUND || error == SNUG_ERROR_LOADER);
}

static void *run_storm(void *context) {
	struct storm *storm = context;
	snug_cache_client *own = crew_client(cache);
	test_random random = {storm->seed};
	for (uint32_t i = 0; i < STORM_ROUNDS; i++) {
		uint32_t number = (uint32_t)test_random_below(&random, STORM_KEYS);
		char key = (char)('a' + number);
		if (!storm->changes || test_random_chance(&random, 800)) {
			ask_version(own, number);
			if (!storm->changes && test_random_chance(&random, 100))
				(void)!snug_cache_delete(own, "unused", 6);
			continue;
		}
		/* The source first. */
		uint32_t version = atomic_fetch_add(&source[number], 1) + 1;
		(void)!snug_cache_delete(own, &key, 1);
		uint32_t last = atomic_load(&deleted[number]);
		while (last < version && !atomic_compare_exchange_weak(&deleted[number], &last, version))
			continue;
	}
	assert_int_equal(snug_cache_client_destroy(own), SNUG_OK);
	return NULL;
}

static void run_storms(bool changes) {
	struct storm storms[STORM_THREADS];
	for (uint32_t i = 0; i < STORM_THREADS; i++) {
		storms[i] = (struct storm){.seed = i + 1, .changes = changes};
		assert_int_equal(pthread_create(&storms[i].thread, NULL, run_storm, &storms[i]), 0);
	}
	for (uint32_t i = 0; i < STORM_THREADS; i++)
		assert_int_equal(pthread_join(storms[i].thread, NULL), 0);
}

static void one_loads_a_key_at_a_time(void **state) {
	(void)state;
	memset(source, 0, sizeof source);
	for (uint32_t round = 0; round < 20; round++) {
		atomic_store(&storm_loads, 0);
		assert_int_equal(snug_cache_flush(client), SNUG_OK);
		run_storms(false);
		assert_int_equal(storm_loads, STORM_KEYS);
		assert_int_equal(storm_crowded, 0);
	}
}

static void nothing_older_than_a_change_stays(void **state) {
	(void)state;
	memset(source, 0, sizeof source);
	run_storms(true);
	for (uint32_t number = 0; number < STORM_KEYS; number++) {
		uint32_t found = 0, now = atomic_load(&source[number]);
		char key = (char)('a' + number);
		snug_cache_value value;
		snug_error error = snug_cache_get(client, &key, 1, &found, sizeof found, &value);
		if (error == SNUG_OK) assert_int_equal(found, now);
		/* An absence is not older, either. */
		snug_cache_load_options options = storm_options();
		snug_cache_loading told;
		error = snug_cache_get_or_load(client, &key, 1, &found, sizeof found, &options, &told);
		assert_int_equal(error, now % 11 == 10 ? SNUG_ERROR_LOADER
								: now % 5 == 4 ? SNUG_ERROR_NOT_FOUND
											   : SNUG_OK);
	}
	assert_int_equal(storm_old, 0);
	assert_true(storm_loads > STORM_KEYS && source[0] > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(what_is_missing_is_loaded_once),
		TEST(a_failure_is_told_and_forgotten),
		TEST(an_absence_is_remembered_if_the_loader_says_so),
		TEST(what_is_stale_is_loaded_anew),
		TEST(what_makes_no_sense_is_refused),
		TEST(a_loader_may_ask_for_other_keys),
		TEST(a_loader_may_not_ask_for_its_own),
		TEST(not_after_a_change_either),
		TEST(whoever_waits_is_told_the_same),
		TEST(a_value_may_lie_in_the_call_s_buffer),
		TEST(whoever_finds_a_stale_value_does_not_wait),
		TEST(a_change_has_the_last_word),
		TEST(two_that_need_each_other_do_not_wait),
		TEST(whoever_looked_before_a_load_has_ended_looks_again),
		TEST(who_waits_for_what_has_ended_waits_for_nobody),
		TEST(a_stop_lets_loaders_end),
		TEST(it_does_what_a_naive_model_does),
		TEST(one_loads_a_key_at_a_time),
		TEST(nothing_older_than_a_change_stays),
	};
	return cmocka_run_group_tests_name("cache_load", tests, NULL, NULL);
}
