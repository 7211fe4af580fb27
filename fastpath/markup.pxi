# HTML as posts carry it: character references, tags, links; schema_functions.py is the definition.
# What only a full table of names or of Unicode could decide is slow. Included by posts.pyx.

cdef inline bint is_blank(uint8_t c) noexcept nogil:
    """Say whether an ASCII byte is white space to Python's regular expressions."""
    return (c >= 9 and c <= 13) or (c >= 28 and c <= 32)


cdef inline bint is_letter(uint8_t c) noexcept nogil:
    return (c | 0x20) >= 0x61 and (c | 0x20) <= 0x7A


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return c >= 0x30 and c <= 0x39


cdef uint32_t named_character(const uint8_t* name, size_t size) noexcept nogil:
    """Return the character of the few names that platforms write, 0 for any other."""
    if size == 2:
        if memcmp(name, b"lt", 2) == 0:
            return 0x3C
        return 0x3E if memcmp(name, b"gt", 2) == 0 else 0
    if size == 3:
        return 0x26 if memcmp(name, b"amp", 3) == 0 else 0
    if size != 4:
        return 0
    if memcmp(name, b"quot", 4) == 0:
        return 0x22
    if memcmp(name, b"apos", 4) == 0:
        return 0x27
    return 0xA0 if memcmp(name, b"nbsp", 4) == 0 else 0


cdef inline bint is_ordinary(uint32_t c) noexcept nogil:
    """Say whether a numeric reference to this means just that, whatever HTML 5 says of others."""
    if c < 0xA0:
        return c >= 0x20 and c < 0x7F
    if c >= 0x10000:
        return c < 0x110000 and (c & 0xFFFF) < 0xFFFE
    return (c < 0xD800 or c > 0xDFFF) and (c < 0xFDD0 or c > 0xFDEF) and c < 0xFFFE


cdef size_t numeric_reference(const uint8_t* at, size_t left, uint32_t* c) noexcept nogil:
    """Read `&#65;` or `&#x41;`; bytes read, 0 where it is none; 0 in `c` where it is slow."""
    cdef size_t i = 2
    cdef int digit, count = 0
    cdef uint64_t value = 0
    cdef bint hexadecimal = left > 2 and at[2] | 0x20 == 0x78
    if hexadecimal:
        i = 3
    cdef size_t start = i
    while i < left:
        digit = json_hex(at[i])
        if digit < 0 or (digit > 9 and not hexadecimal):
            break
        value = value * (16 if hexadecimal else 10) + <uint64_t>digit
        count += value != 0
        if count > 7:
            c[0] = 0
            return 1
        i += 1
    if i == start:
        return 0
    c[0] = <uint32_t>value if is_ordinary(<uint32_t>value) else 0
    return i + 1 if i < left and at[i] == 0x3B else i


cdef size_t named_reference(const uint8_t* at, size_t left, uint32_t* c) noexcept nogil:
    """Read `&amp;`; as numeric_reference."""
    cdef size_t i = 1
    while i < left and (is_letter(at[i]) or is_digit(at[i])):
        i += 1
    if i < 3 or not is_letter(at[1]):
        return 0
    c[0] = named_character(at + 1, i - 1) if i < left and at[i] == 0x3B else 0
    return i + 1


cdef bint decode_references(Reader* r, Text* text) noexcept nogil:
    """Decode the character references of a text."""
    cdef uint8_t* buffer
    cdef const uint8_t* found
    cdef size_t at = 0, n = 0, stop, taken
    cdef uint32_t c = 0
    if text.size == 0 or memchr(text.data, 0x26, text.size) == NULL:
        return True
    buffer = take_bytes(r, text.size)
    if buffer == NULL:
        return False
    while at < text.size:
        found = <const uint8_t*>memchr(text.data + at, 0x26, text.size - at)
        stop = text.size if found == NULL else <size_t>(found - text.data)
        memcpy(buffer + n, text.data + at, stop - at)
        n += stop - at
        at = stop
        if at == text.size:
            break
        if text.size - at > 1 and text.data[at + 1] == 0x23:
            taken = numeric_reference(text.data + at, text.size - at, &c)
        else:
            taken = named_reference(text.data + at, text.size - at, &c)
        if taken == 0:
            buffer[n] = 0x26
            n += 1
            at += 1
        elif c == 0:
            return refuse(r, READ_MARKUP)
        else:
            n += put_utf8(buffer + n, c)
            at += taken
    text.data = buffer
    text.size = n
    return True


cdef struct Tag:
    bint closes
    Text name
    Text rest  # between name and `>`


