# ---
# minillm:
#   title: {zh: "一分钟，从文字到回答", en: "One minute from text to answer"}
#   question:
#     zh: "机器读了六万个字，怎么就会接着往下写了？"
#     en: "How does a machine that has read sixty thousand characters come to carry on a sentence?"
#   minutes: 25
#   seconds: 60
#   needs: []
#   runs: NP
# ---

# %% [markdown] key="welcome" lang="zh"
# 不用先学会什么。点一下下面这格代码，按住 Shift 再按回车，它就运行了；跑完以后，左边的方括号里会出现一个数字。就这样一格一格往下走，读一段，跑一格。
# %% [markdown] key="welcome" lang="en"
# You need not know anything yet. Click on the cell of code below, hold Shift and press Enter, and it runs; when it is done, a number appears in the brackets at its left. Go on like this, cell by cell: read a little, run a cell.

# %% key="setup"
from minillm.notebook import setup

check = setup("00")

# %% [markdown] key="problem" lang="zh"
# ## 先来猜一个字
#
# 周老师在黑板上写：“我爱北京天安”，问：“下一个字是什么？”全班一起喊：“门！”
#
# 他又写：“今天早上，我吃了一个”。这回大家就乱了。有人说“包”，有人说“鸡”，有人说“苹”。没有一个人说“桌”，因为谁也不吃桌子。
#
# 这一幕出自《槐树胡同读本》，为这门课写的一本小书，就装在课程里。机器也能玩这个游戏吗？最省事的办法是数：把读本从头读到尾，记下每个字后面都跟过哪些字，各有几次。
# %% [markdown] key="problem" lang="en"
# ## First, guess a character
#
# Teacher Zhou writes on the blackboard: 我爱北京天安 (“I love Tianan… in Beijing”), and asks: “Which character comes next?” The whole class shouts: 门! (“…men!”)
#
# He writes again: 今天早上，我吃了一个 (“This morning I ate a …”). Now the class is divided. Some say 包 (a steamed bun), some 鸡 (an egg), some 苹 (an apple). Nobody says 桌 (a table), for nobody eats tables.
#
# The scene is from the *Scholar-Tree Lane Reader*, a little Chinese book written for this course and packed with it. Can a machine play this game? The least effort is to count: read the book from end to end, and note for each character which ones have followed it, and how often.

# %% key="imports" both=true
import math
import random
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.data.corpora import load_corpus

# %% key="count" tags=["nbval-check-output"]
corpus = load_corpus("reader")
text = "\n".join(corpus.train)  # 用来学的 87 篇 the 87 pieces to learn from


def count_pairs(text):
    followers = defaultdict(Counter)
    for a, b in pairwise(text):
        followers[a][b] += 1
    return followers


followers = count_pairs(text)
print(f"{len(text):,} 个字 characters")
for char in "北安个":
    print(char, "→", "  ".join(f"{b} {n}" for b, n in followers[char].most_common(6)))

# %% [markdown] key="write" lang="zh"
# “北”后面十有七八是“京”，“安”后面多半是“门”。“个”后面什么都有，和教室里一样。
#
# 会猜一个字，就会写一篇文章：照着次数抽一个字，写上；把它当成最后一个字，再抽下一个。
# %% [markdown] key="write" lang="en"
# After 北 it is 京 three times out of four, after 安 mostly 门. After 个 (“a, one of”) it may be anything, as in the classroom.
#
# Whoever can guess one character can write a whole text: draw a character according to the counts and write it down; that is now the last one, so draw the next.

# %% key="write-run" tags=["nbval-check-output"]
for seed in range(3):
    rng = random.Random(seed)
    written = "我爱北京"
    while len(written) < 36:
        options = followers[written[-1]]
        written += rng.choices(list(options), weights=options.values())[0]
    print(written.replace("\n", " "))

# %% [markdown] key="write-after" lang="zh"
# 看得出是中文，看不出在说什么。任取相邻的两个字，都是读本里真有的；三四个字连起来，就散了。
#
# 毛病在于它只记得一个字。写到“天”，它已经忘了前面是“北京”还是“今”，于是“天安门”和“天早上”在它看来一样顺当。
#
# 要记得更多，就得换一个模型。这一课末尾，你会用几十秒训练出一个记得三十二个字的模型，让它从同一个开头往下写。在那之前，先把全程看一遍。
# %% [markdown] key="write-after" lang="en"
# One can see that it is Chinese; one cannot see what it means. Any two neighbours do occur in the book. Three or four in a row fall apart.
#
# The trouble is that it remembers a single character. By the time it has written 天 it has forgotten whether 北京 (Beijing) or 今 (of 今天, today) stood before, and so 天安门 (Tiananmen) and 天早上 (the tail of “this morning”) look equally good to it.
#
# To remember more takes another model. Towards the end of this lesson you will train one that remembers thirty-two characters, in well under a minute, and let it write on from the same beginning. Before that, look at the whole journey once.

# %% [markdown] key="picture" lang="zh"
# ## 从文字到回答，一张图
#
# 刚才虽然简陋，五样东西一样不缺：**数据**、**模型**、**训练**、**推理**、**应用**。下面把它们画成一张图，图里没有一处是示意，全是计数模型的真东西。
#
# 有一件还没量过：读得越多，猜得越准吗？拿 11 篇它没读过的来考，让它每次都猜最常见的那个字。
# %% [markdown] key="picture" lang="en"
# ## From a text to an answer, in one picture
#
# That was crude, and yet all five things were there: **data**, a **model**, **training**, **inference**, an **application**. Here they become one picture. Nothing in it is a sketch; every part is taken from the counting model.
#
# One thing has still to be measured: does it guess better the more it has read? Examine it on 11 pieces that it has not read, and let it always guess the most frequent follower.

# %% key="picture-curve" tags=["nbval-check-output"]
unseen = "\n".join(corpus.valid)


def guessed_right(n):
    """Percentage of the unseen characters guessed right after reading n characters."""
    best = {a: counts.most_common(1)[0][0] for a, counts in count_pairs(text[:n]).items()}
    return 100 * sum(best.get(a) == b for a, b in pairwise(unseen)) / (len(unseen) - 1)


sizes = [500, 1000, 2000, 4000, 8000, 16000, 32000, len(text)]
percent = [guessed_right(n) for n in sizes]
for n, p in zip(sizes, percent, strict=True):
    print(f"{n:6,} 字 characters  {p:4.1f}%")

