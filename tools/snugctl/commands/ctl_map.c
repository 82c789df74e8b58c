/* ctl_map.c: map; see show_map.c. */
#include "ctl_command.h"
#include "show.h"

enum status run_map(struct call *call) {
	char line[CALL_LINE_ROOM];
	struct reply reply;
	if (!call_line(call, line)) return STATUS_USAGE;
	if (!call_ask(call, line, &reply)) return STATUS_UNREACHABLE;
	enum status status = call_status(&reply);
	if (!call_is_refused(call, &reply)) {
		if (call->options->json)
			show_map_json(&reply);
		else if (!show_map(&reply, call->options->svg_path))
			status = STATUS_REFUSED;
	}
	reply_free(&reply);
	return status;
}
