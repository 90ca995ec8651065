"""``python -m …`` in the place of the interpreter, through a `warm_python`: its socket is the first argument.

Runs under ``-I -S``, since starting is all that it is to spare.
"""

import array
import json
import os
import signal
import socket
import sys

with socket.socket(socket.AF_UNIX) as conn:
    conn.connect(sys.argv[1])
    here = os.getcwd()  # noqa: PTH109  # pathlib takes as long to import as all the rest
    request = json.dumps({"args": sys.argv[2:], "cwd": here, "env": dict(os.environ)}).encode()
    socket.send_fds(conn, [array.array("Q", [len(request)]).tobytes()], [0, 1, 2])
    conn.sendall(request)
    said = b""
    while part := conn.recv(100):
        said += part
status = int(said.split()[1])
if status < 0:  # as the process ended, so does this one
    if -status != signal.SIGKILL:  # nobody can handle that one, or say how
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
