#!/usr/bin/env python3
"""Fits the constants of `calibration.matmul` in topologies/chips to measured matmuls.

The model is that of sim/cost/matmul.h: a launch, waves of tiles that compute while operands are
loaded, the store of each tile, an optional split of the contracted dimension, HBM traffic beyond
what the cache holds, and beside them a relayout of the right operand where the number format needs
one.

  fit_matmul.py TABLE.csv sm_90 bf16                 # prints a line for the chip file, and errors
  fit_matmul.py TABLE.csv sm_100_B200 fp8 --rounds 6

TABLE.csv has the columns of matmul_tables.csv (device, dtype, batch, m, n, k, time_us, flag) or of
matmul_runs.csv (chip, op, m, n, k, dtype, time_ms); a device of the latter is its `chip` column.
Flagged rows (above the peak) are left out. Rows below 1 GFLOP weigh 0.15. Deterministic.
"""

import argparse
import csv
import math
import random
import statistics

# device: units, HBM bytes/s, reachable fraction of it, cache in MB, peak FLOP/s by format; as in the
# chip files, with sources there. The HBM fraction is not fitted: the square shapes of the tables
# hardly stream, and would trade it against the cache.
DEVICES = {
    'sm_90': (132, 3.352e12, 0.9, 50, {'bf16': 989.4e12, 'fp8': 1978.9e12, 'tf32': 494.7e12}),
    'sm_100_B200': (148, 8e12, 0.85, 126, {'bf16': 2250e12, 'fp8': 4500e12, 'tf32': 1125e12}),
    'gfx950': (256, 8e12, 0.75, 256, {'bf16': 2517e12, 'fp16': 2517e12, 'fp8': 5033e12}),
    'A100-80GB': (108, 2.039e12, 0.8, 40, {'fp16': 312e12, 'bf16': 312e12}),
}
# Where the table itself says otherwise: fp32 operands of Hopper cross HBM about twice.
HBM_FRACTIONS = {('sm_90', 'tf32'): 0.41}
# Hopper's fp8 units read operands that are contiguous along k only (Blackwell's and the 16-bit
# units read any layout), so the right operand is transposed first.
RELAYOUT = {('sm_90', 'fp8')}
TILES = [(256, 256), (256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64)]
SPLITS = [1, 2, 4, 8, 16]
MIN_SPLIT_K = 256
# name: start, low, high. Times in us, rates in GB/s per unit (relayout: of the chip), the part
# of the cache that keeps operands from HBM.
PARAMETERS = {
    'launch_us': (4.8, 2, 12),
    'peak_fraction': (0.85, 0.3, 1),
    'load': (130, 20, 1000),
    'store': (40, 5, 1000),
    'tile_start_us': (0.2, 0.01, 3),
    'split_us': (2, 0.1, 20),
    'relayout': (6000, 1000, 100000),
    'cache_part': (0.25, 0.01, 1),
}


def number_format(name):
    """('bf16', operand bytes, result bytes) of 'bf16xbf16->f32', 'f8e4m3fn...' or 'fp16'."""
    widths = {'bf16': 2, 'f16': 2, 'fp16': 2, 'f32': 4, 'fp32': 4, 'f8': 1, 'fp8': 1}
    left, _, out = name.partition('->')
    left = left.split('x')[0]
    out = out or left
    key = next(k for k in widths if left.startswith(k))
    out_key = next(k for k in widths if out.startswith(k))
    names = {'f16': 'fp16', 'f32': 'tf32', 'fp32': 'tf32', 'f8': 'fp8'}
    return names.get(key, key), widths[key], widths[out_key]


def read_rows(path, device, dtype):
    """(seconds, batch, m, n, k, operand bytes, result bytes) of the rows asked for."""
    rows = []
    for r in csv.DictReader(open(path, newline='')):
        if r.get('device', r.get('chip')) != device or r.get('flag') or r.get('op', 'gemm') != 'gemm':
            continue
        name, width, out = number_format(r['dtype'])
        if name != dtype:
            continue
        seconds = float(r['time_us']) * 1e-6 if 'time_us' in r else float(r['time_ms']) * 1e-3
        rows.append((seconds, int(r.get('batch') or 1), int(r['m']), int(r['n']), int(r['k']),
                     width, out))
    return rows


class Case:
    """One measured matmul with everything about its candidates that no parameter changes."""

    def __init__(self, row, units, hbm, cache, peak, relayout):
        self.seconds, b, m, n, k, width, out = row
        self.flops = 2.0 * b * m * n * k
        self.traffic = b * ((m * k + k * n) * width + m * n * out)
        self.relayout = 2.0 * b * k * n * width if relayout else 0
        self.hbm, self.cache = hbm, cache
        self.candidates = []  # waves, compute s at the peak, bytes loaded, bytes stored, split
        for tile_m, tile_n in TILES:
            for split in SPLITS:
                if split > 1 and k / split < MIN_SPLIT_K:
                    break
                depth = math.ceil(k / split)
                tiles = b * math.ceil(m / tile_m) * math.ceil(n / tile_n) * split
                self.candidates.append((math.ceil(tiles / units),
                                        2.0 * tile_m * tile_n * depth / (peak / units),
                                        (tile_m + tile_n) * depth * width,
                                        tile_m * tile_n * (4 if split > 1 else out), split > 1))

    def predict(self, p):
        load, store = p['load'] * 1e9, p['store'] * 1e9
        start, split_s = p['tile_start_us'] * 1e-6, p['split_us'] * 1e-6
        cache = self.cache * p['cache_part']
        memory = max(0.0, self.traffic - cache) / self.hbm
        best = min(
            max(w * (start + max(c / p['peak_fraction'], l / load) + s / store), memory) +
            (split_s if split else 0) for w, c, l, s, split in self.candidates)
        relayout = 0
        if self.relayout:
            relayout = max(self.relayout / (p['relayout'] * 1e9), (self.relayout - cache) / self.hbm)
        return p['launch_us'] * 1e-6 + max(best, relayout)