cdef size_t tag_end(Reader* r, const Text* markup, size_t at, Tag* out) noexcept nogil:
    """Read the tag whose `<` stands at `at`; its end, 0 where none stands or the reader failed."""
    cdef const uint8_t* data = markup.data
    cdef size_t start
    at += 1
    out.closes = at < markup.size and data[at] == 0x2F
    at += out.closes
    if at >= markup.size or not (is_letter(data[at]) or data[at] == 0x21 or data[at] == 0x3F):
        return 0
    start = at
    at += 1
    while at < markup.size and not is_blank(data[at]) and (
        data[at] != 0x3C and data[at] != 0x3E and data[at] != 0x2F
    ):
        if data[at] >= 0x80:  # perhaps white space of Unicode
            return give_up(r, READ_MARKUP)
        at += 1
    out.name.data = data + start
    out.name.size = at - start
    start = at
    while at < markup.size and data[at] != 0x3C and data[at] != 0x3E:
        at += 1
    out.rest.data = data + start
    out.rest.size = at - start
    return at + 1 if at < markup.size and data[at] == 0x3E else 0


cdef bint is_name(const Text* name, const char* due, size_t size) noexcept nogil:
    """Compare the name of a tag, in any case."""
    cdef size_t i
    if name.size != size:
        return False
    for i in range(size):
        if name.data[i] | 0x20 != <uint8_t>due[i]:
            return False
    return True


cdef bint ends_line(const Tag* tag) noexcept nogil:
    cdef const Text* name = &tag.name
    if is_name(name, b"br", 2):
        return True
    return tag.closes and (
        is_name(name, b"p", 1) or is_name(name, b"div", 3) or is_name(name, b"li", 2)
        or is_name(name, b"blockquote", 10) or is_name(name, b"pre", 3)
    )


cdef bint strip_tags(Reader* r, Text* markup) noexcept nogil:
    """Strip tags, decode references, and drop line ends at both ends."""
    cdef uint8_t* buffer
    cdef Tag tag
    cdef size_t at = 0, n = 0, end
    if markup.size > 0:
        buffer = take_bytes(r, markup.size)
        if buffer == NULL:
            return False
        while at < markup.size:
            if markup.data[at] == 0x3C:
                end = tag_end(r, markup, at, &tag)
                if end > 0:
                    if ends_line(&tag):
                        buffer[n] = 0x0A
                        n += 1
                    at = end
                    continue
                if r.failed:
                    return False
            buffer[n] = markup.data[at]
            n += 1
            at += 1
        markup.data = buffer
        markup.size = n
    if not decode_references(r, markup):
        return False
    while markup.size > 0 and markup.data[0] == 0x0A:
        markup.data += 1
        markup.size -= 1
    while markup.size > 0 and markup.data[markup.size - 1] == 0x0A:
        markup.size -= 1
    return True


cdef bint find_href(const Text* rest, Text* out) noexcept nogil:
    """Find the value of the first `href=` among the attributes, which are ASCII."""
    cdef const uint8_t* data = rest.data
    cdef size_t i, at, end
    cdef uint8_t quote
    for i in range(rest.size):
        if rest.size - i < 4 or (i > 0 and not is_blank(data[i - 1])):
            continue
        if (
            data[i] | 0x20 != 0x68 or data[i + 1] | 0x20 != 0x72 or data[i + 2] | 0x20 != 0x65
            or data[i + 3] | 0x20 != 0x66
        ):
            continue
        at = i + 4
        while at < rest.size and is_blank(data[at]):
            at += 1
        if at == rest.size or data[at] != 0x3D:
            continue
        at += 1
        while at < rest.size and is_blank(data[at]):
            at += 1
        if at == rest.size:
            continue
        quote = data[at]
        if quote == 0x22 or quote == 0x27:
            end = at + 1
            while end < rest.size and data[end] != quote:
                end += 1
            if end < rest.size:
                out.data = data + at + 1
                out.size = end - at - 1
                return True
            continue
        end = at
        while end < rest.size and not is_blank(data[end]) and (
            data[end] != 0x22 and data[end] != 0x27 and data[end] != 0x3E
        ):
            end += 1
        out.data = data + at
        out.size = end - at
        return True
    return False


cdef size_t next_link(Reader* r, const Text* markup, size_t at, Text* link) noexcept nogil:
    """Find the next link of HTML from `at` on; where to go on, 0 at the end or where failed."""
    cdef const uint8_t* found
    cdef Tag tag
    cdef size_t end, i
    while at < markup.size:
        found = <const uint8_t*>memchr(markup.data + at, 0x3C, markup.size - at)
        if found == NULL:
            return 0
        at = <size_t>(found - markup.data)
        end = tag_end(r, markup, at, &tag)
        if r.failed:
            return 0
        if end == 0:
            at += 1
            continue
        at = end
        if not is_name(&tag.name, b"a", 1):
            continue
        for i in range(tag.rest.size):
            if tag.rest.data[i] >= 0x80:
                return give_up(r, READ_MARKUP)
        if not find_href(&tag.rest, link):
            continue
        if not decode_references(r, link):
            return 0
        while link.size > 0 and is_blank(link.data[0]):
            link.data += 1
            link.size -= 1
        while link.size > 0 and is_blank(link.data[link.size - 1]):
            link.size -= 1
        if link.size == 0:
            continue
        if link.data[0] >= 0x80 or link.data[link.size - 1] >= 0x80:
            return give_up(r, READ_MARKUP)
        return at
    return 0
