"""Installs into a new prefix and uses what lies there: the program, the data, the library."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM, ROOT = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
BUILD = PROGRAM.parent


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command} gave {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = pathlib.Path(cls.folder.name) / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_all_data_files_are_installed(self):
        for folder in ("topologies/chips", "topologies/clusters", "strategies/models",
                       "strategies/frameworks", "examples"):
            ours = sorted(p.name for p in (ROOT / folder).glob("*.textproto"))
            installed = self.prefix / "share/meshstep" / folder
            self.assertGreater(len(ours), 0)
            self.assertEqual(ours, sorted(p.name for p in installed.glob("*") if p.is_file()), folder)

    def test_schema_is_installed(self):
        share = self.prefix / "share/meshstep"
        ours = sorted(p.name for p in (ROOT / "proto/meshstep/v1").glob("*.proto"))
        self.assertEqual(ours, sorted(p.name for p in (share / "proto/meshstep/v1").glob("*")))
        self.assertGreater((share / "meshstep.fds").stat().st_size, 1000)

    def test_headers_are_under_one_folder(self):
        self.assertEqual(["meshstep"], [p.name for p in (self.prefix / "include").iterdir()])
        self.assertFalse((self.prefix / "include/meshstep/sim/cli").exists())

    def test_installed_program_reads_installed_data(self):
        chips = self.prefix / "share/meshstep/topologies/chips"
        mine = chips / "my-own-chip.textproto"
        mine.write_text((chips / "h100-sxm.textproto").read_text())
        try:
            self.assertIn("my-own-chip", run(self.prefix / "bin/meshstep", "list", "chips"))
        finally:
            mine.unlink()

    def test_installed_program_simulates(self):
        example = self.prefix / "share/meshstep/examples/llama3-70b-v5p-1024.textproto"
        installed = run(self.prefix / "bin/meshstep", "simulate", example, "--format=json")
        self.assertEqual(run(PROGRAM, "simulate", example, "--format=json"), installed)

    def test_other_project_uses_the_library(self):
        build = pathlib.Path(self.folder.name) / "build"
        run("cmake", "-S", ROOT / "tests/install", "-B", build, "-G", "Ninja",
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_INSTALL_PREFIX={self.prefix}")
        run("cmake", "--build", build)
        run("cmake", "--install", build)
        # One second: the bytes of one link-second at the link's rate.
        expected = f"{self.prefix / 'share/meshstep'}\nh100-sxm\n1 s\n"
        self.assertEqual(expected, run(self.prefix / "bin/uses_meshstep"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
