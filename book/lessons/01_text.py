# ---
# minillm:
#   title: {zh: "文字", en: "Text"}
#   question:
#     zh: "计算机眼里的文字是什么样子，怎样把它弄干净、切成小块，模型才好读？"
#     en: "What does text look like to a computer, and how is it cleaned and cut so that a model can read it?"
#   minutes: 55
#   seconds: 20
#   needs: ["00"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("01")

# %% key="imports" both=true
import math
import re
import unicodedata
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.data.corpora import load_corpus, read_pieces
from minillm.text.clean import clean, collapse_spaces, normalize, remove_stop_words
from minillm.text.clean import strip_control, strip_html, to_halfwidth, unescape_entities
from minillm.text.word import cut_words

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 下面每一行有两串文字，左右看上去一样，或者几乎一样。计算机怎么看？
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# Each line below shows two strings that look the same, or nearly. What does the computer say?

# %% key="problem-run" tags=["nbval-check-output"]
pairs = [("caf\u00e9", "cafe\u0301"), ("2008", "２００８"), ("北京", "北\u200b京")]
for left, right in pairs:
    print(f"{left}   {right}   相等 equal: {left == right}   长度 length: {len(left)}, {len(right)}")

print("找到北京了吗 is Beijing found?", "北京" in "我在北\u200b京住了十年。")

sentence = "我爱北京天安门"
print("切成词 cut into words:", sentence.split())

# %% [markdown] key="problem-after" lang="zh"
# 一对也不相等。“北京”两个字之间藏着一个没有宽度的空格，于是搜索说这句话里没有北京。最后一行想把句子切成词，得到的“词”只有一个，就是整句话，因为中文的词与词之间没有空格。
#
# 这些都不报错。模型照样训练，只是它以为 `2008` 和 `２００８` 毫不相干，又把一整句话当作一个词。这一课先弄清文字在计算机里是什么，再把它洗干净，最后切成块，数一数每种切法的得失。
# %% [markdown] key="problem-after" lang="en"
# Not one pair is equal. Between the two characters of 北京 (Beijing) hides a space without width, so the search says that Beijing is not in the sentence. The last line meant to cut 我爱北京天安门 (“I love Tiananmen in Beijing”) into words and found a single one, the whole sentence, because Chinese puts no spaces between words.
#
# None of this raises an error. A model trains all the same; it merely believes that `2008` and `２００８` have nothing to do with each other, and takes a whole sentence for one word. This lesson finds out what text is inside a computer, washes it, then cuts it into pieces and counts what each way of cutting gains and loses.

# %% [markdown] key="code-points" lang="zh"
# ## 每个字是一个数
#
# 计算机里没有字，只有数。Unicode 给世界上的每个字符发了一个号码，叫**码点**，习惯写成 U+ 加十六进制。Python 的 `ord` 查号码，`chr` 反过来。
# %% [markdown] key="code-points" lang="en"
# ## Every character is a number
#
# There are no characters inside a computer, only numbers. Unicode gives every character of the world a number, its **code point**, written U+ and then in hexadecimal. In Python `ord` looks the number up, and `chr` goes the other way.

# %% key="code-points-run" tags=["nbval-check-output"]
for char in sentence:
    print(char, ord(char), f"U+{ord(char):04X}")

assert "".join(chr(ord(char)) for char in sentence) == sentence

for riddle in ("cafe\u0301", "２", "北\u200b京"):
    print([unicodedata.name(char) for char in riddle])

# %% [markdown] key="code-points-after" lang="zh"
# 三个谜底都在最后三行里。é 可以是一个码点，也可以是 e 后面跟一个会叠上去的重音符。全角的“２”有自己的号码。“北”和“京”之间是 ZERO WIDTH SPACE。打印出来看不见，`ord` 看得见。
# %% [markdown] key="code-points-after" lang="en"
# The last three lines solve all three riddles. An é may be one code point, or an e followed by an accent that is laid over it. The full-width ２ has a number of its own. And between 北 and 京 stands a ZERO WIDTH SPACE. Print it and you see nothing; `ord` sees it.

# %% [markdown] key="utf8" lang="zh"
# ## 从数到字节：UTF-8
#
# 文件和网络只认**字节**，也就是 0 到 255 的数。“我”的码点是 25105，一个字节装不下。UTF-8 的办法是：小的号码用一个字节，大的用两到四个，并在每个字节的开头留几个记号，说明它是谁。
#
# | 码点 | 字节数 | 二进制的样子 | 例子 |
# |---|---|---|---|
# | U+0000 到 U+007F | 1 | `0xxxxxxx` | A |
# | U+0080 到 U+07FF | 2 | `110xxxxx 10xxxxxx` | é |
# | U+0800 到 U+FFFF | 3 | `1110xxxx 10xxxxxx 10xxxxxx` | 我 |
# | U+10000 到 U+10FFFF | 4 | `11110xxx 10xxxxxx 10xxxxxx 10xxxxxx` | 😀 |
#
# x 的位置依次填上码点的二进制数字，前面不够就补 0。第一个字节开头有几个 1，这个字符就占几个字节（只占一个字节的，开头是 0）；后面的字节一律以 10 开头。所以随便翻到哪个字节，都看得出它是一个字的开头还是中间。
#
# 常用汉字都在第三行，占三个字节。把二进制写成除法，三个字节就是
#
# $$b_1 = 224 + \lfloor c / 4096 \rfloor \qquad b_2 = 128 + (\lfloor c / 64 \rfloor \bmod 64) \qquad b_3 = 128 + (c \bmod 64)$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $c$ | 一个整数 | 无 | 码点，这里从 2048 到 65535 |
# | $b_1, b_2, b_3$ | 三个整数 | 字节 | 各从 0 到 255 |
# | $\lfloor x \rfloor$ | | | 去掉小数部分 |
# | $\bmod 64$ | | | 除以 64 的余数 |
#
# 224 是 `11100000`，128 是 `10000000`，就是那些记号；4096 是 $64 \times 64$，除以它等于去掉右边十二位。下面拿“我”一步一步算，最后一行倒着算回来。
# %% [markdown] key="utf8" lang="en"
# ## From numbers to bytes: UTF-8
#
# Files and networks know only **bytes**, numbers from 0 to 255. The code point of 我 is 25105, too large for one. UTF-8 writes small numbers with one byte and larger ones with two to four, and begins every byte with a mark that says what it is.
#
# | code points | bytes | in binary | example |
# |---|---|---|---|
# | U+0000 to U+007F | 1 | `0xxxxxxx` | A |
# | U+0080 to U+07FF | 2 | `110xxxxx 10xxxxxx` | é |
# | U+0800 to U+FFFF | 3 | `1110xxxx 10xxxxxx 10xxxxxx` | 我 |
# | U+10000 to U+10FFFF | 4 | `11110xxx 10xxxxxx 10xxxxxx 10xxxxxx` | 😀 |
#
# The places marked x take the binary digits of the code point in order, with zeros in front if there are too few. As many 1s as the first byte begins with, so many bytes the character has (a character of a single byte begins with 0); all later bytes begin with 10. So wherever you open a file, each byte tells you whether it begins a character or continues one.
#
# The common Chinese characters live in the third row and take three bytes. With divisions in place of binary digits, these are
#
# $$b_1 = 224 + \lfloor c / 4096 \rfloor \qquad b_2 = 128 + (\lfloor c / 64 \rfloor \bmod 64) \qquad b_3 = 128 + (c \bmod 64)$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $c$ | an integer | none | the code point, here from 2048 to 65535 |
# | $b_1, b_2, b_3$ | three integers | bytes | each from 0 to 255 |
# | $\lfloor x \rfloor$ | | | drop the fraction |
# | $\bmod 64$ | | | remainder of a division by 64 |
#
# 224 is `11100000` and 128 is `10000000`: those are the marks. 4096 is $64 \times 64$, and dividing by it drops twelve binary digits on the right. Here is 我, step by step; the last line calculates back.

