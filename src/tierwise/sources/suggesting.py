"""A first look at a file that nobody has declared yet: how it is written, its columns, and what they may mean.

Everything here is a suggestion for a person to change: nothing is imported by it, and what can be read in two ways
(01/02/2026) is asked instead of guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.streams import BUILT_IN, CUSTOMERS, PERSONAL_ROLES, REFUNDS, Stream
from tierwise.errors import SourceUnreadable
from tierwise.sources.convert import DEFAULT_FORMATS
from tierwise.sources.decode import detect_encoding
from tierwise.sources.decode_lines import unpacked_name
from tierwise.sources.records import CsvDialect, Reader, read_csv, read_parquet
from tierwise.sources.records_json import JSON_ENDINGS, read_json_lines
from tierwise.sources.records_workbook import WORKBOOK_ENDINGS, read_workbook
from tierwise.store.identifiers import mask

__all__ = ["Look", "SeenColumn", "look_at"]

_DELIMITERS: Final = (",", ";", "\t", "|")
#: So many rows are looked at, and so many different values of a column are shown.
_ROWS: Final = 1_000
_SHOWN: Final = 3
#: Formats of a date that begin with the day or the month: which of them is meant the file alone may not tell.
_OTHER_FORMATS: Final = tuple(
    f"{day}{time}"
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
    for time in ("", " %H:%M", " %H:%M:%S")
)
#: What columns are called, beside the names and labels of the streams' own columns.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "customer": (
        *("customer", "customerid", "customerno", "member", "memberid", "memberno", "userid", "clientid", "cardno"),
        *("会员", "会员号", "会员编号", "会员卡号", "会员id", "客户", "客户号", "客户编号", "客户id", "用户id", "卡号"),
    ),
    "time": (
        *("time", "date", "datetime", "timestamp", "createdat", "paidat", "ordertime", "orderdate", "invoicedate"),
        *(
            "时间",
            "日期",
            "下单时间",
            "支付时间",
            "付款时间",
            "成交时间",
            "订单时间",
            "消费时间",
            "交易时间",
            "创建时间",
        ),
    ),
    "order_id": (
        "order",
        "orderno",
        "orderid",
        "invoice",
        "invoiceno",
        "订单编号",
        "订单id",
        "单号",
        "小票号",
        "流水号",
    ),
    "amount": (
        *("paid", "total", "totalamount", "payamount", "revenue", "price"),
        *("金额", "实付", "实收金额", "支付金额", "付款金额", "订单金额", "消费金额", "总金额"),
    ),
    "quantity": ("qty", "count", "数量", "件数"),
    "sku": ("skuid", "productid", "stockcode", "itemid", "商品编码", "商品编号", "货号", "款号"),
    "type": ("event", "eventtype", "eventname", "事件", "行为类型", "事件类型"),
    "coupon_amount": ("coupon", "discount", "优惠金额", "优惠券金额", "折扣金额"),
    "store_id": ("store", "storeid", "shop", "门店编号", "店铺", "店号"),
    "channel": ("渠道来源", "来源"),
    "birth_date": ("birthday", "dob", "出生日期"),
    "gender": ("sex",),
    "registered_at": ("registered", "joinedat", "signupdate", "入会时间", "入会日期", "注册日期"),
    "phone": ("mobile", "tel", "telephone", "手机", "手机号", "手机号码", "电话", "联系电话"),
    "email": ("mail", "邮箱", "电子邮箱"),
    "name": ("fullname", "customername", "姓名", "会员姓名", "客户姓名"),
    "address": ("地址", "收货地址", "联系地址"),
    "openid": ("unionid",),
    "id_number": ("idcard", "身份证", "身份证号"),
    "free_text": ("note", "remark", "comment", "备注", "留言"),
}
_ROLES_IN_ORDER: Final = tuple(role for role in PERSONAL_ROLES if role != "free_text")


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """One column of a file: its name, how many of the rows looked at say it, some values, what it may mean.

    `meaning` is ``customer``, ``time``, a stream's column or a personal role; "" when nobody can tell. Values of what
    may be personal are masked.
    """

    name: str
    filled: int
    examples: tuple[str, ...]
    meaning: str
    personal: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a file, and a source that would read it.

    `how` says how the encoding was found; `questions` what a person has to decide before the source is complete.
    """

    kind: str
    encoding: str
    how: str
    rows: int
    columns: tuple[SeenColumn, ...]
    source: Mapping[str, Any]
    questions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the look as plain values."""
        found = {name: getattr(self, name) for name in ("kind", "encoding", "how", "rows")}
        columns = [{name: getattr(one, name) for name in SeenColumn.__slots__} for one in self.columns]
        return {**found, "columns": columns, "source": dict(self.source), "questions": list(self.questions)}


def look_at(path: Path, file: str) -> Look:
    """Look at the first rows of a file.

    Args:
        path: where it is.
        file: what the source is to call it.

    Raises:
        SourceUnreadable: when it is no file that can be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.csv")
        ...     _ = path.write_text("会员号;订单号;支付时间;实付金额\\nm-1;A1;01/02/2026;9.90\\n")
        ...     look = look_at(path, "data/orders.csv")
        >>> look.source["delimiter"], look.source["customer"], list(look.source["streams"]), look.questions
        (';', '会员号', ['orders'], ('支付时间: %d/%m/%Y or %m/%d/%Y?',))
    """
    kind, reader, written, how = _opened(path)
    table = _first_rows(reader)
    columns = tuple(_seen(name, table) for name in reader.columns)
    source, questions = _suggested(columns, table, {"file": file, **written})
    return Look(kind, reader.encoding_name, how, table.num_rows, columns, source, questions)


def _opened(path: Path) -> tuple[str, Reader, dict[str, Any], str]:
    """Open a file by its ending; return its kind, a reader, what a source must say, and how its encoding was found."""
    name = unpacked_name(path)
    if name.endswith(WORKBOOK_ENDINGS):
        return "workbook", read_workbook(path, batch_rows=_ROWS), {}, ""
    if name.endswith((".parquet", ".pq")):
        return "parquet", read_parquet(path, batch_rows=_ROWS), {}, ""
    if name.endswith(JSON_ENDINGS):
        return "json", read_json_lines(path, batch_rows=_ROWS), {}, ""
    encoding = detect_encoding(path)
    found: dict[str, Reader] = {}
    for delimiter in _DELIMITERS:
        with suppress(SourceUnreadable):
            found[delimiter] = read_csv(path, CsvDialect(delimiter, encoding=encoding.name), batch_rows=_ROWS)
    if not found:
        read_csv(path, batch_rows=_ROWS)  # says what is wrong with it
        raise SourceUnreadable(f"{path.name}: is no table", "a CSV file has a line with the names of its columns")
    best = max(found, key=lambda delimiter: len(found[delimiter].columns))
    written: dict[str, Any] = {} if best == "," else {"delimiter": best}
    if encoding.how == "guessed":  # what was guessed once is declared, and never guessed again
        written["encoding"] = encoding.name
    return "csv", found[best], written, encoding.how


def _first_rows(reader: Reader) -> pa.Table:
    """Return the first rows as texts."""
    tables, count = [], 0
    for batch in islice(reader, 10):
        tables.append(batch.table.slice(0, _ROWS - count))
        count += tables[-1].num_rows
        if count >= _ROWS:
            break
    table = pa.concat_tables(tables) if tables else reader.schema.empty_table()
    return pa.table({name: [_text(value) for value in table[name].to_pylist()] for name in table.column_names})


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _values(table: pa.Table, name: str) -> list[str]:
    return [value for value in table[name].to_pylist() if value]


def _seen(name: str, table: pa.Table) -> SeenColumn:
    values, meaning = _values(table, name), _meaning(name)
    personal = meaning in PERSONAL_ROLES
    shown = tuple(islice(dict.fromkeys(values), _SHOWN))
    examples = tuple(mask(meaning, value) for value in shown) if personal else shown
    return SeenColumn(name, len(values), examples, meaning, personal)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-./()（）【】\[\]:：#]+", "", name).casefold()


def _meaning(name: str) -> str:
    """Return what a column of this name usually means."""
    plain = _plain(name)
    for meaning, words in _WORDS.items():
        if plain == _plain(meaning) or plain in words:
            return meaning
    for stream in (*BUILT_IN.values(), CUSTOMERS):
        for column in stream.columns:
            if not column.computed and plain in (_plain(column.name), column.label):
                return column.name
    return ""


def _suggested(
    columns: Sequence[SeenColumn], table: pa.Table, source: dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a source that reads these columns, and what has to be decided."""
    of: dict[str, str] = {}
    for column in columns:
        if column.meaning:
            of.setdefault(column.meaning, column.name)
    questions = []
    customer = of.get("customer") or next((of[role] for role in ("openid", "phone", "email") if role in of), None)
    if customer is None:
        questions.append("customer: which column has the customer's number?")
    else:
        role = next((role for role in _ROLES_IN_ORDER if of.get(role) == customer), None)
        source["customer"] = customer if role is None else {"value": customer, "role": role}
    stream = _stream_of(of)
    if stream is None:
        questions.append("streams: what is one row, an order, an event, a customer?")
        return source, tuple(questions)
    form: dict[str, Any] = {}
    if stream is not CUSTOMERS:
        form["time"], question = _time(of["time"], _values(table, of["time"]))
        questions += [question] if question else []
    mapped = {c.name: of[c.name] for c in stream.columns if c.name in of and not c.computed}
    if stream is CUSTOMERS:
        mapped |= {role: of[role] for role in PERSONAL_ROLES if role in of and of[role] != customer}
    form["columns"] = mapped
    key = [of["order_id"]] if stream.name == "orders" else [customer] if stream is CUSTOMERS and customer else []
    if key and all(_tells_apart(table, name) for name in key):
        source["row_key"] = key
    source["streams"] = {stream.name: form}
    if stream.name == "items":
        source["streams"]["orders"] = {"from": "items", "by": "order_id"}
    return source, tuple(questions)


