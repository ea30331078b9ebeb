# ---
# minillm:
#   title: {zh: "评测", en: "Evaluation"}
#   question:
#     zh: "两个模型，哪一个更好？一个分数说明了什么，又能信它几分？"
#     en: "Two models: which is better? What does a score say, and how far can it be trusted?"
#   minutes: 90
#   seconds: 40
#   needs: ["03", "05"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("15")

# %% key="imports" both=true
import math
import re
from collections import Counter

import numpy as np

from minillm import metrics

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 一家饭馆每天收到许多评论。老板只想先看一种：菜不好吃，又等得太久。这样的客人要马上打电话道歉。请一个模型把它们挑出来。
#
# 评论来自课程里造出来的小城（`minillm.data.world`），所以每一条的真相都知道，不靠人标。模型很简单：看一条评论里有哪些相邻的两个字，每一对各自投票，学过一百条。这叫**朴素贝叶斯**（Maron 1961），细节不要紧，这一课要量的是它，不是写它。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# A restaurant gets many reviews every day. There is one kind that its owner wants to see first: the food was bad, and the wait was long. Those guests are to be telephoned at once, with an apology. Let a model pick them out.
#
# The reviews come from the small town that the course generates (`minillm.data.world`), so the truth about each of them is known, and nobody had to label anything. The model is simple: it sees which pairs of neighbouring characters a review has, and each pair casts a vote of its own; it has learnt from a hundred reviews. This is called **naive Bayes** (Maron 1961). Its details do not matter: in this lesson it is what we measure, not what we build.

# %% key="reviews" tags=["nbval-check-output"]
from minillm.data.world.service import review


def draw_reviews(count, seed, split="test"):
    rng = np.random.default_rng([15, seed])
    return [review(rng, split) for _ in range(count)]


def urgent(item):
    return int(item.aspects["味道"] < 0 and item.aspects["等待"] < 0)


learn, test = draw_reviews(100, 0, "train"), draw_reviews(2000, 1)
truth = np.array([urgent(item) for item in test])
for item in [test[0], test[int(truth.argmax())]]:
    print("急 urgent" if urgent(item) else "不急 not   ", item.text)
print(f"{truth.sum()} / {len(test)} 急 urgent")


# %% key="naive-bayes" tags=["nbval-check-output"]
class NaiveBayes:
    """Which runs of n characters a text has; each votes for the classes by itself."""

    def __init__(self, texts, labels, classes, n=2):
        self.n, labels = n, np.array(labels)
        self.column = {run: i for i, run in enumerate(sorted(metrics.runs(texts, n)))}
        x, sizes = self.present(texts), np.bincount(labels, minlength=classes)[:, None]
        counts = np.stack([x[labels == c].sum(axis=0) for c in range(classes)])
        p = (counts + 1) / (sizes + 2)  # of each run in each class
        self.weights, self.bias = np.log(p / (1 - p)), np.log(1 - p).sum(axis=1) + np.log(sizes[:, 0] + 1)

    def present(self, texts):
        x = np.zeros((len(texts), len(self.column)))
        for row, text in zip(x, texts, strict=True):
            row[[self.column[run] for run in metrics.runs([text], self.n) if run in self.column]] = 1
        return x

    def scores(self, texts):
        """How much each class is to be believed.  -> (N, classes)"""
        return self.present(texts) @ self.weights.T + self.bias


model = NaiveBayes([item.text for item in learn], [urgent(item) for item in learn], classes=2)
believed = model.scores([item.text for item in test])
score = believed[:, 1] - believed[:, 0]  # 大于零：急 above zero: urgent
guess = (score > 0).astype(int)

print(f"模型 model:            准确率 accuracy {np.mean(guess == truth):.3f}")
print(f"总说不急 never urgent: 准确率 accuracy {np.mean(truth == 0):.3f}")

# %% [markdown] key="problem-after" lang="zh"
# 学过一百条的模型答对了九成；什么都没学、对谁都说“不急”的，答对的还更多一点。可是后一个永远打不出一个电话，对老板一点用也没有。
#
# **准确率**没有算错。错的是拿它来问这件事：十条里只有一条是急的，答对另外九条不费力气，分数就被那九条占满了。这一课讲几个常用的分数：它们怎么算，各自回答什么问题，什么时候会骗人，以及一个分数能信到第几位。
# %% [markdown] key="problem-after" lang="en"
# The model that learnt from a hundred reviews is right nine times of ten; one that has learnt nothing, and says “not urgent” to everybody, is right a little oftener still. Yet the latter never leads to a telephone call and is of no use to the owner at all.
#
# The **accuracy** is not computed wrongly. What is wrong is to ask it this question: one review of ten is urgent, to be right about the other nine takes no effort, and they fill the score. This lesson is about the scores in common use: how they are computed, which question each of them answers, when it deceives, and to which digit it can be trusted.

# %% [markdown] key="formula" lang="zh"
# ## 四个格子
#
# 先不算分数，把结果摊开。真相有两种，模型的话有两种，一共四个格子，叫**混淆矩阵**：第 $i$ 行第 $j$ 列，数的是“其实是第 $i$ 类、被说成第 $j$ 类”的有几个。对“急”这一类，问两个问题：
#
# $$P = \frac{h}{s} \qquad R = \frac{h}{t} \qquad F_1 = \frac{2h}{s + t}$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $h$ | 整数 | 条 | 命中：其实急，也说成急 |
# | $s$ | 整数 | 条 | 说成急的一共几条 |
# | $t$ | 整数 | 条 | 其实急的一共几条 |
# | $P$ | 一个数 | 0 到 1 | **精确率**：说成急的，有多少真的急 |
# | $R$ | 一个数 | 0 到 1 | **召回率**：真急的，有多少被找到 |
# | $F_1$ | 一个数 | 0 到 1 | 两者的调和平均，后面讲为什么 |
#
# 分母是零怎么办？一条也没说成急，精确率无从说起；约定它是 0，免得什么都不做的模型得满分。scikit-learn 默认也这样算，只是多一句警告。
#
# 十条评论，用手数一遍。
# %% [markdown] key="formula" lang="en"
# ## Four cells
#
# Before any score, lay out what happened. There are two truths and two answers, four cells in all, called the **confusion matrix**: row $i$, column $j$ counts those that are of class $i$ and were called $j$. About the class “urgent” there are two questions:
#
# $$P = \frac{h}{s} \qquad R = \frac{h}{t} \qquad F_1 = \frac{2h}{s + t}$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $h$ | an integer | reviews | hits: urgent, and called so |
# | $s$ | an integer | reviews | said: all that were called urgent |
# | $t$ | an integer | reviews | there: all that are urgent |
# | $P$ | a number | 0 to 1 | **precision**: of those called urgent, how many are |
# | $R$ | a number | 0 to 1 | **recall**: of those that are urgent, how many were found |
# | $F_1$ | a number | 0 to 1 | the harmonic mean of the two; the reason follows |
#
# And where a denominator is zero? If nothing was called urgent, there is no precision to speak of; by agreement it is 0, lest a model that does nothing get full marks. scikit-learn does the same by default, with a warning.
#
# Ten reviews, counted by hand.

# %% key="by-hand" tags=["nbval-check-output"]
truly = [1, 0, 0, 1, 0, 1, 0, 0, 1, 0]
answers = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0]

cells = [[0, 0], [0, 0]]
for real, answer in zip(truly, answers, strict=True):
    cells[real][answer] += 1
hits, said, there = cells[1][1], cells[0][1] + cells[1][1], sum(cells[1])

print(cells)
print(f"h = {hits}, s = {said}, t = {there}")
print(f"P = {hits / said:.3f}, R = {hits / there:.3f}, F1 = {2 * hits / (said + there):.3f}")

# %% [markdown] key="vectorised" lang="zh"
# 换成 NumPy：把（真相，回答）这一对编成一个号，真相 × 类数 + 回答，数一数每个号出现几次就行。再和 minillm 的相比。
# %% [markdown] key="vectorised" lang="en"
# In NumPy: make one number of the pair of truth and answer, truth × classes + answer, and count how often each number occurs. Then compare with minillm's.


# %% key="vectorised-run" tags=["nbval-check-output"]
def confusion(truth, guess, classes):
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


assert confusion(np.array(truly), np.array(answers), 2).tolist() == cells
matrix = confusion(truth, guess, 2)
assert np.array_equal(matrix, metrics.confusion_matrix(truth, guess, 2))
hits, said, there = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
P, R, F1 = hits / said, hits / there, 2 * hits / (said + there)
assert np.allclose([P, R, F1], metrics.per_class(matrix), rtol=1e-15)

print(matrix)
for name, column in (("不急 not urgent", 0), ("急 urgent", 1)):
    print(f"P {P[column]:.3f}   R {R[column]:.3f}   F1 {F1[column]:.3f}   {name}")

# %% [markdown] key="vectorised-after" lang="zh"
# 现在看得见了。187 条急的，模型找到 92 条，将近一半；它说急的 203 条里，有 111 条打了也是白打。“总说不急”的召回率是 0，$F_1$ 也是 0。两个准确率差不多的模型，在这里分出了高下。
# %% [markdown] key="vectorised-after" lang="en"
# Now it can be seen. Of 187 urgent reviews the model found 92, almost half; of the 203 that it called urgent, 111 calls would be for nothing. “Never urgent” has a recall of 0, and an $F_1$ of 0. Two models of about one accuracy, and here they part.

# %% [markdown] key="threshold" lang="zh"
# ## 门槛
#
# 模型给每条评论一个分，大于零就说急。零并不神圣。电话不要钱，就把门槛放低，多找几条；道歉一次要送一桌菜，就把门槛抬高，有把握才打。
#
# 拖动滑块。左边是两类评论的分数，右边是门槛从高到低一路走过的 $(R, P)$。
# %% [markdown] key="threshold" lang="en"
# ## The threshold
#
# The model gives each review a score and calls it urgent above zero. There is nothing sacred about zero. If telephone calls are free, lower the threshold and find more; if an apology comes with a dinner on the house, raise it and call only when sure.
#
# Drag the slider. On the left are the scores of both kinds of review, on the right the $(R, P)$ through which the threshold passes on its way down.

