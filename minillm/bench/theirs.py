"""The opponents: transformers' GPT2LMHeadModel and LlamaForCausalLM, of the same shape as ours.

With torch's fused AdamW, its scaled dot product attention ("sdpa") and transformers' own cached generate.
"""

from typing import Any

from minillm.bench.card import memory
from minillm.bench.tasks import Task, recipe


def make_model(task: Task) -> Any:
    """The model of the task's family, on its device, float32."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    c = task.config
    common: dict[str, Any] = {
        "vocab_size": c.vocab_size,
        "attn_implementation": "sdpa",
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
    }
    if task.family == "gpt2":
        shape = {"n_positions": c.context, "n_embd": c.d_model, "n_layer": c.n_layer, "n_head": c.n_head}
        off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return GPT2LMHeadModel(GPT2Config(**shape, **off, **common)).to(task.device)
    config = LlamaConfig(
        max_position_embeddings=c.context,
        hidden_size=c.d_model,
        intermediate_size=c.d_ff,
        num_hidden_layers=c.n_layer,
        num_attention_heads=c.n_head,
        num_key_value_heads=c.n_kv_head,
        rms_norm_eps=c.norm_eps,
        **common,
    )
    return LlamaForCausalLM(config).to(task.device)


def jobs(task: Task, compiled: bool = False) -> dict[str, Any]:
    """Train and generate, as ours do. Compiled: torch.compile as its documentation shows it."""
    import torch

    model = make_model(task)
    learner = torch.compile(model) if compiled else model
    r = recipe()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=r.lr, betas=r.betas, weight_decay=r.weight_decay, fused=task.device != "mps"
    )
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(task.precision)
    scaler = torch.amp.GradScaler(task.device, enabled=half == torch.float16)
    x, y = (torch.from_numpy(ids).to(task.device) for ids in task.ids())

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            with torch.autocast(task.device, half, enabled=half is not None):
                logits = learner(x, use_cache=False).logits
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), r.clip)
            scaler.step(optimizer)
            scaler.update()
            loss.item()

    def generate(texts: int) -> None:
        model.eval()
        prompt = torch.ones(1, 1, dtype=torch.long, device=task.device)
        tokens = task.config.context - 1
        for _ in range(texts):
            with torch.inference_mode():
                ids = model.generate(prompt, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens)
            assert ids.shape[1] == tokens + 1
        model.train()

    return {"train": train, "generate": generate, "memory": lambda _: memory(task)}
