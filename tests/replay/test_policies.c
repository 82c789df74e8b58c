/* test_policies.c: each simulated policy against a naive twin of it: lists that are arrays, searched
 * from end to end, and written from the papers without a look at the other. After each request both
 * must hold the same objects. */
#include "ledger/random.h"
#include "policies/simulation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 90u
#define REQUESTS 20000u
#define LIMIT_BYTES 6000u
#define LISTS 5

/* Oldest first. */
struct list {
	uint32_t count;
	uint32_t keys[KEYS];
};

struct twin {
	struct list lists[LISTS]; /* what each is for is the policy's */
	uint32_t bytes[KEYS];     /* of all keys that are on a list */
	bool resident[KEYS];
	uint32_t uses[KEYS]; /* requests, hits or marks */
	double worth[KEYS];
	uint32_t next[KEYS];
	double goal; /* of ARC's first list; GDSF's inflation */
	uint32_t hand;
	uint32_t counted;
	uint32_t now;
	const struct cache_request *request;
};

struct twin_policy {
	const struct policy *policy;
	void (*hit)(struct twin *twin, uint32_t key);
	void (*miss)(struct twin *twin, uint32_t key); /* before room is made */
	uint32_t (*evict)(struct twin *twin);
	void (*insert)(struct twin *twin, uint32_t key);
	/* deleted: NULL: it is taken off the list that it is on */
	void (*remove)(struct twin *twin, uint32_t key);
};

/* ------------------------------------------------------------------ lists ------------------ */

static uint32_t place_in(const struct list *list, uint32_t key) {
	for (uint32_t i = 0; i < list->count; i++)
		if (list->keys[i] == key) return i;
	return KEY_NONE;
}

static void take_at(struct list *list, uint32_t place) {
	assert_true(place < list->count);
	list->count--;
	for (uint32_t i = place; i < list->count; i++) list->keys[i] = list->keys[i + 1];
}

static void push(struct list *list, uint32_t key) {
	list->keys[list->count++] = key;
}

static uint32_t shift(struct list *list) {
	uint32_t key = list->keys[0];
	take_at(list, 0);
	return key;
}

/* The list that it is on, or LISTS. */
static uint32_t list_of(const struct twin *twin, uint32_t key) {
	uint32_t list = 0;
	while (list < LISTS && place_in(&twin->lists[list], key) == KEY_NONE) list++;
	return list;
}

static void take_off(struct twin *twin, uint32_t key) {
	uint32_t list = list_of(twin, key);
	if (list < LISTS) take_at(&twin->lists[list], place_in(&twin->lists[list], key));
}

static uint32_t bytes_in(const struct twin *twin, uint32_t list) {
	uint32_t bytes = 0;
	for (uint32_t i = 0; i < twin->lists[list].count; i++)
		bytes += twin->bytes[twin->lists[list].keys[i]];
	return bytes;
}

static uint32_t bytes_held(const struct twin *twin) {
	uint32_t bytes = 0;
	for (uint32_t key = 0; key < KEYS; key++) bytes += twin->resident[key] ? twin->bytes[key] : 0;
	return bytes;
}

static uint32_t held(const struct twin *twin) {
	uint32_t count = 0;
	for (uint32_t key = 0; key < KEYS; key++) count += twin->resident[key];
	return count;
}

/* ------------------------------------------------------------------ one list --------------- */

static void to_end(struct twin *twin, uint32_t key) {
	take_off(twin, key);
	push(&twin->lists[0], key);
}

static void stay(struct twin *twin, uint32_t key) {
	(void)twin, (void)key;
}

static void add(struct twin *twin, uint32_t key) {
	push(&twin->lists[0], key);
}

static uint32_t first(struct twin *twin) {
	return shift(&twin->lists[0]);
}

static void sieve_hit(struct twin *twin, uint32_t key) {
	twin->uses[key] = 1;
}

static void sieve_insert(struct twin *twin, uint32_t key) {
	twin->uses[key] = 0;
	add(twin, key);
}

static uint32_t sieve_evict(struct twin *twin) {
	struct list *list = &twin->lists[0];
	for (;; twin->hand = (twin->hand + 1) % list->count) {
		uint32_t key = list->keys[twin->hand];
		if (twin->uses[key] == 0) {
			take_at(list, twin->hand);
			if (twin->hand == list->count) twin->hand = 0; /* at the newest: the oldest is next */
			return key;
		}
		twin->uses[key] = 0;
	}
}

static void sieve_remove(struct twin *twin, uint32_t key) {
	uint32_t place = place_in(&twin->lists[0], key);
	take_at(&twin->lists[0], place);
	if (place < twin->hand) twin->hand--;
	if (twin->hand == twin->lists[0].count) twin->hand = 0;
}

/* ------------------------------------------------------------------ the least of all ------- */

/* Of equal ones that which was touched first: the list is in that order. */
static uint32_t take_least(struct twin *twin, const double *worth) {
	struct list *list = &twin->lists[0];
	uint32_t least = 0;
	for (uint32_t i = 1; i < list->count; i++)
		if (worth[list->keys[i]] < worth[list->keys[least]]) least = i;
	uint32_t key = list->keys[least];
	take_at(list, least);
	return key;
}

static void gdsf_use(struct twin *twin, uint32_t key) {
	twin->uses[key]++;
	twin->worth[key] = twin->goal + (double)twin->uses[key] / twin->bytes[key];
	to_end(twin, key);
}

static void gdsf_insert(struct twin *twin, uint32_t key) {
	twin->uses[key] = 0;
	gdsf_use(twin, key);
}

static uint32_t gdsf_evict(struct twin *twin) {
	uint32_t key = take_least(twin, twin->worth);
	twin->goal = twin->worth[key];
	return key;
}

static void min_use(struct twin *twin, uint32_t key) {
	twin->worth[key] = -(double)twin->request->next;
	to_end(twin, key);
}

static uint32_t min_evict(struct twin *twin) {
	return take_least(twin, twin->worth);
}

static void sized_use(struct twin *twin, uint32_t key) {
	twin->next[key] = twin->request->next;
}

static void sized_insert(struct twin *twin, uint32_t key) {
	sized_use(twin, key);
	add(twin, key);
}

/* The simulation's order among equals: the last one comes into the place of one that goes. */
static void sized_remove(struct twin *twin, uint32_t key) {
	struct list *list = &twin->lists[0];
	uint32_t place = place_in(list, key);
	list->keys[place] = list->keys[list->count - 1];
	list->count--;
}

static uint32_t sized_evict(struct twin *twin) {
	const struct list *list = &twin->lists[0];
	double most = -1;
	uint32_t victim = KEY_NONE;
	for (uint32_t i = 0; i < list->count; i++) {
		uint32_t key = list->keys[i];
		double area = ((double)twin->next[key] - twin->now) * twin->bytes[key];
		if (area <= most) continue;
		most = area;
		victim = key;
	}
	sized_remove(twin, victim);
	return victim;
}

/* ------------------------------------------------------------------ ARC -------------------- */

enum { T1, T2, B1, B2 };

static void arc_hit(struct twin *twin, uint32_t key) {
	take_off(twin, key);
	push(&twin->lists[T2], key);
}

static void arc_miss(struct twin *twin, uint32_t key) {
	uint32_t list = list_of(twin, key);
	double b1 = bytes_in(twin, B1), b2 = bytes_in(twin, B2), bytes = twin->bytes[key];
	if (list == B1) twin->goal += bytes * (b2 / b1 > 1 ? b2 / b1 : 1);
	if (list == B2) twin->goal -= bytes * (b1 / b2 > 1 ? b1 / b2 : 1);
	if (twin->goal > LIMIT_BYTES) twin->goal = LIMIT_BYTES;
	if (twin->goal < 0) twin->goal = 0;
}

/* REPLACE of the paper. */
static uint32_t arc_evict(struct twin *twin) {
	double t1 = bytes_in(twin, T1);
	bool in_b2 = list_of(twin, twin->request->key) == B2;
	bool from_t1 = twin->lists[T1].count > 0 && (t1 > twin->goal || (in_b2 && t1 >= twin->goal));
	if (twin->lists[T2].count == 0) from_t1 = true;
	uint32_t key = shift(&twin->lists[from_t1 ? T1 : T2]);
	push(&twin->lists[from_t1 ? B1 : B2], key);
	return key;
}

static void arc_insert(struct twin *twin, uint32_t key) {
	uint32_t list = list_of(twin, key);
	take_off(twin, key);
	push(&twin->lists[list == B1 || list == B2 ? T2 : T1], key);
	while (twin->lists[B1].count > 0 && bytes_in(twin, T1) + bytes_in(twin, B1) > LIMIT_BYTES)
		(void)shift(&twin->lists[B1]);
	while (twin->lists[B2].count > 0 &&
		   bytes_in(twin, T1) + bytes_in(twin, T2) + bytes_in(twin, B1) + bytes_in(twin, B2) >
			   2 * LIMIT_BYTES)
		(void)shift(&twin->lists[B2]);
}

