/* http/http_memory.c: see http/http_memory.h.
 *
 *     no room --> the costliest client is shown out --> LEAVE_NS for him to go --> still none? the
 *                                                       next; PATIENCE_NS in all
 *
 * Cost is bytes held times how long: a large answer that is being read counts less than a small one
 * that nobody takes. Between two clients there is a pause, because a shared answer is held by
 * several at once: the bytes come back with the last of them. The log has one line in ten seconds,
 * the counter has all. */
#include "http/http_memory.h"

#include "base/log_line.h"
#include "base/number_text.h"
#include "os/threads.h"

#include <string.h>

#define PATIENCE_NS UINT64_C(500000000)
/* For one to leave, before the next is closed: what he held may be held by another as well. */
#define LEAVE_NS UINT64_C(20000000)
#define PAUSE_NS UINT64_C(1000000)
#define LOG_PAUSE_NS UINT64_C(10000000000)

void http_memory_init(struct http_memory *memory, struct crowd *crowd, const snug_log *log) {
	memset(memory, 0, sizeof *memory);
	memory->answers.limit_bytes = HTTP_MEMORY_BYTES * 3 / 8 - HISTORY_BYTES;
	memory->urgent.limit_bytes = HTTP_MEMORY_BYTES / 8;
	memory->crowd = crowd;
	memory->log = *log;
}

static bool has_room(const struct text_account *account, size_t bytes) {
	size_t used = atomic_load_explicit(&account->used_bytes, memory_order_relaxed);
	return used <= account->limit_bytes && account->limit_bytes - used >= bytes;
}

/* One line in ten seconds. */
static void tell(struct http_memory *memory, size_t bytes) {
	uint64_t closed = atomic_fetch_add(&memory->closed, 1) + 1, now_ns = os_now_ns();
	uint64_t logged_ns = atomic_load(&memory->logged_ns);
	if (logged_ns != 0 && now_ns - logged_ns < LOG_PAUSE_NS) return;
	if (!atomic_compare_exchange_strong(&memory->logged_ns, &logged_ns, now_ns)) return;
	snug_log_line(&memory->log, SNUG_LOG_WARNING,
				  "http: closed a client that did not read its answer of %s: no memory for others; "
				  "%llu so far",
				  number_size(bytes).text, (unsigned long long)closed);
}

bool http_memory_make_room(struct http_memory *memory, const struct text_account *account,
						   size_t bytes) {
	uint64_t until_ns = os_deadline_ns(PATIENCE_NS);
	while (!has_room(account, bytes)) {
		size_t held_bytes = crowd_show_out_costliest(memory->crowd, account, os_now_ns());
		if (held_bytes > 0) tell(memory, held_bytes);
		uint64_t leave_ns = os_deadline_ns(LEAVE_NS);
		while (!has_room(account, bytes) && os_remaining_ns(leave_ns) > 0)
			os_thread_sleep(PAUSE_NS);
		if (os_remaining_ns(until_ns) == 0) return has_room(account, bytes);
	}
	return true;
}
