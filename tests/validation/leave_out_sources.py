#!/usr/bin/env python3
"""How far collectives are off where no constant was taken from their source.

leave_out_sources.py PROGRAM SOURCE [--markdown]

For each source of rows in collective_runs.csv and collective_scale.csv, its corrections
(topologies/libraries) and curves (topologies/chips) are left out, and the rows of that source are
predicted from what is left: the library's own constants and what other sources measured. Printed
beside the errors with all constants. A constant of two sources is left out for both. Sources of
which nothing was taken have the same errors twice.
"""

import argparse
import csv
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile

TABLES = ('collective_runs.csv', 'collective_scale.csv')
# Words of a constant's source, and the start of the families that the source measured.
SOURCES = {
    'NVIDIA/nccl-tests issue 309': ('nt309-',),
    'ml-engineering': ('stas-',),
    'microsoft/vidur': ('vidur-',),
    'cluster-toolkit': ('gcp-',),
    'oci-hpc|OCI BM|oci-gpu-quickstarts': ('oci-', 'fs-mi355x-oci'),
    'coreweave': ('cw-',),
    'vultr': ('vultr-',),
    'rccl issue 1490': ('rccl1490-',),
    'DeepEP': ('deepep-',),
}


def without(text, words):
    """The file without its blocks of `corrections` and `collectives` whose source has the words."""
    kept, block, indent = [], None, ''
    for line in text.splitlines(keepends=True):
        start = re.match(r'( *)(corrections|collectives|network_collectives) \{\n', line)
        if block is None and start:
            block, indent = [], start.group(1)
        if block is None:
            kept.append(line)
            continue
        block.append(line)
        if line == indent + '}\n':
            sources = ' '.join(x for x in block if x.lstrip().startswith('source:'))
            if not re.search(words, sources):
                kept += block
            block = None
    assert block is None
    return ''.join(kept)


def errors(program, tables):
    """(family, error) of the rows that are predicted."""
    rows = []
    for table in tables:
        out = subprocess.run([program, 'validate', f'--collectives={table}', '--format=csv'],
                             check=True, capture_output=True, text=True).stdout
        with open(table, encoding='utf-8') as file:
            given = list(csv.DictReader(file))
        for row, predicted in zip(given, csv.DictReader(out.splitlines()), strict=True):
            if predicted['error']:
                rows.append((row['family'], float(predicted['error'])))
    return rows


def summary(values):
    values = sorted(map(abs, values))
    ninth = values[min(len(values) - 1, int(0.9 * len(values)))]
    return statistics.median(values), ninth


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program', type=pathlib.Path)
    parser.add_argument('source', type=pathlib.Path)
    parser.add_argument('--markdown', action='store_true')
    options = parser.parse_args()
    tables = [options.source / 'tests/validation' / name for name in TABLES]
    known = errors(options.program, tables)
    left_out = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / 'bin').mkdir()
        program = root / 'bin/meshstep'
        shutil.copy(options.program, program)
        for part in ('topologies', 'strategies', 'examples', 'tests/validation'):
            shutil.copytree(options.source / part, root / 'share/meshstep' / part)
        for words, families in SOURCES.items():
            changed = 0
            for room in ('libraries', 'chips'):
                for path in (options.source / 'topologies' / room).glob('*.textproto'):
                    text = path.read_text(encoding='utf-8')
                    less = without(text, words)
                    changed += less != text
                    (root / 'share/meshstep/topologies' / room / path.name).write_text(
                        less, encoding='utf-8')
            assert changed > 0, f'no constant has a source with "{words}"'
            rows = [row for row in errors(program, tables) if row[0].startswith(families)]
            assert rows, f'no rows of {families}'
            left_out.append((words, families, rows))
    head = ('source', 'rows', 'with its constants', '90th', 'left out', '90th')
    lines = []
    pooled, pooled_known = [], []
    for words, families, rows in left_out:
        of_known = [row for row in known if row[0].startswith(families)]
        pooled += rows
        pooled_known += of_known
        lines.append((words.split('|')[0], len(rows), *summary(e for _, e in of_known),
                      *summary(e for _, e in rows)))
    named = tuple(family for _, families, _ in left_out for family in families)
    others = [row for row in known if not row[0].startswith(named)]
    lines.append(('all of these', len(pooled), *summary(e for _, e in pooled_known),
                  *summary(e for _, e in pooled)))
    lines.append(('sources of which nothing was taken', len(others),
                  *summary(e for _, e in others) * 2))
    every = pooled + others
    lines.append(('all rows', len(every), *summary(e for _, e in pooled_known + others),
                  *summary(e for _, e in every)))
    form = '| %s | %s | %s | %s | %s | %s |' if options.markdown else '%-36s %5s %19s %8s %9s %8s'
    print(form % head)
    if options.markdown:
        print('|---|---:|---:|---:|---:|---:|')
    for name, count, *values in lines:
        print(form % (name, count, *('%.1f %%' % (100 * value) for value in values)))


if __name__ == '__main__':
    main()
