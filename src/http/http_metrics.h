/* http/http_metrics.h: metrics in Prometheus' text format (version 0.0.4), from the answers to `stats` and to `snug metrics`. Names are those of Prometheus'
 * memcached_exporter where they mean the same, so that dashboards and alerts go on; what is ours begins with snug_. Pure. */
#ifndef SNUG_HTTP_HTTP_METRICS_H
#define SNUG_HTTP_HTTP_METRICS_H

#include "base/text.h"

void metrics_write(const struct text *stats, const struct text *metrics, struct text *out);

#endif
