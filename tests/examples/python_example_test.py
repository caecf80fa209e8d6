"""Runs examples/python with classes generated from the .proto files, and compares with --format=json."""

import glob
import os
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]


def main():
    protos = [os.path.relpath(p, os.path.join(SOURCE, "proto"))
              for p in sorted(glob.glob(os.path.join(SOURCE, "proto/meshstep/v1/*.proto")))]
    with tempfile.TemporaryDirectory() as generated:
        subprocess.run(["protoc", "-I", os.path.join(SOURCE, "proto"),
                        "--python_out=" + generated] + protos, check=True)
        # Debian's python3-protobuf is for Debian's Python.
        result = subprocess.run(
            ["/usr/bin/python3", os.path.join(SOURCE, "examples/python/plan_and_read.py"), PROGRAM],
            env=dict(os.environ, PYTHONPATH=generated), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 4 and all("MFU" in line and "GiB" in line for line in lines), lines
    print(result.stdout)


main()
