"""meshstep calibrate, from outside: fits of logs and tables made from known constants, and wrong
input.

    calibrate_command_test.py PROGRAM SOURCE_FOLDER
"""

import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv[1]

TESTS = {'all-reduce': 'all_reduce', 'all-gather': 'all_gather',
         'reduce-scatter': 'reduce_scatter', 'all-to-all': 'alltoall'}
ALPHA_S, PORT = 20e-6, 200e9  # of the logs
SIZES = [2**i for i in range(10, 31)]


def bus_factor(collective, p):
    return (2 if collective == 'all-reduce' else 1) * (p - 1) / p


def alpha_beta(collective, p, size):
    return ALPHA_S + bus_factor(collective, p) * size / PORT


def nccl_log(collective, p, seconds=alpha_beta, sizes=SIZES, ranks=True):
    """As nccl-tests 2.17 prints it."""
    reduces = collective in ('all-reduce', 'reduce-scatter')
    lines = [f'# nccl-tests version 2.17.1 nccl-headers=22703 nccl-library=22703',
             f'# Collective test starting: {TESTS[collective]}_perf',
             f'# nThread 1 nGpus {p} minBytes 1024 maxBytes 1073741824 step: 2(factor) '
             'warmup iters: 5 iters: 20 agg iters: 1 validation: 1 graph: 0', '#',
             '# Using devices']
    if ranks:
        lines += [f'#  Rank {i:2} Group  0 Pid  {900 + i} on    node0 device {i:2} [0x0{i}] '
                  'NVIDIA H100 80GB HBM3' for i in range(p)]
    lines += ['#', '#                                          out-of-place       in-place',
              '#       size         count      type   redop    root     time   algbw   busbw #wrong'
              '     time   algbw   busbw #wrong',
              '#        (B)    (elements)                               (us)  (GB/s)  (GB/s)'
              '            (us)  (GB/s)  (GB/s)       ']
    for size in sizes:
        us = seconds(collective, p, size) * 1e6
        out = f'{us:8.2f} {size / us / 1e3:7.2f} {size / us / 1e3 * bus_factor(collective, p):7.2f}'
        inside = out.replace(out.split()[0], '1.00', 1)  # in-place must not be read
        lines.append(f'{size:12} {size // 4:12}     float {"sum" if reduces else "none":>7} '
                     f'     -1 {out}      0 {inside}    N/A')
    return '\n'.join(lines + ['# Out of bounds values : 0 OK', '# Avg bus bandwidth    : 99.9',
                              '#']) + '\n'


# The model of sim/cost/matmul.h for the h100-sxm file's bf16, in Python.
H100 = {'units': 132, 'peak': 989.4e12, 'hbm': 3.352e12, 'load': 136.2e9, 'store': 37.3e9,
        'start': 91e-9, 'split': 2297e-9}
TILES = [(256, 256), (256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64)]


def matmul_seconds(m, n, k, launch, peak_fraction, hbm_fraction, cache):
    best = math.inf
    memory = max(0, 2 * (m * k + k * n + m * n) - cache) / (H100['hbm'] * hbm_fraction)
    for tm, tn in TILES:
        for parts in (1, 2, 4, 8, 16):
            if parts > 1 and k / parts < 256:
                break
            waves = math.ceil(math.ceil(m / tm) * math.ceil(n / tn) * parts / H100['units'])
            depth = math.ceil(k / parts)
            compute = 2 * tm * tn * depth * H100['units'] / (H100['peak'] * peak_fraction)
            load = (tm + tn) * depth * 2 / H100['load']
            store = tm * tn * (4 if parts > 1 else 2) / H100['store']
            time = max(waves * (H100['start'] + max(compute, load) + store), memory)
            best = min(best, time + (H100['split'] if parts > 1 else 0))
    return launch + best


