"""A name server: every name is 127.0.0.2 (RFC 1035). Ten thousand lines of /etc/hosts would cost the programs more than their work.

    names.py ADDRESS
"""
import socket
import sys

ANSWER = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04" + socket.inet_aton("127.0.0.2")


def answer(query):
    end = query.index(0, 12) + 5
    wants_address = query[end - 4:end - 2] == b"\x00\x01"
    counts = b"\x00\x01" + (b"\x00\x01" if wants_address else b"\x00\x00") + b"\x00\x00\x00\x00"
    return query[:2] + b"\x81\x80" + counts + query[12:end] + (ANSWER if wants_address else b"")


def main(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(512)
            server.sendto(answer(query), client)


main(sys.argv[1])