/* ------------------------------------------------------------------ W-TinyLFU -------------- */

enum { WINDOW, PROBATION, PROTECTED };

static void count_use(struct twin *twin, uint32_t key, uint32_t residents) {
	if (twin->uses[key] < 15) twin->uses[key]++;
	if (++twin->counted < 1000 || twin->counted < 10 * residents) return;
	for (uint32_t i = 0; i < KEYS; i++) twin->uses[i] /= 2;
	twin->counted = 0;
}

static void tinylfu_hit(struct twin *twin, uint32_t key) {
	bool in_window = list_of(twin, key) == WINDOW;
	count_use(twin, key, held(twin));
	take_off(twin, key);
	push(&twin->lists[in_window ? WINDOW : PROTECTED], key);
	while (bytes_in(twin, PROTECTED) > LIMIT_BYTES / 10 * 8)
		push(&twin->lists[PROBATION], shift(&twin->lists[PROTECTED]));
}

static void tinylfu_insert(struct twin *twin, uint32_t key) {
	count_use(twin, key, held(twin));
	push(&twin->lists[WINDOW], key);
}

static uint32_t tinylfu_evict(struct twin *twin) {
	for (;;) {
		struct list *window = &twin->lists[WINDOW];
		struct list *main = &twin->lists[twin->lists[PROBATION].count > 0 ? PROBATION : PROTECTED];
		bool fits = bytes_in(twin, WINDOW) + twin->request->bytes <= LIMIT_BYTES / 100;
		if (window->count == 0 || (fits && main->count > 0)) return shift(main);
		uint32_t leaving = window->keys[0];
		if (bytes_in(twin, PROBATION) + bytes_in(twin, PROTECTED) + twin->bytes[leaving] <=
			LIMIT_BYTES - LIMIT_BYTES / 100) {
			push(&twin->lists[PROBATION], shift(window));
			continue;
		}
		bool wins = main->count > 0 && twin->uses[leaving] > twin->uses[main->keys[0]];
		return shift(wins ? main : window);
	}
}

/* ------------------------------------------------------------------ S3-FIFO ---------------- */

enum { SMALL, MAIN, GHOSTS };

static void s3fifo_hit(struct twin *twin, uint32_t key) {
	if (twin->uses[key] < 3) twin->uses[key]++;
}

static void s3fifo_insert(struct twin *twin, uint32_t key) {
	bool is_ghost = list_of(twin, key) == GHOSTS;
	take_off(twin, key);
	twin->uses[key] = 0;
	push(&twin->lists[is_ghost ? MAIN : SMALL], key);
}

static uint32_t s3fifo_evict(struct twin *twin) {
	struct list *small = &twin->lists[SMALL], *main = &twin->lists[MAIN];
	if (bytes_in(twin, SMALL) >= LIMIT_BYTES / 10 || main->count == 0)
		while (small->count > 0) {
			uint32_t key = shift(small);
			if (twin->uses[key] >= 2) {
				twin->uses[key] = 0;
				push(main, key);
				continue;
			}
			push(&twin->lists[GHOSTS], key);
			while (twin->lists[GHOSTS].count > main->count + 1) (void)shift(&twin->lists[GHOSTS]);
			return key;
		}
	for (;;) {
		uint32_t key = shift(main);
		if (twin->uses[key] == 0) return key;
		twin->uses[key]--;
		push(main, key);
	}
}

/* ------------------------------------------------------------------ both ------------------- */

static void twin_store(struct twin *twin, const struct twin_policy *policy) {
	uint32_t key = twin->request->key, bytes = twin->request->bytes;
	if (bytes > LIMIT_BYTES) return;
	if (policy->miss != NULL) policy->miss(twin, key);
	while (held(twin) > 0 && bytes_held(twin) + bytes > LIMIT_BYTES) {
		uint32_t victim = policy->evict(twin);
		assert_true(twin->resident[victim]);
		twin->resident[victim] = false;
	}
	twin->bytes[key] = bytes;
	twin->resident[key] = true;
	policy->insert(twin, key);
}

