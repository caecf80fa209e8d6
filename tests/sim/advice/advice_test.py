"""check, sensitivity and import hf as a script uses them."""

import json
import os
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]

FITS = "llama3-70b-v5p-1024"
GPU = os.path.join(SOURCE, "tests/data/llama3-70b-h100-512.textproto")


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, **options)


def check_check():
    fits = run("check", FITS, "--format=json")
    assert fits.returncode == 0, fits.stderr
    report = json.loads(fits.stdout)
    assert report["spare_bytes"] > 0 and not report["changes"]
    memory = report["memory"]
    assert report["spare_bytes"] == memory["capacity_bytes"] - memory["peak_bytes"]
    # All activations kept, and those between blocks whole on every chip.
    arguments = [FITS, "--set", "plan.tensor=8", "--set", "plan.fsdp=128",
                 "--set", "plan.recompute=none", "--set", "plan.sequence_parallel=false"]
    full = run("check", *arguments, "--format=json")
    assert full.returncode == 3, full
    report = json.loads(full.stdout)
    assert report["spare_bytes"] < 0 and report["changes"]
    fit = [c for c in report["changes"] if c["fits"]]
    assert fit and [c["fits"] for c in report["changes"]] == sorted(
        (c["fits"] for c in report["changes"]), reverse=True)
    assert any(c["set"] == ["plan.recompute=full"] for c in fit)
    # Each change says what simulating it says.
    for change in fit[:2]:
        sets = [x for s in change["set"] for x in ("--set", s)]
        again = json.loads(run("simulate", *arguments, *sets, "--format=json").stdout)
        assert again["step_time_s"] == change["step_time_s"], change
        assert again["memory"]["peak_bytes"] == change["peak_bytes"]
    text = run("check", *arguments)
    assert text.returncode == 3 and "does not fit" in text.stdout
    assert run("check", FITS, "--set", "plan.tensor=7").returncode == 2


MOE = """
name: "experts"
model { preset: "mixtral-8x22b" }
cluster { preset: "dgx-h100" chips: 128 }
workload { mode: TRAIN global_batch_sequences: 256 sequence_length: 4096 }
plan { data: 32 pipeline: 4 expert: 8 micro_batch_sequences: 1 zero_stage: 1 schedule: "zb-v" }
"""
DECODE = """
name: "decode"
model { preset: "llama-3-70b" }
cluster { preset: "tpu-v5e" slice: "4x8" }
workload { mode: DECODE global_batch_sequences: 64 sequence_length: 8192 }
plan { tensor: 32 }
"""


def check_kinds_of_plans():
    with tempfile.TemporaryDirectory() as folder:
        scenario = os.path.join(folder, "scenario.textproto")

        def report(command, text, *arguments):
            with open(scenario, "w") as f:
                f.write(text)
            result = run(command, scenario, "--format=json", *arguments)
            assert result.returncode in (0, 3), result.stderr
            return json.loads(result.stdout)

        # No one change fits: two together do, and simulating both says so.
        changes = report("check", MOE)["changes"]
        fit = [c for c in changes if c["fits"]]
        assert fit and all(len({s.split("=")[0] for s in c["set"]}) == len(c["set"]) for c in fit)
        sets = [x for s in fit[0]["set"] for x in ("--set", s)]
        again = report("simulate", MOE, *sets)
        assert again["memory"]["peak_bytes"] == fit[0]["peak_bytes"] and again["memory"]["fits"]
        tried = {s for c in report("sensitivity", MOE)["plan"] for s in c["set"]}
        assert {"plan.schedule=1f1b", "plan.expert=4", "plan.recompute_layers=3"} <= tried, tried
        # A step that only reads has no gradients to shrink; its cache can be narrower.
        plan = report("check", DECODE)["changes"]
        tried = {s.split("=")[0] for c in plan for s in c["set"]}
        assert "plan.precision.kv_cache" in tried
        assert not {t for t in tried if "recompute" in t or "optimizer" in t or "offload" in t}
        # What changes nothing is not listed.
        assert all(c["step_time_difference_s"] or c["peak_difference_bytes"] for c in plan)


def check_other_recomputation():
    """Another policy leaves out what is refused beside it."""
    def policies(*sets):
        sets = [x for s in sets for x in ("--set", s)]
        report = json.loads(run("sensitivity", FITS, *sets, "--format=json").stdout)
        edits = [c["set"] for c in report["plan"]]
        return sorted(e for edit in edits for e in edit if e.startswith("plan.recompute="))

    every = ["full", "matmuls", "none", "selective"]
    assert policies("plan.recompute=modules", "plan.recompute_modules=mlp") == [
        "plan.recompute=" + p for p in every]
    assert "plan.recompute=none" in policies("plan.recompute=full", "plan.recompute_keep=qkv")


