/* mem/object/fit.h: whether an object, or a charge, would have room if all went that may go.
 *
 *     goal   | tables | charged | kept | what would be free: whole pages ........ |
 *                       \ spare /   \ of what is pinned, and of one more object /
 *
 * Who evicts asks this before the first victim: what could not fit then is refused, and nothing has
 * gone for it (law K9). So the answer must never be yes where the allocation would fail in the end.
 * It may be no by less than a page: a grain is set aside for the size classes that the object may
 * need, and the holes of pinned slabs count only where one slot is all that is wanted.
 *
 * COST. Arithmetic; where anything is pinned, one look at each active class; where no whole page
 * would be free, one at each pinned slab of the object's class. */
#ifndef SNUG_MEM_FIT_H
#define SNUG_MEM_FIT_H

#include "mem/types.h"

struct fit_wish {
	size_t object_bytes; /* 0: no object */
	size_t charge_bytes; /* to be charged besides */
	size_t spare_bytes;  /* of what is charged, and would be discharged */
	snug_ref kept;       /* an object that stays, as what is pinned does; 0: none */
	bool ignores_pins;   /* as if nothing were pinned: whether it can ever fit */
	bool os_refused;     /* the OS commits nothing more: what is committed must do */
	bool has_cells; /* fit_commit has got those of the object's classes: they are in the account */
};

bool fit_if_all_went(const snug_heap *heap, const struct fit_wish *wish);

/* Asks the OS for all pages that the object can use and the limit allows, and for the classes'
 * cells: before anything is given up for it. OS_MEMORY: it refused, so what is committed must do. */
snug_error fit_commit(snug_heap *heap, size_t bytes);

/* Whether there are free pages enough for so many bytes already: what fails all the same does not
 * fail for them. */
bool fit_has_pages(const snug_heap *heap, size_t bytes);

#endif
