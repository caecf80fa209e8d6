#!/usr/bin/env python3
"""Fits the `collectives` entries of topologies/chips to measured collectives inside one domain.

The model is that of CollectiveCalibration in proto/meshstep/v1/chip.proto: for p ranks and S bytes
  T = latency(p) + w / port(p, S),
w the bytes through one port, log latency and log port linear in log p between the groups measured,
and log port linear in log S between knots.

  fit_collectives.py TABLE.csv sm_90                 # prints entries for the chip file
  fit_collectives.py TABLE.csv sm_90 --folds rows    # ten parts of the rows held out in turn, and
                                                     # errors of the rows held out; also `sizes`
                                                     # (all rows of a size), `series` (all rows of a
                                                     # collective and group), `forty` (40 % at once)

TABLE.csv has the columns of collective_tables.csv. Device nvl72 takes sm_100_GB200 and sm_103
together: the same switch, and times within 3 % of each other. Rows below 64 KiB weigh 0.3, below
16 KiB nothing.

The tables hold outliers, above all below 4 MiB on HGX boards, where the same collective takes 20 or
50 us. Hence a loss that flattens out, c^2 log(1 + (error/c)^2) of log T, and penalties that let a
curve bend only where several rows ask for it: on its curvature, on differences of shape between
neighbouring groups, and between all-gather and reduce-scatter. A permute of less than 64 MiB runs
on as few channels on B200 as on H100 and takes as long, so that B200's curve follows H100's there.
The weights of the penalties (STYLE) were chosen by --folds rows. Needs Debian's python3-numpy.
Deterministic.
"""

import argparse
import csv
import math
import sys

import numpy as np

LINK_GBPS = {'sm_90': 450, 'sm_100_B200': 900, 'nvl72': 900, 'gfx950': 76.5}
POOLS = {'nvl72': ('sm_100_GB200', 'sm_103')}
# Devices on a full mesh: a port is the link to one peer, and every collective is direct.
FULL_MESH = {'gfx950'}
# Devices whose large all-reduces run in the switch: from this many ranks on (fewer: ring).
IN_NETWORK_FROM = {'sm_90': 8, 'nvl72': 8}
# Devices whose permute follows that of another up to 64 MiB.
LIKE = {'sm_100_B200': 'sm_90'}
KNOTS = [16.0, 18.0] + [float(k) for k in range(19, 31)] + [32.0, 34.0]  # log2 of bytes
PERMUTE_KNOTS = [float(k) for k in range(16, 31)] + [32.0, 34.0]
NVL72_GROUPS = [4, 8, 16, 18, 32, 36, 64, 72]
# Of which 18 and so on are measured at 9/8 of a power of two.
OTHERS_SHIFT = math.log2(9 / 8)

# Weights of the penalties: curvature (by collective where it differs), slope below and above
# 256 MiB, level and shape between groups, latency between groups, all-gather against
# reduce-scatter; c of the loss above and below 4 MiB.
HGX = {'curve': 1.5, 'curve all-to-all': 3, 'curve permute': 0.05, 'slope': 0.02, 'flat': 1,
       'level': 0.05, 'shape': 0.6, 'latency': 0.3, 'pair': 0.3, 'c': 0.1, 'c small': 0.15}
STYLE = {
    'sm_90': HGX | {'curve': 2, 'curve all-to-all': 4, 'latency': 0.5},
    'sm_100_B200': HGX | {'curve': 0.8, 'curve all-to-all': 0.8, 'flat': 0.5},
    'gfx950': HGX | {'curve': 0.3, 'curve all-to-all': 0.3},
    'nvl72': HGX | {'curve': 0.1, 'curve all-to-all': 0.1, 'curve permute': 0.03, 'flat': 0.3,
                    'level': 0.03, 'shape': 0.3, 'latency': 0.2, 'pair': 0.1, 'c': 0.05,
                    'c small': 0.1},
}


def power_of_two(p):
    return p & (p - 1) == 0


