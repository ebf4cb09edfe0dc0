"""An answer over HTTP that is a stream: its body is chunked, and ends properly only by intention.

Standard library only: it runs inside role pods.
"""

import contextlib
import socket
from http.server import BaseHTTPRequestHandler


def send_chunk(client: socket.socket, data: bytes) -> None:
    """Send one chunk of a chunked body in three calls: to join them would copy every byte."""
    client.sendall(b"%x\r\n" % len(data), socket.MSG_MORE)
    client.sendall(data, socket.MSG_MORE)
    client.sendall(b"\r\n")


def refuse(request: BaseHTTPRequestHandler, code: int, why: str) -> None:
    """Answer with an error and a sentence."""
    body = f"{why}\n".encode()
    with contextlib.suppress(OSError):
        request.send_response(code)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
