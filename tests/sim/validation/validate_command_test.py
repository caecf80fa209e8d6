"""meshstep validate, from outside: the mapping of rows, the report, and that nothing is fitted."""

import csv
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]
TABLES = os.path.join(SOURCE, 'tests/validation')
RUNS = os.path.join(TABLES, 'training_runs.csv')

# What a row states or its framework's default says; nothing else of a scenario may be set.
MAY_SET = {
    'name',
    'model.name', 'model.layers', 'model.hidden', 'model.heads', 'model.kv_heads',
    'model.head_dim', 'model.ffn', 'model.vocab', 'model.gated_mlp', 'model.tied_embeddings',
    'model.norm_bias', 'model.qkv_bias', 'model.attention_output_bias', 'model.mlp_bias',
    'model.position_embeddings', 'model.sliding_window', 'model.global_layer_period',
    'model.moe', 'model.mla', 'model.qk_norm', 'model.norms_per_layer',
    'cluster.preset', 'cluster.chip.preset', 'cluster.chips', 'cluster.slice', 'cluster.slices',
    'cluster.nodes.chips_per_node', 'cluster.nodes.nics_per_node',
    'cluster.nodes.nic_gbytes_per_s', 'cluster.nodes.nic_latency_ns',
    'cluster.nodes.nic_usable_fraction',
    'workload.global_batch_sequences', 'workload.sequence_length',
    'plan.data', 'plan.fsdp', 'plan.tensor', 'plan.pipeline', 'plan.zero_stage',
    'plan.sequence_parallel', 'plan.micro_batch_sequences', 'plan.recompute',
    'plan.kernels.bias_gradients', 'plan.kernels.dense_embedding_gradient',
    'plan.kernels.gradient_passes', 'plan.kernels.copied_heads',
    'plan.attention_kernel', 'plan.dropout', 'plan.schedule', 'plan.virtual_stages',
    'plan.context', 'plan.context_method', 'plan.expert', 'plan.expert_tensor',
    'plan.recompute_layers', 'plan.recompute_keep', 'plan.async_tensor', 'plan.split_sends', 'model.mtp_layers',
    'plan.recompute_drops_unread',
    'plan.reductions_in_flight', 'plan.capacity_factor',
    'plan.overlap_gradients', 'plan.overlap_parameters', 'plan.layout',
    'plan.precision.scaling', 'plan.precision.compute', 'plan.precision.parameters',
    'plan.precision.gradients', 'plan.precision.optimizer', 'plan.precision.reduce',
    'plan.kernels.loss', 'plan.kernels.gradient_accumulation', 'plan.kernels.unfused_optimizer',
    'plan.recompute_modules', 'plan.expert_dispatch', 'plan.overlap_experts',
    'plan.kernels.experts', 'plan.kernels.expert_tile_rows', 'plan.kernels.eager_expert_bias', 'plan.kernels.eager_expert_clamp',
    'plan.kernels.eager_rotary',
    'plan.kernels.library_workspace_bytes', 'plan.kernels.launches', 'plan.kernels.elementwise', 'plan.kernels.graphs',
    'plan.kernels.gradient_sums', 'plan.kernels.projections', 'plan.kernels.sharded_copies',
    'plan.kernels.repeated_heads', 'plan.kernels.tensor_transfers', 'plan.accumulate_unsharded',
}
# Columns that say what was measured and by whom; the scenario must not depend on them.
NOT_OF_THE_PLAN = ('id', 'source', 'source_ref', 'verified', 'unverified', 'iter_time_s',
                   'iter_time_src', 'tflops_per_chip', 'mfu_pct', 'mfu_src', 'hfu_pct',
                   'tokens_per_s_per_chip', 'tok_src', 'mem_gib', 'mem_kind', 'flops_formula',
                   'trust', 'caveats')


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, 'validate', *arguments], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done.stdout if status == 0 else done.stderr


def report(*arguments):
    return json.loads(run(*arguments, '--format=json'))


