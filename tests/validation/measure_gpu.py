#!/usr/bin/env python3
"""Times one GPU with PyTorch and writes CSV with the columns of matmul_runs.csv.

  measure_gpu.py --output gpu.csv            # some 600 rows
  measure_gpu.py --quick --output gpu.csv    # some 100 of them
  measure_gpu.py --dry-run                   # what would be measured; needs neither GPU nor PyTorch

Matmuls (op `gemm`) are what `meshstep calibrate --matmuls` and `meshstep validate --matmuls` read.
The other ops are for comparison: `sdpa_fwd`, `sdpa_bwd` (forward and backward together), `copy`,
`adam`, `layers_fwd_bwd`; `extra` holds their shape as KEY=VALUE, and pct_peak is empty where the
peak is not known. FLOPs of causal attention are half of the square.

Times are medians of CUDA-event intervals, each of one call after the L2 cache is overwritten;
operands are normal random numbers, since zeros draw less power and run faster. `extra` also says
how many calls went before (`warm-up`), `source_ref` the date, driver and clocks. A case that the
device cannot run keeps its row, without a time and with the reason in `caveats`. Needs PyTorch 2.4
or later.
"""

import argparse
import csv
import datetime
import statistics
import subprocess
import sys

COLUMNS = ['id', 'chip', 'op', 'groups', 'm', 'k', 'n', 'layout', 'dtype', 'out_dtype', 'accumulate',
           'time_ms', 'tflops', 'pct_peak', 'peak_tflops', 'extra', 'source_ref', 'verified', 'trust',
           'caveats']
# Device names of torch: the name in topologies/chips, dense peak TFLOP/s by format (as there).
CHIPS = [
    ('A100-SXM4-80GB', 'a100-80gb', {'bf16': 312, 'fp16': 312, 'tf32': 156}),
    ('A100-SXM4-40GB', 'a100-40gb', {'bf16': 312, 'fp16': 312, 'tf32': 156}),
    ('H100 80GB HBM3', 'h100-sxm', {'bf16': 989.4, 'fp16': 989.4, 'tf32': 494.7, 'fp8': 1978.9}),
    ('H200', 'h200', {'bf16': 989.4, 'fp16': 989.4, 'tf32': 494.7, 'fp8': 1978.9}),
    ('GB200', 'gb200', {}),
    ('B200', 'b200', {'bf16': 2250, 'fp16': 2250, 'tf32': 1125, 'fp8': 4500}),
    ('B300', 'b300', {}),
]
BYTES = {'bf16': 2, 'fp16': 2, 'tf32': 4, 'fp8': 1}
WARM_UP = 10
FLUSH_BYTES = 256 << 20  # more than the L2 cache of any GPU above
LAYERS = 4  # of a whole-layer measurement