# %% key="threshold-play"
from minillm import viz
from minillm.widgets import Slider, play

order = np.argsort(-score)
found = np.cumsum(truth[order])  # 前 k 条里有几条急的 urgent ones among the first k
curve_p, curve_r = found / np.arange(1, len(found) + 1), found / truth.sum()


def draw_threshold(threshold):
    left, right = viz.new_axes(8.4, 3.4, 1, 2)
    bins = np.arange(-60, 50, 5)
    for value, name, colour in ((0, "不急 not urgent", viz.COLOURS[0]), (1, "急 urgent", viz.COLOURS[1])):
        left.hist(score[truth == value], bins, color=colour, alpha=0.6, label=name)
    left.axvline(threshold, color="k", linestyle="--")
    left.set(yscale="log", xlabel="分数 score", ylabel="评论数 reviews", ylim=(0.7, 600))
    left.legend(fontsize=8)
    said = score > threshold
    now = metrics.scores_of_counts(int(truth[said].sum()), int(said.sum()), int(truth.sum()))
    right.plot(curve_r, curve_p, color="0.6")
    right.plot(now.recall, now.precision, "o", color=viz.COLOURS[1], markersize=10)
    right.set(xlabel="召回率 recall", ylabel="精确率 precision", xlim=(0, 1.02), ylim=(0, 1.02))
    right.set_title(f"P {now.precision:.2f}   R {now.recall:.2f}   F1 {now.f1:.2f}")
    left.set_title(f"门槛 threshold {threshold}，说急 said urgent: {said.sum()}")
    return left


play(
    draw_threshold,
    threshold=Slider(-40, 40, 5, value=0, label="门槛 threshold"),
    alt="左：两类评论的分数和门槛；右：精确率和召回率的曲线 left: scores and threshold; right: precision over recall",
)

# %% [markdown] key="harmonic" lang="zh"
# 两头总要放弃一头。（门槛也是一个设置，要在另外的评论上挑，不在测试集上挑；这一课的末尾会看到为什么。）那么比较两个模型的时候，怎样合成一个数？
#
# ### 为什么是调和平均
#
# 算术平均最省事，也最好骗。对谁都说急：召回率是 1，精确率只有 0.094，算术平均 0.547，比我们的模型还高。
#
# 调和平均是倒数的平均，再取倒数。代进 $P = h/s$，$R = h/t$：
#
# $$\frac{2}{\frac{1}{P} + \frac{1}{R}} = \frac{2}{\frac{s}{h} + \frac{t}{h}} = \frac{2h}{s + t} = F_1$$
#
# 所以 $F_1$ 有一个朴素的读法：把“说的”和“有的”放在一起，一共 $s + t$ 条，其中 $2h$ 条对上了。它偏向小的那个：有一头接近零，另一头再高也救不回来。下面用颜色画出两种平均，同一条线上分数相同。
# %% [markdown] key="harmonic" lang="en"
# One side always has to give. (A threshold is a setting, too, to be chosen on other reviews than those of the test set; the end of this lesson shows why.) How then are two models compared by a single number?
#
# ### Why the harmonic mean
#
# The arithmetic mean is the easiest, and the easiest to fool. Call everybody urgent: the recall is 1, the precision a mere 0.094, and their arithmetic mean 0.547, above that of our model.
#
# The harmonic mean averages reciprocals and takes the reciprocal of the result. Put in $P = h/s$ and $R = h/t$:
#
# $$\frac{2}{\frac{1}{P} + \frac{1}{R}} = \frac{2}{\frac{s}{h} + \frac{t}{h}} = \frac{2h}{s + t} = F_1$$
#
# So $F_1$ has a plain reading: lay together what was said and what is there, $s + t$ in all, and $2h$ of them have found each other. It leans towards the smaller one: where one side is near zero, the other cannot save it, however high. Here both means are drawn in colours; along a line the score is the same.

# %% key="harmonic-run" tags=["nbval-check-output"]
everybody = metrics.scores_of_counts(int(truth.sum()), len(truth), int(truth.sum()))
ours = metrics.scores_of_counts(int(hits[1]), int(said[1]), int(there[1]))
for name, each in (("都说急 all urgent", everybody), ("模型 model", ours)):
    p, r = each.precision, each.recall
    assert np.isclose(each.f1, 2 / (1 / p + 1 / r))
    print(f"算术 arithmetic {(p + r) / 2:.3f}   调和 harmonic {each.f1:.3f}   {name}")

# %% key="harmonic-picture"
grid = np.linspace(0.005, 1, 200)
p, r = np.meshgrid(grid, grid, indexing="ij")
axes = viz.new_axes(8.4, 3.6, 1, 2, sharey=True)
for ax, mean, name in zip(
    axes, ((p + r) / 2, 2 * p * r / (p + r)), ("算术平均 arithmetic", "调和平均 harmonic, F1"), strict=True
):
    ax.contourf(r, p, mean, levels=np.arange(0, 1.05, 0.1), cmap="Blues")
    ax.clabel(ax.contour(r, p, mean, levels=np.arange(0.1, 1, 0.2), colors="0.3", linewidths=0.8), fontsize=8)
    ax.plot(everybody.recall, everybody.precision, "s", color=viz.COLOURS[1], label="都说急 all urgent", clip_on=False)
    ax.plot(ours.recall, ours.precision, "o", color=viz.COLOURS[4], label="模型 model")
    ax.set(xlabel="召回率 recall", title=name)
axes[0].set_ylabel("精确率 precision")
axes[0].legend(loc="lower left", fontsize=8)
viz.show(axes[0])

# %% [markdown] key="macro" lang="zh"
# ## 不止两类：macro 和 micro
#
# 同样的评论，换个问题：好评、中评还是差评？三类各有自己的 $P$、$R$、$F_1$。要合成一个数，又有不同的办法：
#
# - **macro**：三个 $F_1$ 的平均，每类一票，不管大小。
# - **weighted**：也是平均，大的类票数多。
# - **micro**：先把三类的 $h$、$s$、$t$ 各加起来再算。每条评论只有一个答案时，$s$ 的总和与 $t$ 的总和都是评论数，所以 micro 的 $P$、$R$、$F_1$ 全都等于准确率，没有新意。
#
# 这里用一个学过 150 条的模型。
# %% [markdown] key="macro" lang="en"
# ## More than two classes: macro and micro
#
# The same reviews, another question: good, middling or bad? Each of the three classes has its own $P$, $R$ and $F_1$. To make one number of them there are several ways again:
#
# - **macro**: the mean of the three $F_1$, one vote a class, large or small.
# - **weighted**: a mean too, in which large classes have more votes.
# - **micro**: first add up $h$, $s$ and $t$ of all classes, then compute. Where each review has one answer, the sum of $s$ and the sum of $t$ are both the number of reviews, so that micro $P$, $R$ and $F_1$ are all equal to the accuracy, and nothing new.
#
# Here is a model that has learnt from 150 reviews.

# %% key="macro-run" tags=["nbval-check-output"]
MOODS = {"negative": "差评 bad", "neutral": "中评 middling", "positive": "好评 good"}


def moods(items):
    return np.array([list(MOODS).index(item.sentiment) for item in items])


learn_moods = draw_reviews(150, 2, "train")
mood_model = NaiveBayes([item.text for item in learn_moods], moods(learn_moods), classes=3)
mood_truth = moods(test)
mood_matrix = metrics.confusion_matrix(mood_truth, mood_model.scores([r.text for r in test]).argmax(axis=1), 3)
for name, *each, count in zip(MOODS.values(), *metrics.per_class(mood_matrix), mood_matrix.sum(axis=1), strict=True):
    print("P {:.3f}   R {:.3f}   F1 {:.3f}".format(*each), f"  {count:4d}  {name}")
for average in ("macro", "weighted", "micro"):
    print("P {:.3f}   R {:.3f}   F1 {:.3f}".format(*metrics.averaged(mood_matrix, average)), f"        {average}")

# %% key="macro-picture"
short = ["差 bad", "中 mid", "好 good"]
ax = viz.heatmap(mood_matrix, short, short, viz.new_axes(5.2, 3.8), label="评论数 reviews", form="{:.0f}")
ax.set(xlabel="模型说 the model says", ylabel="其实 in truth")
viz.show(ax, "三类的混淆矩阵：中评最容易错 confusion matrix of three classes: the middling ones are mistaken most")

# %% [markdown] key="macro-after" lang="zh"
# 中评最少，也最难：它的 $F_1$ 比另外两类低得多。micro 看不见这件事，macro 看得见。报一个数的时候，写清楚是哪一种；能把矩阵摆出来，就摆出来。
#
# macro 的 $F_1$ 是“$F_1$ 的平均”，不是“平均的 $F_1$”。先平均 $P$ 和 $R$ 再合成，是另一个数；练习 2 里就有这个错。
# %% [markdown] key="macro-after" lang="en"
# The middling reviews are the fewest and the hardest: their $F_1$ is far below the other two. Micro does not see that, macro does. When you report one number, write which of them it is; and where the matrix can be shown, show it.
#
# The macro $F_1$ is the mean of the $F_1$, not the $F_1$ of the means. To average $P$ and $R$ first and combine them afterwards gives another number; exercise 2 has that very mistake.

