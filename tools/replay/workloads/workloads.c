/* workloads.c: finds a workload by name among the built-in tables and the user's files. */
#include "workloads/workloads.h"

#include <stdio.h>
#include <string.h>

typedef bool (*workload_table)(size_t index, struct workload *out);

/* The first two are what "all" means. */
static const workload_table tables[] = {workload_ramcloud, workload_meta, workload_adversarial,
										workload_twitter};
#define TABLES_OF_ALL 2
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

static bool workload_at(size_t index, size_t table_count, struct workload *out) {
	for (size_t table = 0; table < table_count; table++) {
		size_t within = 0;
		for (; tables[table](within, out); within++)
			if (index-- == 0) return true;
	}
	return false;
}

const char *workload_name_at(size_t index) {
	static struct workload found;
	return workload_at(index, TABLE_COUNT, &found) ? found.name : NULL;
}

size_t workload_all_count(void) {
	struct workload unused;
	size_t count = 0;
	while (workload_at(count, TABLES_OF_ALL, &unused)) count++;
	return count;
}

static const char *file_name(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash == NULL ? path : slash + 1;
}

static void workload_of_file(const char *kind, const char *path, struct workload *out) {
	*out = (struct workload){.phase_count = 1};
	snprintf(out->name, sizeof out->name, "%s:%.40s", kind, file_name(path));
	snprintf(out->summary, sizeof out->summary, "%.200s", path);
}

bool workload_find(const struct job *job, struct workload *out, char *problem, size_t room) {
	if (strcmp(job->workload, "trace") == 0) {
		workload_of_file("trace", job->trace_path, out);
		out->phases[0] = (struct phase){.kind = PHASE_TRACE};
		return true;
	}
	if (strcmp(job->workload, "sizes") == 0) {
		workload_of_file("sizes", job->sizes_path, out);
		out->phases[0] = (struct phase){.kind = PHASE_CHURN};
		return sizes_read(job->sizes_path, &out->phases[0].sizes, problem, room);
	}
	for (size_t index = 0; workload_at(index, TABLE_COUNT, out); index++)
		if (strcasecmp(out->name, job->workload) == 0) return true;
	snprintf(problem, room, "no workload is called '%s' (see --list)", job->workload);
	return false;
}

uint64_t workload_planned_bytes(const struct workload *workload, const struct job *job) {
	uint64_t bytes = 0;
	for (size_t i = 0; i < workload->phase_count; i++)
		if (workload->phases[i].kind == PHASE_CHURN)
			bytes += phase_churn_bytes(&workload->phases[i], job->factor, job->live_bytes);
	return bytes;
}
