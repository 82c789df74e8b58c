/* mem/object/pieces.h: a fragment's slot in whatever hole there is: the last resort for what need
 * not be contiguous (law B1).
 *
 *   wanted   |=================== n bytes ===================|
 *   holes    [  page  |t]   [ fragment's |t]   [ byte string's |t]   [aligned|t]
 *
 * Every hole whose slot is larger than a fragment's trailer serves, of whichever family: those of
 * fragments as they are, those of plain objects by a host (mem/slab/host.h). So an allocation of n
 * bytes fails only if free pages and holes, less a trailer each, hold less than n together. Nothing
 * moves.
 *
 * COST. One look at each active class for each run of pieces of equal size; an object in holes of
 * 100 bytes has a piece for each 88, and reading it walks them. It is what is left when the choice
 * is to refuse. */
#ifndef SNUG_MEM_PIECES_H
#define SNUG_MEM_PIECES_H

#include "mem/types.h"

struct piece {
	uint64_t offset;
	struct size_class *class;
	uint32_t bytes; /* of the object in it: at least 1 */
};

/* Whether pages and holes have room for so many bytes: one look at each active class. A victim goes
 * back first, so that its holes count. */
bool pieces_have_room(snug_heap *heap, size_t bytes);

/* The class whose hole is next: the smallest that holds `bytes`, the first of two that waste less, or
 * the largest if none holds them. `lent`: of plain objects' classes alone. NULL: there are no
 * holes. */
struct size_class *pieces_class(const snug_heap *heap, size_t bytes, bool lent);

/* The slot for the next piece of an object of which `left_bytes` are still to be placed: a whole
 * page while there is one and it is filled; else the smallest hole that holds all that is left;
 * else the largest. False: there is none. */
bool piece_take(snug_heap *heap, size_t left_bytes, struct piece *out);

#endif