def rows_of(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def table(rows):
    """Path of a CSV of `rows`."""
    file = tempfile.NamedTemporaryFile('w', suffix='.csv', delete=False, newline='')
    with file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file.name


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


class Mapping(unittest.TestCase):

    def scenario(self, path, row_id):
        done = subprocess.run(
            [PROGRAM, 'validate', path, '--scenario=' + row_id, '--format=json'],
            capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def test_scenarios_set_only_what_rows_and_frameworks_state(self):
        expressed = 0
        for row in rows_of(RUNS)[::14]:
            scenario = self.scenario(RUNS, row['id'])
            if scenario is None:
                continue
            expressed += 1
            self.assertEqual(leaves(scenario) - MAY_SET, set(), row['id'])
        self.assertGreater(expressed, 30)

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
            original, anonymous = self.scenario(RUNS, row['id']), self.scenario(path, copy['id'])
            if original is None:
                self.assertIsNone(anonymous, row['id'])
                continue
            original.pop('name'), anonymous.pop('name')
            self.assertEqual(original, anonymous)
            compared += 1
        self.assertGreater(compared, 40)

    def test_defaults_hold_for_families_and_have_a_source(self):
        families = {r['family'] for r in rows_of(RUNS)} | {'vtrain-single'}
        families |= {'megatron-memory-' + r['test'].split('/')[0]
                     for r in rows_of(os.path.join(TABLES, 'memory_runs.csv'))}
        ids = {r['id'] for r in rows_of(RUNS)}
        for row in rows_of(os.path.join(TABLES, 'framework_defaults.csv')):
            prefix = row['families']
            self.assertTrue(prefix == '*' or any(f.startswith(prefix) for f in families), prefix)
            self.assertFalse(any(i.startswith(prefix) and prefix.count('-') > 3 for i in ids))
            self.assertGreater(len(row['source']), 10, prefix)
        for row in rows_of(os.path.join(TABLES, 'interconnects.csv')):
            self.assertGreater(len(row['source']), 5, row)
        workspaces = rows_of(os.path.join(TABLES, 'library_workspaces.csv'))
        known = {row['library'] for row in workspaces}
        for row in workspaces:
            self.assertGreater(float(row['bytes']), 0, row)
            self.assertGreater(len(row['source']), 5, row)
        for row in rows_of(os.path.join(TABLES, 'framework_defaults.csv')):
            self.assertLessEqual(set(row['libraries'].split()), known, row['families'])

    def test_the_printed_scenario_is_what_is_simulated(self):
        row = SMALL[0]
        predicted = report(table([row]))['rows'][0]['predicted_s']
        with tempfile.NamedTemporaryFile('w', suffix='.textproto') as file:
            file.write(run(RUNS, '--scenario=' + row['id']))
            file.flush()
            done = subprocess.run([PROGRAM, 'simulate', file.name, '--format=json'],
                                  capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(json.loads(done.stdout)['step_time_s'], predicted)

    def test_words_on_graphs_and_compilers_decide_what_is_launched(self):
        words = {'': ('megatron-core', []), 'torch.compile; async TP': ('kernels', []),
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
            scenario = run(path, '--scenario=' + row['id'])
            self.assertIn('launches: "%s"' % launches, scenario, text)
            self.assertEqual(graphs, re.findall('graphs: "(.*)"', scenario), text)

    def test_words_on_recomputation_become_the_nearest_policy(self):
        words = {'none (default)': (None, None, None), 'full': ('full', None, None),
                 'full/block 5 layers [recipe x_fp8]': ('full', 5, None),
                 # SMALL has 30 layers, one stage
                 'selective (per 2nd layer)': ('full', 30 // 2, None),
                 'selective per-op (SAC)': ('alternate', None, None),
                 'save_dot_except_mlpwi': ('matmuls', None, None),
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
            plan = self.scenario(path, 'r%d' % i)['plan']
            self.assertEqual((plan.get('recompute') or None, plan.get('recompute_layers'),
                              plan.get('recompute_modules') or None),
                             expected, rows[i]['recompute'])
        self.assertIsNone(self.scenario(path, 'odd'))

    def test_groups_and_layouts_are_as_the_row_says(self):
        row = dict(SMALL[0], chips='32', gbs='64', mbs='1', dp='', cp='2', pp='4', tp='1')
        rows = [
            dict(row, id='ring', layers='30'),
            dict(row, id='titan', family='torchtitan-x', pp='1', dp_sharding='FSDP2 dp=16'),
            dict(row, id='whole', pp='1', dp_sharding='FSDP2 shards over dp*cp=32'),
            dict(row, id='given', layers='12',
                 overlap='pipeline_model_parallel_layout=Et*2|(t*4|)*2t*2L; x'),
        ]
        path = table(rows)
        plans = {r['id']: self.scenario(path, r['id'])['plan'] for r in rows}
        # 30 layers, embedding and head as one each, over four stages: eight places a stage.
        self.assertEqual(plans['ring']['layout'], 'Et*7|(t*8|)*2t*7L')
        self.assertEqual((plans['ring']['context'], plans['ring']['context_method']), (2, 'ring'))
        self.assertEqual((plans['titan']['fsdp'], plans['titan']['data']), (16, 1))
        self.assertEqual(plans['titan']['context_method'], 'gathered-ring')
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
            self.assertEqual(self.scenario(table([row]), 'v5p')['cluster']['slice'], slice_of)

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
            self.assertEqual((plan.get('async_tensor', False), plan.get('virtual_stages')),
                             expected, text)
        for words, split in ('scatter/gather pipeline P2P optimisation', True), ('1F1B', False):
            plan = self.scenario(table([dict(row, id='s', family='unknown', overlap=words)]), 's')
            self.assertEqual(bool(plan['plan'].get('split_sends')), split)
        self.assertTrue(self.scenario(path, 'nemo')['plan'].get('async_tensor', False))
        self.assertFalse(self.scenario(path, 'off')['plan'].get('async_tensor', False))

    def test_frameworks_that_plans_name_run_what_rows_of_them_run(self):
        ids = {'megatron-core': 'mcore-h100-weak-16b', 'megatron-lm': 'sc21', 'nemo': 'dgxc-2504-sft',
               'megatron-deepspeed': 'vtrain-multi', 'pytorch-fsdp': 'mosaic',
               'torchtitan': 'titan-t1-8b-8g-fsdp',
               'torchtitan-compiled': 'titan-2025-70b-256g-bf16-vanilla'}
        shipped = sorted(f[:-10] for f in os.listdir(os.path.join(SOURCE, 'strategies/frameworks')))
        self.assertEqual(sorted(ids), shipped)
        # What a row says of itself: graphs, compilers, experts, libraries.
        own = ('graphs', 'experts', 'library_workspace_bytes')
        for name, prefix in ids.items():
            row = next(r for r in rows_of(RUNS) if r['id'].startswith(prefix))
            scenario = json.loads(run(table([row]), '--scenario=' + row['id'], '--format=json'))
            named = dict(scenario, plan=dict(scenario['plan'], kernels={'preset': name}))
            plans = [expanded(s)['plan']['kernels'] for s in (scenario, named)]
            alone = ('tensor_transfers',) if row['tp'] == '1' else ()  # a rank for all of a tensor
            for kernels in plans:
                for field in own + alone:
                    kernels.pop(field, None)
            self.assertEqual(plans[0], plans[1], name)

    def test_experts_run_as_the_row_or_its_framework_says(self):
        moe = dict(SMALL[0], chips='32', gbs='64', mbs='1', dp='', tp='1', pp='2', layers='16',
                   vp='4', ep='8', experts='16', topk='2', moe_ffn='1024', recompute='none')
        rows = {
            'stated': dict(moe, family='bridge-x', overlap='moe_token_dispatcher_type=alltoall'),
            'recipe': dict(moe, family='bridge-qwen3-235b-x', chip='GB300', overlap=''),
            'by chip': dict(moe, family='bridge-qwen3-235b-x', chip='B200', overlap=''),
            'biases': dict(moe, family='bridge-gpt-oss-x', overlap='DeepEP, 1F1B A2A overlap'),
            'apart': dict(moe, family='modelzoo-x', overlap='DeepEP, no 1F1B A2A overlap'),
            'graph': dict(moe, family='bridge-x', overlap='cuda_graph_impl=full_iteration; '
                          'overlap_moe_expert_parallel_comm=True'),
            'one stage': dict(moe, family='bridge-x', pp='1', vp='1',
                              overlap='overlap_moe_expert_parallel_comm=True'),
            'no chunks': dict(moe, family='bridge-x', vp='1',
                              overlap='overlap_moe_expert_parallel_comm=True'),
            'dualpipe': dict(moe, family='deepseek-v3-paper', vp='1', overlap='DualPipe'),
            'unknown': dict(moe, family='tpu-x', overlap=''),
            'maxtext': dict(moe, family='tpu-recipes-x', overlap=''),
            'dropped': dict(moe, family='tpu-recipes-x', overlap='',
                            caveats='dropped MoE capacity_factor 1.25'),
            'before': dict(moe, family='bridge-qwen3-235b-x', chip='GB300', precision='MXFP8',
                           source_ref="x.md '26.04.01 NeMo Container'", overlap=''),
            'since': dict(moe, family='bridge-qwen3-235b-x', chip='GB300', precision='MXFP8',
                          source_ref="x.md '26.06.01 NeMo Container'", overlap=''),
            'other format': dict(moe, family='bridge-qwen3-235b-x', chip='GB300', precision='bf16',
                                 source_ref="x.md '26.06 NeMo Container'", overlap=''),
            'no column': dict(moe, family='automodel-x', pp='1', vp='1', ep='1',
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
        self.assertEqual(got['unknown'], ('', '', False))
        # MaxText drops tokens only where it dispatches by einsums.
        self.assertEqual(got['maxtext'], ('gather', 'grouped', False))
        self.assertEqual(plans['maxtext']['kernels']['expert_tile_rows'], 512)
        self.assertEqual(got['dropped'], ('einsum', 'grouped', False))
        self.assertIsNone(plans['dropped']['kernels'].get('expert_tile_rows'))
        self.assertEqual(got['before'], ('hybridep', 'each', False))
        self.assertEqual(got['since'], ('hybridep', 'fused', True))
        self.assertEqual(plans['since']['kernels']['launches'], 'none')
        self.assertEqual(got['other format'], ('hybridep', 'each', False))
        self.assertTrue(plans['biases']['kernels']['eager_expert_bias'])
        self.assertTrue(plans['biases']['kernels']['eager_expert_clamp'])
        self.assertTrue(plans['biases']['kernels']['eager_rotary'])
        self.assertFalse(plans['recipe']['kernels'].get('eager_expert_bias', False))
        self.assertEqual(plans['no column']['expert'], 32)
        self.assertEqual((plans['zero']['fsdp'], plans['zero']['zero_stage']), (1, 1))

    def test_defaults_of_experts_have_a_source(self):
        families = {r['family'] for r in rows_of(RUNS)} | {'megatron-memory-moe'}
        for row in rows_of(os.path.join(TABLES, 'expert_defaults.csv')):
            self.assertTrue(any(f.startswith(row['families']) for f in families), row['families'])
            self.assertGreater(len(row['source']), 20, row['families'])

    def test_embeddings_are_tied_as_the_framework_says(self):
        path = table([dict(SMALL[0], id='untied', family='torchtitan-x'),
                      dict(SMALL[0], id='tied', family='sc21-megatron-x')])
        self.assertFalse(self.scenario(path, 'untied')['model'].get('tied_embeddings', False))
        self.assertTrue(self.scenario(path, 'tied')['model']['tied_embeddings'])

    def test_a_row_of_the_short_table_is_its_long_form(self):
        short = rows_of(os.path.join(TABLES, 'training_runs_one_node.csv'))[0]
        long = dict(short, family='vtrain-single', chips=short['gpus'], vocab='51200')
        a = report(table([short]))['rows'][0]
        b = report(table([long]))['rows'][0]
        self.assertEqual(a['family'], 'vtrain-single')
        self.assertEqual(a['predicted_s'], b['predicted_s'])


class Coverage(unittest.TestCase):

    def test_nine_tenths_of_the_well_documented_rows_of_a_family_are_expressed(self):
        # With one round of micro-batches, to be quick; each plan once.
        plans, rows = set(), []
        for row in rows_of(RUNS):
            plan = tuple(v for k, v in row.items() if k not in NOT_OF_THE_PLAN)
            if row['trust'] != 'A' or plan in plans:
                continue
            plans.add(plan)
            if row['dp'] and row['mbs']:
                batch = int(row['dp']) * int(row['mbs']) * int(row['pp'] or 1)
                row = dict(row, gbs=str(batch))
            rows.append(row)
        families = {}
        for out in report(table(rows))['rows']:
            families.setdefault(out['family'], []).append(out['predicted_s'] is not None)
        self.assertGreater(len(families), 30)
        for family, expressed in families.items():
            self.assertGreaterEqual(sum(expressed), 0.9 * len(expressed), family)


class Report(unittest.TestCase):

    def test_errors_are_signed_and_families_sum_them_up(self):
        out = report(table(SMALL))
        errors = []
        for row, given in zip(out['rows'], SMALL):
            self.assertEqual(row['id'], given['id'])
            self.assertEqual(row['measured_s'], float(given['iter_time_s']))
            self.assertAlmostEqual(row['error'], row['predicted_s'] / row['measured_s'] - 1,
                                   places=12)
            breakdown = row['breakdown']
            self.assertAlmostEqual(sum(breakdown.values()), row['predicted_s'], places=9)
            errors.append(abs(row['error']))
        family, = out['families']
        self.assertEqual((family['family'], family['rows']), ('vtrain-a100-3.6b', 3))
        self.assertAlmostEqual(family['mape'], sum(errors) / 3, places=12)
        self.assertAlmostEqual(family['worst'], max(errors), places=12)
        self.assertAlmostEqual(family['median'], sorted(errors)[1], places=12)

    def test_measurements_do_not_change_predictions(self):
        slower = [dict(r, iter_time_s=str(2 * float(r['iter_time_s']))) for r in SMALL]
        a, b = report(table(SMALL)), report(table(slower))
        for x, y in zip(a['rows'], b['rows']):
            self.assertEqual(x['predicted_s'], y['predicted_s'])
            self.assertAlmostEqual((1 + x['error']) / (1 + y['error']), 2, places=9)

    def test_rows_that_cannot_be_expressed_keep_their_place_and_say_why(self):
        rows = [SMALL[0], dict(SMALL[1], layers=''), dict(SMALL[2], chip='Abacus'),
                dict(SMALL[2], tp='5'), dict(SMALL[2], tp='', pp='', dp='', ep='')]
        out = report(table(rows))['rows']
        self.assertEqual([r['predicted_s'] is None for r in out], [False, True, True, True, True])
        self.assertEqual(out[1]['reason'], 'layers is not given')
        self.assertEqual(out[2]['reason'], 'the cluster of "Abacus" is not described')
        self.assertIn('do not divide by tp 5', out[3]['reason'])
        self.assertEqual(out[4]['reason'], 'no degree of parallelism is given')
        text = run(table(rows), '--rows')
        self.assertIn('layers is not given', text)
        self.assertIn('1 of 5 rows predicted', text)

    def test_a_number_that_cannot_be_read_is_not_taken_as_missing(self):
        wrong = [('tp', 'abc'), ('mbs', '1.5'), ('gbs', '-4'), ('seq', '1e300'),
                 ('iter_time_s', 'nan'), ('mfu_pct', 'inf'), ('cp', '2 (ring)')]
        rows = report(table([dict(SMALL[0], **{c: v}) for c, v in wrong]))['rows']
        for row, (column, value) in zip(rows, wrong):
            self.assertIsNone(row['predicted_s'], column)
            self.assertIn(f'{column} is "{value}", expected a ', row['reason'])
        both = report(table([dict(SMALL[0], tp='x', pp='y')]))['rows'][0]['reason']
        self.assertEqual(both, 'tp is "x", expected a whole number of 0 to 2^30; '
                               'pp is "y", expected a whole number of 0 to 2^30')
        # Words that say that something is not known are no numbers, and fine.
        self.assertIsNotNone(
            report(table([dict(SMALL[0], mfu_pct='not stated')]))['rows'][0]['predicted_s'])

    def test_time_comes_from_the_rate_where_no_time_is_given(self):
        row = SMALL[0]
        tokens = float(row['gbs']) * float(row['seq'])
        rate = tokens / (10 * float(row['chips']))
        given = dict(row, iter_time_s='', tokens_per_s_per_chip=str(rate))
        self.assertAlmostEqual(report(table([given]))['rows'][0]['measured_s'], 10, places=6)
        # Hardware FLOPs, as this family counts: the forward pass is run again.
        b, s, h, layers, v = tokens / 2048, 2048, 3072, 30, 50304
        flops = 96 * b * s * layers * h**2 * (1 + s / (6 * h)) + 6 * b * s * h * v
        given = dict(row, iter_time_s='', tokens_per_s_per_chip='',
                     tflops_per_chip=str(flops / (10 * float(row['chips'])) / 1e12))
        self.assertAlmostEqual(report(table([given]))['rows'][0]['measured_s'], 10, delta=0.1)

    def test_formats_agree_and_threads_do_not_matter(self):
        path = table(SMALL)
        one = run(path, '--threads=1', '--format=json')
        self.assertEqual(one, run(path, '--threads=3', '--format=json'))
        rows = json.loads(one)['rows']
        table_rows = list(csv.DictReader(io.StringIO(run(path, '--format=csv'))))
        for a, b in zip(rows, table_rows):
            self.assertEqual(a['id'], b['id'])
            self.assertTrue(math.isclose(a['error'], float(b['error']), rel_tol=1e-4))
        markdown = run(path, '--format=markdown', '--rows')
        self.assertIn('|---|', markdown)
        self.assertIn('| ' + rows[0]['id'] + ' | ', markdown)

    def test_mechanisms_can_be_left_out(self):
        path = table(SMALL[:1])
        whole = report(path)['rows'][0]['predicted_s']
        for mechanism in ('launch', 'tiles', 'memory-efficiency', 'measured-collectives',
                          'network-latency', 'recompute', 'reduction-tail',
                          'framework-kernels'):
            without = report(path, '--without=' + mechanism)['rows'][0]['predicted_s']
            self.assertNotEqual(without, whole, mechanism)
        older = table([r for r in rows_of(RUNS) if r['family'] == 'mosaic-mpt-A100-80GB-bf16'][:1])
        whole = report(older)['rows'][0]['predicted_s']
        for mechanism in ('attention-generation', 'taken-units'):
            self.assertLess(report(older, '--without=' + mechanism)['rows'][0]['predicted_s'],
                            whole, mechanism)
        experts = table([r for r in rows_of(RUNS) if 'A2A overlap' in r['overlap']][:2])
        whole = report(experts)['rows']
        for i, mechanism in ((0, 'expert-kernels'), (1, 'expert-overlap')):
            without = report(experts, '--without=' + mechanism)['rows'][i]
            self.assertNotEqual(without['predicted_s'], whole[i]['predicted_s'], mechanism)
        flash = table([r for r in rows_of(RUNS) if r['family'] == 'maxtext-v5e-dense'][:1])
        whole = report(flash)['rows'][0]['predicted_s']
        self.assertLess(report(flash, '--without=attention-efficiency')['rows'][0]['predicted_s'],
                        whole)
        one_node = os.path.join(TABLES, 'training_runs_one_node.csv')
        small = table([r for r in rows_of(one_node) if r['mbs'] == '1'][:1])
        self.assertLess(report(small, '--without=host-dispatch')['rows'][0]['predicted_s'],
                        0.99 * report(small)['rows'][0]['predicted_s'])
        eager = table([r for r in rows_of(RUNS) if r['id'] == 'titan-t1-8b-8g-fsdp'])
        self.assertLess(report(eager, '--without=eager')['rows'][0]['predicted_s'],
                        0.97 * report(eager)['rows'][0]['predicted_s'])
        whole = report(eager)['rows'][0]['predicted_s']
        for mechanism in ('gradient-sums', 'separate-projections', 'sharded-copies',
                          'repeated-heads'):
            self.assertLess(report(eager, '--without=' + mechanism)['rows'][0]['predicted_s'],
                            whole, mechanism)
        for row, mechanism in (('titan-2025-8b-64g-bf16-vanilla', 'dtensor'),
                               ('titan-h200-8b-64g', 'precise-sums')):
            path_of_row = table([r for r in rows_of(RUNS) if r['id'] == row])
            self.assertLess(
                report(path_of_row, '--without=' + mechanism)['rows'][0]['predicted_s'],
                report(path_of_row)['rows'][0]['predicted_s'], mechanism)
        every_second = table([r for r in rows_of(RUNS) if r['id'] == 'titan-t3-8b-128g-fsdp'])
        self.assertLess(
            report(every_second, '--without=alternate-products')['rows'][0]['predicted_s'],
            report(every_second)['rows'][0]['predicted_s'])
        trillium = table([r for r in rows_of(RUNS) if r['id'] == 'tpurecipes-trillium-mistral-7b-8'])
        whole = report(trillium)['rows'][0]['predicted_s']
        for mechanism in ('attention-blocks', 'head-padding', 'softmax', 'blocking-reductions',
                          'power'):
            self.assertLess(report(trillium, '--without=' + mechanism)['rows'][0]['predicted_s'],
                            whole, mechanism)
        self.assertGreater(report(trillium, '--without=kept-products')['rows'][0]['predicted_s'],
                           whole)
        experts = table([r for r in rows_of(RUNS) if r['family'] == 'ironwood-moe'][2:3])
        for mechanism in ('grouped-kernels', 'shared-tiles', 'permutation', 'expert-kernels'):
            self.assertLess(report(experts, '--without=' + mechanism)['rows'][0]['predicted_s'],
                            report(experts)['rows'][0]['predicted_s'], mechanism)
        int8 = table([r for r in rows_of(RUNS) if '(AQT)' in r['precision'] and r['dp']][:1])
        self.assertLess(report(int8, '--without=channel-scales')['rows'][0]['predicted_s'],
                        report(int8)['rows'][0]['predicted_s'])
        everything = report(path, '--without=recompute', '--without=launch')['rows'][0]
        self.assertLess(everything['predicted_s'],
                        report(path, '--without=recompute')['rows'][0]['predicted_s'])
        self.assertIn('--without: is "magic", expected one of launch',
                      run(path, '--without=magic', status=2))

    def test_drawings_have_a_mark_per_row(self):
        with tempfile.TemporaryDirectory() as folder:
            svg, page = os.path.join(folder, 'a.svg'), os.path.join(folder, 'a.html')
            run(table(SMALL), '--scatter=' + svg, '--html=' + page)
            with open(svg) as file:
                drawing = file.read()
            self.assertTrue(drawing.startswith('<svg xmlns="http://www.w3.org/2000/svg"'))
            self.assertEqual(drawing.count('data-t="vtrain-multi'), len(SMALL))
            with open(page) as file:
                html = file.read()
            self.assertIn('<h3>Families</h3>', html)
            for row in SMALL:
                self.assertIn('<td>' + row['id'] + '</td>', html)

    def test_wrong_input(self):
        self.assertIn('cannot be read', run('/nowhere.csv', status=2))
        self.assertIn('has no column "seq"', run(table([{'id': 'a', 'x': 1}]), status=2))
        self.assertIn('which is the id of no row', run(RUNS, '--scenario=nothing', status=2))
        self.assertIn('needs the FILE', run('--scenario=nothing', status=2))
        self.assertIn('--min-bytes', run('--min-bytes=nan', status=2))


class Components(unittest.TestCase):

    def test_a_matmul_is_predicted_with_its_own_key_columns(self):
        path = table([{'device': 'sm_90', 'dtype': 'bf16xbf16->bf16', 'batch': 1, 'm': 4096,
                       'n': 4096, 'k': 4096, 'time_us': 200, 'flag': ''},
                      {'device': 'sm_90', 'dtype': 'bf16xbf16->bf16', 'batch': 1, 'm': 4096,
                       'n': 4096, 'k': 4096, 'time_us': 1, 'flag': 'ABOVE_PEAK'}])
        row, flagged = report('--matmuls=' + path)['rows']
        self.assertEqual((row['chip'], row['m'], row['n'], row['k']), ('sm_90', 4096, 4096, 4096))
        # Between the data sheet's peak and half of it.
        peak = 2 * 4096**3 / 989.4e12
        self.assertTrue(peak < row['predicted_s'] < 2 * peak)
        self.assertEqual(flagged['predicted_s'], None)
        self.assertIn('ABOVE_PEAK', flagged['reason'])

    def test_memory_of_published_models(self):
        out = report('--memory=' + os.path.join(TABLES, 'memory_published.csv'))
        # 22B over 8: 16 bytes of state and 2 of weights; Korthikanti et al., figure 1.
        row = next(r for r in out['rows'] if '22B params' in r['id'])
        self.assertAlmostEqual(row['measured_bytes'], 45.5625 * 2**30, delta=1)
        self.assertLess(abs(row['error']), 0.05)
        activations = next(r for r in out['rows'] if '22B activations' in r['id'])
        self.assertLess(abs(activations['error']), 0.05)
        self.assertTrue(all(r['reason'] for r in out['rows'] if r['predicted_bytes'] is None))

    def test_memory_of_megatron_tests(self):
        test = 'gpt/gpt3_mcore_te_tp1_pp1_dist_optimizer_no_mmap_bin_files'
        rows = [r for r in rows_of(os.path.join(TABLES, 'memory_runs.csv')) if r['test'] == test]
        predicted = {}
        for row in report('--memory=' + table(rows))['rows']:
            self.assertLess(abs(row['error']), 0.005, row)
            predicted[row['id'].split()[1]] = row['predicted_bytes']
        # Transformer Engine holds 32 MiB on Hopper and 4 MiB on Ampere.
        self.assertEqual(predicted['h100'] - predicted['a100'], 28 * 2**20)


class Bars(unittest.TestCase):
    """Accuracy that has been reached on rows that nothing is fitted to."""

    @classmethod
    def setUpClass(cls):
        wanted = ('vtrain-a100', 'korthikanti', 'sc21')
        path = table([r for r in rows_of(RUNS) if r['family'].startswith(wanted)])
        cls.rows = [r for r in report(path)['rows'] if r['error'] is not None]

    def mape(self, prefix, words=''):
        errors = [abs(r['error']) for r in self.rows
                  if r['family'].startswith(prefix) and words in r['id']]
        self.assertGreater(len(errors), 0, prefix)
        return sum(errors) / len(errors)

    def test_megatron_on_a100(self):
        self.assertLess(self.mape('vtrain-a100'), 0.08)
        self.assertLess(self.mape('vtrain-a100', 'tp16'), 0.12)
        self.assertLess(self.mape('korthikanti'), 0.06)
        self.assertLess(self.mape('sc21'), 0.08)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
