/* server/settings/settings_table.h: the one table of snugd's options. The command line, the config
 * file, --help, the manual page and `stats settings` come from it, so they cannot drift apart.
 *
 *     X(MEMORY, 'm', "memory-limit",     help's group, letter, long name and config key
 *       MIB, FIELD(memory_bytes),        how a value is read, and where it is kept
 *       "64", minimum, maximum,          default and bounds, as a text and as numbers
 *       "MiB", "maxbytes", "memory ..")  argument in the help, statistic, explanation
 *
 * Names are memcached's where it has the option. What else it has stands in the tables after the
 * first: some of it is taken because what it asks for is so here anyway; the rest is refused with a
 * reason, for a server that ignores an option does something else than it was told. */
#ifndef SNUG_SERVER_SETTINGS_TABLE_H
#define SNUG_SERVER_SETTINGS_TABLE_H

#include "server/settings/settings.h"

#include <snug/heap.h>
#include <snug/shard.h>
#include <snug/workers.h>

#define SETTINGS_MEMORY_MAX_BYTES ((uint64_t)SNUG_LIMIT_MAX_BYTES * SNUG_WORKERS_MAX)
#define SETTINGS_ITEM_MIN_BYTES 1024u
#define SETTINGS_CONNECTION_MIN_BYTES ((uint64_t)1 << 20) /* of each worker */
/* As memcached: without -t, as many as processors, but no more than this. */
#define SETTINGS_THREADS_DEFAULT_MAX 4u

/* X(symbol, "title in the help") */
#define SETTINGS_GROUPS(X)        \
	X(MEMORY, "Memory")           \
	X(NETWORK, "Network")         \
	X(CLEANUP, "Defragmentation") \
	X(PROCESS, "Process")         \
	X(LOG, "What it says")

enum settings_group {
#define SETTINGS_GROUP_SYMBOL(symbol, title) GROUP_##symbol,
	SETTINGS_GROUPS(SETTINGS_GROUP_SYMBOL) GROUP_COUNT
#undef SETTINGS_GROUP_SYMBOL
};

enum settings_kind {
	KIND_BYTES,    /* uint64_t or uint32_t: a size, see base/number_text.h */
	KIND_MIB,      /* the same, but a bare number is MiB */
	KIND_KIB,      /* the same, but it is KiB */
	KIND_COUNT,    /* uint32_t or uint16_t */
	KIND_PORT,     /* int32_t: SETTINGS_PORT_ANY, SETTINGS_PORT_NONE, or a port */
	KIND_OCTAL,    /* uint32_t */
	KIND_PER_CENT, /* uint32_t, kept in millionths; bounds in millionths */
	KIND_SECONDS,  /* uint32_t: a time of whole seconds */
	KIND_FLAG,     /* bool; on the command line without a value */
	KIND_RISE,     /* uint32_t: each mention adds one; in the config file a number */
	/* bool or an enum: the words of its values, in order; if it has a minimum, that is a number for
	 * the first word, and so on */
	KIND_CHOICE,
	KIND_TEXT, /* char[] */
	/* struct settings_list: values with commas between them; each mention adds to it */
	KIND_LIST,
	/* What is done rather than kept: */
	KIND_CONFIG,
	KIND_EXTENDED, /* memcached's -o name[=value],... */
	KIND_HELP,
	KIND_MANUAL,
	KIND_VERSION,
	KIND_CHECK
};

#define SETTINGS_FIELD(name) offsetof(struct settings, name), sizeof(((struct settings *)0)->name)
#define SETTINGS_NO_FIELD 0, 0

/* X(group, letter, "long name and config key", kind, field, "default", minimum, maximum,
 * "argument", "statistic", "help") The argument of a choice or a flag is the words of its values,
 * from 0 on; a flag's are seen in the statistics alone, which may say the opposite of the option
 * ("evictions on"). A default of "" is told by the help's text. */