KNOWN = {'launch': 9e-6, 'peak_fraction': 0.7, 'hbm_fraction': 0.6}
SHAPES = ([(s, s, s) for s in (256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 12288)] +
          [(m, n, k) for m in (16, 64) for n in (8192, 28672) for k in (8192, 16384)] +
          [(m, 8192, 8192) for m in (512, 1024, 2048, 8192, 16384, 32768)])
HEADER = ('id,chip,op,groups,m,k,n,layout,dtype,out_dtype,accumulate,time_ms,tflops,pct_peak,'
          'peak_tflops,extra,source_ref,verified,trust,caveats')


def matmul_row(m, n, k, seconds, chip='h100-sxm', op='gemm', dtype='bf16'):
    return f'r,{chip},{op},,{m},{k},{n},,{dtype},,,{seconds * 1e3:.6g},,,,,,,,'


class CalibrateTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.cache = self.base()['calibration']['matmul'][0]['cache_bytes']

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def program(self, *arguments):
        return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=120)

    def json_of(self, *arguments):
        done = self.program(*arguments, '--format=json')
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def base(self):
        return self.json_of('show', 'chip', 'h100-sxm')

    def calibrate(self, *arguments, chip='h100-sxm'):
        """The file written, as JSON; and what it says on standard error."""
        self.path = self.folder / 'out.textproto'
        done = self.program('calibrate', f'--chip={chip}', f'--output={self.path}', *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b'')
        return self.json_of('show', 'chip', self.path), done.stderr.decode()

    def refuse(self, *parts, arguments):
        done = self.program('calibrate', *arguments)
        text = done.stderr.decode(errors='replace')
        self.assertEqual((done.returncode, done.stdout), (2, b''), text)
        for part in parts:
            self.assertIn(part, text)
        for word in ('CHECK', 'terminate', 'what()', 'internal error'):
            self.assertNotIn(word, text)

    def log(self, collective, p, **options):
        return self.write(f'{collective}-{p}.log', nccl_log(collective, p, **options))

    def matmuls(self, extra=(), **known):
        c = KNOWN | known
        rows = [matmul_row(m, n, k, matmul_seconds(m, n, k, cache=self.cache, **c))
                for m, n, k in SHAPES]
        return self.write('gpu.csv', '\n'.join([HEADER, *rows, *extra]) + '\n')

    def predicted(self, collective, p, size):
        report = self.json_of('collective', collective, f'--bytes={size}', f'--chip={self.path}',
                              f'--chips={p}')
        self.report = report
        return report['results'][0]['time_s'] if 'results' in report else report['time_s']