static void twin_request(struct twin *twin, const struct twin_policy *policy,
						 const struct cache_request *request) {
	twin->request = request;
	twin->now++;
	if (request->op != TRACE_DELETE && twin->resident[request->key]) {
		policy->hit(twin, request->key);
	} else if (request->op != TRACE_DELETE) {
		twin_store(twin, policy);
	} else if (twin->resident[request->key]) {
		(policy->remove != NULL ? policy->remove : take_off)(twin, request->key);
		twin->resident[request->key] = false;
	}
}

/* A few keys are asked for often; sizes are each key's own. Some are larger than the cache. */
static void make_requests(struct cache_request *requests, uint64_t seed) {
	struct random random;
	uint32_t next[KEYS];
	random_init(&random, seed, 1);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t key = random_below(&random, 1 + random_below(&random, KEYS));
		uint32_t bytes = key == 77 ? LIMIT_BYTES + 1 : 50 + key * key * 37 % 411;
		bool deletes = random_below(&random, 50) == 0;
		requests[i] = (struct cache_request){
			.key = key, .bytes = bytes, .op = deletes ? TRACE_DELETE : TRACE_GET};
	}
	for (uint32_t key = 0; key < KEYS; key++) next[key] = REQUEST_NEVER;
	for (uint32_t i = REQUESTS; i-- > 0;) {
		requests[i].next = next[requests[i].key];
		next[requests[i].key] = requests[i].op == TRACE_GET ? i + 1 : REQUEST_NEVER;
	}
}

static void assert_same(const struct twin_policy *policy, uint64_t seed) {
	static struct cache_request requests[REQUESTS];
	struct simulation simulation;
	struct twin twin = {.now = 0};
	make_requests(requests, seed);
	assert_true(simulation_create(&simulation, policy->policy, KEYS, LIMIT_BYTES, seed));
	for (uint32_t i = 0; i < REQUESTS; i++) {
		simulation_request(&simulation, &requests[i]);
		twin_request(&twin, policy, &requests[i]);
		for (uint32_t key = 0; key < KEYS; key++)
			if ((simulation.bytes[key] != 0) != twin.resident[key])
				fail_msg("%s, seed %llu, request %u: key %u", policy->policy->name,
						 (unsigned long long)seed, i, key);
	}
	assert_true(simulation.evictions > REQUESTS / 20);
	assert_true(simulation.misses.missed_gets < simulation.misses.gets);
	simulation_destroy(&simulation);
}

static void test_each_policy_does_what_its_twin_does(void **state) {
	(void)state;
	static const struct twin_policy policies[] = {
		{&policy_lru, to_end, NULL, first, add, NULL},
		{&policy_fifo, stay, NULL, first, add, NULL},
		{&policy_sieve, sieve_hit, NULL, sieve_evict, sieve_insert, sieve_remove},
		{&policy_s3fifo, s3fifo_hit, NULL, s3fifo_evict, s3fifo_insert, NULL},
		{&policy_arc, arc_hit, arc_miss, arc_evict, arc_insert, NULL},
		{&policy_tinylfu, tinylfu_hit, NULL, tinylfu_evict, tinylfu_insert, NULL},
		{&policy_gdsf, gdsf_use, NULL, gdsf_evict, gdsf_insert, NULL},
		{&policy_min, min_use, NULL, min_evict, min_use, NULL},
		{&policy_min_sized, sized_use, NULL, sized_evict, sized_insert, sized_remove},
	};
	for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
		for (uint64_t seed = 1; seed <= 3; seed++) assert_same(&policies[i], seed);
}

/* Of objects of one size nothing misses fewer than who knows the future. */
static void test_nobody_beats_the_future(void **state) {
	(void)state;
	static struct cache_request requests[REQUESTS];
	uint64_t least = 0;
	make_requests(requests, 4);
	for (uint32_t i = 0; i < REQUESTS; i++) requests[i].bytes = 100;
	for (size_t at = 0; policy_at(at) != NULL; at++) {
		struct simulation simulation;
		assert_true(simulation_create(&simulation, &policy_min, KEYS, 2000, 1));
		for (uint32_t i = 0; i < REQUESTS; i++) simulation_request(&simulation, &requests[i]);
		least = simulation.misses.missed_gets;
		simulation_destroy(&simulation);
		assert_true(simulation_create(&simulation, policy_at(at), KEYS, 2000, 1));
		for (uint32_t i = 0; i < REQUESTS; i++) simulation_request(&simulation, &requests[i]);
		assert_true(simulation.misses.missed_gets >= least);
		simulation_destroy(&simulation);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_policy_does_what_its_twin_does),
		cmocka_unit_test(test_nobody_beats_the_future),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
