/* work/policy/policy.h: what is decided about maintenance, as pure functions: figures in, a
 * decision out; the clock is the caller's. So each rule is tested as a table, without threads and
 * without waiting.
 *
 *     requests       is a request sound, and the same as another
 *     schedule       when a schedule's runs begin and end
 *     pressure       when background cleanup is wanted, and what the kernel's files say of memory
 *     spare          how much free memory a heap keeps, and when the rest goes back
 *     shares         how an emergency is divided over workers
 *     goals          what an emergency can have from a heap
 *     duty           when a worker's next slice may run
 *     join_reports   one report made of several */
#ifndef SNUG_WORK_POLICY_H
#define SNUG_WORK_POLICY_H

#include "work/policy/duty.h"
#include "work/policy/goals.h"
#include "work/policy/join_reports.h"
#include "work/policy/pressure.h"
#include "work/policy/requests.h"
#include "work/policy/schedule.h"
#include "work/policy/shares.h"
#include "work/policy/spare.h"

#endif
