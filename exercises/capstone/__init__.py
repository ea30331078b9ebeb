"""The capstone: write the whole GPT yourself, in my_gpt, with NumPy alone. README.md says how."""