# %% key="utf8-by-hand" tags=["nbval-check-output"]
c = ord("我")
b1 = 224 + c // 4096
b2 = 128 + c // 64 % 64
b3 = 128 + c % 64

print(f"c  = {c} = {c:016b}")
print(f"b1 = 224 + {c // 4096:2} = {b1} = {b1:08b} = {b1:02X}")
print(f"b2 = 128 + {c // 64 % 64:2} = {b2} = {b2:08b} = {b2:02X}")
print(f"b3 = 128 + {c % 64:2} = {b3} = {b3:08b} = {b3:02X}")
assert bytes([b1, b2, b3]) == "我".encode()

print((b1 - 224) * 4096 + (b2 - 128) * 64 + (b3 - 128), "=", c)

# %% key="utf8-picture"
bits = f"{c:016b}"
parts = [("1110", bits[:4], b1), ("10", bits[4:10], b2), ("10", bits[10:], b3)]
ax = viz.new_axes(8, 2.4)


def box(x, y, digit, colour):
    style = {"boxstyle": "square,pad=0.3", "facecolor": colour, "edgecolor": "0.6"}
    ax.text(x, y, digit, ha="center", va="center", fontsize=12, bbox=style)


colours = ["#CDE5F5", "#FBE3D6", "#D5EFE3"]
for number, (mark, payload, byte) in enumerate(parts):
    colour = colours[number]
    for i, digit in enumerate(mark + payload):
        box(9 * number + i, 0, digit, "0.9" if i < len(mark) else colour)
        if i >= len(mark):
            box(9 * number + i, 1, digit, colour)
    ax.text(9 * number + 3.5, -0.75, f"{byte:02X}", ha="center", va="center", fontsize=13)

ax.text(-1, 1, "码点 code point", ha="right", va="center")
ax.text(-1, 0, "UTF-8", ha="right", va="center")
ax.text(-1, -0.75, "十六进制 hex", ha="right", va="center")
ax.set(xlim=(-7, 26), ylim=(-1.1, 1.5), title="我  U+6211：灰色是记号 marks in grey")
ax.axis("off")
viz.show(ax, alt="“我”的十六位落进三个字节 the sixteen bits of 我 fall into three bytes")

# %% [markdown] key="utf8-code" lang="zh"
# 写成代码：先用循环，一个字一个字；再让 NumPy 把读本里的汉字一次全算完。两边都该和 Python 自带的 `encode` 一个字节不差。
# %% [markdown] key="utf8-code" lang="en"
# In code: first with a loop, one character after the other; then NumPy does all Chinese characters of the reader at once. Both should agree with Python's own `encode` to the last byte.

# %% key="utf8-code-run" tags=["nbval-check-output"]
corpus = load_corpus("reader")
text = "\n".join(corpus.train)
han = "".join(char for char in text if "\u4e00" <= char <= "\u9fff")


