#!/usr/bin/env python3
"""Fits the `collectives` entries of topologies/chips to measured collectives inside one domain.

The model is that of CollectiveCalibration in proto/meshstep/v1/chip.proto:
  T = base + rank (p - 1) + rank_squared (p - 1)^2 + w / port(S),
w the bytes through one port, port(S) interpolated between knots in log S and log rate.

  fit_collectives.py TABLE.csv sm_90            # prints entries for the chip file, errors on stderr
  fit_collectives.py TABLE.csv sm_90 --holdout  # fits 60 % of the rows, prints errors of the rest

TABLE.csv has the columns of collective_tables.csv. Rows below 64 KiB weigh 0.2, below 16 KiB nothing.
The loss is the absolute error of log T, flattened beyond 25 % because the tables hold outliers, and
a penalty on kinks of port(S) and on rates that fall with size. Coordinate descent; deterministic.
"""

import argparse
import csv
import math
import random
import sys

LINK_GBPS = {
    'sm_90': 450,
    'sm_100_B200': 900,
    'sm_100_GB200': 900,
    'sm_103': 900,
    'gfx950': 76.5,
}
# Devices on a full mesh: a port is the link to one peer, and every collective is direct.
FULL_MESH = {'gfx950'}
# Devices whose large all-reduces run in the switch: from this many ranks on (fewer: ring).
IN_NETWORK_FROM = {'sm_90': 8, 'sm_100_GB200': 8, 'sm_103': 8}
KNOTS = [16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 32, 34]  # log2 of bytes
PERMUTE_KNOTS = list(range(16, 31)) + [32, 34]
# Sources name what the measured library (NCCL under XLA) runs.
KINK, FALL = 0.08, 0.3


def wire(device, algorithm, collective, p):
    """Bytes through one port per byte of S."""
    if device in FULL_MESH and algorithm == 'direct':
        return (2 if collective == 'all-reduce' else 1) / p
    if algorithm in ('in-network', 'point-to-point'):
        return 1
    return (2 if collective == 'all-reduce' else 1) * (p - 1) / p


class Fit:
    def __init__(self, device, algorithm, collective, knots, rows):
        self.device, self.algorithm, self.collective = device, algorithm, collective
        self.link = LINK_GBPS[device] * 1e3
        top = max(s for _, s, _ in rows)
        self.knots = [k for k in knots if k <= math.log2(top) + 1]
        self.rows = rows
        self.q = [10.0, 0.5, 0.0] + [-2 + 1.6 * min(1, (k - 16) / 12) for k in self.knots]

    def rate(self, size):
        x, knots, q = math.log2(size), self.knots, self.q[3:]
        if x <= knots[0]:
            return q[0]
        if x >= knots[-1]:
            return q[-1]
        i = 0
        while knots[i + 1] < x:
            i += 1
        f = (x - knots[i]) / (knots[i + 1] - knots[i])
        return q[i] * (1 - f) + q[i + 1] * f

    def time_us(self, p, size):
        q = self.q
        return (q[0] + q[1] * (p - 1) + q[2] * (p - 1)**2 +
                wire(self.device, self.algorithm, self.collective, p) * size / self.link /
                math.exp(self.rate(size)))

    def loss(self):
        total = 0
        for p, size, t in self.rows:
            error = abs(math.log(self.time_us(p, size) / t))
            weight = 1 if size >= 65536 else 0.2
            total += weight * (error if error < 0.25 else 0.25 + 0.4 * (error - 0.25))
        for a, b in zip(self.q[3:], self.q[4:]):
            total += KINK * abs(a - b) + FALL * max(0, a - b)
        return total

    def run(self):
        q, steps = self.q, [4, 0.4, 0.005] + [0.5] * len(self.knots)
        best = self.loss()
        for _ in range(150):
            for i, _ in enumerate(q):
                if i == 2 and len(self.rows) <= 40:
                    continue
                for sign in (1, -1):
                    old, value = q[i], q[i] + sign * steps[i]
                    q[i] = max(value, 0.0) if i < 3 else min(value, 0.0)
                    loss = self.loss()
                    if loss < best - 1e-9:
                        best, steps[i] = loss, steps[i] * 1.3
                        break
                    q[i] = old
                else:
                    steps[i] *= 0.6
            # Neighbouring knots together, to leave ridges.
            for i in range(3, len(q) - 1):
                for shift in (0.1, -0.1):
                    old = q[i], q[i + 1]
                    q[i], q[i + 1] = min(0, old[0] + shift), min(0, old[1] + shift)
                    loss = self.loss()
                    if loss < best - 1e-9:
                        best = loss
                        break
                    q[i], q[i + 1] = old
            if max(steps[3:]) < 1e-3 and steps[0] < 0.01:
                break

    def errors(self, rows):
        return [abs(self.time_us(p, s) / t - 1) for p, s, t in rows if s >= 65536]


