"""Installs meshstep into a folder of its own and builds and runs examples/cpp with it."""

import os
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        prefix, build = os.path.join(folder, "prefix"), os.path.join(folder, "build")
        run("cmake", "--install", os.path.dirname(PROGRAM), "--prefix", prefix)
        assert os.path.exists(os.path.join(prefix, "share/meshstep/meshstep.fds"))
        run("cmake", "-S", os.path.join(SOURCE, "examples/cpp"), "-B", build,
            "-DCMAKE_PREFIX_PATH=" + prefix)
        run("cmake", "--build", build)
        out = run(os.path.join(build, "plan_and_read"))
        lines = out.splitlines()
        assert len(lines) == 4 and all("MFU" in line for line in lines), out
        print(out)


main()