def _stream_of(of: Mapping[str, str]) -> Stream | None:
    """Return the stream whose columns are there: the one with most of them, all it needs among them."""
    best: tuple[int, Stream] | None = None
    for stream in BUILT_IN.values() if "time" in of else ():
        if stream is REFUNDS:  # its columns are an order's, so that only a person knows
            continue
        matched = sum(1 for column in stream.columns if column.name in of)
        whole = all(name in of for name in stream.required)
        if whole and matched >= 2 - len(stream.required[:1]) and (best is None or matched > best[0]):
            best = matched, stream
    if best is not None:
        return best[1]
    personal = any(name in of for name in (*PERSONAL_ROLES, *(column.name for column in CUSTOMERS.columns)))
    return CUSTOMERS if personal else None


def _time(column: str, values: Sequence[str]) -> tuple[str | dict[str, Any], str]:
    """Return how a source says a column of times, and what has to be decided about it."""
    if not values or _fits(values, DEFAULT_FORMATS):
        return column, ""
    fitting = [form for form in _OTHER_FORMATS if _fits(values, (form,))]
    if len(fitting) == 1:
        return {"value": column, "formats": fitting}, ""
    if fitting:
        return column, f"{column}: {' or '.join(fitting)}?"
    return column, f"{column}: how are its times written? `formats:` says it"


def _fits(values: Sequence[str], formats: Sequence[str]) -> bool:
    return all(any(_is(value, form) for form in formats) for value in values)


def _is(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007 - only whether it fits is asked
    except ValueError:
        return False
    return True


def _tells_apart(table: pa.Table, name: str) -> bool:
    """Whether no two of the rows looked at have the same value of a column."""
    values = table[name].to_pylist()
    return all(values) and len(set(values)) == len(values)
