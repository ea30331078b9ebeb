"""The town: its people, places, things, prices and times, each with its Chinese and English name.

The people are those of the bundled reader. A price is a whole number of jiao (角), ten to a yuan.
"""

from typing import NamedTuple


class Person(NamedTuple):
    english: str
    he: str  # 他 or 她


PEOPLE = {
    "小雨": Person("Xiaoyu", "她"),
    "小川": Person("Xiaochuan", "他"),
    "大明": Person("Daming", "他"),
    "圆圆": Person("Yuanyuan", "她"),
    "爷爷": Person("Grandpa", "他"),
    "奶奶": Person("Grandma", "她"),
    "爸爸": Person("Dad", "他"),
    "妈妈": Person("Mum", "她"),
    "外婆": Person("Nana", "她"),
    "张奶奶": Person("Granny Zhang", "她"),
    "老赵": Person("Lao Zhao", "他"),
    "小吴": Person("Xiao Wu", "他"),
    "周老师": Person("Mr Zhou", "他"),
    "陈医生": Person("Dr Chen", "她"),
    "老孙": Person("Lao Sun", "他"),
    "安娜": Person("Anna", "她"),
}


class Thing(NamedTuple):
    english: str  # of two or more
    measure: str
    container: str  # "jin of", or "" if the thing is counted itself
    prices: tuple[int, ...]


GOODS = {
    "白菜": Thing("cabbages", "棵", "", (20, 25, 30)),
    "豆角": Thing("green beans", "斤", "jin of", (35, 40, 50)),
    "土豆": Thing("potatoes", "斤", "jin of", (15, 18, 20)),
    "西红柿": Thing("tomatoes", "斤", "jin of", (28, 30, 45)),
    "苹果": Thing("apples", "斤", "jin of", (40, 55, 60)),
    "鸭梨": Thing("pears", "斤", "jin of", (30, 38, 45)),
    "西瓜": Thing("watermelons", "个", "", (120, 150, 180)),
    "桃子": Thing("peaches", "斤", "jin of", (50, 65, 80)),
    "绿豆糕": Thing("mung bean cakes", "块", "", (15, 20, 25)),
    "月饼": Thing("moon cakes", "块", "", (40, 50, 60)),
    "麻花": Thing("fried dough twists", "根", "", (12, 15, 20)),
    "枣糕": Thing("date cakes", "块", "", (25, 30, 35)),
    "酱油": Thing("soy sauce", "瓶", "bottles of", (85, 90, 120)),
    "汽水": Thing("soda", "瓶", "bottles of", (25, 30, 35)),
    "冰棍": Thing("ice lollies", "根", "", (10, 15, 20)),
    "饼干": Thing("biscuits", "包", "packets of", (45, 55, 70)),
    "月季": Thing("roses", "枝", "", (30, 40, 50)),
    "菊花": Thing("chrysanthemums", "枝", "", (20, 25, 30)),
    "水仙": Thing("daffodils", "盆", "pots of", (150, 180, 200)),
    "茉莉": Thing("jasmine", "盆", "pots of", (120, 160, 200)),
    "铅笔": Thing("pencils", "支", "", (8, 10, 15)),
    "本子": Thing("notebooks", "个", "", (30, 45, 60)),
    "毛笔": Thing("writing brushes", "支", "", (65, 80, 120)),
    "橡皮": Thing("erasers", "块", "", (10, 15, 20)),
    "油条": Thing("dough sticks", "根", "", (15, 20, 25)),
    "烧饼": Thing("sesame buns", "个", "", (15, 18, 20)),
    "豆浆": Thing("soy milk", "碗", "bowls of", (20, 25, 30)),
    "肉包": Thing("meat buns", "个", "", (20, 25, 28)),
    "灯泡": Thing("light bulbs", "个", "", (55, 80, 95)),
    "毛巾": Thing("towels", "条", "", (75, 90, 120)),
    "蜡烛": Thing("candles", "根", "", (12, 15, 20)),
    "扫帚": Thing("brooms", "把", "", (120, 145, 160)),
}


class Place(NamedTuple):
    english: str
    things: tuple[str, ...]  # what is sold, seen or served there


