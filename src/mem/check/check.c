/* mem/check/check.c: snug_check: all laws, one after the other: pages, slots, objects. Each layer
 * believes what the one before has checked. O(pages + slots + entries), at one instant; for a heap
 * that serves there is check_steps.c. */
#include "mem/check/check.h"

#include "mem/gate.h"
#include "mem/object/plan.h"

snug_error snug_check(snug_heap *heap, snug_check_result *out) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	struct check check = {.heap = heap};
	struct object_counts counts = {{0}, 0, 0, 0, 0};
	if (check_arena(&check) && check_slabs(&check) && check_cells(&check) &&
		check_objects(&check, &counts) && check_handles(&check, &counts) &&
		check_pins(&check, &counts) && check_plans(&check, 1, whole_fragment_bytes(heap)))
		return SNUG_OK;
	check_tell(heap, &check.result);
	if (out != NULL) *out = check.result;
	return SNUG_ERROR_CORRUPT;
}
