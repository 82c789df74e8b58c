/* work/policy/requests.c: what submit looks at before anything is sent, and what joins.
 *
 * A request is checked whole on the submitter's thread: so one that could never be carried out
 * costs no message and no slot. Two requests are the same if one run would do for both: same kind,
 * worker and options. Metrics and estimates join as well; schedules and cancels never do, for each
 * has an effect of its own. */
#include "work/policy/requests.h"

#include "base/grown.h"
#include "work/policy/schedule.h"

const char *snug_request_kind_text(snug_request_kind kind) {
	switch (kind) {
	case SNUG_REQUEST_DEFRAGMENT:
		return "defragment";
	case SNUG_REQUEST_EMERGENCY:
		return "emergency";
	case SNUG_REQUEST_SCHEDULE:
		return "schedule";
	case SNUG_REQUEST_METRICS:
		return "metrics";
	case SNUG_REQUEST_ESTIMATE:
		return "estimate";
	case SNUG_REQUEST_CANCEL:
		return "cancel";
	case SNUG_REQUEST_COUNT:
		break;
	}
	return "unknown";
}

const char *snug_priority_text(snug_priority priority) {
	switch (priority) {
	case SNUG_PRIORITY_EMERGENCY:
		return "emergency";
	case SNUG_PRIORITY_DEMAND:
		return "demand";
	case SNUG_PRIORITY_SCHEDULED:
		return "scheduled";
	case SNUG_PRIORITY_BACKGROUND:
		return "background";
	case SNUG_PRIORITY_COUNT:
		break;
	}
	return "unknown";
}

const char *snug_origin_text(snug_origin origin) {
	switch (origin) {
	case SNUG_ORIGIN_CALLER:
		return "caller";
	case SNUG_ORIGIN_SCHEDULE:
		return "schedule";
	case SNUG_ORIGIN_BACKGROUND:
		return "background";
	}
	return "unknown";
}

/* As snug_defragment would, but before anything is sent. */
static snug_error check_options(const snug_defragment_options *options) {
	if ((uint32_t)options->mode > SNUG_COALESCE) return SNUG_ERROR_OPTION;
	if (options->pool_mask >> SNUG_POOL_COUNT != 0) return SNUG_ERROR_OPTION;
	bool works = options->step_bytes > 0 && options->step_ns > 0 && options->budget_bytes > 0 &&
				 options->budget_ns > 0 && options->target_bytes > 0;
	return works ? SNUG_OK : SNUG_ERROR_BUDGET_ZERO;
}

void snug_request_init(snug_request *request, size_t struct_bytes, snug_request_kind kind) {
	snug_request defaults = {
		.kind = kind, .worker = SNUG_ALL_WORKERS, .options = snug_defragment_options_default()};
	grown_init(request, struct_bytes, &defaults, sizeof defaults);
	grown_init_part(request, struct_bytes, offsetof(snug_request, options));
}

snug_error request_read(const snug_request *given, snug_request *out) {
	*out = snug_request_default(SNUG_REQUEST_COUNT);
	bool is_known = grown_read(given, out, sizeof *out) &&
					grown_is_zero(out->reserved, sizeof out->reserved) &&
					grown_is_zero(out->schedule.reserved, sizeof out->schedule.reserved);
	out->options.struct_bytes = sizeof out->options;
	if (is_known) return SNUG_OK;
	*out = snug_request_default(SNUG_REQUEST_COUNT);
	return SNUG_ERROR_VERSION;
}

snug_error request_check(const snug_request *request, uint32_t workers) {
	if ((uint32_t)request->kind >= SNUG_REQUEST_COUNT) return SNUG_ERROR_OPTION;
	if (request->kind == SNUG_REQUEST_CANCEL) return SNUG_OK;
	if (request->worker != SNUG_ALL_WORKERS && request->worker >= workers) return SNUG_ERROR_WORKER;
	if (request->kind == SNUG_REQUEST_METRICS) return SNUG_OK;
	snug_error error = check_options(&request->options);
	if (error) return error;
	if (request->kind == SNUG_REQUEST_EMERGENCY && request->min_bytes == 0)
		return SNUG_ERROR_BUDGET_ZERO;
	return request->kind == SNUG_REQUEST_SCHEDULE ? schedule_check(&request->schedule) : SNUG_OK;
}

static bool same_options(const snug_defragment_options *a, const snug_defragment_options *b) {
	return a->mode == b->mode && a->pool_mask == b->pool_mask && a->step_bytes == b->step_bytes &&
		   a->step_ns == b->step_ns && a->budget_bytes == b->budget_bytes &&
		   a->budget_ns == b->budget_ns && a->target_bytes == b->target_bytes &&
		   a->merge_classes == b->merge_classes && a->retain_bytes == b->retain_bytes &&
		   a->return_bytes == b->return_bytes;
}

bool request_is_same(const snug_request *a, const snug_request *b) {
	if (a->kind != b->kind || a->worker != b->worker) return false;
	switch (a->kind) {
	case SNUG_REQUEST_METRICS:
		return true;
	case SNUG_REQUEST_DEFRAGMENT:
	case SNUG_REQUEST_ESTIMATE:
		return same_options(&a->options, &b->options);
	case SNUG_REQUEST_EMERGENCY:
		return same_options(&a->options, &b->options) && a->min_bytes == b->min_bytes &&
			   a->may_evict == b->may_evict;
	case SNUG_REQUEST_SCHEDULE:
	case SNUG_REQUEST_CANCEL:
	case SNUG_REQUEST_COUNT:
		break;
	}
	return false;
}

bool request_is_question(const snug_request *request) {
	return request->kind == SNUG_REQUEST_METRICS || request->kind == SNUG_REQUEST_ESTIMATE;
}

snug_priority request_priority(const snug_request *request) {
	return request->kind == SNUG_REQUEST_EMERGENCY ? SNUG_PRIORITY_EMERGENCY : SNUG_PRIORITY_DEMAND;
}