# %% key="picture-run"
page = ["他在黑板上写：", "“我爱北京天安”，", "问：“下一个字", "是什么？”全班", "一起喊：“门！”"]
chances = [(char, n / followers["北"].total()) for char, n in followers["北"].most_common(5)]
curve = (np.log(sizes), percent, "{:.0f}%")
story = ["我爱"]
while len(story) < 6:
    story.append(story[-1] + followers[story[-1][-1]].most_common(1)[0][0])
offers = [char for char, _ in followers["爱"].most_common(8) if char.isalpha()][:3]
notes = [
    "读本里的一段\nfrom the reader",
    "“北”的后面\nwhat follows 北",
    f"读 {sizes[0]} 到 {sizes[-1]:,} 字，猜中\nguessed right, from {sizes[0]} to\n{sizes[-1]:,} characters read",
    "一次一个字\none at a time",
    "输入法\na keyboard",
]
boxes = {"notes": notes, "page": page, "chances": chances, "curve": curve, "story": story[1:]}
viz.show(
    viz.pipeline(**boxes, typed="我爱", offers=offers),
    alt="数据、模型、训练、推理、应用，从左到右五个框 data, model, training, inference, application: five boxes in a row",
)

# %% [markdown] key="boxes" lang="zh"
# 从左往右看。
#
# **数据**是一堆文字，这里是读本。**模型**是一个函数：给它前文，它给出下一个字的概率。**训练**就是让数据去改模型里的数，改到猜得准为止；计数模型的训练就是数数，读了六万字，没见过的文章里五个字能猜中一个。**推理**是训练完了拿来用：猜一个字，写上，再猜。**应用**是套在外面给人用的那一层，比如输入法，你打“我爱”，它把接下来最可能的几个字摆出来。
#
# 聊天机器人、翻译、写代码的助手，都是这五个框，只是每个框都大了许许多多倍。这门课就是一个框一个框地打开来看。
# %% [markdown] key="boxes" lang="en"
# From left to right.
#
# The **data** is a heap of text, here the reader. The **model** is a function: give it what came before, and it gives the probability of each next character. **Training** lets the data change the numbers in the model until its guesses are good; for the counting model training is counting, and after sixty thousand characters it guesses one in five right in pieces that it has never seen. **Inference** is use after training: guess a character, write it down, guess again. The **application** is the layer around it that people touch, such as a keyboard: type 我爱, and it lays out what most likely follows.
#
# A chatbot, a translator, an assistant that writes code: the same five boxes, each of them very many times larger. This course opens them one after the other.

# %% [markdown] key="how" lang="zh"
# ## 这些笔记本怎么用
#
# **运行。** Shift 加回车运行一格，再跳到下一格。格子都归你，改一个数再跑一遍，坏不了什么。乱了就从头再来：JupyterLab 的菜单是 Kernel → Restart Kernel and Run All Cells，Colab 是 Runtime → Restart session and run all。
#
# **练习。** 每课末尾有一张练习表，点进练习本，写上你的代码，运行下面的 `check` 格，它会回话：对了是绿框；不对，它说出像是哪一种错，不说答案。框里可以展开一条提示，`check.hint(...)` 也能要。答案本放在旁边，想过了再看。
#
# **进度。** 通过的练习记在你自己电脑上的一个小文件里，不上传。任何时候运行 `check.progress()`，都能看到学到了哪里。
#
# **语言。** 每页顶上有一个链接，换到同一课的另一种语言，代码一字不差。
#
# **Colab。** 电脑上什么都没装，就点页顶的 Open in Colab，在浏览器里跑；第一格会自己把课程下载好。那里的机器关了就清空，包括进度。
# %% [markdown] key="how" lang="en"
# ## How these notebooks work
#
# **Running.** Shift and Enter run a cell and move to the next. The cells are yours: change a number and run again, nothing will break. When all is in a mess, start afresh: in JupyterLab the menu Kernel → Restart Kernel and Run All Cells, on Colab Runtime → Restart session and run all.
#
# **Exercises.** Every lesson ends with a table of exercises. Follow the link, write your code in the exercise notebook, run the `check` cell below it, and it answers: a green box when you are right; when you are not, it says what kind of mistake it looks like, and never the answer. A hint can be unfolded in the box, or asked for with `check.hint(...)`. The solutions are next door, for afterwards.
#
# **Progress.** What you have passed is kept in one small file on your own computer and sent nowhere. Run `check.progress()` at any time to see how far you are.
#
# **Language.** A link at the top of each page leads to the same lesson in the other language, with the same code to the letter.
#
# **Colab.** With nothing installed, click Open in Colab at the top and run it in the browser; the first cell fetches the course. A machine there is wiped when it closes, and progress with it.

# %% [markdown] key="machine" lang="zh"
# ## 看看你的机器
#
# 下面这一格只看，不改。缺什么，先别着急去装，读完后面的说明再说。
# %% [markdown] key="machine" lang="en"
# ## A look at your machine
#
# The next cell looks and changes nothing. If something is missing, do not install it yet; read on first.

# %% key="machine-run"
import platform

from minillm.np.cores import cores

try:
    import torch
except (ImportError, OSError):
    torch = None

print("Python ", platform.python_version())
print("NumPy  ", np.__version__)
print("CPU     核 cores:", len(cores()))
print("PyTorch", torch.__version__ if torch else "没有 none")
if torch and torch.cuda.is_available():
    print("GPU    ", torch.cuda.get_device_name())
else:
    print("GPU    ", "Apple" if torch and torch.backends.mps.is_available() else "没有 none")

# %% key="machine-font"
from minillm.text import train_tokenizer

tokenizer = train_tokenizer("char", corpus.train)
sentence = "我爱北京天安门"
ids = tokenizer.encode(sentence)

ax = viz.new_axes(7, 1.3)
for i, (char, number) in enumerate(zip(sentence, ids, strict=True)):
    ax.text(i, 0.62, char, ha="center", va="center", fontsize=24)
    ax.text(i, 0.02, number, ha="center", va="center", fontsize=11, color="#0072B2")
ax.text(-0.75, 0.62, "字 text", ha="right", va="center")
ax.text(-0.75, 0.02, "编号 id", ha="right", va="center", color="#0072B2")
ax.set(xlim=(-1.9, 6.6), ylim=(-0.25, 1.1))
ax.axis("off")
viz.show(ax, alt="我爱北京天安门，每个字下面是它的编号 each character of the sentence with its id")

