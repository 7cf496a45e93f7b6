"""A real SMTP server for tests: aiosmtpd with STARTTLS and AUTH required; writes each mail to a file.

Called with the folder that holds cert.pem and key.pem and takes mail.eml, and with the one way of AUTH that is offered.
"""

import asyncio
import base64
import hmac
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

FOLDER = pathlib.Path(sys.argv[1])
MECHANISM = sys.argv[2]
CHALLENGE = b"<1896.697170952@mail.example>"


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        head = "for: " + ", ".join(envelope.rcpt_tos) + "\n"
        (FOLDER / "mail.eml").write_bytes(head.encode() + envelope.original_content)
        return "250 taken"


class Server(SMTP):
    """With the third way, which aiosmtpd has not."""

    async def auth_CRAM__MD5(self, server, args):
        said = await self.challenge_auth(CHALLENGE)
        digest = hmac.new(b"hunter2", CHALLENGE, "md5").hexdigest()
        return AuthResult(success=said == b"user " + digest.encode(), handled=False)


def authenticator(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"hunter2")
    return AuthResult(success=good, handled=False)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")

    def factory():
        return Server(
            Handler(),
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            auth_exclude_mechanism={"PLAIN", "LOGIN", "CRAM-MD5"} - {MECHANISM},
            authenticator=authenticator,
        )

    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    await server.serve_forever()


asyncio.run(main())