def matmul_cases(quick):
    """Squares, the projections of Llama-like layers, thin products that stream weights."""
    squares = [256, 512, 1024, 2048, 4096, 8192] + ([] if quick else [768, 1536, 3072, 6144, 16384])
    shapes = [(s, s, s) for s in squares]
    for hidden in (4096, 8192) if quick else (2048, 4096, 8192, 12288):
        for tokens in (64, 4096) if quick else (16, 64, 256, 1024, 4096, 16384):
            # query-key-value with 4 query heads to a key head, output, up with gate, down
            for k, n in ((hidden, hidden * 3 // 2), (hidden, hidden), (hidden, 7 * hidden),
                         (7 * hidden // 2, hidden)):
                shapes.append((tokens, k, n))
    shapes += [] if quick else [(8192, 8192, n) for n in (1000, 2056, 4100)]  # off the tiles
    for dtype in ('bf16', 'fp16', 'tf32', 'fp8'):
        for m, k, n in dict.fromkeys(shapes):
            if dtype == 'fp8' and (k % 16 or n % 16):  # what _scaled_mm takes
                continue
            yield {'op': 'gemm', 'm': m, 'k': k, 'n': n, 'dtype': dtype, 'flops': 2 * m * k * n,
                   'out_dtype': 'bf16' if dtype == 'fp8' else dtype, 'layout': 'TN (linear)'}


def attention_cases(quick):
    for head_dim in (64, 128) if quick else (64, 96, 128, 256):
        for length in (2048, 8192) if quick else (512, 1024, 2048, 4096, 8192, 16384):
            for causal in (False, True):
                for op in ('sdpa_fwd', 'sdpa_bwd'):
                    batch, heads = max(1, 16384 // length), 2048 // head_dim
                    flops = 4 * batch * heads * length * length * head_dim // (2 if causal else 1)
                    yield {'op': op, 'dtype': 'bf16', 'flops': flops * (7 if op[-3:] == 'bwd' else 2)
                           // 2, 'shape': {'batch': batch, 'seq_len': length, 'head_num': heads,
                                           'head_dim': head_dim, 'causal': int(causal)}}


def stream_cases(quick):
    for log in (20, 26, 30) if quick else range(16, 33):
        yield {'op': 'copy', 'dtype': 'bf16', 'shape': {'bytes': 2**log}}
    for count in (10**8,) if quick else (10**6, 10**7, 10**8, 10**9):
        yield {'op': 'adam', 'dtype': 'fp32', 'shape': {'parameters': count}}


def layer_flops(hidden, length, batch):
    """Forward and backward of LAYERS layers: 6 per weight and token; attention 3.5 times forward."""
    weights = hidden * hidden * 5 // 2 + 3 * hidden * ffn_of(hidden)
    attention = 4 * batch * length * length * hidden // 2
    return LAYERS * (6 * weights * batch * length + attention * 7 // 2)


def ffn_of(hidden):
    return 7 * hidden // 2


def layer_cases(quick):
    for hidden in (4096,) if quick else (2048, 4096, 8192):
        for length in (4096,) if quick else (2048, 4096, 8192):
            for batch in (1,) if quick else (1, 2, 4):
                for compiled in (0, 1):
                    yield {'op': 'layers_fwd_bwd', 'dtype': 'bf16',
                           'flops': layer_flops(hidden, length, batch),
                           'shape': {'layers': LAYERS, 'hidden': hidden, 'ffn': ffn_of(hidden),
                                     'head_dim': 128, 'heads_per_kv_head': 4, 'seq_len': length,
                                     'micro_batch': batch, 'compiled': compiled}}


def cases(quick, only=()):
    every = [*matmul_cases(quick), *attention_cases(quick), *stream_cases(quick),
             *layer_cases(quick)]
    return [c for c in every if not only or c['op'] in only]


def row_of(case, gpu, seconds=None, note=''):
    """A row of the table; without `seconds` one that says what would be measured."""
    shape = [str(case[d]) for d in ('m', 'k', 'n') if d in case]
    extra = [f'{key}={value}' for key, value in case.get('shape', {}).items()]
    parts = shape or [e.split('=')[1] for e in extra]
    row = dict.fromkeys(COLUMNS, '')
    row.update({key: case[key] for key in ('op', 'm', 'k', 'n', 'layout', 'dtype', 'out_dtype')
                if key in case})
    row.update(id='-'.join([gpu['chip'], case['op'].replace('_', '-'), case['dtype'], *parts]),
               chip=gpu['chip'], extra=', '.join([*extra, f'warm-up={WARM_UP}']),
               source_ref=gpu['source'], verified='measured' if seconds else '',
               trust='A' if seconds else '', caveats=note)
    peak = gpu['peaks'].get(case['dtype'])
    row['peak_tflops'] = peak or ''
    if seconds:
        row['time_ms'] = f'{seconds * 1e3:.6g}'
        if 'flops' in case:
            tflops = case['flops'] / seconds * 1e-12
            row['tflops'] = f'{tflops:.5g}'
            row['pct_peak'] = f'{100 * tflops / peak:.4g}' if peak else ''
    return row


def clocks():
    """Driver, SM and memory clock and their maxima, power limit, as nvidia-smi says; '' without."""
    query = 'driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit'
    try:
        done = subprocess.run(['nvidia-smi', f'--query-gpu={query}', '--format=csv,noheader', '-i',
                               '0'], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 'driver and clocks unknown'
    driver, sm, most, memory, power = done.stdout.strip().split(', ')
    return f'driver {driver}, SM {sm} of {most}, memory {memory}, power limit {power}'


def describe(torch):
    name = torch.cuda.get_device_name(0)
    known = [c for c in CHIPS if c[0] in name]
    chip, peaks = (known[0][1], known[0][2]) if known else (name, {})
    today = datetime.date.today().isoformat()
    source = f'measure_gpu.py {today}: {name}, PyTorch {torch.__version__}, {clocks()}'
    return {'chip': chip, 'peaks': peaks, 'source': source}


class Timer:
    """Median seconds of a call on the GPU."""

    def __init__(self, torch, repetitions):
        self.torch, self.repetitions = torch, repetitions
        self.flush = torch.empty(FLUSH_BYTES // 4, dtype=torch.int32, device='cuda')

    def __call__(self, call):
        cuda = self.torch.cuda
        for _ in range(WARM_UP):
            call()
        pairs = []
        for _ in range(self.repetitions):
            self.flush.zero_()
            start, end = (cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            pairs.append((start, end))
        cuda.synchronize()
        return statistics.median(start.elapsed_time(end) for start, end in pairs) * 1e-3


def prepare_matmul(torch, case):
    m, k, n = case['m'], case['k'], case['n']
    a = torch.randn(m, k, device='cuda')
    b = torch.randn(n, k, device='cuda')  # of a linear layer: contiguous along k
    if case['dtype'] == 'fp8':
        scale = torch.ones((), device='cuda')
        a, b = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn)
        return lambda: torch._scaled_mm(a, b.t(), scale_a=scale, scale_b=scale,
                                        out_dtype=torch.bfloat16)
    dtype = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'tf32': torch.float32}[case['dtype']]
    a, b = a.to(dtype), b.to(dtype)
    out = torch.empty(m, n, dtype=dtype, device='cuda')
    return lambda: torch.mm(a, b.t(), out=out)


def prepare_attention(torch, case):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    s = case['shape']
    backward = case['op'] == 'sdpa_bwd'
    q, k, v, g = (torch.randn(s['batch'], s['head_num'], s['seq_len'], s['head_dim'], device='cuda',
                              dtype=torch.bfloat16, requires_grad=backward and i < 3)
                  for i in range(4))

    def call():
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            out = torch.nn.functional.scaled_dot_product_attention(q, k, v,
                                                                   is_causal=bool(s['causal']))
        if backward:
            torch.autograd.grad(out, (q, k, v), g)

    return call


def prepare_stream(torch, case):
    if case['op'] == 'copy':
        source = torch.empty(case['shape']['bytes'], dtype=torch.uint8, device='cuda').zero_()
        target = torch.empty_like(source)
        return lambda: target.copy_(source)
    parameter = torch.nn.Parameter(torch.randn(case['shape']['parameters'], device='cuda'))
    parameter.grad = torch.randn_like(parameter)
    return torch.optim.AdamW([parameter], fused=True).step


def layer_class(torch):
    nn, functional = torch.nn, torch.nn.functional

    class Layer(nn.Module):
        """RMSNorm, rotary positions, grouped-query attention, SwiGLU; no biases."""

        def __init__(self, hidden, ffn, head_dim, share):
            super().__init__()
            self.head_dim, self.heads = head_dim, hidden // head_dim
            self.kv_heads = self.heads // share
            linear = lambda i, o: nn.Linear(i, o, bias=False)
            self.qkv = linear(hidden, (self.heads + 2 * self.kv_heads) * head_dim)
            self.out = linear(hidden, hidden)
            self.up, self.down = linear(hidden, 2 * ffn), linear(ffn, hidden)
            self.norms = nn.ParameterList([nn.Parameter(torch.ones(hidden)) for _ in range(2)])

        def norm(self, x, weight):
            return functional.rms_norm(x, (x.shape[-1],), weight, 1e-5)

        def rotate(self, x, cos, sin):
            one, other = x.chunk(2, dim=-1)
            return x * cos + torch.cat((-other, one), dim=-1) * sin

        def forward(self, x, cos, sin):
            b, s, _ = x.shape
            qkv = self.qkv(self.norm(x, self.norms[0])).view(b, s, -1, self.head_dim)
            q, k, v = qkv.transpose(1, 2).split([self.heads, self.kv_heads, self.kv_heads], dim=1)
            q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
            share = self.heads // self.kv_heads
            k, v = (t.repeat_interleave(share, dim=1) for t in (k, v))
            a = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(a.transpose(1, 2).reshape(b, s, -1))
            gate, up = self.up(self.norm(x, self.norms[1])).chunk(2, dim=-1)
            return x + self.down(functional.silu(gate) * up)

    return Layer


def prepare_layers(torch, case):
    s = case['shape']
    layer = layer_class(torch)
    layers = torch.nn.ModuleList(
        layer(s['hidden'], s['ffn'], s['head_dim'], s['heads_per_kv_head'])
        for _ in range(s['layers'])).to(device='cuda', dtype=torch.bfloat16)
    if s['compiled']:
        layers = torch.nn.ModuleList(torch.compile(one) for one in layers)
    angles = torch.outer(torch.arange(s['seq_len'], device='cuda'),
                         500000.0**-torch.linspace(0, 1, s['head_dim'] // 2, device='cuda'))
    angles = torch.cat((angles, angles), dim=-1)
    cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
    x = torch.randn(s['micro_batch'], s['seq_len'], s['hidden'], device='cuda',
                    dtype=torch.bfloat16, requires_grad=True)
    gradient = torch.randn_like(x)

    def call():
        y = x
        for one in layers:
            y = one(y, cos, sin)
        torch.autograd.backward(y, gradient)  # gradients accumulate, as between micro-batches

    return call


PREPARE = {'gemm': prepare_matmul, 'sdpa_fwd': prepare_attention, 'sdpa_bwd': prepare_attention,
           'copy': prepare_stream, 'adam': prepare_stream, 'layers_fwd_bwd': prepare_layers}


def measure(torch, case, timer, gpu):
    """A row, without a time and with the reason where the device cannot run the case."""
    try:
        if case.get('shape', {}).get('compiled'):
            torch.compiler.reset()  # else a second shape is compiled for any shape
        return row_of(case, gpu, timer(PREPARE[case['op']](torch, case)))
    except (RuntimeError, AttributeError, ValueError) as error:  # out of memory, no such kernel
        return row_of(case, gpu, note=f'not measured: {str(error).splitlines()[0][:120]}')
    finally:
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', help='FILE.csv; default: standard output')
    parser.add_argument('--quick', action='store_true', help='fewer shapes: minutes')
    parser.add_argument('--only', default='', help=f'ops, of {",".join(PREPARE)}')
    parser.add_argument('--repetitions', type=int, default=30)
    parser.add_argument('--dry-run', action='store_true', help='list what would be measured')
    options = parser.parse_args()
    only = [op for op in options.only.split(',') if op]
    if unknown := [op for op in only if op not in PREPARE]:
        parser.error(f'--only: {unknown[0]!r} is not one of {", ".join(PREPARE)}')
    if options.repetitions < 1:
        parser.error(f'--repetitions: is {options.repetitions}, expected at least 1')
    planned = cases(options.quick, only)
    torch = timer = None
    gpu = {'chip': 'gpu', 'peaks': {}, 'source': 'not measured'}
    if not options.dry_run:
        try:
            import torch
        except ImportError:
            sys.exit('measure_gpu.py: PyTorch is not installed; --dry-run needs none')
        if not torch.cuda.is_available():
            sys.exit('measure_gpu.py: PyTorch finds no GPU; --dry-run needs none')
        torch.backends.cuda.matmul.allow_tf32 = True
        gpu, timer = describe(torch), Timer(torch, options.repetitions)
    with open(options.output, 'w', newline='') if options.output else sys.stdout as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        writer.writeheader()
        for case in planned:
            writer.writerow(row_of(case, gpu) if options.dry_run else
                            measure(torch, case, timer, gpu))
            file.flush()


if __name__ == '__main__':
    main()
