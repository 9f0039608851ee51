"""Parse IP addresses as proxies write them, and group those of one network."""

from ipaddress import IPv6Address, ip_address, ip_network


def parse(text: str) -> str | None:
    """Return the address without port, brackets and zone; None if the text holds none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d.
    return str((isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed)


def network(address: str) -> str:
    """Return what limits count as one caller: the /64 of an IPv6 address, else what was given."""
    plain = parse(address)
    if plain is None or ":" not in plain:
        return plain or address
    return str(ip_network(f"{plain}/64", strict=False))
