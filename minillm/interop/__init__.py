"""To and from the formats of transformers: a learner's model for theirs, theirs for ours.

    model, tokenizer = from_pretrained("gpt2", backend="pt")      GPT-2, Llama, Qwen2, Qwen3, Arcee, Apertus
    import_pretrained("Qwen/Qwen3-0.6B-Base", "runs/qwen3")       into a run's folder, as `minillm import`
    export_pretrained(model, tokenizer, "my-model")               for AutoModelForCausalLM and AutoTokenizer
    export_run("runs/my", "my-model")                             of a run's folder, as `minillm export`

Weights stay what they are: exported and imported again they are the same bit for bit, and logits differ by the
rounding of float32. What the other side cannot compute exactly is refused in one line.
"""

from minillm.interop.export import export_pretrained, export_run
from minillm.interop.foreign import from_pretrained, import_pretrained

__all__ = ["export_pretrained", "export_run", "from_pretrained", "import_pretrained"]
