/* hops.c: bench-hops: what it costs to hand a message of one cache line to another thread.
 *
 *     channel    work/channel/channel.h: sleeps when there is nothing, wakes only a sleeper
 *     bare ring  Concurrency Kit's ring alone, both sides spinning (and yielding after SPINS looks,
 *                else a busy machine stands still)
 *     condvar    a ring under a mutex with two condition variables
 *
 * one way: a thread sends as fast as it can, another receives; the time for each message. round
 * trip: send, wait for the answer, send the next; the time for each message and its answer. Alone,
 * or in batches of 16: sent together, received together, answered together. crowd: CROWD threads
 * send to one receiver, more than there are processors, for CROWD_NS; the time for each message
 * that arrived. The three run in turns; CPU is that of all threads, user and kernel. */
#include "bench.h"

#include "work/channel/channel.h"

#include <ck_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <snug/workers.h>

#define ROOM 1024u
#define BATCH 16u
#define SPINS 4096u
#define ROUNDS_MAX 101u
#define CROWD 16u
#define CROWD_NS UINT64_C(200000000)

CK_RING_PROTOTYPE(line, message)

/* ------------------------------------------------------------------ the three queues ---------- */

struct locked_queue {
	pthread_mutex_t mutex;
	pthread_cond_t not_empty;
	pthread_cond_t not_full;
	uint32_t head;
	uint32_t count;
	struct message slots[ROOM];
};

struct queue {
	struct channel *channel;
	struct locked_queue locked;
	_Alignas(64) struct ck_ring ring;
	struct message *slots;
};

typedef struct queue_kind {
	const char *name;
	/* All of them, waiting for room. */
	void (*send)(struct queue *queue, const struct message *messages, size_t count);
	/* At least one, at most `most`, waiting for the first. */
	size_t (*receive)(struct queue *queue, struct message *messages, size_t most);
} queue_kind;

static void channel_kind_send(struct queue *queue, const struct message *messages, size_t count) {
	if (count == 1) {
		bench_expect_ok(channel_send(queue->channel, messages, SNUG_FOREVER), "channel_send");
		return;
	}
	while (channel_try_send_batch(queue->channel, messages, count) != SNUG_OK) sched_yield();
}

static size_t channel_kind_receive(struct queue *queue, struct message *messages, size_t most) {
	size_t count = 0;
	bench_expect_ok(channel_receive_wait(queue->channel, messages, most, SNUG_FOREVER, &count),
					"channel_receive_wait");
	return count;
}

static void spin(unsigned *looks) {
	if (++*looks % SPINS == 0)
		sched_yield();
	else
		ck_pr_stall();
}

static void ring_send(struct queue *queue, const struct message *messages, size_t count) {
	for (size_t i = 0; i < count; i++) {
		struct message message = messages[i];
		for (unsigned looks = 0; !ck_ring_enqueue_mpsc_line(&queue->ring, queue->slots, &message);)
			spin(&looks);
	}
}

static size_t ring_receive(struct queue *queue, struct message *messages, size_t most) {
	size_t count = 0;
	for (unsigned looks = 0; count == 0;) {
		while (count < most &&
			   ck_ring_dequeue_mpsc_line(&queue->ring, queue->slots, &messages[count]))
			count++;
		if (count == 0) spin(&looks);
	}
	return count;
}

static void locked_send(struct queue *queue, const struct message *messages, size_t count) {
	struct locked_queue *locked = &queue->locked;
	pthread_mutex_lock(&locked->mutex);
	for (size_t i = 0; i < count; i++) {
		while (locked->count == ROOM) {
			pthread_cond_signal(&locked->not_empty);
			pthread_cond_wait(&locked->not_full, &locked->mutex);
		}
		locked->slots[(locked->head + locked->count++) % ROOM] = messages[i];
	}
	pthread_mutex_unlock(&locked->mutex);
	pthread_cond_signal(&locked->not_empty);
}

static size_t locked_receive(struct queue *queue, struct message *messages, size_t most) {
	struct locked_queue *locked = &queue->locked;
	size_t count = 0;
	pthread_mutex_lock(&locked->mutex);
	while (locked->count == 0) pthread_cond_wait(&locked->not_empty, &locked->mutex);
	while (count < most && locked->count > 0) {
		messages[count++] = locked->slots[locked->head];
		locked->head = (locked->head + 1) % ROOM;
		locked->count--;
	}
	pthread_mutex_unlock(&locked->mutex);
	pthread_cond_signal(&locked->not_full);
	return count;
}

