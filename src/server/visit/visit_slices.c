/* server/visit/visit_slices.c: how visits share a worker's time. See
 * server/visit/visit.h.
 *
 *     turn 1  [ sockets ][ A: slice ][ B: slice ] SLICE_NS are used up; C waits
 *     turn 2  [ sockets ][ C: slice ] ..
 *
 * A turn has SLICE_NS for slices, whoever asks for them: a hundred clients that ask for a map wait
 * for each other, and nobody else waits for all of them. A slice is not cut short, so a turn has
 * SLICE_NS and one slice at most.
 *
 * What has its place in the worker, and not in the errand, is done for one errand at a time: the
 * check, and the list of connections. Its holder may be lost (it was asked for over HTTP, and the
 * asker has given up); so who has had no slice for a while holds it no more. */
#include "os/threads.h"
#include "server/visit/visit.h"

#define HOLD_NS UINT64_C(10000000000)

bool slice_begin(struct slices *slices, struct errand *errand, struct server_worker *worker,
				 bool *holds) {
	uint64_t now_ns = os_now_ns();
	bool is_free = slices == NULL || slices->holder == NULL || slices->holder == errand ||
				   now_ns - slices->at_ns > HOLD_NS;
	if (worker->slice_ns >= SLICE_NS || !is_free) {
		errand->is_unfinished = true;
		return false;
	}
	worker->slice_began_ns = now_ns;
	*holds = slices != NULL && slices->holder == errand;
	return true;
}

void slice_end(struct slices *slices, struct errand *errand, struct server_worker *worker,
			   bool is_finished) {
	uint64_t now_ns = os_now_ns();
	worker->slice_ns += now_ns - worker->slice_began_ns;
	errand->is_unfinished = !is_finished;
	if (slices == NULL) return;
	slices->holder = is_finished ? NULL : errand;
	slices->at_ns = now_ns;
}
