"""measure_gpu.py without a GPU: the list of what it would measure, and the rows it writes.

    measure_gpu_test.py PROGRAM SOURCE_FOLDER
"""

import csv
import importlib.util
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
SCRIPT = SOURCE / 'tests/validation/measure_gpu.py'
HEADER = ('id,chip,op,groups,m,k,n,layout,dtype,out_dtype,accumulate,time_ms,tflops,pct_peak,'
          'peak_tflops,extra,source_ref,verified,trust,caveats')  # of matmul_runs.csv


def load_script():
    spec = importlib.util.spec_from_file_location('measure_gpu', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


class MeasureGpuTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        # In front of any PyTorch that is installed: importing it fails.
        pathlib.Path(self.folder.name, 'torch.py').write_text('raise ImportError("none here")\n')

    def run_script(self, *arguments, status=0):
        done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True,
                              timeout=60, env=os.environ | {'PYTHONPATH': self.folder.name})
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def rows(self, *arguments):
        text = self.run_script('--dry-run', *arguments).stdout
        self.assertEqual(text.splitlines()[0], HEADER)
        return list(csv.DictReader(io.StringIO(text)))

    def test_lists_every_kind_of_work(self):
        for arguments in ([], ['--quick']):
            rows = self.rows(*arguments)
            self.assertEqual({r['op'] for r in rows},
                             {'gemm', 'sdpa_fwd', 'sdpa_bwd', 'copy', 'adam', 'layers_fwd_bwd'})
            self.assertEqual({r['dtype'] for r in rows if r['op'] == 'gemm'},
                             {'bf16', 'fp16', 'tf32', 'fp8'})
            self.assertEqual(len({r['id'] for r in rows}), len(rows))
            self.assertTrue(all(r['time_ms'] == r['tflops'] == '' for r in rows))

    def test_quick_is_a_small_part(self):
        self.assertLess(5 * len(self.rows('--quick')), len(self.rows()))

    def test_shapes(self):
        gemms = [r for r in self.rows() if r['op'] == 'gemm']
        self.assertIn(('8192', '8192', '8192'), {(r['m'], r['k'], r['n']) for r in gemms})
        self.assertLess(min(int(r['m']) for r in gemms), 64)  # thin: HBM decides
        for r in gemms:
            if r['dtype'] == 'fp8':  # what the fp8 kernels take
                self.assertEqual((int(r['k']) % 16, int(r['n']) % 16), (0, 0), r['id'])

    def test_layers_cover_the_grid(self):
        shapes = [dict(e.split('=') for e in r['extra'].split(', '))
                  for r in self.rows('--only=layers_fwd_bwd')]
        self.assertEqual(len(shapes), 3 * 3 * 3 * 2)
        for key, values in {'hidden': '2048 4096 8192', 'seq_len': '2048 4096 8192',
                            'micro_batch': '1 2 4', 'compiled': '0 1'}.items():
            self.assertEqual({s[key] for s in shapes}, set(values.split()))

    def test_a_measured_row(self):
        script = load_script()
        gpu = {'chip': 'h100-sxm', 'peaks': {'bf16': 1000}, 'source': 'here'}
        case = next(c for c in script.matmul_cases(True) if (c['m'], c['k'], c['n']) == (4096,) * 3)
        row = script.row_of(case, gpu, seconds=1e-3)
        self.assertEqual(row['time_ms'], '1')
        self.assertAlmostEqual(float(row['tflops']), 2 * 4096**3 / 1e-3 * 1e-12, places=2)
        self.assertAlmostEqual(float(row['pct_peak']), float(row['tflops']) / 10, places=2)
        # 6 FLOPs per weight and token, and 3.5 times the forward attention's 4 s^2 h / 2.
        weights = 4096**2 * (1 + 2 / 4 + 1) + 3 * 4096 * 14336
        self.assertEqual(script.layer_flops(4096, 2048, 1),
                         4 * (6 * weights * 2048 + 3.5 * 2 * 2048**2 * 4096))

    def test_the_program_reads_the_columns(self):
        path = pathlib.Path(self.folder.name, 'gpu.csv')
        self.run_script('--dry-run', '--quick', '--output', path)
        done = subprocess.run([PROGRAM, 'validate', f'--matmuls={path}', '--rows'],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_says_what_it_needs(self):
        self.assertIn('PyTorch is not installed', self.run_script(status=1).stderr)
        self.assertIn("'sdpa' is not one of gemm",
                      self.run_script('--dry-run', '--only=sdpa', status=2).stderr)
        self.assertIn('expected at least 1',
                      self.run_script('--dry-run', '--repetitions=0', status=2).stderr)
        self.assertIn('--quick', self.run_script('--help').stdout)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