def encode_loops(chars):
    out = bytearray()
    for char in chars:
        c = ord(char)
        out += bytes([224 + c // 4096, 128 + c // 64 % 64, 128 + c % 64])
    return bytes(out)


def encode_rows(chars):
    c = np.array([ord(char) for char in chars])
    rows = np.stack([224 + c // 4096, 128 + c // 64 % 64, 128 + c % 64], axis=1)  # (N, 3)
    return rows.astype(np.uint8).tobytes()


assert encode_loops(han) == encode_rows(han) == han.encode()
print(f"{len(han)} 个汉字 Chinese characters, {len(han.encode())} 字节 bytes")
print(f"整个训练部分 all training text: {len(text.encode()) / len(text):.2f} 字节/字符 bytes per character")

# %% [markdown] key="streaming" lang="zh"
# ### 半个字
#
# 网络不管字的边界。一句话的 21 个字节，如果每四个一包地送来，又每到一包就解码，会怎样？
# %% [markdown] key="streaming" lang="en"
# ### Half a character
#
# Networks do not care where characters end. What if the 21 bytes of a sentence arrive in packets of four, and each packet is decoded on arrival?

# %% key="streaming-run" tags=["nbval-check-output"]
from minillm.text import StreamDecoder

data = sentence.encode()
packets = [data[i : i + 4] for i in range(0, len(data), 4)]
print([packet.decode(errors="replace") for packet in packets])

stream = StreamDecoder([bytes([value]) for value in range(256)])  # 一个词元一个字节 a token is a byte
print(["".join(map(stream.feed, packet)) for packet in packets])

# %% [markdown] key="streaming-after" lang="zh"
# 菱形问号 � 是“这里的字节不成字”。聊天程序里一闪而过的 �，多半就是这样来的。minillm 的 `StreamDecoder` 把不完整的尾巴留在手里，等剩下的字节到了再一起交出来。练习 6 里你会自己写一个。
#
# 到这里是手算的部分。这一课没有要训练的参数，也就没有梯度，所以其他课里的“反向”和“PyTorch 孪生”两步，这里无事可做。
# %% [markdown] key="streaming-after" lang="en"
# The diamond � means “these bytes make no character”. When one flashes up in a chat window, this is the likely reason. minillm's `StreamDecoder` keeps an unfinished tail in its hand until the missing bytes arrive. In exercise 6 you will write one yourself.
#
# So much for calculating by hand. This lesson has no parameters to train and therefore no gradient, so two steps of the other lessons, the backward pass and the PyTorch twin, have nothing to do here.

# %% [markdown] key="normal" lang="zh"
# ## 一样的，写成一样
#
# 两种写法的 é 看上去相同，就该变成同一串码点。这叫**规范化**。Unicode 规定了几种，常用两种：NFC 只把拆开的合起来，读者看不出差别；NFKC 还要把“意思差不多”的也换成一个。
# %% [markdown] key="normal" lang="en"
# ## The same, written the same
#
# Both ways of writing é look alike, so they should become the same code points. That is called **normalisation**. Unicode defines several forms, and two are common: NFC joins what was taken apart, and no reader sees a difference; NFKC also replaces what “means about the same”.

# %% key="normal-run" tags=["nbval-check-output"]
for char in ["e\u0301", "Ａ", "２", "①", "½", "㎏", "，", "！", "。", "“"]:
    print(f"{char}   NFC {normalize(char)}   NFKC {normalize(char, 'NFKC')}")

print(normalize("“我爱北京，你呢？”他问。", "NFKC"))
changed = sum(char != normalize(char, "NFKC") for char in text)
assert normalize(text) == text
print(f"NFKC 会改掉读本里 of the reader's characters, it would change: {changed / len(text):.1%}")

# %% [markdown] key="normal-after" lang="zh"
# NFC 放心用。NFKC 要当心：全角的“，”和“！”是中文正当的标点，它却换成英文的；“。”和引号没有半角的对应，又留着不动。一句话里于是混着两套标点。读本将近十分之一的字符会被它改掉，照这样训练出来的模型，写的就是混着的标点。
#
# minillm 的做法是把全角的字母和数字变成半角，标点不动，然后做 NFC。全角的“！”到“～”这九十四个字符，排列和半角的完全一样，只差一个固定的数 65248，所以用循环写很短：
# %% [markdown] key="normal-after" lang="en"
# NFC is safe. NFKC needs care: the full-width “，” and “！” are proper Chinese punctuation, yet it turns them into English ones; “。” and the quotation marks have no half-width partner and stay. So one sentence ends up with two kinds of punctuation. Nearly a tenth of the reader's characters would change, and a model trained on the result would write the mixture.
#
# What minillm does instead: full-width letters and digits become half-width, punctuation stays, and then comes NFC. The ninety-four full-width characters from “！” to “～” stand in exactly the order of the half-width ones, at a fixed distance of 65248, so a loop is short:


# %% key="halfwidth" tags=["nbval-check-output"]
def halfwidth_loops(wide):
    out = ""
    for char in wide:
        twin = chr(ord(char) - 65248) if "！" <= char <= "～" else char
        out += twin if twin.isalnum() else char  # 标点留着 punctuation stays
    return out


line = "２００８年，Ａ座１５层！"
print(line, "→", halfwidth_loops(line))

everything = "".join(map(chr, range(0x10000)))
assert halfwidth_loops(everything) == to_halfwidth(everything)
assert halfwidth_loops(text) == to_halfwidth(text)

# %% [markdown] key="dirty" lang="zh"
# ## 洗一张网页
#
# 真实的文字多半来自网页，带着标签、脚本、转义和看不见的字符。下面这一小段把常见的脏都占全了。我们一步一步洗，每一步只显示它改了什么：⟦旧→新⟧，看不见的字符写成代号。
# %% [markdown] key="dirty" lang="en"
# ## Wash a web page
#
# Real text mostly comes from web pages, with tags, scripts, escapes and characters that nobody sees. The little piece below has all the common kinds of dirt. We wash it step by step and show only what each step changes: ⟦old→new⟧, with invisible characters written as their codes.

# %% key="dirty-run" tags=["nbval-check-output"]
from difflib import SequenceMatcher

page = (
    "<p class='top'>我爱北&#8203;京天安门！</p><script>count(1)</script>\n\n\n"
    "<p>门票　１５&nbsp;元，去 cafe&#769; 喝茶。&lt;b&gt; 是粗体的标签。</p>"
)
steps = [strip_html, unescape_entities, strip_control, to_halfwidth, normalize, collapse_spaces]


def visible(chars):
    def show(char):
        plain = char.isprintable() and not unicodedata.combining(char)
        return char if plain else char.encode("unicode_escape").decode()

    return "".join(map(show, chars))


def changes(old, new):
    moves = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    moves = [move for move in moves if move[0] != "equal"]
    return [visible(f"⟦{old[i:j]}→{new[k:m]}⟧") for _, i, j, k, m in moves]


washed = page
for step in steps:
    before, washed = washed, step(washed)
    print(f"{step.__name__:17}", *changes(before, washed))
print("\n" + washed)
assert washed == clean(page)

# %% [markdown] key="order" lang="zh"
# 次序不能换。`&lt;b&gt;` 是网页为了**显示**出 `<b>` 这三个字符而写的。先去标签、后还原，它就留下来；反过来，还原出的 `<b>` 会被当成真的标签删掉，句子少了主语，而且没有任何提示：
# %% [markdown] key="order" lang="en"
# The order matters. `&lt;b&gt;` is how a page **displays** the three characters `<b>`. Remove tags first and unescape second, and they stay. The other way round, the unescaped `<b>` is taken for a real tag and deleted: the sentence loses its subject, and nothing tells you so.

# %% key="order-run" tags=["nbval-check-output"]
fragment = "<p>&lt;b&gt; 是粗体的标签。</p>"
print("先去标签 tags first:    ", collapse_spaces(unescape_entities(strip_html(fragment))))
print("先还原   unescape first:", collapse_spaces(strip_html(unescape_entities(fragment))))

# %% [markdown] key="listing" lang="zh"
# 六步合起来就是 minillm 的 `clean`，每一步为什么排在那里，写在 `minillm/text/clean.py` 的开头。最后一步最短，全文如下。`[^\S\n]` 读作“是空白，但不是换行”：制表符、不换行空格、全角空格都算。
# %% [markdown] key="listing" lang="en"
# The six steps together are minillm's `clean`; why each stands where it does is told at the top of `minillm/text/clean.py`. The last step is the shortest, and this is all of it. Read `[^\S\n]` as “white space, but no newline”: tabs, no-break spaces and full-width spaces all count.

# %% key="listing-run" tags=["nbval-check-output"]
from minillm.text.clean import collapse_spaces  # paste

print(repr(collapse_spaces(" 门票\u3000 15\xa0元 \n\n\n\n 好 ")))

# %% [markdown] key="spaces" lang="zh"
# ## 切成块
#
# 模型不读字符串，它读**词元**：把文字切成块，每一种块在**词表**里有一个编号。怎么切？
#
# 有一种常见的文章代码，拿一个为英文准备的分词器，用它的默认设置去切中文。早先的 Keras 里的 `Tokenizer` 就是这样：去掉英文标点，换成小写，按空格切开。照着写出来只要三行。给它三句英文和三句中文：
# %% [markdown] key="spaces" lang="en"
# ## Cut into pieces
#
# A model does not read strings, it reads **tokens**: text is cut into pieces, and each kind of piece has an id in the **vocabulary**. But how to cut?
#
# A common piece of article code takes a tokenizer made for English and lets its default settings loose on Chinese. The `Tokenizer` of older Keras versions is one: drop English punctuation, turn to lower case, split at spaces. Written out it takes three lines. Give it three English sentences and three Chinese ones:


# %% key="spaces-run" tags=["nbval-check-output"]
def split_at_spaces(line):
    drop = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))
    return line.lower().translate(drop).split()


english = ["I love Beijing.", "Beijing is big.", "I love the big wind in Beijing."]
chinese = ["我爱北京天安门。", "小雨住在北京。", "今天北京的风很大，小雨不想出门。"]
for sentences in (english, chinese):
    tokens = [token for line in sentences for token in split_at_spaces(line)]
    print(f"{len(tokens)} 个词元 tokens, 词表 vocabulary {len(set(tokens))}: {sorted(set(tokens))}")

print("新句子认得吗 is a new sentence known?", split_at_spaces("小雨爱北京。")[0] in tokens)

# %% [markdown] key="spaces-after" lang="zh"
# 三句中文，词表里正好三个“词”，每个都是一整句。北京在三句里都出现了，这个词表却一次也没看见它。训练时每个词元只见一次，什么规律也学不到；换一句话，全是生词。程序从头到尾没有报错。
#
# ### 字，还是词
#
# 那就不靠空格。最简单的切法：一个**字符**一个词元。另一种：先找出**词**。jieba 用一部词典和一个统计模型来找，统计模型的原理第 03 课讲。
# %% [markdown] key="spaces-after" lang="en"
# Three Chinese sentences, and a vocabulary of exactly three “words”, each of them a whole sentence. Beijing is in all three, and this vocabulary has not seen it once. In training every token comes up a single time and there is nothing to learn from it; in any other sentence everything is unknown. From beginning to end the program reports no error.
#
# ### Characters or words
#
# So do without spaces. The simplest way makes each **character** a token. Another finds the **words** first: jieba does so with a dictionary and a statistical model, whose principle lesson 03 explains.

# %% key="words-run" tags=["nbval-check-output"]
for line in ("我爱北京天安门", "乒乓球拍卖完了", "林小雨骑车去什刹海"):
    print(" / ".join(line), "  →  ", " / ".join(cut_words(line)))

# %% [markdown] key="words-after" lang="zh"
# 第一句切得漂亮：七个字，四个词。后两句说明词的边界不是天生就有的。“乒乓球拍卖完了”可以是球拍卖完了，也可以是拍卖结束了，jieba 选了后一种。“骑车去什刹海”里，“骑车去”被当成了一个词。切错了，后面的模型只能将错就错；切成字，就没有这个问题。
#
# 好坏要量。取读本的训练部分造词表，看留出来的 22 篇新文章（验证和测试部分）。有两把尺子：平均一个字符要几个词元，越少越省；新文章里有多大比例的词元不在词表里，叫**未登录率**，越低越好。
#
# $$\text{OOV} = \frac{1}{M} \sum_{i=1}^{M} [\,t_i \notin \mathcal{V}\,]$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $t_1 \dots t_M$ | $M$ 个词元 | 个 | 新文章 |
# | $\mathcal{V}$ | 一个集合 | 种 | 训练文字里出现过的词元，也就是词表 |
# | $[\,\cdot\,]$ | 一个数 | 无 | 成立取 1，不成立取 0 |
# %% [markdown] key="words-after" lang="en"
# The first is cut beautifully: seven characters, four words. The other two show that the borders of words are not given by nature. 乒乓球拍卖完了 may say that the table-tennis bats are sold out or that an auction of table-tennis balls is over; jieba chose the auction. And in “rides to Shichahai”, 骑车去, “rides to”, was taken for one word. A model that comes after a wrong cut has to live with it; cut into characters, there is nothing to get wrong.
#
# Which is better must be measured. We make vocabularies from the training part of the reader and look at 22 new pieces that were held out (its validation and test parts). There are two rulers: how many tokens a character takes, the fewer the cheaper; and what share of the new tokens is not in the vocabulary, the **out-of-vocabulary rate**, the lower the better.
#
# $$\text{OOV} = \frac{1}{M} \sum_{i=1}^{M} [\,t_i \notin \mathcal{V}\,]$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $t_1 \dots t_M$ | $M$ tokens | tokens | the new pieces |
# | $\mathcal{V}$ | a set | kinds | the tokens that occur in the training text: the vocabulary |
# | $[\,\cdot\,]$ | a number | none | 1 if it holds, 0 if not |

# %% key="oov" tags=["nbval-check-output"]
cuts = {"字 characters": list, "词 words": cut_words}
new_texts = corpus.valid + corpus.test


def cut_all(texts):
    return {name: [token for each in texts for token in cut(each)] for name, cut in cuts.items()}


train_tokens, new_tokens = cut_all(corpus.train), cut_all(new_texts)
oov = {}
for name in cuts:
    vocabulary = set(train_tokens[name])
    unknown = [token for token in new_tokens[name] if token not in vocabulary]
    oov[name] = len(unknown) / len(new_tokens[name])
    per_character = len(new_tokens[name]) / sum(map(len, new_texts))
    print(f"{name}: 词表 vocabulary {len(vocabulary)}, 词元/字符 tokens per character {per_character:.3f}")
    print(f"    OOV {oov[name]:.1%}: {' '.join(token for token, _ in Counter(unknown).most_common(8))}")

# %% [markdown] key="oov-after" lang="zh"
# 切成词，序列短了将近三成。代价是词表大了将近四倍，新文章里每十一个词元就有一个不认得；切成字，九十个里才有一个。不认得的词，模型既读不懂，也写不出来。所以 minillm 的词分词器遇到生词会退回去，一个字一个字地拼。
#
# 有没有又短、又没有生词的切法？有，它在词和字节之间找一个平衡，那是第 02 课的事。这里先问：词表为什么会这么大，再多读一些书，生词会不会没有了？
# %% [markdown] key="oov-after" lang="en"
# Cut into words, the sequence is nearly three tenths shorter. The price: a vocabulary almost four times as large, and one token in eleven of the new pieces unknown, against one in ninety for characters. A word that is not known can neither be read nor written. That is why minillm's word tokenizer falls back on an unknown word's characters and spells it.
#
# Is there a way of cutting that is short and has no unknown words? There is, in between words and bytes, and lesson 02 is about it. Here we ask first why the vocabulary is so large, and whether unknown words would go away if only we read more.

# %% [markdown] key="zipf" lang="zh"
# ## 少数很常见，多数很少见
#
# 把词按出现次数从多到少排好，次数和名次之间有一条简单的规律，叫**齐夫定律**：
#
# $$f(r) = \frac{C}{r^{s}} \qquad\Longleftrightarrow\qquad \ln f = \ln C - s \ln r$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $r$ | 一个整数 | 名次 | 最常见的是 1 |
# | $f(r)$ | 一个整数 | 次 | 第 $r$ 名出现了几次 |
# | $C$ | 一个数 | 次 | 第 1 名大约几次 |
# | $s$ | 一个数 | 无 | 指数；对词大约是 1，第二名是第一名的一半，第三名是三分之一 |
#
# 取了对数，曲线就成了直线，斜率是 $-s$。怎样找一条离各点最近的直线？用**最小二乘**：记 $x_i = \ln r_i$，$y_i = \ln f_i$，平均数是 $\bar x$ 和 $\bar y$，则
#
# $$\text{斜率} = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}{\sum_i (x_i - \bar x)^2} \qquad \text{截距} = \bar y - \text{斜率} \cdot \bar x$$
#
# 先用三个词试：分别出现 12、6、4 次。这正好是 $12 / r$，所以斜率该是 −1，截距该是 $\ln 12$。
# %% [markdown] key="zipf" lang="en"
# ## A few are common, most are rare
#
# Sort words by how often they occur, and a simple rule ties the count to the rank, **Zipf's law**:
#
# $$f(r) = \frac{C}{r^{s}} \qquad\Longleftrightarrow\qquad \ln f = \ln C - s \ln r$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $r$ | an integer | rank | the most frequent word has 1 |
# | $f(r)$ | an integer | occurrences | how often number $r$ occurs |
# | $C$ | a number | occurrences | about how often number 1 occurs |
# | $s$ | a number | none | the exponent; for words about 1: the second has half of the first's count, the third a third |
#
# With logarithms the curve becomes a straight line of slope $-s$. Which line is closest to all points? **Least squares** says: write $x_i = \ln r_i$ and $y_i = \ln f_i$, with means $\bar x$ and $\bar y$; then
#
# $$\text{slope} = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}{\sum_i (x_i - \bar x)^2} \qquad \text{intercept} = \bar y - \text{slope} \cdot \bar x$$
#
# Try it on three words that occur 12, 6 and 4 times. That is exactly $12 / r$, so the slope should be −1 and the intercept $\ln 12$.

# %% key="fit" tags=["nbval-check-output"]
x, y = np.log([1, 2, 3]), np.log([12, 6, 4])
dx, dy = x - x.mean(), y - y.mean()
print("x - mean", dx.round(3))
print("y - mean", dy.round(3))
print("products", (dx * dy).round(3), " sum", (dx * dy).sum().round(3))
print("squares ", (dx * dx).round(3), " sum", (dx * dx).sum().round(3))
print("slope", round((dx * dy).sum() / (dx * dx).sum(), 3))


def fit_loops(x, y):
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    below = sum((a - mean_x) ** 2 for a in x)
    return above / below, mean_y - above / below * mean_x


def fit_line(x, y):
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return slope, y.mean() - slope * x.mean()


assert np.allclose(fit_loops(x, y), (-1, math.log(12)))
assert np.allclose(fit_line(x, y), fit_loops(x, y)) and np.allclose(fit_line(x, y), np.polyfit(x, y, 1))

# %% [markdown] key="zipf-reader" lang="zh"
# 现在是整个读本。标点不算，只看字和词。
# %% [markdown] key="zipf-reader" lang="en"
# Now the whole reader, without punctuation: characters and words alone.

# %% key="zipf-run" tags=["nbval-check-output"]
counts = {name: Counter(filter(str.isalnum, tokens)) for name, tokens in train_tokens.items()}
zipf_slope = {}
for name, counter in counts.items():
    sizes = np.array(sorted(counter.values(), reverse=True))
    ranks = np.arange(1, len(sizes) + 1)
    zipf_slope[name], _ = fit_line(np.log(ranks), np.log(sizes))
    assert np.allclose(zipf_slope[name], np.polyfit(np.log(ranks), np.log(sizes), 1)[0])
    print(f"{name}: {len(sizes)} 种 kinds, 斜率 slope {zipf_slope[name]:.2f}")
    print(f"    前 100 名占 the first 100 make up {sizes[:100].sum() / sizes.sum():.0%}", end=", ")
    print(f"只出现一次的占 seen only once: {(sizes == 1).mean():.0%}")

# %% key="zipf-picture"
ax = None
for name, counter in counts.items():
    ax = viz.plot_zipf(counter, ax, label=name, named=3 if name == "词 words" else 0)
ax.set_ylim(0.6, 5000)
ax.set_title("读本的字和词 characters and words of the reader")
viz.show(ax, alt="词大致沿直线下降，字在尾部急转直下 words fall along a line, characters bend down")

# %% [markdown] key="zipf-after" lang="zh"
# 词几乎是一条直线，斜率约为 −1。字不是：前面平，后面急转直下。原因不难想：新词可以一直造下去，字却就那么多，常用的几百个什么都拼得出来，罕用的很快就到头了。所以字的那个斜率只是硬凑的一条直线，不能当真；就连词的斜率，用最小二乘估计也只是粗略的办法（见文末 Clauset 等人的文章）。
#
# 词表里一半以上的词，整本书只出现一次。模型为它们各留一行参数，每行却只有一次机会学习。
# %% [markdown] key="zipf-after" lang="en"
# The words come close to a straight line with a slope of about −1. The characters do not: flat at first, then plunging. The reason is easy to see. New words can be made for ever, but characters are what they are; a few hundred common ones spell nearly anything, and the rare ones soon run out. So the slope of the characters is a line forced upon a curve and means little; and even for words, least squares is a rough method (see Clauset and others, below).
#
# More than half of the words in the vocabulary occur only once in the whole book. A model keeps a row of parameters for each, and each row has one chance to learn.

# %% [markdown] key="heaps" lang="zh"
# ## 读得越多，生词还有没有
#
# 从头读起，每读一个词元，就记下到现在为止一共见过几种。这条曲线大致服从**希普斯定律**：
#
# $$V(n) = k\, n^{\beta} \qquad\Longleftrightarrow\qquad \ln V = \ln k + \beta \ln n$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $n$ | 一个整数 | 个 | 读过的词元 |
# | $V(n)$ | 一个整数 | 种 | 其中有几种 |
# | $k$ | 一个数 | 种 | 起点的高低 |
# | $\beta$ | 一个数 | 无 | 增长的快慢，在 0 和 1 之间 |
#
# 又是对数里的一条直线，`fit_line` 再用一次。我们只拿前一半文字来拟合，让它去猜读完全书的时候有多少种，再和真的比。读本按体裁编排，所以先把篇目打乱。
# %% [markdown] key="heaps" lang="en"
# ## Read more, and are there still new words?
#
# Read from the beginning, and after each token write down how many kinds you have seen so far. The curve roughly obeys **Heaps' law**:
#
# $$V(n) = k\, n^{\beta} \qquad\Longleftrightarrow\qquad \ln V = \ln k + \beta \ln n$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $n$ | an integer | tokens | how many were read |
# | $V(n)$ | an integer | kinds | how many kinds among them |
# | $k$ | a number | kinds | how high it starts |
# | $\beta$ | a number | none | how fast it grows, between 0 and 1 |
#
# Once more a straight line in logarithms, so `fit_line` serves again. We fit it to the first half of the text only, let it guess how many kinds there will be at the end of the book, and compare with the truth. The reader is arranged by genre, so its pieces are shuffled first.

# %% key="heaps-run" tags=["nbval-check-output"]
order = np.random.default_rng(0).permutation(len(corpus.train))
growth, heaps = {}, {}
for name, cut in cuts.items():
    seen, curve = set(), []
    for i in order:
        for token in cut(corpus.train[i]):
            seen.add(token)
            curve.append(len(seen))
    growth[name] = curve = np.array(curve)
    points = np.arange(1000, len(curve) + 1, 1000)  # 每千个词元取一点 a point every thousand tokens
    early = points[points <= len(curve) // 2]
    slope, intercept = fit_line(np.log(early), np.log(curve[early - 1]))
    guess = math.exp(intercept + slope * math.log(len(curve)))
    print(f"{name}: 猜 guess {guess:.0f}, 实际 truth {curve[-1]} ({guess / curve[-1] - 1:+.0%})")
    slope, intercept = fit_line(np.log(points), np.log(curve[points - 1]))
    heaps[name] = (math.exp(intercept), slope)
    print(f"    V(n) = {heaps[name][0]:.2f} n^{slope:.2f}")

# %% key="heaps-picture"
ax = None
for name, curve in growth.items():
    ax = viz.plot_growth(np.arange(1, len(curve) + 1), curve, ax, label=name, law=heaps[name])
ax.set_title("读得越多，词表越大 read more, know more")
viz.show(ax, alt="词的曲线一直往上，字的渐渐放平 words keep rising, characters flatten")

# %% [markdown] key="heaps-after" lang="zh"
# 两边都猜多了，词大约多一成，字大约多两成。定律只是大致如此：读得越久，真的曲线越往下弯，字弯得尤其厉害，道理和刚才一样。词的曲线却一点也没有要停的意思，再读十本，还会有生词。
#
# ### 曲线的坡度就是未登录率
#
# 多读一个词元，词表平均长大多少？求导就知道：
#
# $$\frac{dV}{dn} = k \beta\, n^{\beta - 1}$$
#
# 多读一个，词表要么长 1，要么不长。所以这个坡度也就是“下一个词元是生面孔”的概率。读完训练部分时的坡度，应当和前面在新文章上数出来的未登录率差不多。
# %% [markdown] key="heaps-after" lang="en"
# Both guesses are too high, by about a tenth for words and two tenths for characters. The law holds only roughly: the longer you read, the more the true curve bends below it, that of characters most of all, and for the same reason as before. But the curve of words shows no sign of stopping. After ten more books there would still be new ones.
#
# ### The slope of the curve is the out-of-vocabulary rate
#
# Read one token more: by how much does the vocabulary grow, on average? The derivative knows:
#
# $$\frac{dV}{dn} = k \beta\, n^{\beta - 1}$$
#
# With one more token the vocabulary either grows by 1 or does not grow. So the slope is also the probability that the next token is a new face. Its value at the end of the training text should be close to the out-of-vocabulary rate that we counted on new pieces.

# %% key="slope-run" tags=["nbval-check-output"]
for name, (k, beta) in heaps.items():
    n = len(growth[name])
    slope = k * beta * n ** (beta - 1)
    by_steps = (k * (n + 1) ** beta - k * (n - 1) ** beta) / 2
    assert np.isclose(slope, by_steps)
    print(f"{name}: 坡度 slope {slope:.1%}, 数出来的 counted {oov[name]:.1%}")

# %% [markdown] key="slope-after" lang="zh"
# 两条路走到了差不多的地方：词大约百分之八九，字大约百分之一。数出来的略高一点：不在词表里的词，往往在一篇文章里出现好几次，坡度只算第一次，未登录率每次都算。
# %% [markdown] key="slope-after" lang="en"
# Two roads lead to about the same place: eight or nine per cent for words, about one for characters. The counted rates are a little higher: a new word tends to come several times within its piece; the slope counts it once, the out-of-vocabulary rate every time.

# %% [markdown] key="stop" lang="zh"
# ## 停用词：去掉还是留下
#
# 许多文章教人先去掉标点和**停用词**，也就是“的”“了”“是”这样到处都有的词。公开的停用词清单有几百到上千条：哈工大的一份里有逗号和句号，百度的一份里有“不是”和“没有”。我们编一份短的，看去掉它们丢了什么。
# %% [markdown] key="stop" lang="en"
# ## Stop words: remove or keep?
#
# Many articles teach to remove punctuation and **stop words** first, words such as 的, 了 and 是 (roughly “of”, “done” and “is”) that are everywhere. Published lists have several hundred entries, or over a thousand: one from Harbin Institute of Technology holds the comma and the full stop, one from Baidu holds 不是 (“is not”) and 没有 (“has not”). Let us make a short one and see what is lost with it.

# %% key="stop-run" tags=["nbval-check-output"]
listed = "的 了 是 在 和 也 都 就 着 过 又 还 很 吗 呢 吧 啊 把 被 对 从 到 给 这 那 不 不是 没 没有 一个"
stop_words = set(listed.split())


def meaningful(word):
    return word not in stop_words and (word.isalnum() or word == "\n")


words = train_tokens["词 words"]
kept = [word for word in words if meaningful(word)]
print(f"剩下的字符 characters left: {sum(map(len, kept)) / sum(map(len, words)):.0%}")

for line in ("这家店的饺子很好吃", "这家店的饺子不好吃"):
    print(line, "→", remove_stop_words(line, stop_words))

# %% [markdown] key="stop-after" lang="zh"
# 将近三成的字符没有了，夸的和骂的变成了同一句。
#
# ### 生成：没读过的，写不出来
#
# 拿两份文字各造一个最小的生成器：数一数每个词后面跟过哪些词，各几次；写的时候，按这些次数抽下一个词。第 03 课会细讲，这里十来行就够。
# %% [markdown] key="stop-after" lang="en"
# Nearly three characters in ten are gone, and praise and complaint have become the same sentence: “the dumplings of this shop are (not) good”.
#
# ### Writing: what was never read cannot be written
#
# Make the smallest possible generator from each of the two texts: count which words have followed each word, and how often; to write, draw the next word in proportion to these counts. Lesson 03 goes into it; a dozen lines are enough here.


# %% key="generator" tags=["nbval-check-output"]
def count_followers(tokens):
    followers = defaultdict(Counter)
    for a, b in pairwise([*tokens, tokens[0]]):
        followers[a][b] += 1
    return followers


def write(tokens, length, rng, word="小雨"):
    followers, written = count_followers(tokens), [word]
    while len(written) < length:
        choices = followers[written[-1]]
        shares = np.array(list(choices.values())) / choices.total()
        written.append(list(choices)[rng.choice(len(shares), p=shares)])
    return written


for name, tokens in (("原文 all words", words), ("去掉以后 without", kept)):
    print(f"{name}: {''.join(write(tokens, 45, np.random.default_rng(10))).replace(chr(10), ' / ')}")
    sample = Counter(write(tokens, 5000, np.random.default_rng(0)))
    print("    5000 个词里 in 5000 words:", {word: sample[word] for word in ("的", "了", "不", "，", "。")})

# %% [markdown] key="generator-after" lang="zh"
# 两段都没有意思可言，可是上面那段听得出人在说话，下面那段只是一串词，没有虚词，也没有标点。这不是模型不够大：词表里没有的词元，概率永远是零，再大的模型、再多的训练也写不出一个“的”、一个逗号。要生成，就一个字也不要去。
#
# ### 分类：去掉能好多少
#
# 去停用词的习惯来自分类和搜索，那里它至少无害吧？量一量：把读本的段落按体裁分成五类。办法是数每类里各个词出现多少次，新段落归给最容易产生这些词的那一类（名叫朴素贝叶斯）。
# %% [markdown] key="generator-after" lang="en"
# Neither sample means anything, but read aloud the first sounds like somebody speaking, and the second is a mere string of words, without particles or punctuation. It is not that the model is too small: a token that is not in the vocabulary has probability zero for ever, and no model however large, no training however long, will write one 的 or one comma. For generation, remove nothing at all.
#
# ### Classifying: how much does it help?
#
# The habit of removing stop words comes from classification and search, where it should at least do no harm. Measure it: sort the paragraphs of the reader into five genres. Count how often each word occurs in each genre; a new paragraph goes to the genre most likely to have produced its words (a method called naive Bayes).

# %% key="classifier" tags=["nbval-check-output"]
genres = ["story", "dialogue", "description", "letter", "explanation"]


def paragraphs(*splits):
    chosen = [piece for piece in read_pieces() if piece.split in splits and piece.genre in genres]
    lines = [(piece.genre, line) for piece in chosen for line in piece.text.split("\n")]
    return [(genre, cut_words(line)) for genre, line in lines if len(line) >= 20]


known, new = paragraphs("train"), paragraphs("valid", "test")


def accuracy(keep):
    counts = {genre: Counter() for genre in genres}
    for genre, words in known:
        counts[genre].update(filter(keep, words))
    kinds = len(set().union(*counts.values()))
    totals = {genre: counts[genre].total() + kinds for genre in genres}
    sizes = Counter(genre for genre, _ in known)

    def score(genre, words):
        shares = [(counts[genre][word] + 1) / totals[genre] for word in filter(keep, words)]
        return math.log(sizes[genre]) + np.log(shares).sum()

    guesses = [max(genres, key=lambda genre: score(genre, words)) for _, words in new]
    return np.mean([guess == genre for guess, (genre, _) in zip(guesses, new, strict=True)])


print(f"{len(new)} 个新段落 new paragraphs")
print(f"全留着 everything        {accuracy(lambda word: True):.1%}")
print(f"去停用词 no stop words    {accuracy(lambda word: word not in stop_words):.1%}")
print(f"去标点 no punctuation    {accuracy(str.isalnum):.1%}")
print(f"都去掉 neither           {accuracy(meaningful):.1%}")

# %% [markdown] key="classifier-after" lang="zh"
# 去停用词，231 段里多错四段，说不上好也说不上坏：这么少的段落，上下三个百分点都可能是运气。去标点却明显差了一截，因为冒号和引号正是对话和故事的记号。换一个任务，停用词也许有点帮助：第 17 课会在真实的评论上再量一次。结论不是“永远别去”，是**先量，再决定**。
# %% [markdown] key="classifier-after" lang="en"
# Without stop words four more paragraphs in 231 go wrong, which says nothing for or against: with so few, three points up or down may be luck. Without punctuation the result is clearly worse, for colons and quotation marks are the very marks of dialogues and stories. In another task removing stop words may help a little: lesson 17 measures again, on real reviews. The moral is not “never remove” but **measure, then decide**.

# %% [markdown] key="play" lang="zh"
# ## 动手玩：一句话，五种切法
#
# 拖动滑块，同一句话从一整块慢慢碎成字节。块越大，序列越短，可是种类没有尽头；块越小，种类越少，字节最多 256 种，可是序列越长。在 JupyterLab 里可以换成你自己的句子，试试掺进英文、全角数字和 😀。
# %% [markdown] key="play" lang="en"
# ## Play: one sentence, five ways to cut it
#
# Drag the slider, and one sentence crumbles from a single block into bytes. The larger the pieces, the shorter the sequence, but there is no end to their kinds; the smaller the pieces, the fewer kinds, with bytes at most 256, but the longer the sequence. In JupyterLab you can type a sentence of your own: try English, full-width digits and a 😀 in it.

# %% key="play-run"
from minillm.widgets import Choice, Words, play


def pieces(how, chars):
    """[(text in the box, where it begins, how wide it is), ...], counted in characters"""
    if how == "split":
        return [(found[0], found.start(), len(found[0])) for found in re.finditer(r"\S+", chars)]
    if how == "words":
        cut = cut_words(chars)
        return [(word, len("".join(cut[:i])), len(word)) for i, word in enumerate(cut)]
    if how == "bytes":
        each = [char.encode() for char in chars]
        return [(f"{b:02X}", i + j / len(e), 1 / len(e)) for i, e in enumerate(each) for j, b in enumerate(e)]
    return [(char if how == "characters" else f"{ord(char):04X}", i, 1) for i, char in enumerate(chars)]


def draw(how, sentence):
    boxes = pieces(how, sentence)
    size = 11 if how in ("points", "bytes") else 16
    ax = viz.new_axes(8, 2)
    for number, (label, left, width) in enumerate(boxes):
        ax.bar(left, 1, width, align="edge", color=("#CDE5F5", "#FBE3D6")[number % 2], edgecolor="0.4")
        ax.text(left + width / 2, 0.5, label, ha="center", va="center", fontsize=size)
    for i, char in enumerate(sentence):
        ax.text(i + 0.5, 1.35, char, ha="center", va="center", fontsize=16)
    ax.set(xlim=(-0.05, len(sentence) + 0.05), ylim=(-0.05, 1.7))
    ax.set_title(f"{len(sentence)} 个字符 characters → {len(boxes)} 块 pieces")
    ax.axis("off")
    return ax


ways = {"空格 spaces": "split", "词 words": "words", "字 characters": "characters"}
ways |= {"码点 code points": "points", "字节 bytes": "bytes"}
play(draw, how=Choice(ways, "words", label="切法 cut into"), sentence=Words(sentence, label="句子 sentence"))

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 下面的数由机器核对。读本是固定的，前一个数应当一字不差；其余几个随 jieba 的词典略有出入，范围留了余地，但方法写错了一定会落在外面。如果哪一行报错，从第一格重新运行；还不对，多半是改动了上面的代码。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks these figures. The reader is fixed, so the first should agree exactly; the others depend a little on jieba's dictionary, and their ranges leave room for that, but not for a wrong method. If a line complains, run the lesson again from its first cell; if that does not help, the code above has probably been changed.

# %% key="bands-run" tags=["nbval-check-output"]
band("训练部分的汉字种数 kinds of Chinese characters", len(set(han)), 1361, 1361)
band("每个字符的字节 bytes per character", len(text.encode()) / len(text), 2.9, 3.0)
band("词的齐夫斜率 Zipf slope of words", zipf_slope["词 words"], -1.12, -0.95)
band("词的希普斯 β Heaps β of words", heaps["词 words"][1], 0.6, 0.75)
band("字的未登录率 out-of-vocabulary rate of characters", oov["字 characters"], 0.01, 0.013)
band("词的未登录率 out-of-vocabulary rate of words", oov["词 words"], 0.08, 0.1)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **用错编码读文件。** 字节不说自己是什么编码。UTF-8 的字节拿 GBK 去读，会得到一串认识却不成话的字；反过来多半当场出错。认得这副样子，就知道不是文件坏了，是读法不对：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **Reading a file with the wrong encoding.** Bytes do not say which encoding they are in. UTF-8 bytes read as GBK, an older Chinese encoding, give a string of real characters that makes no sense; the other way round mostly fails on the spot. Know this sight, and you know that the file is not broken, only misread:

# %% key="mistakes-run" tags=["nbval-check-output"]
print("我爱北京".encode().decode("gbk"))
try:
    "我爱北京".encode("gbk").decode()
except UnicodeDecodeError as error:
    print(type(error).__name__, error.reason)

family = "👨‍👩‍👧"
print(family, len(family), "码点 code points,", len(family.encode()), "字节 bytes")

# %% [markdown] key="mistakes-more" lang="zh"
# **以为 `len` 数的是眼睛看到的字。** 它数的是码点。上面那个表情看上去是一个，其实是三个人用两个看不见的连接符连起来的，共五个码点。汉字没有这个麻烦，一个字一个码点。
#
# **用 NFKC 清洗要拿来生成的中文。** 标点被悄悄换掉将近十分之一，前面量过了。
#
# **拿整个语料造词表，再算未登录率。** 验证和测试的文字也进了词表，未登录率自然是零，可是这个零什么也没说。词表只能从训练部分来。
#
# **先去标点和停用词，再训练生成器。** 词表里没有的，永远写不出来。
#
# ## 记住三句话
#
# 1. 文字是一串码点，存成 UTF-8 字节：英文字母一个字节，常用汉字三个；从中间切开，就是半个字。
# 2. 清洗要讲次序：先去标签，再还原转义，再去掉看不见的，再统一写法；标点和停用词对生成器不是脏东西。
# 3. 切成字，词表小，几乎没有生词；切成词，序列短，可是词表不停地长，生词永远有。
#
# ## 出处
#
# - F. Yergeau (2003). UTF-8, a transformation format of ISO 10646. [RFC 3629](https://www.rfc-editor.org/rfc/rfc3629). UTF-8 的标准，表格就在第三节。
# - Unicode Consortium. Unicode Normalization Forms. [Unicode Standard Annex #15](https://www.unicode.org/reports/tr15/). 规范化的标准，NFC 和 NFKC。
# - G. K. Zipf (1935). The Psycho-Biology of Language. Houghton Mifflin. G. K. Zipf (1949). Human Behavior and the Principle of Least Effort. Addison-Wesley. 齐夫定律。
# - G. Herdan (1960). Type-Token Mathematics. Mouton. H. S. Heaps (1978). Information Retrieval: Computational and Theoretical Aspects. Academic Press. 词表的增长。
# - A. Clauset, C. R. Shalizi, M. E. J. Newman (2009). Power-Law Distributions in Empirical Data. SIAM Review 51 (4), 661–703. [arXiv 0706.1062](https://arxiv.org/abs/0706.1062). 为什么在对数图上画直线是个粗略的办法。
# - L. Lü, Z.-K. Zhang, T. Zhou (2013). Deviation of Zipf's and Heaps' Laws in Human Languages with Limited Dictionary Sizes. [Scientific Reports 3, 1082](https://www.nature.com/articles/srep01082). 汉字为什么不服从这两条定律。
# - J. Sun. jieba，“结巴”中文分词。[github.com/fxsjy/jieba](https://github.com/fxsjy/jieba)
# - 中文常用停用词表。[github.com/goto456/stopwords](https://github.com/goto456/stopwords). 文中说到的哈工大和百度两份。
# %% [markdown] key="mistakes-more" lang="en"
# **Believing that `len` counts what the eye sees.** It counts code points. The emoji above looks like one, but is three people joined by two invisible joiners, five code points in all. Chinese characters give no such trouble: one character, one code point.
#
# **NFKC on Chinese text that a generator will learn from.** Nearly a tenth of the characters are silently replaced, all of them punctuation, as measured above.
#
# **A vocabulary made from the whole corpus, and then an out-of-vocabulary rate.** The text of validation and test is in the vocabulary as well, so of course the rate is zero, and that zero says nothing. A vocabulary comes from the training part alone.
#
# **Removing punctuation and stop words before training a generator.** What is not in the vocabulary can never be written.
#
# ## Three sentences to keep
#
# 1. Text is a row of code points, stored as UTF-8 bytes: one for an English letter, three for a common Chinese character; cut in the middle, and you hold half a character.
# 2. Cleaning has an order: first tags, then escapes, then what is invisible, then one way of writing for each thing; to a generator, punctuation and stop words are no dirt.
# 3. Characters make a small vocabulary with almost nothing unknown; words make short sequences, but their vocabulary never stops growing and there is always an unknown one.
#
# ## Sources
#
# - F. Yergeau (2003). UTF-8, a transformation format of ISO 10646. [RFC 3629](https://www.rfc-editor.org/rfc/rfc3629). The standard of UTF-8; the table is in its section 3.
# - Unicode Consortium. Unicode Normalization Forms. [Unicode Standard Annex #15](https://www.unicode.org/reports/tr15/). The standard of normalisation, NFC and NFKC.
# - G. K. Zipf (1935). The Psycho-Biology of Language. Houghton Mifflin. G. K. Zipf (1949). Human Behavior and the Principle of Least Effort. Addison-Wesley. Zipf's law.
# - G. Herdan (1960). Type-Token Mathematics. Mouton. H. S. Heaps (1978). Information Retrieval: Computational and Theoretical Aspects. Academic Press. The growth of vocabularies.
# - A. Clauset, C. R. Shalizi, M. E. J. Newman (2009). Power-Law Distributions in Empirical Data. SIAM Review 51 (4), 661–703. [arXiv 0706.1062](https://arxiv.org/abs/0706.1062). Why a straight line through a logarithmic plot is a rough method.
# - L. Lü, Z.-K. Zhang, T. Zhou (2013). Deviation of Zipf's and Heaps' Laws in Human Languages with Limited Dictionary Sizes. [Scientific Reports 3, 1082](https://www.nature.com/articles/srep01082). Why Chinese characters do not obey the two laws.
# - J. Sun. jieba, Chinese word segmentation. [github.com/fxsjy/jieba](https://github.com/fxsjy/jieba)
# - Chinese stop word lists. [github.com/goto456/stopwords](https://github.com/goto456/stopwords). The two that the text mentions, from Harbin and Baidu.

# %% [markdown] key="ex-message-bytes" lang="zh" exercise="message_bytes"
# ### 练习 1　一条消息有多长
#
# 一条消息里有 `latin` 个英文字母，`accented` 个 é 这样的带重音的字母（一个码点的那种），`han` 个常用汉字，`emoji` 个 😀 这样的表情。存成 UTF-8 是多少字节？写之前先猜：一百四十个汉字，四百字节装得下吗？
# %% [markdown] key="ex-message-bytes" lang="en" exercise="message_bytes"
# ### Exercise 1: How long is a message?
#
# A message holds `latin` English letters, `accented` letters such as é (of the kind that is one code point), `han` common Chinese characters and `emoji` faces such as 😀. How many bytes is it in UTF-8? Guess before you write: do one hundred and forty Chinese characters fit into four hundred bytes?


# %% key="ex-message-bytes-code" exercise="message_bytes" kind="predict" difficulty=1 minutes=4 points=1
def message_bytes(latin: int, accented: int, han: int, emoji: int) -> int:
    """Size in UTF-8 bytes of a message with so many characters of each kind."""
    ### BEGIN SOLUTION
    return latin + 2 * accented + 3 * han + 4 * emoji
    ### END SOLUTION


# %% key="ex-message-bytes-check" exercise="message_bytes"
check(message_bytes)

# %% [markdown] key="ex-utf8-encode" lang="zh" exercise="utf8_encode"
# ### 练习 2　自己写 UTF-8
#
# 上面只写了三个字节的情形。写全：给一个码点，返回它的一到四个字节。不要用 `encode`，对照课文里那张表。
# %% [markdown] key="ex-utf8-encode" lang="en" exercise="utf8_encode"
# ### Exercise 2: Write UTF-8 yourself
#
# The lesson wrote out only the case of three bytes. Write them all: given a code point, return its one to four bytes. Do not use `encode`; follow the lesson's table.


# %% key="ex-utf8-encode-code" exercise="utf8_encode" kind="implement" difficulty=3 minutes=12 points=2
def utf8_encode(code_point: int) -> bytes:
    """The UTF-8 bytes of one code point, 0 to 0x10FFFF."""
    ### BEGIN SOLUTION
    if code_point < 0x80:
        return bytes([code_point])
    count, mark = (2, 0xC0) if code_point < 0x800 else (3, 0xE0) if code_point < 0x10000 else (4, 0xF0)
    tail = []
    for _ in range(count - 1):  # six digits at a time, from the right
        tail.append(0x80 + code_point % 64)
        code_point //= 64
    return bytes([mark + code_point, *reversed(tail)])
    ### END SOLUTION


# %% key="ex-utf8-encode-check" exercise="utf8_encode"
check(utf8_encode)

# %% [markdown] key="ex-repair-page" lang="zh" exercise="repair_page"
# ### 练习 3　修好这台洗衣机
#
# 下面的函数用课文里的几步清洗网页，可是有三处毛病：正文里写着的 `<b>` 不见了，中文的逗号变成了英文的，看不见的字符还在（包括写成 `&#8203;` 的）。修好它。全角的字母和数字仍然要变成半角。
# %% [markdown] key="ex-repair-page" lang="en" exercise="repair_page"
# ### Exercise 3: Mend this washing machine
#
# The function below cleans web pages with the lesson's steps, but it has three faults: a `<b>` that the text shows disappears, Chinese commas become English ones, and invisible characters stay (those written `&#8203;` too). Mend it. Full-width letters and digits should still become half-width.


# %% key="ex-repair-page-code" exercise="repair_page" kind="repair" difficulty=2 minutes=8 points=1
def repair_page(page: str) -> str:
    """The text of a web page: no tags, no escapes, nothing invisible, Chinese punctuation as it was."""
    ### BEGIN SOLUTION
    page = strip_html(page)
    page = unescape_entities(page)
    page = strip_control(page)
    page = to_halfwidth(page)
    return collapse_spaces(normalize(page))
    ### END SOLUTION
    ### BEGIN STUB
    # page = unescape_entities(page)
    # page = strip_html(page)
    # page = to_halfwidth(page, punctuation=True)
    # return collapse_spaces(normalize(page))
    ### END STUB


# %% key="ex-repair-page-check" exercise="repair_page"
check(repair_page)

# %% [markdown] key="ex-growth-curve" lang="zh" exercise="growth_curve"
# ### 练习 4　增长曲线
#
# 给一串词元，返回一个同样长的列表：读完第一个时见过几种，读完第二个时见过几种，一直到最后。
# %% [markdown] key="ex-growth-curve" lang="en" exercise="growth_curve"
# ### Exercise 4: The growth curve
#
# Given a row of tokens, return a list of the same length: how many kinds have been seen after the first, after the second, and so on to the last.


# %% key="ex-growth-curve-code" exercise="growth_curve" kind="implement" difficulty=2 minutes=7 points=1
def growth_curve(tokens: list[str]) -> list[int]:
    """Number of distinct tokens among the first 1, 2, ..., len(tokens)."""
    ### BEGIN SOLUTION
    seen, curve = set(), []
    for token in tokens:
        seen.add(token)
        curve.append(len(seen))
    return curve
    ### END SOLUTION


# %% key="ex-growth-curve-check" exercise="growth_curve"
check(growth_curve)

# %% [markdown] key="ex-unknown-rate" lang="zh" exercise="unknown_rate"
# ### 练习 5　未登录率
#
# 词表是 `train` 里出现过的词元。返回 `new` 里不在词表中的词元所占的比例，重复出现的每次都算。`new` 是空的，就返回 0。
# %% [markdown] key="ex-unknown-rate" lang="en" exercise="unknown_rate"
# ### Exercise 5: The out-of-vocabulary rate
#
# The vocabulary is what occurs in `train`. Return the share of the tokens in `new` that are not in it, counting every occurrence. If `new` is empty, return 0.


# %% key="ex-unknown-rate-code" exercise="unknown_rate" kind="implement" difficulty=2 minutes=7 points=1
def unknown_rate(train: list[str], new: list[str]) -> float:
    """Share of the tokens of `new`, from 0 to 1, that never occur in `train`."""
    ### BEGIN SOLUTION
    vocabulary = set(train)
    unknown = sum(token not in vocabulary for token in new)
    return unknown / len(new) if new else 0.0
    ### END SOLUTION


# %% key="ex-unknown-rate-check" exercise="unknown_rate"
check(unknown_rate)

# %% [markdown] key="ex-complete-part" lang="zh" exercise="complete_part"
# ### 练习 6　不再有半个字
#
# 收到一串字节，它是好的 UTF-8，只是可能在最后一个字的中间断了。返回两样东西：已经完整的文字，和留到下次的尾巴（没有就是 `b""`）。下次收到新的字节，把尾巴接在前面再来一遍，就是流式解码。
# %% [markdown] key="ex-complete-part" lang="en" exercise="complete_part"
# ### Exercise 6: No more half characters
#
# Some bytes arrive. They are good UTF-8, except that they may break off inside the last character. Return two things: the text that is complete, and the tail to be kept for next time (`b""` if there is none). When new bytes arrive, put the tail in front and do it again: that is decoding a stream.


# %% key="ex-complete-part-code" exercise="complete_part" kind="extend" difficulty=4 minutes=15 points=2
def complete_part(data: bytes) -> tuple[str, bytes]:
    """(the text of all complete characters, the bytes of an incomplete last one)"""
    ### BEGIN SOLUTION
    for waiting in range(4):  # at most three bytes can be waiting for a fourth
        end = len(data) - waiting
        try:
            return data[:end].decode(), data[end:]
        except UnicodeDecodeError:
            continue
    raise ValueError("this is no UTF-8")
    ### END SOLUTION


# %% key="ex-complete-part-check" exercise="complete_part"
check(complete_part)
