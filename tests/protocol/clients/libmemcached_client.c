/* libmemcached_client.c: libmemcached's own C interface against a running server: HOST PORT
 * [binary]. What
 * the other clients do not reach: buffered requests, fetching key by key, gets with CAS, the
 * *_by_key functions, noreply, keys of 250 bytes, several connections in a pool.
 *
 * Prints as cmocka programs do; the last line is "N passed, N failed". */
#include <libmemcached/memcached.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 200u

static const char *failed_at;

#define CHECK(condition)            \
	do {                            \
		if (!(condition)) {         \
			failed_at = #condition; \
			return false;           \
		}                           \
	} while (0)

static bool is_binary(memcached_st *client) {
	return memcached_behavior_get(client, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL) == 1;
}

static memcached_return_t store(memcached_st *client, const char *key, const char *value) {
	return memcached_set(client, key, strlen(key), value, strlen(value), 0, 0);
}

static bool holds(memcached_st *client, const char *key, const char *expected) {
	size_t length = 0;
	uint32_t flags = 0;
	memcached_return_t result;
	char *value = memcached_get(client, key, strlen(key), &length, &flags, &result);
	bool same = expected == NULL ? result == MEMCACHED_NOTFOUND
								 : value != NULL && length == strlen(expected) &&
									   memcmp(value, expected, length) == 0;
	free(value);
	return same;
}

static bool test_set_and_get(memcached_st *client) {
	CHECK(holds(client, "key", NULL));
	CHECK(store(client, "key", "value") == MEMCACHED_SUCCESS);
	CHECK(holds(client, "key", "value"));
	CHECK(store(client, "key", "") == MEMCACHED_SUCCESS);
	size_t length = 1;
	uint32_t flags = 1;
	memcached_return_t result;
	free(memcached_get(client, "key", 3, &length, &flags, &result));
	CHECK(result == MEMCACHED_SUCCESS && length == 0 && flags == 0);
	return true;
}

static bool test_flags(memcached_st *client) {
	CHECK(memcached_set(client, "key", 3, "v", 1, 0, 4294967295u) == MEMCACHED_SUCCESS);
	size_t length = 0;
	uint32_t flags = 0;
	memcached_return_t result;
	free(memcached_get(client, "key", 3, &length, &flags, &result));
	CHECK(flags == 4294967295u);
	return true;
}

static bool test_longest_key(memcached_st *client) {
	char key[250];
	memset(key, 'k', sizeof key);
	CHECK(memcached_set(client, key, sizeof key, "v", 1, 0, 0) == MEMCACHED_SUCCESS);
	CHECK(memcached_exist(client, key, sizeof key) == MEMCACHED_SUCCESS);
	CHECK(memcached_exist(client, key, sizeof key - 1) == MEMCACHED_NOTFOUND);
	return true;
}

static bool test_add_replace_append(memcached_st *client) {
	CHECK(memcached_replace(client, "key", 3, "v", 1, 0, 0) ==
		  (is_binary(client) ? MEMCACHED_NOTFOUND : MEMCACHED_NOTSTORED));
	CHECK(memcached_add(client, "key", 3, "b", 1, 0, 0) == MEMCACHED_SUCCESS);
	CHECK(memcached_add(client, "key", 3, "x", 1, 0, 0) ==
		  (is_binary(client) ? MEMCACHED_DATA_EXISTS : MEMCACHED_NOTSTORED));
	CHECK(memcached_append(client, "key", 3, "c", 1, 0, 0) == MEMCACHED_SUCCESS);
	CHECK(memcached_prepend(client, "key", 3, "a", 1, 0, 0) == MEMCACHED_SUCCESS);
	CHECK(holds(client, "key", "abc"));
	return true;
}

static bool test_numbers(memcached_st *client) {
	uint64_t number = 0;
	CHECK(memcached_increment(client, "key", 3, 1, &number) == MEMCACHED_NOTFOUND);
	CHECK(store(client, "key", "18446744073709551610") == MEMCACHED_SUCCESS);
	CHECK(memcached_increment(client, "key", 3, 5, &number) == MEMCACHED_SUCCESS &&
		  number == UINT64_MAX);
	CHECK(memcached_increment(client, "key", 3, 1, &number) == MEMCACHED_SUCCESS && number == 0);
	CHECK(memcached_increment(client, "key", 3, 7, &number) == MEMCACHED_SUCCESS && number == 7);
	CHECK(memcached_decrement(client, "key", 3, 100, &number) == MEMCACHED_SUCCESS && number == 0);
	CHECK(store(client, "key", "abc") == MEMCACHED_SUCCESS);
	/* of a binary error on numbers libmemcached makes a failure to read */
	CHECK(memcached_increment(client, "key", 3, 1, &number) ==
		  (is_binary(client) ? MEMCACHED_UNKNOWN_READ_FAILURE : MEMCACHED_CLIENT_ERROR));
	return true;
}

