/* trace.h: a recorded sequence of requests, read from a CSV file.
 *
 * Two formats, told apart by the first line:
 *     op,key,size                set, add, put, write or alloc; get or read; delete, del or free.
 *                                Header optional
 *     version,time,op,size,lbn   CloudPhysics: SCSI operations 28 (read) and 2a (write); the block
 *                                is the key
 * Keys are any text; the loader numbers them. A get of a key that is not there and comes with a
 * size stores it, as a cache in front of a database would. */
#ifndef REPLAY_TRACE_H
#define REPLAY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_op { TRACE_GET, TRACE_SET, TRACE_DELETE };

struct trace_request {
	uint32_t key;
	uint32_t size;
	enum trace_op op;
};

struct trace {
	struct trace_request *requests;
	size_t count;
	uint32_t keys;
	bool block_trace; /* CloudPhysics */
};

/* Everything is resident when this returns, and nothing of it comes from malloc. False: `problem`
 * says which line and why. */
bool trace_read(const char *path, struct trace *out, char *problem, size_t room);

#endif
