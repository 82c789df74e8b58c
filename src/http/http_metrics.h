/* http/http_metrics.h: metrics in Prometheus' text format (version 0.0.4), from the answers to
 * `stats`, to `snug metrics` and to `snug latency`. Names are those of Prometheus' memcached_exporter where they mean
 * the same, so that dashboards and alerts go on; what is ours begins with snug_. Pure. */
#ifndef SNUG_HTTP_HTTP_METRICS_H
#define SNUG_HTTP_HTTP_METRICS_H

#include "base/text.h"

#include <stdint.h>

/* What the HTTP side knows of itself, and of the process. */
struct http_figures {
	uint64_t limit_bytes; /* of answers and connections */
	uint64_t used_bytes;  /* by answers */
	uint64_t closed;
	uint64_t resident_bytes;
	int64_t started_s; /* since 1970 */
	uint64_t open_fds;
	uint64_t max_fds;
};

void metrics_write_own(const struct http_figures *figures, struct text *out);
/* docs/metrics.md, as Markdown. */
void metrics_write_document(struct text *out);
/* Of the answer to `snug latency`. */
void metrics_write_latency(const struct text *latency, struct text *out);
void metrics_write(const struct text *stats, const struct text *metrics, struct text *out);

#endif
