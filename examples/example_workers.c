/* example_workers.c: two threads that own their heaps, and a client that keeps objects on them by
 * message.
 *
 *     cc example_workers.c $(pkg-config --cflags --libs snug) && ./a.out */
#include <snug/snug.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(snug_error error, const char *what) {
	if (error == SNUG_OK) return;
	fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
	exit(EXIT_FAILURE);
}

/* Many operations at once: one wake-up for each worker, answers as they come. */
static void store_many(snug_client *client) {
	static char texts[16][16];
	snug_operation operations[16];
	snug_ticket tickets[16];
	memset(operations, 0, sizeof operations);
	for (int i = 0; i < 16; i++) {
		int length = snprintf(texts[i], sizeof texts[i], "value %d", i);
		operations[i].kind = SNUG_OPERATION_ALLOC;
		operations[i].object.worker = snug_client_place(client, texts[i], (size_t)length);
		operations[i].size = (uint64_t)length + 1;
		operations[i].length = (uint64_t)length + 1;
		operations[i].buffer = texts[i];
	}
	check(snug_client_submit(client, operations, 16, tickets), "submit");
	for (int i = 0; i < 16; i++) {
		snug_ticket ticket;
		snug_result result;
		check(snug_client_next(client, SNUG_FOREVER, &ticket, &result), "next");
		check(result.error, "alloc");
	}
}

int main(void) {
	snug_workers_options options = snug_workers_options_default();
	options.count = 2;
	options.heap.limit_bytes = (size_t)16 << 20; /* of each worker */
	snug_workers *workers;
	snug_client *client;
	check(snug_workers_create(&options, &workers), "create workers");
	check(snug_client_create(workers, NULL, &client), "create client");

	/* One at a time: each call returns with the answer. */
	snug_object object;
	char text[6];
	uint32_t worker = snug_client_place(client, "greeting", 8);
	check(snug_client_alloc(client, worker, 100, "hello", 6, &object), "alloc");
	check(snug_client_read(client, object, 0, text, sizeof text), "read");
	printf("worker %u keeps '%s'\n", object.worker, text);
	check(snug_client_free(client, object), "free");
	snug_error error = snug_client_read(client, object, 0, text, sizeof text);
	printf("freed: %s\n", snug_error_text(error)); /* a handle is never another object */

	store_many(client);

	check(snug_client_destroy(client), "destroy client");
	check(snug_workers_stop(workers, SNUG_FOREVER), "stop");
	for (uint32_t i = 0; i < snug_workers_count(workers); i++) {
		snug_worker_stats stats;
		check(snug_workers_stats(workers, i, &stats), "statistics");
		printf("worker %u: %llu messages, %llu objects\n", i, (unsigned long long)stats.messages,
			   (unsigned long long)stats.heap.objects);
	}
	check(snug_workers_destroy(workers), "destroy workers");
	return error == SNUG_ERROR_HANDLE ? EXIT_SUCCESS : EXIT_FAILURE;
}