#define KINDS 3
static const queue_kind kinds[KINDS] = {
	{"channel", channel_kind_send, channel_kind_receive},
	{"bare ring", ring_send, ring_receive},
	{"condvar", locked_send, locked_receive},
};

static void queue_create(struct queue *queue) {
	memset(queue, 0, sizeof *queue);
	bench_expect_ok(channel_create(ROOM, &queue->channel), "channel_create");
	pthread_mutex_init(&queue->locked.mutex, NULL);
	pthread_cond_init(&queue->locked.not_empty, NULL);
	pthread_cond_init(&queue->locked.not_full, NULL);
	queue->slots = bench_map(ROOM * sizeof(struct message), false);
	ck_ring_init(&queue->ring, ROOM);
}

static void queue_destroy(struct queue *queue) {
	channel_close(queue->channel);
	channel_destroy(queue->channel);
	bench_unmap(queue->slots, ROOM * sizeof(struct message));
}

/* ------------------------------------------------------------------ the two journeys ---------- */

struct journey {
	const queue_kind *kind;
	struct queue *there;
	struct queue *back; /* NULL: one way */
	size_t messages;
	size_t batch;
};

static void *run_far_end(void *context) {
	const struct journey *journey = context;
	struct message batch[BATCH];
	for (size_t done = 0; done < journey->messages;) {
		size_t count = journey->kind->receive(journey->there, batch, journey->batch);
		for (size_t i = 0; i < count; i++)
			if (batch[i].cookie != done + i)
				bench_fail("%s: a message is out of order", journey->kind->name);
		if (journey->back != NULL) journey->kind->send(journey->back, batch, count);
		done += count;
	}
	return NULL;
}

static void run_near_end(const struct journey *journey) {
	struct message batch[BATCH];
	memset(batch, 0, sizeof batch);
	for (size_t done = 0; done < journey->messages; done += journey->batch) {
		for (size_t i = 0; i < journey->batch; i++) batch[i].cookie = done + i;
		journey->kind->send(journey->there, batch, journey->batch);
		if (journey->back == NULL) continue;
		for (size_t answers = 0; answers < journey->batch;)
			answers += journey->kind->receive(journey->back, batch, journey->batch - answers);
	}
}

struct cost {
	double wall_ns; /* of each message */
	double cpu_ns;
};

