"""tests/validation/leave_out_sources.py, and the table of the accuracy page that it printed."""

import os
import subprocess
import sys
import unittest

PROGRAM, SOURCE = sys.argv[1:3]
sys.dont_write_bytecode = True
SCRIPT = os.path.join(SOURCE, 'tests/validation/leave_out_sources.py')
sys.path.insert(0, os.path.dirname(SCRIPT))
import leave_out_sources  # noqa: E402

LIBRARY = '''algorithms {
  corrections {
    constants { base_ns: 1 }
    source: "one and two"
  }
  corrections {
    constants { base_ns: 2 }
    source: "two"
  }
}
'''


class LeaveOutSources(unittest.TestCase):

    def test_leaves_out_blocks_of_the_source(self):
        self.assertEqual(leave_out_sources.without(LIBRARY, 'three'), LIBRARY)
        less = leave_out_sources.without(LIBRARY, 'one')
        self.assertNotIn('base_ns: 1', less)
        self.assertIn('base_ns: 2', less)
        self.assertEqual(leave_out_sources.without(LIBRARY, 'two'), 'algorithms {\n}\n')

    def test_the_page_has_what_it_prints(self):
        printed = subprocess.run([sys.executable, SCRIPT, PROGRAM, SOURCE, '--markdown'],
                                 check=True, capture_output=True, text=True).stdout
        with open(os.path.join(SOURCE, 'examples/validation/README.md'), encoding='utf-8') as page:
            self.assertIn(printed, page.read())


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
