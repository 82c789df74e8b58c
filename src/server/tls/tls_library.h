/* server/tls/tls_library.h: OpenSSL 3, loaded when TLS is asked for and not before: with its
 * tables it brings some 5 MiB along, which a server without TLS shall not pay. Its headers are what
 * snugd was built with; its functions are called through this table.
 *
 * MEMORY. OpenSSL takes what it needs by functions of ours, which count: so what a call has taken
 * for a connection is known to the byte, and is charged to it. Counters are each thread's own. */
#ifndef SNUG_SERVER_TLS_LIBRARY_H
#define SNUG_SERVER_TLS_LIBRARY_H

#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define TLS_LIBRARY_BASE(X)     \
	X(CRYPTO_set_mem_functions) \
	X(OPENSSL_init_ssl)         \
	X(BIO_get_new_index)        \
	X(BIO_meth_new)             \
	X(BIO_meth_free)            \
	X(BIO_meth_set_read)        \
	X(BIO_meth_set_write)       \
	X(BIO_meth_set_ctrl)        \
	X(BIO_new)                  \
	X(BIO_set_data)             \
	X(BIO_get_data)             \
	X(BIO_set_init)             \
	X(BIO_set_flags)            \
	X(BIO_clear_flags)          \
	X(ERR_clear_error)          \
	X(ERR_peek_error)           \
	X(ERR_peek_last_error)      \
	X(ERR_reason_error_string)

#define TLS_LIBRARY_CONTEXTS(X)           \
	X(SSL_CTX_new)                        \
	X(SSL_CTX_free)                       \
	X(SSL_CTX_ctrl)                       \
	X(SSL_CTX_set_options)                \
	X(SSL_CTX_set_verify)                 \
	X(SSL_CTX_use_certificate_chain_file) \
	X(SSL_CTX_use_certificate_file)       \
	X(SSL_CTX_use_PrivateKey_file)        \
	X(SSL_CTX_check_private_key)          \
	X(SSL_CTX_load_verify_locations)      \
	X(SSL_CTX_set_client_CA_list)         \
	X(SSL_load_client_CA_file)            \
	X(SSL_CTX_set_cipher_list)            \
	X(SSL_CTX_set_ciphersuites)           \
	X(SSL_set_session_id_context)         \
	X(SSL_CTX_set_num_tickets)            \
	X(SSL_CTX_set_default_passwd_cb)      \
	X(SSL_CTX_get0_certificate)           \
	X(TLS_server_method)

#define TLS_LIBRARY_SESSIONS(X)  \
	X(SSL_new)                   \
	X(SSL_free)                  \
	X(SSL_set_bio)               \
	X(SSL_set_accept_state)      \
	X(SSL_set_verify)            \
	X(SSL_do_handshake)          \
	X(SSL_read)                  \
	X(SSL_write)                 \
	X(SSL_shutdown)              \
	X(SSL_get_error)             \
	X(SSL_get_verify_result)     \
	X(SSL_get0_peer_certificate) \
	X(SSL_session_reused)        \
	X(SSL_get_key_update_type)

#define TLS_LIBRARY_CERTIFICATES(X)  \
	X(X509_get_subject_name)         \
	X(X509_NAME_get_index_by_NID)    \
	X(X509_NAME_get_entry)           \
	X(X509_NAME_ENTRY_get_data)      \
	X(ASN1_STRING_type)              \
	X(ASN1_STRING_length)            \
	X(ASN1_STRING_get0_data)         \
	X(X509_verify_cert_error_string) \
	X(X509_get0_notAfter)            \
	X(ASN1_TIME_diff)

#define TLS_LIBRARY_KEYS(X)                \
	X(SSL_CTX_set_keylog_callback)         \
	X(SSL_CTX_set_msg_callback)            \
	X(SSL_get_rbio)                        \
	X(SSL_get_session)                     \
	X(SSL_SESSION_get_max_fragment_length) \
	X(SSL_get_current_cipher)              \
	X(SSL_CIPHER_get_protocol_id)          \
	X(EVP_KDF_fetch)                       \
	X(EVP_KDF_free)                        \
	X(EVP_KDF_CTX_new)                     \
	X(EVP_KDF_CTX_free)                    \
	X(EVP_KDF_derive)

#define TLS_LIBRARY_FUNCTIONS(X) \
	TLS_LIBRARY_BASE(X)          \
	TLS_LIBRARY_CONTEXTS(X)      \
	TLS_LIBRARY_SESSIONS(X)      \
	TLS_LIBRARY_CERTIFICATES(X)  \
	TLS_LIBRARY_KEYS(X)

struct tls_library {
#define TLS_LIBRARY_FIELD(name) __typeof__(name) *name;
	TLS_LIBRARY_FUNCTIONS(TLS_LIBRARY_FIELD)
#undef TLS_LIBRARY_FIELD
};

/* It stays until the process ends. NULL: it is not installed, lacks a function, or was used before
 * by somebody else, so that its memory cannot be counted. The main thread, before there are
 * others. */
const struct tls_library *tls_library_load(void);

/* What this thread has taken by OpenSSL and not given back, in bytes, what malloc adds counted. Below
 * 0 where it has given back what others took. */
int64_t tls_library_taken_bytes(void);

#endif