SHOPS = {
    "菜市场": Place("the market", ("白菜", "豆角", "土豆", "西红柿")),
    "水果店": Place("the fruit shop", ("苹果", "鸭梨", "西瓜", "桃子")),
    "点心铺": Place("the pastry shop", ("绿豆糕", "月饼", "麻花", "枣糕")),
    "小卖部": Place("the corner shop", ("酱油", "汽水", "冰棍", "饼干")),
    "花店": Place("the flower shop", ("月季", "菊花", "水仙", "茉莉")),
    "文具店": Place("the stationer's", ("铅笔", "本子", "毛笔", "橡皮")),
    "早点铺": Place("the breakfast shop", ("油条", "烧饼", "豆浆", "肉包")),
    "杂货店": Place("the hardware shop", ("灯泡", "毛巾", "蜡烛", "扫帚")),
}
SIGHTS = {
    "天安门": Place("Tiananmen", ("红墙", "金水桥", "石狮子", "华表")),
    "故宫": Place("the Forbidden City", ("铜狮子", "角楼", "黄瓦", "日晷")),
    "北海": Place("Beihai Park", ("白塔", "荷花", "九龙壁", "五龙亭")),
    "景山": Place("Jingshan Park", ("牡丹", "万春亭", "老松树", "中轴线")),
    "天坛": Place("the Temple of Heaven", ("祈年殿", "回音壁", "圜丘", "老柏树")),
    "颐和园": Place("the Summer Palace", ("十七孔桥", "石舫", "长廊", "佛香阁")),
    "香山": Place("the Fragrant Hills", ("红叶", "松鼠", "缆车", "琉璃塔")),
    "什刹海": Place("Shichahai", ("野鸭", "银锭桥", "柳树", "游船")),
}
CORNERS = {
    "胡同口": Place("the lane's entrance", ()),
    "鼓楼下": Place("the Drum Tower", ()),
    "图书馆": Place("the library", ()),
    "小公园": Place("the little park", ()),
    "护城河边": Place("the moat", ()),
    "理发店": Place("the barber's", ()),
    "邮局": Place("the post office", ()),
    "汽车站": Place("the bus stop", ()),
}
RESTAURANTS = {
    "面馆": Place("the noodle house", ("炸酱面", "打卤面", "牛肉面", "担担面")),
    "饺子馆": Place("the dumpling house", ("韭菜饺子", "羊肉饺子", "三鲜饺子", "茴香饺子")),
    "粥铺": Place("the porridge house", ("小米粥", "八宝粥", "皮蛋粥", "南瓜粥")),
    "包子铺": Place("the bun shop", ("猪肉包子", "素包子", "糖三角", "豆沙包")),
    "小饭馆": Place("the little restaurant", ("鱼香肉丝", "宫保鸡丁", "红烧茄子", "麻婆豆腐")),
    "清真馆": Place("the halal restaurant", ("羊杂汤", "炒疙瘩", "爆肚", "羊肉串")),
    "烤鸭店": Place("the roast duck restaurant", ("烤鸭", "鸭架汤", "芥末鸭掌", "荷叶饼")),
    "火锅店": Place("the hotpot restaurant", ("羊肉片", "冻豆腐", "粉丝", "糖蒜")),
}
YARDS = {
    "槐树下": Place("the scholar tree", ()),
    "茶馆": Place("the tea house", ()),
    "院子里": Place("the courtyard", ()),
    "棋社": Place("the chess club", ()),
    "活动站": Place("the community room", ()),
    "凉亭里": Place("the pavilion", ()),
    "书店门口": Place("the bookshop's door", ()),
    "屋檐下": Place("the eaves", ()),
}
PLACES = {"buying": SHOPS, "outing": SIGHTS, "losing": CORNERS, "dining": RESTAURANTS, "playing": YARDS}

