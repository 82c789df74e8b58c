"""A server under test that speaks TLS, to clients who do: connect() gives a socket whose handshake is over."""

from certificates import Authority, client_context
from server_process import Server


class SecuredServer(Server):
    def __init__(self, path, args=(), authority=None, **what):
        self.authority = authority or Authority()
        self.owns_authority = authority is None
        self.certificate, self.key = self.authority.certificate("server")
        self.context = client_context(self.authority)
        super().__init__(path, ["-Z", "-o", f"ssl_chain_cert={self.certificate},ssl_key={self.key}", *args], **what)

    def __exit__(self, *what):
        super().__exit__(*what)
        if self.owns_authority:
            self.authority.__exit__(*what)

    def connect_plainly(self, **what):
        return super().connect(**what)

    def connect(self, context=None, session=None, **what):
        plain = super().connect(**what)
        try:
            return (context or self.context).wrap_socket(plain, session=session)
        except BaseException:
            plain.close()
            raise
