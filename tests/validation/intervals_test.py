"""tests/validation/intervals.py, and the file that it made."""

import os
import re
import sys
import unittest

SOURCE = sys.argv[2]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, 'tests/validation'))
import intervals  # noqa: E402

SHIPPED = os.path.join(SOURCE, 'examples/validation/intervals.textproto')


def rows(family, ratios):
    return [{'family': family, 'ratio': ratio} for ratio in ratios]


class Intervals(unittest.TestCase):

    def test_every_source_weighs_alike(self):
        # Ten rows of one source count as much as a thousand of another.
        low, high = intervals.interval(rows('many', [1.0] * 1000) + rows('few', [2.0] * 10))
        self.assertEqual((low, high), (1.0, 2.0))

    def test_ends_are_percentiles_one_row_further_out(self):
        # 99 rows: 1 / 100 further out than 10 and 90 %, the 9th and the 91st of 100.
        low, high = intervals.interval(rows('a', [n / 100 for n in range(1, 100)]))
        self.assertAlmostEqual(low, 0.09, places=9)
        self.assertAlmostEqual(high, 0.91, delta=0.011)

    def test_the_shipped_file_names_frameworks_that_there_are(self):
        known = {f[:-10] for f in os.listdir(os.path.join(SOURCE, 'strategies/frameworks'))}
        with open(SHIPPED, encoding='utf-8') as file:
            lines = [line for line in file if line.startswith('intervals')]
        self.assertGreater(len(lines), 10)
        for line in lines:
            name = re.search('framework: "(.*?)"', line)
            self.assertIn(name[1] if name else 'none', known | {'none'})
            low, high = (float(re.search(end + ': ([0-9.]+)', line)[1]) for end in ('low', 'high'))
            self.assertLess(low, high)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