PREPOSITIONS = {  # other places: at
    **dict.fromkeys(("图书馆", "小公园", "茶馆", "院子里", "活动站", "凉亭里", "北海", "景山", "香山"), "in"),
    **dict.fromkeys(("槐树下", "屋檐下", "鼓楼下"), "under"),
    "护城河边": "by",
}
BELONGINGS = {  # thing: measure, English
    "钥匙": ("串", "bunch of keys"),
    "雨伞": ("把", "umbrella"),
    "手套": ("副", "pair of gloves"),
    "帽子": ("顶", "hat"),
    "眼镜": ("副", "pair of glasses"),
    "围巾": ("条", "scarf"),
    "书包": ("个", "schoolbag"),
    "水杯": ("个", "water cup"),
}
COLOURS = {"红": "red", "蓝": "blue", "黑": "black", "白": "white", "灰": "grey", "绿": "green"}
SPOTS = {
    "窗台上": "on the window sill",
    "台阶上": "on the steps",
    "椅子下面": "under the chair",
    "大树底下": "under the big tree",
    "门背后": "behind the door",
    "花盆旁边": "beside the flower pot",
    "自行车筐里": "in the bicycle basket",
    "报纸堆里": "in the pile of newspapers",
}
RIDES = {"坐地铁": "by underground", "坐公共汽车": "by bus", "骑自行车": "by bicycle", "走路": "on foot"}
GAMES = {"象棋": "Chinese chess", "围棋": "Go", "跳棋": "Chinese checkers", "五子棋": "five in a row"}

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = {
    "一": "Monday",
    "二": "Tuesday",
    "三": "Wednesday",
    "四": "Thursday",
    "五": "Friday",
    "六": "Saturday",
    "天": "Sunday",
}
WEATHER = {  # by season: December to February, March to May, ...
    "winter": ("正下着雪", "冷得伸不出手", "河上结着冰", "太阳淡淡的", "西北风很大"),
    "spring": ("风很大", "暖洋洋的", "到处飘着柳絮", "下着细雨", "天特别蓝"),
    "summer": ("太阳很毒", "热得像蒸笼", "刚下过一场大雨", "知了叫个不停", "一点儿风也没有"),
    "autumn": ("天很高很蓝", "秋风一阵一阵的", "满地都是黄叶", "下着秋雨", "不冷也不热"),
}


def season(month: int) -> str:
    """The season of a month, 1 to 12."""
    return ("winter", "spring", "summer", "autumn")[month % 12 // 3]


SEASONAL = {  # the months of what is not there all year
    **dict.fromkeys(("荷花", "西瓜", "桃子"), (6, 7, 8)),
    **dict.fromkeys(("菊花", "红叶"), (9, 10, 11)),
    **dict.fromkeys(("月季",), (5, 6, 7, 8, 9, 10)),
    **dict.fromkeys(("牡丹",), (4, 5)),
    **dict.fromkeys(("水仙",), (12, 1, 2)),
    **dict.fromkeys(("游船",), (4, 5, 6, 7, 8, 9, 10)),
}
SUNNY = ("太阳淡淡的", "天特别蓝", "太阳很毒", "天很高很蓝")  # not said of an evening


def number(n: int) -> str:
    """A whole number, 0 to 9,999, in Chinese characters: 一百零五."""
    digits, text, gap = "零一二三四五六七八九", "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = n // unit % 10
        if digit:
            text += ("零" if gap and text else "") + digits[digit] + name
        gap = not digit
    return text.removeprefix("一") if 10 <= n < 20 else text or "零"


def count(n: int) -> str:
    """A number before a measure word: 两 instead of 二."""
    return "两" if n == 2 else number(n)


def money(jiao: int) -> str:
    """A price: 三块五, 八毛, 十二块."""
    yuan, rest = divmod(jiao, 10)
    if not yuan:
        return f"{count(rest)}毛"
    return f"{count(yuan)}块" + (number(rest) if rest else "")


def english_money(jiao: int) -> str:
    """A price in yuan: 3.5 yuan."""
    return f"{jiao / 10:g} yuan"


def english_number(n: int) -> str:
    """two; from thirteen on digits."""
    words = "zero one two three four five six seven eight nine ten eleven twelve"
    return words.split()[n] if n <= 12 else str(n)


def english_place(place: str) -> str:
    """the market"""
    return next(places[place].english for places in PLACES.values() if place in places)


def english_at(place: str) -> str:
    """at the market"""
    return f"{PREPOSITIONS.get(place, 'at')} {english_place(place)}"


PARTS = {"早上": (7, 8), "上午": (9, 10), "中午": (12,), "下午": (14, 15, 16), "傍晚": (18,), "晚上": (19,)}


def english_hour(hour: int, half: bool) -> str:
    """half past 2 in the afternoon; hours from 0 to 23."""
    part = "evening" if hour >= 18 else "afternoon" if hour >= 12 else "morning"
    clock = (hour - 1) % 12 + 1
    return f"{f'half past {clock}' if half else f'{clock} o’clock'} in the {part}"


HOURS = {  # the half hours of a day: Chinese -> English
    f"{part}{count((hour - 1) % 12 + 1)}点{'半' if half else ''}": english_hour(hour, half)
    for part, hours in PARTS.items()
    for hour in hours
    for half in (False, True)
}
