"""Tells public IP addresses from private and special ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC: tuple[_Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's own services for a virtual machine: DNS, health, extensions and their secrets
        "192.0.0.0/24",  # of protocols (RFC 6890); 192.0.0.192 gives out Oracle Cloud's metadata
        "169.254.0.0/16",  # link-local: metadata of AWS, Azure, Google Cloud and others
        "100.64.0.0/10",  # between providers; 100.100.100.200 gives out Alibaba Cloud's metadata
        "192.88.99.0/24",  # relays of 6to4
        "fd00:ec2::/32",  # AWS's metadata by IPv6
        "fd20:ce::/32",  # Google Cloud's metadata by IPv6
        "64:ff9b:1::/48",  # NAT64 of one network: where it leads is that network's business
        "fec0::/10",  # site-local
        "2001::/23",  # of protocols, Teredo among them
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_WITH_IPV4_AT_THE_END = (
    ipaddress.IPv6Network("::ffff:0:0/96"),  # mapped
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # translated (SIIT)
    _NAT64,
    ipaddress.IPv6Network("::/96"),  # compatible
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""The third quarter of addresses that hold an IPv4 address in the last one."""


def is_public(address: str) -> bool:
    """Whether the address (IPv4 or IPv6, with or without zone) is a public internet address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in network for network in _NOT_PUBLIC if network.version == ip.version):
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if not all(is_public(str(inner)) for inner in _inner(ip)):
            return False
        if ip.ipv4_mapped or ip in _NAT64:
            return True
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


def _inner(ip: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that are embedded in an IPv6 address."""
    number = int(ip)
    if any(ip in network for network in _WITH_IPV4_AT_THE_END) or number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo
