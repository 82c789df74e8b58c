/* server/errand/errand_parts.h: the errands of this room, for those that choose among them. */
#ifndef SNUG_SERVER_ERRAND_PARTS_H
#define SNUG_SERVER_ERRAND_PARTS_H

#include "server/errand/errand.h"
#include "server/visit/visit.h"

/* Of what `snug` asks for: those that go to the coordinator (errand_cleanup.c), and those that
 * visit the workers (errand_memory.c). */
struct errand *errand_cleanup(struct server *server, const struct line *words, bool *known,
							  struct text *out);
struct errand *errand_memory(struct server *server, const struct line *words, bool *known,
							 struct text *out);
/* errand_clients.c */
struct errand *errand_clients(struct server *server, const struct line *words, struct text *out);
/* errand_slow.c */
struct errand *errand_slow(struct server *server, struct text *out);
/* errand_door.c: it tells what lies in the cache, by its keys. */
bool errand_is_dump(const struct command *command);

struct errand *errand_login(struct server_worker *asker, int fd, const struct command *command,
							struct text *out);
struct errand *errand_memlimit(struct server *server, uint64_t mebibytes, struct text *out);

#endif
