"""What transformers computes of a checkpoint, and how fast; see compare-command.ts.

Usage: transformers_side.py CHECKPOINT. Its folder also holds inputs.json, and gets reference.f32, the
logits in float32. Each line that is printed is one JSON object: the versions, and then each figure or why there is
none. LoRA is PEFT's.
"""

import gc
import json
import statistics
import sys
import time
from pathlib import Path

import torch
import transformers

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WARM_UP = 2.0 if DEVICE == "cuda" else 0.0  # seconds: an idle GPU runs at a lower clock for a while


def synchronize():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seconds_of(run):
    synchronize()
    began = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - began


def median_seconds(run, times):
    run()
    started = time.perf_counter()
    while time.perf_counter() - started < WARM_UP:
        seconds_of(run)
    return statistics.median(seconds_of(run) for _ in range(times))


class Comparison:
    """Every figure is a method's; the models are loaded when the first of them needs one."""

    def __init__(self, checkpoint):
        self.settings = json.loads((checkpoint / "inputs.json").read_text())
        self.checkpoint = checkpoint
        self.ids = torch.tensor([self.settings["ids"]], device=DEVICE)
        self.half = None

    def load(self, dtype):
        load = transformers.AutoModelForCausalLM.from_pretrained
        return load(self.checkpoint, dtype=dtype).to(DEVICE).eval()

    def bfloat16(self):
        if self.half is None:
            self.half = self.load(torch.bfloat16)
        return self.half

    @torch.no_grad()
    def logits_error(self):
        torch.backends.cuda.matmul.allow_tf32 = False
        reference = self.load(torch.float32)(self.ids).logits[0].float()
        reference.cpu().numpy().tofile(self.checkpoint / "reference.f32")
        error = self.bfloat16()(self.ids).logits[0].float() - reference
        return (error.norm() / reference.norm()).item()

    def batch(self):
        shape = self.settings["microBatch"], self.settings["sequence"]
        return torch.randint(self.bfloat16().config.vocab_size, shape, device=DEVICE)

    @torch.no_grad()
    def forward(self):
        batch, model = self.batch(), self.bfloat16().model
        run = lambda: model(batch, use_cache=False)
        return batch.numel() / median_seconds(run, self.settings["passes"])

    @torch.no_grad()
    def writing(self, texts):
        prompts = self.ids[:, : self.settings["prompt"]].repeat(texts, 1)
        asked = {"attention_mask": torch.ones_like(prompts), "do_sample": False, "pad_token_id": 0}

        def write(new):
            count = {"max_new_tokens": new, "min_new_tokens": new}
            written = self.bfloat16().generate(prompts, **asked, **count)
            assert written.shape[1] == prompts.shape[1] + new

        write(2)
        new = self.settings["newTokens"]
        return texts * new / seconds_of(lambda: write(new))

    def lora(self):
        from peft import LoraConfig, get_peft_model

        rank, alpha = self.settings["rank"], self.settings["alpha"]
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear")
        return self.training_speed(get_peft_model(self.bfloat16(), config))

    def training(self):
        self.half = None  # which PEFT has changed
        gc.collect()
        return self.training_speed(self.load(torch.float32))

    def training_speed(self, model):
        """Two micro-batches, clipping and AdamW, with matrix products in bfloat16."""
        shape = self.settings["microBatch"], self.settings["sequence"]
        ids = torch.randint(model.config.vocab_size, shape, device=DEVICE)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
        model.train()

        def step():
            for _ in range(2):
                with torch.autocast(DEVICE, torch.bfloat16):
                    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
                (loss / 2).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()

        return 2 * ids.numel() / median_seconds(step, self.settings["passes"])


def tell(**figures):
    print(json.dumps(figures), flush=True)


def main(checkpoint):
    started = time.monotonic()
    tell(torch=torch.__version__, transformers=transformers.__version__)
    comparison = Comparison(checkpoint)
    parts = {"logitsError": comparison.logits_error, "forward": comparison.forward}
    for texts in comparison.settings["texts"]:
        parts[f"writing{texts}"] = lambda texts=texts: comparison.writing(texts)
    parts |= {"lora": comparison.lora, "training": comparison.training}
    for key, measure in parts.items():
        if time.monotonic() - started > comparison.settings["seconds"]:
            tell(key=key, why="there was no time left")
            continue
        try:
            tell(key=key, value=measure())
        except Exception as error:
            tell(key=key, why=f"{type(error).__name__}: {error}".splitlines()[0])
        gc.collect()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()


main(Path(sys.argv[1]))