# %% [markdown] key="perplexity" lang="zh"
# ## 语言模型：困惑度按什么算
#
# 语言模型不答对错，它给概率。第 05 课的困惑度是平均惊讶的指数，“每个**词元**”的惊讶。词元是分词器切出来的，切法一变，“每个”的意思就变了。
#
# 用同一种模型（第 03 课的 Kneser-Ney，三元），同一本读本，只换分词器：按字切，或者用字节对编码，词表从 300 到 2400。
#
# $$\text{ppl} = e^{\frac{1}{N}\sum_i \ell_i} \qquad \text{bpc} = \frac{1}{M \ln 2}\sum_i \ell_i$$
#
# $\ell_i = -\ln p_i$ 是每个词元的损失（奈特），$N$ 是词元数，$M$ 是字符数。$M$ 由文字决定，谁来切都一样。
# %% [markdown] key="perplexity" lang="en"
# ## Language models: perplexity per what?
#
# A language model is not right or wrong, it gives probabilities. The perplexity of lesson 05 is the exponential of the mean surprise, the surprise per **token**. Tokens are what the tokenizer has cut, and with another cut “per token” means something else.
#
# Take one kind of model (the Kneser-Ney of lesson 03, trigrams) and one reader, and change the tokenizer only: by characters, or byte pair encoding with a vocabulary of 300 to 2400.
#
# $$\text{ppl} = e^{\frac{1}{N}\sum_i \ell_i} \qquad \text{bpc} = \frac{1}{M \ln 2}\sum_i \ell_i$$
#
# $\ell_i = -\ln p_i$ is each token's loss in nats, $N$ the number of tokens, $M$ the number of characters. $M$ is the text's own, whoever cuts it.

# %% key="perplexity-run" tags=["nbval-check-output"]
from minillm.baselines.smoothing import KneserNey
from minillm.data.corpora import load_corpus, token_stream
from minillm.evaluate import scores
from minillm.text import train_tokenizer

reader = load_corpus("reader")
table = {}
for name, arguments in {
    "char": ("char",),
    **{f"bpe {v}": ("bpe", reader.train, v) for v in (300, 600, 1200, 2400)},
}.items():
    tokenizer = train_tokenizer(arguments[0], reader.train, *arguments[2:])
    rows = {split: token_stream(reader.split(split), tokenizer) for split in ("train", "valid")}
    three = KneserNey(rows["train"], tokenizer.vocab_size, order=3)
    result = scores(three.total_nll(rows["valid"]), rows["valid"], reader.valid, tokenizer)
    table[name] = result
    print(f"{name:9s} {result.tokens:6d} tokens   ppl {result.perplexity:6.1f}   bpc {result.bits_per_char:.3f}")

# %% key="perplexity-picture"
left, right = viz.new_axes(8.4, 3.0, 1, 2)
viz.plot_bars(list(table), [r.perplexity for r in table.values()], left, label="困惑度 perplexity", form="{:.0f}")
viz.plot_bars(
    list(table), [r.bits_per_char for r in table.values()], right, label="比特每字符 bits a character", limit=8
)
for ax in (left, right):
    ax.tick_params(axis="x", labelsize=9)
left.set_title("每个词元：比不得 per token: no comparison")
right.set_title("每个字符：可以比 per character: fair")
viz.show(left)

# %% [markdown] key="perplexity-after" lang="zh"
# 困惑度说，词表 300 的最好，10.8，比词表 2400 的小二十多倍。每字符比特说，它最差。词表小，文字切得碎，一步只猜一小块，每步当然不难，步数却多了一倍多。
#
# 所以：**困惑度只在同一个分词器、同一段文字之间比较**。跨分词器，比每字符比特。看到论文里两个困惑度，先问词表一样不一样。
#
# （按字切的有 116 个没见过的字写成了 `<unk>`。猜 `<unk>` 很容易，等于逃题；`minillm.evaluate` 把写出那个字的比特补了上去，困惑度里却没有补。这又是一个困惑度比不得的理由。）
# %% [markdown] key="perplexity-after" lang="en"
# Perplexity calls the vocabulary of 300 the best: 10.8, more than twenty times below that of 2400. Bits per character call it the worst. A small vocabulary cuts text into crumbs; each step guesses a crumb only and is easy, of course, but there are more than twice as many steps.
#
# Therefore: **compare perplexities with one tokenizer on one text only.** Across tokenizers, compare bits per character. When you see two perplexities in a paper, ask first whether the vocabularies were the same.
#
# (By characters, 116 that were never seen became `<unk>`. To guess `<unk>` is easy, and amounts to skipping the question; `minillm.evaluate` adds the bits to spell the character, but the perplexity has no such addition. One more reason not to compare it.)

# %% [markdown] key="bleu" lang="zh"
# ## 翻译：BLEU
#
# “我爱北京天安门。”译成英文，参考译文是 I love Tiananmen in Beijing. 对的译法不止一种，不能逐字对答案。Papineni 等人 2002 年的办法：数**短语**。译文里每一段连着的 $n$ 个词（n 元组），看参考译文里有没有。
#
# $$\text{BLEU} = 100 \cdot \text{BP} \cdot (p_1 p_2 p_3 p_4)^{1/4} \qquad \text{BP} = \min\big(1,\ e^{1 - r/h}\big)$$
#
# $p_n$ 是 n 元组的精确率，$h$ 是译文的词数，$r$ 是参考译文的词数。四个精确率取几何平均：一个是零，全部是零。先用循环数一个。
# %% [markdown] key="bleu" lang="en"
# ## Translation: BLEU
#
# 我爱北京天安门。 is to be put into English; the reference says: I love Tiananmen in Beijing. There is more than one right way, so answers cannot be compared word for word. The idea of Papineni and others in 2002: count **phrases**. For each run of $n$ words in the translation, an n-gram, see whether the reference has it.
#
# $$\text{BLEU} = 100 \cdot \text{BP} \cdot (p_1 p_2 p_3 p_4)^{1/4} \qquad \text{BP} = \min\big(1,\ e^{1 - r/h}\big)$$
#
# $p_n$ is the precision of n-grams, $h$ the number of words of the translation, $r$ that of the reference. The four precisions are multiplied, a geometric mean: if one is zero, so is all. Here is one, counted with loops.

# %% key="bleu-hand" tags=["nbval-check-output"]
reference = ["I", "love", "Tiananmen", "in", "Beijing", "."]
translation = ["I", "love", "the", "Tiananmen", "in", "Beijing", "."]

by_hand = []
for n in (1, 2, 3, 4):
    ours = [tuple(translation[i : i + n]) for i in range(len(translation) - n + 1)]
    theirs = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
    matches = 0
    for gram in set(ours):
        matches += min(ours.count(gram), theirs.count(gram))  # 参考里有几个，最多算几个 clipped
    by_hand.append(matches / len(ours))
    print(f"p{n} = {matches}/{len(ours)} = {by_hand[-1]:.3f}")
penalty = min(1, math.exp(1 - len(reference) / len(translation)))
score_by_hand = 100 * penalty * math.prod(by_hand) ** (1 / 4)
assert np.isclose(score_by_hand, metrics.bleu([translation], [[reference]]).score)
print(f"BP = {penalty:.3f}   BLEU = {score_by_hand:.2f}")

# %% [markdown] key="clipping" lang="zh"
# 那一行 `min` 叫**截断**。没有它会怎样？Papineni 论文里的例子：译文是七个 the。每个 the 参考译文里都有，精确率 7/7，满分。截断以后，参考里有两个，最多算两个。
#
# 译文太短也能讨巧：只写最有把握的两三个词，精确率很高。所以有**长度惩罚** $\text{BP}$：比参考短，就打折；比参考长不用罚，精确率的分母已经罚过了。
# %% [markdown] key="clipping" lang="en"
# The line with `min` is called **clipping**. What without it? The example of Papineni's paper: a translation of seven times the. Each the is in the reference, a precision of 7/7, full marks. With clipping the reference has two of them, and at most two count.
#
# Too short a translation has it easy as well: write only the two or three words that are sure, and the precision is high. Hence the **brevity penalty** $\text{BP}$: shorter than the reference costs; longer need not cost, for the denominators of the precisions have seen to it.

# %% key="clipping-run" tags=["nbval-check-output"]
the_cat = ["the", "cat", "is", "on", "the", "mat"]
the_the = ["the"] * 7
unclipped = sum(word in the_cat for word in the_the)
clipped = (Counter(the_the) & Counter(the_cat)).total()
print(f"不截断 unclipped {unclipped}/7   截断 clipped {clipped}/7")

# %% key="brevity-picture"
from minillm.metrics.bleu import brevity_penalty

lengths = np.arange(1, 16)
ax = viz.new_axes(6.4, 3.0)
ax.plot(lengths, [brevity_penalty(int(h), 10) for h in lengths], "o-", color=viz.COLOURS[0])
ax.axvline(10, color="0.5", linestyle=":", label="参考译文 10 个词 a reference of 10 words")
ax.set(xlabel="译文的词数 words of the translation", ylabel="BP", ylim=(0, 1.08))
ax.legend()
viz.show(ax, "长度惩罚：译文比参考短，分数打折 brevity penalty: a translation shorter than the reference costs")

# %% [markdown] key="listing" lang="zh"
# 下面是 minillm 数一句话的函数。参考译文可以有好几个：截断用其中最多的那个，长度用最接近的那个。返回的全是计数，所以整个语料的 BLEU 就是**先把所有句子的计数加起来，再算一次**；它不等于各句 BLEU 的平均。
#
# 单独一句话常常没有一个四元组对得上，$p_4 = 0$，全句得零。sacrebleu 默认的办法是平滑：第一个对不上的阶算 1/2 个，下一个算 1/4 个。
# %% [markdown] key="listing" lang="en"
# This is minillm's function that counts one sentence. There may be several references: clipping goes by the one with most, the length by the nearest. All that it returns are counts, and so the BLEU of a corpus is this: **add up the counts of all sentences, then compute once**; it is not the mean of the sentences' BLEU.
#
# A single sentence often has no four words in common with its reference; then $p_4 = 0$ and the sentence scores nothing. What sacrebleu does by default is smoothing: the first order without a match counts as 1/2 of one, the next as 1/4.

# %% key="listing-bleu"
from minillm.metrics.bleu import Hashable, Sequence, Tokens, n_grams


from minillm.metrics.bleu import bleu_counts  # paste

# %% [markdown] key="bleu-truth" lang="zh"
# ## BLEU 和真相
#
# BLEU 数的是字面，不是意思。先看几句。
# %% [markdown] key="bleu-truth" lang="en"
# ## BLEU and the truth
#
# BLEU counts wording, not meaning. A few sentences first.