class Entry:
    """One `collectives` entry: parameters: log latency and log rates of each group."""

    def __init__(self, device, collective, algorithm, groups, knots, ranks='', low=2, high=1 << 20):
        self.device, self.collective, self.algorithm = device, collective, algorithm
        self.groups, self.knots, self.ranks, self.low, self.high = groups, knots, ranks, low, high
        self.width = 1 + len(knots)
        self.start = 0  # of its parameters in those of the fit

    def size(self):
        return len(self.groups) * self.width

    def holds(self, collective, p):
        return (collective == self.collective and self.low <= p <= self.high and
                (not self.ranks or (self.ranks == 'POWERS_OF_TWO') == power_of_two(p)))

    def wire(self, p):
        """Bytes through one port per byte of S."""
        twice = 2 if self.collective == 'all-reduce' else 1
        if self.device in FULL_MESH and self.algorithm == 'direct':
            return twice / p
        if self.algorithm in ('in-network', 'point-to-point'):
            return 1
        return twice * (p - 1) / p

    def weights(self, p, size):
        """Parts of the entry's parameters in log latency and in log port."""
        group = between(math.log(p), [math.log(g) for g in self.groups])
        knot = between(math.log2(size), self.knots)
        latency, port = np.zeros(self.size()), np.zeros(self.size())
        for g, part in enumerate(group):
            latency[g * self.width] = part
            port[g * self.width + 1:(g + 1) * self.width] = part * knot
        return latency, port


def between(x, points):
    """Weights of linear interpolation, constant beyond the ends."""
    return np.array([np.interp(x, points, unit) for unit in np.eye(len(points))])


def entries_of(device, rows):
    groups = NVL72_GROUPS if device == 'nvl72' else [2, 4, 8]
    top = math.log2(max(r[2] for r in rows)) + 1
    knots = [k for k in KNOTS if k <= top]
    if device in FULL_MESH:
        names = ('all-gather', 'reduce-scatter', 'all-reduce', 'all-to-all')
        return ([Entry(device, n, 'direct', groups, knots) for n in names] +
                [Entry(device, 'permute', 'point-to-point', [2], PERMUTE_KNOTS[:-1])])
    entries = [Entry(device, n, 'ring', groups, knots) for n in ('all-gather', 'reduce-scatter')]
    start = IN_NETWORK_FROM.get(device, 1 << 20)
    entries.append(Entry(device, 'all-reduce', 'ring', [g for g in groups if g < start], knots,
                         high=start - 1))
    if start <= groups[-1]:
        entries.append(Entry(device, 'all-reduce', 'in-network', [g for g in groups if g >= start],
                             knots, low=5))
    if device != 'nvl72':
        entries.append(Entry(device, 'all-to-all', 'direct', groups, knots))
        entries.append(Entry(device, 'permute', 'point-to-point', [2, 8], PERMUTE_KNOTS[:-1]))
        return entries
    for ranks, shift, permute in (('POWERS_OF_TWO', 0, 64), ('OTHERS', OTHERS_SHIFT, 72)):
        some = [g for g in groups if power_of_two(g) == (shift == 0)]
        entries.append(Entry(device, 'all-to-all', 'direct', some, [k + shift for k in knots],
                             ranks))
        entries.append(Entry(device, 'permute', 'point-to-point', [permute],
                             [k + shift for k in PERMUTE_KNOTS], ranks))
    return entries