class CollectivesTest(CalibrateTest):

    def test_finds_the_alpha_and_beta_of_the_logs(self):
        logs = [self.log(c, p) for c in TESTS for p in (2, 4, 8)]
        chip, errors = self.calibrate('--collectives=' + ','.join(map(str, logs)))
        for entry in chip['collectives']:
            if entry['collective'] not in TESTS:
                continue
            self.assertIn('nccl-tests', entry['source'])
            for group in entry['groups']:
                self.assertAlmostEqual(group['latency_ns'] / (ALPHA_S * 1e9), 1, delta=0.02)
                p = group['ranks']
                # In the switch a port passes S, where bus bandwidth counts 2 (p - 1) / p of it.
                factor = (1 / bus_factor('all-reduce', p) if entry['algorithm'] == 'in-network'
                          else 1)
                for size, rate in zip(entry['bytes'], group['gbytes_per_s']):
                    if size >= 2**22:  # the bytes are at least as long as the latency
                        self.assertAlmostEqual(rate * 1e9 / PORT / factor, 1, delta=0.03)
        for collective in TESTS:
            self.assertRegex(errors, rf'{collective} .*median error 0\.\d %')

    def test_predicts_what_was_measured(self):
        logs = [self.log(c, p) for c in TESTS for p in (4, 8)]
        self.calibrate('--collectives=' + ','.join(map(str, logs)))
        for collective in TESTS:
            for p in (4, 8):
                for size in (2**11, 2**16, 3 * 2**19, 2**30):
                    expected = alpha_beta(collective, p, size)
                    self.assertAlmostEqual(self.predicted(collective, p, size) / expected, 1,
                                           delta=0.03, msg=f'{collective} {p} {size}')

    def test_more_bytes_never_take_less_time(self):
        noise = lambda c, p, s: alpha_beta(c, p, s) * (1.6 if s in (2**17, 2**24) else 1)
        self.calibrate(f'--collectives={self.log("all-gather", 8, seconds=noise)}')
        times = [self.predicted('all-gather', 8, s) for s in SIZES]
        self.assertEqual(times, sorted(times))

    def test_a_measured_group_goes_before_the_entries_of_the_chip(self):
        # 6 ranks: the chip's ring entry holds, and its in-network entry did from 5 on.
        chip, _ = self.calibrate(f'--collectives={self.log("all-reduce", 6)}')
        entries = {e['algorithm']: e for e in chip['collectives']
                   if e['collective'] == 'all-reduce'}
        self.assertEqual([g['ranks'] for g in entries['ring']['groups']], [6])
        self.assertEqual(entries['in-network']['min_ranks'], 7)
        others = [e for e in chip['collectives'] if e['collective'] != 'all-reduce']
        self.assertEqual(others,
                         [e for e in self.base()['collectives'] if e['collective'] != 'all-reduce'])

    def test_a_full_mesh(self):
        seconds = lambda c, p, s: ALPHA_S + s / p / 50e9  # through the link to one peer
        log = self.log('all-gather', 8, seconds=seconds, ranks=False)
        chip, _ = self.calibrate('--ranks=8', f'--collectives={log}', chip='mi355x')
        entry = next(e for e in chip['collectives'] if e['collective'] == 'all-gather')
        self.assertAlmostEqual(entry['groups'][0]['gbytes_per_s'][-1], 50, delta=0.5)
        self.assertAlmostEqual(self.predicted('all-gather', 8, 2**28) /
                               seconds('', 8, 2**28), 1, delta=0.02)

    def test_ranks_and_name_from_outside(self):
        text = nccl_log('all-gather', 4, ranks=False)
        named = self.write('all_gather_perf.txt', re.sub('# Coll.*\n', '', text))
        chip, _ = self.calibrate('--ranks=4', f'--collectives={named}')
        entry = next(e for e in chip['collectives'] if e['collective'] == 'all-gather')
        self.assertEqual([g['ranks'] for g in entry['groups']], [4])

    def test_logs_of_mpirun_and_of_old_versions(self):
        plain = self.log('all-gather', 4)
        expected = self.calibrate(f'--collectives={plain}')[0]['collectives'][0]['groups']
        text = plain.read_text()
        tagged = re.sub('^', '[1,0]<stdout>:', text, flags=re.M).replace(
            '#\n', '#\n[1,0]<stdout>:node0:21:21 [0] NCCL INFO Bootstrap : Using eth0:10.0.0.1<0>\n',
            1)
        old = re.sub(r'# (nccl-tests|Coll).*\n', '', text).replace('#wrong', ' error').replace(
            '      0 ', '  4e-07 ').replace('   redop    root', '').replace('none      -1', '')
        for name, changed in (('t.log', tagged), ('all_gather_perf.log', old)):
            self.assertNotEqual(changed, text)
            chip, _ = self.calibrate(f'--collectives={self.write(name, changed)}')
            self.assertEqual(chip['collectives'][0]['groups'], expected)

    def groups(self, text, *arguments, collective='all-gather', name='any.log'):
        """What a log of 4 ranks is fitted to, and what is said."""
        chip, errors = self.calibrate(f'--collectives={self.write(name, text)}', *arguments)
        entry = next(e for e in chip['collectives'] if e['collective'] == collective
                     and [g['ranks'] for g in e['groups']] == [4])
        return entry['groups'], errors

    def test_the_test_is_the_one_that_starts(self):
        log = nccl_log('all-gather', 4)
        expected, _ = self.groups(log)
        self.assertEqual(self.groups(
            '+ for t in reduce_scatter_perf all_gather_perf; do\n' + log)[0], expected)
        # Older logs do not say it: the only test mentioned, or --kind.
        old = re.sub('# Coll.*\n', '', log)
        self.assertEqual(self.groups('mpirun -np 4 ./all_gather_perf -b 1K\n' + old)[0], expected)
        self.assertEqual(self.groups(old, '--kind=all-gather')[0], expected)
        path = self.write('two.log', 'all_gather_perf reduce_scatter_perf\n' + old)
        self.refuse('names several tests', '--kind', arguments=['--chip=h100-sxm',
                                                                f'--collectives={path}'])

    def test_what_launchers_put_before_lines_is_taken_off(self):
        log = nccl_log('all-gather', 4)
        expected, _ = self.groups(log)
        for prefix in ('0: ', ' 3: ', '[1,0]<stdout>:', '[1,0]<stdout>: ',
                       'Mon Nov 30 14:00:00 2026[1,0]<stdout>:', '[prterun-a-1@1,0]<stdout>:',
                       '2026-11-30T14:00:00.123Z ', '2026-11-30 14:00:00,123 ', '[14:00:00] ',
                       'worker-0: ', 'worker-0  | ', '[pod/nccl-0/main] ', '[0] ',
                       '2026-11-30T14:00:00Z node-7: 0: '):
            with self.subTest(prefix):
                groups, errors = self.groups(re.sub('^', prefix, log, flags=re.M))
                self.assertEqual(groups, expected)
                self.assertNotIn('passed over', errors)

    def test_lines_of_others_are_passed_over_and_counted(self):
        log = nccl_log('all-gather', 4)
        expected, _ = self.groups(log)
        lines = log.splitlines()
        lines.insert(-8, '10.0.0.15: Warning: Permanently added a host key')
        lines.insert(-6, '3 nodes are up')
        groups, errors = self.groups('\n'.join(lines))
        self.assertEqual(groups, expected)
        self.assertIn('any.log: 2 lines among the rows passed over', errors)
        groups, errors = self.groups(log.replace('NVIDIA H100 80GB HBM3', 'Graphics Device'))
        self.assertEqual(groups, expected)
        self.assertIn('its ranks are "Graphics Device", taken for h100-sxm', errors)

    def test_several_runs_of_a_file(self):
        both = nccl_log('all-reduce', 4) + nccl_log('all-gather', 4)
        expected, _ = self.groups(nccl_log('all-gather', 4))
        self.assertEqual(self.groups(both)[0], expected)
        self.assertIn('all-reduce', self.groups(both)[1])

    def test_no_time_is_below_its_bound(self):
        # 400 GB/s of a link of 450, of which the chip takes 0.818 to be usable.
        seconds = lambda c, p, s: ALPHA_S + bus_factor(c, p) * s / 400e9
        self.calibrate(f'--collectives={self.log("all-gather", 8, seconds=seconds)}')
        for size in (2**20, 2**26, 2**30):
            self.predicted('all-gather', 8, size)
            report = self.report['results'][0] if 'results' in self.report else self.report
            self.assertLessEqual(report['lower_bound_s'], report['time_s'])

    def test_times_beyond_those_of_any_chip(self):
        path = self.write('slow.log', nccl_log('all-gather', 4, sizes=[4],
                                               seconds=lambda c, p, s: 1e3))
        done = self.program('calibrate', '--chip=h100-sxm', f'--collectives={path}')
        self.assertIn(done.returncode, (0, 2), done.stderr)
        self.assertNotIn(b'CHECK', done.stderr)

    def test_wrong_logs(self):
        good = nccl_log('all-gather', 8)
        row = next(i for i, l in enumerate(good.splitlines(), 1) if l.split()[0] == '1048576')
        cells = good.splitlines()[row - 1]

        def refuse(text, *parts, name='a.log', more=()):
            path = self.write(name, text)
            self.refuse(*parts, arguments=['--chip=h100-sxm', f'--collectives={path}', *more])

        def changed(cell):
            return good.replace(cells, cell)

        here = f'a.log:{row}: '
        refuse(changed(cells[:60]), here + 'has ', 'columns, expected at least')
        refuse(changed(cells.replace(cells.split()[5], 'fast')), here + 'time is "fast"')
        refuse(changed(cells.replace(cells.split()[5], 'nan')), here + 'time is "nan"')
        refuse(changed(cells.replace(cells.split()[5], '-3.0')), here + 'time is "-3.0"')
        refuse(changed(cells.replace('     0 ', '     7 ')), here + '#wrong is "7"')
        twice = re.sub('# (nccl-tests|Collective test|nThread).*\n', '', good)
        refuse(good + twice, 'a second time, expected one run; split the file')
        bare = re.sub('#  Rank.*\n', '', twice)
        refuse(good + bare, 'a second header', 'split the file before it')
        refuse(good, 'lists 8 ranks, but --ranks is 4', more=['--ranks=4'])
        refuse(nccl_log('all-gather', 8, ranks=False), 'expected --ranks=N')
        refuse(nccl_log('all-gather', 8, ranks=False), 'busbw is 0.87', 'on 2 ranks',
               more=['--ranks=2'])
        refuse(re.sub('# Coll.*\n', '', good), 'does not say which test ran')
        # The test is what the log says it is, and so are its reduction and its bus bandwidth.
        refuse(good.replace('all_gather_perf', 'all_reduce_perf'),
               'redop is "none", expected a reduction for all_reduce_perf')
        refuse(nccl_log('all-reduce', 8).replace('all_reduce_perf', 'reduce_scatter_perf'),
               'busbw is 1.75', 'expected 0.87')
        refuse(good.replace('none', ' sum'), 'redop is "sum", expected none for all_gather_perf')
        refuse(good.replace('none', 'mult'), 'redop is "mult", expected none or one of sum, ')
        refuse(good.replace('   float', 'float37'), 'type is "float37", expected one of int8, ')
        refuse(good.replace('all_gather_perf', 'broadcast_perf'),
               'is of "broadcast_perf", expected one of all_reduce_perf')
        refuse(good, 'is of all_gather_perf, but --kind is all-reduce', more=['--kind=all-reduce'])
        refuse(good, '--kind: ', 'gather', more=['--kind=gathering'])
        refuse(good.replace('values : 0 OK', 'values : 3 FAILED'), 'the results were wrong')
        refuse(good.replace('H100 80GB HBM3', 'B200'),
               'its ranks are "NVIDIA B200", but --chip is h100-sxm')
        refuse(good.replace('#  Rank  3', '#  Rank 30'), 'lists 8 ranks up to rank 30')
        refuse(nccl_log('all-gather', 16), 'of 16 ranks, expected at most the 8')
        refuse(good.replace('on    node0 device  7', 'on    node1 device  0'), 'of 2 hosts, expected 1')
        refuse('', 'has no header')
        refuse(bytes(range(256)) * 40, 'has no header')
        refuse(good[:good.index('(GB/s)       \n') + 13], 'has no rows')
        self.refuse('nothing.log: cannot be read',
                    arguments=['--chip=h100-sxm', '--collectives=nothing.log'])
        path = self.write('b.log', good)
        self.refuse('not on a switch', arguments=['--chip=tpu-v5p', f'--collectives={path}'])