# %% key="bleu-truth-few" tags=["nbval-check-output"]
def sentence_bleu(translation, *references):
    cut = metrics.split_english
    return metrics.bleu([cut(translation)], [[cut(each) for each in references]], sentence=True).score


REFERENCE = "I love Tiananmen in Beijing."
for truth_, candidate in (
    ("对 right", "I love Beijing's Tiananmen."),
    ("对 right", "Tiananmen in Beijing is what I love."),
    ("错 wrong", "You love Tiananmen in Beijing."),
    ("错 wrong", "I do not love Tiananmen in Beijing."),
):
    print(f"{sentence_bleu(candidate, REFERENCE):5.1f}  {truth_}  {candidate}")

# %% [markdown] key="bleu-systems" lang="zh"
# 两句对的，一句二十分，一句不到三十；换了人，七十多分；意思正好相反，五十多分。
#
# 四句话可能是挑出来的。小城里可以做得彻底：每个故事背后的事实（谁、在哪儿、几月、多少）是知道的，译文由事实写出，对不对不用人来判。三个“翻译系统”，各译四百句：
#
# - **换说法**：事实全对，句式与参考不同。
# - **换人名**：照抄参考，只把主人公换成另一个人。句句都错。
# - **漏结尾**：照抄参考，丢掉最后三个词。事实不全。
# %% [markdown] key="bleu-systems" lang="en"
# Of the right ones, one has some twenty points and the other under thirty; another person, more than seventy; the very opposite, more than fifty.
#
# Four sentences may have been chosen to please. In the small town it can be done thoroughly: the facts behind each story are known (who, where, which month, how many), translations are written from facts, and nobody need judge whether they are right. Three “translation systems”, four hundred sentences each:
#
# - **Rephrased**: all facts right, in other sentences than the reference's.
# - **Name swapped**: the reference, but with another person in the leading part. Every sentence is wrong.
# - **End lost**: the reference without its last three words. Facts are missing.

# %% key="bleu-systems-run" tags=["nbval-check-output"]
from minillm.data.world import story, town
from minillm.data.world.pairs import PATTERNS, english_words

REPHRASED = {
    "buying": "{Who} went shopping {At} on a {Weekday} in {Month} and came home with {Amount}.",
    "outing": "It took {Who} and {Friend} {Minutes} minutes to get to {Place} {Ride}.",
    "losing": "A {Colour} {Thing} that belongs to {Who} went missing {At}.",
    "dining": "{Who} invited people to dinner {At} on a {Weekday} in {Month}.",
    "playing": "{Who} sat down {At} for {Games} games of {Game} with {Friend}.",
}
rng = np.random.default_rng([15, 4])
references, systems = [], {"换说法 rephrased": [], "换人名 name swapped": [], "漏结尾 end lost": []}
for _ in range(400):
    told = story(rng, "test")
    words, pattern = english_words(told), PATTERNS[told.kind][0][1]
    others = [person.english for person in town.PEOPLE.values() if person.english not in words.values()]
    references.append([metrics.split_english(pattern.format_map(words))])
    swapped = pattern.format_map({**words, "Who": others[rng.integers(len(others))]})
    for name, text in zip(systems, (REPHRASED[told.kind].format_map(words), swapped), strict=False):
        systems[name].append(metrics.split_english(text))
    systems["漏结尾 end lost"].append(references[-1][0][:-4])  # 句号也是一个 the full stop counts as one

print("参考 reference:", *references[-1][0])
for name, sentences in systems.items():
    print(f"BLEU {metrics.bleu(sentences, references).score:5.1f}  {name}:", *sentences[-1])

# %% key="bleu-systems-picture"
bleus = [metrics.bleu(sentences, references).score for sentences in systems.values()]
ax = viz.plot_bars(list(systems), bleus, viz.new_axes(6.8, 3.2), label="BLEU", limit=100, form="{:.1f}", highlight=1)
for place, right in enumerate(("事实全对 all facts right", "句句有错 all wrong", "事实不全 facts missing")):
    ax.text(place, 4, right, ha="center", color="w", fontsize=9)
ax.tick_params(axis="x", labelsize=10)
viz.show(ax, "三个系统的 BLEU：句句都错的得分最高 BLEU of three systems: the one that is always wrong has the highest")

# %% [markdown] key="bleu-systems-after" lang="zh"
# 句句都错的得分最高，句句都对的得分最低。这个例子是特意造的，真实的系统不会这样极端。它说明的是：BLEU 的高低可以和对错相反，因为一个人名在字面上只是一个词，在意思上却是全部。
#
# 那为什么还用它？同一类系统、同一个测试集、改动不大的时候，它便宜，可重复，大致跟得上人的判断。比较不同类的系统，或者要紧的是数字、人名、否定，就要另外检查那些事实。给每句几个参考译文，会好一些，但治不了本。
# %% [markdown] key="bleu-systems-after" lang="en"
# The one that is wrong in every sentence scores highest, and the one that is right in every sentence lowest. The example was made for the purpose; real systems are not as extreme. What it shows is that BLEU may go against right and wrong, because in wording a name is one word only, while in meaning it is everything.
#
# Why use it then? Among systems of one kind, on one test set and for small changes, it is cheap, repeatable, and roughly follows human judgement. To compare systems of different kinds, or where figures, names and negations are what counts, those facts must be checked by themselves. Several references for each sentence help, but do not cure it.

# %% [markdown] key="rouge" lang="zh"
# ## 标题和摘要：ROUGE
#
# BLEU 问“写出来的，有多少在参考里”，是精确率。摘要更关心“参考里的要点，写出来多少”，是召回率。Lin 2004 年的 ROUGE 就从召回率出发：
#
# - **ROUGE-N**：n 元组对上几个，两边都截断。
# - **ROUGE-L**：最长公共子序列。次序要对，中间可以隔着别的字。
#
# 子序列的长度用一张表算：$a$ 的前 $i$ 个和 $b$ 的前 $j$ 个，最后一个相同就斜着加一，不同就取上面和左边大的那个。
# %% [markdown] key="rouge" lang="en"
# ## Titles and summaries: ROUGE
#
# BLEU asks how much of what was written stands in the reference: a precision. For a summary one rather asks how many of the reference's points were written: a recall. The ROUGE of Lin in 2004 starts from recall:
#
# - **ROUGE-N**: how many n-grams agree, clipped on both sides.
# - **ROUGE-L**: the longest common subsequence. The order must be right; other characters may stand between.
#
# The length of the subsequence comes from a table: for the first $i$ of $a$ and the first $j$ of $b$, if their last ones are equal go diagonally and add one, else take the larger of above and left.


