/* os/process_figures.h: what the process holds of the machine. 0: the system does not tell. */
#ifndef SNUG_OS_PROCESS_FIGURES_H
#define SNUG_OS_PROCESS_FIGURES_H

#include <stdint.h>

/* Microseconds. */
uint64_t os_resident_bytes(void);
/* The most that it ever was; some ten microseconds. */
uint64_t os_resident_peak_bytes(void);
/* What of it is swapped out; the same. */
uint64_t os_swapped_bytes(void);
/* Descriptors that are open: from Linux 6.2 on at once; before that by reading a directory of them,
 * some microseconds for each ten: not for a thread that serves clients. */
uint64_t os_descriptors(void);
uint64_t os_descriptors_max(void);

#endif
