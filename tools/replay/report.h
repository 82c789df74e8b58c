/* report.h: how outcomes are told: a table for people, JSON for programs, pictures. */
#ifndef REPLAY_REPORT_H
#define REPLAY_REPORT_H

#include "replay.h"

/* A job and what came of it. */
struct result {
	struct job job;
	struct outcome outcome;
};

/* Slots that libsnug copied for each allocation that succeeded. */
double moves_per_allocation(const struct outcome *outcome);

/* `crowd`: of clients and workers. */
void report_table_head(bool crowd);
void report_table_row(const struct result *result);
/* The notes below a table: how to read it, what broke. */
void report_table_foot(const struct result *results, size_t count);

/* The report of a defragmentation beside its estimate. */
void report_defragmentation(const struct outcome *outcome, const char *indent);

/* One object, one line, on standard output. */
void report_json(const struct result *result);

/* Memory over time: a panel for each workload among the results. False: the file cannot be written. */
bool plot_write_svg(const char *path, const struct result *results, size_t count);

#endif