# %% key="rouge-hand" tags=["nbval-check-output"]
def lcs_table(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, x in enumerate(a, start=1):
        for j, y in enumerate(b, start=1):
            table[i, j] = table[i - 1, j - 1] + 1 if x == y else max(table[i - 1, j], table[i, j - 1])
    return table


title, written = "小川买苹果", "苹果是小川买的"
print(lcs_table(title, written))
length = lcs_table(title, written)[-1, -1]
assert length == metrics.lcs_length(title, written)
print(f"ROUGE-L: P = {length}/{len(written)}, R = {length}/{len(title)}, F1 = {metrics.rouge_l(title, written).f1:.3f}")
one = metrics.rouge_n(title, written, 1)
print(f"ROUGE-1: P = {one.precision:.3f}, R = {one.recall:.3f}, F1 = {one.f1:.3f}")

# %% [markdown] key="rouge-titles" lang="zh"
# 意思一样，字都在，只是换了次序：ROUGE-1 的召回率满分，ROUGE-L 只有五分之三。
#
# 小城的每个故事有三个都说得通的标题。拿一个当参考，看三种“系统”：写另一个对的标题；抄故事的第一句；把整个故事当标题交上去。
# %% [markdown] key="rouge-titles" lang="en"
# The same meaning and the same characters in another order: ROUGE-1 has full recall, ROUGE-L only three fifths.
#
# Each story of the small town has three titles that will do. Take one for the reference and look at three “systems”: one writes another good title; one copies the first clause of the story; one hands in the whole story for a title.

# %% key="rouge-titles-run" tags=["nbval-check-output"]
from minillm.data.world.pairs import chinese_words
from minillm.data.world.records import TITLES

rng = np.random.default_rng([15, 5])
results = {"另一个对的标题 another good title": [], "第一句 first clause": [], "整个故事 the whole story": []}
for _ in range(300):
    told = story(rng, "test")
    titles = [each.format_map(chinese_words(told)) for each in TITLES[told.kind]]
    a, b = rng.permutation(len(titles))[:2]
    for name, text in zip(results, (titles[b], re.split("[，。]", told.text)[0], told.text), strict=True):
        results[name].append([metrics.rouge_n(titles[a], text, 1), metrics.rouge_l(titles[a], text)])
print(f"参考 reference: {titles[a]}   另一个 another: {titles[b]}")
for name, rows in results.items():
    (p1, r1, f1), (_, _, fl) = np.mean(rows, axis=0)
    print(f"ROUGE-1  P {p1:.3f}   R {r1:.3f}   F1 {f1:.3f}   ROUGE-L F1 {fl:.3f}   {name}")

# %% [markdown] key="rouge-trap" lang="zh"
# 只看召回率，把整个故事交上去就差不多满分。所以今天报的多半是 $F_1$。而另一个同样好的标题，只得三分之一。
#
# ### 中文的陷阱
#
# 常用的包 rouge-score 先把文字转成小写，再把 **a 到 z、0 到 9 以外的一切**当成空格。它是为英文写的。下面照它的规则切一切“我爱北京天安门”：
# %% [markdown] key="rouge-trap" lang="en"
# By recall alone, to hand in the whole story is as good as perfect. That is why $F_1$ is mostly reported today. And another title, just as good, gets a third.
#
# ### A trap for Chinese
#
# The package in common use, rouge-score, turns a text to lower case and takes **everything but a to z and 0 to 9** for blanks. It was written for English. Here is 我爱北京天安门 cut by its rules:


# %% key="rouge-trap-run" tags=["nbval-check-output"]
def rouge_score_tokens(text):
    return re.sub("[^a-z0-9]+", " ", text.lower()).split()


sentence = "我爱北京天安门"
print(rouge_score_tokens(sentence), rouge_score_tokens("GPT-2 写的标题"))
print(f"与自己相比 against itself: {metrics.rouge_n(rouge_score_tokens(sentence), rouge_score_tokens(sentence)).f1}")
print(f"按字切 cut by characters:   {metrics.rouge_n(list(sentence), list(sentence)).f1}")

# %% [markdown] key="libraries" lang="zh"
# 一个字也不剩，和自己相比也是零分。没有报错。中文要自己给它一个分词器。
#
# ## 和别人的库对一对
#
# 这一课的分数都是自己写的。它们和大家引用的库相等吗？下面装了哪个就比哪个；没有装，也说出来。（`tests/test_metrics.py` 用几百组随机数据比得更细，空句子、缺的类、短译文都在内。）
# %% [markdown] key="libraries" lang="en"
# Not one character is left, and it scores zero against itself. There is no error. For Chinese, give the package a tokenizer of your own.
#
# ## Beside other people's libraries
#
# All scores of this lesson were written by ourselves. Are they equal to those of the libraries that people quote? Here whichever is installed is compared, and whichever is not is named. (`tests/test_metrics.py` compares more closely, on hundreds of random cases, with empty sentences, missing classes and short translations among them.)

# %% key="libraries-run"
from importlib.util import find_spec


def with_scikit_learn():
    from sklearn.metrics import precision_recall_fscore_support

    answers = np.repeat(np.tile(range(3), 3), mood_matrix.ravel())
    truths = np.repeat(np.repeat(range(3), 3), mood_matrix.ravel())
    theirs = precision_recall_fscore_support(truths, answers)[:3]
    assert np.allclose(theirs, metrics.per_class(mood_matrix), rtol=1e-12)
    return "三类的 P、R、F1 of the three classes"


def with_sacrebleu():
    from sacrebleu import BLEU

    for sentences in systems.values():
        theirs = BLEU(tokenize="none", force=True).corpus_score(
            [*map(" ".join, sentences)], [[" ".join(r) for (r,) in references]]
        )
        assert np.isclose(theirs.score, metrics.bleu(sentences, references).score, rtol=1e-12)
    return "三个系统的 BLEU of the three systems"


def with_rouge_score():
    from rouge_score.rouge_scorer import RougeScorer

    class Characters:
        tokenize = staticmethod(list)

    theirs = RougeScorer(["rouge1", "rougeL"], tokenizer=Characters()).score(title, written)
    assert np.allclose(theirs["rouge1"], metrics.rouge_n(title, written)), theirs
    assert np.allclose(theirs["rougeL"], metrics.rouge_l(title, written)), theirs
    assert RougeScorer(["rouge1"]).score(sentence, sentence)["rouge1"].fmeasure == 0  # 陷阱是真的 the trap is real
    return "按字的 ROUGE-1、ROUGE-L by characters"


for package, compare in (
    ("sklearn", with_scikit_learn),
    ("sacrebleu", with_sacrebleu),
    ("rouge_score", with_rouge_score),
):
    print(
        f"{package}: "
        + (f"相等 equal: {compare()}" if find_spec(package) else "没有安装，没有比 not installed, not compared")
    )

# %% [markdown] key="bootstrap" lang="zh"
# ## 这个分数能信几分
#
# 分数算对了，还有一个问题。测试集是从无数评论里抽来的一把，换一把，分数就变。分好评差评的模型，在 200 条上是多少？
# %% [markdown] key="bootstrap" lang="en"
# ## How far can the score be trusted?
#
# The score is computed rightly; one question is left. A test set is one handful out of endless reviews, and another handful gives another score. The model that tells good from bad, on 200 of them:

# %% key="handfuls" tags=["nbval-check-output"]
pool = draw_reviews(20_000, 3)
pool_texts, pool_moods = [item.text for item in pool], moods(pool)
right = mood_model.scores(pool_texts).argmax(axis=1) == pool_moods  # 两万条，对还是错 right or wrong, 20,000 times
true_accuracy = right.mean()
handfuls = right.reshape(100, 200).mean(axis=1)
print("前八把 the first eight:", *handfuls[:8].round(3))
print(f"一百把里 of a hundred: {handfuls.min():.3f} … {handfuls.max():.3f}   全部 all: {true_accuracy:.3f}")

# %% [markdown] key="bootstrap-how" lang="zh"
# 同一个模型，最差的一把和最好的一把差了十几个百分点。平常只有一把，没有另外九十九把，怎么知道它会晃多少？
#
# Efron 1979 年的办法像是拔着自己的鞋带把自己提起来，所以叫**自助法**（bootstrap）：把手里这一把当作全世界，从中**有放回地**再抽 200 条，算分；抽一千次。有的评论抽到两次，有的一次也没有。这一千个分数散开的样子，就是测试集会晃的样子。掐头去尾各 2.5%，中间是 95% 的区间。
# %% [markdown] key="bootstrap-how" lang="en"
# One and the same model, and the worst handful lies more than ten points below the best. As a rule there is one handful and no other ninety-nine; how is one to know how much it wavers?
#
# Efron's way of 1979 looks like pulling oneself up by the straps of one's boots, and so it is called the **bootstrap**: take this handful for the whole world, draw 200 from it again, **with replacement**, and score; do so a thousand times. Some reviews are drawn twice, some not at all. How these thousand scores scatter is how the test set wavers. Cut off 2.5% at either end; what lies between is the interval of 95%.

# %% key="bootstrap-run" tags=["nbval-check-output"]
hand = right[:200].astype(float)
rng = np.random.default_rng(0)
again = np.array([rng.choice(hand, size=200, replace=True).mean() for _ in range(1000)])
low, high = np.quantile(again, [0.025, 0.975])
ready_made = metrics.bootstrap_interval(metrics.mean_of(hand), 200, np.random.default_rng(1))
print(
    f"{hand.mean():.3f}   区间 interval {low:.3f} … {high:.3f}   minillm {ready_made.low:.3f} … {ready_made.high:.3f}"
)

# %% key="bootstrap-picture"
ax = viz.new_axes(7, 3.2)
ax.hist(
    again, np.arange(0.7025, 0.93, 0.01), color=viz.COLOURS[0], alpha=0.7, label="再抽一千次 drawn again, 1000 times"
)
ax.axvspan(low, high, color=viz.COLOURS[4], alpha=0.25, label="中间的 95% the middle 95%")
ax.axvline(true_accuracy, color="k", linestyle="--", label="真值（两万条） truth (20,000)")
ax.set(xlabel="准确率 accuracy", ylabel="次数 times")
ax.legend(fontsize=8)
viz.show(ax, "自助法的一千个分数，95% 区间，真值在其中 a thousand bootstrap scores, the 95% interval, the truth inside")

# %% [markdown] key="coverage" lang="zh"
# 200 条上的一个准确率，前后各有五个百分点的余地。只差一两个百分点的两个模型，在 200 条上说不出谁好。想把区间缩到一半，要四倍的测试集。
#
# ### 区间守不守信
#
# “95% 的区间”是一个承诺：一百次里，约有九十五次把真值圈在里面。真值平常不知道，承诺也就没法查；在小城里可以查。抽两千个测试集，各算一个区间，数一数圈中几次。对错的自助法不用真的抽：从 $n$ 条里有放回地抽 $n$ 条，对的条数正好服从二项分布。
#
# 另一列是 Wilson 1927 年的区间，有公式，不用抽：所有“从它出发，看到这个分数不算奇怪”的准确率。
# %% [markdown] key="coverage" lang="en"
# An accuracy on 200 examples has five points of leeway on either side. Two models that differ by a point or two cannot be told apart on 200. To halve the interval takes four times the test set.
#
# ### Does the interval keep its promise?
#
# “An interval of 95%” is a promise: of a hundred, about ninety-five have the truth inside. As a rule the truth is not known and the promise cannot be checked; in the small town it can. Draw two thousand test sets, compute the interval of each, and count. For right and wrong the bootstrap need not really draw: taking $n$ of $n$ with replacement, the number of right ones has a binomial distribution.
#
# The other column is Wilson's interval of 1927, a formula without drawing: all accuracies from which this score would be no surprise.

# %% key="coverage-run" tags=["nbval-check-output"]
rng = np.random.default_rng(1)
coverage = {}
for n in (10, 30, 200, 1000):
    successes = rng.binomial(n, true_accuracy, size=2000)
    drawn = rng.binomial(n, (successes / n)[:, None], size=(2000, 1000)) / n
    lows, highs = np.quantile(drawn, [0.025, 0.975], axis=1)
    wilson = [true_accuracy in metrics.wilson_interval(int(k), n) for k in successes]
    coverage[n] = (float(np.mean((lows <= true_accuracy) & (true_accuracy <= highs))), float(np.mean(wilson)))
    print(f"n = {n:4d}   自助 bootstrap {coverage[n][0]:.3f}   Wilson {coverage[n][1]:.3f}")
for name, each in (
    ("自助 bootstrap", metrics.bootstrap_interval(metrics.mean_of(np.ones(10)), 10, rng)),
    ("Wilson", metrics.wilson_interval(10, 10)),
):
    print(f"10 / 10 对 right: {each.low:.3f} … {each.high:.3f}  {name}")

# %% [markdown] key="coverage-after" lang="zh"
# 测试集有两百条，自助法守信；只有十条，它说 95%，做到的远远不到。最糟的是全对的时候：十条对十条，再抽多少遍也全对，区间缩成一点，好像毫无疑问。Wilson 的公式说：真值低到 0.72 也不奇怪。**样本少，或者分数贴近 0 和 1，对错用 Wilson；$F_1$、BLEU 这类没有公式的，用自助法，但别用在太小的测试集上。**
#
# ### 两个系统，同一张卷子
#
# 换一种切法，每三个字一段，好还是不好？两个区间各算各的，重叠，就说分不出来，太浪费了：两个系统答的是同一张卷子，难题对谁都难，这部分运气是共同的。应当每次抽**同样的题**，看两人分数之差（Koehn 2004）。
# %% [markdown] key="coverage-after" lang="en"
# With two hundred examples the bootstrap keeps its promise; with ten it says 95% and does far less. Worst is when all are right: ten of ten, and drawn however often they are all right again, so that the interval shrinks to a point, as though there were no doubt. Wilson's formula says that a truth as low as 0.72 would be no surprise. **With few examples, or a score close to 0 or 1, use Wilson for right and wrong; for what has no formula, such as $F_1$ and BLEU, use the bootstrap, but not on too small a test set.**
#
# ### Two systems, one paper
#
# Runs of three characters instead of two: better or not? To compute two intervals, find that they overlap and say that nobody can tell is a waste: both systems sat the same paper, hard questions are hard for both, and that part of luck they share. Draw **the same questions** for both each time, and look at the difference of their scores (Koehn 2004).

# %% key="paired-run" tags=["nbval-check-output"]
three_model = NaiveBayes([item.text for item in learn_moods], moods(learn_moods), classes=3, n=3)
right_three = three_model.scores(pool_texts).argmax(axis=1) == pool_moods
paper = slice(0, 1000)
a, b = right[paper].astype(float), right_three[paper].astype(float)
for name, values in (("两个字 pairs ", a), ("三个字 triples", b)):
    alone = metrics.bootstrap_interval(metrics.mean_of(values), 1000, np.random.default_rng(2))
    print(f"{name} {values.mean():.3f}   {alone.low:.3f} … {alone.high:.3f}")
paired = metrics.paired_bootstrap(metrics.mean_of(a), metrics.mean_of(b), 1000, np.random.default_rng(2))
least, most = paired.interval
print(f"差 difference  {paired.difference:.3f}   {least:.3f} … {most:.3f}   赢 wins {paired.wins:.3f}")
print(f"真正的差 true difference {right.mean() - right_three.mean():.3f}")

# %% [markdown] key="power" lang="zh"
# 差多少才看得出来？再用小城问一问：抽五百张一千题的卷子，每张用两种办法判断，看各有几次看得出“两个字”更好。
# %% [markdown] key="power" lang="en"
# How often does one see the difference? Ask the small town once more: draw five hundred papers of a thousand questions, judge each in both ways, and count how often either way sees that pairs are better.

# %% key="power-run" tags=["nbval-check-output"]
rng = np.random.default_rng(3)
seen = {"分开的区间 separate intervals": 0, "成对 paired": 0}
for _ in range(500):
    rows = rng.integers(len(pool), size=1000)
    a, b = right[rows], right_three[rows]
    better, worse = int((a & ~b).sum()), int((b & ~a).sum())
    draws = rng.multinomial(
        1000, [better / 1000, worse / 1000, 1 - (better + worse) / 1000], size=1000
    )  # 同上 as above
    apart = metrics.wilson_interval(int(a.sum()), 1000).low > metrics.wilson_interval(int(b.sum()), 1000).high
    seen["分开的区间 separate intervals"] += apart
    seen["成对 paired"] += bool(np.quantile(draws[:, 0] - draws[:, 1], 0.025) > 0)
for name, times in seen.items():
    print(f"{times / 500:.3f}  {name}")

# %% [markdown] key="power-after" lang="zh"
# 两个模型确实差三个百分点。各算各的区间，五十张卷子里只有一张看得出来；比同样的题上的差，九成看得出来。一道题也没有多出。
#
# 另一个数是**赢**的比例：重抽的一千次里，前一个分数高的占多少，这是 Koehn 论文里报的数。它到 0.975，与区间不含零，大致是一回事。
# %% [markdown] key="power-after" lang="en"
# The two models do differ by three points. With separate intervals one paper in fifty shows it; with the difference on the same questions, nine of ten do. Not one question had to be added.
#
# The other figure is the share of **wins**: in how many of the thousand draws the first scored higher, the figure that Koehn's paper reports. That it reaches 0.975, and that the interval leaves out zero, is about the same thing.

# %% [markdown] key="leakage" lang="zh"
# ## 泄漏：卷子先看过了
#
# 以上都假定测试题没有见过。语言模型的训练文字从网上抄来，测试题也在网上。见过了会怎样？用《槐树胡同读本》试：一个五元的 Kneser-Ney，它几乎只会背书。把测试的 11 篇一篇一篇放进训练文字。
# %% [markdown] key="leakage" lang="en"
# ## Leakage: the paper was seen before
#
# All this assumed that test questions had not been seen. The training texts of a language model are copied from the web, and test questions are on the web as well. What if they were seen? Try it with the course's reader: a Kneser-Ney of order five, which can do little else than learn by heart. Put the 11 test pieces into the training text, one after the other.


# %% key="leakage-run" tags=["nbval-check-output"]
by_character = train_tokenizer("char", reader.train)


def bits(train, texts, order=5):
    rows = [token_stream(documents, by_character) for documents in (train, texts)]
    memory = KneserNey(rows[0], by_character.vocab_size, order)
    return scores(memory.total_nll(rows[1]), rows[1], texts, by_character).bits_per_char


leaked_bits = {count: bits(reader.train + reader.test[:count], reader.test) for count in (0, 1, 3, 6, 11)}
for count, value in leaked_bits.items():
    print(f"漏进 leaked {count:2d} / {len(reader.test)}: {value:.2f} 比特每字符 bits a character")

# %% [markdown] key="near" lang="zh"
# 模型一点没变聪明，分数却好了一倍多。
#
# 要查泄漏，最先想到的是找一模一样的文字。可是转抄的文字多半改过几个字，多个空格，换个标点，就对不上了。GPT-3 的作者（Brown 等 2020）找的是一段段连着相同的词，每段 8 到 13 个。我们找连续 8 个字：把抄本里的字随机换掉一部分，看两种查法各查出多少，漏的好处还剩多少。
# %% [markdown] key="near" lang="en"
# The model has grown no wiser, and its score is more than twice as good.
#
# To search for leaks, the first idea is to look for identical texts. But what has been copied about has mostly been changed in a few places, a blank more or another mark, and it no longer matches. The authors of GPT-3 (Brown and others 2020) searched for runs of 8 to 13 words in common. We search for runs of 8 characters: change a part of the characters in the copies at random, and see how much either search finds, and how much of the leak's advantage is left.

# %% key="near-run" tags=["nbval-check-output"]
rng = np.random.default_rng(6)
letters = np.array(list("".join(reader.train)))
near = {}
for share in (0.0, 0.05, 0.1, 0.2, 0.4):
    copies = ["".join(rng.choice(letters) if rng.random() < share else c for c in text) for text in reader.test]
    same = np.mean([copy == text for copy, text in zip(copies, reader.test, strict=True)])
    known = metrics.runs(reader.train + copies, 8)
    share_known = np.mean([metrics.overlap(text, known, 8) for text in reader.test])
    near[share] = (same, share_known, bits(reader.train + copies, reader.test))
    print(
        f"改 changed {share:4.0%}   一模一样 identical {same:.0%}   8 字 runs {near[share][1]:5.1%}   {near[share][2]:.2f} bits"
    )

# %% key="near-picture"
left, right_ax = viz.new_axes(8.4, 3.2, 1, 2)
places = list(near)
left.plot(places, [100 * near[s][0] for s in places], "s--", color=viz.COLOURS[1], label="一模一样 identical")
left.plot(places, [100 * near[s][1] for s in places], "o-", color=viz.COLOURS[0], label="连续 8 个字 runs of 8")
left.set(xlabel="改掉的字 characters changed", ylabel="查出（%） found (%)")
left.legend(fontsize=9)
right_ax.plot(places, [near[s][2] for s in places], "o-", color=viz.COLOURS[2], label="有抄本 with copies")
right_ax.axhline(leaked_bits[0], color="0.4", linestyle=":", label="没有泄漏 no leak")
right_ax.set(xlabel="改掉的字 characters changed", ylabel="比特每字符 bits a character", ylim=(0, 7))
right_ax.legend(fontsize=9)
viz.show(left, "左：两种查法查出的比例；右：泄漏后的分数 left: what either search finds; right: the score with leaks")

# %% [markdown] key="near-after" lang="zh"
# 改掉百分之五，一模一样的一篇也找不到，分数却还是好得离奇；8 字的查法照样看得见。
#
# 泄漏也常常是自己造的。一个很普通的写法：先把全书切成互相重叠的窗口，打乱，再分训练和测试。每个测试窗口的一半，都在它旁边的训练窗口里。比一比先分后切。顺便查查本课程自己的划分。
# %% [markdown] key="near-after" lang="en"
# With five percent changed, not one piece is found identical, and the score is still fabulously good; the search for runs of 8 sees it as before.
#
# Leaks are often home-made. A very common piece of code cuts the whole book into overlapping windows first, shuffles them, and then splits them into training and test. Half of every test window stands in the training window beside it. Compare it with splitting first. And while we are at it, search this course's own splits.

# %% key="windows-run" tags=["nbval-check-output"]
book = "\n".join(reader.all())
windows = [book[at : at + 64] for at in range(0, len(book) - 64, 32)]
shuffled = [windows[i] for i in np.random.default_rng(7).permutation(len(windows))]
cut = len(windows) * 9 // 10
cut_first = bits(shuffled[:cut], shuffled[cut:])
split_first = bits(windows[:cut], windows[cut + 1 :])  # 少一个窗口，两边不重叠 one window less: no overlap
print(f"先切后分 windows, then split: {cut_first:.2f} bits    先分后切 split, then windows: {split_first:.2f} bits")

known = metrics.runs(reader.train, 8)
worst = max(metrics.overlap(text, known, 8) for text in reader.valid + reader.test)
print(f"本课程的划分，最像的一篇 our own splits, the worst piece: {worst:.2%}")

# %% [markdown] key="reuse" lang="zh"
# ## 测试集用多了，也会用坏
#
# 还有一种泄漏，一个字也不用抄。做了一千个模型，都在同一个测试集上打分，挑最好的一个报上去。分数里就有了运气。
#
# 做得极端一点：一千个“模型”都是抛硬币，答 200 道是非题。真值每个都是 0.5。再用 200 道新题考挑出来的那一个。这件事从头做 20 遍，取平均。
# %% [markdown] key="reuse" lang="en"
# ## A test set wears out
#
# There is a leak for which nothing need be copied. Make a thousand models, score them all on one test set, and report the best. Then there is luck in the score.
#
# In the extreme: a thousand “models”, all of which toss coins, answer 200 questions of yes or no. The truth is 0.5 for each of them. Then give the winner 200 new questions. All this is done 20 times over, and averaged.

# %% key="reuse-run" tags=["nbval-check-output"]
rng = np.random.default_rng(8)
coins = rng.integers(2, size=(2, 20, 1000, 200), dtype=np.int8)  # 旧题和新题，20 遍，1000 个模型，200 题 old, new
solutions = rng.integers(2, size=(2, 20, 1, 200), dtype=np.int8)
old, new = (coins == solutions).mean(axis=3)
best = np.maximum.accumulate(old, axis=1)  # 前 k 个里最好的 the best of the first k
winner = np.maximum.accumulate(np.where(old == best, np.arange(1000), 0), axis=1)
best_so_far, fresh = best.mean(axis=0), np.take_along_axis(new, winner, axis=1).mean(axis=0)
for k in (1, 10, 100, 1000):
    print(f"{k:4d} 个里最好的 the best of them: 旧题 old {best_so_far[k - 1]:.3f}   新题 new {fresh[k - 1]:.3f}")

# %% key="reuse-picture"
ax = viz.new_axes(7, 3.2)
k = np.arange(1, 1001)
ax.semilogx(k, best_so_far, color=viz.COLOURS[1], label="旧题上最好的分数 best score on the old questions")
ax.semilogx(k, fresh, color=viz.COLOURS[0], label="同一个模型，新题 the same model, new questions")
ax.semilogx(k, 0.5 + np.sqrt(np.log(k) / 400), ":", color="0.4", label="0.5 + √(ln k / 2n)")
ax.axhline(0.5, color="0.7", linewidth=0.8)
ax.set(xlabel="试过的模型数 k models tried", ylabel="准确率 accuracy", ylim=(0.4, 0.68))
ax.legend(fontsize=8, loc="upper left")
viz.show(
    ax,
    "从 k 个抛硬币的模型里挑最好的：旧题越挑越高，新题一直在 0.5 上下 the best of k coins on old and on new questions",
)

# %% [markdown] key="reuse-after" lang="zh"
# 一行代码没学，挑出来的却比 0.5 高出十个百分点；换新题，回到 0.5。虚高最多大约是 $\sqrt{\ln k / 2n}$：试得越多越高，题越多越低。所以挑模型、调设置都用验证集，测试集留到最后，只看一次（第 11 课）。
# %% [markdown] key="reuse-after" lang="en"
# Nothing was learnt, and the winner lies some ten points above 0.5; with new questions it is back at 0.5. The excess is at most about $\sqrt{\ln k / 2n}$: higher the more one tries, lower the more questions there are. So choose models and settings on the validation set, keep the test set to the end, and look at it once (lesson 11).

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 评论、故事和抽样都由固定的种子决定，所以范围很窄。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# Reviews, stories and draws all follow from fixed seeds, so the ranges are narrow.

# %% key="bands-run" tags=["nbval-check-output"]
from minillm.bands import band

band("急的召回率 recall of urgent", float(R[1]), 0.48, 0.5)
band("BPE 300 的困惑度 perplexity of BPE 300", table["bpe 300"].perplexity, 10.5, 11.2)
band("换人名的 BLEU BLEU with names swapped", bleus[1], 82, 87)
band("10 条的覆盖 coverage with 10", coverage[10][0], 0.78, 0.88)
band("200 条的覆盖 coverage with 200", coverage[200][0], 0.92, 0.97)
band("全漏的比特 bits when all leaked", leaked_bits[11], 2.2, 2.5)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **印出来的分数不可能。** 有一篇介绍大语言模型的文章，用三条文字训练一个分类器，附上的日志里每一轮准确率都是 0.5000，每轮还走了 3 步，批次大小是默认的 32。三条里对几条？0、1、2、3，准确率只能是 0、0.3333、0.6667、1。三条文字装进一批也只要 1 步。这份日志不是任何程序印出来的。样本少，分数就只有几种可能，数一数就能看穿；心理学里有人用这个办法查出了许多论文的错（GRIM，Brown 和 Heathers 2017）。练习 1 把它写成函数。
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **A printed score that cannot be.** An article that introduces large language models trains a classifier on three texts, and in the log that it shows the accuracy is 0.5000 at every epoch, of 3 steps each, with the default batch size of 32. How many of three are right? 0, 1, 2 or 3, so that the accuracy can only be 0, 0.3333, 0.6667 or 1. And three texts fit into one batch, which is 1 step. No program has ever printed that log. With few examples a score has few possible values, and counting them sees through it; in psychology, mistakes in many papers were found in this way (GRIM, Brown and Heathers 2017). Exercise 1 makes a function of it.

# %% key="mistakes-run" tags=["nbval-check-output"]
print("3 条 texts:", *(f"{k / 3:.4f}" for k in range(4)))
print("步数 steps:", math.ceil(3 / 32))

# %% [markdown] key="mistakes-more" lang="zh"
# **只报准确率。** 先看各类有多少。十条里一条急的，“总说不急”就有九成。
#
# **拿别人论文里的 BLEU 来比。** 切词、大小写、平滑、参考译文，一样不同，分数就差好几分。Post 2018 年为此写了 sacrebleu，要求把设置一起报出来。
#
# **小数点后四位。** 200 条上的 0.8050，后两位是噪声。写 0.805，再写区间。
#
# **两个区间重叠，就说没有差别。** 同一张卷子要比差，不要比区间。
#
# **在测试集上挑最好的一轮、最好的种子、最好的提示词。** 都是在测试集上训练，只是慢一点。
#
# ## 记住三句话
#
# 1. 一个分数回答一个问题：先想清楚哪种错要紧，再选分数；能核对事实，就不要只数字面。
# 2. 分数是抽样来的：写上区间，两个系统在同样的题上比差。
# 3. 先分后切，查重要查近似的；测试集看得越多，越不值钱。
#
# ## 出处
#
# - M. E. Maron (1961). Automatic Indexing: An Experimental Inquiry. Journal of the ACM 8 (3), 404–417. 朴素贝叶斯给文字分类。
# - C. J. van Rijsbergen (1979). Information Retrieval, 2nd edition. Butterworths. 第 7 章：F 的由来。
# - K. Papineni, S. Roukos, T. Ward, W.-J. Zhu (2002). BLEU: a Method for Automatic Evaluation of Machine Translation. ACL, 311–318. 截断，长度惩罚。
# - M. Post (2018). A Call for Clarity in Reporting BLEU Scores. WMT, 186–191. [arXiv 1804.08771](https://arxiv.org/abs/1804.08771). sacrebleu。
# - B. Chen, C. Cherry (2014). A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU. WMT, 362–367. 平滑。
# - C.-Y. Lin (2004). ROUGE: A Package for Automatic Evaluation of Summaries. Text Summarization Branches Out, 74–81. ROUGE。
# - B. Efron (1979). Bootstrap Methods: Another Look at the Jackknife. The Annals of Statistics 7 (1), 1–26. 自助法。
# - E. B. Wilson (1927). Probable Inference, the Law of Succession, and Statistical Inference. Journal of the American Statistical Association 22 (158), 209–212. Wilson 区间。
# - P. Koehn (2004). Statistical Significance Tests for Machine Translation Evaluation. EMNLP, 388–395. 成对的自助法。
# - T. B. Brown 等 (2020). Language Models are Few-Shot Learners. NeurIPS. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). 附录 C：怎样查重。
# - N. J. L. Brown, J. A. J. Heathers (2017). The GRIM Test: A Simple Technique Detects Numerous Anomalies in the Reporting of Results in Psychology. Social Psychological and Personality Science 8 (4), 363–369. 不可能的分数。
# %% [markdown] key="mistakes-more" lang="en"
# **Accuracy alone.** See first how many there are of each class. With one urgent review in ten, “never urgent” is right nine times of ten.
#
# **Comparing with a BLEU from someone else's paper.** Tokenization, case, smoothing, references: with one of them different, scores are several points apart. For this reason Post wrote sacrebleu in 2018, and asks that the settings be reported too.
#
# **Four decimals.** Of 0.8050 on 200 examples the last two digits are noise. Write 0.805, and the interval.
#
# **“The intervals overlap, so there is no difference.”** On the same paper compare differences, not intervals.
#
# **Choosing the best epoch, the best seed, the best prompt on the test set.** All of it is training on the test set, only more slowly.
#
# ## Three sentences to keep
#
# 1. A score answers one question: decide first which mistakes matter, then choose the score; and where facts can be checked, do not count wording alone.
# 2. A score is a sample: write its interval, and compare two systems by their difference on the same questions.
# 3. Split first and cut second, and search for near copies too; the more often a test set is looked at, the less it is worth.
#
# ## Sources
#
# - M. E. Maron (1961). Automatic Indexing: An Experimental Inquiry. Journal of the ACM 8 (3), 404–417. Naive Bayes for texts.
# - C. J. van Rijsbergen (1979). Information Retrieval, 2nd edition. Butterworths. Chapter 7: where F comes from.
# - K. Papineni, S. Roukos, T. Ward, W.-J. Zhu (2002). BLEU: a Method for Automatic Evaluation of Machine Translation. ACL, 311–318. Clipping, brevity penalty.
# - M. Post (2018). A Call for Clarity in Reporting BLEU Scores. WMT, 186–191. [arXiv 1804.08771](https://arxiv.org/abs/1804.08771). sacrebleu.
# - B. Chen, C. Cherry (2014). A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU. WMT, 362–367. Smoothing.
# - C.-Y. Lin (2004). ROUGE: A Package for Automatic Evaluation of Summaries. Text Summarization Branches Out, 74–81. ROUGE.
# - B. Efron (1979). Bootstrap Methods: Another Look at the Jackknife. The Annals of Statistics 7 (1), 1–26. The bootstrap.
# - E. B. Wilson (1927). Probable Inference, the Law of Succession, and Statistical Inference. Journal of the American Statistical Association 22 (158), 209–212. Wilson's interval.
# - P. Koehn (2004). Statistical Significance Tests for Machine Translation Evaluation. EMNLP, 388–395. The paired bootstrap.
# - T. B. Brown et al. (2020). Language Models are Few-Shot Learners. NeurIPS. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). Appendix C: the search for runs of words in common.
# - N. J. L. Brown, J. A. J. Heathers (2017). The GRIM Test: A Simple Technique Detects Numerous Anomalies in the Reporting of Results in Psychology. Social Psychological and Personality Science 8 (4), 363–369. Scores that cannot be.

# %% [markdown] key="ex-possible-accuracy" lang="zh" exercise="possible_accuracy"
# ### 练习 1　这个分数可能吗
#
# 日志里印着准确率 `printed`，例如 `"0.5000"`，测试集有 `examples` 条。有没有一个答对的条数，印成同样多位的小数正好是它？返回 `True` 或 `False`。先猜：3 条，`"0.5000"`；6 条，`"0.6667"`；150 条，`"0.87"`。
# %% [markdown] key="ex-possible-accuracy" lang="en" exercise="possible_accuracy"
# ### Exercise 1: Can this score be?
#
# A log shows the accuracy `printed`, such as `"0.5000"`, on a test set of `examples`. Is there a number of right answers that, printed with as many decimals, gives just that? Return `True` or `False`. Guess first: 3 examples and `"0.5000"`; 6 and `"0.6667"`; 150 and `"0.87"`.


# %% key="ex-possible-accuracy-code" exercise="possible_accuracy" kind="predict" difficulty=1 minutes=8 points=1
def possible_accuracy(printed: str, examples: int) -> bool:
    """Whether some k / examples, k = 0 .. examples, prints as `printed`, with as many decimals as it has."""
    ### BEGIN SOLUTION
    decimals = len(printed.partition(".")[2])
    return any(f"{k / examples:.{decimals}f}" == printed for k in range(examples + 1))
    ### END SOLUTION


# %% key="ex-possible-accuracy-check" exercise="possible_accuracy"
check(possible_accuracy)

# %% [markdown] key="ex-macro-f1" lang="zh" exercise="macro_f1"
# ### 练习 2　修好 macro F1
#
# 下面的函数有两处毛病：它先平均精确率和召回率，再合成一个 $F_1$；有一类从没被说到的时候，它给出 `nan`。两处都修好：每类算自己的 $F_1$，再平均；既没有、也没被说到的类，$F_1$ 算 0，照样占一票。
# %% [markdown] key="ex-macro-f1" lang="en" exercise="macro_f1"
# ### Exercise 2: Mend the macro F1
#
# The function below has two faults: it averages precision and recall first and makes one $F_1$ of them; and where a class was never said, it answers `nan`. Mend both: each class has an $F_1$ of its own, and they are averaged; a class that is neither there nor said has an $F_1$ of 0, and its vote all the same.


# %% key="ex-macro-f1-code" exercise="macro_f1" kind="repair" difficulty=2 minutes=10 points=1
def macro_f1(matrix):
    """Mean of the classes' F1.  confusion matrix (C, C), truth in rows, answers in columns -> float"""
    ### BEGIN SOLUTION
    both = matrix.sum(axis=0) + matrix.sum(axis=1)  # said and there
    return float(np.mean(2 * np.diag(matrix) / np.maximum(both, 1)))
    ### END SOLUTION
    ### BEGIN STUB
    # precision = np.mean(np.diag(matrix) / matrix.sum(axis=0))
    # recall = np.mean(np.diag(matrix) / matrix.sum(axis=1))
    # return float(2 * precision * recall / (precision + recall))
    ### END STUB


# %% key="ex-macro-f1-check" exercise="macro_f1"
check(macro_f1)

# %% [markdown] key="ex-clipped-precision" lang="zh" exercise="clipped_precision"
# ### 练习 3　截断的精确率
#
# 写出 BLEU 里的 $p_n$（不平滑）：译文的 n 元组里，有多少是参考译文里有的。参考译文有好几个；一个 n 元组最多算几次，由含它最多的那一个参考决定。译文短得没有 n 元组，返回 0.0。
# %% [markdown] key="ex-clipped-precision" lang="en" exercise="clipped_precision"
# ### Exercise 3: Clipped precision
#
# Write the $p_n$ of BLEU, without smoothing: of the n-grams of a translation, the share that the references have. There are several references; how often an n-gram may count is decided by the one reference that has it oftenest. A translation too short for an n-gram gets 0.0.


# %% key="ex-clipped-precision-code" exercise="clipped_precision" kind="implement" difficulty=3 minutes=12 points=2
def clipped_precision(translation, references, n):
    """p_n from 0 to 1.  translation: a list of tokens, references: a list of such lists, n: int -> float"""

    ### BEGIN SOLUTION
    def grams(tokens):
        return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))

    ours, most = grams(translation), Counter()
    for reference in references:
        most |= grams(reference)  # the larger count of each
    return (ours & most).total() / max(ours.total(), 1)
    ### END SOLUTION


