"""Files that commands write: whole or not at all, never over an input.

    output_file_test.py PROGRAM SOURCE_FOLDER
"""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
SCENARIO = ('model { preset: "llama-3-8b" } cluster { preset: "dgx-h100" chips: 8 } '
            'workload { global_batch_sequences: %d sequence_length: 128 } '
            'plan { data: 2 pipeline: 4 micro_batch_sequences: 1 }')
SMALL, LARGE = SCENARIO % 16, SCENARIO % 1024
TIMEOUT_S = 120


class OutputFileTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.scenario = self.folder / "s.textproto"
        self.scenario.write_text(SMALL)

    def simulate(self, *options, **more):
        return subprocess.run([PROGRAM, "simulate", self.scenario, *options], capture_output=True,
                              timeout=TIMEOUT_S, cwd=self.folder, **more)

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())

    def test_an_output_that_is_an_input_is_refused(self):
        self.scenario.rename(self.folder / "s.json.textproto")
        self.scenario = self.folder / "s.json.textproto"
        (self.folder / "link.html").symlink_to(self.scenario)
        os.link(self.scenario, self.folder / "hard.html")
        for name in (self.scenario, "./s.json.textproto", "link.html", "hard.html"):
            done = self.simulate(f"--html={name}")
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"which is read as input", done.stderr)
            self.assertEqual(self.scenario.read_text(), SMALL)

    def test_two_outputs_of_one_name_are_refused(self):
        for name in ("t.json", "./t.json", f"{self.folder}/t.json"):
            done = self.simulate("--trace=t.json", f"--html={name}")
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertIn(b"the file of --trace", done.stderr)
            self.assertEqual(self.files(), ["s.textproto"])

    def test_a_file_is_replaced_whole_and_keeps_its_permissions(self):
        page = self.folder / "r.html"
        page.write_text("old")
        page.chmod(0o640)
        self.assertEqual(self.simulate("--html=r.html").returncode, 0)
        self.assertTrue(page.read_text().startswith("<!"))
        self.assertEqual(page.stat().st_mode & 0o777, 0o640)
        self.assertEqual(self.files(), ["r.html", "s.textproto"])

    def test_a_link_stays_a_link(self):
        (self.folder / "there").mkdir()
        (self.folder / "r.html").symlink_to("there/page.html")
        self.assertEqual(self.simulate("--html=r.html").returncode, 0)
        self.assertTrue((self.folder / "r.html").is_symlink())
        self.assertTrue((self.folder / "there/page.html").read_text().startswith("<!"))

    def test_a_full_disk_leaves_the_old_file(self):
        trace = self.folder / "t.json"
        trace.write_text("old")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        done = self.simulate("--trace=t.json", preexec_fn=limit)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--trace: t.json cannot be written", done.stderr)
        self.assertEqual(trace.read_text(), "old")
        self.assertEqual(self.files(), ["s.textproto", "t.json"])

    def test_standard_output_that_closes_early_costs_no_file(self):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run([PROGRAM, "simulate", self.scenario, "--html=s.html"],
                              stdout=writing, stderr=subprocess.PIPE, cwd=self.folder)
        os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn("s.html", self.files())
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, "simulate", self.scenario], stdout=full,
                                  stderr=subprocess.PIPE, cwd=self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"standard output: cannot be written", done.stderr)

    def test_devices_are_written_in_place(self):
        self.assertEqual(self.simulate("--html=/dev/null").returncode, 0)
        done = self.simulate("--html=/dev/full")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--html: /dev/full cannot be written", done.stderr)

    def test_signals_leave_the_old_file(self):
        self.scenario.write_text(LARGE)
        trace = self.folder / "t.json"
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            trace.write_text("old")
            with subprocess.Popen([PROGRAM, "simulate", self.scenario, "--trace=t.json"],
                                  stdout=subprocess.DEVNULL, cwd=self.folder) as process:
                deadline = time.monotonic() + TIMEOUT_S
                # The file under its other name appears when writing begins.
                while len(self.files()) < 3 and process.poll() is None:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.001)
                process.send_signal(stop)
                process.wait(TIMEOUT_S)
                if process.returncode == 0:
                    continue  # it was quicker
                self.assertEqual(process.returncode, -stop)
                self.assertEqual(trace.read_text(), "old")
                self.assertEqual(self.files(), ["s.textproto", "t.json"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
