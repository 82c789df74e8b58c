/* window.c: see window.h. The threads begin together and end by the clock, each with at least one
 * block that is timed. What they do in the first eighth is certified, and not timed: the caches are
 * another table's. */
#include "readers/window.h"

#include "bench.h"

#include <pthread.h>

#define WARM_UP_SHARE 8u

struct shared {
	const struct window *window;
	pthread_barrier_t begin;
};

struct visitor {
	struct shared *shared;
	uint32_t index;
	uint32_t next; /* draw */
	uint64_t version;
	void *own; /* as the contestant's enter returned it */
	struct window_result result;
};

static uint64_t draw(struct visitor *visitor) {
	return visitor->shared->window->draws->numbers[visitor->next++ % DRAWS];
}

static void get(struct visitor *visitor) {
	struct reader_value value;
	uint64_t number = draw(visitor);
	struct reader_key key = reader_key_of(number);
	if (!visitor->shared->window->contestant->get(visitor->own, &key, &value))
		visitor->result.missing++;
	else if (!reader_value_is_of(&value, number))
		visitor->result.wrong++;
}

static void set(struct visitor *visitor) {
	struct reader_value value;
	uint64_t number = draw(visitor);
	struct reader_key key = reader_key_of(number);
	reader_value_make(&value, number, visitor->version++);
	visitor->shared->window->contestant->set(visitor->own, &key, &value);
}

static uint64_t time_ns(const struct visitor *visitor) {
	return visitor->shared->window->by_processor ? bench_cpu_ns() : bench_now_ns();
}

static void visit_once(struct visitor *visitor, bool timed) {
	struct window_result *result = &visitor->result;
	uint32_t sets = visitor->shared->window->sets, gets = BLOCK - sets;
	uint64_t begin_ns = time_ns(visitor);
	for (uint32_t i = 0; i < gets; i++) get(visitor);
	uint64_t read_ns = time_ns(visitor);
	for (uint32_t i = 0; i < sets; i++) set(visitor);
	uint64_t end_ns = sets > 0 ? time_ns(visitor) : read_ns;
	if (!timed) return;
	result->gets += gets;
	result->sets += sets;
	result->get_ns += read_ns - begin_ns;
	result->set_ns += end_ns - read_ns;
}

static void *visit(void *context) {
	struct visitor *visitor = context;
	const struct window *window = visitor->shared->window;
	const struct contestant *contestant = window->contestant;
	visitor->own = contestant->enter(window->table);
	(void)pthread_barrier_wait(&visitor->shared->begin);
	uint64_t begin_ns = bench_now_ns(), now_ns = begin_ns;
	while (now_ns - begin_ns < window->duration_ns || visitor->result.gets == 0) {
		visit_once(visitor, now_ns - begin_ns >= window->duration_ns / WARM_UP_SHARE);
		if (contestant->pause != NULL) contestant->pause(visitor->own);
		now_ns = bench_now_ns();
	}
	contestant->leave(visitor->own);
	return NULL;
}

static void add(struct window_result *into, const struct window_result *part) {
	into->gets += part->gets;
	into->sets += part->sets;
	into->get_ns += part->get_ns;
	into->set_ns += part->set_ns;
	into->missing += part->missing;
	into->wrong += part->wrong;
}

void window_run(const struct window *window, struct window_result *out) {
	struct shared shared = {.window = window};
	struct visitor visitors[VISITORS_MAX];
	pthread_t threads[VISITORS_MAX];
	bench_random random;
	bench_random_init(&random, window->seed);
	*out = (struct window_result){0};
	if (pthread_barrier_init(&shared.begin, NULL, window->threads) != 0) bench_fail("no barrier");
	for (uint32_t i = 0; i < window->threads; i++)
		visitors[i] = (struct visitor){.shared = &shared,
									   .index = i,
									   .next = (uint32_t)bench_random_below(&random, DRAWS),
									   .version = bench_random_next(&random)};
	for (uint32_t i = 1; i < window->threads; i++)
		if (pthread_create(&threads[i], NULL, visit, &visitors[i]) != 0) bench_fail("no thread");
	(void)visit(&visitors[0]);
	for (uint32_t i = 0; i < window->threads; i++) {
		if (i > 0) (void)pthread_join(threads[i], NULL);
		add(out, &visitors[i].result);
	}
	(void)pthread_barrier_destroy(&shared.begin);
}

void window_fill(const struct contestant *contestant, void *table, uint32_t items) {
	struct reader_value value;
	void *visitor = contestant->enter(table);
	for (uint32_t number = 0; number < items; number++) {
		struct reader_key key = reader_key_of(number);
		reader_value_make(&value, number, 0);
		contestant->set(visitor, &key, &value);
		if (contestant->pause != NULL && number % BLOCK == 0) contestant->pause(visitor);
	}
	contestant->leave(visitor);
}
