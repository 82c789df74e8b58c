/* server/protocol/protocol.h: memcached's protocols as they are spoken here: text and meta
 * commands, and binary packets.
 * The door of this room.
 *
 *     bytes --command.h--> command --(a connection has it carried out)--> operation
 *     operation --answer.h--> bytes
 *
 *     command.h         a command, the parser's state, and the one call that parses
 *     command.c         lines, lists of keys, and which command a line is
 *     command_text.c    set, delete, incr, .. and those without a key: one table
 *     command_meta.c    mg ms md ma mn me: a key and flags
 *     command_peek.c    a key, guessed at before anything is parsed
 *     command_parts.h   what the files of the parser share
 *     command_binary.c  packets: one table
 *     command_login.c   which command says who a client is; what is told who may not do all
 *     binary.h          a packet's bytes and numbers
 *     base64.c          keys that come in base64
 *     answer.h          the head of an answer, and how long it can be
 *     answer.c          heads of text commands, and which kind a head is
 *     answer_meta.c     heads of meta commands
 *     answer_binary.c   heads, and whole packets, for binary clients
 *     answer_lines.c    what others have made as lines of text, for either kind of client
 *     answer_words.c    what came of an operation, in memcached's words
 *     answer_parts.h    what the files of answers share
 *
 * Everything here is pure. It reads the bytes that it is given and writes where it is told. It
 * keeps nothing, waits for nothing, and allocates nothing but a text that takes another's place. So
 * a fuzzer drives it without a server.
 *
 * What an operation does is not decided here: cache/operation/operation.h says it, and the owner of
 * the key carries it out. Who may have which command is said by errand/errand_door.c. */
#ifndef SNUG_SERVER_PROTOCOL_H
#define SNUG_SERVER_PROTOCOL_H

#include "server/protocol/answer.h"
#include "server/protocol/command.h"

/* What clients are told: the memcached that is spoken, for they decide by its numbers what they may
 * ask. Three numbers and nothing else: some cannot read more. Our own version stands in `stats` as
 * snug_version. */
#define PROTOCOL_VERSION_TEXT "1.6.45"

#endif
