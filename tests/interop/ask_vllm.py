"""What vLLM makes of model directories; run by a Python that has it, which need not have Textus.

Usage: python ask_vllm.py QUESTIONS.json ANSWERS.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

SEVERAL = 5


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return tokens, log-probabilities, the chat template's tokens, end tokens and usual sampling of one model."""
    from vllm import LLM, SamplingParams

    engine = LLM(
        question["directory"],
        dtype="float32",
        enforce_eager=True,
        max_model_len=question["context"],
        enable_prefix_caching=False,
        disable_log_stats=True,
    )
    asked = SamplingParams(max_tokens=SEVERAL, temperature=0, prompt_logprobs=0, logprobs=0, ignore_eos=True)
    prompts: Any = [{"prompt_token_ids": tokens} for tokens in question["prompts"]]
    rows = []
    for found in engine.generate(prompts, asked, use_tqdm=False):
        given = found.prompt_logprobs[1:]
        read = [place[token].logprob for place, token in zip(given, found.prompt_token_ids[1:], strict=True)]
        rows.append({"read": read, "written": list(found.outputs[0].token_ids)})
    tokenizer, usual = engine.get_tokenizer(), engine.get_default_sampling_params()
    made = engine.llm_engine.model_config.try_get_generation_config()
    talk = (
        tokenizer.apply_chat_template(question["talk"], add_generation_prompt=True, tokenize=True)
        if question["talk"]
        else []
    )
    return {
        "rows": rows,
        "tokens": [tokenizer.encode(text, add_special_tokens=False) for text in question["texts"]],
        "talk": list(talk["input_ids"] if hasattr(talk, "keys") else talk),
        "ends": made.get("eos_token_id"),
        "usual": {
            name: getattr(usual, name) for name in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
        },
    }


def main() -> None:
    # read by vLLM at import: one process, a small cache, and no network
    os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    questions = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    Path(sys.argv[2]).write_text(json.dumps([answer(question) for question in questions]), "utf-8")


if __name__ == "__main__":
    main()
