/* allocator_snug.c: libsnug's heap under test, objects named by reference (the ledger is the owner)
 * or by handle.
 *
 * As the owner, the ledger is told of each move and finds its entry through the object's first
 * bytes, as a cache's index would find its own through the key. It checks what it is told: the
 * entry must have known the object under its old reference. */
#include "allocators/allocators.h"

#include <stdio.h>
#include <string.h>

static bool refused(struct allocator *self, const char *what, snug_error error) {
	if (self->problem[0] == '\0')
		snprintf(self->problem, sizeof self->problem, "%s: %s", what, snug_error_text(error));
	return false;
}

static struct entry *entry_of(struct ledger *ledger, const void *object) {
	uint64_t header;
	memcpy(&header, object, sizeof header);
	uint32_t index = (uint32_t)header;
	if (index >= ledger->used || ledger->entries[index].stamp != header >> 32) return NULL;
	return &ledger->entries[index];
}

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	struct allocator *self = context;
	struct entry *entry = entry_of(self->ledger, snug_ref_at(self->heap, to));
	(void)size;
	if (entry == NULL || entry->name != from)
		self->owner_errors++;
	else
		entry->name = to;
}

static size_t size_of(void *context, const void *object) {
	struct allocator *self = context;
	struct entry *entry = entry_of(self->ledger, object);
	if (entry != NULL) return entry->size;
	self->owner_errors++;
	return OBJECT_MIN_BYTES;
}

static void log_line(void *context, snug_log_level level, const char *line) {
	struct allocator *self = context;
	if (level == SNUG_LOG_ERROR && self->problem[0] == '\0')
		snprintf(self->problem, sizeof self->problem, "%s", line);
}

/* ---- by reference ---- */

static bool ref_allocate(struct allocator *self, size_t size, uint64_t *name) {
	return snug_ref_alloc(self->heap, size, name) == SNUG_OK;
}

static bool ref_release(struct allocator *self, uint64_t name, size_t size) {
	snug_error error = snug_ref_free(self->heap, name, size);
	return error == SNUG_OK || refused(self, "free", error);
}

static bool ref_pin(struct allocator *self, uint64_t name, size_t size) {
	snug_error error = snug_ref_pin(self->heap, name, size);
	return error == SNUG_OK || refused(self, "pin", error);
}

static bool ref_unpin(struct allocator *self, uint64_t name, size_t size) {
	snug_error error = snug_ref_unpin(self->heap, name, size);
	return error == SNUG_OK || refused(self, "unpin", error);
}

/* Half as many pages as there is room for extents. An object in a heap without room may lie in
 * smaller pieces; then the window is halved until they fit. */
static size_t window_bytes(const struct allocator *self, size_t size, size_t offset) {
	size_t window = (size_t)self->page_bytes * (EXTENT_ROOM / 2);
	return size - offset < window ? size - offset : window;
}

static bool ref_view(struct allocator *self, uint64_t name, size_t size, size_t offset,
					 struct snug_extent extents[EXTENT_ROOM], size_t *count) {
	if (snug_ref_is_contiguous(name)) {
		extents[0] =
			(struct snug_extent){(char *)snug_ref_at(self->heap, name) + offset, size - offset};
		*count = 1;
		return true;
	}
	size_t window = window_bytes(self, size, offset);
	snug_error error;
	do {
		*count = EXTENT_ROOM;
		error = snug_ref_view(self->heap, name, size, offset, window, extents, count);
		window /= 2;
	} while (error == SNUG_ERROR_TOO_MANY_EXTENTS);
	return error == SNUG_OK || refused(self, "view", error);
}

/* ---- by handle ---- */

static bool handle_allocate(struct allocator *self, size_t size, uint64_t *name) {
	return snug_alloc(self->heap, size, name) == SNUG_OK;
}

static bool handle_release(struct allocator *self, uint64_t name, size_t size) {
	(void)size;
	snug_error error = snug_free(self->heap, name);
	return error == SNUG_OK || refused(self, "free", error);
}

static bool handle_pin(struct allocator *self, uint64_t name, size_t size) {
	(void)size;
	snug_error error = snug_pin(self->heap, name);
	return error == SNUG_OK || refused(self, "pin", error);
}

static bool handle_unpin(struct allocator *self, uint64_t name, size_t size) {
	(void)size;
	snug_error error = snug_unpin(self->heap, name);
	return error == SNUG_OK || refused(self, "unpin", error);
}

static bool handle_view(struct allocator *self, uint64_t name, size_t size, size_t offset,
						struct snug_extent extents[EXTENT_ROOM], size_t *count) {
	size_t window = window_bytes(self, size, offset);
	snug_error error;
	do {
		*count = EXTENT_ROOM;
		error = snug_view(self->heap, name, offset, window, extents, count);
		window /= 2;
	} while (error == SNUG_ERROR_TOO_MANY_EXTENTS);
	return error == SNUG_OK || refused(self, "view", error);
}

static void destroy(struct allocator *self) {
	snug_error error = snug_heap_destroy(self->heap);
	if (error != SNUG_OK) (void)refused(self, "the heap's end", error);
}

bool allocator_snug_create(struct allocator *allocator, const struct job *job,
						   struct ledger *ledger) {
	*allocator = (struct allocator){.allocate = job->by_handle ? handle_allocate : ref_allocate,
									.release = job->by_handle ? handle_release : ref_release,
									.pin = job->by_handle ? handle_pin : ref_pin,
									.unpin = job->by_handle ? handle_unpin : ref_unpin,
									.view = job->by_handle ? handle_view : ref_view,
									.destroy = destroy,
									.ledger = ledger};
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = job->limit_bytes,
								 .page_bytes = job->page_bytes,
								 .no_compaction_in_alloc = job->no_compaction,
								 .log = {log_line, allocator, SNUG_LOG_ERROR}};
	if (!job->by_handle) options.owner = (snug_owner){moved, size_of, allocator};
	snug_stats stats;
	snug_error error = snug_heap_create(&options, &allocator->heap);
	if (error != SNUG_OK) return refused(allocator, "the heap cannot be created", error);
	error = snug_stats_get(allocator->heap, &stats);
	if (error != SNUG_OK) return refused(allocator, "statistics", error);
	allocator->page_bytes = stats.page_bytes;
	return true;
}
