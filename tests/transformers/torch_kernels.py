"""Times PyTorch's kernels at the shapes of kernels-command.ts.

Usage: torch_kernels.py SHAPES, a JSON object: microBatch, sequence, heads, headDim, copied (numbers of a
copy, float32), dtype, and products, each a list of m, n and k. Every line that is printed is one JSON object:
the version, and then each kernel's name and milliseconds. Attention is scaled_dot_product_attention, by the
fastest of its implementations that runs.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROUNDS = 9
WARM_UP = 0.4 if DEVICE == "cuda" else 0.0  # seconds: an idle GPU runs at a lower clock for a while


def milliseconds_of(run):
    if DEVICE == "cpu":
        began = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - began)
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    run()
    ended.record()
    torch.cuda.synchronize()
    return began.elapsed_time(ended)


def median_milliseconds(run):
    run()
    started = time.perf_counter()
    while time.perf_counter() - started < WARM_UP:
        milliseconds_of(run)
    return statistics.median(milliseconds_of(run) for _ in range(ROUNDS))


def tell(**figures):
    print(json.dumps(figures), flush=True)


def time_attention(shapes, dtype):
    size = shapes["microBatch"], shapes["heads"], shapes["sequence"], shapes["headDim"]
    queries, keys, values = (
        torch.rand(size, dtype=dtype, device=DEVICE).requires_grad_() for _ in range(3)
    )
    upstream = torch.rand(size, dtype=dtype, device=DEVICE)
    attend = lambda: F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    best = {}
    for backend in SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH:
        if backend == SDPBackend.MATH and best:
            break
        try:
            with sdpa_kernel(backend):
                forward = median_milliseconds(attend)
                result = attend()
                run = lambda: torch.autograd.grad(result, (queries, keys, values), upstream, retain_graph=True)
                backward = median_milliseconds(run)
        except RuntimeError:  # this implementation does not take these shapes
            continue
        for name, time_taken in ("attention", forward), ("attention backward", backward):
            best[name] = min(time_taken, best.get(name, time_taken))
    for name, time_taken in best.items():
        tell(name=name, milliseconds=time_taken)


def main(shapes):
    dtype = getattr(torch, shapes["dtype"])
    tell(torch=torch.__version__)
    source = torch.rand(shapes["copied"], device=DEVICE)
    target = torch.empty_like(source)
    tell(name="copy", milliseconds=median_milliseconds(lambda: target.copy_(source)))
    for name, (m, n, k) in shapes["products"].items():
        a = torch.rand(m, k, dtype=dtype, device=DEVICE) - 0.5
        b = torch.rand(k, n, dtype=dtype, device=DEVICE) - 0.5
        c = torch.empty(m, n, dtype=dtype, device=DEVICE)
        tell(name=name, milliseconds=median_milliseconds(lambda: torch.mm(a, b, out=c)))
    time_attention(shapes, dtype)


main(json.loads(sys.argv[1]))
