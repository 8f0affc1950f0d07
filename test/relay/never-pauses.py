"""A client that writes numbered lines of about 1 kB without a pause until its peer ends the connection.

Prints how many bytes the peer's kernel has acknowledged by then (0 over TLS), and why writing ended.
Arguments: HOST PORT [tls], or a path.
"""
import fcntl
import socket
import ssl
import struct
import sys
import termios

if len(sys.argv) > 2:
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
else:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
NAME = "never." + "pauses" * 170
plain = sock
if sys.argv[3:] == ["tls"]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = context.wrap_socket(plain)
sent = 0
number = 0
print("connected", flush=True)
try:
    while True:
        chunk = "".join(f"{NAME} {n} 1\n" for n in range(number, number + 50)).encode()
        number += 50
        while chunk:
            taken = sock.send(chunk)
            sent += taken
            chunk = chunk[taken:]
except OSError as error:
    unread = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    print(sent - unread if sock is plain else 0, error.__class__.__name__, flush=True)
