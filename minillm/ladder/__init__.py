"""The ladder: python -m minillm.ladder. From the blind guess to the Transformer, in one unit, on the same text."""
