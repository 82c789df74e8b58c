/* work/policy/join_reports.h: one report made of several. Pure functions: figures in, figures out.
 * Two kinds of joining, which differ in what time is and in whose state holds at the end
 * (join_reports.c). */
#ifndef SNUG_WORK_JOIN_REPORTS_H
#define SNUG_WORK_JOIN_REPORTS_H

#include <snug/defragment.h>
#include <stdint.h>

/* The same heap, `part` after `into`: a defragmentation that was interrupted and begun again.
 * `into` may be all zero. Before is the first one's, what holds at the end is the last one's, the
 * rest adds up. total_ns adds up too: the pauses between are the caller's to add. */
void join_report_in_time(snug_report *into, const snug_report *part);

/* Other heaps at the same time: several workers. Everything adds up but times that pass side by
 * side (total_ns, longest_step_ns: the longest), and the outcome is the one that leaves most
 * undone. Begin with the first one's report, not with zeros. */
void join_report_of_workers(snug_report *into, const snug_report *other);

/* The same for what else workers answer. Shares are computed anew; page_bytes and return_unit_bytes
 * are the larger ones, peak_bytes an upper bound. */
void join_stats_of_workers(snug_stats *into, const snug_stats *other);
void join_estimate_of_workers(snug_estimate_report *into, const snug_estimate_report *other);

/* External fragmentation in millionths of the pools of `mask` (SNUG_POOL_BIT; 0: all): holes / slab
 * bytes. */
uint64_t fragmentation_ppm_of(const snug_stats *stats, uint32_t mask);

#endif