class Fit:

    def __init__(self, device, rows, like=None):
        """`like`: a fit whose permute this one follows."""
        self.entries, self.style = entries_of(device, rows), STYLE[device]
        self.link = math.log(LINK_GBPS[device] * 1e3)
        for a, b in zip(self.entries, self.entries[1:]):
            b.start = a.start + a.size()
        self.count = self.entries[-1].start + self.entries[-1].size()
        self.penalties, self.targets = [], []
        for entry in self.entries:
            self.smooth(entry)
        if self.entries[0].algorithm == 'ring':
            self.pair(self.entries[0], self.entries[1])
        if like:
            self.follow(like)
        self.penalties, self.targets = np.array(self.penalties), np.array(self.targets)

    def penalty(self, weight, terms, target=0.0):
        row = np.zeros(self.count)
        for i, part in terms:
            row[i] += weight * part
        self.penalties.append(row)
        self.targets.append(weight * target)

    def smooth(self, entry):
        k, style = entry.knots, self.style
        curve = style.get('curve ' + entry.collective, style['curve'])
        for g in range(len(entry.groups)):
            latency = entry.start + g * entry.width
            port = latency + 1
            for i in range(len(k) - 2):
                a, b = k[i + 1] - k[i], k[i + 2] - k[i + 1]
                self.penalty(curve * math.sqrt((a + b) / 2),
                             [(port + i, 1 / a), (port + i + 1, -1 / a - 1 / b),
                              (port + i + 2, 1 / b)])
            for i in range(len(k) - 1):
                self.penalty(style['slope' if k[i] < 28 else 'flat'],
                             [(port + i, -1), (port + i + 1, 1)])
            # Weak: where no row tells, 80 % of the link and 25 us.
            self.penalty(0.3, [(port + len(k) - 1, 1)], self.link + math.log(0.8))
            self.penalty(0.1, [(latency, 1)], math.log(25))
            if g + 1 < len(entry.groups):
                far = math.sqrt(math.log2(entry.groups[g + 1] / entry.groups[g]))
                self.alike(entry, port, port + entry.width, style['level'] / far,
                           style['shape'] / far)
                self.penalty(style['latency'] / far, [(latency, -1), (latency + entry.width, 1)])

    def alike(self, entry, one, other, level, shape):
        """Two curves of rates."""
        for i in range(len(entry.knots)):
            self.penalty(level, [(one + i, -1), (other + i, 1)])
        for i in range(len(entry.knots) - 1):
            self.penalty(shape, [(one + i, -1), (one + i + 1, 1), (other + i, 1),
                                 (other + i + 1, -1)])

    def pair(self, one, other):
        weight = self.style['pair']
        for g in range(len(one.groups)):
            a, b = one.start + g * one.width, other.start + g * other.width
            self.penalty(weight, [(a, 1), (b, -1)])
            self.alike(one, a + 1, b + 1, 0.3 * weight, weight)

    def follow(self, like):
        own, other = self.entries[-1], like.entries[-1]
        assert own.collective == other.collective == 'permute' and own.groups == other.groups
        for g in range(len(own.groups)):
            a = own.start + g * own.width + 1
            values = like.q[other.start + g * other.width + 1:]
            for i in range(sum(k <= 26 for k in own.knots)):
                self.penalty(0.3, [(a + i, 1)], values[i])
                if i:
                    self.penalty(1, [(a + i - 1, -1), (a + i, 1)], values[i] - values[i - 1])

    def design(self, rows):
        latency, port = np.zeros((len(rows), self.count)), np.zeros((len(rows), self.count))
        wire = np.zeros(len(rows))
        for r, (collective, p, size, _) in enumerate(rows):
            entry = next(e for e in self.entries if e.holds(collective, p))
            own = slice(entry.start, entry.start + entry.size())
            latency[r, own], port[r, own] = entry.weights(p, size)
            wire[r] = entry.wire(p) * size
        return latency, port, wire

    def start_values(self):
        q = np.zeros(self.count)
        for entry in self.entries:
            ramp = self.link + np.interp(entry.knots, [16, 28], [-2, -0.3])
            for g in range(len(entry.groups)):
                at = entry.start + g * entry.width
                q[at], q[at + 1:at + entry.width] = math.log(20), ramp
        return q

    def run(self, rows):
        """Levenberg-Marquardt on reweighted squares."""
        latency, port, wire = self.design(rows)
        size = np.array([r[2] for r in rows])
        measured = np.log(np.array([r[3] for r in rows]))
        weight = np.where(size >= 65536, 1.0, 0.3)
        c = self.style['c'] + ((self.style['c small'] - self.style['c']) /
                               (1 + np.exp(np.log2(size) - 22)))

        def evaluate(q):
            wait, drain = np.exp(latency @ q), wire * np.exp(-(port @ q))
            error = np.log(wait + drain) - measured
            bent = self.penalties @ q - self.targets
            slope = ((wait / (wait + drain))[:, None] * latency -
                     (drain / (wait + drain))[:, None] * port)
            return error, slope, (weight * c * c * np.log1p((error / c)**2)).sum() + bent @ bent

        q, damping = self.start_values(), 1e-2
        square = self.penalties.T @ self.penalties
        error, slope, loss = evaluate(q)
        for _ in range(60):
            w = weight / (1 + (error / c)**2)
            a = slope.T @ (w[:, None] * slope) + square
            b = -(slope.T @ (w * error) + self.penalties.T @ (self.penalties @ q - self.targets))
            before = loss
            for _ in range(8):
                step = np.linalg.solve(a + damping * np.diag(np.diag(a) + 1e-6), b)
                trial = evaluate(q + np.clip(step, -1, 1))
                if trial[2] < loss:
                    q = q + np.clip(step, -1, 1)
                    error, slope, loss = trial
                    break
                damping *= 4
            damping = max(damping / 5, 1e-6)
            if before - loss < 1e-7 * before:
                break
        self.q = self.limited(q)

    def limited(self, q):
        """No port beyond its link, and no larger transfer quicker than a smaller one."""
        for entry in self.entries:
            for g in range(len(entry.groups)):
                at = entry.start + g * entry.width + 1
                for i, knot in enumerate(entry.knots):
                    q[at + i] = min(q[at + i], self.link)
                    if i:
                        q[at + i] = min(q[at + i], q[at + i - 1] +
                                        (knot - entry.knots[i - 1]) * math.log(2))
        return q

    def errors(self, rows):
        latency, port, wire = self.design(rows)
        times = np.exp(latency @ self.q) + wire * np.exp(-(port @ self.q))
        return [(abs(t / r[3] - 1), r) for t, r in zip(times, rows) if r[2] >= 65536]

    def entry_text(self, entry, rows):
        lines = ['collectives {', f'  collective: "{entry.collective}"',
                 f'  algorithm: "{entry.algorithm}"']
        if entry.ranks:
            lines.append(f'  ranks: {entry.ranks}')
        if entry.low > 2:
            lines.append(f'  min_ranks: {entry.low}')
        if entry.high < 1 << 20:
            lines.append(f'  max_ranks: {entry.high}')
        sizes = ', '.join(f'{2**k:.0f}' for k in entry.knots)
        lines.append(f'  bytes: [{sizes}]')
        for g, ranks in enumerate(entry.groups):
            at = entry.start + g * entry.width
            rates = np.exp(self.q[at + 1:at + entry.width]) / 1e3
            lines += ['  groups {', f'    ranks: {ranks}',
                      f'    latency_ns: {math.exp(self.q[at]) * 1e3:.0f}',
                      '    gbytes_per_s: [' + ', '.join(f'{r:.4g}' for r in rates) + ']', '  }']
        own = [r for r in rows if entry.holds(r[0], r[1])]
        median, ninety = quantiles([e for e, _ in self.errors(own)])
        names = ' and '.join(POOLS.get(entry.device, (entry.device,)))
        lines.append(f'  source: "XLA default_collective_perf_table (2026-08), {names}: '
                     f'{len(own)} rows, median error {median:.1%}, 90th percentile {ninety:.1%}"')
        return '\n'.join(lines + ['}'])


