"""Models for other engines.

`Checkpoint` -> `.gguf` (llama.cpp), `.onnx` (ONNX Runtime), a model card -> networks made of what the files hold
"""
