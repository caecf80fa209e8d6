"""Writes a scenario from Python, runs meshstep and reads its report.

Needs python3-protobuf, protoc and an installed (or built) meshstep:

    protoc -I PREFIX/share/meshstep/proto --python_out=generated meshstep/v1/*.proto
    PYTHONPATH=generated python3 plan_and_read.py [path of meshstep]
"""

import subprocess
import sys

from meshstep.v1 import report_pb2, scenario_pb2


def scenario(tensor, fsdp):
    s = scenario_pb2.Scenario(name="llama-3-8b, tensor %d, fsdp %d" % (tensor, fsdp))
    s.model.preset = "llama-3-8b"
    s.cluster.preset = "dgx-h100"
    s.cluster.chips = tensor * fsdp
    s.workload.mode = scenario_pb2.Workload.TRAIN
    s.workload.global_batch_sequences = 128
    s.workload.sequence_length = 8192
    s.plan.tensor = tensor
    s.plan.fsdp = fsdp
    s.plan.sequence_parallel = tensor > 1
    s.plan.micro_batch_sequences = 1
    s.plan.recompute = "full"
    return s


def simulate(program, s):
    result = subprocess.run(
        [program, "simulate", "-", "--input-format=binary", "--format=binary"],
        input=s.SerializeToString(), capture_output=True, check=True)
    return report_pb2.SimulateReport.FromString(result.stdout)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "meshstep"
    for tensor in (1, 2, 4, 8):
        report = simulate(program, scenario(tensor, 64 // tensor))
        print("%-32s %7.2f s  %5.1f %% MFU  %5.1f GiB%s" % (
            report.scenario, report.step_time_s, 100 * report.mfu,
            report.memory.peak_bytes / 2**30, "" if report.memory.fits else "  does not fit"))


main()