static double process_cpu_ns(void) {
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
		   ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static struct cost travel(struct journey *journey) {
	pthread_t far_end;
	double cpu_ns = process_cpu_ns();
	uint64_t start_ns = bench_now_ns();
	if (pthread_create(&far_end, NULL, run_far_end, journey) != 0) bench_fail("no thread");
	run_near_end(journey);
	pthread_join(far_end, NULL);
	return (struct cost){
		.wall_ns = (double)(bench_now_ns() - start_ns) / (double)journey->messages,
		.cpu_ns = (process_cpu_ns() - cpu_ns) / (double)journey->messages,
	};
}

/* ------------------------------------------------------------------ the crowd ----------------- */

struct crowd {
	const queue_kind *kind;
	struct queue *queue;
	_Atomic bool over; /* end_crowd sets it, senders read it */
};

static void *run_crowd_sender(void *context) {
	struct crowd *crowd = context;
	struct message message = {0};
	while (!atomic_load_explicit(&crowd->over, memory_order_relaxed))
		crowd->kind->send(crowd->queue, &message, 1);
	message.cookie = 1; /* good-bye */
	crowd->kind->send(crowd->queue, &message, 1);
	return NULL;
}

static size_t receive_from_crowd(struct crowd *crowd) {
	struct message batch[BATCH];
	size_t received = 0;
	for (uint32_t gone = 0; gone < CROWD;) {
		size_t count = crowd->kind->receive(crowd->queue, batch, BATCH);
		for (size_t i = 0; i < count; i++) gone += (uint32_t)batch[i].cookie;
		received += count;
	}
	return received;
}

static void *end_crowd(void *context) {
	struct crowd *crowd = context;
	struct timespec duration = {.tv_nsec = CROWD_NS};
	nanosleep(&duration, NULL);
	atomic_store(&crowd->over, true);
	return NULL;
}

static struct cost travel_in_a_crowd(const queue_kind *kind, struct queue *queue) {
	struct crowd crowd = {.kind = kind, .queue = queue};
	pthread_t senders[CROWD], clock;
	double cpu_ns = process_cpu_ns();
	uint64_t start_ns = bench_now_ns();
	for (size_t i = 0; i < CROWD; i++)
		if (pthread_create(&senders[i], NULL, run_crowd_sender, &crowd) != 0)
			bench_fail("no thread");
	if (pthread_create(&clock, NULL, end_crowd, &crowd) != 0) bench_fail("no thread");
	double received = (double)receive_from_crowd(&crowd);
	for (size_t i = 0; i < CROWD; i++) pthread_join(senders[i], NULL);
	pthread_join(clock, NULL);
	return (struct cost){
		.wall_ns = (double)(bench_now_ns() - start_ns) / received,
		.cpu_ns = (process_cpu_ns() - cpu_ns) / received,
	};
}

/* ------------------------------------------------------------------ the table ----------------- */

static void report(const bench_options *options, const char *way, size_t batch, const char *name,
				   double wall_ns, double cpu_ns, double wall_ratio, double cpu_ratio) {
	if (options->json)
		printf("{\"bench\":\"hops\",\"way\":\"%s\",\"batch\":%zu,\"queue\":\"%s\",\"wall_ns\":%.1f,"
			   "\"cpu_ns\":%.1f,"
			   "\"wall_to_channel\":%.3f,\"cpu_to_channel\":%.3f,\"rounds\":%u}\n",
			   way, batch, name, wall_ns, cpu_ns, wall_ratio, cpu_ratio, options->rounds);
	else
		printf("%-11s %5zu  %-10s %9.0f %9.0f %12.2f %12.2f\n", way, batch, name, wall_ns, cpu_ns,
			   wall_ratio, cpu_ratio);
}

enum way { ONE_WAY, ROUND_TRIP, IN_A_CROWD };
static const char *const way_names[] = {"one way", "round trip", "crowd"};

static struct cost measure_once(const bench_options *options, struct queue queues[2],
								const queue_kind *kind, enum way way, size_t batch) {
	if (way == IN_A_CROWD) return travel_in_a_crowd(kind, &queues[0]);
	size_t messages = way == ONE_WAY ? 800000 : batch == 1 ? 40000 : 160000;
	if (options->quick) messages /= 100;
	struct journey journey = {kind, &queues[0], way == ROUND_TRIP ? &queues[1] : NULL, messages,
							  batch};
	return travel(&journey);
}

static void measure(const bench_options *options, struct queue queues[2], enum way way,
					size_t batch) {
	static double wall_ns[KINDS][ROUNDS_MAX], cpu_ns[KINDS][ROUNDS_MAX];
	static double wall_ratio[KINDS][ROUNDS_MAX], cpu_ratio[KINDS][ROUNDS_MAX];
	for (unsigned round = 0; round < options->rounds; round++) {
		for (size_t kind = 0; kind < KINDS; kind++) {
			struct cost cost = measure_once(options, queues, &kinds[kind], way, batch);
			wall_ns[kind][round] = cost.wall_ns;
			cpu_ns[kind][round] = cost.cpu_ns;
			wall_ratio[kind][round] = cost.wall_ns / wall_ns[0][round];
			cpu_ratio[kind][round] = cost.cpu_ns / cpu_ns[0][round];
		}
	}
	for (size_t kind = 0; kind < KINDS; kind++)
		report(options, way_names[way], batch, kinds[kind].name,
			   bench_median(wall_ns[kind], options->rounds),
			   bench_median(cpu_ns[kind], options->rounds),
			   bench_median(wall_ratio[kind], options->rounds),
			   bench_median(cpu_ratio[kind], options->rounds));
}

int main(int argc, char **argv) {
	bench_options options = bench_options_parse(argc, argv, 9);
	if (options.rounds > ROUNDS_MAX) options.rounds = ROUNDS_MAX;
	static struct queue queues[2];
	queue_create(&queues[0]);
	queue_create(&queues[1]);
	if (!options.json) {
		printf("messages of 64 bytes between two threads, ns for each; medians of %u rounds\n",
			   options.rounds);
		printf("%-11s %5s  %-10s %9s %9s %12s %12s\n", "way", "batch", "queue", "wall", "CPU",
			   "wall/channel", "CPU/channel");
	}
	measure(&options, queues, ONE_WAY, 1);
	measure(&options, queues, ONE_WAY, BATCH);
	measure(&options, queues, ROUND_TRIP, 1);
	measure(&options, queues, ROUND_TRIP, BATCH);
	measure(&options, queues, IN_A_CROWD, 1);
	queue_destroy(&queues[0]);
	queue_destroy(&queues[1]);
	return 0;
}
