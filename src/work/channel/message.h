/* work/channel/message.h: what threads say to each other, and the words of this layer.
 *
 * A message is one cache line, copied into and out of a channel. What `data` points to stays the
 * sender's; it lends it to the receiver until the answer has come. The answer is the same message,
 * changed, sent to `reply`: a channel that the asker owns and that has room for it, because the
 * asker never has more in flight than fit (law W7). So nobody blocks on answering, and a full inbox
 * can't become a deadlock.
 *
 *   kind 2, error 2, worker 4 | data 8 | name 8 | size 8 | offset 8 | length 8 | cookie 8 | reply 8
 *                               six requests of 8 each, in their place                    |
 *
 * Who talks:
 *   worker       a thread that owns one heap, and in a cache one shard
 *   inbox        the channel that a worker, or the coordinator, receives from
 *   client       a thread's endpoint: what asks workers for operations
 *   asker        whoever has sent what is to be answered
 *   owner        the worker that a key or object belongs to
 *   coordinator  the thread that takes requests, sends jobs and joins what comes back
 *   hook         the user's functions that a worker calls: a shard, a server
 *
 * What they say:
 *   operation    one thing to be done to an object, or what the hook's `run` makes of it
 *   request      what is asked of a coordinator; in a cache, of another worker's shard
 *   job          maintenance that a coordinator asks of a worker
 *   ticket       the name of what is under way: index and generation, so that a stale one is known
 *   flight       an operation from its submission until its result is taken
 *   claim        room in a channel that is the sender's before it has sent
 *   answer       the same message on its way back; each accepted one has exactly one (law W6)
 *   lend         to give a pointer away until the answer
 *
 * When:
 *   turn         one round of a worker's loop: messages, hook, a slice of maintenance
 *   slice        the piece of maintenance in one turn: one step of a defragmentation
 *   duty         the share of the time that slices may take while there is other work
 *   doze, rouse  to announce that one sleeps, and to take that back
 *   tick         once a second: the coordinator looks at what was published
 *   publish      to write figures that any thread may copy out, all of one moment
 *
 * In the coordinator:
 *   task         one piece of work, asked for by one slot or several
 *   slot         where a request goes in and its result comes back (tickets.h)
 *   part         what a task asks of one worker; also: a piece of a job that was interrupted
 *   lane         one worker's queue of one priority, of which at most one part is out
 *   out          said of a part whose job is lent to the worker
 *   hold         to keep a task from ending
 *   join         to make one report of several, and of two alike requests one task
 *   plan         a schedule that is being kept; an occurrence is one of its windows
 *   round        one exchange with all workers in an emergency
 *   share        what a worker is to give of an emergency's goal
 *   willing      said of a worker that may have more to give */
#ifndef SNUG_WORK_MESSAGE_H
#define SNUG_WORK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct channel;

enum message_kind {
	MESSAGE_OPERATION, /* 0 + snug_operation_kind, see MESSAGE_OPERATION_LAST */
	MESSAGE_OPERATION_LAST = 15,
	MESSAGE_REQUESTS,   /* several requests for the hook, as if each had come with a message */
	MESSAGE_JOB,        /* data: struct job (work/worker/job.h); answered when it has ended */
	MESSAGE_JOB_CANCEL, /* data: the same struct job; not answered: the job's own answer tells */
	MESSAGE_REQUEST,    /* to a coordinator; data: struct ticket_slot */
	/* to a coordinator, for its audit: what submit refused; name: its kind, worker, error */
	MESSAGE_REFUSED,
	MESSAGE_STOP /* to a coordinator: end */
};

#define MESSAGE_REQUESTS_MAX 6u

struct message {
	uint16_t kind;
	uint16_t error; /* snug_error, in an answer */
	uint32_t worker;
	union {
		struct {
			void *data;
			uint64_t name; /* handle, or ticket */
			uint64_t size;
			uint64_t offset;
			uint64_t length;
			uint64_t cookie; /* the asker's; comes back unchanged */
		};
		void *requests[MESSAGE_REQUESTS_MAX]; /* MESSAGE_REQUESTS: those before the first NULL */
	};
	struct channel *reply; /* NULL: no answer wanted */
};

_Static_assert(sizeof(struct message) == 64, "a message is one cache line");

/* How many requests for the hook a message carries, which is one that carries some. */
static inline uint32_t message_request_count(const struct message *message) {
	uint32_t count = 1;
	if (message->kind != MESSAGE_REQUESTS) return count;
	while (count < MESSAGE_REQUESTS_MAX && message->requests[count] != NULL) count++;
	return count;
}

#endif
