/* report.h: the door of report/, how outcomes are told.
 *
 * report.c       a table for people, and a defragmentation's account
 * report_json.c  one JSON object a line, for programs; json_line.h writes its fields, those of
 *                --cache too
 * plot_svg.c     memory over time, a picture
 * map_svg.c      the heap before and after a defragmentation, a picture */
#ifndef REPLAY_REPORT_H
#define REPLAY_REPORT_H

#include "replay.h"

/* Slots that libsnug copied for each allocation that succeeded. */
double moves_per_allocation(const struct outcome *outcome);

/* `crowd`: of clients and workers. */
void report_table_head(bool crowd);
void report_table_row(const struct result *result);
/* The notes below a table: how to read it, what broke. */
void report_table_foot(const struct result *results, size_t count);

/* A line for each result whose run broke. Returns whether there is one. */
bool report_broken(const struct result *results, size_t count);

/* The report of a defragmentation beside its estimate. */
void report_defragmentation(const struct outcome *outcome, const char *indent);

/* One object, one line, on standard output. */
void report_json(const struct result *result);

/* Memory over time: a panel for each workload among the results. False: the file cannot be
 * written. */
bool plot_write_svg(const char *path, const struct result *results, size_t count);

/* An outcome's two memory maps, self-contained, 900 units wide. False: the file cannot be
 * written. */
bool map_write_svg(const char *path, const struct job *job, const struct outcome *outcome);

#endif
