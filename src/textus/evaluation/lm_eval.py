"""The command line of lm-evaluation-harness with our models known to it, as `--model textus`.

`python -m textus.evaluation.lm_eval run --model textus --model_args pretrained=runs/first --tasks piqa`
"""

from __future__ import annotations

from lm_eval.__main__ import cli_evaluate

import textus.evaluation.harness

KNOWN = textus.evaluation.harness.TextusLM
"""What importing this makes known."""

if __name__ == "__main__":
    cli_evaluate()
