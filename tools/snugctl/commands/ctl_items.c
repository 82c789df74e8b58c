/* ctl_items.c: dump and load; see show_items.h. Items are at the port, not at the control socket. */
#include "ctl_command.h"

#include <string.h>

static bool open_port(const struct options *options, struct link *link) {
	static const char here[] = "127.0.0.1";
	const char *address = options->address != NULL ? options->address : here;
	return link_open(link, address, options_timeout_ms(options));
}

static bool is_told_elsewhere(struct link *port) {
	struct reply reply;
	if (!link_ask(port, "snug items ?", &reply)) return false;
	bool is_elsewhere = door_is_elsewhere(&reply);
	reply_free(&reply);
	return is_elsewhere;
}

/* The operator's socket tells items where the port does not; but its large values are got at the port. */
static bool dump_from(const struct options *options, struct link *port) {
	struct link items;
	struct door door;
	if (!is_told_elsewhere(port)) return dump_items(port, port, &options->dump);
	if (!door_open(&items, &door, options->address, options_timeout_ms(options))) return false;
	if (door.control[0] == '\0') (void)door_ask(&items, &door);
	bool is_whole = dump_items(&items, port, &options->dump);
	if (!is_whole) call_tell_of_door(&door);
	link_close(&items);
	return is_whole;
}

enum status run_items(struct call *call) {
	const struct options *options = call->options;
	struct link link;
	if (!open_port(options, &link)) return STATUS_UNREACHABLE;
	bool is_whole = (options->dump.login == NULL || log_in(&link, options->dump.login)) &&
					(strcmp(call->words[0], "dump") == 0 ? dump_from(options, &link)
														 : load_items(&link, &options->dump));
	link_close(&link);
	return is_whole ? STATUS_DONE : STATUS_REFUSED;
}
