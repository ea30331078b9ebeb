"""你的 GPT 写在这个文件夹里。 Your GPT goes into this folder.

文件、函数、类怎样安排，都由你定；adapters.py 把它们交给检查。只用 NumPy 和标准库。
Arrange files, functions and classes as you like; adapters.py hands them to the checks. NumPy and the standard library
are all that you may use.
"""