#define SETTINGS_TABLE(X)                                                                          \
	X(MEMORY, 'm', "memory-limit", MIB, SETTINGS_FIELD(memory_bytes), "64", SNUG_LIMIT_MIN_BYTES,  \
	  SETTINGS_MEMORY_MAX_BYTES, "MiB", "maxbytes",                                                \
	  "memory for everything, over all workers: items, index, bookkeeping; a hard limit, at "      \
	  "least 256k "                                                                                \
	  "for each worker")                                                                           \
	X(MEMORY, 0, "memory-max", MIB, SETTINGS_FIELD(memory_max_bytes), "", SNUG_LIMIT_MIN_BYTES,    \
	  SETTINGS_MEMORY_MAX_BYTES, "MiB", "maxbytes_ceiling",                                        \
	  "as far as the limit may be raised while snugd runs; default: the memory limit")             \
	X(MEMORY, 0, "connection-memory", BYTES, SETTINGS_FIELD(connection_memory_bytes), "",          \
	  SETTINGS_CONNECTION_MIN_BYTES, SETTINGS_MEMORY_MAX_BYTES, "BYTES", "connection_memory",      \
	  "memory for what connections hold, over all workers, beside -m: when it is short, whoever "  \
	  "holds most is "                                                                             \
	  "closed; "                                                                                   \
	  "at least 1m for each worker; default: a sixteenth of -m, at least 16m and 4m for each "     \
	  "worker, at most 1g")                                                                        \
	X(MEMORY, 'I', "max-item-size", BYTES, SETTINGS_FIELD(item_max_bytes), "1m",                   \
	  SETTINGS_ITEM_MIN_BYTES, SNUG_VALUE_BYTES_MAX, "BYTES", "item_size_max",                     \
	  "the largest item, 1k to 1g; at most half of a worker's memory, less where that is below "   \
	  "352k; the default is lowered to it")                                                        \
	X(MEMORY, 0, "keep-free", BYTES, SETTINGS_FIELD(keep_free_bytes), "1m", 0,                     \
	  SETTINGS_MEMORY_MAX_BYTES, "BYTES", "keep_free",                                             \
	  "free memory, over all workers, that is kept when nothing has used it for some seconds; "    \
	  "what is free beyond it goes back to the system by itself, unless --defrag is off")          \
	X(MEMORY, 'M', "disable-evictions", FLAG, SETTINGS_FIELD(no_eviction), "", 0, 1, "on|off",     \
	  "evictions", "when memory is full, answer an error instead of evicting")                     \
	X(MEMORY, 0, "evict-for", CHOICE, SETTINGS_FIELD(evict_for), "hits", 0, 0, "hits|bytes",       \
	  "evict_for",                                                                                 \
	  "what eviction keeps low: the requests that miss, or the bytes of what is asked for and "    \
	  "missed")                                                                                    \
	X(MEMORY, 'L', "enable-largepages", FLAG, SETTINGS_FIELD(huge_pages), "", 0, 1, "no|yes",      \
	  "huge_pages", "ask the system for 2 MiB pages")                                              \
	X(MEMORY, 0, "collapse", CHOICE, SETTINGS_FIELD(collapse), "on", 0, 0, "off|on", "collapse",   \
	  "make huge pages of what is resident anyway, in the background; with -L there is no need")   \
	X(MEMORY, 'k', "lock-memory", FLAG, SETTINGS_FIELD(lock_memory), "", 0, 1, "no|yes", "",       \
	  "keep what is resident out of swap; needs the right to lock without limit (ulimit -l)")      \
	X(MEMORY, 'e', "memory-file", TEXT, SETTINGS_FIELD(memory_file), "", 0, 0, "PATH",             \
	  "memory_file",                                                                               \
	  "keep the items in this file, or in snug.memory in this directory, on a tmpfs such as "      \
	  "/dev/shm: whoever starts next with it has them at once. Its bits are 0600, for values and " \
	  "the hash secret are in it")                                                                 \
	X(MEMORY, 0, "memory-file-on-disk", FLAG, SETTINGS_FIELD(memory_file_on_disk), "", 0, 1,       \
	  "no|yes", "memory_file_on_disk",                                                             \
	  "take a memory file that is not on a tmpfs too: the system then writes what changes to the " \
	  "disk")                                                                                      \
	X(MEMORY, 'F', "disable-flush-all", FLAG, SETTINGS_FIELD(no_flush), "", 0, 1, "yes|no",        \
	  "flush_enabled", "refuse the command flush_all")                                             \
	X(NETWORK, 'p', "port", PORT, SETTINGS_FIELD(port), "11211", 0, UINT16_MAX, "NUMBER",          \
	  "tcpport", "TCP port; 0: no TCP; -1: one that is free, which is printed")                    \
	X(NETWORK, 'l', "listen", LIST, SETTINGS_FIELD(listen), "", 0, 0, "ADDRESS,..", "inter",       \
	  "addresses to listen on, such as 0.0.0.0, [::1]:11212, * for all; may be repeated; with -Z " \
	  "notls:, btls: or mtls: before one says that its clients speak no TLS, are asked for no "    \
	  "certificate, or need one; default: 127.0.0.1 alone. "                                       \
	  "There is no authentication unless --auth-file is given")                                    \
	X(NETWORK, 's', "unix-socket", TEXT, SETTINGS_FIELD(socket_path), "", 0, 0, "PATH",            \
	  "domain_socket", "listen on a unix socket, and on no TCP port unless -p or -l is given too") \
	X(NETWORK, 'a', "unix-mask", OCTAL, SETTINGS_FIELD(socket_mask), "700", 0, 0777, "BITS",       \
	  "umask", "access bits of the unix socket, octal")                                            \
	X(NETWORK, 0, "control", TEXT, SETTINGS_FIELD(control_path), "", 0, 0, "PATH",                 \
	  "control_socket",                                                                            \
	  "the operator's socket, where snug limit, defrag, emergency, schedule, cancel, check, "      \
	  "verbosity, "                                                                                \
	  "cache_memlimit and shutdown "                                                               \
	  "are taken, by default nowhere else; none: no such socket; default: snugd-PORT.sock in "     \
	  "$XDG_RUNTIME_DIR, /run "                                                                    \
	  "or "                                                                                        \
	  "/tmp/snugd-UID, or the unix socket's path and .control, where snugctl finds it")            \
	X(NETWORK, 0, "control-group", TEXT, SETTINGS_FIELD(control_group), "", 0, 0, "NAME",          \
	  "control_group", "whose members may use the operator's socket; default: its owner alone")    \
	X(NETWORK, 0, "control-only", FLAG, SETTINGS_FIELD(control_only), "", 0, 1, "no|yes",          \
	  "control_only",                                                                              \
	  "take all commands that begin with snug on the operator's socket alone, also those that "    \
	  "only tell")                                                                                 \
	X(NETWORK, 0, "open-commands", FLAG, SETTINGS_FIELD(open_commands), "", 0, 1, "no|yes",        \
	  "open_commands", "take the operator's commands, but shutdown, from every client")            \
	X(NETWORK, 'X', "disable-dumping", FLAG, SETTINGS_FIELD(no_dump), "", 0, 1, "yes|no",          \
	  "dump_enabled",                                                                              \
	  "take what tells keys on the operator's socket alone: snug items, bigkeys, hotkeys, slow, "  \
	  "stats detail and the dumps")                                                                \
	X(NETWORK, 'W', "disable-watch", FLAG, SETTINGS_FIELD(no_watch), "", 0, 1, "yes|no",           \
	  "watch_enabled",                                                                             \
	  "refuse watch, which tells a client, line by line, what others get, store and delete, what " \
	  "is evicted and who connects")                                                               \
	X(NETWORK, 'A', "enable-shutdown", FLAG, SETTINGS_FIELD(enable_shutdown), "", 0, 1, "no|yes",  \
	  "shutdown_command",                                                                          \
	  "take the command shutdown from every client, not from the operator's socket alone")         \
	X(NETWORK, 0, "http", TEXT, SETTINGS_FIELD(http), "", 0, 0, "ADDRESS", "http",                 \
	  "serve metrics for Prometheus, /healthz, JSON and a dashboard at HOST[:PORT]; port 8211 "    \
	  "unless given; "                                                                             \
	  "default: not at all")                                                                       \
	X(NETWORK, 0, "http-ssl", FLAG, SETTINGS_FIELD(http_ssl), "", 0, 1, "no|yes", "http_ssl",      \
	  "speak TLS over HTTP, with the certificate and key of -Z (--ssl-chain-cert, --ssl-key); "    \
	  "plain HTTP is then not answered there")                                                     \
	X(NETWORK, 0, "http-host", LIST, SETTINGS_FIELD(http_hosts), "", 0, 0, "NAME,..", "http_host", \
	  "names by which HTTP may be asked, such as cache1.example.org; may be repeated. Addresses, " \
	  "localhost and the "                                                                         \
	  "name that --http gives need not be told; requests under other names are refused")           \
	X(NETWORK, 0, "http-token-file", TEXT, SETTINGS_FIELD(http_token_file), "", 0, 0, "FILE",      \
	  "http_token_file",                                                                           \
	  "who asks for actions over HTTP must know this file's one line; without it actions are for " \
	  "loopback alone")                                                                            \
	X(NETWORK, 'Y', "auth-file", TEXT, SETTINGS_FIELD(auth_file), "", 0, 0, "FILE", "auth_file",   \
	  "ask clients who they are: a file of lines name:password, or name(read):password with what " \
	  "that user may do (read, write, flush, operate); a password may be a hash of crypt(5). "     \
	  "Read "                                                                                      \
	  "again on SIGHUP; "                                                                          \
	  "default: nobody is asked")                                                                  \
	X(NETWORK, 'Z', "enable-ssl", FLAG, SETTINGS_FIELD(ssl_enabled), "", 0, 1, "no|yes",           \
	  "ssl_enabled",                                                                               \
	  "clients over TCP speak TLS 1.2 or 1.3; needs --ssl-chain-cert. Certificates are read "      \
	  "again on SIGHUP and by the command refresh_certs")                                          \
	X(NETWORK, 0, "ssl-chain-cert", TEXT, SETTINGS_FIELD(ssl_chain_cert), "", 0, 0, "FILE",        \
	  "ssl_chain_cert", "the server's certificate and those between it and its root, in PEM")      \
	X(NETWORK, 0, "ssl-key", TEXT, SETTINGS_FIELD(ssl_key), "", 0, 0, "FILE", "ssl_key",           \
	  "its private key, without a passphrase; default: in the same file")                          \
	X(NETWORK, 0, "ssl-keyformat", COUNT, SETTINGS_FIELD(ssl_keyformat), "1", 1, 2, "NUMBER",      \
	  "ssl_keyformat", "of the key; 1: PEM, 2: DER")                                               \
	X(NETWORK, 0, "ssl-ca-cert", TEXT, SETTINGS_FIELD(ssl_ca_cert), "", 0, 0, "FILE",              \
	  "ssl_ca_cert", "certificates, in PEM, of those who sign clients' certificates")              \
	X(NETWORK, 0, "ssl-verify-mode", COUNT, SETTINGS_FIELD(ssl_verify_mode), "0", 0, 3, "NUMBER",  \
	  "ssl_verify_mode",                                                                           \
	  "0: clients are asked for no certificate; 1 and 3: they are, and one that is wrong is "      \
	  "refused; 2: they need one. A client whose certificate's common name is a user of "          \
	  "--auth-file is that user")                                                                  \
	X(NETWORK, 0, "ssl-ciphers", TEXT, SETTINGS_FIELD(ssl_ciphers), "", 0, 0, "LIST",              \
	  "ssl_ciphers",                                                                               \
	  "OpenSSL's names with : between them; those of TLS 1.3 begin with TLS_; default: OpenSSL's") \
	X(NETWORK, 0, "ssl-min-version", CHOICE, SETTINGS_FIELD(ssl_min_version), "tlsv1.2", 2, 3,     \
	  "tlsv1.2|tlsv1.3", "ssl_min_version", "the oldest protocol; 2 and 3 mean the same")          \
	X(NETWORK, 0, "ssl-session-cache", FLAG, SETTINGS_FIELD(ssl_session_cache), "", 0, 1,          \
	  "no|yes", "ssl_session_cache",                                                               \
	  "clients may resume their sessions, which the clients keep, encrypted; a reload ends them")  \
	X(NETWORK, 0, "ssl-kernel-tls", FLAG, SETTINGS_FIELD(ssl_kernel_tls), "", 0, 1, "no|yes",      \
	  "ssl_kernel_tls",                                                                            \
	  "let the kernel encrypt what large answers are sent of: TLS 1.3 with AES-GCM, where its "    \
	  "module tls is there")                                                                       \
	X(NETWORK, 0, "ssl-wbuf-size", KIB, SETTINGS_FIELD(ssl_wbuf_bytes), "16", 1024, 262144, "KiB", \
	  "ssl_wbuf_size", "at least so much is encrypted for a send: four times that, up to 64 KiB")  \
	X(NETWORK, 0, "ssl-handshake-timeout", SECONDS, SETTINGS_FIELD(ssl_handshake_timeout_s), "10", \
	  1, 3600, "SECONDS", "ssl_handshake_timeout",                                                 \
	  "close connections whose TLS has not begun after so long")                                   \
	X(NETWORK, 'B', "protocol", CHOICE, SETTINGS_FIELD(protocol), "auto", 0, 0,                    \
	  "auto|ascii|binary", "",                                                                     \
	  "what clients may speak; auto: text, meta commands and the binary protocol, told apart by "  \
	  "a connection's first byte")                                                                 \
	X(NETWORK, 'c', "conn-limit", COUNT, SETTINGS_FIELD(connections_max), "1024", 1, 1000000,      \
	  "NUMBER", "maxconns", "connections at a time; more are told so and closed")                  \
	X(NETWORK, 'b', "listen-backlog", COUNT, SETTINGS_FIELD(backlog), "1024", 1, 65535, "NUMBER",  \
	  "tcp_backlog", "connections that may wait to be accepted")                                   \
	X(NETWORK, 'R', "max-reqs-per-event", COUNT, SETTINGS_FIELD(turn_commands), "20", 1, 1000000,  \
	  "NUMBER", "reqs_per_event",                                                                  \
	  "commands of one connection that are carried out before others get their turn; 8 keys of "   \
	  "one get count as one")                                                                      \
	X(NETWORK, 0, "idle-timeout", SECONDS, SETTINGS_FIELD(idle_timeout_s), "0", 0, 31536000,       \
	  "SECONDS", "idle_timeout",                                                                   \
	  "close connections that have been idle for so long, 90 or 5m; 0: never")                     \
	X(NETWORK, 0, "io", CHOICE, SETTINGS_FIELD(io), "auto", 0, 0, "auto|uring|epoll", "io",        \
	  "how sockets are served; auto: io_uring where the kernel allows it")                         \
	X(CLEANUP, 0, "defrag", CHOICE, SETTINGS_FIELD(background), "on", 0, 0, "off|on", "defrag",    \
	  "defragment in the background when it gains something")                                      \
	X(CLEANUP, 0, "defrag-duty", PER_CENT, SETTINGS_FIELD(defrag_duty_ppm), "3", 1000, 1000000,    \
	  "PERCENT", "defrag_duty_ppm",                                                                \
	  "share of a worker's time that it may take while the worker serves, 0.1 to 100")             \
	X(CLEANUP, 0, "defrag-step", BYTES, SETTINGS_FIELD(defrag_step_bytes), "4k", 1024, 1u << 20,   \
	  "BYTES", "defrag_step_bytes",                                                                \
	  "bytes that are moved in one step, during which requests wait")                              \
	X(PROCESS, 't', "threads", COUNT, SETTINGS_FIELD(threads), "", 1, SNUG_WORKERS_MAX, "NUMBER",  \
	  "num_threads",                                                                               \
	  "workers, each a thread with a share of the keys; default: as many as processors, at most "  \
	  "4")                                                                                         \
	X(PROCESS, 0, "accept-threads", COUNT, SETTINGS_FIELD(accept_threads), "", 1,                  \
	  SNUG_WORKERS_MAX, "NUMBER", "accept_threads",                                                \
	  "how many of the workers take connections; each reads all keys, so more than there are "     \
	  "processors only wake each other; at most -t; default: as many as processors")               \
	X(PROCESS, 'd', "daemon", FLAG, SETTINGS_FIELD(daemonize), "", 0, 1, "no|yes", "daemonize",    \
	  "run in the background; returns when connections are taken. Paths must be absolute")         \
	X(PROCESS, 'u', "user", TEXT, SETTINGS_FIELD(user), "", 0, 0, "NAME", "user",                  \
	  "who to become when started by root; default: nobody")                                       \
	X(PROCESS, 'P', "pidfile", TEXT, SETTINGS_FIELD(pid_file), "", 0, 0, "PATH", "pid_file",       \
	  "keep the process number in this file, locked while snugd runs")                             \
	X(PROCESS, 'r', "enable-coredumps", FLAG, SETTINGS_FIELD(core_dumps), "", 0, 1, "no|yes",      \
	  "core_dumps", "let a crash leave a core file as large as the system allows")                 \
	X(PROCESS, 0, "hash-secret", TEXT, SETTINGS_FIELD(hash_secret), "", 0, 0, "HEX", "",           \
	  "the secret that keys are hashed with, 32 hexadecimal digits, to repeat a run: who knows "   \
	  "it can choose keys "                                                                        \
	  "that slow look-ups down; default: random")                                                  \
	X(PROCESS, 0, "config", CONFIG, SETTINGS_NO_FIELD, "", 0, 0, "FILE", "",                       \
	  "read options from a file, one a line: long name = value, on or off for a switch, # begins " \
	  "a comment; the "                                                                            \
	  "command line wins")                                                                         \
	X(PROCESS, 0, "check-config", CHECK, SETTINGS_NO_FIELD, "", 0, 0, "", "",                      \
	  "read the options and the config file, print what would be run with, as a config file, or "  \
	  "what is wrong, and "                                                                        \
	  "end")                                                                                       \
	X(PROCESS, 'o', "extended", EXTENDED, SETTINGS_NO_FIELD, "", 0, 0, "NAME=N,..", "",            \
	  "memcached's list of extended options: idle_timeout=N, and what is named below")             \
	X(LOG, 'v', "verbose", RISE, SETTINGS_FIELD(verbosity), "0", 0, 3, "", "verbosity",            \
	  "-v: say what is done, such as a defragmentation and what it gained; -vv: in detail")        \
	X(LOG, 0, "log-format", CHOICE, SETTINGS_FIELD(log_json), "plain", 0, 0, "plain|json",         \
	  "log_format", "lines on standard error for people, or a JSON object each")                   \
	X(LOG, 'D', "prefix-delimiter", TEXT, SETTINGS_FIELD(prefix_delimiter), "", 0, 0, "CHARACTER", \
	  "",                                                                                          \
	  "what ends a key's prefix, and count operations by prefix from the start; default: :, and "  \
	  "once stats detail on asks for it")                                                          \
	X(LOG, 'h', "help", HELP, SETTINGS_NO_FIELD, "", 0, 0, "", "", "print this")                   \
	X(LOG, 0, "man", MANUAL, SETTINGS_NO_FIELD, "", 0, 0, "", "",                                  \
	  "print the manual page, for man -l")                                                         \
	X(LOG, 'V', "version", VERSION, SETTINGS_NO_FIELD, "", 0, 0, "", "", "print the version")

