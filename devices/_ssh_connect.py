"""Connects to a board as ssh(1) would."""

from __future__ import annotations

import asyncssh

from ._ssh_address import Address, parse_address
from ._ssh_errors import Doorkeeper, connect_error

CONNECT_S = 10.0
KEEPALIVE_S, KEEPALIVE_MISSED = 5, 3
"""A board that is silent for a quarter of a minute is lost."""


async def connect(
    address: Address, through: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection:
    """Connects by ~/.ssh/config, known_hosts, the agent and the user's keys. Asks for nothing.

    Args:
        through: a connection to the host before, where there is a jump.

    Raises:
        UnreachableError: with the cure.
    """
    door: Doorkeeper | None = None

    def knock() -> Doorkeeper:
        nonlocal door
        door = Doorkeeper(known_hosts)
        return door

    try:
        options = await _options(address)
        # "UserKnownHostsFile none" would make asyncssh accept any key; with b"" it looks at the usual file.
        known_hosts = b"" if options.known_hosts is None else options.known_hosts
        if through is None and isinstance(options.tunnel, str):
            # asyncssh would jump by itself, and accept any key of the hosts on the way in that case.
            for hop in options.tunnel.split(","):
                through = await connect(parse_address(f"ssh://{hop}"), through)
        connection = await asyncssh.connect(
            address.host,
            *((address.port,) if address.port else ()),
            options=options,
            known_hosts=known_hosts,
            tunnel=through,
            client_factory=knock,
        )
        connection.set_tunnel(through)
        return connection
    except (OSError, asyncssh.Error, asyncssh.KeyImportError, TimeoutError, ValueError) as error:
        raise connect_error(error, address, door) from error


async def _options(address: Address) -> asyncssh.SSHClientConnectionOptions:
    """What the user's configuration says of a host, and what the address says, which wins."""
    made: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
        config=(),  # the usual files
        **({"username": address.user} if address.user else {}),
        host=address.host,
        **({"port": address.port} if address.port else {}),
        password=None,
        preferred_auth="publickey",
        connect_timeout=CONNECT_S,
        login_timeout=CONNECT_S,
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=KEEPALIVE_MISSED,
    )
    return made
