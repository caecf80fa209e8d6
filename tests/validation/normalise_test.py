"""tests/validation/normalise.py: the shipped tables are what it makes of the raw ones, and rows become
the fields that they, their family's source and their framework say."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]
TABLES = os.path.join(SOURCE, 'tests/validation')
SHIPPED = os.path.join(SOURCE, 'examples/validation')
RUNS = os.path.join(TABLES, 'training_runs.csv')

# What a row or its family's source states; nothing else of a scenario may be set.
MAY_SET = {
    'name', 'model.preset',
    'model.name', 'model.layers', 'model.hidden', 'model.heads', 'model.kv_heads',
    'model.head_dim', 'model.ffn', 'model.vocab', 'model.gated_mlp', 'model.tied_embeddings',
    'model.norm_bias', 'model.qkv_bias', 'model.attention_output_bias', 'model.mlp_bias',
    'model.position_embeddings', 'model.sliding_window', 'model.global_layer_period',
    'model.moe', 'model.mla', 'model.qk_norm', 'model.norms_per_layer', 'model.mtp_layers',
    'cluster.preset', 'cluster.chip.preset', 'cluster.chips', 'cluster.slice', 'cluster.slices',
    'cluster.nodes.chips_per_node', 'cluster.nodes.nics_per_node',
    'cluster.nodes.nic_gbytes_per_s', 'cluster.nodes.nic_latency_ns',
    'cluster.nodes.nic_usable_fraction', 'cluster.power_limit_watts', 'cluster.confidence',
    'cluster.chip.confidence',
    'workload.global_batch_sequences', 'workload.sequence_length',
    'workload.evaluation_sequences',
    'plan.framework', 'plan.data', 'plan.fsdp', 'plan.tensor', 'plan.pipeline', 'plan.zero_stage',
    'plan.sequence_parallel', 'plan.micro_batch_sequences', 'plan.recompute',
    'plan.attention_kernel', 'plan.dropout', 'plan.schedule', 'plan.virtual_stages',
    'plan.context', 'plan.context_method', 'plan.expert', 'plan.expert_tensor',
    'plan.offload.activations', 'plan.recompute_layers', 'plan.recompute_keep',
    'plan.recompute_modules', 'plan.async_tensor',
    'plan.split_sends', 'plan.capacity_factor', 'plan.overlap_gradients',
    'plan.overlap_parameters', 'plan.layout', 'plan.precision.scaling', 'plan.precision.compute',
    'plan.precision.gradients', 'plan.precision.reduce', 'plan.kernels.loss',
    'plan.expert_dispatch', 'plan.overlap_experts', 'plan.kernels.launches', 'plan.kernels.graphs',
    'plan.kernels.library_workspace_bytes', 'plan.kernels.experts', 'plan.layer_ranges',
}
# Columns that say what was measured and by whom; the scenario must not depend on them.
NOT_OF_THE_PLAN = ('id', 'source', 'source_ref', 'verified', 'unverified', 'iter_time_s',
                   'iter_time_src', 'tflops_per_chip', 'mfu_pct', 'mfu_src', 'hfu_pct',
                   'tokens_per_s_per_chip', 'tok_src', 'mem_gib', 'mem_kind', 'flops_formula',
                   'trust', 'caveats')


def rows_of(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def normalised(path):
    done = subprocess.run([sys.executable, os.path.join(TABLES, 'normalise.py'), path],
                          capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def table(rows):
    """Path of raw rows as a table of scenarios."""
    with tempfile.NamedTemporaryFile('w', suffix='.csv', delete=False, newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with tempfile.NamedTemporaryFile('w', suffix='.csv', delete=False, newline='') as out:
        out.write(normalised(file.name))
    return out.name


def expanded(scenario):
    """A scenario with every field of its plan."""
    done = subprocess.run(
        [PROGRAM, 'show', 'scenario', '-', '--input-format=json', '--format=json'],
        input=json.dumps(scenario), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def leaves(value, path=''):
    """Paths of the fields that are set, without indices; routed experts and MLA as one field."""
    if path in ('model.moe', 'model.mla'):
        return {path} if value else set()
    if not isinstance(value, dict):
        return {path} if value not in (None, '', [], 0, False, 'MODE_UNSPECIFIED') else set()
    return {leaf for key, part in value.items()
            for leaf in leaves(part, path + '.' + key if path else key)}


SMALL = [r for r in rows_of(RUNS) if r['family'] == 'vtrain-a100-3.6b'][:3]


class Tables(unittest.TestCase):

    def test_shipped_tables_are_the_raw_ones_normalised(self):
        for name in ('training_runs', 'training_runs_one_node', 'memory_runs', 'memory_published',
                     'fresh_runs'):
            with open(os.path.join(SHIPPED, name + '.csv'), newline='', encoding='utf-8') as file:
                self.assertEqual(file.read(), normalised(os.path.join(TABLES, name + '.csv')), name)

    def test_first_errors_of_the_raw_table_stand_in_ours(self):
        raw = {r['id']: r['first_error'] for r in rows_of(os.path.join(TABLES, 'fresh_runs.csv'))}
        ours = {r['name']: r['first_error'] for r in rows_of(os.path.join(SHIPPED, 'fresh_runs.csv'))}
        self.assertEqual(raw, ours)
        self.assertTrue(all(raw.values()))


class Mapping(unittest.TestCase):

    def stated(self, path, row_id):
        done = subprocess.run(
            [PROGRAM, 'validate', path, '--scenario=' + row_id, '--format=json'],
            capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def scenario(self, path, row_id):
        """With what the framework decides; degrees as they are stated."""
        stated = self.stated(path, row_id)
        if stated is None:
            return None
        whole = expanded(stated)
        own = {k: v for k, v in stated['plan'].items() if k not in ('kernels', 'precision') and v}
        whole['plan'] = {**whole['plan'], **own}
        return whole

    def test_scenarios_set_only_what_rows_and_frameworks_state(self):
        expressed = 0
        for name, step in ('training_runs.csv', 14), ('fresh_runs.csv', 4):
            for row in rows_of(os.path.join(TABLES, name))[::step]:
                scenario = self.stated(os.path.join(SHIPPED, name), row['id'])
                if scenario is None:
                    continue
                expressed += 1
                self.assertEqual(leaves(scenario) - MAY_SET, set(), row['id'])
        self.assertGreater(expressed, 40)

    def test_neither_names_nor_measurements_of_a_row_change_its_scenario(self):
        picked = {}
        for row in rows_of(RUNS):
            picked.setdefault(row['family'], row)
        renamed = []
        for i, row in enumerate(picked.values()):
            copy = dict(row, **{column: '' for column in NOT_OF_THE_PLAN})
            # The release of the framework, which says what it runs, and nothing else of the source.
            release = re.search("'[0-9.]+ NeMo Container'", row['source_ref'])
            copy['source_ref'] = release.group() if release else ''
            # The two parts of a plan that the table has no column for, and what it does not know.
            copy['caveats'] = ' '.join(
                re.findall('expert TP=[0-9]+|capacity_factor [0-9.]+|microbatch 1 assumed',
                           row['caveats']))
            renamed.append(dict(copy, id='row-x%d' % i, iter_time_s='1'))
        path = table(renamed)
        compared = 0
        for row, copy in zip(picked.values(), renamed):
            original, anonymous = self.stated(os.path.join(SHIPPED, 'training_runs.csv'), row['id']), self.stated(path, copy['id'])
            if original is None:
                self.assertIsNone(anonymous, row['id'])
                continue
            original.pop('name'), anonymous.pop('name')
            self.assertEqual(original, anonymous)
            compared += 1
        self.assertGreater(compared, 40)

    def test_defaults_hold_for_families_and_have_a_source(self):
        families = {r['family'] for r in rows_of(RUNS)} | {'vtrain-single'}
        families |= {r['family'] for r in rows_of(os.path.join(TABLES, 'fresh_runs.csv'))}
        families |= {'megatron-memory-' + r['test'].split('/')[0]
                     for r in rows_of(os.path.join(TABLES, 'memory_runs.csv'))}
        ids = {r['id'] for r in rows_of(RUNS)}
        shipped = {f[:-10] for f in os.listdir(os.path.join(SOURCE, 'strategies/frameworks'))}
        for row in rows_of(os.path.join(TABLES, 'families.csv')):
            prefix = row['families']
            self.assertTrue(prefix == '*' or any(f.startswith(prefix) for f in families), prefix)
            self.assertFalse(any(i.startswith(prefix) and prefix.count('-') > 3 for i in ids))
            self.assertGreater(len(row['source']), 10, prefix)
            self.assertIn(row['framework'].split('@')[0], shipped, prefix)
        for row in rows_of(os.path.join(TABLES, 'interconnects.csv')):
            self.assertGreater(len(row['source']), 5, row)

    def test_a_row_without_dimensions_takes_the_model_of_its_name(self):
        row = dict([r for r in rows_of(RUNS) if r['family'].startswith('bridge-qwen3-30b')][0],
                   layers='', ep='8', overlap='hybridep', model='nemotron-3-nano-30b-a3b')
        path = table([dict(row, id='hybrid'), dict(row, id='ahead', family='bridge-nemotron-3-super'),
                      dict(row, id='dense', model='llama-3-8b'), dict(row, id='unknown', model='../models/llama-3-8b')])
        hybrid = self.stated(path, 'hybrid')
        self.assertEqual(leaves(hybrid['model'], 'model'), {'model.preset'})
        self.assertEqual(hybrid['model']['preset'], 'nemotron-3-nano-30b-a3b')
        self.assertEqual((hybrid['plan']['expert'], hybrid['plan']['expert_dispatch']), (8, 'hybridep'))
        self.assertEqual(self.stated(path, 'ahead')['model']['mtp_layers'], 2)
        dense = leaves(self.stated(path, 'dense'))
        self.assertFalse(dense & {'plan.expert', 'plan.expert_dispatch'})
        self.assertIsNone(self.stated(path, 'unknown'))

    def test_words_on_formats_of_layers_become_a_range(self):
        row = dict(SMALL[0], chip='GB300', id='tail', precision='NVFP4 (last 14 layers BF16)')
        path = table([row, dict(row, id='all', precision='NVFP4')])
        self.assertFalse(self.stated(path, 'all')['plan']['layer_ranges'])
        plan = self.stated(path, 'tail')['plan']
        tail, = plan['layer_ranges']
        self.assertEqual((tail['layers'], tail['compute']), ('-14..-1', 'bf16'))
        self.assertEqual(plan['precision']['scaling'], 'nvfp4')

    def test_words_on_graphs_and_compilers_decide_what_is_launched(self):
        words = {'': ('megatron-core', []),
                 'cuda_graph_impl=none; cuda_graph_scope=["full_iteration"]':
                     ('megatron-core', []),
                 'cuda_graph_impl=local; cuda_graph_scope=["full_iteration"]': ('none', []),
                 'cuda_graph_impl=full_iteration; cuda_graph_scope=[]': ('none', []),
                 'zero comm overlap; full CUDA graph': ('none', []),
                 'cuda_graph_impl=transformer_engine; cuda_graph_scope=["attn", "moe_router"]':
                     ('megatron-core', ['attention', 'router']),
                 'P2P overlap; CUDA graphs per layer': ('megatron-core', ['attention', 'mlp']),
                 'TE CUDA graphs (attn, router, preprocess)':
                     ('megatron-core', ['attention', 'router'])}
        row = [r for r in rows_of(RUNS) if r['family'].startswith('dgxc-h100-llama3.1')][0]
        for text, (launches, graphs) in words.items():
            path = table([dict(row, overlap=text)])
            kernels = self.scenario(path, row['id'])['plan']['kernels']
            self.assertEqual(kernels['launches'], launches, text)
            self.assertEqual(kernels['graphs'], graphs or ['none'], text)

    def test_a_compiler_or_a_container_is_part_of_the_framework(self):
        titan = [r for r in rows_of(RUNS) if r['family'].startswith('torchtitan')][0]
        bridge = [r for r in rows_of(RUNS) if r['family'].startswith('bridge-llama3-8b')][0]
        path = table([dict(titan, id='eager', overlap='FSDP2 prefetch; eager'),
                      dict(titan, id='compiled', overlap='FSDP2 prefetch; torch.compile'),
                      dict(bridge, id='release', source_ref="x.md '26.04.01 NeMo Container'"),
                      dict(bridge, id='unknown', source_ref='x.md')])
        got = {name: self.stated(path, name)['plan']['framework']
               for name in ('eager', 'compiled', 'release', 'unknown')}
        self.assertEqual(got, {'eager': 'torchtitan', 'compiled': 'torchtitan-compiled',
                               'release': 'megatron-bridge@26.04', 'unknown': 'megatron-bridge'})

    def test_words_on_recomputation_become_the_nearest_policy(self):
        words = {'none (default)': (None, None, None), 'full': ('full', None, None),
                 'full/block 5 layers [recipe x_fp8]': ('full', 5, None),
                 # SMALL has 30 layers, one stage
                 'selective (per 2nd layer)': ('full', 30 // 2, None),
                 'selective per-op (SAC)': ('alternate', None, None),
                 'save_dot_except_mlpwi': ('save_dot_except_mlpwi', None, None),
                 'selective core_attn': ('selective', None, None),
                 'selective mlp': ('modules', None, ['mlp']),
                 'selective ["layernorm", "moe_act"] [recipe moe]':
                     ('modules', None, ['layernorm', 'moe_act']),
                 'RMSNorm, MLA up-proj': ('modules', None, ['layernorm', 'mla_up_proj']),
                 'selective norm, act': ('modules', None, ['layernorm', 'moe_act']),
                 'selective mla_up_proj/mlp/moe': ('modules', None, ['mla_up_proj', 'mlp', 'moe']),
                 'selective layernorm, moe': ('modules', None, ['layernorm', 'moe'])}
        rows = [dict(SMALL[0], id='r%d' % i, recompute=text, pp='1', dp='')
                for i, text in enumerate(words)]
        path = table(rows + [dict(SMALL[0], id='odd', recompute='sometimes')])
        for i, expected in enumerate(words.values()):
            plan = self.stated(path, 'r%d' % i)['plan']
            self.assertEqual((plan.get('recompute') or None, plan.get('recompute_layers'),
                              plan.get('recompute_modules') or None),
                             expected, rows[i]['recompute'])
        self.assertIsNone(self.stated(path, 'odd'))

    def test_groups_and_layouts_are_as_the_row_says(self):
        row = dict(SMALL[0], chips='32', gbs='64', mbs='1', dp='', cp='2', pp='4', tp='1')
        rows = [
            dict(row, id='ring', layers='30'),
            dict(row, id='alone', layers='2', cp='1'),
            dict(row, id='titan', family='torchtitan-x', pp='1', dp_sharding='FSDP2 dp=16'),
            dict(row, id='whole', pp='1', dp_sharding='FSDP2 shards over dp*cp=32'),
            dict(row, id='given', layers='12',
                 overlap='pipeline_model_parallel_layout=Et*2|(t*4|)*2t*2L; x'),
        ]
        path = table(rows)
        plans = {r['id']: self.stated(path, r['id'])['plan'] for r in rows}
        # Embedding and head stand alone where two of the four stages are left for two layers.
        self.assertFalse(plans['ring'].get('layout'))
        self.assertEqual(plans['alone']['layout'], 'E|(t*1|)*2L')
        self.assertEqual(plans['ring']['context'], 2)
        self.assertEqual((plans['titan']['fsdp'], plans['titan'].get('data')), (16, None))
        titan = self.scenario(path, 'titan')['plan']
        self.assertEqual(titan['context_method'], 'gathered-ring')
        self.assertEqual(plans['whole']['fsdp'], 16)
        # Without resharding in a pipeline, with as many micro-batches as ranks of one unless it is said.
        staged = dict(row, family='torchtitan-x', cp='1', tp='1', layers='8', dp='8', gbs='128',
                      dp_sharding='FSDP2 dp=8', vp='2')
        path = table([dict(staged, id='stated'),
                      dict(staged, id='assumed', caveats='microbatch 1 assumed')])
        stated, assumed = (self.scenario(path, i)['plan'] for i in ('stated', 'assumed'))
        self.assertEqual(stated['micro_batch_sequences'], 1)
        self.assertEqual(assumed['micro_batch_sequences'], 128 // 8 // 4)
        self.assertTrue(stated['accumulate_unsharded'])
        self.assertFalse(stated['overlap_gradients'])
        self.assertEqual(plans['given']['layout'], 'Et*2|(t*4|)*2t*2L')

    def test_slices_have_whole_dimensions_for_the_mesh(self):
        v5p = dict(SMALL[0], family='mlperf-gpt3-175b-tpu', chip='TPU v5p', gbs='12288', tp='8',
                   pp='1', vp='', mbs='8', heads='96', kv_heads='96', hidden='12288')
        # mlcommons/training_results_v4.0 and v4.1, Google/systems: accelerator_interconnect_topology
        meshes = {(1024, 8, 16): '8x8x16', (2048, 4, 64): '4x8x64', (6144, 16, 48): '8x16x48',
                  # No three dimensions of 4 and more: as near to a cube as can be.
                  (64, 4, 2): '4x4x4'}
        for (chips, data, fsdp), slice_of in meshes.items():
            row = dict(v5p, id='v5p', chips=str(chips), dp=str(data * fsdp),
                       dp_sharding='dp%d x fsdp%d x tp8' % (data, fsdp))
            self.assertEqual(self.stated(table([row]), 'v5p')['cluster']['slice'], slice_of)

    def test_overlaps_are_as_the_row_or_its_framework_says(self):
        row = dict(SMALL[0], chips='32', gbs='64', mbs='1', dp='', tp='4', pp='4', layers='24',
                   vp='', seq_parallel='on')
        words = {'': (False, None), 'TP userbuffers overlap, x': (True, None),
                 'TP comm overlap off; y': (False, None), 'torch.compile; async TP': (True, None),
                 # The six layers of a stage are a part each: nothing but interleaving overlaps these.
                 'TP, DP and PP overlaps on (tp-comm-overlap)': (True, 6),
                 'P2P overlap': (False, 6)}
        path = table([dict(row, id='r%d' % i, family='unknown', overlap=text)
                      for i, text in enumerate(words)] +
                     [dict(row, id='nemo', family='nemo-x', overlap='')] +
                     [dict(row, id='off', family='nemo-x', overlap='tp_comm_overlap=False')])
        for i, (text, expected) in enumerate(words.items()):
            plan = self.scenario(path, 'r%d' % i)['plan']
            stated = self.stated(path, 'r%d' % i)['plan']
            self.assertEqual((plan.get('async_tensor', False), stated.get('virtual_stages')),
                             expected, text)
        for words, split in ('scatter/gather pipeline P2P optimisation', True), ('1F1B', False):
            plan = self.scenario(table([dict(row, id='s', family='unknown', overlap=words)]), 's')
            self.assertEqual(bool(plan['plan'].get('split_sends')), split)
        self.assertTrue(self.scenario(path, 'nemo')['plan'].get('async_tensor', False))
        self.assertFalse(self.scenario(path, 'off')['plan'].get('async_tensor', False))

    def test_experts_run_as_the_row_or_its_framework_says(self):
        moe = dict(SMALL[0], chips='32', gbs='64', mbs='1', dp='', tp='1', pp='2', layers='16',
                   vp='4', ep='8', experts='16', topk='2', moe_ffn='1024', recompute='none')
        tpu = dict(family='tpu-recipes-x', chip='TPU v6e', precision='bf16', pp='1', vp='', ep='', overlap='',
                   dp_sharding='fsdp=32 ici')
        rows = {
            'stated': dict(moe, family='bridge-x', overlap='moe_token_dispatcher_type=alltoall'),
            'recipe': dict(moe, family='bridge-x', model='Qwen3_235B_A22B', chip='GB300', overlap=''),
            'by chip': dict(moe, family='bridge-x', model='Qwen3_235B_A22B', chip='B200', overlap=''),
            'biases': dict(moe, family='bridge-x', model='GPT-OSS 120B', overlap='DeepEP, 1F1B A2A overlap'),
            'apart': dict(moe, family='modelzoo-x', overlap='DeepEP, no 1F1B A2A overlap'),
            'graph': dict(moe, family='bridge-x', overlap='cuda_graph_impl=full_iteration; '
                          'overlap_moe_expert_parallel_comm=True'),
            'one stage': dict(moe, family='bridge-x', pp='1', vp='1',
                              overlap='overlap_moe_expert_parallel_comm=True'),
            'no chunks': dict(moe, family='bridge-x', vp='1',
                              overlap='overlap_moe_expert_parallel_comm=True'),
            'dualpipe': dict(moe, family='deepseek-v3-paper', vp='1', overlap='DualPipe'),
            'unknown': dict(moe, family='tpu-x', overlap=''),
            'maxtext': dict(moe, **tpu),
            'dropped': dict(moe, **tpu, caveats='dropped MoE capacity_factor 1.25'),
            'before': dict(moe, family='bridge-x', model='Qwen3_235B_A22B', chip='GB300', precision='MXFP8',
                           source_ref="x.md '26.04.01 NeMo Container'", overlap=''),
            'since': dict(moe, family='bridge-x', model='Qwen3_235B_A22B', chip='GB300', precision='MXFP8',
                          source_ref="x.md '26.06.01 NeMo Container'", overlap=''),
            'other format': dict(moe, family='bridge-x', model='Qwen3_235B_A22B', chip='GB300', precision='bf16',
                                 source_ref="x.md '26.06 NeMo Container'", overlap=''),
            'no column': dict(moe, family='automodel-x', pp='1', vp='1', ep='1', experts='32',
                              dp_sharding='FSDP2 shard=32'),
            'zero': dict(moe, family='bridge-x', dp_sharding='distributed optimizer (ZeRO-1); '
                         'FSDP column absent in this release'),
        }
        path = table([dict(row, id=name) for name, row in rows.items()])
        plans = {name: self.scenario(path, name)['plan'] for name in rows}
        got = {name: (plan.get('expert_dispatch', ''), plan['kernels'].get('experts', ''),
                      plan.get('overlap_experts') or False) for name, plan in plans.items()}
        self.assertEqual(got['stated'], ('all-to-all', 'each', False))
        self.assertEqual(got['recipe'], ('hybridep', 'each', False))
        self.assertEqual(got['by chip'], ('all-to-all', 'each', False))
        self.assertEqual(got['biases'], ('deepep', 'each', True))
        self.assertEqual(got['apart'], ('deepep', 'each', False))
        self.assertEqual(got['graph'], ('hybridep', 'grouped', True))
        self.assertEqual(got['one stage'], ('hybridep', 'each', True))
        self.assertEqual(got['no chunks'], ('hybridep', 'each', False))
        self.assertEqual(got['dualpipe'], ('deepep', 'grouped', True))
        self.assertEqual(plans['dualpipe']['schedule'], 'dualpipe')
        self.assertEqual(got['unknown'], ('all-to-all', 'each', False))
        # MaxText drops tokens only where it dispatches by einsums.
        self.assertEqual(got['maxtext'], ('gather', 'grouped', False))
        self.assertEqual(plans['maxtext']['kernels']['expert_tile_rows'], 512)
        self.assertEqual(got['dropped'], ('einsum', 'grouped', False))
        self.assertEqual(plans['dropped']['kernels']['expert_tile_rows'], 0)
        self.assertEqual(got['before'], ('hybridep', 'each', False))
        self.assertEqual(got['since'], ('hybridep', 'fused', True))
        self.assertEqual(plans['since']['kernels']['launches'], 'none')
        self.assertEqual(got['other format'], ('hybridep', 'each', False))
        self.assertTrue(plans['biases']['kernels']['eager_expert_bias'])
        self.assertTrue(plans['biases']['kernels']['eager_expert_clamp'])
        self.assertTrue(plans['biases']['kernels']['eager_rotary'])
        self.assertFalse(plans['recipe']['kernels'].get('eager_expert_bias', False))
        self.assertEqual(plans['no column']['expert'], 32)
        self.assertEqual((plans['zero'].get('fsdp'), plans['zero']['zero_stage']), (None, 1))

    def test_embeddings_are_tied_as_the_framework_says(self):
        path = table([dict(SMALL[0], id='untied', family='torchtitan-x'),
                      dict(SMALL[0], id='tied', family='sc21-megatron-x')])
        self.assertFalse(self.stated(path, 'untied')['model'].get('tied_embeddings', False))
        self.assertTrue(self.stated(path, 'tied')['model']['tied_embeddings'])

    def test_a_row_of_the_short_table_is_its_long_form(self):
        short = rows_of(os.path.join(TABLES, 'training_runs_one_node.csv'))[0]
        long = dict(short, family='vtrain-single', chips=short['gpus'], vocab='51200')
        a, b = (self.stated(table([row]), short['id']) for row in (short, long))
        self.assertEqual(a, b)
        self.assertEqual(a['plan']['framework'], 'megatron-lm')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