/* memcached's options that ask for what is so here anyway. X(letter, "name", only, "why it has no
 * effect"); only: the values that are taken, with | between them, or one of these: */
#define SETTINGS_NO_VALUE NULL
#define SETTINGS_ANY_VALUE ""
#define SETTINGS_MAYBE_VALUE "?"
#define SETTINGS_NEEDLESS(X)                                                     \
	X('U', "udp-port", "0", "there is no UDP")                                   \
	X('C', "disable-cas", SETTINGS_NO_VALUE,                                     \
	  "a CAS number takes memory only once somebody has asked for it")           \
	X('f', "slab-growth-factor", SETTINGS_ANY_VALUE,                             \
	  "there are no slab classes to choose: objects are moved together instead") \
	X('n', "slab-min-size", SETTINGS_ANY_VALUE,                                  \
	  "there are no slab classes to choose: objects are moved together instead")

/* The same, as names in the list of -o. X("names", only, "why"): names with | between them, of
 * which one may end in * for all that begin so. */
#define SETTINGS_NEEDLESS_EXTENDED(X)                                                            \
	X("modern|no_modern", SETTINGS_NO_VALUE, "what it turns on is how snugd works")              \
	X("maxconns_fast", SETTINGS_MAYBE_VALUE, "snugd closes what is too many at once")            \
	X("hashpower", SETTINGS_ANY_VALUE, "the index grows and shrinks with the items")             \
	X("no_hashexpand", SETTINGS_MAYBE_VALUE,                                                     \
	  "the index grows and shrinks with the items, a group at a time")                           \
	X("hash_algorithm", SETTINGS_ANY_VALUE, "keys are hashed by XXH3")                           \
	X("slab_reassign|no_slab_reassign", SETTINGS_MAYBE_VALUE,                                    \
	  "memory goes to whatever size needs it")                                                   \
	X("slab_automove|no_slab_automove|slab_automove_*", SETTINGS_MAYBE_VALUE,                    \
	  "memory goes to whatever size needs it")                                                   \
	X("slab_chunk_max", SETTINGS_ANY_VALUE, "a large value is stored in pieces of any size")     \
	X("no_chunked_items", SETTINGS_MAYBE_VALUE, "a large value is stored in pieces of any size") \
	X("lru_crawler|no_lru_crawler|lru_crawler_*", SETTINGS_MAYBE_VALUE,                          \
	  "items that have expired are removed by themselves")                                       \
	X("lru_maintainer|no_lru_maintainer|hot_*|warm_*|temporary_ttl", SETTINGS_MAYBE_VALUE,       \
	  "eviction keeps no lists that need it")                                                    \
	X("tail_repair_time", SETTINGS_ANY_VALUE, "eviction keeps no lists that need it")            \
	X("read_buf_mem_limit|resp_obj_mem_limit", SETTINGS_ANY_VALUE,                               \
	  "--connection-memory bounds what connections hold")                                        \
	X("watcher_logbuf_size|worker_logbuf_size", SETTINGS_ANY_VALUE, "a watcher holds 64 KiB")    \
	X("track_sizes", SETTINGS_MAYBE_VALUE, "stats sizes counts when it is asked")                \
	X("inline_ascii_resp|no_inline_ascii_resp", SETTINGS_MAYBE_VALUE,                            \
	  "answers are made when they are asked for")                                                \
	X("no_drop_privileges", SETTINGS_MAYBE_VALUE, "snugd installs no filter of system calls")

