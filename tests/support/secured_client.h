/* secured_client.h: TLS without sockets: a certificate for the server, and a client's side. What is random is reckoned from a seed, so a run is the
 * same each time.
 *
 *     secured_client_say -> [plain] -> OpenSSL -> [records]        secured_client_hear -> OpenSSL -> [heard]
 *                                         '------------- secured_client_pump --------------'
 *
 * It is OpenSSL itself, linked, the same that snugd loads. */
#ifndef SNUG_TEST_SECURED_CLIENT_H
#define SNUG_TEST_SECURED_CLIENT_H

#include "server/settings/settings.h"
#include "server/tls/tls.h"
#include "support/byte_queue.h"

/* The server's: a file with a key and a certificate, made at the first call, which is to come before any other of OpenSSL. It goes with
 * the process. NULL: there is no TLS in this build. */
const char *secured_certificate(void);
/* What is random from then on. */
void secured_seed(uint64_t seed);
/* With that certificate, and what is set at the first call; for the whole process. Chance begins anew with each. */
struct tls *secured_server(const struct settings *settings);

struct secured_client;

/* With TLS 1.2, or 1.3. */
struct secured_client *secured_client_create(bool is_old);
void secured_client_destroy(struct secured_client *client);
/* Goes once the handshake is over. */
void secured_client_say(struct secured_client *client, const char *bytes, size_t length);
/* Says that nothing more comes. False: the handshake is not over, and nobody would hear it. */
bool secured_client_say_end(struct secured_client *client);
/* Records of the server. */
void secured_client_hear(struct secured_client *client, const char *bytes, size_t length);
/* Makes of all that came, and is to be said, what is heard, and what goes to the server. */
void secured_client_pump(struct secured_client *client);
bool secured_client_is_open(const struct secured_client *client);
/* What goes to the server, all that was heard, and what is still to be said; the caller takes from the first two. */
struct byte_queue *secured_client_records(struct secured_client *client);
struct byte_queue *secured_client_heard(struct secured_client *client);
size_t secured_client_unsaid(const struct secured_client *client);

#endif
