"""Text to tokens and back: a byte-level BPE that loses nothing and knows no unknowns.

```
Corpus -> train.build -> Tokenizer (one tokenizer.json);   Tokenizer: text <-> tokens, tokens -> stream of text
```
"""
