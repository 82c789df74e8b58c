/* snug/client.h: a thread's endpoint to the workers: objects on their heaps, by message.
 *
 *     snug_client *client;                                     // on snug_workers *workers
 *     if (snug_client_create(workers, NULL, &client) != SNUG_OK) return 1;
 *     snug_object object;
 *     char buffer[5];
 *     uint32_t worker = snug_client_place(client, "name", 4);
 *     if (snug_client_alloc(client, worker, 100, "hello", 5, &object) != SNUG_OK) return 1;
 *     if (snug_client_read(client, object, 0, buffer, sizeof buffer) == SNUG_OK)
 *         fwrite(buffer, 1, sizeof buffer, stdout);
 *     if (snug_client_free(client, object) != SNUG_OK) return 1;
 *     if (snug_client_destroy(client) != SNUG_OK) return 1;
 *
 * ORDER: operations that one client submits to one worker are executed in the order of submission.
 * Between workers, and between clients, nothing is promised.
 *
 * BUFFERS belong to the worker from submission until the result is taken: they must stay valid so
 * long, and must not be looked at. */
#ifndef SNUG_CLIENT_H
#define SNUG_CLIENT_H

#include <snug/error.h>
#include <snug/workers.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_client snug_client;

/* Names an operation in flight, or a request to a coordinator; 0 is never one. */
typedef uint64_t snug_ticket;

/* An object on a worker's heap. A handle of one worker is an error on another one. */
typedef struct snug_object {
	snug_handle handle;
	uint32_t worker;
} snug_object;

typedef enum snug_operation_kind {
	/* object.worker, size; writes `length` bytes of `buffer` to its start if length > 0 */
	SNUG_OPERATION_ALLOC,
	/* object. A large one goes in slices, beside what the worker serves: its handle is stale at once,
	 * and its memory counts as free for whatever needs it; figures may show it a while longer */
	SNUG_OPERATION_FREE,
	SNUG_OPERATION_RESIZE, /* object, size */
	SNUG_OPERATION_READ,   /* object, offset, length, into buffer */
	SNUG_OPERATION_WRITE,  /* object, offset, length, from buffer */
	SNUG_OPERATION_SIZE,   /* object */
	/* object.worker, buffer: a request of your own, for the worker's hook.run; OPTION: it has
	 * none */
	SNUG_OPERATION_RUN,
	SNUG_OPERATION_COUNT
} snug_operation_kind;

typedef struct snug_operation {
	snug_operation_kind kind;
	snug_object object;
	uint64_t size;
	uint64_t offset;
	uint64_t length;
	void *buffer; /* only read from by ALLOC and WRITE; RUN: what the hook makes of it */
} snug_operation;

typedef struct snug_result {
	snug_error error;
	snug_object object;
	uint64_t size; /* of the object, where the operation tells it: ALLOC, RESIZE, SIZE */
} snug_result;

#define SNUG_CLIENT_FLIGHT_MAX 4096u

/* Begin with snug_client_options_default, then change. It may grow at its end: snug/version.h. */
typedef struct snug_client_options {
	size_t struct_bytes; /* set by snug_client_options_init */
	/* operations whose result was not taken yet; a power of two up to SNUG_CLIENT_FLIGHT_MAX; 0:
	 * 256 */
	uint32_t flight_max;
} snug_client_options;

void snug_client_options_init(snug_client_options *options, size_t struct_bytes);
static inline snug_client_options snug_client_options_default(void) {
	snug_client_options made;
	snug_client_options_init(&made, sizeof made);
	return made;
}

/* NULL options: the defaults. NULL, VERSION, OPTION, STOPPED, OS_MEMORY, OS_THREAD (no
 * descriptor). */
SNUG_NODISCARD snug_error snug_client_create(snug_workers *workers,
											 const snug_client_options *options, snug_client **out);

/* IN_USE, and nothing done: operations are in flight (take their results first; each will come).
 * Results not taken are dropped. NULL: OK. */
SNUG_NODISCARD snug_error snug_client_destroy(snug_client *client);

/* The worker for a key: a hash of the key over the number of workers. */
uint32_t snug_client_place(const snug_client *client, const void *key, size_t key_bytes);

/* Submits all or none, also over several workers: room is claimed in every inbox before anything is
 * sent. At most one wake-up for each worker that sleeps. `tickets` takes `count` of them, in the
 * order of the operations; a count of 0 is OK. NULL, OPTION (kind), WORKER, QUEUE_FULL (a worker's
 * inbox, also if `count` is more than it ever holds, or flight_max results not taken), STOPPED.
 * Other mistakes, such as a stale handle, are the result's error. */
SNUG_NODISCARD snug_error snug_client_submit(snug_client *client, const snug_operation *operations,
											 size_t count, snug_ticket *tickets);

/* Takes the result; the ticket ends with it. TICKET (unknown, or taken already), TIMED_OUT,
 * WRONG_THREAD. Poll is wait with a time-out of 0. */
SNUG_NODISCARD snug_error snug_client_poll(snug_client *client, snug_ticket ticket,
										   snug_result *out);
SNUG_NODISCARD snug_error snug_client_wait(snug_client *client, snug_ticket ticket,
										   uint64_t timeout_ns, snug_result *out);

/* Takes any result, in the order in which they came. TIMED_OUT, WRONG_THREAD; TICKET: nothing is in
 * flight. */
SNUG_NODISCARD snug_error snug_client_next(snug_client *client, uint64_t timeout_ns,
										   snug_ticket *ticket, snug_result *out);

/* How many operations were submitted and have no result taken. */
uint32_t snug_client_in_flight(const snug_client *client);

/* Submits one, waiting for room in the inbox if there is none, and waits for its answer, both
 * within timeout_ns. TIMED_OUT: it is on its way, and `*late` is the ticket that will give the
 * result. QUEUE_FULL: no room in time (or flight_max results not taken), nothing was submitted.
 * WRONG_THREAD: a worker's, nothing was submitted. Else as submit; the operation's own error is in
 * the result. */
SNUG_NODISCARD snug_error snug_client_call(snug_client *client, const snug_operation *operation,
										   uint64_t timeout_ns, snug_result *out,
										   snug_ticket *late);

/* Blocking forms: wait for room in the inbox and for the answer, without end; return the
 * operation's error. QUEUE_FULL: flight_max results were not taken. WRONG_THREAD: a worker's. */
SNUG_NODISCARD snug_error snug_client_alloc(snug_client *client, uint32_t worker, size_t size,
											const void *data, size_t length, snug_object *out);
SNUG_NODISCARD snug_error snug_client_free(snug_client *client, snug_object object);
SNUG_NODISCARD snug_error snug_client_resize(snug_client *client, snug_object object, size_t size);
SNUG_NODISCARD snug_error snug_client_read(snug_client *client, snug_object object, size_t offset,
										   void *buffer, size_t length);
SNUG_NODISCARD snug_error snug_client_write(snug_client *client, snug_object object, size_t offset,
											const void *data, size_t length);
SNUG_NODISCARD snug_error snug_client_size(snug_client *client, snug_object object, size_t *out);
SNUG_NODISCARD snug_error snug_client_run(snug_client *client, uint32_t worker, void *request);

#ifdef __cplusplus
}
#endif
#endif
