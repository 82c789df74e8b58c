/* ctl_shutdown.c: shutdown. The server gives no answer, but ends the connection when it has begun to stop. */
#include "ctl_command.h"

enum status run_shutdown(struct call *call) {
	char line[CALL_LINE_ROOM];
	struct reply reply;
	if (!call_line(call, line)) return STATUS_USAGE;
	enum link_end end = link_ask_end(call->link, line, &reply);
	if (end == LINK_ANSWERED && door_ask(call->link, call->door)) {
		reply_free(&reply);
		end = link_ask_end(call->link, line, &reply);
	}
	if (end == LINK_CLOSED) return STATUS_DONE;
	if (end == LINK_FAILED) return STATUS_UNREACHABLE;
	call_say(reply.error != NULL ? reply.error : "not understood");
	call_tell_of_door(call->door);
	if (call->door->refusal == 0)
		call_say("on its own machine the control socket takes it; elsewhere only with "
				 "--enable-shutdown");
	reply_free(&reply);
	return STATUS_REFUSED;
}
