"""IP addresses as proxies write them, and which of them are one customer's."""

from ipaddress import IPv6Address, ip_address, ip_network


def parse(text: str) -> str | None:
    """The address alone, without port, brackets and zone; None if there is none in the text."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # IPv4 addresses as a socket for both kinds names them
    return str((isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed)


def network(address: str) -> str:
    """What is counted as one: the /64 of an IPv6 address, else what was given."""
    plain = parse(address)
    if plain is None or ":" not in plain:
        return plain or address
    return str(ip_network(f"{plain}/64", strict=False))
