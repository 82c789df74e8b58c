/* example_coordinator.c: two workers with fragmented heaps, and a coordinator that says what
 * cleaning them up would gain, does it, keeps a schedule, and shows its audit.
 *
 *     cc example_coordinator.c $(pkg-config --cflags --libs snug) && ./a.out
 *
 * Valid C and C++. */
#include <snug/snug.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define OBJECTS 4000

static void check(snug_error error, const char *what) {
	if (error == SNUG_OK) return;
	fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
	exit(EXIT_FAILURE);
}

/* Every second object is freed: half of each page is holes. */
static void make_holes(snug_workers *workers) {
	static snug_object objects[OBJECTS];
	snug_client *client;
	check(snug_client_create(workers, NULL, &client), "create client");
	for (uint32_t i = 0; i < OBJECTS; i++) {
		check(snug_client_alloc(client, i % 2, 1000, NULL, 0, &objects[i]), "alloc");
	}
	for (uint32_t i = 0; i < OBJECTS; i++) {
		if (i / 2 % 2 == 0) check(snug_client_free(client, objects[i]), "free");
	}
	check(snug_client_destroy(client), "destroy client");
}

/* Asks and waits, at most a second; a result that comes later would still be there for its
 * ticket. */
static snug_response ask(snug_coordinator *coordinator, const snug_request *request) {
	snug_response response;
	snug_ticket late;
	check(snug_coordinator_call(coordinator, request, 1000000000, &response, &late), "call");
	check(response.error, snug_request_kind_text(request->kind));
	return response;
}

static void print_audit(snug_coordinator *coordinator) {
	snug_audit_entry entries[16];
	uint32_t count = 16;
	check(snug_coordinator_audit(coordinator, entries, &count), "audit");
	for (uint32_t i = 0; i < count; i++) {
		printf("%2" PRIu64 "  %-10s  %-9s  %s, %" PRIu64 " bytes reclaimed\n", entries[i].id,
			   snug_request_kind_text(entries[i].kind), snug_priority_text(entries[i].priority),
			   snug_error_text(entries[i].error), entries[i].reclaimed_bytes);
	}
}

int main(void) {
	snug_workers_options crew = snug_workers_options_default();
	crew.count = 2;
	crew.heap.limit_bytes = (size_t)4 << 20; /* of each worker */
	snug_workers *workers;
	check(snug_workers_create(&crew, &workers), "create workers");
	make_holes(workers);

	snug_coordinator_options options = snug_coordinator_options_default();
	options.background.on = false; /* or it might be first */
	snug_coordinator *coordinator;
	check(snug_coordinator_create(workers, &options, &coordinator), "create coordinator");

	snug_request estimate = snug_request_default(SNUG_REQUEST_ESTIMATE);
	snug_request emergency = snug_request_default(SNUG_REQUEST_EMERGENCY);
	snug_request defragment = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	emergency.min_bytes = 500000;
	uint64_t estimated_bytes = ask(coordinator, &estimate).estimate.reclaimable_bytes;
	uint64_t urgent_bytes = ask(coordinator, &emergency).report.returned_bytes;
	snug_response rest = ask(coordinator, &defragment);
	printf("%" PRIu64 " bytes estimated; %" PRIu64 " returned to the machine at once, %" PRIu64
		   " reclaimed after: %s\n",
		   estimated_bytes, urgent_bytes, rest.report.reclaimed_bytes,
		   snug_outcome_text(rest.report.outcome));

	snug_request schedule = snug_request_default(SNUG_REQUEST_SCHEDULE);
	schedule.schedule.target_fragmentation_ppm = 100000; /* 10 % */
	schedule.schedule.window_count = 1;
	schedule.schedule.windows[0].from_minute = 2 * 60; /* every night from two to four */
	schedule.schedule.windows[0].to_minute = 4 * 60;
	snug_request cancel = snug_request_default(SNUG_REQUEST_CANCEL);
	cancel.target = ask(coordinator, &schedule).schedule;
	ask(coordinator, &cancel);
	print_audit(coordinator);

	check(snug_coordinator_destroy(coordinator), "destroy coordinator");
	check(snug_workers_stop(workers, SNUG_FOREVER), "stop workers");
	check(snug_workers_destroy(workers), "destroy workers");
	return urgent_bytes >= 500000 && rest.complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