def parts(device, rows):
    """(collective, algorithm, ranks, min, max, rows) of one device."""

    def of(name, low=2, high=1 << 20):
        return [(p, s, t) for c, p, s, t in rows if c == name and low <= p <= high]

    if device in FULL_MESH:
        for name in ('all-gather', 'reduce-scatter', 'all-reduce', 'all-to-all'):
            yield name, 'direct', '', 0, 0, of(name)
        return
    for name in ('all-gather', 'reduce-scatter'):
        yield name, 'ring', '', 0, 0, of(name)
    start = IN_NETWORK_FROM.get(device)
    if start:
        yield 'all-reduce', 'ring', '', 0, start - 1, of('all-reduce', 2, start - 1)
        yield 'all-reduce', 'in-network', '', 5, 0, of('all-reduce', start)
    else:
        yield 'all-reduce', 'ring', '', 0, 0, of('all-reduce')
    for name, source, algorithm in (('all-to-all', 'all-to-all', 'direct'),
                                    ('permute', 'collective-permute', 'point-to-point')):
        both = of(source)
        powers = [r for r in both if r[0] & (r[0] - 1) == 0]
        others = [r for r in both if r[0] & (r[0] - 1)]
        yield name, algorithm, 'POWERS_OF_TWO' if others else '', 0, 0, powers
        if others:
            yield name, algorithm, 'OTHERS', 0, 0, others


def quantiles(errors):
    errors = sorted(errors)
    return errors[len(errors) // 2], errors[int(len(errors) * 0.9)]


def entry(fit, collective, algorithm, ranks, low, high, device, errors):
    lines = ['collectives {', f'  collective: "{collective}"', f'  algorithm: "{algorithm}"']
    if ranks:
        lines.append(f'  ranks: {ranks}')
    if low:
        lines.append(f'  min_ranks: {low}')
    if high:
        lines.append(f'  max_ranks: {high}')
    lines.append(f'  base_ns: {fit.q[0] * 1e3:.0f}')
    lines.append(f'  rank_ns: {fit.q[1] * 1e3:.0f}')
    if fit.q[2] * 1e3 >= 0.5:
        lines.append(f'  rank_squared_ns: {fit.q[2] * 1e3:.1f}')
    for knot, value in zip(fit.knots, fit.q[3:]):
        rate = fit.link * math.exp(value) / 1e3
        lines.append(f'  port {{ bytes: {2**knot} gbytes_per_s: {rate:.4g} }}')
    median, ninety = quantiles(errors)
    lines.append(f'  source: "XLA default_collective_perf_table (2026-08), {device}: {len(errors)} '
                 f'rows, median error {median:.1%}, 90th percentile {ninety:.1%}"')
    return '\n'.join(lines + ['}'])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('table')
    parser.add_argument('device', choices=sorted(LINK_GBPS))
    parser.add_argument('--holdout', action='store_true')
    options = parser.parse_args()
    rows = []
    with open(options.table, newline='') as table:
        for r in csv.DictReader(table):
            if r['device'] == options.device and float(r['tensor_bytes']) >= 16384:
                rows.append((r['collective'], int(r['group_size']), float(r['tensor_bytes']),
                             float(r['time_us'])))
    pick = random.Random(5)
    all_errors = []
    for collective, algorithm, ranks, low, high, group in parts(options.device, rows):
        tested = group
        if options.holdout:
            train = [r for r in group if pick.random() < 0.6]
            tested = [r for r in group if r not in train]
            group = train
        fit = Fit(options.device, algorithm, collective,
                  PERMUTE_KNOTS if collective == 'permute' else KNOTS, group)
        fit.run()
        errors = fit.errors(tested)
        all_errors += errors
        if not options.holdout:
            print(entry(fit, collective, algorithm, ranks, low, high, options.device, errors),
                  flush=True)
    median, ninety = quantiles(all_errors)
    print(f'{options.device}: {len(all_errors)} rows, median {median:.1%}, '
          f'90th percentile {ninety:.1%}', file=sys.stderr)


if __name__ == '__main__':
    main()
