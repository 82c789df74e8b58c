/* ctl_commands.c: the table of commands; see ctl_command.h. --help, and with it what a shell completes, is
 * made from the rows. */
#include "ctl_command.h"

#include <stdio.h>
#include <string.h>

static const struct command table[] = {
	{"estimate", "  estimate [coalesce|compact]         what a defragmentation would gain\n", 0,
	 run_ask, "[coalesce|compact]"},
	{"defrag",
	 "  defrag [coalesce|compact] [bytes N] [ms N] [return]\n"
	 "                                      defragments, within a budget of bytes\n"
	 "                                      copied or time; return: gives what is\n"
	 "                                      free back to the system\n",
	 0, run_ask, "[coalesce|compact] [bytes SIZE] [ms NUMBER] [return]"},
	{"emergency",
	 "  emergency BYTES [evict]             returns so many bytes to the machine;\n"
	 "                                      evict: by evicting items too; refused,\n"
	 "                                      and nothing done, if it cannot be met\n",
	 0, run_ask, "SIZE [evict]"},
	{"schedule",
	 "  schedule HH:MM-HH:MM [target PCT]   defragments daily in that window\n"
	 "  schedule every TIME [target PCT]    defragments at intervals: 90s, 30m, 12h\n",
	 0, run_ask, "WINDOW [target SHARE];every TIME [target SHARE]"},
	{"schedules", "  schedules                           the schedules, and when the next is due\n",
	 0, run_ask, ""},
	{"cancel", "  cancel NUMBER                       ends a schedule\n", 0, run_ask, "NUMBER"},
	{"report", "  report [N]                          the last requests, and what they did\n", 0,
	 run_ask, "[NUMBER]"},
	{"metrics", "  metrics                             figures of each worker and pool\n", 0,
	 run_ask, ""},
	{"latency", "  latency                             how long commands took\n", 0, run_latency,
	 ""},
	{"slow", "  slow                                the slowest of the last minutes\n", 0, run_slow,
	 ""},
	{"clients",
	 "  clients [WHICH]                     who is connected; WHICH: ID, HOST:PORT,\n"
	 "                                      user NAME or idle SECONDS\n"
	 "  clients kill WHICH                  closes them, and says how many\n",
	 0, run_clients, NULL},
	{"map", "  map                                 the memory map\n", OPTIONS_OF_MAP, run_map, ""},
	{"doctor", "  doctor                              what is wrong, and what to do\n", 0,
	 run_doctor, ""},
	{"memory", "  memory                              what the memory is used for\n", 0, run_memory,
	 ""},
	{"bigkeys",
	 "  bigkeys [N] [delimiter C]           the N largest items, and prefixes of keys\n"
	 "                                      with what they take; default: 10, ':'\n",
	 0, run_bigkeys, "[NUMBER] [delimiter WORD]"},
	{"hotkeys", "  hotkeys [N]                         which keys are asked for most\n", 0,
	 run_hotkeys, "[NUMBER]"},
	{"sizes",
	 "  sizes                               how many items of each size, and of each\n"
	 "                                      time to live\n",
	 0, run_sizes, ""},
	{"limit", "  limit [BYTES]                       the memory limit; BYTES: set it\n", 0, run_ask,
	 "[SIZE]"},
	{"check", "  check                               walks all memory: is it sound?\n", 0, run_ask,
	 ""},
	{"verbosity",
	 "  verbosity N                         what the log says: 0 errors, warnings .. 3\n", 0,
	 run_ask, "NUMBER"},
	{"flush_all", "  flush_all [SECONDS]                 every item has expired\n", 0, run_ask,
	 "[NUMBER]"},
	{"shutdown", "  shutdown                            ends the server in order\n", 0,
	 run_shutdown, "[graceful]"},
	{"stats",
	 "  stats [items|slabs|conns|settings|sizes|detail on|off|dump]\n"
	 "                                      memcached's statistics\n",
	 0, run_ask, NULL},
	{"top", "  top                                 what the server does; q ends\n",
	 COMMAND_NO_JSON | OPTIONS_OF_TOP, run_top, ""},
	{"dump",
	 "  dump                                all items, to standard output, as commands\n"
	 "                                      that store them\n",
	 COMMAND_NO_JSON | COMMAND_CONNECTS | OPTIONS_OF_DUMP, run_items, ""},
	{"load",
	 "  load                                stores such items from standard input,\n"
	 "                                      here or in any memcached\n",
	 COMMAND_NO_JSON | COMMAND_CONNECTS | OPTIONS_OF_LOAD, run_items, ""},
};

#define COMMANDS (sizeof table / sizeof *table)

const struct command *command_find(const char *name) {
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(table[i].name, name) == 0) return &table[i];
	return NULL;
}

void command_print_help(void) {
	for (size_t i = 0; i < COMMANDS; i++) fputs(table[i].help, stdout);
}
