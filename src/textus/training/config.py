"""What a training run can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import AUTO, Count, Fraction, Natural, NonNegative, Positive, Range, Settings

Beta = Annotated[float, Range(0, 1, open_high=True)]


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How to learn. What is "auto" is planned from the corpus, the device and the time, and shown before training."""

    seed: Annotated[int, Range(0, 2**63 - 1)] = 1
    """Seed of everything random: initial weights, data order, dropout."""
    start_from: str = ""
    """Directory of the model whose weights, tokenizer and shape training goes on with; empty: random weights."""
    minutes: Positive | AUTO = "auto"
    """Time for training, validation during it included. The steps that fit are measured before the start."""
    steps: Count | AUTO = "auto"
    """Optimizer steps; overrides `minutes`."""
    batch_tokens: Count | AUTO = "auto"
    """Tokens an optimizer step learns from; rounded to whole windows."""
    micro_batch_tokens: Count | AUTO = "auto"
    """Tokens in memory at once; a step accumulates as many of these as `batch_tokens` needs."""
    batch_ramp: Fraction = 0.0
    """First part of the steps, over which the batch grows to `batch_tokens`; 0: it is whole from the start."""
    batch_start: Annotated[float, Range(0, 1, open_low=True)] = 0.25
    """With `batch_ramp`: the first batch as a part of `batch_tokens`; it doubles until it is whole."""
    optimizer: Literal["adamw", "muon"] | AUTO = "auto"
    """`adamw` (Loshchilov and Hutter, 2019), or `muon` for the matrices of the blocks and AdamW for the rest."""
    learning_rate: Positive | AUTO = "auto"
    """Peak learning rate."""
    weight_decay: NonNegative | AUTO = "auto"
    """Decoupled weight decay, times the learning rate, on matrices (not on embeddings and norms); planned from the
    epochs."""
    weight_decay_schedule: Literal["constant", "linear", "rate"] = "constant"
    """The weight decay over the run: as it is, straight down to 0 at the end, or times the learning rate's schedule."""
    beta1: Beta = 0.9
    """AdamW's decay of the first moment."""
    beta2: Beta | AUTO = "auto"
    """AdamW's decay of the second moment; planned from the tokens a step holds."""
    epsilon: Positive = 1e-8
    """AdamW's term against division by zero."""
    momentum: Beta = 0.95
    """Muon's decay of the momentum."""
    gradient_clip: Positive | Literal["off"] = 1.0
    """Largest global norm of the gradient; a larger one is scaled down."""
    z_loss: NonNegative = 0.0
    """Weight of the squared logarithm of the softmax's denominator, which keeps logits small; 1e-4 is usual."""
    future_tokens: Natural = 0
    """Tokens after the next one that are predicted too while training, by heads that the model does not keep."""
    future_weight: Positive = 0.3
    """Weight of their mean loss beside that of the next token."""
    ema: Annotated[float, Range(0, 1, open_low=True, open_high=True)] | Literal["off"] = "off"
    """Measure and leave a moving average of the weights; this is its decay a step, without the bias of its start."""
    swa: Annotated[float, Range(0, 1, open_low=True)] | Literal["off"] = "off"
    """Average only over this last part of the steps: their plain mean, or with `ema` a moving one."""
    schedule: Literal["linear", "cosine", "wsd"] = "wsd"
    """The learning rate after warmup: straight to the end, half a cosine, or constant and then down (WSD)."""
    warmup_steps: Natural | AUTO = "auto"
    """Steps over which the learning rate rises to its peak."""
    decay_fraction: Annotated[float, Range(0, 1, open_low=True)] = 0.4
    """With `wsd`: the last part of the run, in which the learning rate falls."""
    final_learning_rate: Fraction = 0.0
    """Learning rate at the end, as a fraction of the peak."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the matrix products; weights stay float32. fp16 scales the loss against underflow."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    threads: Annotated[int, Range(1, 1024)] | AUTO = "auto"
    """CPU threads."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile: auto uses it on a GPU for runs that are long enough to win back the compilation."""
    record: Literal["auto", "on", "off"] = "auto"
    """Record the kernels of a micro-batch as a CUDA graph and replay it: auto does so for one process on a GPU where
    the model is compiled, and so small that the GPU is done with a kernel before Python has sent the next. Without
    effect on fp16, further tokens and recomputation."""
    recompute: Literal["auto", "off", "blocks"] = "auto"
    """Compute each block again in the backward pass rather than keep its activations: a third more work for a part of
    the memory. auto does so where the plan would not fit otherwise."""
    parallel: Literal["auto", "ddp", "fsdp"] = "auto"
    """How several processes share a model: `ddp`, each holds all of it (auto, where that fits), or `fsdp`, a part."""
    evaluate_every: Count | AUTO = "auto"
    """Steps between two measurements on validation windows."""
    evaluate_tokens: Count | AUTO = "auto"
    """Validation tokens measured each time during training, auto: at most 131,072; the final evaluation uses all."""
    checkpoint_every: Count | AUTO = "auto"
    """Steps between two checkpoints: the most that a killed run loses."""
    keep_last: Count = 2
    """Checkpoints kept beside the best one while the run lives."""
    saving: Literal["background", "blocking"] = "background"
    """Write checkpoints from a copy in memory while training goes on, or stop for them."""
    select: Literal["best", "last"] = "best"
    """Which weights the run leaves: those of the lowest validation loss, or the last."""
    on_divergence: Literal["skip", "rollback", "stop"] = "skip"
    """What to do about a non-finite loss or a spike: leave that update out, go back to the last checkpoint and
    leave that batch out, or stop at once. Eight bad steps in a row stop the run under every policy."""
    spike_sigmas: Positive = 6.0
    """A loss or gradient norm this many standard deviations above its running window is a spike."""
    spike_window: Annotated[int, Range(16)] = 128
    """Steps in the running window."""
    tensorboard: bool = False
    """Write TensorBoard events beside metrics.jsonl (needs `pip install 'textus[track]'`)."""


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The shape of the network; what is "auto" is planned from the text, the device and the time."""

    context_length: Annotated[int, Range(2)] | AUTO = "auto"
    """Tokens that the model sees at once."""
    num_layers: Count | AUTO = "auto"
    """Transformer blocks."""
    hidden_size: Count | AUTO = "auto"
    """Width of the residual stream."""
    num_heads: Count | AUTO = "auto"
    """Query heads."""
    num_kv_heads: Count | AUTO = "auto"
    """Key and value heads; fewer than query heads is grouped-query attention."""
    head_size: Count | AUTO = "auto"
    """Width of a head."""
    intermediate_size: Count | AUTO = "auto"
    """Width inside the feed-forward."""
    rope_theta: Positive | AUTO = "auto"
    """Base of the rotary wavelengths: 10000, or that of the model in `training.start_from`."""
    rope_scaling: Literal["none", "linear", "yarn"] | AUTO = "auto"
    """How the wavelengths are stretched where a model goes on at a longer context; auto: by YaRN, unless `rope_theta`
    is set."""
    tied_embeddings: bool | AUTO = "auto"
    """Whether the head shares the embedding's weights: yes, or as in the model in `training.start_from`."""
    dropout: Annotated[float, Range(0, 1, open_high=True)] | AUTO = "auto"
    """Dropout on embeddings and residual branches; planned from the epochs."""
