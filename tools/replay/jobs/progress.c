/* progress.c: see progress.h. The child publishes each figure by itself; a line may mix two
 * neighbouring moments. */
#include "jobs/progress.h"

#include "allocators/allocators.h"
#include "ledger/clock.h"
#include "units.h"

#include <stdio.h>
#include <unistd.h>

#define TERMINAL_PERIOD_NS 100000000u
#define FILE_PERIOD_NS 1000000000u

struct progress_line progress_begin(void) {
	bool terminal = isatty(STDERR_FILENO) != 0;
	uint64_t period_ns = terminal ? TERMINAL_PERIOD_NS : FILE_PERIOD_NS;
	return (struct progress_line){
		.terminal = terminal, .period_ns = period_ns, .next_ns = clock_ns() + period_ns};
}

void progress_show(struct progress_line *line, struct shared *shared) {
	struct progress *progress = &shared->progress;
	if (clock_ns() < line->next_ns) return;
	line->next_ns += line->period_ns;
	fprintf(stderr,
			"%s%s on %s  phase %u  %3.0f %%  live %s  used %s  fragmentation %4.1f %%  failed %s%s",
			line->terminal ? "\r" : "", shared->job.workload, allocator_name(shared->job.allocator),
			progress->phase + 1, 100 * ratio(progress->done_bytes, progress->planned_bytes),
			bytes_text(progress->live_bytes).text, bytes_text(progress->used_bytes).text,
			(double)progress->fragmentation_ppm / 1e4,
			count_text(progress->failed_allocations).text, line->terminal ? "\033[K" : "\n");
	fflush(stderr);
}

void progress_end(const struct progress_line *line) {
	if (line->terminal) fputs("\r\033[K", stderr);
}
