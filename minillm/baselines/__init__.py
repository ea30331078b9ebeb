"""What came before the Transformer, to compare it with."""