# %% key="ex-clipped-precision-check" exercise="clipped_precision"
check(clipped_precision)

# %% [markdown] key="ex-rouge-l-f1" lang="zh" exercise="rouge_l_f1"
# ### 练习 4　ROUGE-L
#
# 写出两段文字按字的 ROUGE-L 的 $F_1$：最长公共子序列的长度，除以写出来的字数是精确率，除以参考的字数是召回率。有一边是空的，返回 0.0。文字可能有几百字，所以不要递归着把每种删法都试一遍。
# %% [markdown] key="ex-rouge-l-f1" lang="en" exercise="rouge_l_f1"
# ### Exercise 4: ROUGE-L
#
# Write the $F_1$ of ROUGE-L of two texts by characters: the length of the longest common subsequence over the characters written is the precision, over those of the reference the recall. If either side is empty, return 0.0. Texts may have hundreds of characters, so do not try every way to leave some out.


# %% key="ex-rouge-l-f1-code" exercise="rouge_l_f1" kind="implement" difficulty=3 minutes=15 points=2
def rouge_l_f1(reference: str, written: str) -> float:
    """F1 of the longest common subsequence of characters, from 0 to 1."""
    ### BEGIN SOLUTION
    if not reference or not written:
        return 0.0
    longest = np.zeros((len(reference) + 1, len(written) + 1), dtype=int)
    for i, x in enumerate(reference, start=1):
        for j, y in enumerate(written, start=1):
            same = longest[i - 1, j - 1] + 1
            longest[i, j] = same if x == y else max(longest[i - 1, j], longest[i, j - 1])
    return 2 * float(longest[-1, -1]) / (len(reference) + len(written))
    ### END SOLUTION


