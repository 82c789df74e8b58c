/* mem/slab/handle_trim.h: empty grains of the handle table go back to the OS; see handles.h. */
#ifndef SNUG_MEM_HANDLE_TRIM_H
#define SNUG_MEM_HANDLE_TRIM_H

#include "mem/types.h"

#define TRIM_RUN_MAX 16u

/* One slice, of at most `most` grains, up to TRIM_RUN_MAX. True: something was done, and there may be
 * more to do. */
bool handles_trim(snug_heap *heap, enum trim how, uint32_t most);

#endif
