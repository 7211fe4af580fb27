"""Name hostile JSON documents and say which are JSON; after RFC 8259, written for this project.

`ACCEPT` and `REJECT` hold (name, bytes). What RFC 8259 leaves open is settled as orjson does it:
no lone surrogates, no byte order mark, no number that overflows a double.
"""

from __future__ import annotations

_LITERALS = (b"true", b"false", b"null")
_BLANKS = {"space": b" ", "tab": b"\t", "line feed": b"\n", "return": b"\r"}
_NO_BLANKS = {
    "form feed": b"\x0c", "vertical tab": b"\x0b", "nul": b"\x00", "no-break space": b"\xc2\xa0",
    "line separator": b"\xe2\x80\xa8", "zero width space": b"\xe2\x80\x8b",
    "byte order mark": b"\xef\xbb\xbf", "ideographic space": b"\xe3\x80\x80",
}  # fmt: skip
_NUMBERS = [
    b"0", b"-0", b"1", b"-1", b"10", b"123456789", b"0.0", b"-0.0", b"0.5", b"1.25e2", b"1E2",
    b"1e+2", b"1e-2", b"0e0", b"0E+00", b"1e0001", b"1.7976931348623157e308", b"5e-324", b"1e-400",
    b"9007199254740993", b"9223372036854775807", b"-9223372036854775808", b"18446744073709551615",
    b"18446744073709551616", b"-9223372036854775809", b"1" * 30, b"0." + b"1" * 60,
    b"123.456e-789", b"-" + b"9" * 100,
]  # fmt: skip
_NO_NUMBERS = [
    b"00", b"01", b"-01", b"-", b"--1", b"+1", b".5", b"-.5", b"1.", b"-1.", b"1.e2", b"0.e1",
    b"1e", b"1e+", b"1e-", b"1E", b"1ee2", b"1e2e3", b"1.2.3", b"0x10", b"0b1", b"1_000", b"1,000",
    b"NaN", b"nan", b"-NaN", b"Infinity", b"-Infinity", b"inf", b"1e400", b"-1e400", b"1 2", b"1a",
    b"1/2", b"0e", b"- 1", b"1e1.5", b"\xef\xbc\x91", b"\xd9\xa1", b"2.", b"9" * 400, b"1f", b"1L",
]  # fmt: skip
_STRINGS = [
    b'""', b'"a"', b'"\\""', b'"\\\\"', b'"\\/"', b'"\\b\\f\\n\\r\\t"', b'"\\u0000"', b'"\\u0041"',
    b'"\\u00e9"', b'"\\uABCD"', b'"\\uabcd"', b'"\\ud83d\\ude00"', b'"\\uD83D\\uDE00"', b'"\x7f"',
    b'"\xc2\x80"', b'"\xc3\xa9"', b'"\xe2\x82\xac"', b'"\xf0\x9f\x98\x80"', b'"\xf4\x8f\xbf\xbf"',
    b'"\xee\x80\x80"', b'"\xef\xbf\xbf"', b'"\xef\xbb\xbf"', b'"\xe2\x80\xa8\xe2\x80\xa9"',
    b'"\\u2028"', b'"\\uffff"', b'"\\ufeff"', b'"[{,:]}"', b'"//"', b'"/*"', b'"\\\\\\""',
    b'"' + b"x" * 1_000 + b'"', b'"' + b"\\\\" * 500 + b'"', b'"\\u007f"', b'"\xcc\x80\xcc\x80"',
    b'"' + b"x" * 63 + b'"', b'"' + b"x" * 62 + b'\\""', b'"' + b"x" * 64 + b'"',
]  # fmt: skip
_NO_STRINGS = [
    b'"', b'"a', b'a"', b"'a'", b'"\\"', b'"\\a"', b'"\\x41"', b'"\\0"', b'"\\U0041"', b'"\\u"',
    b'"\\u0"', b'"\\u00"', b'"\\u004"', b'"\\u004g"', b'"\\u 041"', b'"\\u+041"', b'"\\ud800"',
    b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\udc00\\ud800"', b'"\\ud800x"', b'"\\ud800\\n"',
    b'"\\ud800\\u0041"', b'"\\', b'"\n"', b'"\t"', b'"\r"', b'"\x00"', b'"\x1f"', b'"\x08"',
    b'"a" "b"', b'"a""b"', b'"a"b', b'\\"a"', b'"\xff"', b'"\x80"', b'"\xc0\x80"', b'"\xc1\xbf"',
    b'"\xe0\x80\x80"', b'"\xe0\x9f\xbf"', b'"\xed\xa0\x80"', b'"\xed\xbf\xbf"',
    b'"\xf0\x80\x80\x80"',
    b'"\xf0\x8f\xbf\xbf"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xfe"', b'"\xc3"',
    b'"\xe2\x82"', b'"\xf0\x9f\x98"', b'"\xc3(', b'"\xe9"',
    b'"\\\xc3\xa9"', b'"\xed\xa0\xbd\xed\xb8\x80"',
]  # fmt: skip
_STRUCTURES = [
    b"[]", b"{}", b"[ ]", b"{ }", b"[[]]", b"[{}]", b'{"a":{}}', b'{"a":[]}', b"[1,2]", b"[1 ,2]",
    b'{"a":1}', b'{"a" :1}', b'{"a": 1 , "b":2}', b'{"":1}', b'{"a":1,"a":2}', b'{"\\u0000":1}',
    b"[[],[]]", b"[null,true,false]", b'[""]', b'{"a":"b"}', b'{"\xc3\xa9":1}', b'{"a\\"b":1}',
    b"[" * 20 + b"]" * 20, b'{"a":' * 20 + b"1" + b"}" * 20, b"[\n\t1\r]", b'{"a":[{"b":[{}]}]}',
]  # fmt: skip
_NO_STRUCTURES = [
    b"", b"[", b"]", b"{", b"}", b",", b":", b"[,]", b"[1,]", b"[,1]", b"[1,,2]",
    b"[1 2]", b"[1:2]",
    b"[1;2]", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{,}", b'{,"a":1}', b'{"a":1,,"b":2}', b'{"a"::1}',
    b'{"a":1 "b":2}', b'{"a" "b"}', b'{"a",1}', b"{a:1}", b"{1:1}", b"{null:1}", b"{'a':1}",
    b'{[1]:1}', b"[}", b"{]", b"[1}", b'{"a":1]', b"[[]", b"[]]", b"{}}", b"{}{}", b"[][]", b"[]{}",
    b"[1", b'{"a":1', b'{"a":', b'{"a"', b'{"', b'["', b"[tru]", b"[nul]", b"[True]", b"[None]",
    b"[undefined]", b"tru", b"nulll", b"truefalse", b"TRUE", b"[1]x", b"[1],", b"[1];", b"//x\n1",
    b"/**/1", b"1//x", b"[1/**/]", b"#\n1", b"[...]", b"<null>", b"[\\n]", b"[a]", b'{"a":a}',
    b"*", b"\\", b"`", b"@", b"[@]", b"[1]\x00", b"\x00[1]", b"\x1e[1]", b"\xff\xfe[\x00]\x00",
    b"\x00[\x00]", b'[1]"', b'["a",\n4\n,1,', b'{"a":1}#', b'{"a":1}/**/', b"['']", b"[-]", b"[.]",
]  # fmt: skip


