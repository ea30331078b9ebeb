# %% [markdown] key="title" lang="zh"
# # 画图，和会动的图
#
# 课里的图都由 `minillm.viz` 画成，能拖动的图由 `minillm.widgets` 做成。你在自己的笔记本里也能用：一行算，一行画。
#
# 每个画图的函数都返回 matplotlib 的坐标系（`Axes`），所以画好以后还可以接着改；用 `ax=` 把已有的坐标系交给它，就画在那里。`show` 把图放进笔记本，`alt` 用一句话说出图上有什么，给看不见图的人。颜色取自 Okabe 和 Ito 的那一套，色觉不同的人也分得清；中文字体是自带的。
# %% [markdown] key="title" lang="en"
# # Pictures, and pictures that move
#
# The pictures of the lessons are drawn by `minillm.viz`, those with sliders by `minillm.widgets`. They are yours to use in a notebook of your own: one line to compute, one to draw.
#
# Each drawing function returns matplotlib's axes (`Axes`), so you can go on changing what it drew; give it axes with `ax=`, and it draws there. `show` puts the picture into the notebook, and `alt` says in a sentence what there is to see, for those who cannot see it. The colours are those of Okabe and Ito, told apart by every kind of eye, and a Chinese font comes with the course.

# %% key="imports"
import numpy as np

from minillm.viz import (
    heatmap,
    new_axes,
    pipeline,
    plot_bars,
    plot_distribution,
    plot_growth,
    plot_loss,
    plot_zipf,
    save_figure,
    show,
)
from minillm.widgets import Choice, Slider, Toggle, Words, play

# %% [markdown] key="bars" lang="zh"
# ## 条形图
#
# `plot_bars` 一个名字一根条，数写在条上。`highlight` 换一种颜色指出其中一根，`compare` 用虚线框画出另一组数，`limit` 固定纵轴的上端，几张图才好比较。
# %% [markdown] key="bars" lang="en"
# ## Bars
#
# `plot_bars` draws a bar for each name and writes the number over it. `highlight` picks one out in a second colour, `compare` outlines a second row of numbers, and `limit` fixes the top of the axis so that several pictures can be compared.
# %% key="bars-run"
ax = plot_bars(
    ["二元", "三元", "四元"],
    [6.44, 6.29, 6.28],
    label="比特/字 bits per character",
    highlight=2,
    limit=8,
)
show(ax, alt="三根条，越来越低 three bars, each lower than the one before")

# %% [markdown] key="distribution" lang="zh"
# `plot_distribution` 是画概率用的条形图，选项相同。
# %% [markdown] key="distribution" lang="en"
# `plot_distribution` is the same for probabilities, with the same options.
# %% key="distribution-run"
ax = plot_distribution("京海边方", [0.62, 0.2, 0.1, 0.08], limit=1, title="“北”的后面 after 北")
show(ax, alt="北的后面，京最可能 after 北, 京 is the most likely")

# %% [markdown] key="heatmap" lang="zh"
# ## 热图
#
# `heatmap` 把矩阵画成颜色：没有负数时由浅到深，有负数时蓝、白、红。格子不多就把数写上，看不见的位置（NaN 和负无穷）留空。
# %% [markdown] key="heatmap" lang="en"
# ## Heat maps
#
# `heatmap` draws a matrix as colours: light to dark, or blue over white to red where there are negative numbers. Few cells carry their numbers; what is not there (NaN, minus infinity) stays empty.
# %% key="heatmap-run"
sentence = "我爱北京"
weights = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
weights[np.triu_indices(4, 1)] = np.nan
ax = heatmap(weights, sentence, sentence, xlabel="被看的字 key", ylabel="在看的字 query")
show(
    ax,
    alt="下三角的权重，每行之和为 1 weights below the diagonal, each row sums to 1",
)

# %% [markdown] key="loss" lang="zh"
# ## 训练曲线
#
# `plot_loss` 收一份训练日志，也就是 `minillm train` 写进 `log.jsonl` 的那些记录；`baselines` 画成虚线。命令行每次训练完，用的就是它。
# %% [markdown] key="loss" lang="en"
# ## Training curves
#
# `plot_loss` takes a training log, the records that `minillm train` writes to `log.jsonl`; `baselines` become dashed lines. The command line ends each training with this picture.
# %% key="loss-run"
steps = np.arange(1, 201)
noise = np.random.default_rng(0).normal(0, 0.15, 200)
log = [{"step": int(n), "loss": 3 + 4 * np.exp(-n / 40) + e} for n, e in zip(steps, noise, strict=True)]
for record in log[49::50]:
    record["valid_loss"] = record["loss"] + 0.2
show(
    plot_loss(log, baselines={"均匀瞎猜 uniform": 7.2}),
    alt="损失从 7 降到 3 the loss falls from 7 to 3",
)