# %% key="ex-rouge-l-f1-check" exercise="rouge_l_f1"
check(rouge_l_f1)

# %% [markdown] key="ex-paired-interval" lang="zh" exercise="paired_interval"
# ### 练习 5　成对的区间
#
# 两个系统在同样的题上各有一个分数：`a[i]` 和 `b[i]` 是同一道题。用自助法写出平均分之差（`a` 减 `b`）的 95% 区间：每次有放回地抽同样多的题，两个系统用**同样的题**；抽 `resamples` 次，返回差的 2.5% 和 97.5% 分位数。随机数都从 `rng` 来。
# %% [markdown] key="ex-paired-interval" lang="en" exercise="paired_interval"
# ### Exercise 5: A paired interval
#
# Two systems have a score each on the same questions: `a[i]` and `b[i]` belong to one question. Write the bootstrap interval of 95% of the difference of their means (`a` less `b`): each time draw as many questions, with replacement, **the same ones** for both systems; do so `resamples` times and return the quantiles of the difference at 2.5% and 97.5%. All random numbers come from `rng`.


# %% key="ex-paired-interval-code" exercise="paired_interval" kind="implement" difficulty=3 minutes=15 points=2
def paired_interval(a, b, rng, resamples=1000):
    """(low, high) of mean(a) - mean(b).  a, b (N,); rng: a NumPy Generator"""
    ### BEGIN SOLUTION
    rows = rng.integers(len(a), size=(resamples, len(a)))
    differences = (a - b)[rows].mean(axis=1)
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)
    ### END SOLUTION


