/* base/option_text.h: what getopt_long refuses, in a sentence: the same for snugd, snugctl and
 * snug-replay. getopt_long's own are not used: they go to standard error at once, and do not say
 * what a shortened name could be. No part of libsnug. */
#ifndef SNUG_BASE_OPTION_TEXT_H
#define SNUG_BASE_OPTION_TEXT_H

#include <getopt.h>
#include <stddef.h>

#define OPTION_SENTENCE_BYTES 512u

/* Directly after getopt_long has returned ':' or '?' for these names and arguments; the letters
 * began with ':', or with "+:". */
void option_explain(int code, const struct option *names, char *const *arguments,
					char out[OPTION_SENTENCE_BYTES]);

#endif
