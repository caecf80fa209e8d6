"""A search as a job array on a real Slurm: one controller and one node of our own on this machine.

    slurm_test.py PROGRAM SOURCE_FOLDER

Skipped where slurmctld, slurmd or munged are not installed, or may not run as this user.
"""

import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
SEARCH = ["search", "llama3-70b-h100-512", "--set", "model.preset=llama-3-8b", "--set",
          "cluster.chips=16", "--set", "workload.global_batch_sequences=32", "--vary",
          "plan.tensor=2,4", "--fix", "plan.context=1", "--fix", "plan.recompute=full", "--fix",
          "plan.schedule=1f1b", "--fix", "plan.async_tensor=false", "--fix",
          "plan.micro_batch_sequences=1", "--top=3"]
# slurm.conf(5) of 22.05: no cgroups, no accounting, one node of two processors.
CONF = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    needed = ["slurmctld", "slurmd", "sbatch", "scontrol", "munged", "mungekey"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    absent = [name for name in needed if shutil.which(name, path=path) is None]
    if absent:
        return "not installed: " + ", ".join(absent)
    return "" if os.geteuid() == 0 else "Slurm's daemons run jobs as root only"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@unittest.skipIf(missing(), missing())
class SlurmTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="meshstep-slurm-")
        self.processes = []
        os.environ["PATH"] += os.pathsep + "/usr/sbin"
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            os.mkdir(f"{self.folder}/{name}")
        conf = f"{self.folder}/slurm.conf"
        pathlib.Path(conf).write_text(CONF.format(
            host=host, folder=self.folder, controller=free_port(), daemon=free_port()))
        os.environ["SLURM_CONF"] = conf
        key = f"{self.folder}/munge.key"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True)
        self.start("munged", "--foreground", "--force", f"--key-file={key}",
                   f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munged.pid",
                   f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munge.seed")
        self.wait_for(lambda: os.path.exists(f"{self.folder}/munge.socket"), 10)
        self.start("slurmctld", "-D", "-c")
        self.start("slurmd", "-D", "-N", host)
        self.wait_for(lambda: "idle" in self.output("sinfo", "--noheader"), 60)

    def tearDown(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *command):
        log = open(f"{self.folder}/{command[0]}.out", "w", encoding="utf-8")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        log.close()

    def output(self, *command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def wait_for(self, ready, seconds):
        end = time.time() + seconds
        while not ready():
            if time.time() > end:
                logs = "\n".join(path.read_text(errors="replace")[-2000:]
                                 for path in pathlib.Path(self.folder).glob("*.out"))
                self.fail(f"Slurm is not ready: {logs}")
            time.sleep(0.2)

    def good(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    # Elements of the array, one of which is put back into the queue while it runs, say together
    # what one process says.
    def test_array(self):
        whole = self.good(*SEARCH, "--format=json")
        script = self.good(*SEARCH, "--emit=slurm", "--shards=3", f"--out={self.folder}/plans")
        script = script.replace("meshstep search", f"{shlex.quote(PROGRAM)} search")
        path = pathlib.Path(self.folder) / "job.sh"
        path.write_text(script)
        done = subprocess.run(["sbatch", "--parsable", "--requeue", f"--chdir={self.folder}",
                               str(path)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        job = done.stdout.strip()
        self.wait_for(lambda: "RUNNING" in self.output("squeue", "--noheader", "--format=%T")
                      or not self.output("squeue", "--noheader"), 60)
        self.output("scontrol", "requeue", f"{job}_0")
        # It would wait for two minutes.
        self.output("scontrol", "update", f"JobId={job}_0", "StartTime=now")
        # squeue also prints nothing while slurmctld does not answer: what counts is that all are done.
        self.wait_for(lambda: self.output(PROGRAM, "merge", f"{self.folder}/plans"), 300)
        self.assertEqual(self.good("merge", f"{self.folder}/plans", "--format=json"), whole)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
