/* cache/operation/request.h: what one thread asks of the shard of another: the request's memory is
 * the asker's, lent until the answer (law K7); the message that carries its address is
 * MESSAGE_OPERATION + SNUG_OPERATION_RUN (work/channel/message.h), of which a worker executes a
 * batch at a time.
 *
 * A value that fits goes through the request. A larger one is leased: the owner pins it, the asker
 * reads or fills the extents that the owner names, a window at a time, and gives it back: between
 * the messages the bytes are the asker's alone.
 *
 *     get    OPERATION -> found, lease, window -> (read) -> WINDOW -> (read) -> ... -> RELEASE
 *     set    RESERVE -> lease, window -> (fill) -> WINDOW -> (fill) -> ... -> OPERATION, the end
 *
 * 280 bytes, without the window, of which most use the first 128. */
#ifndef SNUG_CACHE_REQUEST_H
#define SNUG_CACHE_REQUEST_H

#include "cache/operation/operation.h"

enum request_kind {
	REQUEST_OPERATION, /* `operation`; a found value goes to `room`, or into a lease */
	/* a STORE's lease, to be filled, and its first window. Status STORED: it is there, unless it is
	 * to come again; else the STORE has failed */
	REQUEST_RESERVE,
	REQUEST_WINDOW,  /* operation.lease: the extents from window_offset on */
	REQUEST_RELEASE, /* operation.lease ends */
	REQUEST_VISIT,   /* calls `visit` on the owner's thread */
};

#define REQUEST_EXTENTS 32u

struct request {
	uint8_t kind;        /* enum request_kind */
	bool keeps_no_lease; /* GET: a value that does not fit is not leased: only its size is told */
	bool value_in_room;  /* answered: GET: it is */
	/* answered: RESERVE: a slice of the room was made; the request is to be sent again as it is */
	bool is_unfinished;
	uint8_t rounds; /* RESERVE: the owner's, as are the next two; 0 at first */
	uint32_t evict_bytes;
	uint32_t promised_bytes; /* RELEASE ends the promise as well */
	uint32_t owner;          /* the worker */
	uint32_t room_bytes;
	void *room;
	struct operation operation;
	uint32_t window_count;  /* answered: extents that are used */
	uint32_t window_offset; /* in the value */
	uint32_t window_bytes;  /* answered: of all of them */
	/* REQUEST_EXTENTS of them, the asker's memory; for a leased value: a GET's without
	 * keeps_no_lease, RESERVE, WINDOW; else it is not looked at, and may be anything */
	snug_extent *window;
	void (*visit)(void *context, uint32_t worker, snug_shard *shard,
				  struct operation_counts *counts);
	void *visit_context;
};

/* Where a request begins on a cache line, all that a plain store or delete is asked and answered lies
 * on its first two, and all that it is answered on the second. */
#define REQUEST_ANSWERED_OFFSET 64u
_Static_assert(offsetof(struct request, operation.value) == REQUEST_ANSWERED_OFFSET,
			   "what is answered begins a cache line");
_Static_assert(offsetof(struct request, operation.item) == 2 * REQUEST_ANSWERED_OFFSET,
			   "what is told of an item is on a line of its own");

/* A batch, in order. All that is looked up is prefetched first. The shard's owner. */
void requests_serve(snug_shard *shard, uint32_t worker, struct operation_counts *counts,
					struct request *const *requests, size_t count);

/* All of the value of an item that was just found. The shard's owner. */
void request_copy_value(snug_shard *shard, const snug_item *item, void *to);

/* The window's extents for a lease of this thread's own shard. */
void request_fill_window(snug_shard *shard, struct request *request);

/* The worker that owns a key: by bits of the hash that neither the index's places (the high ones)
 * nor its tags (the 12 low ones) use, so that each shard's index is evenly filled. */
static inline uint32_t request_owner(uint64_t hash, uint32_t workers) {
	return (uint32_t)(((hash >> 12) & 0xFFFFF) * workers >> 20);
}

#endif
