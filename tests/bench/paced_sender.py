"""Data packets of a card at a steady rate, from a process of its own: python paced_sender.py '{"to": [ip, port], ...}'.

Prints JSON: packets sent, seconds it took, longest delay behind the schedule [s].
"""

import json
import socket
import struct
import sys
import time

BATCH = 16


def send(to: tuple[str, int], source: str, total: int, rate: float) -> dict[str, float]:
    """Send `total` bytes of stream in packets of 1456 bytes, `rate` packets a second, in batches of 16."""
    head, body = struct.Struct("<IIH"), bytes(range(256)) * 6
    packets = -(-total // 1456)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect(tuple(to))
        push, pack, clock = sock.send, head.pack, time.perf_counter
        begin = clock()
        lag = 0.0
        for first in range(0, packets, BATCH):
            ahead = begin + first / rate - clock()
            if ahead > 0:
                time.sleep(ahead)
            else:
                lag = max(lag, -ahead)
            for k in range(first, min(first + BATCH, packets)):
                offset = 1456 * k
                push(pack(k + 1, offset & 0xFFFFFFFF, offset >> 32) + body[: min(1456, total - offset)])
        return {"sent": packets, "seconds": clock() - begin, "lag": lag}


if __name__ == "__main__":
    print(json.dumps(send(**json.loads(sys.argv[1]))))