# %% [markdown] key="machine-after" lang="zh"
# **Python** 3.11 到 3.14 都行。**NumPy** 2 就行，第 0 到第 II 部分的模型都只用它。**核**多一些，训练快一些，一个也够。
#
# **PyTorch** 没有也不要紧，标着 PT 的课才要它。**GPU** 没有也不要紧：第 0 到第 II 部分没有一处用得上它，后面的课也都能在 CPU 上小规模地跑。第 14 课要用大一点的模型，那时在 Colab 里借一块就行。
#
# **字体**：图里如果看到的是方框而不是汉字，就联着网再运行一遍第一格，它会装一个自带中文字体的小包。
#
# 图里还有一件事：模型不认识字，只认识编号。读本里有一千多种字，从常用到少用排个队，“我”排得靠前，“京”靠后一些。怎样编号才好，是第 01、02 课的事。
# %% [markdown] key="machine-after" lang="en"
# **Python** 3.11 to 3.14 is fine. **NumPy** 2 is fine, and the models of parts 0 to II use nothing else. More **cores** make training quicker; one is enough.
#
# No **PyTorch** does not matter; only lessons marked PT need it. No **GPU** does not matter either: nothing in parts 0 to II would use one, and the later lessons run small on a CPU too. Lesson 14 wants a larger model, and for that you can borrow a GPU on Colab.
#
# **Fonts**: if there are boxes in the picture where Chinese should be, run the first cell again with a network; it installs a small package that brings a Chinese font.
#
# The picture shows one thing more: a model does not know characters, only ids. The reader has over a thousand kinds of character, queued up from frequent to rare; 我 stands near the front, 京 further back. How to number them well is for lessons 01 and 02.

# %% [markdown] key="formula" lang="zh"
# ## 一个公式
#
# 语言模型只做一件事：看着前面的字，给下一个字的每种可能一个概率。整句话的概率，就是一路上的概率乘起来：
#
# $$p(x_1, \dots, x_T) = \prod_{t=1}^{T} p(x_t \mid x_{<t})$$
#
# 竖线读作“已知”：右边那一项，是已知前面所有的字，下一个字恰好是 $x_t$ 的概率。这个等式一点没有近似，任何一句话都可以这样拆。近似在别处：计数模型拿 $p(x_t \mid x_{t-1})$ 顶替了 $p(x_t \mid x_{<t})$，只看一个字。
#
# 许多小于 1 的数乘起来，很快就小得没法看。取对数，乘就变成加；再变号、求平均，就是**损失**，每个字平均让模型有多惊讶：
#
# $$L = -\frac{1}{T} \sum_{t=1}^{T} \ln p(x_t \mid x_{<t})$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $T$ | 一个整数 | 字 | 这段文字的长度 |
# | $V$ | 一个整数 | 种 | 词表大小，有多少种字可选 |
# | $x_t$ | 一个整数 | 编号 | 第 $t$ 个字 |
# | $x_{<t}$ | (t − 1,) | 编号 | 第 $t$ 个字前面所有的字 |
# | $p(\cdot \mid x_{<t})$ | (V,) | 概率 | 每种字当下一个字的概率，都在 0 到 1 之间，合起来是 1 |
# | $L$ | 一个数 | 奈特 | 损失，越小越好；除以 $\ln 2$ 就换成比特 |
# %% [markdown] key="formula" lang="en"
# ## One formula
#
# A language model does one thing: looking at what came before, it gives each possible next character a probability. The probability of a whole text is the product along the way:
#
# $$p(x_1, \dots, x_T) = \prod_{t=1}^{T} p(x_t \mid x_{<t})$$
#
# Read the bar as “given”: the factor on the right is the probability that the next character is $x_t$, given all before it. Nothing is approximate about this equation, every text can be taken apart like that. The approximation is elsewhere: the counting model puts $p(x_t \mid x_{t-1})$ in place of $p(x_t \mid x_{<t})$ and looks at one character only.
#
# Many numbers below 1, multiplied, are soon too small to look at. Logarithms turn the product into a sum; change the sign, take the mean, and there is the **loss**, how surprised the model is by a character on average:
#
# $$L = -\frac{1}{T} \sum_{t=1}^{T} \ln p(x_t \mid x_{<t})$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $T$ | an integer | characters | length of the text |
# | $V$ | an integer | kinds | size of the vocabulary, how many kinds of character there are to choose from |
# | $x_t$ | an integer | id | character number $t$ |
# | $x_{<t}$ | (t − 1,) | ids | all characters before number $t$ |
# | $p(\cdot \mid x_{<t})$ | (V,) | probability | of each kind to be the next character; between 0 and 1 each, 1 in total |
# | $L$ | a number | nat | the loss, the smaller the better; divide by $\ln 2$ for bits |

# %% [markdown] key="by-hand" lang="zh"
# 拿一张纸，自己算一遍。世上只有三个字，猫、追、狗；读过的书只有九个字：猫追狗狗追猫猫追狗。“猫追狗”这句话有多大概率？第一个字前面什么也没有，就看每个字在书里占几分之几。书里最后那个“狗”后面没有字，不算。
# %% [markdown] key="by-hand" lang="en"
# Take a sheet of paper and do it once yourself. There are three characters in the world: 猫 (cat), 追 (chases), 狗 (dog). There is one book, nine characters long: 猫追狗狗追猫猫追狗. What is the probability of the text 猫追狗, “cat chases dog”? Nothing stands before the first character, so take its share of the book. The last 狗 of the book has no follower and does not count.

# %% key="by-hand-run" tags=["nbval-check-output"]
book = "猫追狗狗追猫猫追狗"
toy = count_pairs(book)
for a in "猫追狗":
    print(a, "→", "  ".join(f"{b} {toy[a][b]}/{toy[a].total()}" for b in "猫追狗"))

first = book.count("猫") / len(book)
second = toy["猫"]["追"] / toy["猫"].total()
third = toy["追"]["狗"] / toy["追"].total()
product = first * second * third
toy_loss = -(math.log(first) + math.log(second) + math.log(third)) / 3
print(f"p(猫) × p(追|猫) × p(狗|追) = {first:.4f} × {second:.4f} × {third:.4f} = {product:.4f}")
print(f"L = ({-math.log(first):.4f} + {-math.log(second):.4f} + {-math.log(third):.4f}) / 3 = {toy_loss:.4f} nats")
print(f"瞎猜 a blind guess: ln 3 = {math.log(3):.4f} nats")

