/* cache/client/loads.c: the table of loads, under its mutex. See cache/client/loads.h.
 *
 * A CHANGE OVERTAKES A LOAD. Who loads has read the source at some time; who changes the item, or
 * removes it, may know better. So a change marks the key's load before its message is sent, and the
 * key's owner looks at the mark in the same turn in which he would store what was loaded. Either he
 * sees it, and stores nothing; or the change comes after, and has the last word. */
#include "cache/client/loads.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ lists, lots ------------ */

static void append(struct load_list *list, struct load *load) {
	load->previous = list->last;
	load->next = NULL;
	if (list->last != NULL)
		list->last->next = load;
	else
		list->first = load;
	list->last = load;
}

static void take_out(struct load_list *list, struct load *load) {
	SNUG_ASSERT((load->previous == NULL) == (list->first == load));
	SNUG_ASSERT((load->next == NULL) == (list->last == load));
	if (load->previous != NULL)
		load->previous->next = load->next;
	else
		list->first = load->next;
	if (load->next != NULL)
		load->next->previous = load->previous;
	else
		list->last = load->previous;
}

static void add_count(_Atomic uint32_t *count, uint32_t added) {
	atomic_fetch_add_explicit(count, added, memory_order_seq_cst);
}

static struct load *find(const struct loads *loads, const snug_key *key) {
	struct load *load = loads->lots[key->hash % LOADS_LOTS];
	while (load != NULL && (load->hash != key->hash || load->key_bytes != key->length ||
							memcmp(load->key, key->bytes, key->length) != 0))
		load = load->next_in_lot;
	return load;
}

static void put_in_lot(struct loads *loads, struct load *load) {
	uint32_t lot = load->hash % LOADS_LOTS;
	SNUG_ASSERT(!load->is_in_lot && load->key_bytes > 0);
	load->next_in_lot = loads->lots[lot];
	loads->lots[lot] = load;
	load->is_in_lot = true;
	add_count(&loads->counts[lot], 1);
}

static void take_from_lot(struct loads *loads, struct load *load) {
	uint32_t lot = load->hash % LOADS_LOTS;
	struct load **link = &loads->lots[lot];
	SNUG_ASSERT(load->is_in_lot);
	while (*link != load) link = &(*link)->next_in_lot;
	*link = load->next_in_lot;
	SNUG_ASSERT(atomic_load_explicit(&loads->counts[lot], memory_order_relaxed) > 0);
	load->is_in_lot = false;
	add_count(&loads->counts[lot], UINT32_MAX);
}

/* ------------------------------------------------------------------ a load's life ---------- */

static void free_if_unused(struct loads *loads, struct load *load) {
	SNUG_ASSERT(load->is_in_lot || !load->is_absent);
	if (load->users > 0 || load->is_in_lot) return;
	free(load->copy);
	load->copy = NULL;
	load->next = loads->unused;
	loads->unused = load;
}

static void forget_absent(struct loads *loads, struct load *load) {
	SNUG_ASSERT(load->is_absent);
	take_out(&loads->absent, load);
	take_from_lot(loads, load);
	load->is_absent = false;
	free_if_unused(loads, load);
}

static bool make_table(struct loads *loads) {
	if (loads->table != NULL) return true;
	loads->table = calloc(LOADS_MAX, sizeof *loads->table);
	if (loads->table == NULL) return false;
	for (uint32_t i = LOADS_MAX; i-- > 0;) {
		loads->table[i].next = loads->unused;
		loads->unused = &loads->table[i];
	}
	return true;
}