def decode(x):
    return {
        name: min(max(math.exp(v), low), high)
        for v, (name, (_, low, high)) in zip(x, PARAMETERS.items())
    }


def loss(cases, x):
    p = decode(x)
    total = weights = 0.0
    for case in cases:
        weight = 1 if case.flops >= 1e9 else 0.15
        error = abs(math.log(case.predict(p) / case.seconds))
        total += weight * (error + error * error if error < 0.5 else 1.5 * error)
        weights += weight
    outside = sum(abs(v - math.log(p[name])) for v, name in zip(x, PARAMETERS))
    return total / weights + 0.05 * outside


def nelder_mead(f, start, step, iterations, rng):
    """Minimum of f near `start` (Nelder and Mead, 1965)."""
    n = len(start)
    points = [list(start)]
    for i in range(n):
        point = list(start)
        point[i] += step * (0.5 + rng.random()) * rng.choice((-1, 1))
        points.append(point)
    points = [(f(x), x) for x in points]
    for _ in range(iterations):
        points.sort(key=lambda t: t[0])
        worst_value, worst = points[-1]
        centre = [sum(x[j] for _, x in points[:-1]) / n for j in range(n)]
        along = lambda a: [c + a * (w - c) for c, w in zip(centre, worst)]
        reflected = along(-1)
        value = f(reflected)
        if value < points[0][0]:
            expanded = along(-2)
            expanded_value = f(expanded)
            points[-1] = min((value, reflected), (expanded_value, expanded), key=lambda t: t[0])
        elif value < points[-2][0]:
            points[-1] = (value, reflected)
        else:
            contracted = along(-0.5 if value < worst_value else 0.5)
            contracted_value = f(contracted)
            if contracted_value < min(value, worst_value):
                points[-1] = (contracted_value, contracted)
            else:
                best = points[0][1]
                for i in range(1, n + 1):
                    x = [b + 0.5 * (v - b) for b, v in zip(best, points[i][1])]
                    points[i] = (f(x), x)
    return min(points, key=lambda t: t[0])


def fit(cases, rounds, iterations):
    rng = random.Random(1)
    start = [math.log(s) for s, _, _ in PARAMETERS.values()]
    best = (loss(cases, start), start)
    for i in range(rounds):
        x = start if i % 3 == 0 else best[1]
        if i:
            x = [v + (0.5 if i % 3 == 0 else 0.1) * rng.uniform(-1, 1) for v in x]
        found = nelder_mead(lambda y: loss(cases, y), x, 0.1 if i % 2 else 0.4, iterations, rng)
        best = min(best, found, key=lambda t: t[0])
    return decode(best[1])


def errors(cases, p, least_flops):
    e = sorted(abs(c.predict(p) / c.seconds - 1) for c in cases if c.flops >= least_flops)
    return len(e), statistics.median(e), e[int(0.9 * len(e))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('table')
    parser.add_argument('device', choices=sorted(DEVICES))
    parser.add_argument('dtype')
    parser.add_argument('--rounds', type=int, default=6)
    parser.add_argument('--iterations', type=int, default=300)
    args = parser.parse_args()
    units, hbm, hbm_fraction, cache_mb, peaks = DEVICES[args.device]
    hbm_fraction = HBM_FRACTIONS.get((args.device, args.dtype), hbm_fraction)
    relayout = (args.device, args.dtype) in RELAYOUT
    rows = read_rows(args.table, args.device, args.dtype)
    cases = [
        Case(row, units, hbm * hbm_fraction, cache_mb * 1e6, peaks[args.dtype], relayout)
        for row in rows
    ]
    p = fit(cases, args.rounds, args.iterations)
    print(f'matmul {{ dtype: "{args.dtype}" choose_tile: true launch_ns: {p["launch_us"] * 1e3:.0f} '
          f'peak_fraction: {p["peak_fraction"]:.3f} hbm_fraction: {hbm_fraction} '
          f'load_gbytes_per_s: {p["load"]:.1f} store_gbytes_per_s: {p["store"]:.1f} '
          f'tile_start_ns: {p["tile_start_us"] * 1e3:.0f} split_ns: {p["split_us"] * 1e3:.0f} '
          f'cache_bytes: {p["cache_part"] * cache_mb * 1e6:.3g}' +
          (f' relayout_gbytes_per_s: {p["relayout"]:.0f}' if relayout else '') + ' }')
    for least in (1e9, 0):
        count, median, p90 = errors(cases, p, least)
        print(f'# {count} rows of at least {least / 1e9:g} GFLOP: median {median:.3f}, '
              f'90th percentile {p90:.3f}')


if __name__ == '__main__':
    main()