# %% [markdown] key="code" lang="zh"
# 损失比瞎猜小，说明书没有白读。三个字的句子一共 27 种，它们的概率加起来应当正好是 1，不然就不配叫概率。下面查这一条。再把损失写三遍：先用循环，再让 NumPy 一次算完，最后与 minillm 的计数模型 `Bigram` 核对。
#
# `Bigram` 多做了一件事：没见过的一对字，它也留一点概率，免得一见生面孔就惊讶到无穷大。`strength` 就是留多少，核对的时候让它几乎为零。它不算第一个字，所以三种写法都从第二个字算起。
# %% [markdown] key="code" lang="en"
# The loss is below that of a blind guess, so reading has been of use. There are 27 texts of three characters, and their probabilities must sum to exactly 1, or they would not deserve the name. This is checked below. Then the loss is written three times: with a loop, by NumPy in one go, and finally compared with minillm's counting model `Bigram`.
#
# `Bigram` does one thing more: it keeps a little probability for pairs that it has never seen, so that a new face does not surprise it without limit. `strength` is how much; for the comparison it is next to nothing. It leaves out the first character, and so all three begin with the second.

# %% key="code-run" tags=["nbval-check-output"]
from minillm.baselines.ngram import Bigram

x = np.array(["猫追狗".index(char) for char in book])  # 编号 ids 0, 1, 2
counts = np.zeros((3, 3))
np.add.at(counts, (x[:-1], x[1:]), 1)
p_next = counts / counts.sum(axis=1, keepdims=True)  # 第 a 行 row a: p(b | a)
p_first = np.bincount(x) / len(x)

everything = p_first[:, None, None] * p_next[:, :, None] * p_next[None, :, :]
print("27 句 texts, p =", everything.sum().round(12))
print("猫追狗", everything[0, 1, 2].round(4), "  狗追猫", everything[2, 1, 0].round(4))

by_loop = 0.0
for a, b in pairwise(x):
    by_loop -= math.log(p_next[a, b])
at_once = -np.log(p_next[x[:-1], x[1:]]).sum()

assert math.isclose(by_loop, at_once)
assert math.isclose(by_loop, Bigram(x, 3, strength=1e-12).total_nll(x))
print(f"{len(x) - 1} 个字 characters: {at_once:.3f} nats，三种写法相等 all three agree")

# %% [markdown] key="data" lang="zh"
# ## 第一个框：数据
#
# 现在换一个记性好的模型，把五个框再走一遍。读本先变成一长串编号。训练时随便翻开一处，截一段，这就是题目；答案呢？就是同一段，往后挪一个字。
# %% [markdown] key="data" lang="en"
# ## The first box: data
#
# Now take a model with a better memory and walk through the five boxes again. First the reader becomes one long row of ids. In training we open it somewhere at random and cut out a piece: that is the question. And the answer? The same piece, moved on by one character.

# %% key="data-run" tags=["nbval-check-output"]
from minillm.data.corpora import token_stream

tokens, valid, test = (token_stream(part, tokenizer) for part in (corpus.train, corpus.valid, corpus.test))
V = tokenizer.vocab_size
print(f"{len(tokens):,} 个编号 ids，V = {V}")

start = tokens.tolist().index(tokenizer.encode("猫")[0])  # 读本里的第一只猫 the first cat in the book
question, answer = tokens[start : start + 9], tokens[start + 1 : start + 10]
print("x", question, tokenizer.decode(question))
print("y", answer, tokenizer.decode(answer))

# %% [markdown] key="data-after" lang="zh"
# 每个位置都是一道题：看着 `x` 里到这里为止的字，猜 `y` 里的这个字。九个字就是九道题，没有人出题，也没有人批改，文字自己就是自己的答案。
#
# minillm 里截题目的是两个几行的函数：`window_places` 挑地方，`random_batch` 去截，课程一直用它们。一次截 `batch_size` 段，叫一个**批次**。
# %% [markdown] key="data-after" lang="en"
# Each position is a question: look at the characters of `x` up to here, and guess this character of `y`. Nine characters are nine questions. Nobody has set them and nobody marks them: the text is its own answer.
#
# In minillm two functions of a few lines do this, and the course uses them throughout: `window_places` picks the places and `random_batch` cuts. It cuts `batch_size` pieces at a time, which is called a **batch**.

# %% key="data-listing"
from minillm.data.batches import random_batch, window_places  # paste

# %% [markdown] key="model" lang="zh"
# ## 第二个框：模型
#
# 模型是一个 GPT，和大名鼎鼎的那些同一种构造，只是小得多。它里面是几十万个数，叫**参数**，一开始全是随机的。构造怎么来的，第 07 到第 10 课一步一步做；今天只把它当一个黑盒子，看看没训练的时候它会什么。
# %% [markdown] key="model" lang="en"
# ## The second box: the model
#
# The model is a GPT, built like the famous ones, only much smaller. Inside are a few hundred thousand numbers, its **parameters**, all of them random to begin with. How it is built will be done step by step in lessons 07 to 10. Today it is a black box. What can it do before any training?

# %% key="model-run"
from minillm.config import preset
from minillm.evaluate import total_nll
from minillm.np.functional import softmax
from minillm.np.gpt import GPT
from minillm.train import sample_text

config, recipe = preset("demo", V, context=32, steps=400, batch_size=16, dropout=0.0)


def next_probabilities(model, text):
    """p(next character | text).  -> (V,)"""
    return softmax(model.next_logits(np.array([tokenizer.encode(text)]))[0])[0]


def write_on(model, beginning, n, seed=0):
    """The beginning and n more characters; 0.5 is a temperature: likely characters are preferred (lesson 12)."""
    return sample_text(model, tokenizer, beginning, n, seed, temperature=0.5).replace("\n", " ")


fresh = GPT(config, rng=np.random.default_rng(0))
untrained = total_nll(fresh, valid, config.context) / (len(valid) - 1)
p = next_probabilities(fresh, "我爱北")
print(f"参数 parameters: {fresh.num_parameters():,}")
print(f"p(京 | 我爱北) = {p[tokenizer.encode('京')[0]]:.5f}    1/V = {1 / V:.5f}")
print(f"损失 loss {untrained:.3f}    ln V = {math.log(V):.3f}")
print(write_on(fresh, "我爱北京", 24))

