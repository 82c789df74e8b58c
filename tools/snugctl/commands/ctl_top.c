/* ctl_top.c: top; see show_top.c. */
#include "ctl_command.h"
#include "show.h"

enum status run_top(struct call *call) {
	return (enum status)show_top(call->link, call->options->interval_s, call->options->rounds);
}
