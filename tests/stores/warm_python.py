"""A Python that has imported an Azure ML SDK already: each program gets a fork of it, instead of seconds of imports.

What runs is the unchanged program on the unchanged SDK, in a process of its own with the caller's files, folder and
environment; it ends when its caller does. The first lines run here, `_SERVER` in the SDK's Python, `_CLIENT` wherever
Labelwright starts "the workspace's Python".
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

IMPORTS = {
    "v1": (
        "azureml.core",
        "azureml.core.authentication",
        "azureml._common.exceptions",
        "azureml.data.dataset_factory",
        "msrest.exceptions",
    ),
    "v2": ("azure.ai.ml", "azure.ai.ml.entities", "azure.ai.ml.exceptions", "azure.core.exceptions"),
}

_SERVER = """
import importlib, json, os, runpy, select, signal, socket, sys

for name in {imports!r}:
    importlib.import_module(name)

def receive(connection):
    received, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not received.endswith(b"\\n"):
        received += connection.recv(1 << 16)
    return json.loads(received), files

def run(call, files):
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["folder"])
    sys.argv = call["arguments"]
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    code = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)

def serve(connection):
    call, files = receive(connection)
    child = os.fork()
    if child == 0:
        connection.close()
        run(call, files)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:  # the caller was killed
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if ended in ready:
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
print("ready", flush=True)
waiting = [listener, sys.stdin]
while True:
    ready, _, _ = select.select(waiting, [], [])
    if sys.stdin in ready:  # whoever started this one has ended
        break
    connection, _ = listener.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        serve(connection)
        os._exit(0)
    connection.close()
"""

_CLIENT = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    call = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
    socket.send_fds(connection, [b" "], [0, 1, 2])
    connection.sendall(json.dumps(call).encode() + b"\\n")
    sys.exit(int(connection.recv(16) or b"1"))
"""


@cache
def warm_python(engine: str, python: str) -> str:
    """An executable that runs a program file as `python` would, once for this process and what it starts."""
    folder = Path(tempfile.mkdtemp(prefix="lw-sdk-"))
    server = subprocess.Popen(
        [python, "-c", _SERVER.format(imports=IMPORTS[engine]), str(folder / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin
    assert server.stdout
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.wait, 10)
    atexit.register(server.stdin.close)
    if server.stdout.readline() != b"ready\n":
        raise RuntimeError(f"{python} does not import the Azure ML SDK {engine}")
    client = folder / "python"
    client.write_text(_CLIENT.format(python=sys.executable, address=str(folder / "socket")))
    client.chmod(0o755)
    return str(client)
