"""meshstep validate, from outside: the report, and that nothing is fitted. Raw rows become tables of
scenarios by tests/validation/normalise.py, whose own test stands beside it."""

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
SHIPPED = os.path.join(SOURCE, 'examples/validation')
FRAMEWORKS = os.path.join(SOURCE, 'strategies/frameworks')

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


def raw(rows):
    """Path of a CSV of `rows`."""
    file = tempfile.NamedTemporaryFile('w', suffix='.csv', delete=False, newline='')
    with file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file.name


def table(rows):
    """Path of raw rows as a table of scenarios."""
    done = subprocess.run([sys.executable, os.path.join(TABLES, 'normalise.py'), raw(rows)],
                          capture_output=True, text=True, timeout=60, check=True)
    with tempfile.NamedTemporaryFile('w', suffix='.csv', delete=False, newline='') as file:
        file.write(done.stdout)
    return file.name


SMALL = [r for r in rows_of(RUNS) if r['family'] == 'vtrain-a100-3.6b'][:3]


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
            self.assertEqual(a['id'], b['name'])
            self.assertTrue(math.isclose(a['predicted_s'], float(b['step_time_s']), rel_tol=1e-4))
            self.assertTrue(math.isclose(a['error'], float(b['error']), rel_tol=1e-4))
        # What is printed is a table that every command reads again.
        written = raw(table_rows)
        self.assertEqual(json.loads(run(written, '--format=json'))['rows'], rows)
        markdown = run(path, '--format=markdown', '--rows')
        self.assertIn('|---|', markdown)
        self.assertIn('| ' + rows[0]['id'] + ' | ', markdown)

    def test_kernels_are_compared_by_group(self):
        shipped = os.path.join(SHIPPED, 'kernel_times.csv')
        profiles = rows_of(shipped)
        rows = json.loads(run('--kernels=' + shipped, '--format=json'))['rows']
        given = sum(1 for p in profiles for c in p if c.startswith('measured.busy.') and p[c])
        self.assertEqual(len(rows), given)
        by_id = {r['id']: r for r in rows}
        for profile in profiles:
            self.assertTrue(profile['source'])
            row = by_id[profile['name'] + ': matmuls']
            self.assertEqual(row['measured_s'], float(profile['measured.busy.matmuls']))
            self.assertGreater(row['predicted_s'], 0)
        wrong = raw([dict(profiles[0], **{'measured.busy.gemms': '1'})])
        self.assertIn('expected one of matmuls', run('--kernels=' + wrong, status=2))

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
        refused = run(path, '--without=magic', status=2)
        self.assertIn('--without: is "magic", expected one of launch', refused)
        self.assertIn('sharded-copies', refused)

    def test_every_label_of_a_framework_can_be_left_out(self):
        path = table(SMALL[:1])
        labels = set()
        for file in sorted(os.listdir(FRAMEWORKS)):
            with open(os.path.join(FRAMEWORKS, file), encoding='utf-8') as text:
                labels.update(re.findall(r'label: "([^"]*)"', text.read()))
        self.assertGreater(len(labels), 8)
        for label in labels:
            self.assertEqual(len(report(path, '--without=' + label)['rows']), 1, label)

    def test_a_framework_is_one_file(self):
        file = os.path.join(SOURCE, 'tests/data/frameworks/norms-twice.textproto')
        row = dict(rows_of(os.path.join(SHIPPED, 'training_runs.csv'))[0],
                   **{'plan.framework': 'pytorch-fsdp', 'model.norm_bias': ''})
        base, twice = report(raw([row, dict(row, **{'plan.framework': file})]))['rows']
        self.assertGreater(twice['predicted_s'], base['predicted_s'])
        wrong = file.replace('norms-twice', 'wrong-row')
        reason = report(raw([dict(row, **{'plan.framework': wrong})]))['rows'][0]['reason']
        self.assertIn('wrong-row.textproto:8:3: op[0].host_ops: is -2, expected 0 to 1e6', reason)

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
                self.assertIn('>' + row['id'] + '</td>', html)

    def test_wrong_input(self):
        self.assertIn('cannot be read', run('/nowhere.csv', status=2))
        self.assertIn(':1:2: column "x": the scenario has no field "x"',
                      run(raw([{'name': 'a', 'x': 1}]), status=2))
        self.assertIn(':2:2: plan.tensor is "many", expected a whole number',
                      run(raw([{'name': 'a', 'plan.tensor': 'many'}]), status=2))
        self.assertIn('which is the name of no row',
                      run(os.path.join(SHIPPED, 'training_runs.csv'), '--scenario=nothing', status=2))
        self.assertIn('needs the FILE', run('--scenario=nothing', status=2))
        self.assertIn('--min-bytes', run('--min-bytes=nan', status=2))


    def test_order_and_first_errors_are_summed_up(self):
        fields = {'model.preset': 'llama-3-8b', 'cluster.preset': 'dgx-h100', 'cluster.chips': '8',
                  'workload.global_batch_sequences': '16', 'workload.sequence_length': '8192',
                  'plan.framework': 'torchtitan-compiled', 'plan.micro_batch_sequences': '1',
                  'family': 'x', 'first_error': '', 'plan.fsdp': '8', 'plan.recompute': 'none'}
        plain = report(raw([dict(fields, name='a', **{'measured.step_time_s': '1'})]))['rows'][0]
        second = plain['predicted_s']
        # The plan that runs layers again is predicted slower; measured it is 15 % faster.
        rows = [dict(fields, name='a', first_error='0.5', **{'measured.step_time_s': str(second)}),
                dict(fields, name='b', **{'plan.recompute': 'full',
                                          'measured.step_time_s': str(second / 1.15)}),
                dict(fields, name='c', **{'plan.recompute': 'full',
                                          'measured.step_time_s': str(second * 1.5)})]
        out = report(raw(rows))
        self.assertEqual(out['order']['pairs'], 3)
        self.assertAlmostEqual(out['order']['right'], 1 / 3, places=12)
        self.assertAlmostEqual(out['order']['mean_regret'], 0.15, places=9)
        self.assertEqual((out['first_errors']['rows'], out['first_errors']['first_mape']), (1, 0.5))
        self.assertAlmostEqual(out['first_errors']['mape'], 0, places=12)


class Components(unittest.TestCase):

    def test_a_matmul_is_predicted_with_its_own_key_columns(self):
        path = raw([{'device': 'sm_90', 'dtype': 'bf16xbf16->bf16', 'batch': 1, 'm': 4096,
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
        out = report('--memory=' + os.path.join(SHIPPED, 'memory_published.csv'))
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
