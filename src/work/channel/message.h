/* work/channel/message.h: what threads say to each other: one cache line, copied into and out of a channel.
 *
 * What `data` points to stays the sender's; it lends it to the receiver until the answer has come. The answer is the same
 * message, changed, sent to `reply`: a channel that the asker owns and that has room for it, because the asker never has more in
 * flight than fit. So nobody blocks on answering, and a full inbox can't become a deadlock. */
#ifndef SNUG_WORK_MESSAGE_H
#define SNUG_WORK_MESSAGE_H

#include <stdint.h>

struct channel;

enum message_kind {
	MESSAGE_OPERATION, /* 0 + snug_operation_kind, see MESSAGE_OPERATION_LAST */
	MESSAGE_OPERATION_LAST = 15,
	MESSAGE_JOB,        /* data: struct job (work/worker/job.h); answered when it has ended */
	MESSAGE_JOB_CANCEL, /* data: the same struct job; not answered: the job's own answer tells */
	MESSAGE_REQUEST,    /* to a coordinator; data: struct ticket_slot */
	MESSAGE_REFUSED, /* to a coordinator, for its audit: a request that submit refused; name: its kind, worker, error */
	MESSAGE_STOP     /* to a coordinator: end */
};

struct message {
	uint16_t kind;
	uint16_t error; /* snug_error, in an answer */
	uint32_t worker;
	uint64_t name; /* handle, or ticket */
	uint64_t size;
	uint64_t offset;
	uint64_t length;
	void *data;
	struct channel *reply; /* NULL: no answer wanted */
	uint64_t cookie;       /* the asker's; comes back unchanged */
};

_Static_assert(sizeof(struct message) == 64, "a message is one cache line");

#endif