class MatmulsTest(CalibrateTest):

    def entry(self, chip, dtype='bf16'):
        return next(e for e in chip['calibration']['matmul'] if e['dtype'] == dtype)

    def test_finds_the_constants_of_the_table(self):
        chip, errors = self.calibrate(f'--matmuls={self.matmuls()}')
        entry = self.entry(chip)
        self.assertAlmostEqual(entry['launch_ns'] / (KNOWN['launch'] * 1e9), 1, delta=0.02)
        self.assertAlmostEqual(entry['peak_fraction'] / KNOWN['peak_fraction'], 1, delta=0.02)
        self.assertAlmostEqual(entry['hbm_fraction'] / KNOWN['hbm_fraction'], 1, delta=0.02)
        self.assertRegex(errors, r'matmul bf16: 23 rows, median error 0\.\d %')
        rates = sorted((2 * m * n * k / matmul_seconds(m, n, k, cache=self.cache, **KNOWN)
                        for m, n, k in SHAPES
                        if matmul_seconds(m, n, k, cache=self.cache, **KNOWN) >= 1e-3),
                       reverse=True)
        self.assertAlmostEqual(entry['sustained_fraction'], rates[1] / H100['peak'], delta=1e-4)
        # Everything else is the chip's.
        base = self.base()
        for field in ('load_gbytes_per_s', 'store_gbytes_per_s', 'tile_start_ns', 'split_ns',
                      'cache_bytes', 'choose_tile'):
            self.assertEqual(entry[field], self.entry(base)[field])
        self.assertEqual(self.entry(chip, 'fp8'), self.entry(base, 'fp8'))
        self.assertEqual(chip['collectives'], base['collectives'])

    def test_outliers_do_not_decide(self):
        bad = [matmul_row(4096, 4096, 4096, 1), matmul_row(8192, 8192, 8192, 1e-5)]
        chip, _ = self.calibrate(f'--matmuls={self.matmuls(bad)}')
        entry = self.entry(chip)
        for field in ('peak_fraction', 'hbm_fraction'):
            self.assertAlmostEqual(entry[field] / KNOWN[field], 1, delta=0.03)

    def test_the_columns_of_the_other_table(self):
        rows = [f'sm_90,bf16xbf16->bf16,1,{m},{n},{k},,'
                f'{matmul_seconds(m, n, k, cache=self.cache, **KNOWN) * 1e6:.6g},,,'
                for m, n, k in SHAPES]
        path = self.write('t.csv', '\n'.join(
            ['device,dtype,batch,m,n,k,tflops,time_us,peak_tflops,fraction,flag', *rows]))
        chip, _ = self.calibrate(f'--matmuls={path}')
        self.assertAlmostEqual(self.entry(chip)['peak_fraction'] / 0.7, 1, delta=0.02)

    def test_rows_left_out_are_told(self):
        extra = [matmul_row('', '', '', 1e-3, op='sdpa_fwd'), matmul_row(9, 9, 9, 1, chip='B200'),
                 matmul_row(64, 64, 64, 1e-5, dtype='fp16'),
                 matmul_row(64, 64, 64, 1).replace(',1000,', ',,')]
        path = self.matmuls(extra)
        chip, errors = self.calibrate(f'--matmuls={path}')
        for part in ('1 row not a single matmul', '1 row of another chip',
                     'matmul fp16: 1 row, fewer than 8', '1 row without a time'):
            self.assertIn(part, errors)
        self.assertNotIn('fp16', [e['dtype'] for e in chip['calibration']['matmul']
                                  if 'fp16' not in map(lambda b: b['dtype'],
                                                       self.base()['calibration']['matmul'])])

    def test_another_device_by_name(self):
        text = self.matmuls().read_text().replace('h100-sxm', 'my card')
        path = self.write('mine.csv', text)
        self.refuse('no rows of h100-sxm', 'my card',
                    arguments=['--chip=h100-sxm', f'--matmuls={path}'])
        chip, _ = self.calibrate(f'--matmuls={path}', '--device=my card')
        self.assertAlmostEqual(self.entry(chip)['peak_fraction'] / 0.7, 1, delta=0.02)

    def test_the_file_simulates_and_says_where_it_comes_from(self):
        self.calibrate(f'--matmuls={self.matmuls(peak_fraction=0.4)}', '--date=2026-11-20')
        text = self.path.read_text()
        for part in ('# matmuls: ', 'gpu.csv', 'measured 2026-11-20', '# matmul bf16: 23 rows'):
            self.assertIn(part, text)
        step = lambda *more: self.json_of('simulate', 'llama3-70b-h100-512', *more)['step_time_s']
        slow = step('--set', f'cluster.chip.preset={self.path}')
        self.assertGreater(slow, 1.3 * step())  # the peak fraction was 0.9 and is 0.4

    def test_same_input_same_bytes(self):
        arguments = ['calibrate', '--chip=h100-sxm', f'--matmuls={self.matmuls()}',
                     f'--collectives={self.log("all-gather", 8)}']
        self.assertEqual(self.program(*arguments).stdout, self.program(*arguments).stdout)

    def test_wrong_tables(self):
        def refuse(text, *parts):
            path = self.write('m.csv', text)
            self.refuse(*parts, arguments=['--chip=h100-sxm', f'--matmuls={path}'])

        refuse('', 'm.csv: is empty')
        refuse(HEADER.replace('time_ms', 'time'), 'm.csv:1: has no column "time_ms"')
        refuse(HEADER + '\n', 'has no rows of h100-sxm')
        refuse(f'{HEADER}\n{matmul_row(0, 8, 8, 1e-3)}', 'm.csv:2: m is "0"')
        refuse(f'{HEADER}\n{matmul_row(8, "many", 8, 1e-3)}', 'm.csv:2: n is "many"')
        refuse(f'{HEADER}\n{matmul_row(8, 8, 8, -1)}', 'm.csv:2: time_ms is "-1000"')
        refuse(f'{HEADER}\n{matmul_row(8, 8, 8, float("inf"))}', 'm.csv:2: time_ms is "inf"')
        refuse(f'{HEADER}\n{matmul_row(8, 8, 8, 1, dtype="int3")}', 'm.csv:2: ', '"int3"')
        refuse(f'{HEADER}\n{matmul_row(8, 8, 8, 1)},9', 'm.csv:2:')
        refuse(HEADER + '\n"r,', 'm.csv:2: a quoted field does not end')