/* memcached's options that snugd refuses. X(letter, "name", "why") */
#define SETTINGS_REFUSED(X)                                         \
	X('S', "enable-sasl", "SASL's PLAIN is there with --auth-file") \
	X('N', "napi-ids", "connections are spread by the kernel over the workers")

/* The same, as names in the list of -o. X("names", "why") */
#define SETTINGS_REFUSED_EXTENDED(X)                                                           \
	X("ext_*", "items are kept in memory alone")                                               \
	X("proxy_*", "there is no proxy; put memcached's or nutcracker in front")                  \
	X("slab_sizes", "there are no slab classes to choose: objects are moved together instead") \
	X("no_maxconns_fast", "a connection above -c is told so and closed, it does not wait")     \
	X("drop_privileges",                                                                       \
	  "snugd installs no filter of system calls; the packaged unit for systemd has one")       \
	X("sock_cookie_id", "sockets get no cookie")

/* What `stats settings` says besides: true of every snugd. X("name", "value") */
#define SETTINGS_CONSTANTS(X) \
	X("udpport", "0")         \
	X("cas_enabled", "yes")   \
	X("slab_reassign", "yes") \
	X("hash_algorithm", "xxh3")

struct settings_option {
	enum settings_group group;
	char letter; /* 0: none */
	const char *name;
	enum settings_kind kind;
	size_t offset; /* of the field, in struct settings */
	size_t bytes;  /* of the field */
	const char *preset;
	uint64_t minimum;
	uint64_t maximum;
	const char *argument;
	const char *statistic; /* "": not among the settings */
	const char *help;
};