# %% [markdown] key="model-after" lang="zh"
# 它把 $V$ 种字看得差不多，每种大约 $1/V$，损失就大约是 $\ln V$：什么也不知道的样子。写出来的，像米粒踩过键盘。（米粒是读本里的猫。）
# %% [markdown] key="model-after" lang="en"
# It finds all $V$ kinds of character about equally likely, each near $1/V$, and so its loss is near $\ln V$: that is what knowing nothing looks like. What it writes looks as if Mili had walked over the keyboard. (Mili is the cat in the reader.)

# %% [markdown] key="training" lang="zh"
# ## 第三个框：训练
#
# 训练就是一句话重复四百遍：取一个批次，猜，和答案比，把每个参数往“下次少惊讶一点”的方向挪一点。往哪边挪、挪多少，要靠梯度，第 05、06 课亲手推；今天交给 minillm 的 `Trainer`。
#
# 运行下一格，十几秒到半分钟。每五十步它抄下全部参数，考一考没读过的 11 篇，再从“我爱北京”写几个字给你看。
# %% [markdown] key="training" lang="en"
# ## The third box: training
#
# Training is one sentence, repeated four hundred times: take a batch, guess, compare with the answers, and move each parameter a little towards being less surprised next time. Which way and how far is told by the gradient, which you will derive yourself in lessons 05 and 06; today minillm's `Trainer` takes care of it.
#
# Run the next cell: ten seconds to half a minute. Every fifty steps it copies all parameters, takes an exam on the 11 unread pieces, and writes a few characters after 我爱北京 (“I love Beijing”) for you to see.

# %% key="training-run"
from minillm.np.train import Trainer

model = GPT(config, rng=np.random.default_rng(0))
trainer = Trainer(model, recipe, copies=1)
snapshots, losses, log = {}, {}, []


def look(step):
    """Keep the parameters, measure the loss on unseen text, show a sample."""
    snapshots[step] = {name: weights.copy() for name, weights in model.state_dict().items()}
    losses[step] = total_nll(model, valid, config.context) / (len(valid) - 1)
    print(f"{step:4d}  {losses[step]:.3f}  {write_on(model, '我爱北京', 20, seed=1)}")


look(0)
for step in range(recipe.steps):
    x, y = random_batch(tokens, config.context, recipe.batch_size, recipe.seed, step)
    log.append({"step": step + 1, "loss": trainer.step(x, y, step).loss})
    if (step + 1) % 50 == 0:
        look(step + 1)
        log[-1]["valid_loss"] = losses[step + 1]

# %% key="training-plot"
bigram = Bigram(tokens, V, valid)
baselines = {
    "均匀瞎猜 uniform guess, ln V": math.log(V),
    "只数单字 characters counted": -np.log(bigram.unigram[valid[1:]]).mean(),
    "数一对字 pairs counted": bigram.total_nll(valid) / (len(valid) - 1),
}
viz.show(viz.plot_loss(log, baselines=baselines, title="四百步 four hundred steps"))

# %% [markdown] key="training-after" lang="zh"
# 曲线从 $\ln V$ 旁边出发，一路穿过两条虚线。头几十步学会的是哪些字常用，到第 50 步，它已经比“只数单字”强了一点；再往下学的是字怎么接字，大约第 200 步，红线穿过“数一对字”。从那里起，它知道的比只记一个字的模型多。
#
# 蓝线是它正在读的书，红线是没读过的书。练得太久，蓝线还会降，红线却会停住，甚至回头，那叫过拟合，第 11 课再说。
# %% [markdown] key="training-after" lang="en"
# The curve sets out next to $\ln V$ and crosses two dashed lines on its way. The first few dozen steps teach it which characters are frequent: by step 50 it is a little better than counting single characters. After that it learns what follows what, and around step 200 the red line crosses that of counted pairs. From there on it knows more than a model that remembers one character.
#
# Blue is the book that it is reading, red the pieces that it has not read. If training goes on too long, blue still falls while red stops and even turns back: that is overfitting, for lesson 11.

# %% [markdown] key="inference" lang="zh"
# ## 第四个框：推理
#
# 参数不再动了，拿来用。先考试：测试用的是另外 11 篇，训练时一个字也没有读过。成绩用每个字的**比特**数，越少越好；均匀瞎猜是一条基线，计数模型是另一条。
# %% [markdown] key="inference" lang="en"
# ## The fourth box: inference
#
# The parameters stay as they are now, and the model is put to use. An exam first: the test set is another 11 pieces, of which training has not read a single character. The mark is in **bits** per character, fewer is better; a uniform guess is one baseline, the counting model another.

# %% key="inference-run"
from minillm.baselines.ngram import Uniform
from minillm.evaluate import evaluate, scores

bits = {
    "均匀瞎猜 uniform": scores(Uniform(V).total_nll(test), test, corpus.test, tokenizer).bits_per_char,
    "二元计数 bigram": scores(bigram.total_nll(test), test, corpus.test, tokenizer).bits_per_char,
    "GPT": evaluate(model, corpus.test, tokenizer, config.context).bits_per_char,
}
for name, value in bits.items():
    print(f"{value:6.2f}  {name}")
print()
for seed in range(3):
    print(write_on(model, "我爱北京", 32, seed))

# %% [markdown] key="inference-after" lang="zh"
# 写得好不好？实话实说：词常常是对的，“天安门”“小雨”“爷爷”都会写，句号、引号也大致在该在的地方；意思没有，有时还会原地打转（第 12 课治它）。它只有六万字的书，读了四百步，前后看过二十万个字。GPT-3 有 1,750 亿个参数，训练时看过三千亿个词元，参数是它的三十万倍，文字是一百多万倍。差的是大小，做法就是你刚才看到的做法。
# %% [markdown] key="inference-after" lang="en"
# Is it any good? To be honest: the words are often right, it can write 天安门 (Tiananmen), 小雨 (Xiaoyu, a girl's name), 爷爷 (grandpa), and stops and quotation marks stand about where they should; sense there is none, and sometimes it goes round in circles (lesson 12 has the cure). It had a book of sixty thousand characters and four hundred steps, and saw two hundred thousand characters in all. GPT-3 has 175 billion parameters and saw 300 billion tokens in training: three hundred thousand times the parameters, more than a million times the text. The difference is in size. The method is the one that you have just watched.

