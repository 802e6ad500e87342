"""The AWS CLI, loaded once: each call is a fork of it, so that a script of a hundred calls takes seconds.

A request is numbers and texts, each ended by NUL: folder, file for the output, file for the errors, number of
variables, variables, number of arguments, arguments. The answer is the exit code.
"""

import functools
import os
import select
import signal
import socket
import sys

import awscli.clidriver
import botocore.loaders

def remembered(method):
    """The method with one memory for all loaders: what it reads are the CLI's own files."""
    known = {}

    @functools.wraps(method)
    def recall(self, *args, **kwargs):
        key = (args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = method(self, *args, **kwargs)
        return known[key]

    return recall


loader = botocore.loaders.Loader
for name in ("list_available_services", "load_service_model", "load_data", "load_data_with_path", "determine_latest_version"):
    setattr(loader, name, remembered(getattr(loader, name)))

driver = awscli.clidriver.create_clidriver()
for service in ("sts", "iam", "kms", "s3", "events", "codepipeline"):
    driver.session.create_client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)


def answer(connection):
    stream = connection.makefile("rb")

    def text():
        taken = bytearray()
        while (byte := stream.read(1)) != b"\0":
            if not byte:
                os._exit(1)
            taken += byte
        return taken.decode()

    folder, out, err = text(), text(), text()
    variables = [text() for _ in range(int(text()))]
    arguments = [text() for _ in range(int(text()))]
    os.chdir(folder)
    os.environ.update(variable.split("=", 1) for variable in variables)
    for path, stream_number in ((os.devnull, 0), (out, 1), (err, 2)):
        flags = os.O_RDONLY if stream_number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags, 0o600), stream_number)
    try:
        code = awscli.clidriver.create_clidriver().main(arguments)
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{code}\n".encode())


# Whoever started this holds the other end of its input.
while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
    connection, _ = listener.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            answer(connection)
        finally:
            os._exit(0)
    connection.close()
