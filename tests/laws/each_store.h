/* each_store.h: a file in memory is looked at before each store to it, as a process leaves it that is
 * killed there.
 *
 * The file's pages are mapped for reading alone. A store faults; the file is looked at as it is; the
 * page is opened for one instruction (the trap flag of x86-64), and closed again. So what is counted
 * are instructions, as the compiler has made and ordered them. A `rep movs` counts each iteration. What a
 * system call does to the file (a hole, more pages) is seen with the next store.
 *
 * It wraps mmap, munmap and mprotect: a program that uses it is linked with each_store_link_args. One
 * thread; one file at a time. */
#ifndef SNUG_TEST_EACH_STORE_H
#define SNUG_TEST_EACH_STORE_H

#include <stdbool.h>
#include <stdint.h>

/* Called inside a signal handler, between two instructions of the code under test: it may do what
 * that code may do, but to another file. `number` counts from 1. */
typedef void (*each_store_look)(void *context, uint64_t number);

/* Tried before a file is followed. False: a process can't step by itself here, on this processor,
 * under this emulator or this kernel. */
bool each_store_is_possible(void);

/* What is mapped of this file from now on is followed. */
void each_store_follow(int descriptor);

void each_store_begin(each_store_look look, void *context);

/* A last look, and the number of looks. */
uint64_t each_store_end(void);

#endif