def read(table, device):
    """(collective, ranks, bytes, us) of the rows from 16 KiB."""
    rows = []
    with open(table, newline='') as file:
        for r in csv.DictReader(file):
            if (r['device'] not in POOLS.get(device, (device,)) or
                    float(r['tensor_bytes']) < 16384):
                continue
            collective, ranks = r['collective'], int(r['group_size'])
            if collective == 'collective-permute':
                collective = 'permute'
                # As sim/validation/validate_collectives.cc: pairs, and patterns that are not given.
                pairs = r['pattern'] in ('two-way-pairs', 'one-way-half')
                if ranks == 0 or (pairs and power_of_two(ranks)):
                    ranks = 2
            rows.append((collective, ranks, float(r['tensor_bytes']), float(r['time_us'])))
    return rows


def quantiles(errors):
    errors = sorted(errors)
    return errors[len(errors) // 2], errors[len(errors) * 9 // 10]


def held_out(device, rows, kind, seed, like=None):
    """Errors of rows that the fit did not see."""
    pick = np.random.default_rng(seed)
    if kind == 'rows':
        part = pick.permutation(len(rows)) % 10
    elif kind == 'forty':
        part = np.where(pick.random(len(rows)) < 0.4, 0, 10)
    else:
        of = {}
        key = (lambda r: round(math.log2(r[2]))) if kind == 'sizes' else (lambda r: r[:2])
        part = np.array([of.setdefault(key(r), int(pick.integers(10))) for r in rows])
    errors = []
    for k in range(1 if kind == 'forty' else 10):
        tested = [r for r, p in zip(rows, part) if p == k]
        if tested:
            fit = Fit(device, rows, like)
            fit.run([r for r, p in zip(rows, part) if p != k])
            errors += fit.errors(tested)
    return errors


def summary(name, errors):
    median, ninety = quantiles([e for e, _ in errors])
    return (f'{name}: {len(errors)} rows of at least 64 KiB, median {median:.1%}, '
            f'90th percentile {ninety:.1%}')


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table')
    parser.add_argument('device', choices=sorted(LINK_GBPS))
    parser.add_argument('--folds', choices=['rows', 'sizes', 'series', 'forty'])
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    rows = read(options.table, options.device)
    like = None
    if options.device in LIKE:
        other = read(options.table, LIKE[options.device])
        like = Fit(LIKE[options.device], other)
        like.run(other)
    if options.folds:
        errors = held_out(options.device, rows, options.folds, options.seed, like)
        for low, high in ((16, 22), (22, 26), (26, 40)):
            some = [e for e in errors if 2**low <= e[1][2] < 2**high]
            print(summary(f'  from 2^{low} to 2^{high}', some))
        for collective in sorted({r[0] for r in rows}):
            print(summary('  ' + collective, [e for e in errors if e[1][0] == collective]))
        print(summary(f'{options.device}, held-out {options.folds}', errors))
        return
    fit = Fit(options.device, rows, like)
    fit.run(rows)
    for entry in fit.entries:
        print(fit.entry_text(entry, rows))
    print(summary(options.device, fit.errors(rows)), file=sys.stderr)


if __name__ == '__main__':
    main()
