/* example_pins.c: hands an object's own memory to the operating system, and keeps it in place as
 * long as that takes.
 *
 * A large object has no one address: it is a chain of extents, laid out as writev wants them. A pin
 * keeps them where they are, while other objects go on moving. Valid C and C++. */
#include <snug/snug.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE "all of this left the heap without being copied\n"
#define EXTENTS_MAX 16

static void require(snug_error error, const char *what) {
	if (error != SNUG_OK) {
		fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
		exit(1);
	}
}

int main(void) {
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = 1 << 20;
	options.page_bytes = 4096;
	snug_heap *heap;
	require(snug_heap_create(&options, &heap), "create");

	/* 20000 bytes: more than a page, so several extents. */
	size_t line = sizeof MESSAGE - 1;
	size_t size = 20000 / line * line;
	snug_handle handle;
	require(snug_alloc(heap, size, &handle), "alloc");
	for (size_t offset = 0; offset < size; offset += line) {
		require(snug_write(heap, handle, offset, MESSAGE, line), "write");
	}

	require(snug_pin(heap, handle), "pin");
	snug_extent extents[EXTENTS_MAX];
	size_t count = EXTENTS_MAX;
	require(snug_view(heap, handle, 0, size, extents, &count), "view");

	/* Whatever happens to the heap now, these addresses hold. */
	snug_report report;
	require(snug_defragment(heap, NULL, &report), "defragment");

	struct iovec vector[EXTENTS_MAX];
	for (size_t i = 0; i < count; i++) {
		vector[i].iov_base = extents[i].data;
		vector[i].iov_len = extents[i].length;
	}
	ssize_t written = writev(STDOUT_FILENO, vector, (int)count);
	if (written < 0) {
		perror("writev");
		return 1;
	}
	require(snug_unpin(heap, handle), "unpin");
	fprintf(stderr, "%zd bytes in %zu extents\n", written, count);

	require(snug_free(heap, handle), "free");
	require(snug_heap_destroy(heap), "destroy");
	return written > 0 && count > 1 ? 0 : 1;
}
