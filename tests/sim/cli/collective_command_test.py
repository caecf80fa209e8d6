"""meshstep collective and validate --collectives, from outside."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv[1]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                          check=False)


def collective(*arguments):
    done = run('collective', *arguments, '--format=json')
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class CollectiveCommand(unittest.TestCase):

    def test_ring_of_four_takes_its_formula(self):
        # 64 MiB, 3/4 of it through two links of 100 GB/s, and two hops of 1 us.
        out = collective('all-gather', '--bytes=64MiB', '--chip=tpu-v5p', '--mesh=X=4',
                         '--over=X', '--fidelity=ideal', '--stepwise')
        formula = 2e-6 + 2**26 * 3 / 4 / 200e9
        for field in ('time_s', 'closed_form_s', 'stepwise_s'):
            self.assertAlmostEqual(out[field], formula, delta=5e-12)
        self.assertEqual(out['algorithm'], 'bidirectional-ring')
        self.assertEqual(out['ranks'], 4)
        self.assertAlmostEqual(out['busbw_bytes_per_s'], 2**26 / out['time_s'] * 3 / 4, delta=1)
        self.assertLessEqual(out['lower_bound_s'], out['time_s'])

    def test_spellings_of_a_student_are_the_same_question(self):
        asked = collective('all-gather', '--bytes=67108864', '--chip=tpu-v5p', '--mesh=X=4,Y=4',
                           '--over=X,Y')
        for kind, size, chip, mesh in (
                ('AllGather', '64MiB', 'v5p', '4x4'),
                ('all_gather', '2*4096*8192', 'TPU v5p', '{X:4, Y:4}'),
                ('allgather', '64 MiB', 'tpu-v5p', 'X:4,Y:4')):
            self.assertEqual(asked, collective(kind, '--bytes=' + size, '--chip=' + chip,
                                               '--mesh=' + mesh, '--over=XY'))
        self.assertEqual(
            collective('AllReduce', '--bytes=1GB', '--chip=H100', '--chips=8'),
            collective('all-reduce', '--bytes=1e9', '--chip=h100-sxm', '--mesh=X=8'))

    def test_all_to_all_on_a_pod_reaches_its_bisection(self):
        # 16x16: 256 chips of 64 MB, half of half of it over 32 links of 50 GB/s, 16 hops.
        out = collective('all-to-all', '--bytes=64MB', '--cluster=tpu-v5e', '--slice=16x16',
                         '--fidelity=ideal')
        self.assertAlmostEqual(out['lower_bound_s'], 128 * 128 / 256 * 64e6 / (32 * 50e9))
        self.assertAlmostEqual(out['time_s'], out['lower_bound_s'] + 16e-6, delta=2e-12)

    def test_rings_of_more_ranks_are_stepped_too(self):
        # 2 * 2047 steps of 2,048 messages, made one step at a time; each takes 1 us and a block of
        # 1/2048 through 50 GB/s, rounded up. Other algorithms are refused with what limits them.
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'ring.textproto')
            with open(path, 'w', encoding='utf-8') as file:
                file.write('chip { preset: "h100-sxm" } chips: 2048 nodes { chips_per_node: 1 '
                           'nic_gbytes_per_s: 50 nic_latency_ns: 1000 }')
            out = collective('all-reduce', '--bytes=1GB', '--cluster=' + path, '--algorithm=ring',
                             '--fidelity=ideal', '--stepwise')
        steps = 2 * 2047
        self.assertAlmostEqual(out['stepwise_s'], steps * (1e-6 + 1e9 / 2048 / 50e9),
                               delta=steps * 1e-12)
        done = run('collective', 'all-reduce', '--bytes=1GB', '--cluster=dgx-h100', '--chips=2048',
                   '--algorithm=hierarchical', '--stepwise')
        self.assertEqual(done.returncode, 2)
        self.assertIn('--stepwise: the group has 2048 ranks, expected at most 1024', done.stderr)

    def test_sweep_doubles(self):
        out = collective('all-reduce', '--sweep=1KiB:1MiB', '--cluster=dgx-h100', '--chips=64')
        self.assertEqual([o['bytes'] for o in out], [1024 * 2**i for i in range(11)])
        times = [o['time_s'] for o in out]
        self.assertEqual(times, sorted(times))

    def test_bad_input_is_one_sentence_and_status_2(self):
        for arguments, words in (
            (('all-gather', '--bytes=1', '--chip=none', '--mesh=X=4'), 'none'),
            (('all-gather', '--bytes=x', '--chip=h100-sxm', '--mesh=X=4'), '--bytes'),
            (('all-gather', '--bytes=1', '--chip=h100-sxm', '--mesh=X=9'), '--mesh'),
            (('all-gather', '--bytes=1', '--chip=h100-sxm', '--mesh=X=4', '--over=Z'), '--over'),
            (('all-gather', '--bytes=1', '--chip=h100-sxm', '--mesh=X=4', '--algorithm=z'), 'z'),
            (('all-gather', '--bytes=1', '--chip=h100-sxm', '--mesh=X=0'), '--mesh'),
            (('all-gather', '--bytes=1', '--chip=h100-sxm', '--mesh=X=99999999999'), '--mesh'),
            (('all-gather', '--sweep=8:4', '--chip=h100-sxm', '--mesh=X=4'), '--sweep'),
            (('gather', '--bytes=1', '--chip=h100-sxm', '--mesh=X=4'), 'gather'),
            (('all-gather', '--bytes=1'), '--cluster'),
        ):
            done = run('collective', *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stdout, '')


class ValidateCollectives(unittest.TestCase):

    def validate(self, content):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'rows.csv')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(content)
            return run('validate', f'--collectives={path}', '--format=json')

    def test_rows_of_both_kinds(self):
        done = self.validate('device,collective,group_size,tensor_bytes,time_us\n'
                             'sm_90,all-gather,8,67108864,250\n'
                             'none,all-gather,8,67108864,250\n')
        self.assertEqual(done.returncode, 0, done.stderr)
        first, second = json.loads(done.stdout)['rows']
        self.assertAlmostEqual(first['error'], first['predicted_s'] / 250e-6 - 1)
        self.assertIsNone(second['predicted_s'])
        self.assertEqual(second['reason'], 'the chip is not described')
        done = self.validate('id,family,collective,hardware,ranks,nodes,ranks_per_node,'
                             'interconnect,bytes,time_us\n'
                             'r,f,all_reduce,H100-80GB,16,2,8,"NVLink4 + 8x400G",1e9,5000\n')
        row = json.loads(done.stdout)['rows'][0]
        # 16 NICs of 50 GB/s carry at least half of the sum each way.
        self.assertGreater(row['predicted_s'], 1e9 / 8 / 50e9)
        self.assertLess(row['predicted_s'], 0.1)

    def test_clusters_that_rows_name_are_presets(self):
        rows = (('H100-80GB', 'p5: NVLink4 + 32x EFA 100G', 'aws-p5'),
                ('B200', 'P6-B200: NVLink5 + 8x400G EFAv4', 'aws-p6-b200'),
                ('H100-80GB', 'A3 High: 4x200G TCPX', 'gcp-a3-high'),
                ('H100-80GB', 'A3 Mega: TCPXO 8x200G', 'gcp-a3-mega'),
                ('B200', 'A4: NVLink5 + 8x400G RoCE', 'gcp-a4'),
                ('H100-80GB', 'RoCE (16x200G)', 'oci-h100'),
                ('MI355X', 'xGMI + AINIC', 'mi355x-ainic'),
                ('H100-80GB', 'NVLink4 + 8x400G', 'dgx-h100'))
        for hardware, interconnect, cluster in rows:
            for kind in ('all_reduce', 'all_gather'):
                done = self.validate('id,family,collective,hardware,ranks,nodes,ranks_per_node,'
                                     'interconnect,bytes,time_us\n'
                                     f'r,f,{kind},{hardware},32,4,8,"{interconnect}",1e8,5000\n')
                row = json.loads(done.stdout)['rows'][0]
                out = collective(kind, '--bytes=1e8', '--chips=32', '--cluster=' + cluster)
                self.assertEqual(row['predicted_s'], out['time_s'], cluster)
                self.assertEqual(row['algorithm'], out['algorithm'])

    def test_nics_that_differ_from_the_preset_are_those_of_the_row(self):
        def time(nics):
            done = self.validate('id,family,collective,hardware,ranks,nodes,ranks_per_node,'
                                 'interconnect,bytes,time_us\n'
                                 f'r,f,all_gather,H100-80GB,16,2,8,"{nics} EFA",1e10,5000\n')
            return json.loads(done.stdout)['rows'][0]['predicted_s']

        self.assertEqual(time('32x 100G'), time('p5'))
        self.assertGreater(time('16x 100G'), 1.5 * time('p5'))

    def test_pairs_are_groups_of_two(self):
        done = self.validate('device,collective,pattern,group_size,tensor_bytes,time_us\n'
                             'sm_90,collective-permute,one-way-ring,8,8388608,128\n'
                             'sm_90,collective-permute,two-way-pairs,8,8388608,93\n'
                             'gfx950,collective-permute,unknown,0,8388608,140\n')
        ring, pairs, unknown = json.loads(done.stdout)['rows']
        self.assertEqual([ring['group_size'], pairs['group_size'], unknown['group_size']],
                         [8, 2, 2])
        self.assertLess(pairs['predicted_s'], ring['predicted_s'])
        # One link of 76.5 GB/s.
        self.assertGreater(unknown['predicted_s'], 8388608 / 76.5e9)

    def test_bad_files(self):
        for content in ('', 'a,b\n1,2\n', 'device,collective,group_size,tensor_bytes,time_us\n1\n'):
            done = self.validate(content)
            self.assertEqual(done.returncode, 2)
            self.assertTrue(done.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