# %% [markdown] key="zipf" lang="zh"
# ## 数字和词
#
# `plot_zipf` 画词频和名次，`plot_growth` 画词表随文章变长的样子，都是双数坐标上看得最清楚的老规律。要把两份文字画在一起，就把坐标系再交给它一次。
# %% [markdown] key="zipf" lang="en"
# ## Counting characters and words
#
# `plot_zipf` draws frequency against rank, `plot_growth` how a vocabulary grows with the text. For two texts in one picture, call it again with the same axes.
# %% key="zipf-run"
left, right = new_axes(9, 3.6, columns=2)
counts = {
    "的": 900,
    "了": 420,
    "一": 300,
    "是": 230,
    "不": 190,
    "我": 150,
    "在": 130,
    "他": 112,
}
plot_zipf(counts, left, label="字 characters")
read = np.array([100, 1_000, 10_000, 60_000])
plot_growth(read, 6 * read**0.55, right, label="字 characters", law=(6, 0.55))
show(
    left,
    alt="左：词频和名次；右：词表的增长 left: frequency and rank; right: growth of the vocabulary",
)

# %% [markdown] key="pipeline" lang="zh"
# ## 从数据到应用
#
# `pipeline` 是第 00 课的那张全景图，五张卡片里放的都是你自己的内容。
# %% [markdown] key="pipeline" lang="en"
# ## From data to application
#
# `pipeline` is the panorama of lesson 00, five cards with contents of your own.
# %% key="pipeline-run"
ax = pipeline(
    notes=[
        "一段文字\na text",
        "“北”的后面\nafter 北",
        "损失\nloss",
        "一次一个字\none at a time",
        "输入法\na keyboard",
    ],
    page=[
        "他在黑板上写：",
        "“我爱北京天安”，",
        "问：“下一个字",
        "是什么？”全班",
        "一起喊：“门！”",
    ],
    chances=[("京", 0.8), ("海", 0.1), ("边", 0.05), ("方", 0.04), ("。", 0.001)],
    curve=([0, 1, 2, 3], [7.2, 5.6, 4.9, 4.5], "{:.1f}"),
    story=["我爱北", "我爱北京", "我爱北京天", "我爱北京天安", "我爱北京天安门"],
    typed="我爱北京",
    offers=["天", "的", "城"],
)
show(
    ax,
    alt="五张卡片：数据、模型、训练、推理、应用 five cards: data, model, training, inference, application",
)

# %% [markdown] key="own" lang="zh"
# ## 自己画
#
# `new_axes` 给出带中文字体的空白坐标系，大小以英寸计；`save_figure` 存成文件，`png` 给出它的字节。不用笔记本时同样能画，不会弹出窗口。
# %% [markdown] key="own" lang="en"
# ## Drawing your own
#
# `new_axes` gives empty axes with the Chinese font, their size in inches; `save_figure` writes a file, `png` gives its bytes. It all works outside a notebook as well, and no window opens.
# %% key="own-run"
import tempfile
from pathlib import Path

ax = new_axes(6, 2.6)
x = np.linspace(-4, 4, 200)
ax.plot(x, 1 / (1 + np.exp(-x)))
ax.set(xlabel="x", ylabel="σ(x)", title="逻辑函数 the logistic function")
save_figure(ax, Path(tempfile.gettempdir()) / "logistic.png")
show(ax)

# %% [markdown] key="play" lang="zh"
# ## 会动的图
#
# `play(draw, …)` 给一张图装上控件。`draw` 是你写的函数，按控件的值返回坐标系；控件的名字就是它的参数名。笔记本里有内核时，一拖就重画；没有内核，在这本书里、在打印的纸上，放的是一本翻页的小画册，或者一张静止的图。
#
# `Slider` 是一段数，`Choice` 是几样选一样，两者之中排在第一个的，就是画册翻页的那个。
# %% [markdown] key="play" lang="en"
# ## Pictures that move
#
# `play(draw, …)` gives a picture its controls. `draw` is a function of yours that returns axes for the controls' values; the controls carry the names of its arguments. With a kernel behind the notebook each move draws anew; without one, in this book or on paper, there is a flip-book of small pictures, or a still one.
#
# `Slider` is a range of numbers, `Choice` one thing out of several; the first of these turns the pages of the flip-book.
# %% key="play-run"
scores = np.array([3.0, 2.0, 1.0, 0.5])


def draw(temperature, marked):
    p = np.exp(scores / temperature)
    return plot_distribution(
        "京海边方",
        p / p.sum(),
        limit=1,
        highlight=marked,
        title=f"温度 {temperature:.1f}",
    )


play(
    draw,
    temperature=Slider(0.2, 3.0, 0.2, 1.0, "温度 temperature"),
    marked=Choice({"京": 0, "海": 1}, 0, "标出 mark"),
    alt="温度越高，四根条越平 the higher the temperature, the flatter the four bars",
)

# %% [markdown] key="words" lang="zh"
# `Words` 是一行可以改的文字，`known` 列出你的函数认得的字；`Toggle` 是一个勾。写错了，控件上方用一句话告诉他，上一张图还在。
# %% [markdown] key="words" lang="en"
# `Words` is a line of text to change, and `known` lists the characters that your function can take; `Toggle` is a box to tick. What goes wrong is told in one line above the picture, and the last picture stays.
# %% key="words-run"


def draw(sentence, upside_down):
    counts = [sentence.count(char) for char in sentence]
    return plot_bars(
        sentence[::-1] if upside_down else sentence,
        counts,
        label="次 times",
        form="{:.0f}",
        limit=4,
    )


play(
    draw,
    sentence=Words("上海自来水来自海上", "一句话 a sentence"),
    upside_down=Toggle(False, "倒过来 reversed"),
    alt="每个字在句子里出现几次 how often each character of the sentence occurs in it",
)
