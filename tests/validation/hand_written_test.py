"""What a user gets is what is validated: scenarios written by hand, with a preset of the model
where there is one, what the source of a row states and `plan.framework`, take as long as the row,
to the picosecond.

    hand_written_test.py PROGRAM SOURCE_FOLDER
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]
TABLE = os.path.join(SOURCE, 'examples/validation/training_runs.csv')

# Row -> the scenario of someone who has read the README and the source.
SCENARIOS = {
    'bridge-25.11-llama3-8b-pretrain-gb300-8g-fp8cs-tp1pp1cp1vp1ep1fs0-mb2-gbs128': '''
      model { preset: "llama-3-8b" }
      cluster { preset: "gb300-nvl72" chips: 8 }
      workload { global_batch_sequences: 128 sequence_length: 8192 }
      plan { framework: "megatron-bridge@25.11" micro_batch_sequences: 2 precision { compute:
        "fp8" } }
    ''',
    'bridge-26.06-llama3-70b-sft-gb300-32g-fp8cs-tp1pp2cp1vp20ep1fsx-mb1-gbs32': '''
      model { preset: "llama-3-70b" }
      cluster { preset: "gb300-nvl72" chips: 32 }
      workload { global_batch_sequences: 32 sequence_length: 4096 }
      plan { framework: "megatron-bridge@26.06" pipeline: 2 virtual_stages: 20
        micro_batch_sequences: 1 precision { compute: "fp8" } }
    ''',
    'bridge-26.06-llama3.1-405b-pretrain-gb300-256g-fp8mx-tp2pp8cp2vp4ep1fsx-mb1-gbs1536': '''
      model { preset: "llama-3-405b" }
      cluster { preset: "gb300-nvl72" chips: 256 }
      workload { global_batch_sequences: 1536 sequence_length: 8192 }
      plan { framework: "megatron-bridge@26.06" tensor: 2 pipeline: 8 context: 2
        virtual_stages: 4 micro_batch_sequences: 1 precision { compute: "fp8" scaling: "mx" } }
    ''',
    'bridge-26.08-qwen3-30b-a3b-pretrain-gb300-8g-fp8mx-tp1pp1cp1vp1ep8fsx-mb8-gbs512': '''
      model { preset: "qwen-3-30b-a3b" }
      cluster { preset: "gb300-nvl72" chips: 8 }
      workload { global_batch_sequences: 512 sequence_length: 4096 }
      plan { framework: "megatron-bridge@26.08" expert: 8 expert_dispatch: "hybridep"
        micro_batch_sequences: 8 precision { compute: "fp8" scaling: "mx" } }
    ''',
    'dgxc-2504-15b-fp8-32g': '''
      model { preset: "nemotron-4-15b" }
      cluster { preset: "dgx-h100" chips: 32 }
      workload { global_batch_sequences: 128 sequence_length: 4096 }
      plan { framework: "nemo@25.02" tensor: 2 micro_batch_sequences: 2 precision { compute:
        "fp8" } }
    ''',
    'fms-fsdp-70b-a100-80gb': '''
      model { preset: "llama-2-70b" }
      cluster { preset: "dgx-a100" chips: 128 nodes { nics_per_node: 4 nic_gbytes_per_s: 12.5
        nic_latency_ns: 3600 nic_usable_fraction: 0.92 } }
      workload { global_batch_sequences: 256 sequence_length: 4096 }
      plan { framework: "fms-fsdp" fsdp: 128 micro_batch_sequences: 2 recompute: "selective" }
    ''',
    'korthikanti-tab5-175b-seqsel': '''
      model { preset: "gpt3-175b" vocab: 51200 }
      cluster { preset: "dgx-a100" chips: 64 }
      workload { global_batch_sequences: 64 sequence_length: 2048 }
      plan { precision { compute: "fp16" } framework: "megatron-lm@3.0" tensor: 8
        sequence_parallel: true pipeline: 8 virtual_stages: 3 micro_batch_sequences: 1
        recompute: "selective" }
    ''',
    'maxtext-v5p-64b-2x128': '''
      model { name: "MaxText 64B" layers: 64 hidden: 10240 heads: 32 kv_heads: 32 head_dim: 256
        ffn: 32768 vocab: 32768 tied_embeddings: true }
      cluster { preset: "tpu-v5p" slice: "4x4x4" slices: 2 }
      workload { global_batch_sequences: 512 sequence_length: 2048 }
      plan { framework: "maxtext" data: 2 fsdp: 16 tensor: 4 micro_batch_sequences: 16
        recompute: "matmuls" }
    ''',
    'mosaic-70b-h100-80gb-bf16-256g-s2048-mb8-gbs2048-ck-full-shard-default': '''
      model { name: "MPT-70b" layers: 80 hidden: 8192 heads: 64 vocab: 50368 ffn: 32768
        tied_embeddings: true norm_bias: true position_embeddings: 2048 }
      cluster { preset: "dgx-h100" chips: 256 }
      workload { global_batch_sequences: 2048 sequence_length: 2048 }
      plan { framework: "pytorch-fsdp" fsdp: 256 micro_batch_sequences: 8 recompute: "full" }
    ''',
    'sc21-table1-3.6b': '''
      model { preset: "megatron-3.6b" }
      cluster { preset: "dgx-a100" chips: 64 }
      workload { global_batch_sequences: 512 sequence_length: 2048 }
      plan { precision { compute: "fp16" } framework: "megatron-lm" tensor: 2
        micro_batch_sequences: 16 recompute: "full" }
    ''',
    'titan-t1-8b-8g-fsdp-compile': '''
      model { preset: "llama-3-8b" }
      cluster { preset: "dgx-h100" chips: 8 chip { preset: "h100-hbm2e" } nodes {
        nic_latency_ns: 3600 nic_usable_fraction: 0.92 } }
      workload { global_batch_sequences: 16 sequence_length: 8192 }
      plan { framework: "torchtitan-compiled" fsdp: 8 micro_batch_sequences: 2 recompute:
        "full" recompute_layers: 16 }
    ''',
    'vtrain-multi-18.4b-256g-tp8dp32pp1-mb16-gbs1024': '''
      model { preset: "megatron-18b" vocab: 50257 }
      cluster { preset: "dgx-a100" chips: 256 nodes { nics_per_node: 4 } }
      workload { global_batch_sequences: 1024 sequence_length: 2048 }
      plan { precision { compute: "fp16" } framework: "megatron-deepspeed" tensor: 8
        micro_batch_sequences: 16 recompute: "full" }
    ''',
    'bridge-26.08-qwen3-235b-a22b-pretrain-gb300-256g-fp8mx-tp1pp4cp1vp12ep32fsx-mb2-gbs8192': '''
      model { preset: "qwen-3-235b-a22b" }
      cluster { preset: "gb300-nvl72" chips: 256 }
      workload { global_batch_sequences: 8192 sequence_length: 4096 }
      plan { framework: "megatron-bridge@26.08" pipeline: 4 virtual_stages: 12 expert: 32
        micro_batch_sequences: 2 precision { compute: "fp8" scaling: "mx" } }
    ''',
    'bloom-jz-rebalancing-layers-h14336l70a64-48n-tp4dp8pp12-mb4-gbs2048-02-28': '''
      model { preset: "bloom-176b" heads: 64 kv_heads: 64 head_dim: 224 position_embeddings: 2048 }
      cluster { preset: "dgx-a100" chips: 384 nodes { nics_per_node: 4 nic_gbytes_per_s: 12.5
        nic_usable_fraction: 0.9 } }
      workload { global_batch_sequences: 2048 sequence_length: 2048 }
      plan { framework: "megatron-deepspeed" tensor: 4 pipeline: 12 zero_stage: 1
        micro_batch_sequences: 4 recompute: "full" precision { gradients: "fp32" } }
    ''',
    'maxtext-v5e-64b-32x256': '''
      model { name: "MaxText 64B" layers: 64 hidden: 10240 heads: 32 head_dim: 256 ffn: 32768
        vocab: 32768 tied_embeddings: true }
      cluster { preset: "tpu-v5e" slice: "16x16" slices: 32 }
      workload { global_batch_sequences: 16384 sequence_length: 2048 }
      plan { framework: "maxtext" data: 32 fsdp: 256 micro_batch_sequences: 2 recompute: "full" }
    ''',
    'internevo-7b-nockpt-1024g-mb2x2': '''
      model { name: "InternLM-7B" layers: 32 hidden: 4096 heads: 32 ffn: 11008 vocab: 103168
        gated_mlp: true }
      cluster { preset: "dgx-a100" chips: 1024 nodes { nics_per_node: 4 nic_gbytes_per_s: 12.5
        nic_latency_ns: 3600 nic_usable_fraction: 0.92 } }
      workload { global_batch_sequences: 4096 sequence_length: 2048 }
      plan { framework: "internevo" zero_stage: 1 micro_batch_sequences: 2 }
    ''',
    'titan-405b-128g-tp8-bf16': '''
      model { preset: "llama-3-405b" }
      cluster { preset: "dgx-h100" chips: 128 chip { preset: "h100-hbm2e" } nodes {
        nic_latency_ns: 3600 nic_usable_fraction: 0.92 } }
      workload { global_batch_sequences: 32 sequence_length: 8192 }
      plan { framework: "torchtitan-compiled" fsdp: 16 tensor: 8 sequence_parallel: true
        micro_batch_sequences: 2 recompute: "full" }
    ''',
    'dgxc-2504-sft-70b-fp8-32g': '''
      model { preset: "llama-3-70b" }
      cluster { preset: "dgx-h100" chips: 32 }
      workload { global_batch_sequences: 32 sequence_length: 4096 }
      plan { framework: "nemo@25.02" tensor: 4 pipeline: 4 virtual_stages: 5
        micro_batch_sequences: 1 precision { compute: "fp8" } }
    ''',
    'simumax-b200-llama3-70b-l12-tp4-pp1-dp2-mbc32-cef': '''
      model { preset: "llama-3-70b" layers: 12 }
      cluster { preset: "dgx-b200" chips: 8 chip { preset: "b200-simumax" } }
      workload { global_batch_sequences: 64 sequence_length: 4096 }
      plan { framework: "megatron-core" tensor: 4 micro_batch_sequences: 1 overlap_gradients:
        false overlap_parameters: false precision { gradients: "fp32" } kernels { loss: "fused" } }
    ''',
}


def step_of(path):
    """Seconds of the step of the scenario at `path`."""
    done = subprocess.run([PROGRAM, 'simulate', path, '--format=json'], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)['step_time_s']


class HandWritten(unittest.TestCase):

    def test_a_scenario_from_the_readme_takes_as_long_as_the_row(self):
        for row, text in SCENARIOS.items():
            with self.subTest(row=row), tempfile.TemporaryDirectory() as folder:
                ours = os.path.join(folder, 'ours.textproto')
                with open(ours, 'w', encoding='utf-8') as file:
                    file.write(text)
                theirs = os.path.join(folder, 'theirs.textproto')
                with open(theirs, 'w', encoding='utf-8') as file:
                    file.write(subprocess.run([PROGRAM, 'validate', TABLE, '--scenario=' + row],
                                              capture_output=True, text=True, check=True).stdout)
                self.assertEqual(step_of(ours), step_of(theirs))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