#define SETTINGS_COUNT_ROW(...) +1
enum { SETTINGS_OPTION_COUNT = SETTINGS_TABLE(SETTINGS_COUNT_ROW) };

extern const struct settings_option settings_options[SETTINGS_OPTION_COUNT];

/* Where an option was given last. */
struct settings_place {
	const char *file; /* NULL: on the command line, or nowhere; lives as long as the arguments */
	unsigned line;    /* from 1; 0: several lines of the file, each with entries of a list */
};

/* What reads options, one source after the other. */
struct settings_reader {
	struct settings *settings;
	struct text *text; /* notes; when something is refused, why */
	bool given[SETTINGS_OPTION_COUNT];
	struct settings_place place[SETTINGS_OPTION_COUNT];
	bool only_checks; /* --check-config */
	/* By the source that is being read: its first entry of a list replaces what an earlier source
	 * said. */
	bool listed[SETTINGS_OPTION_COUNT];
	enum settings_wish wish; /* REFUSE as soon as something is; TELL once the text is help */
};

/* The defaults. */
void settings_begin(struct settings_reader *reader, struct settings *out, struct text *text);
/* Once all is read: what follows from it, and whether it fits together. False: refused. */
bool settings_settle(struct settings_reader *reader);

/* A sentence instead of the notes, and REFUSE. Always false. */
bool settings_refuse(struct settings_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

const struct settings_option *settings_find_name(const char *name, size_t length);
const struct settings_option *settings_find_letter(char letter);
static inline bool settings_kept(const struct settings_option *option) {
	return option->kind < KIND_CONFIG;
}

/* `where` opens the sentence if the value is refused: "--threads", "snugd.conf:3: threads". False:
 * refused. */
bool settings_set(struct settings_reader *reader, const struct settings_option *option,
				  const char *where, const char *value);
/* The value as `stats settings` shows it. */
void settings_show(const struct settings *settings, const struct settings_option *option,
				   struct text *out);
/* The same as the config file says it, which takes it back: sizes and shares with their units; a
 * switch is on or off, where the statistics may say the opposite. */
void settings_show_as_given(const struct settings *settings, const struct settings_option *option,
							struct text *out);
/* A text or a list that says nothing. */
bool settings_is_empty(const struct settings *settings, const struct settings_option *option);

/* What memcached has and snugd has not: notes that it has no effect, or refuses. `value` may be
 * NULL. */
struct settings_stranger {
	char letter;
	const char *name;
	const char *only; /* as in SETTINGS_NEEDLESS */
	const char *why;
	bool refused;
};
enum {
	SETTINGS_STRANGER_COUNT =
		SETTINGS_NEEDLESS(SETTINGS_COUNT_ROW) SETTINGS_REFUSED(SETTINGS_COUNT_ROW)
};
/* Those with a letter and a long name. */
extern const struct settings_stranger settings_strangers[SETTINGS_STRANGER_COUNT];

/* Behind the name of an extended one in the help. */
static inline const char *settings_value_hint(const char *only) {
	return only == SETTINGS_NO_VALUE ? "" : *only == *SETTINGS_MAYBE_VALUE ? "[=N]" : "=N";
}
const struct settings_stranger *settings_find_stranger(char letter, const char *name,
													   size_t length);
const struct settings_stranger *settings_find_extended_stranger(const char *name, size_t length);
bool settings_meet_stranger(struct settings_reader *reader,
							const struct settings_stranger *stranger, const char *where,
							const char *value);

bool settings_read_config(struct settings_reader *reader, const char *path);

/* --check-config: every setting by its long name, as a config file, which gives the same settings.
 * `out` holds the notes; they become comments. */
void settings_describe(const struct settings *settings, struct text *out);
void settings_help(struct text *out);
void settings_manual(struct text *out);

#endif
