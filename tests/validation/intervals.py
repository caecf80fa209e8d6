#!/usr/bin/env python3
"""How far measured steps lie from predicted ones, for the intervals of reports.

meshstep validate --format=json > rows.json; intervals.py rows.json > examples/validation/intervals.textproto

An interval holds for steps of one framework on one kind of chip, dense or with experts, that measured
rows know; else for all known frameworks; else, where no framework is named or none is known, it is
that of sources as they were met for the first time. Its ends are the 10th and 90th percentile of
measured over predicted, where every source weighs alike, however many rows it has: a new step is
like a new row of one of the sources, not like the largest of them. With less than MIN rows the
interval of the next wider group holds, and it is never narrower than one row in ten demands of so few
rows (the percentile is taken one row further out).
"""

import collections
import json
import math
import sys

MIN = 8
CHIPS = ('a100', 'h100', 'h200', 'h800', 'b200', 'b300', 'gb200', 'gb300', 'gh200', 'a800', 'mi3',
         'tpu-v')


def percentile(weighted, share):
    """The value below which `share` of the weight lies; `weighted`: sorted (value, weight)."""
    total = sum(weight for _, weight in weighted)
    sum_so_far = 0
    for value, weight in weighted:
        sum_so_far += weight
        if sum_so_far >= share * total:
            return value
    return weighted[-1][0]


def interval(rows):
    """10th and 90th percentile of measured over predicted, one row further out."""
    sources = collections.Counter(row['family'] for row in rows)
    weighted = sorted((row['ratio'], 1 / sources[row['family']]) for row in rows)
    further = min(0.05, 1 / (len(rows) + 1))
    return (percentile(weighted, 0.1 - further), percentile(weighted, 0.9 + further))


def textproto(fields, rows):
    low, high = interval(rows)
    words = ' '.join('%s: %s' % (k, json.dumps(v)) for k, v in fields.items())
    return 'intervals { %s%slow: %.3f high: %.3f rows: %d }' % (
        words, ' ' if words else '', low, high, len(rows))


def read(path):
    with open(path, encoding='utf-8') as file:
        rows = json.load(file)['rows']
    out = []
    for row in rows:
        if row.get('error') is None or not row.get('group'):
            continue
        # "FAMILY: MODEL, N layers, 512 h100-sxm, ..." and the framework beside it.
        chip = next((c for c in CHIPS if ' ' + c in row['group']), '')
        out.append({'family': row['family'], 'ratio': 1 / (1 + row['error']), 'chip': chip,
                    'framework': row['framework'].split('@')[0], 'experts': row['experts'],
                    'first': row.get('first_error')})
    return out


def main(argv):
    if len(argv) != 2:
        print('usage: intervals.py rows.json', file=sys.stderr)
        return 2
    rows = read(argv[1])
    print('# proto-file: meshstep/v1/interval.proto\n# proto-message: meshstep.v1.Intervals\n'
          '# Made by tests/validation/intervals.py.\n')
    groups = collections.OrderedDict()
    for row in rows:
        for key in ((row['framework'], row['chip'], row['experts']),
                    (row['framework'], '', row['experts'])):
            groups.setdefault(key, []).append(row)
    for key in sorted(groups, key=lambda k: (not k[1], k)):
        if len(groups[key]) < MIN:
            continue
        fields = {'framework': key[0]}
        if key[1]:
            fields['chip'] = key[1]
        print(textproto({**fields, 'experts': key[2]}, groups[key]))
    # As they were met first, and each source without what others taught of it.
    fresh = [dict(row, ratio=1 / (1 + row['first'])) for row in rows if row['first'] is not None]
    for experts in (False, True):
        some = [row for row in rows if row['experts'] == experts]
        new = [row for row in fresh if row['experts'] == experts]
        if some:
            print(textproto({'experts': experts}, some + new))
            print(textproto({'framework': 'none', 'experts': experts}, new or some))
    return 0 if all(math.isfinite(row['ratio']) for row in rows) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv))
