/* work/policy/requests.h: what a request is: sound or not, the same as another or not, and in
 * words. Pure functions. */
#ifndef SNUG_WORK_REQUESTS_H
#define SNUG_WORK_REQUESTS_H

#include <snug/coordinator.h>

/* A caller's request as this library knows it. VERSION: it was not initialised, or asks for what is
 * not known; then it is of no kind. */
snug_error request_read(const snug_request *given, snug_request *out);

/* All that can be wrong with a request but its target and the workers' limits. `workers`: how many
 * there are. */
snug_error request_check(const snug_request *request, uint32_t workers);

/* Would one run do for both? False for what never joins: schedules and cancels. */
bool request_is_same(const snug_request *a, const snug_request *b);

bool request_is_question(const snug_request *request);
snug_priority request_priority(const snug_request *request);

#endif