class OptionsTest(CalibrateTest):

    def test_wrong_options(self):
        self.refuse('needs --collectives, --matmuls or both', arguments=['--chip=h100-sxm'])
        self.refuse('--chip is required', arguments=['--matmuls=x.csv'])
        self.refuse('nearest: h100', arguments=['--chip=h100-sxn', '--matmuls=x.csv'])
        self.refuse('is not a file that can be read',
                    arguments=['--chip=none.textproto', '--matmuls=x.csv'])
        self.refuse('--date: is "yesterday", expected YYYY-MM-DD',
                    arguments=['--chip=h100-sxm', '--matmuls=x.csv', '--date=yesterday'])
        self.refuse('--ranks: is of --collectives',
                    arguments=['--chip=h100-sxm', '--matmuls=x.csv', '--ranks=8'])
        self.refuse('--device: is of --matmuls',
                    arguments=['--chip=h100-sxm', '--collectives=x', '--device=B200'])
        self.refuse('--output', arguments=['--chip=h100-sxm', f'--matmuls={self.matmuls()}',
                                           '--output=/nowhere/out.textproto'])

    def test_help_has_an_example(self):
        done = self.program('calibrate', '--help')
        self.assertEqual(done.returncode, 0)
        self.assertIn(b'Example:', done.stdout)

    def test_calibrates_a_calibrated_file_further(self):
        first, _ = self.calibrate(f'--matmuls={self.matmuls()}')
        path = self.path.rename(self.folder / 'first.textproto')
        second, _ = self.calibrate(f'--collectives={self.log("all-gather", 8)}', chip=path)
        self.assertEqual(first['calibration'], second['calibration'])
        self.assertNotEqual(first['collectives'], second['collectives'])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
