"""Decodes traces with a reader of its own and checks what every viewer relies on."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

try:
    import google.protobuf  # noqa: F401
except ImportError:  # Debian's python3-protobuf is for Debian's Python only
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]

SCENARIO = """
name: "trace"
model { preset: "%(model)s" }
cluster { preset: "dgx-h100" chips: %(chips)d }
workload { mode: TRAIN global_batch_sequences: %(batch)d sequence_length: 4096 }
plan {
  data: %(data)d tensor: 8 pipeline: 4 sequence_parallel: true
  micro_batch_sequences: 1 recompute: "selective"
}
"""
MOE = """
name: "experts"
model { preset: "mixtral-8x7b" }
cluster { preset: "dgx-h100" chips: 64 }
workload { mode: TRAIN global_batch_sequences: 32 sequence_length: 4096 }
plan {
  data: 4 tensor: 4 pipeline: 4 expert: 4 sequence_parallel: true
  micro_batch_sequences: 1 schedule: "%s"
}
"""
SMALL = dict(model="llama-3-8b", chips=64, batch=8, data=2)
LARGE = dict(model="llama-3-70b", chips=512, batch=512, data=16)


def run(arguments, **options):
    return subprocess.run([PROGRAM] + arguments, capture_output=True, text=True, **options)


def simulate(folder, values, *arguments):
    scenario = os.path.join(folder, "scenario.textproto")
    with open(scenario, "w") as f:
        f.write(SCENARIO % values if isinstance(values, dict) else values)
    result = run(["simulate", scenario, "--format=json", *arguments])
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def decoder(folder):
    subprocess.run(
        ["protoc", "-I", os.path.join(SOURCE, "proto"), "--python_out", folder,
         "meshstep/perfetto/trace.proto"], check=True)
    sys.path.insert(0, folder)
    from meshstep.perfetto import trace_pb2
    return trace_pb2


class Perfetto:
    """Tracks with their slices as (begin, end, name, category, arguments), and counters."""

    def __init__(self, trace):
        self.processes, self.tracks, self.slices, self.counters = {}, {}, {}, {}
        self.flows = {}
        strings = {"event_names": {}, "event_categories": {}, "debug_annotation_names": {},
                   "debug_annotation_string_values": {}}
        open_slices = {}
        last = {}
        assert trace.packet[0].sequence_flags & 1
        for packet in trace.packet:
            assert packet.trusted_packet_sequence_id != 0
            for table, known in strings.items():
                for entry in getattr(packet.interned_data, table):
                    assert entry.iid not in known
                    known[entry.iid] = entry.str.decode()
            if packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                assert track.uuid not in self.tracks and track.uuid not in self.processes
                if track.HasField("process"):
                    self.processes[track.uuid] = track.process
                else:
                    assert track.parent_uuid in self.processes
                    self.tracks[track.uuid] = track
                    self.slices[track.uuid], self.counters[track.uuid] = [], []
                continue
            event, uuid = packet.track_event, packet.track_event.track_uuid
            assert packet.timestamp >= last.get(uuid, 0), "time goes backwards on a track"
            last[uuid] = packet.timestamp
            if event.type == 1:
                assert packet.sequence_flags & 2
                assert uuid not in open_slices, "slices of a stream never nest"
                arguments = {}
                for a in event.debug_annotations:
                    name = strings["debug_annotation_names"][a.name_iid]
                    arguments[name] = (
                        a.int_value if a.HasField("int_value") else
                        a.double_value if a.HasField("double_value") else
                        strings["debug_annotation_string_values"][a.string_value_iid])
                open_slices[uuid] = (packet.timestamp, strings["event_names"][event.name_iid],
                                     strings["event_categories"][event.category_iids[0]], arguments)
                for flow in event.flow_ids:
                    self.flows.setdefault(flow, []).append((uuid, "on"))
                for flow in event.terminating_flow_ids:
                    self.flows.setdefault(flow, []).append((uuid, "end"))
            elif event.type == 2:
                begin, name, category, arguments = open_slices.pop(uuid)
                self.slices[uuid].append((begin, packet.timestamp, name, category, arguments))
            else:
                assert event.type == 4
                value = (event.counter_value if event.HasField("counter_value")
                         else event.double_counter_value)
                self.counters[uuid].append((packet.timestamp, value))
        assert not open_slices, "slices that never end"

    def find(self, process, name):
        for uuid, track in self.tracks.items():
            label = track.thread.thread_name if track.HasField("thread") else track.name
            if self.processes[track.parent_uuid].process_name == process and label == name:
                return uuid
        raise AssertionError((process, name))


def check_perfetto(folder, pb, values):
    path = os.path.join(folder, "step.pftrace")
    report = simulate(folder, values, "--trace=" + path)
    with open(path, "rb") as f:
        trace = Perfetto(pb.Trace.FromString(f.read()))
    makespan_ns = report["step_time_s"] * 1e9
    stages = [p.process_name for p in trace.processes.values() if p.process_name != "network"]
    assert len(stages) == 4 and all("16 alike" in s for s in stages), stages
    tasks = {s[4]["duration_ps"] for t in trace.slices.values() for s in t}
    assert tasks
    # Lengths in whole nanoseconds are the exact ones, rounded.
    for slices in trace.slices.values():
        for begin, end, _, _, arguments in slices:
            assert abs((end - begin) - arguments["duration_ps"] / 1000) < 1
            assert 0 <= begin <= end <= makespan_ns + 1
    for name, (stage, process) in zip(stages, enumerate(stages)):
        compute = trace.slices[trace.find(process, "compute")]
        busy = sum(s[4]["duration_ps"] for s in compute) * 1e-12
        expected = report["stages"][stage]["busy_s"]
        assert abs(busy - expected) <= 1e-9 * expected, (stage, busy, expected)
        memory = trace.counters[trace.find(process, "memory: in use")]
        peak = report["stages"][stage]["memory"]["peak_bytes"]
        assert max(v for _, v in memory) == peak, (stage, peak)
        buckets = [trace.counters[uuid] for uuid, track in trace.tracks.items()
                   if trace.processes[track.parent_uuid].process_name == process
                   and track.name.startswith("memory: ") and track.name != "memory: in use"]
        assert len(buckets) >= 5
        assert all(points[0][0] == 0 for points in buckets)
        end = lambda points: points[-1][1]
        assert sum(end(b) for b in buckets) == end(memory)
    # FLOPs of all slices times the devices they stand for are the hardware FLOPs.
    flops = 16 * sum(s[4].get("flops", 0) for t in trace.slices.values() for s in t)
    hardware = report["flops"]["hardware"]
    assert abs(flops - hardware) <= 1e-9 * hardware, (flops, hardware)
    # Every send has exactly one receiver, in another process.
    assert trace.flows
    for flow, ends in trace.flows.items():
        assert [kind for _, kind in ends] == ["on", "end"], (flow, ends)
        processes = {trace.tracks[uuid].parent_uuid for uuid, _ in ends}
        assert len(processes) == 2
    links = [trace.counters[u] for u, t in trace.tracks.items() if t.name.startswith("link ")]
    assert links and all(0 <= v <= 100 for link in links for _, v in link)
    assert all(link[-1][1] == 0 for link in links), "a link is busy after the step"
    return trace


def check_halves(folder, pb, schedule, first):
    """A split backward: on every stage, of every layer and micro-batch, first the half of the
    input, then that of the weights, which makes gradients of weights only."""
    trace = check_perfetto(folder, pb, MOE % schedule)
    inputs, weights = {}, {}
    for uuid, slices in trace.slices.items():
        if trace.tracks[uuid].thread.thread_name != "compute":
            continue
        for begin, end, name, category, arguments in slices:
            key = (uuid, arguments.get("layer"), arguments.get("micro_batch"))
            if category == "weight-gradients":
                assert name.endswith(" dw") or name == "embedding backward", name
                weights.setdefault(key, []).append(begin)
            elif category == "backward":
                inputs.setdefault(key, []).append(end)
    layers = {layer for _, layer, _ in weights if isinstance(layer, int)}
    assert layers == set(range(first, 32)), layers
    for key, begins in weights.items():
        # The embedding has no input that needs a gradient.
        assert key[1] == "embedding" or max(inputs[key]) <= min(begins), key


def check_chrome(folder, perfetto):
    path = os.path.join(folder, "step.json")
    simulate(folder, SMALL, "--trace=" + path)
    with open(path) as f:
        events = json.load(f)["traceEvents"]
    assert {e["ph"] for e in events} <= set("MXCsft")
    slices = {}
    for e in events:
        if e["ph"] == "X":
            slices.setdefault((e["pid"], e["tid"]), []).append(e)
    for track in slices.values():
        for a, b in zip(track, track[1:]):
            assert a["ts"] + a["dur"] <= b["ts"] + 1e-6
    assert sum(map(len, slices.values())) == sum(map(len, perfetto.slices.values()))
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert set(slices) <= threads
    sends = sorted(e["id"] for e in events if e["ph"] == "s")
    assert sends == sorted(e["id"] for e in events if e["ph"] == "f")


def check_size_and_time(folder):
    path = os.path.join(folder, "large.pftrace")
    begin = time.time()
    simulate(folder, LARGE)
    without = time.time() - begin
    begin = time.time()
    simulate(folder, LARGE, "--trace=" + path)
    seconds = time.time() - begin - without
    size = os.path.getsize(path)
    print("trace of Llama 3 70B, TP 8 x PP 4: %.1f MB in %.2f s" % (size / 1e6, seconds))
    assert size < 100e6
    # The bar is 2 s on an idle machine; tests may share theirs.
    assert seconds < 10


def check_window(folder, pb, whole):
    """A part of a step: the same slices as the whole has there, and counters of that time."""
    path = os.path.join(folder, "part.pftrace")
    step_s = simulate(folder, SMALL)["step_time_s"]
    begin, end = 0.30 * step_s, 0.60 * step_s

    def part(*arguments):
        simulate(folder, SMALL, "--trace=" + path, *arguments)
        with open(path, "rb") as f:
            return Perfetto(pb.Trace.FromString(f.read()))

    def slices(trace, keep):
        names = {uuid: (trace.processes[t.parent_uuid].process_name, t.thread.thread_name)
                 for uuid, t in trace.tracks.items() if t.HasField("thread")}
        return {names[uuid]: kept for uuid, all_of in trace.slices.items() if uuid in names
                and (kept := [s for s in all_of if keep(names[uuid][0], s)])}

    trace = part("--trace-stages=0,2..3", "--trace-layers=16..17",
                 "--trace-time=%.9fs..%.6fms" % (begin, end * 1e3))
    expected = slices(whole, lambda process, s: "stage 1," not in process
                      and s[4].get("layer") in (16, 17)
                      and s[0] < end * 1e9 and s[1] > begin * 1e9)
    got = slices(trace, lambda process, s: True)
    assert got == expected and sum(map(len, got.values())) > 10, (got, expected)
    stages = [p.process_name[:7] for p in trace.processes.values() if p.process_name != "network"]
    assert stages == ["stage 0", "stage 2", "stage 3"], stages
    points = [p for c in trace.counters.values() for p in c]
    assert points and all(begin * 1e9 - 1 <= at < end * 1e9 for at, _ in points)
    # At its begin a counter has the value that it has then in the whole.
    at = lambda t: [v for when, v in t.counters[t.find(stages_of(t)[0], "memory: in use")]
                    if when <= begin * 1e9 + 1][-1]
    stages_of = lambda t: [p.process_name for p in t.processes.values()]
    assert at(trace) == at(whole)
    # What crosses to a stage that is left out points nowhere; the rest still has two ends.
    trace = part("--trace-stages=0..1")
    assert trace.flows and all([kind for _, kind in ends] == ["on", "end"]
                               for ends in trace.flows.values())
    for argument, message in (("--trace-stages=4", "no such stage, expected 0 to 3"),
                              ("--trace-stages=3..1", "is 3..1, expected"),
                              ("--trace-layers=x", "is x, expected"),
                              ("--trace-layers=32", "no such layer, expected 0 to 31"),
                              ("--trace-time=1s", "an earlier and a later time"),
                              ("--trace-time=900s..901s", "begins after the step")):
        result = run(["simulate", os.path.join(folder, "scenario.textproto"), "--trace=" + path,
                      argument])
        assert result.returncode == 2 and message in result.stderr, (argument, result.stderr)
        assert len(result.stderr.splitlines()) == 1, result.stderr
    result = run(["simulate", os.path.join(folder, "scenario.textproto"), "--trace-stages=0"])
    assert result.returncode == 2 and "--trace" in result.stderr


def check_slowed(trace):
    """Kernels beside collectives that hold compute units say how long they take alone."""
    slowed = [s[4] for t in trace.slices.values() for s in t if "alone_ps" in s[4]]
    assert slowed and all(a["alone_ps"] < a["duration_ps"] for a in slowed)
    assert {a["slowed_by"] for a in slowed} == {"collectives that hold compute units"}


def check_announced(folder):
    """More than 100 MB are announced before they are written, about as large as they come; what is
    written is renamed before anything is printed."""
    path = os.path.join(folder, "announced.json")
    scenario = os.path.join(folder, "large.textproto")
    with open(scenario, "w") as f:
        f.write(SCENARIO % dict(LARGE, batch=2048))
    result = run(["simulate", scenario, "--trace=" + path])
    assert result.returncode == 0, result.stderr
    said = re.search(r"--trace: writes about ([0-9.]+) MB; --trace-stages", result.stderr)
    assert said, result.stderr
    size = os.path.getsize(path) / 1e6
    assert 2 / 3 < float(said.group(1)) / size < 3 / 2, (said.group(0), size)
    os.remove(path)
    result = run(["simulate", scenario, "--trace=" + path, "--trace-stages=0"])
    assert result.returncode == 0 and not result.stderr, result.stderr
    # A reader that is gone at once still leaves the file.
    closed = os.path.join(folder, "closed.json")
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run([PROGRAM, "simulate", scenario, "--trace=" + closed,
                             "--trace-layers=1"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert result.returncode == 0 and not result.stderr, result
    with open(closed) as f:
        assert json.load(f)["traceEvents"]


def check_bad_paths(folder):
    scenario = os.path.join(folder, "scenario.textproto")
    with open(scenario, "w") as f:
        f.write(SCENARIO % SMALL)
    for path in ("/nowhere/x.json", "/dev/full.txt", folder + "/x.trace"):
        result = run(["simulate", scenario, "--trace=" + path])
        assert result.returncode == 2, (path, result)
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    full = os.path.join(folder, "full.json")
    os.symlink("/dev/full", full)
    result = run(["simulate", scenario, "--format=json", "--trace=" + full])
    assert result.returncode == 2 and json.loads(result.stdout)["step_time_s"] > 0
    assert "No space left" in result.stderr and len(result.stderr.splitlines()) == 1
    pipe = os.path.join(folder, "pipe.json")
    os.mkfifo(pipe)
    writer = subprocess.Popen([PROGRAM, "simulate", scenario, "--format=json", "--trace=" + pipe],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with open(pipe, "rb") as f:
        f.read(10)
    out, err = writer.communicate()
    assert writer.returncode == 2 and json.loads(out) and "Broken pipe" in err, err
    result = run(["simulate", scenario, scenario, "--trace=" + folder + "/x.json"])
    assert result.returncode == 2 and "one scenario" in result.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        pb = decoder(folder)
        trace = check_perfetto(folder, pb, SMALL)
        check_halves(folder, pb, "zb-v", first=0)
        # No stage waits for the first one: its backward is whole.
        check_halves(folder, pb, "zb-h1", first=8)
        check_chrome(folder, trace)
        check_slowed(trace)
        check_window(folder, pb, trace)
        check_announced(folder)
        check_size_and_time(folder)
        check_bad_paths(folder)


main()
