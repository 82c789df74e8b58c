/* options.h: the door of options/, the command line. One table gives the parser, the help and the
 * manual page (options.c); what reads a value further, as a list of names, has the means for it
 * here (option_values.c). */
#ifndef REPLAY_OPTIONS_H
#define REPLAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* X(field, kind, "name", "ARGUMENT", "default, as typed", "help"). Kinds: TEXT, BYTES, COUNT, REAL,
 * FLAG. */
#define REPLAY_OPTIONS(X)                                                                          \
	X(workload, TEXT, "workload", "NAME[,NAME]|all", "",                                           \
	  "what to run (see --list); all: W1..W8 and the meta ones, each alone")                       \
	X(trace, TEXT, "trace", "FILE", "",                                                            \
	  "replay a CSV trace: op,key,size, or a CloudPhysics block trace")                            \
	X(sizes, TEXT, "sizes", "FILE", "",                                                            \
	  "steady churn of sizes from FILE: lines upper_bytes,cumulative")                             \
	X(live, BYTES, "live", "BYTES", "256M", "payload that is kept live; suffixes K, M, G")         \
	X(use, TEXT, "use", "SHARE|max", "0.97",                                                       \
	  "limit of libsnug's heap = live / use; max: search the highest use, in steps of 0.001, "     \
	  "without a failed "                                                                          \
	  "allocation")                                                                                \
	X(fill, FLAG, "fill", "", "",                                                                  \
	  "limit = live, and the heap always full: free only when an allocation fails")                \
	X(allocator, TEXT, "allocator", "NAME[,NAME]|all", "snug",                                     \
	  "snug, glibc, jemalloc, mimalloc, tcmalloc; each runs in a process of its own")              \
	X(names, TEXT, "names", "reference|handle", "reference", "how libsnug's objects are named")    \
	X(page, BYTES, "page", "BYTES", "0",                                                           \
	  "libsnug's page size, 4K to 64K; 0: chosen from the limit")                                  \
	X(no_compaction, FLAG, "no-compaction", "", "",                                                \
	  "allocations do not compact: only a defragmentation moves")                                  \
	X(factor, REAL, "factor", "N", "5", "a phase of churn allocates N times the live bytes")       \
	X(evict, TEXT, "evict", "random|fifo", "random", "what a trace's new objects displace")        \
	X(workers, COUNT, "workers", "N", "0",                                                         \
	  "libsnug's heaps on N threads of their own, each with its share of the limit, reached by "   \
	  "message; defragmented "                                                                     \
	  "again and again meanwhile. With --readers: the cache's workers, one if 0")                  \
	X(clients, COUNT, "clients", "M", "1",                                                         \
	  "threads that ask the workers, each with its share of the live bytes")                       \
	X(cache, TEXT, "cache", "LOAD[,LOAD]|all", "",                                                 \
	  "what a cache misses: the loads (see --list; zipf:1.0 for instance, or trace with --trace) " \
	  "through libsnug's "                                                                         \
	  "cache, each hit verified, and through simulations of eviction policies without contents")   \
	X(policy, TEXT, "policy", "NAME[,NAME]|all", "all",                                            \
	  "of --cache: shard, the cache itself, or eviction policies (see --list)")                    \
	X(limit, TEXT, "limit", "SIZE[,SIZE]", "1%,5%,10%,20%,40%",                                    \
	  "of --cache: sizes of the cache, in bytes or in percent of what all keys together take")     \
	X(readers, COUNT, "readers", "N", "0",                                                         \
	  "of --cache: N threads read and write the cache over workers (snug/cache.h), rows cache "    \
	  "and cache-bytes beside the shard's. Requests are dealt by key, so what concerns one key "   \
	  "is asked in the load's order; between keys the order is kept to within 2,048 requests, or " \
	  "a sixteenth of the shortest life of an object")                                             \
	X(overhead, BYTES, "overhead", "BYTES", "8",                                                   \
	  "of --cache: what a simulation is charged for an object beside key and value; 18 is what "   \
	  "libsnug's cache "                                                                           \
	  "needs, "                                                                                    \
	  "64 about what memcached does")                                                              \
	X(requests, COUNT, "requests", "N", "2000000",                                                 \
	  "of --cache: requests of a load that is not a trace")                                        \
	X(seed, COUNT, "seed", "N", "",                                                                \
	  "the same seed gives the same operations; drawn and printed when not given")                 \
	X(time_every, COUNT, "time-every", "N", "16",                                                  \
	  "time every Nth call; 1 gives exact maxima and costs speed")                                 \
	X(defragment, FLAG, "defragment", "", "",                                                      \
	  "print the report of the last defragmentation beside its estimate, and where it gained "     \
	  "most")                                                                                      \
	X(check, FLAG, "check", "", "", "walk all invariants (snug_check) whenever a phase ends")      \
	X(json, FLAG, "json", "", "",                                                                  \
	  "one JSON object a line on standard output instead of the table")                            \
	X(plot, TEXT, "plot", "FILE.svg", "",                                                          \
	  "memory over time: live, used, limit, reclaimed; RSS of the mallocs")                        \
	X(map, TEXT, "map", "FILE.svg", "",                                                            \
	  "memory map before and after the defragmentation that gained most")                          \
	X(quiet, FLAG, "quiet", "", "", "no progress on standard error")                               \
	X(demo, FLAG, "demo", "", "",                                                                  \
	  "the tour: fill, flip the sizes, estimate, defragment, compare with the mallocs")            \
	X(list, FLAG, "list", "", "", "print the workloads and the allocators found here")             \
	X(help, FLAG, "help", "", "", "print this help")                                               \
	X(version, FLAG, "version", "", "", "print the version")                                       \
	X(man, FLAG, "man", "", "", "print this program's manual page (roff)")

#define OPTION_TYPE_TEXT const char *
#define OPTION_TYPE_BYTES uint64_t
#define OPTION_TYPE_COUNT uint64_t
#define OPTION_TYPE_REAL double
#define OPTION_TYPE_FLAG bool

struct options {
#define OPTION_FIELD(field, kind, name, argument, preset, help) OPTION_TYPE_##kind field;
	REPLAY_OPTIONS(OPTION_FIELD)
#undef OPTION_FIELD
	bool seed_given;
};

/* Takes "--name value" and "--name=value". False: a message is on standard error. */
bool options_parse(int argument_count, char **arguments, struct options *out);

/* Tells on standard error what is wrong with an option's value. Always false. */
bool options_complain(const char *option, const char *value, const char *what);

/* Calls `take` with each word of "word,word", an empty one too, until one is not taken. False:
 * then, or a word is too long for a name, which is told. */
bool options_each(const char *option, const char *words,
				  bool (*take)(void *context, const char *word), void *context);

/* The seed that was given; else a new one, short, so that it can be typed again. */
uint64_t options_seed(const struct options *options);

void options_help(void);
void options_manual_page(void);

#endif