# %% key="ex-paired-interval-check" exercise="paired_interval"
check(paired_interval)

# %% [markdown] key="ex-leaked" lang="zh" exercise="leaked"
# ### 练习 6　查泄漏
#
# 返回哪几条测试文字漏进了训练文字（编号的列表，从小到大）：它有连续 `n` 个字，在**某一篇**训练文字里也连在一起。空格和换行不算字。测试文字自己不到 `n` 个字的，整条都在某篇训练文字里才算。
# %% [markdown] key="ex-leaked" lang="en" exercise="leaked"
# ### Exercise 6: Search for leaks
#
# Return which test texts have leaked into the training texts, as a list of indices in order: those with a run of `n` characters that also stands together in **one** training text. Blanks and line breaks are no characters. A test text with fewer than `n` counts only if all of it stands in one training text.


# %% key="ex-leaked-code" exercise="leaked" kind="extend" difficulty=4 minutes=15 points=3
def leaked(test: list[str], train: list[str], n: int) -> list[int]:
    """Indices of the test texts that share a run of n characters with a training text."""
    ### BEGIN SOLUTION
    known = ["".join(text.split()) for text in train]
    found = []
    for index, text in enumerate(test):
        bare = "".join(text.split())
        width = min(n, len(bare))
        pieces = {bare[i : i + width] for i in range(len(bare) - width + 1)}
        if any(piece in other for other in known for piece in pieces):
            found.append(index)
    return found
    ### END SOLUTION


# %% key="ex-leaked-check" exercise="leaked"
check(leaked)