/* What is remembered gives way to what is loaded. */
static snug_error begin(struct loads *loads, const snug_key *key, struct load **out) {
	if (!make_table(loads)) return SNUG_ERROR_OS_MEMORY;
	while (loads->unused == NULL && loads->absent.first != NULL)
		forget_absent(loads, loads->absent.first);
	struct load *load = loads->unused;
	if (load == NULL) return SNUG_ERROR_QUEUE_FULL;
	loads->unused = load->next;
	SNUG_ASSERT(load->users == 0 && load->copy == NULL && !load->is_in_lot);
	load->thread = pthread_self();
	load->waits_for = NULL;
	load->users = 1;
	atomic_store_explicit(&load->is_overtaken, false, memory_order_relaxed);
	atomic_store_explicit(&load->has_ended, 0, memory_order_relaxed);
	load->hash = key->hash;
	load->key_bytes = (uint32_t)key->length;
	memcpy(load->key, key->bytes, key->length);
	append(&loads->loading, load);
	put_in_lot(loads, load);
	*out = load;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ who waits for whom ----- */

/* One of this thread's own, or one by which it waits. */
static struct load *of_thread(const struct loads *loads, pthread_t thread, bool that_waits) {
	struct load *load = loads->loading.first;
	while (load != NULL &&
		   (!pthread_equal(load->thread, thread) || (that_waits && load->waits_for == NULL)))
		load = load->next;
	return load;
}

/* This thread loads the key already: a load that was overtaken is not joined, and still goes on. */
static bool is_own(const struct loads *loads, const snug_key *key) {
	for (const struct load *load = loads->loading.first; load != NULL; load = load->next)
		if (load->hash == key->hash && pthread_equal(load->thread, pthread_self()) &&
			load->key_bytes == key->length && memcmp(load->key, key->bytes, key->length) == 0)
			return true;
	return false;
}

/* To wait for it would be to wait for oneself. Whoever waits was let in by this, so there is no
 * circle yet, and the way has an end. */
static bool leads_back(const struct loads *loads, const struct load *load) {
	while (load != NULL) {
		if (pthread_equal(load->thread, pthread_self())) return true;
		const struct load *waiting = of_thread(loads, load->thread, true);
		load = waiting == NULL ? NULL : waiting->waits_for;
		/* its waiter is about to go on, and its loader may wait for something else by now */
		if (load != NULL && atomic_load_explicit(&load->has_ended, memory_order_acquire) != 0)
			return false;
	}
	return false;
}

/* ------------------------------------------------------------------ entering, leaving ------ */

static snug_error join(struct loads *loads, struct load *load, bool has_stale,
					   enum loads_verdict *verdict, struct load **out) {
	if (pthread_equal(load->thread, pthread_self())) return SNUG_ERROR_CYCLE;
	*verdict = has_stale ? LOADS_STALE : LOADS_WAIT;
	if (has_stale) return SNUG_OK;
	/* Nobody waits for a thread that loads nothing. */
	struct load *own = of_thread(loads, pthread_self(), false);
	if (own != NULL && leads_back(loads, load)) return SNUG_ERROR_CYCLE;
	SNUG_ASSERT(own == NULL || of_thread(loads, pthread_self(), true) == NULL);
	if (own != NULL) own->waits_for = load;
	load->users++;
	*out = load;
	return SNUG_OK;
}

static snug_error enter(struct loads *loads, const snug_key *key, bool has_stale, uint32_t ended,
						enum loads_verdict *verdict, struct load **out) {
	struct load *load = find(loads, key);
	if (load != NULL && load->is_absent && load->until_ns <= os_now_ns()) {
		forget_absent(loads, load);
		load = NULL;
	}
	if (load != NULL && load->is_absent && !has_stale) {
		*verdict = LOADS_ABSENT;
		return SNUG_OK;
	}
	if (load != NULL && !load->is_absent) return join(loads, load, has_stale, verdict, out);
	/* There is an item after all: it was stored by a change that this call has overtaken. */
	if (load != NULL) forget_absent(loads, load);
	if (is_own(loads, key)) return SNUG_ERROR_CYCLE;
	*verdict = ended == loads_ended(loads, key) ? LOADS_LEAD : LOADS_AGAIN;
	return *verdict == LOADS_LEAD ? begin(loads, key, out) : SNUG_OK;
}

snug_error loads_enter(struct loads *loads, const snug_key *key, bool has_stale, uint32_t ended,
					   enum loads_verdict *verdict, struct load **out) {
	pthread_mutex_lock(&loads->mutex);
	snug_error error = enter(loads, key, has_stale, ended, verdict, out);
	pthread_mutex_unlock(&loads->mutex);
	return error;
}

/* Nobody joins it any more. Tells whether somebody waits. */
static bool close_load(struct loads *loads, struct load *load, uint64_t absent_ns) {
	pthread_mutex_lock(&loads->mutex);
	SNUG_ASSERT(load->users > 0 && load->waits_for == NULL);
	bool has_waiters = load->users > 1;
	take_out(&loads->loading, load);
	load->is_absent = load->is_in_lot && absent_ns > 0;
	if (load->is_absent) {
		load->until_ns = os_deadline_ns(absent_ns);
		append(&loads->absent, load);
	} else if (load->is_in_lot) {
		take_from_lot(loads, load);
	}
	add_count(&loads->ended[load->hash % LOADS_LOTS], 1);
	pthread_mutex_unlock(&loads->mutex);
	return has_waiters;
}

void loads_end(struct loads *loads, struct load *load, const struct load_result *result,
			   uint64_t absent_ns) {
	bool has_waiters =
		close_load(loads, load, result->error == SNUG_ERROR_NOT_FOUND ? absent_ns : 0);
	SNUG_ASSERT(load->copy == NULL && load->users > 0);
	load->result = *result;
	load->result.bytes = NULL;
	if (has_waiters && result->error == SNUG_OK) {
		load->copy = malloc(larger(result->value.bytes, 1));
		if (load->copy == NULL) load->result.error = SNUG_ERROR_OS_MEMORY;
		if (load->copy != NULL && result->value.bytes > 0)
			memcpy(load->copy, result->bytes, result->value.bytes);
		load->result.bytes = load->copy;
	}
	atomic_store_explicit(&load->has_ended, 1, memory_order_release);
	if (has_waiters) os_wake(&load->has_ended, UINT32_MAX);
	loads_leave(loads, load);
}

bool loads_wait(struct loads *loads, struct load *load, uint64_t timeout_ns) {
	uint64_t deadline_ns = os_deadline_ns(timeout_ns), remaining_ns = timeout_ns;
	while (atomic_load_explicit(&load->has_ended, memory_order_acquire) == 0 && remaining_ns > 0) {
		os_wait_on(&load->has_ended, 0, remaining_ns);
		remaining_ns = os_remaining_ns(deadline_ns);
	}
	pthread_mutex_lock(&loads->mutex);
	struct load *own = of_thread(loads, pthread_self(), true);
	if (own != NULL) own->waits_for = NULL;
	pthread_mutex_unlock(&loads->mutex);
	return atomic_load_explicit(&load->has_ended, memory_order_acquire) != 0;
}

void loads_leave(struct loads *loads, struct load *load) {
	pthread_mutex_lock(&loads->mutex);
	SNUG_ASSERT(load->users > 0);
	load->users--;
	free_if_unused(loads, load);
	pthread_mutex_unlock(&loads->mutex);
}

/* ------------------------------------------------------------------ changes ---------------- */

static void overtake(struct loads *loads, struct load *load) {
	if (load->is_absent) {
		forget_absent(loads, load);
		return;
	}
	SNUG_ASSERT(load->users > 0 && load->is_in_lot);
	atomic_store_explicit(&load->is_overtaken, true, memory_order_release);
	take_from_lot(loads, load);
}

void loads_overtake(struct loads *loads, const snug_key *key) {
	uint32_t first = key == NULL ? 0 : key->hash % LOADS_LOTS;
	uint32_t end = key == NULL ? LOADS_LOTS : first + 1, count = 0;
	/* What the caller has changed in his source before is seen by a load that is not seen here. */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t lot = first; lot < end; lot++)
		count += atomic_load_explicit(&loads->counts[lot], memory_order_seq_cst);
	if (LIKELY(count == 0)) return;
	pthread_mutex_lock(&loads->mutex);
	if (key != NULL) {
		struct load *load = find(loads, key);
		if (load != NULL) overtake(loads, load);
	} else {
		for (uint32_t lot = 0; lot < LOADS_LOTS; lot++)
			while (loads->lots[lot] != NULL) overtake(loads, loads->lots[lot]);
	}
	pthread_mutex_unlock(&loads->mutex);
}

bool loads_init(struct loads *loads) {
	return pthread_mutex_init(&loads->mutex, NULL) == 0;
}

void loads_deinit(struct loads *loads) {
	SNUG_ASSERT(loads->loading.first == NULL);
	free(loads->table);
	pthread_mutex_destroy(&loads->mutex);
}
