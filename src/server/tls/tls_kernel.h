/* server/tls/tls_kernel.h: records that the kernel encrypts (kTLS; Linux, Documentation/networking/
 * tls.rst), so that a large value is sent from where it lies. Of TLS 1.3 with AES-GCM, and what is sent
 * alone: what comes is OpenSSL's as ever.
 *
 *     handshake    OpenSSL tells the secret of what the server sends, and of each record that it makes
 *     later, once  all that OpenSSL has made has gone: key, nonce and the next record's number, which
 *                  follow from these, become the socket's (tls_kernel_begin)
 *     from then    bytes go into the socket as without TLS; OpenSSL must write nothing more
 *
 * Laws    - The secret is wiped when it has been used, and with the session.
 *         - A session that has taken new keys for what it sends, because its client asked, is never
 *           the kernel's; one that is the kernel's ends when its client asks for that.
 *         - A record's number is never used twice: OpenSSL has none left to send when the kernel
 *           begins, and the kernel's are never OpenSSL's again. */
#ifndef SNUG_SERVER_TLS_KERNEL_H
#define SNUG_SERVER_TLS_KERNEL_H

#include "server/tls/tls_library.h"
#include "server/tls/tls_session.h"

/* Whether this kernel can. May load its module where the process has the right to. Any thread. */
bool tls_kernel_is_there(void);

/* Sessions of this context learn their secret. Before the first of them. */
void tls_kernel_follow(const struct tls_library *library, SSL_CTX *context);

/* What is sent on the session's socket is encrypted by the kernel from now on. All that the session has
 * written must have gone. False: it is not, and never will be for this session: another version or
 * cipher, or short records, or the kernel refused. */
bool tls_kernel_begin(struct tls_session *session, int fd);

/* The client has asked for new keys, and has not got them: OpenSSL would write them before its next
 * record. */
bool tls_kernel_owes_keys(const struct tls_session *session);

/* Whether the socket has room. Where it has none, the kernel may hold back a record that it has taken,
 * until there is some; a close drops that. True as well where nothing can be sent any more. */
bool tls_kernel_has_room(int fd);

/* tls_session_say_end, once the kernel encrypts. Nothing may be under way. */
void tls_kernel_say_end(int fd);

#endif
