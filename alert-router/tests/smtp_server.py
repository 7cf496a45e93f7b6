"""A real SMTP server for tests: aiosmtpd with STARTTLS and AUTH required; writes each mail to a file.

Called with the folder that holds cert.pem, key.pem and takes mail.eml.
"""

import asyncio
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

FOLDER = pathlib.Path(sys.argv[1])


class Handler:
    async def handle_DATA(self, server, session, envelope):
        (FOLDER / "mail.eml").write_bytes(envelope.original_content)
        return "250 taken"


def authenticator(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"hunter2")
    return AuthResult(success=good, handled=False)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")

    def factory():
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticator,
        )

    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    await server.serve_forever()


asyncio.run(main())
