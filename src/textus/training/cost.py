"""What a training step takes of a machine: seconds and memory, by formulas whose constants were measured.

docs/planning.md tells the formulas, benchmarks/RESULTS.md how far they are from what was measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from textus.model.config import ModelConfig
from textus.objectives.cross_entropy import CPU_LOGITS, GPU_LOGITS
from textus.training import footprint
from textus.training.machine import Machine
from textus.training.recipe import Recipe

ATTENTION_BLOCK, ATTENTION_KEPT = 128, 1024
"""A CPU attends by blocks of so many queries, and keeps the probabilities of contexts up to so many tokens."""


def tokens_per_second(config: ModelConfig, machine: Machine) -> float:
    """Estimate the speed of training; a measurement takes its place before the start."""
    products = 6 * config.num_matmul_parameters() / share(config, machine)
    attention = attention_flops(config, machine) / _attention_share(machine)
    return machine.flops / (products + attention)


def share(config: ModelConfig, machine: Machine) -> float:
    """Return the share of a matrix product's speed that training reaches: narrow models spend more time elsewhere."""
    if machine.device == "cuda":
        return 0.78 * config.hidden_size / (config.hidden_size + 170)
    # the faster the products, the more the rest counts
    return 0.9 * config.hidden_size / (config.hidden_size + (50 if machine.precision == "fp32" else 320))


def attention_flops(config: ModelConfig, machine: Machine) -> float:
    """Count the operations that attention takes here for a training token in a full context.

    A GPU leaves out what causal attention does not see; a CPU does so by blocks, up to `ATTENTION_KEPT` tokens.
    """
    full = 12.0 * config.num_layers * config.context_length * config.num_heads * config.head_size
    if config.attention != "causal":
        return full
    if machine.device != "cpu":
        return full / 2
    return full * _seen(config)


def _seen(config: ModelConfig) -> float:
    """Return the part of all pairs of positions that causal attention computes on a CPU."""
    time = config.context_length
    if config.attention != "causal" or time > ATTENTION_KEPT:
        return 1.0
    return min(1.0, (time + ATTENTION_BLOCK) / (2 * time))


def _attention_share(machine: Machine) -> float:
    """Return the share of a matrix product's speed that attention reaches."""
    if machine.device == "cuda":
        return 0.35
    return 0.5 if machine.precision == "fp32" else 0.25


@dataclass(frozen=True)
class Memory:
    """The peak of a training process (on a GPU: of the device), by what holds it, in bytes."""

    process: int
    """What is held before, libraries that load at the first step, and what allocators round up."""
    weights: int
    """Weights, gradients, the optimizer's moments, an average and a copy to be saved where these are asked for."""
    activations: int
    """What the blocks keep of the tokens in memory at once, for the way back."""
    attention: int
    """Probabilities that attention keeps, or the mask that it reads; nothing where it needs neither."""
    logits: int
    """Logits and their gradient, which are made for some tokens at a time."""

    @property
    def total(self) -> int:
        """Add up the parts."""
        return sum(asdict(self).values())


def memory(config: ModelConfig, recipe: Recipe, machine: Machine) -> Memory:
    """Estimate the peak of training."""
    cpu = machine.device == "cpu"
    micro = recipe.micro_rows(config.context_length) * config.context_length
    heads = 4 * config.hidden_size * (4 + 3 * recipe.future_tokens)
    blocks = footprint.block_bytes(config, recipe, _block_bytes(config, recipe, machine), cpu=cpu)
    activations = micro * (blocks + heads)
    attention = _attention_bytes(config, recipe, machine, activations)
    fuses = machine.device == "cuda" and recipe.precision != "fp32"  # then gradients take the place of logits
    logits = min(micro * config.vocab_size, CPU_LOGITS if cpu else GPU_LOGITS) * (2 if fuses else 8)
    weights = footprint.state_bytes(config, recipe, cpu=cpu)
    if recipe.optimizer == "muon":  # one moment of the matrices, and a number for each of their rows
        copies = 2 if cpu and recipe.saving == "background" else 1
        weights -= copies * 4 * (config.num_matmul_parameters() - config.vocab_size * config.hidden_size)
    slack, libraries = (0.2, 80 * 2**20) if cpu else (0.0, 64 * 2**20)
    process = machine.base_bytes + libraries + slack * (weights + activations + attention + logits)
    return Memory(*(int(part) for part in (process, weights, activations, attention, logits)))


def _block_bytes(config: ModelConfig, recipe: Recipe, machine: Machine) -> float:
    """Return what a block keeps of a token, but for attention's probabilities."""
    wide = 4 if recipe.precision == "fp32" else 2
    queries, keys = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    if machine.device == "cpu":
        # two states; in the products' format both normed states, queries and keys before and after they are turned,
        # values, what was gathered, and the gate's four
        kept = 2 * config.hidden_size + 3 * queries + 3 * keys + 4 * config.intermediate_size
        return 2 * 4 * config.hidden_size + wide * kept
    kept = 4 * queries + 3 * config.intermediate_size + 6 * config.hidden_size
    layer = 4 * 4 * config.hidden_size + wide * kept
    # what compiled kernels, and ours, recompute rather than keep
    return layer * (0.68 if recipe.compile == "on" else 1.0)


def _attention_bytes(config: ModelConfig, recipe: Recipe, machine: Machine, activations: float) -> float:
    time, rows = config.context_length, recipe.micro_rows(config.context_length)
    wide = 4 if recipe.precision == "fp32" else 2
    if machine.device == "cpu" and time <= ATTENTION_KEPT:
        layers = config.num_layers if recipe.recompute == "off" else 1
        return rows * layers * config.num_heads * time * time * _seen(config) * wide
    if machine.device == "cuda" and recipe.precision != "fp32":
        return rows * config.num_layers * config.num_heads * time * 4  # a number for each query
    # one mask for all blocks; what it is made from is gone before they keep anything
    pairs = rows * time * time
    return pairs * wide + max(0, 3 * pairs - activations)