def check_host_rate():
    """The host's time is a rate where a plan says who launches, and only there."""
    def hosts(*sets):
        sets = [x for s in ("plan.framework=", *sets) for x in ("--set", s)]
        report = json.loads(run("sensitivity", GPU, *sets, "--format=json").stdout)
        return [r for r in report["hardware"] if r["rate"] == "host dispatch"]

    assert not hosts()
    for slow in ("plan.kernels.host_dispatch_ns=999999", "plan.kernels.launches=pytorch"):
        rate, = hosts("plan.kernels.launches=megatron-core", slow)
        assert rate["better_step_time_s"] <= rate["worse_step_time_s"], rate
    # With a millisecond for each operation the host sets the pace.
    rate, = hosts("plan.kernels.launches=megatron-core", "plan.kernels.host_dispatch_ns=999999")
    assert 0.4 < rate["saved_fraction"] < 0.5 + 1e-9, rate


def check_sensitivity():
    result = run("sensitivity", FITS, "--fidelity=ideal", "--format=json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    rates = {r["rate"]: r for r in report["hardware"]}
    base = report["step_time_s"]
    for rate in rates.values():
        assert rate["better_step_time_s"] <= base * (1 + 1e-9), rate
        assert rate["worse_step_time_s"] >= base * (1 - 1e-9), rate
    # One torus has no NICs, nothing is on the host, and ideal kernels have no launch cost.
    assert "NIC bandwidth" not in rates and "host link" not in rates
    assert rates["kernel launch"]["worse_step_time_s"] == base
    assert rates["matrix rate"]["saved_fraction"] > 0
    spread = [r["worse_step_time_s"] - r["better_step_time_s"] for r in report["hardware"]]
    assert spread == sorted(spread, reverse=True)


def check_no_rate_slows_for_nothing():
    """A better rate that slows the step is told with its reason, or not told."""
    for scenario in (GPU, "llama3-70b-h100-512"):
        report = json.loads(run("sensitivity", scenario, "--format=json").stdout)
        for rate in report["hardware"]:
            better = rate.get("better_step_time_s")
            assert better is None or better <= report["step_time_s"] or "share" in rate["why"], rate


def check_stage_imbalance():
    """What stages cost by not being equal: without it, a step takes the same however layers lie."""
    def equal(layout, stage):
        report = json.loads(run(
            "simulate", GPU, "--set", "model.preset=llama-3-8b", "--set", "cluster.chips=8",
            "--set", "plan.data=1", "--set", "plan.fsdp=1", "--set", "plan.tensor=1",
            "--set", "plan.sequence_parallel=false", "--set", "plan.pipeline=8",
            "--set", "plan.micro_batch_sequences=1", "--set", "plan.layout=" + layout,
            "--set", "workload.global_batch_sequences=32", "--format=json").stdout)
        cause, = [c for c in report["why"] if c["cause"] == "stage_imbalance"]
        assert "stage %d " % stage in cause["text"], cause
        return report["step_time_s"] - cause["seconds"], cause["seconds"]

    uneven, dear = equal("Et*2|(t*2|)*3t*12|(t*4|)*2t*4L", 4)
    even, cheap = equal("Et*4|(t*4|)*6t*4L", 7)  # the head alone
    assert abs(uneven / even - 1) < 0.01 and dear > 3 * cheap, (uneven, even, dear, cheap)


def check_import():
    config = os.path.join(SOURCE, "tests/data/hf/llama-3-8b.json")
    text = run("import", "hf", config)
    assert text.returncode == 0 and "layers: 32" in text.stdout
    assert run("import", "hf", config).stdout == text.stdout
    report = json.loads(run("import", "hf", config, "--format=json").stdout)
    assert report["model"]["hidden"] == 4096
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(config, os.path.join(folder, "config.json"))
        scenario = os.path.join(folder, "scenario.textproto")
        rest = """cluster { preset: "dgx-h100" chips: 8 }
            workload { global_batch_sequences: 8 sequence_length: 2048 }
            plan { fsdp: 8 recompute: "full" }"""
        steps = []
        for model in ('model { hf_config: "config.json" }', 'model { preset: "llama-3-8b" }'):
            with open(scenario, "w") as f:
                f.write(model + rest)
            result = run("simulate", scenario, "--format=json", cwd="/")
            assert result.returncode == 0, result.stderr
            steps.append(json.loads(result.stdout)["step_time_s"])
        assert steps[0] == steps[1], steps
        with open(scenario, "w") as f:
            f.write('model { hf_config: "nothing.json" }' + rest)
        missing = run("simulate", scenario)
        assert missing.returncode == 2 and "hf_config" in missing.stderr, missing.stderr
        bad = os.path.join(folder, "bad.json")
        for content in ("", "[", "{}", "[" * 100000, '{"model_type":"llama","hidden_size":"x"}'):
            with open(bad, "w") as f:
                f.write(content)
            result = run("import", "hf", bad)
            assert result.returncode == 2 and bad in result.stderr, (content[:50], result)


check_check()
check_kinds_of_plans()
check_other_recomputation()
check_host_rate()
check_sensitivity()
check_no_rate_slows_for_nothing()
check_stage_imbalance()
check_import()