def _wrapped(kind: str, values: list[bytes]) -> list[tuple[str, bytes]]:
    """Put each value bare, into an array, and behind a key."""
    documents = []
    for value in values:
        name = f"{kind} {value[:24]!r} {len(value)}"
        documents += [
            (f"{name} bare", value),
            (f"{name} in array", b"[" + value + b"]"),
            (f"{name} behind key", b'{"k":' + value + b"}"),
        ]
    return documents


ACCEPT: list[tuple[str, bytes]] = [
    *_wrapped("literal", list(_LITERALS)),
    *_wrapped("number", _NUMBERS),
    *_wrapped("string", _STRINGS),
    *((f"structure {s[:24]!r}", s) for s in _STRUCTURES),
    *((f"{name} around", b + b"[" + b + b"1" + b + b"]" + b) for name, b in _BLANKS.items()),
]
REJECT: list[tuple[str, bytes]] = [
    *_wrapped("no number", _NO_NUMBERS),
    *_wrapped("no string", _NO_STRINGS),
    *((f"no structure {s[:24]!r}", s) for s in _NO_STRUCTURES),
    *(
        (f"{name} {place}", document)
        for name, b in _NO_BLANKS.items()
        for place, document in [("before", b + b"[1]"), ("inside", b"[" + b + b"1]")]
    ),
    *((f"literal cut {w[:-1]!r}", w[:-1]) for w in _LITERALS),
    *((f"literal shouted {w.upper()!r}", w.upper()) for w in _LITERALS),
]