# %% [markdown] key="application" lang="zh"
# ## 第五个框：应用
#
# 模型只会往下写，不会停。什么时候停、从什么开头、写出来给谁看，都是应用的事。下面是最小的一个应用：你开个头，它写完一句，见到句号、问号或叹号就停。
# %% [markdown] key="application" lang="en"
# ## The fifth box: an application
#
# A model only writes on and does not stop. When to stop, what to begin with, who gets to see it: that is the application's business. Here is the smallest one: you begin, it finishes the sentence and stops at a full stop, a question mark or an exclamation mark.


# %% key="application-run"
def finish(beginning, seed=0):
    """The beginning, written on to the end of its sentence."""
    written = write_on(model, beginning, 60, seed)
    ends = [i for i, char in enumerate(written) if char in "。？！" and i >= len(beginning)]
    return written[: ends[0] + 1] if ends else written


for beginning in ["我爱北京", "今天早上，", "爷爷说：“", "小雨问：“"]:
    print(finish(beginning))

# %% [markdown] key="again" lang="zh"
# 五个框走完了。再画一次开头那张图，这回全是 GPT 的真东西。
# %% [markdown] key="again" lang="en"
# That was all five boxes. Here is the picture from the beginning once more, now with real contents from the GPT.

# %% key="again-run"
p = next_probabilities(model, "我爱北")
chances = [(tokenizer.decode([i]), float(p[i])) for i in np.argsort(-p)[:5]]
story = ["我爱"]
while len(story) < 6:
    best = int(np.argmax(next_probabilities(model, story[-1])))
    story.append(story[-1] + tokenizer.decode([best]))
best = np.argsort(-next_probabilities(model, "我爱北京"))
offers = [tokenizer.decode([i]) for i in best if tokenizer.decode([i]).isalpha()][:3]
curve = (list(losses), list(losses.values()), "{:.2f}")
gpt_notes = [notes[0], "“我爱北”的后面\nwhat follows 我爱北", "损失，0 到 400 步\nloss, steps 0 to 400", *notes[3:]]
boxes = {"notes": gpt_notes, "page": page, "chances": chances, "curve": curve, "story": story[1:]}
viz.show(
    viz.pipeline(**boxes, typed="我爱北京", offers=offers),
    alt="同样的五个框，换成 GPT 的内容 the same five boxes with the contents of the GPT",
)

# %% [markdown] key="again-after" lang="zh"
# 换掉的只是模型，还有它怎么训练，框还是那五个框。以后遇到任何一个“大模型”的消息，都可以先问一句：它说的是哪一个框？
# %% [markdown] key="again-after" lang="en"
# Only the model has changed, and the way it is trained; the boxes are the same five. Whenever you meet news of some large model, begin with the question: which of the boxes is this about?

# %% [markdown] key="twin" lang="zh"
# ## PyTorch 的孪生
#
# minillm 里每个模型都写了两遍，NumPy 一遍，PyTorch 一遍，名字和形状一一对应。把刚训练好的参数装进孪生，问它同一个问题。
# %% [markdown] key="twin" lang="en"
# ## The PyTorch twin
#
# Every model of minillm is written twice, once in NumPy and once in PyTorch, with the same names and shapes. Load the parameters that have just been learnt into the twin, and ask it the same question.

# %% key="twin-run"
from minillm.backend import Backend
from minillm.errors import UserError

try:
    pt = Backend("pt", "cpu")
except UserError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    twin = pt.gpt(config)
    pt.load_weights(twin, model.state_dict())
    p_np, p_pt = next_probabilities(model, "我爱北"), next_probabilities(twin, "我爱北")
    for i in np.argsort(-p_np)[:3]:
        print(f"{tokenizer.decode([i])}   NumPy {p_np[i]:.4f}   PyTorch {p_pt[i]:.4f}")
    print("相差不到 differ by less than 0.0001:", bool(np.abs(p_np - p_pt).max() < 1e-4))

# %% [markdown] key="play" lang="zh"
# ## 动手玩：看它学会
#
# 拖动滑块，回到训练的任何一刻。横轴上的几个字，都是它在某一刻看好过的，“其余”是别的一千多种字合在一起。图上方是它在那一刻会写的话。
#
# 从 0 拖到 400，看“京”什么时候冒出来。笔记本运行着的时候，还可以换一个开头，比如“天安”“小”“今天早”，按回车。
# %% [markdown] key="play" lang="en"
# ## Play: watch it learn
#
# Drag the slider to return to any moment of the training. Each character on the axis was a favourite at one moment or another; 其余 stands for all the others together, more than a thousand. Above the picture is what the model would have written at that moment.
#
# Drag from 0 to 400 and watch for the moment when 京 comes up. While the notebook is running you may also type another beginning, such as 天安, 小 or 今天早, and press Enter.

# %% key="play-run"
from minillm.widgets import Slider, Words, play

past = GPT(config, rng=np.random.default_rng(0))


def draw(steps, beginning):
    every = {}
    for step in snapshots:
        past.load_state_dict(snapshots[step])
        every[step] = next_probabilities(past, beginning)
    top = np.argsort(-np.max(list(every.values()), axis=0))[:7]  # 什么时候看好过的都算 favourites of any moment
    p = every[steps][top]
    past.load_state_dict(snapshots[steps])
    labels = [*map(tokenizer.token_text, top), "其余\nothers"]
    ax = viz.plot_distribution(labels, [*p, 1 - p.sum()], limit=1.08, highlight=0)
    ax.set_title(f"第 {steps} 步 step {steps}：{write_on(past, beginning, 14, seed=1)}", loc="left")
    return ax


play(
    draw,
    steps=Slider(0, 400, 50, value=400, label="训练步数 steps of training"),
    beginning=Words("我爱北", label="开头 beginning", known=tokenizer.tokens),
    alt="训练到不同步数时，“我爱北”下一个字的概率 probabilities of what follows 我爱北 during training",
)

# %% [markdown] key="play-after" lang="zh"
# 第 50 步，它只知道逗号、句号和“的”哪儿都有，“京”还没有影子；一百步前后，“京”一下子高了起来。没有人告诉过它“北京”是一个词。
# %% [markdown] key="play-after" lang="en"
# At step 50 it knows only that commas, full stops and 的 (the commonest particle) are everywhere, and of 京 there is no trace; around step 100 it shoots up. Nobody has ever told the model that 北京 is a word.

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 下面的数由机器核对。你的数和别人的会差一点，因为处理器加法的顺序不一样，落在范围里就对。哪一行报错，就从第一格重新运行。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks these figures. Yours will differ a little from those of others, for processors add in different orders; within the range all is well. If a line complains, run the lesson again from its first cell.