static bool test_delete_and_touch(memcached_st *client) {
	CHECK(memcached_delete(client, "key", 3, 0) == MEMCACHED_NOTFOUND);
	CHECK(memcached_touch(client, "key", 3, 10) == MEMCACHED_NOTFOUND);
	CHECK(store(client, "key", "v") == MEMCACHED_SUCCESS);
	CHECK(memcached_touch(client, "key", 3, 10) == MEMCACHED_SUCCESS);
	CHECK(memcached_delete(client, "key", 3, 0) == MEMCACHED_SUCCESS);
	CHECK(holds(client, "key", NULL));
	return true;
}

/* Asks for COUNT keys at once and counts the right ones; each second one is there. */
static bool fetch_all(memcached_st *client, unsigned *found) {
	char names[COUNT][16];
	const char *keys[COUNT];
	size_t lengths[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		lengths[i] = (size_t)snprintf(names[i], sizeof names[i], "many%u", i);
		keys[i] = names[i];
	}
	CHECK(memcached_mget(client, keys, lengths, COUNT) == MEMCACHED_SUCCESS);
	memcached_result_st *result;
	memcached_return_t status;
	while ((result = memcached_fetch_result(client, NULL, &status)) != NULL) {
		CHECK(memcached_result_length(result) == memcached_result_key_length(result));
		CHECK(memcmp(memcached_result_value(result), memcached_result_key_value(result),
					 memcached_result_length(result)) == 0);
		(*found)++;
		memcached_result_free(result);
	}
	CHECK(status == MEMCACHED_END || status == MEMCACHED_NOTFOUND);
	return true;
}

static bool store_every_second(memcached_st *client, memcached_return_t expected) {
	for (unsigned i = 0; i < COUNT; i += 2) {
		char name[16];
		snprintf(name, sizeof name, "many%u", i);
		CHECK(store(client, name, name) == expected);
	}
	return true;
}

static bool test_many_at_once(memcached_st *client) {
	unsigned found = 0;
	if (!store_every_second(client, MEMCACHED_SUCCESS) || !fetch_all(client, &found)) return false;
	CHECK(found == COUNT / 2);
	return true;
}

static bool test_buffered_requests(memcached_st *client) {
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, 1);
	unsigned found = 0;
	if (!store_every_second(client, MEMCACHED_BUFFERED)) return false;
	CHECK(holds(client, "many0", "many0")); /* sends what is in the buffer, and reads its answers */
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, 0);
	if (!fetch_all(client, &found)) return false;
	CHECK(found == COUNT / 2);
	return true;
}

static bool test_noreply(memcached_st *client) {
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_NOREPLY, 1);
	unsigned found = 0;
	if (!store_every_second(client, MEMCACHED_SUCCESS)) return false;
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_NOREPLY, 0);
	if (!fetch_all(client, &found)) return false;
	CHECK(found == COUNT / 2);
	return true;
}

static bool read_cas(memcached_st *client, uint64_t *cas) {
	const char *key = "key";
	size_t length = 3;
	CHECK(memcached_mget(client, &key, &length, 1) == MEMCACHED_SUCCESS);
	memcached_return_t status;
	memcached_result_st *result = memcached_fetch_result(client, NULL, &status);
	CHECK(result != NULL);
	*cas = memcached_result_cas(result);
	memcached_result_free(result);
	CHECK(memcached_fetch_result(client, NULL, &status) == NULL);
	return true;
}

static bool test_compare_and_store(memcached_st *client) {
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
	CHECK(store(client, "key", "1") == MEMCACHED_SUCCESS);
	uint64_t first = 0;
	if (!read_cas(client, &first)) return false;
	CHECK(first != 0);
	CHECK(memcached_cas(client, "key", 3, "2", 1, 0, 0, first) == MEMCACHED_SUCCESS);
	CHECK(memcached_cas(client, "key", 3, "3", 1, 0, 0, first) == MEMCACHED_DATA_EXISTS);
	CHECK(memcached_cas(client, "none", 4, "3", 1, 0, 0, first) == MEMCACHED_NOTFOUND);
	CHECK(holds(client, "key", "2"));
	return true;
}

