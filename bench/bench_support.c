/* bench_support.c: options, clock, random numbers, medians and memory of the benchmarks. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static _Noreturn void print_use_and_exit(const char *program) {
	fprintf(stderr, "use: %s [--json] [--quick] [--huge-pages] [--rounds N] [--seed N]\n", program);
	exit(2);
}

static uint64_t parse_number(int argc, char **argv, int index) {
	char *end = NULL;
	uint64_t value = index < argc ? strtoull(argv[index], &end, 0) : 0;
	if (end == NULL || *end != '\0' || value == 0) {
		print_use_and_exit(argv[0]);
	}
	return value;
}

bench_options bench_options_parse(int argc, char **argv, unsigned default_rounds) {
	bench_options options = {.rounds = 0, .seed = 42};
	setvbuf(stdout, NULL, _IOLBF, 0); /* a row appears when it is measured, also in a pipe */
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			options.json = true;
		} else if (strcmp(argv[i], "--quick") == 0) {
			options.quick = true;
		} else if (strcmp(argv[i], "--huge-pages") == 0) {
			options.huge_pages = true;
		} else if (strcmp(argv[i], "--rounds") == 0) {
			options.rounds = (unsigned)parse_number(argc, argv, ++i);
		} else if (strcmp(argv[i], "--seed") == 0) {
			options.seed = parse_number(argc, argv, ++i);
		} else {
			print_use_and_exit(argv[0]);
		}
	}
	if (options.rounds == 0) {
		options.rounds = options.quick ? 1 : default_rounds;
	}
	return options;
}

_Noreturn void bench_fail(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

void bench_expect_ok(snug_error error, const char *what) {
	if (error != SNUG_OK) {
		bench_fail("%s: %s", what, snug_error_text(error));
	}
}

static uint64_t read_clock_ns(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void) {
	return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_ns(void) {
	return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_random_init(bench_random *random, uint64_t seed) {
	/* Small seeds differ in few bits; a multiplication spreads them, and xorshift must not start at
	 * 0. */
	random->state = (seed + 1) * 0x9E3779B97F4A7C15u | 1;
	for (int i = 0; i < 16; i++) {
		bench_random_next(random);
	}
}

static int compare_doubles(const void *left, const void *right) {
	double a = *(const double *)left;
	double b = *(const double *)right;
	return (a > b) - (a < b);
}

double bench_median(double *values, size_t count) {
	qsort(values, count, sizeof values[0], compare_doubles);
	return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void *bench_map(size_t bytes, bool huge_pages) {
	void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (address == MAP_FAILED) {
		bench_fail("no memory: %zu bytes", bytes);
	}
	if (huge_pages) {
		madvise(address, bytes, MADV_HUGEPAGE);
	}
	memset(address, 0, bytes);
	return address;
}

void bench_unmap(void *address, size_t bytes) {
	munmap(address, bytes);
}