# %% key="bands-run"
# 十个种子：GPT 是 6.36 … 6.51 比特，p(京) 是 0.63 … 0.84。多于 6.65，就还不如数一对字
# over ten seeds: GPT 6.36 … 6.51 bits, p(京) 0.63 … 0.84; above 6.65 it would be no better than counted pairs
band("猫追狗的损失 loss of 猫追狗 (nats)", toy_loss, 0.636, 0.637)
band("没训练的损失除以 ln V untrained loss over ln V", untrained / math.log(V), 0.99, 1.02)
band("二元计数 bigram (bits per character)", bits["二元计数 bigram"], 6.65, 6.67)
band("GPT (bits per character)", bits["GPT"], 6.2, 6.65)
band("p(京 | 我爱北)", float(next_probabilities(model, "我爱北")[tokenizer.encode("京")[0]]), 0.4, 0.97)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的误会
#
# **“从前的人工智能靠规则，大模型靠知识。”** 它靠的是数据。谁也没有往里面放知识，它知道的就是它读到的，读到什么就是什么。把读本里的“北京”全换成“苏州”，再数一遍：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **“Old AI was driven by rules, large models are driven by knowledge.”** They are driven by data. Nobody has put knowledge in: what a model knows is what it has read, whatever that was. Replace 北京 (Beijing) by 苏州 (Suzhou) throughout the reader and count again:

# %% key="mistakes-run" tags=["nbval-check-output"]
other_world = count_pairs(text.replace("北京", "苏州"))
for name, counts in [("北京 Beijing", followers), ("苏州 Suzhou", other_world)]:
    print(f"{name}:  我爱 → {counts['爱'].most_common(1)[0][0]}")

# %% [markdown] key="mistakes-more" lang="zh"
# 它照样说得斩钉截铁。说得流利和说得对，是两回事，第 28 课专门量这件事。
#
# **“预训练是无监督学习。”** 有监督，监督来自文字自己：`y` 就是 `x` 往后挪一个字。每个位置都有标准答案，只是不用人来标。准确的说法是**自监督**。
#
# **把印出来的结果当成跑出来的结果。** 有的文章先给一段代码，再印一行“程序生成的标题”，看着很像样。先问一句：这段代码写得出这行字吗？字模型只能写它词表里的字，查一查就知道。假如有人说，下面这个讲大语言模型的标题，是我们刚才的模型写的：
# %% [markdown] key="mistakes-more" lang="en"
# It says so with the same confidence. Fluent and true are two things; lesson 28 measures the difference.
#
# **“Pre-training is unsupervised learning.”** It is supervised, and the supervision comes from the text: `y` is `x` moved on by one character. Every position has its right answer, only that no human had to write it. The accurate word is **self-supervised**.
#
# **Taking what is printed for what was run.** Some articles show a piece of code and then, as its output, a “generated title” that looks very good. Begin with the question: could this output come from this code? A character model can only write what is in its vocabulary, so look it up. Suppose somebody says that our model of a moment ago wrote the title below, “Large language models lead the future”:

# %% key="mistakes-title" tags=["nbval-check-output"]
claimed = "大语言模型引领未来"
never = [char for _, char in tokenizer.unknown_characters(claimed)]
print("词表里没有 not in the vocabulary:", " ".join(never))

# %% [markdown] key="keep" lang="zh"
# 那就不可能是它写的，用不着跑。
#
# **拿最好的一句当水平。** 换一个种子就是另一句。要比就比没读过的文字上的比特数，或者把几个种子的样品都摆出来。
#
# ## 记住三句话
#
# 1. 从文字到回答有五个框：数据、模型、训练、推理、应用。
# 2. 语言模型只做一件事：看着前面的字，给下一个字的每种可能一个概率；写文章就是一个字一个字地抽。
# 3. 一个损失好不好，要看和谁比：先比 $\ln V$，再比计数。
#
# ## 出处
#
# - C. E. Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27, 379–423, 623–656. 第 3 节用字母和单词的频率一步步写出“像英语”的文字，就是我们开头做的事。
# - Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin (2003). A Neural Probabilistic Language Model. Journal of Machine Learning Research 3, 1137–1155. 用神经网络给下一个词打分。
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS 30. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). Transformer。
# - A. Radford, K. Narasimhan, T. Salimans, I. Sutskever (2018). Improving Language Understanding by Generative Pre-Training. OpenAI. 第一个 GPT。
# - T. B. Brown et al. (2020). Language Models are Few-Shot Learners. NeurIPS 33. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). GPT-3，参数和词元的数目出自这里。
# %% [markdown] key="keep" lang="en"
# Then it cannot have written the line, and there is no need to run anything.
#
# **Judging by the best sample.** Another seed, another sentence. Compare bits on text that was not read, or show the samples of several seeds.
#
# ## Three sentences to keep
#
# 1. From a text to an answer there are five boxes: data, model, training, inference, application.
# 2. A language model does one thing: looking at what came before, it gives each possible next character a probability; to write is to draw one character after another.
# 3. Whether a loss is good depends on what it is compared with: first $\ln V$, then counts.
#
# ## Sources
#
# - C. E. Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27, 379–423, 623–656. Section 3 writes text that is more and more like English from the frequencies of letters and words, which is what we did at the beginning.
# - Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin (2003). A Neural Probabilistic Language Model. Journal of Machine Learning Research 3, 1137–1155. A neural network scores the next word.
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS 30. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). The Transformer.
# - A. Radford, K. Narasimhan, T. Salimans, I. Sutskever (2018). Improving Language Understanding by Generative Pre-Training. OpenAI. The first GPT.
# - T. B. Brown et al. (2020). Language Models are Few-Shot Learners. NeurIPS 33. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). GPT-3; the numbers of parameters and tokens are from here.

