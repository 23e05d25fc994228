"""What transformers computes of a checkpoint, and how fast; see compare-command.ts.

Usage: transformers_side.py CHECKPOINT WORK. WORK holds inputs.json; it gets reference.f32, the logits in
float32. The last line printed is one JSON object.
"""

import json
import math
import statistics
import sys
import time

import torch
import transformers
from torch import nn

WARM_UP = 2.0  # seconds: an idle GPU runs at a lower clock for a while
TIMES = 8


def median_seconds(run):
    started = time.perf_counter()
    seconds = []
    while len(seconds) < TIMES:
        torch.cuda.synchronize()
        began = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if began - started > WARM_UP:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


class Lora(nn.Module):
    """PEFT's update of a linear layer, which is frozen: base(x) + alpha / rank * B(A(x))."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base, alpha / rank
        self.down = nn.Linear(base.in_features, rank, bias=False, device="cuda")
        self.up = nn.Linear(rank, base.out_features, bias=False, device="cuda")
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.scale * self.up(self.down(x))


def add_lora(model, rank, alpha):
    model.requires_grad_(False)
    for module in list(model.model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Lora(child, rank, alpha))


def training_speed(model, settings):
    """Two micro-batches, clipping and AdamW, with matrix products in bfloat16."""
    micro_batch, sequence = settings["microBatch"], settings["sequence"]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    ids = torch.randint(model.config.vocab_size, (micro_batch, sequence), device="cuda")

    def step():
        for _ in range(2):
            with torch.autocast("cuda", torch.bfloat16):
                loss = model(input_ids=ids, labels=ids, use_cache=False).loss
            (loss / 2).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return 2 * micro_batch * sequence / median_seconds(step)


def main(checkpoint, work):
    with open(f"{work}/inputs.json") as file:
        settings = json.load(file)
    ids = torch.tensor([settings["ids"]], device="cuda")
    load = transformers.AutoModelForCausalLM.from_pretrained
    figures = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    figures["transformers"] = transformers.__version__

    torch.backends.cuda.matmul.allow_tf32 = False
    with torch.no_grad():
        full = load(checkpoint, dtype=torch.float32).cuda().eval()
        reference = full(ids).logits[0].float()
        reference.cpu().numpy().tofile(f"{work}/reference.f32")
        del full
        half = load(checkpoint, dtype=torch.bfloat16).cuda().eval()
        error = half(ids).logits[0].float() - reference
        figures["logitsError"] = (error.norm() / reference.norm()).item()

        micro_batch, sequence = settings["microBatch"], settings["sequence"]
        batch = torch.randint(half.config.vocab_size, (micro_batch, sequence), device="cuda")
        seconds = median_seconds(lambda: half.model(batch, use_cache=False))
        figures["forward"] = micro_batch * sequence / seconds

        new = settings["newTokens"]
        for texts in settings["texts"]:
            prompts = ids[:, : settings["prompt"]].repeat(texts, 1)
            mask = torch.ones_like(prompts)

            def write():
                half.generate(
                    prompts,
                    attention_mask=mask,
                    do_sample=False,
                    max_new_tokens=new,
                    min_new_tokens=new,
                    pad_token_id=0,
                )

            write()
            torch.cuda.synchronize()
            began = time.perf_counter()
            write()
            torch.cuda.synchronize()
            figures[f"writing{texts}"] = texts * new / (time.perf_counter() - began)

    add_lora(half, settings["rank"], settings["alpha"])
    half.train()
    figures["lora"] = training_speed(half, settings)
    del half
    torch.cuda.empty_cache()
    full = load(checkpoint, dtype=torch.float32).cuda().train()
    figures["training"] = training_speed(full, settings)
    assert all(math.isfinite(v) for v in figures.values() if isinstance(v, float))
    print(json.dumps(figures))


main(*sys.argv[1:])