static bool test_by_key(memcached_st *client) {
	CHECK(memcached_set_by_key(client, "group", 5, "key", 3, "v", 1, 0, 0) == MEMCACHED_SUCCESS);
	CHECK(memcached_exist_by_key(client, "group", 5, "key", 3) == MEMCACHED_SUCCESS);
	CHECK(memcached_delete_by_key(client, "group", 5, "key", 3, 0) == MEMCACHED_SUCCESS);
	return true;
}

static bool test_large_values(memcached_st *client) {
	size_t bytes = 1000000;
	char *value = malloc(bytes);
	CHECK(value != NULL);
	memset(value, 'l', bytes);
	memcached_return_t stored = memcached_set(client, "large", 5, value, bytes, 0, 0);
	size_t length = 0;
	uint32_t flags = 0;
	memcached_return_t result;
	char *got = memcached_get(client, "large", 5, &length, &flags, &result);
	bool same = got != NULL && length == bytes && memcmp(got, value, bytes) == 0;
	free(got);
	free(value);
	CHECK(stored == MEMCACHED_SUCCESS);
	CHECK(same);
	return true;
}

static bool test_statistics_and_version(memcached_st *client) {
	memcached_return_t status;
	memcached_stat_st *statistics = memcached_stat(client, NULL, &status);
	CHECK(status == MEMCACHED_SUCCESS && statistics != NULL);
	bool is_right = statistics[0].pid > 0 && statistics[0].limit_maxbytes > 0 &&
					statistics[0].threads > 0 && statistics[0].pointer_size == 64;
	memcached_stat_free(client, statistics);
	CHECK(is_right);
	CHECK(memcached_version(client) == MEMCACHED_SUCCESS);
	CHECK(memcached_verbosity(client, 0) == MEMCACHED_SUCCESS);
	return true;
}

static bool test_flush(memcached_st *client) {
	CHECK(store(client, "key", "v") == MEMCACHED_SUCCESS);
	CHECK(memcached_flush(client, 0) == MEMCACHED_SUCCESS);
	CHECK(holds(client, "key", NULL));
	return true;
}

static const struct {
	const char *name;
	bool (*run)(memcached_st *client);
} tests[] = {
	{"set and get", test_set_and_get},
	{"flags", test_flags},
	{"longest key", test_longest_key},
	{"add, replace, append", test_add_replace_append},
	{"numbers", test_numbers},
	{"delete and touch", test_delete_and_touch},
	{"many at once", test_many_at_once},
	{"buffered requests", test_buffered_requests},
	{"noreply", test_noreply},
	{"compare and store", test_compare_and_store},
	{"by key", test_by_key},
	{"large values", test_large_values},
	{"statistics and version", test_statistics_and_version},
	{"flush", test_flush},
};

static bool run_test(const char *host, in_port_t port, bool in_binary, size_t index) {
	memcached_st *client = memcached_create(NULL);
	if (client == NULL || memcached_server_add(client, host, port) != MEMCACHED_SUCCESS) {
		failed_at = "a client of the server";
		memcached_free(client);
		return false;
	}
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 5000);
	memcached_behavior_set(client, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, in_binary);
	bool passed = memcached_flush(client, 0) == MEMCACHED_SUCCESS && tests[index].run(client);
	if (!passed)
		printf("%s: %s\n", failed_at ? failed_at : "flush_all",
			   memcached_last_error_message(client));
	memcached_free(client);
	return passed;
}

int main(int argument_count, char **arguments) {
	bool in_binary = argument_count == 4 && strcmp(arguments[3], "binary") == 0;
	if (argument_count != 3 && !in_binary) {
		fprintf(stderr, "usage: %s HOST PORT [binary]\n", arguments[0]);
		return 2;
	}
	size_t count = sizeof tests / sizeof tests[0], failed = 0;
	printf("[==========] Running %zu test(s).\n", count);
	for (size_t i = 0; i < count; i++) {
		failed_at = NULL;
		bool passed =
			run_test(arguments[1], (in_port_t)strtoul(arguments[2], NULL, 10), in_binary, i);
		printf("[%s] %s\n", passed ? "       OK " : "  FAILED  ", tests[i].name);
		failed += !passed;
	}
	printf("%zu passed, %zu failed\n", count - failed, failed);
	return failed == 0 ? 0 : 1;
}
