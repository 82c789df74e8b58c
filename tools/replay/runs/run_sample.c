/* run_sample.c: what the heap takes, some four hundred times in a run.
 *
 * RSS is the resident pages of /proc/self/statm, less those that were resident before the first
 * allocation (program, libraries, the shared mapping, a trace), less what the ledger touched since
 * (exact: its arrays grow from the front and have no huge pages). So it is the heap's own memory,
 * with its metadata. */
#include "runs/runs.h"

#include "base/number_text.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES_WANTED 400

static uint64_t resident_bytes(const struct run *run) {
	char text[128];
	ssize_t length = pread(run->statm, text, sizeof text - 1, 0);
	if (length <= 0) return 0;
	text[length] = '\0';
	const char *blank = strchr(text, ' '); /* behind the total */
	return blank == NULL ? 0 : number_leading(blank + 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t heap_resident_bytes(const struct run *run) {
	uint64_t resident = resident_bytes(run);
	uint64_t others = run->baseline_bytes + ledger_touched_bytes(&run->ledger);
	return resident > others ? resident - others : 0;
}

void sample_begin(struct run *run) {
	run->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	run->baseline_bytes = resident_bytes(run);
}

struct sample sample_take(struct run *run) {
	struct sample sample = {.allocated_bytes = run->outcome->allocated_bytes,
							.live_bytes = run->ledger.live_bytes,
							.rss_bytes = heap_resident_bytes(run)};
	struct progress *progress = &run->shared->progress;
	snug_stats stats;
	sample.used_bytes = sample.committed_bytes = sample.rss_bytes;
	if (run->allocator.heap != NULL && snug_stats_get(run->allocator.heap, &stats) == SNUG_OK) {
		sample.used_bytes = stats.total.slab_bytes + stats.metadata_bytes;
		sample.committed_bytes = stats.committed_bytes + stats.metadata_bytes;
		sample.reclaimed_bytes = stats.reclaimed_bytes;
		progress->fragmentation_ppm = (uint32_t)(stats.total.external_fragmentation * 1e6);
		if (sample.committed_bytes > stats.limit_bytes)
			run_broken(run->outcome, "the limit is %llu bytes, %llu are taken",
					   (unsigned long long)stats.limit_bytes,
					   (unsigned long long)sample.committed_bytes);
	}
	if (sample.rss_bytes > run->outcome->rss_peak_bytes)
		run->outcome->rss_peak_bytes = sample.rss_bytes;
	progress->live_bytes = sample.live_bytes;
	progress->used_bytes = sample.used_bytes;
	progress->done_bytes = run->done_units;
	progress->failed_allocations = run->outcome->failed_allocations;
	return sample;
}

double sample_utilisation(const struct run *run, const struct sample *sample) {
	uint64_t whole = run->allocator.heap != NULL ? run->job->limit_bytes : sample->rss_bytes;
	return whole == 0 ? 0 : (double)sample->live_bytes / (double)whole;
}

static void note_utilisation(struct run *run, const struct sample *sample) {
	struct outcome *outcome = run->outcome;
	double utilisation = sample_utilisation(run, sample);
	run->full_samples++;
	outcome->utilisation_mean +=
		(utilisation - outcome->utilisation_mean) / (double)run->full_samples;
	/* run_churn.c notes those, exactly */
	bool by_failures = run->job->fill && run->allocator.heap != NULL;
	if (!by_failures && (outcome->utilisation_min == 0 || utilisation < outcome->utilisation_min))
		outcome->utilisation_min = utilisation;
}

void sample_advance(struct run *run, uint64_t units) {
	run->done_units += units;
	if (run->done_units < run->next_sample_units) return;
	run->next_sample_units = run->done_units + run->planned_units / SAMPLES_WANTED;
	struct sample sample = sample_take(run);
	if (run->outcome->sample_count < SAMPLE_MAX)
		run->outcome->samples[run->outcome->sample_count++] = sample;
	if (run->full) note_utilisation(run, &sample);
}

struct quantiles quantiles_of(const snug_histogram *histogram) {
	return (struct quantiles){.count = histogram->count,
							  .p50 = snug_histogram_quantile(histogram, .5),
							  .p99 = snug_histogram_quantile(histogram, .99),
							  .p999 = snug_histogram_quantile(histogram, .999),
							  .max = histogram->count == 0 ? 0 : histogram->max};
}
