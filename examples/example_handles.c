/* example_handles.c: the smallest use of the heap. Objects are named by handles, which stay valid
 * wherever the objects move.
 *
 * Fills a heap with small records, frees every second one, which leaves holes everywhere, and makes
 * the free memory whole again. Valid C and C++. */
#include <snug/snug.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS 10000

static void require(snug_error error, const char *what) {
	if (error != SNUG_OK) {
		fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
		exit(1);
	}
}

int main(void) {
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = 4 << 20; /* hard: objects and all bookkeeping */
	snug_heap *heap;
	require(snug_heap_create(&options, &heap), "create");

	static snug_handle records[RECORDS];
	for (int i = 0; i < RECORDS; i++) {
		char text[64];
		int length = snprintf(text, sizeof text, "record %d", i);
		require(snug_alloc(heap, (size_t)length + 1, &records[i]), "alloc");
		require(snug_write(heap, records[i], 0, text, (size_t)length + 1), "write");
	}
	for (int i = 0; i < RECORDS; i += 2) {
		require(snug_free(heap, records[i]), "free");
	}

	snug_report report;
	require(snug_defragment(heap, NULL, &report), "defragment");
	printf("%s: %" PRIu64 " objects moved, %" PRIu64 " bytes reclaimed\n",
		   snug_outcome_text(report.outcome), report.moved_objects, report.reclaimed_bytes);

	/* The handle still names the same record; a freed one is an error, not another record. */
	char text[64];
	size_t size;
	require(snug_size(heap, records[1], &size), "size");
	require(snug_read(heap, records[1], 0, text, size), "read");
	printf("%s\n", text);
	snug_error error = snug_read(heap, records[0], 0, text, 1);
	printf("reading a freed one: %s\n", snug_error_text(error));

	require(snug_heap_destroy(heap), "destroy");
	return report.reclaimed_bytes > 0 && error == SNUG_ERROR_HANDLE ? 0 : 1;
}
