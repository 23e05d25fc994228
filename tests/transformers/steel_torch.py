"""Steel-LLM in PyTorch, trained on the blocks of against-torch-command.ts: its losses and its speed.

Usage: steel_torch.py WORK. WORK holds run.json, which describes the run, the checkpoint to start from and
blocks.i32. Each line that is printed is one JSON object: the name of the run, every step, the memory; then
the same of steps with torch.compile, if they are asked for.

Attention, norms, embeddings and head are transformers' Qwen2. The feed-forward layer is written from the
paper (arXiv 2502.06635) and the one on Soft MoE (arXiv 2308.00951). Weights, moments and gradients are
float32, matrix products and attention bfloat16 by autocast, the loss float32 as in transformers.
"""

import gc
import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Expert(nn.Module):
    """The paper's SwiGLU on both layers (`senet`), or the plain SwiGLU (`raw`)."""

    def __init__(self, hidden, inner, kind):
        super().__init__()
        self.kind = kind
        if kind == "senet":
            self.gate_up_proj = nn.Linear(hidden, inner, bias=False)
            self.gate_down_proj = nn.Linear(inner, hidden, bias=False)
        else:
            self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        if self.kind == "raw":
            return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        inner = F.silu(self.gate_up_proj(x)) * self.up_proj(x)
        return F.silu(self.gate_down_proj(inner)) * self.down_proj(inner)


class SoftMoE(nn.Module):
    """[batch, seq, hidden] to the same; every slot is a mean over all tokens of its sequence."""

    def __init__(self, hidden, inner, experts, slots, kind):
        super().__init__()
        self.phi = nn.Parameter(torch.empty(hidden, experts, slots))
        self.scale = nn.Parameter(torch.empty(1))
        self.experts = nn.ModuleList(Expert(hidden, inner, kind) for _ in range(experts))

    def forward(self, x):
        x = F.normalize(x, dim=2)
        phi = self.scale * F.normalize(self.phi, dim=0)
        logits = torch.einsum("btd,des->btes", x, phi)
        if logits.dtype != torch.float64:
            logits = logits.float()
        dispatch = logits.softmax(1).to(x.dtype)
        combine = logits.flatten(2).softmax(-1).view_as(logits).to(x.dtype)
        slots = torch.einsum("btd,btes->besd", x, dispatch)
        outputs = torch.stack([expert(slots[:, i]) for i, expert in enumerate(self.experts)], 1)
        return torch.einsum("besd,btes->btd", outputs, combine)


def steel(config):
    """The model of a config.json, its weights not yet read."""
    hidden, width = config["hidden_size"], config["intermediate_size"]
    same = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "rms_norm_eps"]
    same += ["num_attention_heads", "num_key_value_heads", "max_position_embeddings"]
    model = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            **{key: config[key] for key in same},
            rope_parameters={"rope_type": "default", "rope_theta": config["rope_theta"]},
            tie_word_embeddings=False,
            use_cache=False,
        )
    )
    inner = width // config["mlp_div_ratio"]
    for layer in model.model.layers:
        if config["FFN_type"] == "softmoe_v3":
            counts = config["n_experts"], config["slots_per_expert"]
            layer.mlp = SoftMoE(hidden, inner, *counts, config["mlp_type"])
        else:
            layer.mlp = Expert(hidden, inner, config["mlp_type"])
    return model


def read_checkpoint(folder):
    """The model of a checkpoint's folder, on the GPU in float32."""
    with torch.device(DEVICE):
        model = steel(json.loads((folder / "config.json").read_text()))
    weights = {}
    for path in folder.glob("*.safetensors"):
        weights |= load_file(path, device=DEVICE)
    model.load_state_dict(weights)
    return model


def sum_of_losses(model, inputs, labels):
    with torch.autocast(DEVICE, torch.bfloat16):
        logits = model.lm_head(model.model(inputs)[0])
    logits = logits.float().flatten(0, 1)
    return F.cross_entropy(logits, labels.flatten(), ignore_index=-100, reduction="sum")


class Training:
    """The run of run.json, step by step."""

    def __init__(self, run, folder):
        self.run = run
        self.rows = run["microBatch"]
        self.model = read_checkpoint(folder / "checkpoint")
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            betas=(run["beta1"], run["beta2"]),
            eps=run["epsilon"],
            weight_decay=run["weightDecay"],
            fused=True,
        )
        shape = len(run["learningRates"]), -1, run["sequence"] + 1
        blocks = torch.frombuffer(bytearray((folder / "blocks.i32").read_bytes()), dtype=torch.int32)
        blocks = blocks.view(shape).to(DEVICE, torch.int64)
        self.inputs, self.labels = blocks[..., :-1], blocks[..., 1:].clone()
        self.labels[self.labels == run["padding"]] = -100

    def step(self, number, sum_of_losses):
        """Returns loss, norm of the gradient, and seconds. What does not fit is tried in halves."""
        while True:
            try:
                return self.try_step(number, sum_of_losses)
            except torch.OutOfMemoryError:
                if self.rows == 1:
                    raise
            # No weight has changed yet. Here the error is gone, and with it what it held.
            self.optimizer.zero_grad()
            reset_memory()
            self.rows //= 2

    def try_step(self, number, sum_of_losses):
        synchronize()
        began = time.perf_counter()
        self.optimizer.param_groups[0]["lr"] = self.run["learningRates"][number]
        inputs, labels = self.inputs[number], self.labels[number]
        targets = (labels != -100).sum()
        loss = torch.zeros((), device=DEVICE)
        for rows, wanted in zip(inputs.split(self.rows), labels.split(self.rows)):
            part = sum_of_losses(self.model, rows, wanted) / targets
            part.backward()
            loss += part.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.run["clip"])
        self.optimizer.step()
        self.optimizer.zero_grad()
        figures = {"loss": loss.item(), "gradientNorm": norm.item()}
        synchronize()
        return {**figures, "seconds": time.perf_counter() - began}


def synchronize():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def reset_memory():
    gc.collect()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def tell(**figures):
    print(json.dumps(figures), flush=True)


def tell_memory(rows):
    if DEVICE == "cuda":
        tell(bytes=torch.cuda.max_memory_allocated(), microBatch=rows)


def main(folder):
    run = json.loads((folder / "run.json").read_text())
    steps = len(run["learningRates"])
    name = f"PyTorch {torch.__version__}"
    tell(run=f"{name}, eager, bf16 by autocast", transformers=transformers.__version__)
    training = Training(run, folder)
    for number in range(steps):
        tell(**training.step(number, sum_of_losses))
    tell_memory(training.rows)
    if run["compiledSteps"] == 0:
        return
    tell(run=f"{name}, torch.compile, the same")
    training.rows = run["microBatch"]
    # The loss is in the same graph, so that one pass over the logits does what takes several.
    compiled = torch.compile(sum_of_losses)
    training.step(0, compiled)
    reset_memory()
    for number in range(run["compiledSteps"]):
        tell(**training.step(number % steps, compiled))
    tell_memory(training.rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
