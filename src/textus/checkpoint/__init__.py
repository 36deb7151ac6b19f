"""What is kept of a model: a Hugging Face model directory that says where it came from.

model + tokenizer + provenance -> write_model -> directory -> load -> Checkpoint
"""
