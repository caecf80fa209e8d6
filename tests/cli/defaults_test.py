"""What a person may leave out or write otherwise: a degree, the batch in tokens, words in any case, a
scenario to build on, the format of standard input; and verdicts as exit statuses.

    defaults_test.py PROGRAM SOURCE_FOLDER
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
MODEL = 'model { preset: "llama-3-8b" } cluster { preset: "dgx-h100" chips: 64 } '
WORK = 'workload { global_batch_sequences: 128 sequence_length: 8192 } '


def run(*arguments, text=None):
    return subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True)


class DefaultsTest(unittest.TestCase):

    def report(self, text, *more):
        done = run('simulate', '-', '--brief', '--format=json', *more, text=text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def same(self, one, other):
        a, b = self.report(MODEL + one), self.report(MODEL + other)
        for field in ('step_time_s', 'memory', 'communication'):
            self.assertEqual(a[field], b[field], field)
        return a

    def test_the_degree_that_is_left(self):
        notes = self.same(WORK + 'plan { fsdp: 8 micro_batch_sequences: 1 }',
                          WORK + 'plan { fsdp: 8 data: 8 micro_batch_sequences: 1 }')['notes']
        self.assertTrue(any('plan.data is 8' in note for note in notes), notes)
        self.same(WORK + 'plan { data: 8 tensor: 2 micro_batch_sequences: 1 }',
                  WORK + 'plan { data: 8 fsdp: 4 tensor: 2 micro_batch_sequences: 1 }')
        self.same(WORK + 'plan { micro_batch_sequences: 1 }',
                  WORK + 'plan { data: 64 micro_batch_sequences: 1 }')
        refused = run('simulate', '-', text=MODEL + WORK + 'plan { tensor: 3 }')
        self.assertEqual(refused.returncode, 2)
        # Both are given: nothing is left to choose.
        refused = run('simulate', '-', text=MODEL + WORK + 'plan { data: 8 fsdp: 4 }')
        self.assertEqual(refused.returncode, 2)
        self.assertIn('the cluster has 64', refused.stderr)

    def test_zero_3_beside_fsdp_is_fsdp(self):
        self.same(WORK + 'plan { fsdp: 64 zero_stage: 3 micro_batch_sequences: 1 }',
                  WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 }')

    def test_the_batch_in_tokens(self):
        plan = 'plan { fsdp: 64 micro_batch_sequences: 1 } '
        for tokens in ('1048576', '1M', '1m', '1048.576K'):
            self.same('workload { global_batch_tokens: "%s" sequence_length: 8192 } ' % tokens + plan,
                      WORK + plan)
        # 4e6 is 4,000 sequences of 1,000.
        at = 'workload { global_batch_tokens: "4M" sequence_length: 1000 } '
        report = self.report(MODEL + at + 'plan { data: 2 fsdp: 16 tensor: 2 }')
        self.assertAlmostEqual(report['tokens_per_s'] * report['step_time_s'], 4e6, delta=1)
        for wrong in ('x', '-4M', '4MM', '1e400', '5000', '0'):
            text = 'workload { global_batch_tokens: "%s" sequence_length: 8192 } ' % wrong
            done = run('simulate', '-', text=MODEL + text + plan)
            self.assertEqual(done.returncode, 2, wrong)
            self.assertIn('global_batch_tokens', done.stderr)

    def test_words_in_any_case(self):
        self.same(WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 recompute: "Full" '
                  'precision { compute: "BF16" } }',
                  WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 recompute: "full" }')
        report = self.report(MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 }',
                             '--set', 'workload.mode=train', '--set', 'plan.dropout=False')
        self.assertGreater(report['step_time_s'], 0)

    def test_a_scenario_builds_on_another(self):
        with tempfile.TemporaryDirectory() as folder:
            write = lambda name, text: pathlib.Path(folder, name).write_text(text, encoding='utf-8')
            write('a.textproto', MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 }')
            write('b.textproto', 'base: "a.textproto" plan { recompute: "full" }')
            write('c.textproto', 'base: "c.textproto"')
            write('d.textproto', '\nbase: "none.textproto"')
            write('e.textproto', 'base: "a.textproto" plan { tensor: 3 }')
            both = lambda name: run('simulate', folder + '/' + name, '--brief', '--format=json')
            full = json.loads(both('b.textproto').stdout)
            self.assertEqual(full['scenario'], 'b')
            self.assertEqual(full['step_time_s'], self.report(
                MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 recompute: "full" }')
                ['step_time_s'])
            self.assertIn('builds on itself', both('c.textproto').stderr)
            self.assertIn('d.textproto:2:1: base', both('d.textproto').stderr)
            for name in ('c.textproto', 'd.textproto', 'e.textproto'):
                self.assertEqual(both(name).returncode, 2, name)

    def test_the_last_batch_that_is_given_counts(self):
        plan = 'plan { fsdp: 64 micro_batch_sequences: 1 }'
        twice = self.report(MODEL + WORK.replace('128', '256') + plan)['step_time_s']
        with tempfile.TemporaryDirectory() as folder:
            path = folder + '/a.textproto'
            pathlib.Path(path).write_text(MODEL + WORK + plan, encoding='utf-8')
            # 256 sequences of 8,192 tokens.
            above = 'base: "%s" workload { global_batch_tokens: "2M" }' % path
            self.assertEqual(self.report(above)['step_time_s'], twice)
            tokens = ('--set', 'workload.global_batch_tokens=2M')
            self.assertEqual(self.report(MODEL + WORK + plan, *tokens)['step_time_s'], twice)
            self.assertEqual(self.report(above, '--set', 'workload.global_batch_sequences=256')
                             ['step_time_s'], twice)
        # In one place both are a contradiction.
        both = WORK.replace('}', 'global_batch_tokens: "2M" }')
        self.assertEqual(run('simulate', '-', text=MODEL + both + plan).returncode, 2)

    def test_show_is_short_unless_full_is_asked_for(self):
        text = MODEL + WORK + 'plan { fsdp: 8 micro_batch_sequences: 1 framework: "torchtitan" }'
        short = run('show', 'scenario', '-', text=text).stdout
        full = run('show', 'scenario', '-', '--full', text=text).stdout
        self.assertIn('  data: 8\n', short)  # inferred
        self.assertIn('# fsdp 8 shards B of COMPUTE', short)
        self.assertLess(len(short.splitlines()), 40)
        self.assertGreater(len(full.splitlines()), 100)
        self.assertEqual(self.report(short)['step_time_s'], self.report(full)['step_time_s'])

    def test_rules_that_are_missing_are_named(self):
        notes = self.report(
            MODEL + WORK + 'plan { mesh { axes { name: "x" size: 8 } axes { name: "y" size: 8 } } '
            'rules { dimension: "B" axes: "x" of: COMPUTE } '
            'rules { dimension: "F" axes: "y" of: COMPUTE } }')['notes']
        for part in ('nothing of RESIDUAL', 'F of COMPUTE but not N and K',
                     'none is of PARAMETERS or OPTIMIZER'):
            self.assertTrue(any(part in note for note in notes), (part, notes))

    def test_a_set_for_one_scenario(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + '/a.textproto'
            pathlib.Path(path).write_text(
                MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 }', encoding='utf-8')
            done = run('compare', path, path, '--set', '2:plan.recompute=full', '--baseline=2',
                       '--format=json')
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual([f['field'] for f in report['fields']], ['plan.recompute'])
            self.assertEqual([s['scenario'] for s in report['scenarios']],
                             ['a', 'a (recompute=full)'])
            self.assertEqual(report['baseline'], 1)
            self.assertGreater(report['comparisons'][0]['speedup'], 1)
            wrong = run('compare', path, path, '--set', '3:plan.tensor=2')
            self.assertEqual(wrong.returncode, 2)
            self.assertIn('N from 1 to 2', wrong.stderr)

    def test_standard_input_is_what_it_looks_like(self):
        shown = run('show', 'scenario', '-', '--format=json',
                    text=MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 }')
        self.assertEqual(self.report(shown.stdout)['step_time_s'], self.report(
            MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 }')['step_time_s'])

    def test_a_decode_pipeline_keeps_its_stages_busy(self):
        text = ('model { preset: "llama-3-70b" } cluster { preset: "dgx-h100" chips: 32 } '
                'workload { mode: DECODE global_batch_sequences: 64 sequence_length: 8192 } '
                'plan { tensor: 8 pipeline: 4 %s }')
        chosen = self.report(text % '')['step_time_s']
        same = self.report(text % 'micro_batch_sequences: 16')['step_time_s']  # 64 over 4 stages
        self.assertEqual(chosen, same)
        # A stage reads all of its parameters for every micro-batch.
        self.assertLess(5 * chosen, self.report(text % 'micro_batch_sequences: 1')['step_time_s'])

    def test_unknown_commands_name_the_nearest(self):
        done = run('simulat', 'x')
        self.assertEqual(done.returncode, 2)
        self.assertIn('simulate', done.stderr)
        done = run('simulate', 'llama3-70b-h100')
        self.assertEqual(done.returncode, 2)
        self.assertIn('llama3-70b-h100-512', done.stderr)

    def test_verdicts_as_exit_statuses(self):
        text = MODEL + WORK + 'plan { fsdp: 64 micro_batch_sequences: 1 memory_reserve { %s } }'
        for reserve, verdict, strict in (('', 'FITS', 0), ('context_bytes: 8e10', 'TIGHT', 3)):
            memory = self.report(text % reserve)['memory']
            self.assertEqual((memory['verdict'], memory['fits']), (verdict, True))
            for flag, status in (('--require-fit', 0), ('--require-fit=strict', strict)):
                done = run('simulate', '-', '--brief', flag, text=text % reserve)
                self.assertEqual(done.returncode, status, (verdict, flag))
        big = text % '' + '\n'
        done = run('simulate', '-', '--require-fit', '--set', 'plan.fsdp=1', '--set', 'plan.data=64',
                   text=big)
        self.assertEqual(done.returncode, 3)
        self.assertIn('does not fit', done.stdout.splitlines()[0])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
