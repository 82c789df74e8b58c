/* snug/snug.h: the whole library in one include. */
#ifndef SNUG_H
#define SNUG_H

#include <snug/cache.h>
#include <snug/client.h>
#include <snug/coordinator.h>
#include <snug/defragment.h>
#include <snug/error.h>
#include <snug/heap.h>
#include <snug/histogram.h>
#include <snug/log.h>
#include <snug/memory_file.h>
#include <snug/os.h>
#include <snug/platform.h>
#include <snug/shard.h>
#include <snug/stats.h>
#include <snug/version.h>
#include <snug/workers.h>

#endif
