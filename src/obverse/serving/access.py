"""Who may talk to a server: addresses, host names, origins and the token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from obverse.errors import RecipeError

from .refusals import Refusal

LEAST_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Access:
    """Rules for the head of a request."""

    token: str | None = None
    """Secret that requests carry as `Authorization: Bearer TOKEN`; None for no such secret."""

    hosts: frozenset[str] = frozenset()
    """Names of this server besides `localhost` and addresses."""

    @classmethod
    def for_address(cls, host: str, *, token: str | None, is_insecure: bool, hosts: frozenset[str]) -> Access:
        """The rules for a server at an address. RecipeError when others could reach it without a token."""
        if token is not None and (len(token) < LEAST_TOKEN_LENGTH or not token.isascii() or not token.isprintable()):
            raise RecipeError(f"the token must have at least {LEAST_TOKEN_LENGTH} ASCII characters, "
                              "such as those of `openssl rand -hex 32`")  # fmt: skip
        if token is None and not is_insecure and not _is_loopback(host):
            raise RecipeError(f"others can reach {host}: give a token (--token-file FILE, or OBVERSE_TOKEN), "
                              "or --insecure when something in front of the server checks who asks")  # fmt: skip
        return cls(token, frozenset(name.lower() for name in hosts))

    def require_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Refusal, foreign-host or foreign-origin, for a page of another site that uses a visitor's browser.

        A name that an attacker makes point to this machine is no address, and not one of ours.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name != "localhost" and name not in self.hosts and not _is_address(name.strip("[]")):
            raise Refusal("foreign-host", "this server does not answer to that host name; "
                          "whoever runs it can add it with --allow-host")  # fmt: skip
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower().partition("://")[2] != host:
            raise Refusal("foreign-origin", "pages of other sites may not use this server")

    def require_token(self, headers: Mapping[bytes, bytes]) -> None:
        """Refusal, no-token, for a request without the token. The time of the comparison tells nothing of it."""
        if self.token is None:
            return
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + self.token.encode("ascii")):
            raise Refusal("no-token", "send the server's token as `Authorization: Bearer TOKEN`")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