# %% [markdown] key="ex-last-character" lang="zh" exercise="last_character"
# ### 练习 1　计数模型记得的全部
#
# 计数模型不管前面写了多长，只看最后一个字。写一个函数，从一段文字里取出它看的那个字。
#
# 先什么也不写，运行下面的检查格，看它怎么说；再故意写错一回，比如返回第一个字；最后写对。它每次都用新的文字来考，所以答案不能写死。
# %% [markdown] key="ex-last-character" lang="en" exercise="last_character"
# ### Exercise 1: All that the counting model remembers
#
# However long the text before, the counting model looks only at its last character. Write a function that takes the character it looks at out of a text.
#
# First write nothing and run the check cell below, to see what it says; then get it wrong on purpose, with the first character for instance; then get it right. Each time it asks with a new text, so a fixed answer will not do.


# %% key="ex-last-character-code" exercise="last_character" kind="implement" difficulty=1 minutes=3 points=1
def last_character(text):
    """The last character of a text that has at least one.  str -> str"""
    ### BEGIN SOLUTION
    return text[-1]
    ### END SOLUTION


# %% key="ex-last-character-check" exercise="last_character"
check(last_character)

# %% [markdown] key="ex-sentence-chance" lang="zh" exercise="sentence_chance"
# ### 练习 2　一个字都不错
#
# 有一个很好的模型，要写的每一个字，它都给了概率 `p`。照这个概率抽字，一口气抽出 `length` 个，全都抽对的概率是多少？
#
# 动手之前先猜：`p` 是 0.5，二十个字，这个概率比百万分之一大还是小？
# %% [markdown] key="ex-sentence-chance" lang="en" exercise="sentence_chance"
# ### Exercise 2: Not a character wrong
#
# There is a very good model: to every character that is to be written it gives probability `p`. Characters are drawn with this probability, `length` of them in a row. With what probability are they all as they should be?
#
# Guess before you write: with `p` of 0.5 and twenty characters, is it above or below one in a million?


# %% key="ex-sentence-chance-code" exercise="sentence_chance" kind="predict" difficulty=1 minutes=5 points=1
def sentence_chance(p, length):
    """Probability that `length` characters in a row are right when each is right with probability p."""
    ### BEGIN SOLUTION
    return p**length  # 0.5 ** 20 is 0.95 in a million
    ### END SOLUTION


# %% key="ex-sentence-chance-check" exercise="sentence_chance"
check(sentence_chance)

# %% [markdown] key="ex-most-likely-next" lang="zh" exercise="most_likely_next"
# ### 练习 3　猜下一个字
#
# 写出最小的语言模型：在 `text` 里，`char` 后面最常跟着哪个字？几个字一样多，就取最先跟在它后面的那个；`char` 后面从来没有字，就返回空字符串 `""`。
# %% [markdown] key="ex-most-likely-next" lang="en" exercise="most_likely_next"
# ### Exercise 3: Guess the next character
#
# Write the smallest language model there is: in `text`, which character follows `char` most often? If several do equally often, take the one that followed it first; if nothing ever follows `char`, return the empty string `""`.


# %% key="ex-most-likely-next-code" exercise="most_likely_next" kind="implement" difficulty=2 minutes=10 points=2
def most_likely_next(text, char):
    """The most frequent follower of a character; "" if it has none.  str, str -> str"""
    ### BEGIN SOLUTION
    followers = Counter(b for a, b in pairwise(text) if a == char)
    return followers.most_common(1)[0][0] if followers else ""
    ### END SOLUTION


# %% key="ex-most-likely-next-check" exercise="most_likely_next"
check(most_likely_next)

# %% [markdown] key="ex-choose" lang="zh" exercise="choose"
# ### 练习 4　修好这个抽签筒
#
# 抽一个字：每个字按它的次数占一段，次数多的段长；`u` 是从 0 到 1 之间随机来的一点（可以是 0，不会是 1），落在谁的段里就是谁。比如 `characters` 是 `"京边海"`，`counts` 是 `[6, 3, 1]`，`u` 是 0.7，就抽到“边”。
#
# 下面的函数不管 `u` 是多少，抽来抽去总是同一个字。找出毛病。
# %% [markdown] key="ex-choose" lang="en" exercise="choose"
# ### Exercise 4: Mend this sampler
#
# Draw a character: each gets a stretch according to its count, longer for larger counts; `u` is a random point between 0 and 1 (it may be 0, never 1), and the character in whose stretch it falls is drawn. With `characters` of `"京边海"`, `counts` of `[6, 3, 1]` and `u` of 0.7, for instance, 边 is drawn.
#
# Whatever `u` is, the function below draws the same character over and over. Find the fault.


# %% key="ex-choose-code" exercise="choose" kind="repair" difficulty=2 minutes=8 points=1
def choose(characters, counts, u):
    """The character in whose stretch the point u falls.  str, list of int, 0 <= u < 1 -> str"""
    ### BEGIN SOLUTION
    point, end = u * sum(counts), 0
    for character, count in zip(characters, counts, strict=True):
        end += count
        if point < end:
            return character
    ### END SOLUTION
    ### BEGIN STUB
    # end = 0
    # for character, count in zip(characters, counts, strict=True):
    #     end += count
    #     if u < end:
    #         return character
    ### END STUB


# %% key="ex-choose-check" exercise="choose"
check(choose)

# %% [markdown] key="ex-write-until" lang="zh" exercise="write_until"
# ### 练习 5　一个小应用
#
# 给模型套上应用的那一层。`next_character` 是模型：给它到目前为止的全部文字，它返回下一个字。从 `beginning` 开始，让它一个字一个字往下写，写出句号“。”就停，句号要留着；最多写 `limit` 个新字，免得它没完没了。返回开头和新写的字。
#
# `beginning` 里可能本来就有句号，那不算。
# %% [markdown] key="ex-write-until" lang="en" exercise="write_until"
# ### Exercise 5: A small application
#
# Put the layer of an application around a model. `next_character` is the model: give it all the text so far, and it returns the next character. From `beginning` on, let it write character by character until it has written a full stop 。, which is kept; write at most `limit` new characters, lest it never ends. Return the beginning with what was written.
#
# There may be a full stop in `beginning` already; that one does not count.


# %% key="ex-write-until-code" exercise="write_until" kind="extend" difficulty=3 minutes=12 points=2
def write_until(next_character, beginning, limit):
    """Beginning and up to `limit` new characters, ending after the first new 。  function, str, int -> str"""
    ### BEGIN SOLUTION
    written = beginning
    for _ in range(limit):
        written += next_character(written)
        if written[-1] == "。":
            break
    return written
    ### END SOLUTION


# %% key="ex-write-until-check" exercise="write_until"
check(write_until)
