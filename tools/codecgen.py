#!/usr/bin/python3
"""Writes the codec of a protocol's methods and properties from its table in spec/.

  tools/codecgen.py SPEC.json OUTPUT_DIR    writes method.h, method.c, properties.h, properties.c

The same table gives the same files, byte for byte. The written code is meant to be stepped through:
each method is a struct with four functions, built from the readers and writers of
codec/amqp091/wire.h and the printers of codec/amqp091/trace.h.
"""

import json
import pathlib
import sys
from itertools import groupby

WIDTH = 100
PREFIX = 'lv_amqp091_'
BYTES = 'struct lv_bytes'

# How each wire type looks in C: member type, bytes on the wire besides the contents of a string,
# the words in reader and writer names. UTF-8 is asked of short strings in methods only.
C_TYPES = {
    'bit': ('bool', 0, None),
    'octet': ('uint8_t', 1, 'octet'),
    'short': ('uint16_t', 2, 'short'),
    'long': ('uint32_t', 4, 'long'),
    'longlong': ('uint64_t', 8, 'longlong'),
    'timestamp': ('uint64_t', 8, 'longlong'),
    'shortstr': (BYTES, 1, 'shortstr'),
    'longstr': (BYTES, 4, 'longstr'),
    'table': (BYTES, 4, 'longstr'),
}
PROPERTY_READERS = {'shortstr': 'shortbytes'}
STRINGS = ('shortstr', 'longstr', 'table')


class Argument:
    """One argument of a method or one property; `member` is its name in C."""

    def __init__(self, data):
        self.type = data['type']
        self.member = data['name'].replace('-', '_')
        self.reserved = data.get('reserved', False)
        self.secret = data.get('secret', False)
        self.c_type, self.fixed_size, self.word = C_TYPES[self.type]


class Method:
    def __init__(self, klass, data):
        self.wire_name = f'{klass["name"]}.{data["name"]}'
        self.name = self.wire_name.replace('.', '_').replace('-', '_')
        self.constant = (PREFIX + self.name).upper()
        self.class_id, self.method_id = klass['id'], data['id']
        self.content = data['content']
        self.arguments = [Argument(argument) for argument in data['arguments']]
        self.members = [a for a in self.arguments if not a.reserved]
        flags = ['synchronous'] * data['synchronous'] + ['content'] * data['content']
        self.note = ', '.join([' and '.join(data['sender'])] + flags)

    def steps(self):
        """The arguments as they lie on the wire: single ones, and lists of bits in one octet."""
        for is_bit, run in groupby(self.arguments, lambda argument: argument.type == 'bit'):
            run = list(run)
            if is_bit:
                assert len(run) <= 8, f'{self.wire_name}: more bits than an octet holds'
                yield run
            else:
                yield from run

    def size_terms(self):
        """Bytes that are always there, and the members whose sizes come on top."""
        fixed = sum(1 if isinstance(step, list) else step.fixed_size for step in self.steps())
        return fixed, [a for a in self.members if a.type in STRINGS]


def declare(result, name, parameters):
    """A declaration without its end, one line or aligned behind the parenthesis."""
    return call(f'{result}{"" if result.endswith("*") else " "}{name}(', parameters)


def call(head, parts, indent=0):
    """`head` up to its parenthesis and the parts behind it, over as many lines as it takes, the
    first of which will be indented."""
    line = head + ', '.join(parts) + ')'
    if indent + len(line) < WIDTH:
        return line
    if indent + max(map(len, parts)) + len(head) + 2 < WIDTH:
        return head + (',\n' + ' ' * len(head)).join(parts) + ')'
    return f'{head}\n    ' + ',\n    '.join(parts) + ')'


def return_sum(fixed, members, base):
    """`return a + b;` over as many lines as it takes."""
    lines, line = [], '    return ' + str(fixed)
    for member in members:
        term = f' + {base}->{member.member}.size'
        if len(line + term) >= WIDTH - 2:
            lines.append(line + ' +')
            line, term = ' ' * 11, term[3:]
        line += term
    return lines + [line + ';']


def members_of(arguments):
    """Member declarations; neighbours of one type share a line where it is short enough."""
    lines = []
    for c_type, run in groupby(arguments, lambda argument: argument.c_type):
        line = ''
        for argument in run:
            if line and len(line) + len(argument.member) + 2 < WIDTH:
                line += f', {argument.member}'
            else:
                lines += [line + ';'] if line else []
                line = f'    {c_type} {argument.member}'
        lines.append(line + ';')
    return lines


# Methods, one by one

def decode_parameters(method):
    result = [f'struct {PREFIX}{method.name} *ret_method'] if method.members else []
    return ['struct lv_bytes arguments', *result, 'struct lv_diag *diag']


def read_bits(bits):
    if all(bit.reserved for bit in bits):
        return [f'    {PREFIX}skip(&reader, 1); /* {", ".join(bit.member for bit in bits)} */']
    lines = [f'    bits = {PREFIX}read_octet(&reader);']
    for position, bit in enumerate(bits):
        if not bit.reserved:
            lines.append(f'    method.{bit.member} = (bits & 1u << {position}) != 0;')
    return lines


def read_argument(argument):
    if not argument.reserved:
        return f'    method.{argument.member} = {PREFIX}read_{argument.word}(&reader);'
    if argument.type in STRINGS:
        return f'    (void){PREFIX}read_{argument.word}(&reader); /* {argument.member} */'
    return f'    {PREFIX}skip(&reader, {argument.fixed_size}); /* {argument.member} */'


def method_decode(method, linkage, prefix):
    has_bits = any(argument.type == 'bit' for argument in method.members)
    lines = [declare(f'{linkage}int', f'{prefix}{method.name}_decode', decode_parameters(method)),
             '{', f'    struct {PREFIX}reader reader = {PREFIX}reader(arguments);']
    if method.members:
        lines.append(f'    struct {PREFIX}{method.name} method;')
    lines += ['    uint8_t bits;'] * has_bits + ['    int rc;'] * bool(method.members) + ['']
    for step in method.steps():
        lines += read_bits(step) if isinstance(step, list) else [read_argument(step)]
    end = f'{PREFIX}reader_end(&reader, arguments, diag);'
    if method.members:
        lines += [f'    rc = {end}', '    if (rc == 0)', '        *ret_method = method;',
                  '    return rc;']
    else:
        lines += [f'    return {end}']
    return lines + ['}']


def write_bits(bits):
    terms = [f'method->{bit.member}' + (f' << {position}' if position else '')
             for position, bit in enumerate(bits) if not bit.reserved]
    if not terms:
        return ['    p = lv_put8(p, 0);']
    lines, line = [], '    p = lv_put8(p, (uint8_t)(' + terms[0]
    for term in terms[1:]:
        if len(line) + len(term) + 8 > WIDTH:
            lines.append(line + ' |')
            line = ' ' * 29 + term
        else:
            line += ' | ' + term
    return lines + [line + '));']


def write_argument(argument):
    value = f'method->{argument.member}'
    if argument.reserved:
        value = 'lv_bytes(NULL, 0)' if argument.type in STRINGS else '0'
    return f'    p = {PREFIX}write_{argument.word}(p, {value});'


def method_encode(method, linkage, prefix):
    struct = [f'const struct {PREFIX}{method.name} *method'] if method.members else []
    lines = [declare(f'{linkage}uint8_t *', f'{prefix}{method.name}_encode', struct + ['uint8_t *p']),
             '{']
    for step in method.steps():
        lines += write_bits(step) if isinstance(step, list) else [write_argument(step)]
    return lines + ['    return p;', '}']


def method_size(method):
    fixed, strings = method.size_terms()
    lines = [declare('size_t', f'{PREFIX}{method.name}_size',
                     [f'const struct {PREFIX}{method.name} *method']), '{']
    lines += [] if strings else ['    (void)method;']
    return lines + return_sum(fixed, strings, 'method') + ['}']


def method_print(method):
    lines = [declare('static void', f'{method.name}_print',
                     [f'const struct {PREFIX}{method.name} *method',
                      f'struct {PREFIX}trace *trace']), '{']
    for a in method.members:
        kind = 'number'
        if a.secret or a.type == 'table':
            kind = 'opaque'
        elif a.type in STRINGS:
            kind = 'string'
        elif a.type == 'bit':
            kind = 'bit'
        lines.append(f'    {PREFIX}trace_{kind}(trace, "{a.member}", method->{a.member});')
    return lines + ['}']


def method_functions(method):
    """What method.c defines for one method. Without members there is nothing to export."""
    if method.members:
        parts = [method_decode(method, '', PREFIX), method_size(method),
                 method_encode(method, '', PREFIX), method_print(method)]
    elif method.arguments:
        parts = [method_decode(method, 'static ', ''), method_encode(method, 'static ', '')]
    else:
        parts = []
    return '\n\n'.join('\n'.join(part) for part in parts)


# Methods, all together: each function is one flat switch over the ids.

def switch(subject, cases, otherwise):
    """`cases` is a list of (constants, statement); equal statements share their place."""
    lines = [f'    switch ({subject}) {{']
    for constants, statement in cases:
        lines += [f'    case {constant}:' for constant in constants]
        lines += [f'        {line}' for line in statement.split('\n')]
    return lines + ['    default:'] + [f'        {line}' for line in otherwise.split('\n')] + ['    }']


def each_method(methods, with_members, reserved_only, empty):
    """Cases for a switch: a statement for each method, the empty ones together."""
    cases = [([m.constant], with_members(m)) for m in methods if m.members]
    cases += [([m.constant], reserved_only(m)) for m in methods if m.arguments and not m.members]
    return cases + [([m.constant for m in methods if not m.arguments], empty)]


def dispatch_decode(methods):
    def with_members(m):
        return call(f'return {PREFIX}{m.name}_decode(',
                    ['arguments', f'&ret_method->{m.name}', 'diag'], indent=8) + ';'
    cases = each_method(methods, with_members,
                        lambda m: f'return {m.name}_decode(arguments, diag);',
                        'return decode_nothing(arguments, diag);')
    head = declare('static int', 'decode_arguments',
                   ['uint32_t id', 'struct lv_bytes arguments',
                    f'struct {PREFIX}method *ret_method', 'struct lv_diag *diag'])
    body = switch('id', cases,
                  'return lv_fail(diag, -LV_E_COMMAND_INVALID, "unimplemented method");')
    return [FLAT, head, '{'] + body + ['}']


def dispatch_size(methods):
    cases = each_method(methods,
                        lambda m: f'return 4 + {PREFIX}{m.name}_size(&method->{m.name});',
                        lambda m: f'return 4 + {m.size_terms()[0]};', 'return 4;')
    return [FLAT, f'size_t {PREFIX}method_size(const struct {PREFIX}method *method)', '{',
            *switch('method->id', cases, 'LV_IMPOSSIBLE("no such method");'), '}']


def dispatch_encode(methods):
    cases = each_method(methods,
                        lambda m: f'return {PREFIX}{m.name}_encode(&method->{m.name}, p);',
                        lambda m: f'return {m.name}_encode(p);', 'return p;')
    return [FLAT,
            f'uint8_t *{PREFIX}method_encode(const struct {PREFIX}method *method, uint8_t *p)',
            '{', '    p = lv_put32(p, method->id);',
            *switch('method->id', cases, 'LV_IMPOSSIBLE("no such method");'), '}']


def dispatch_print(methods):
    cases = [([m.constant], f'{m.name}_print(&method->{m.name}, trace);\nbreak;')
             for m in methods if m.members]
    return [FLAT, declare('static void', 'print_arguments',
                          [f'const struct {PREFIX}method *method', f'struct {PREFIX}trace *trace']),
            '{', *switch('method->id', cases, 'break; /* no arguments */'), '}']


def dispatch_name(methods):
    cases = [([m.constant], f'return "{m.wire_name}";') for m in methods]
    return [FLAT, f'const char *{PREFIX}method_name(uint32_t id)', '{',
            *switch('id', cases, 'return NULL;'), '}']


def dispatch_content(methods):
    cases = [([m.constant for m in methods if m.content], 'return true;')]
    return [f'bool {PREFIX}method_has_content(uint32_t id)', '{',
            *switch('id', cases, 'return false;'), '}']


FLAT = '/* One flat switch. */'

METHOD_H_HEAD = '''\
/*
 * codec/amqp091/method.h - AMQP 0-9-1's methods as structs, and their bytes.
 *
 * Written by tools/codecgen.py from spec/amqp091.json. Strings and tables are views: of the input
 * after decoding, of the caller's memory for encoding. A table is the bytes of its entries, without
 * the length before them, and is not looked into here (codec/amqp091/table.h does). Reserved
 * arguments are skipped and sent as zero or empty. Pure; any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
'''

METHOD_H_API = '''\
struct lv_amqp091_method {
    uint32_t id; /* enum lv_amqp091_id; says which member counts, if any */
    union {
%s
    };
};

/* The payload of a method frame, ids included. 0, or -LV_E_BAD_FRAME (too short, too long, not
 * UTF-8 in a short string) or -LV_E_COMMAND_INVALID (no such method). */
int lv_amqp091_method_decode(struct lv_bytes payload, struct lv_amqp091_method *ret_method,
                             struct lv_diag *diag) LV_MUST_CHECK;
/* Bytes of the payload. */
size_t lv_amqp091_method_size(const struct lv_amqp091_method *method);
/* Writes the payload, lv_amqp091_method_size() bytes, and returns the byte behind it. */
uint8_t *lv_amqp091_method_encode(const struct lv_amqp091_method *method, uint8_t *p);
/* "queue.declare"; NULL when there is no such method. */
const char *lv_amqp091_method_name(uint32_t id);
/* Is the method followed by a content header and a body? */
bool lv_amqp091_method_has_content(uint32_t id);
/* One line for a trace, `queue.declare queue="q" durable=1`: bits only when set, tables and secrets
 * as their size. Cut at `size` and always terminated; returns the length of the text. */
size_t lv_amqp091_method_print(const struct lv_amqp091_method *method, char *text, size_t size);

/* Single methods, for who has read the id already. All of these are about the arguments, the bytes
 * behind the four of the id; otherwise they do what their counterparts above do. */
'''

METHOD_C_HEAD = '''\
/* Written by tools/codecgen.py from spec/amqp091.json. */
#include "codec/amqp091/method.h"

#include "codec/amqp091/trace.h"
#include "codec/amqp091/wire.h"
'''

DECODE_NOTHING = '''\
static int decode_nothing(struct lv_bytes arguments, struct lv_diag *diag)
{
    struct lv_amqp091_reader reader = lv_amqp091_reader(arguments);

    return lv_amqp091_reader_end(&reader, arguments, diag);
}'''

METHOD_DECODE = '''\
int lv_amqp091_method_decode(struct lv_bytes payload, struct lv_amqp091_method *ret_method,
                             struct lv_diag *diag)
{
    uint32_t id;
    int rc;

    if (payload.size < 4)
        return lv_amqp091_cannot_decode(payload, "no method id", diag);
    id = lv_get32(payload.data);
    rc = decode_arguments(id, lv_bytes(payload.data + 4, payload.size - 4), ret_method, diag);
    if (rc < 0)
        return rc;
    assert(lv_amqp091_method_name(id) != NULL);
    ret_method->id = id;
    return 0;
}'''

METHOD_PRINT = '''\
size_t lv_amqp091_method_print(const struct lv_amqp091_method *method, char *text, size_t size)
{
    struct lv_amqp091_trace trace;

    lv_amqp091_trace_begin(&trace, text, size, lv_amqp091_method_name(method->id));
    print_arguments(method, &trace);
    return trace.used;
}'''


def method_header(constants, methods):
    parts = [METHOD_H_HEAD, 'enum lv_amqp091_constant {']
    parts += [f'    {(PREFIX + c["name"].replace("-", "_")).upper()} = {c["value"]},'
              for c in constants]
    parts += ['};', '', '/* A method\'s class and number, as they start its frame\'s payload. */',
              'enum lv_amqp091_id {']
    parts += [f'    {m.constant} = {m.class_id} << 16 | {m.method_id},' for m in methods]
    parts += ['};', '']
    for m in methods:
        if m.members:
            parts += [f'/* {m.wire_name}, sent by {m.note} */', f'struct {PREFIX}{m.name} {{',
                      *members_of(m.members), '};', '']
    parts.append(METHOD_H_API % '\n'.join(f'        struct {PREFIX}{m.name} {m.name};'
                                          for m in methods if m.members))
    for m in methods:
        if m.members:
            struct = f'const struct {PREFIX}{m.name} *method'
            name = PREFIX + m.name
            parts += [declare('int', f'{name}_decode', decode_parameters(m)) + ' LV_MUST_CHECK;',
                      declare('size_t', f'{name}_size', [struct]) + ';',
                      declare('uint8_t *', f'{name}_encode', [struct, 'uint8_t *p']) + ';', '']
    return '\n'.join(parts).rstrip('\n') + '\n'


def method_source(methods):
    parts = [METHOD_C_HEAD.rstrip('\n')]
    parts += filter(None, map(method_functions, methods))
    parts += [DECODE_NOTHING]
    parts += ['\n'.join(dispatch_decode(methods)), METHOD_DECODE]
    parts += ['\n'.join(make(methods)) for make in (dispatch_size, dispatch_encode, dispatch_name,
                                                    dispatch_content, dispatch_print)]
    return '\n\n'.join(parts + [METHOD_PRINT]) + '\n'


# Properties

PROPERTIES_H = '''\
/*
 * codec/amqp091/properties.h - the properties of a content header as a struct, and their bytes.
 *
 * Written by tools/codecgen.py from spec/amqp091.json. "Raw" properties are the property flags and
 * the property list of 0-9-1 §4.2.6.1, as messages keep them. Strings and tables are views, as in
 * codec/amqp091/method.h. Pure; any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* The flag of each property; they lie in this order. */
enum lv_amqp091_property {
%(flags)s
};
#define LV_AMQP091_PROPERTY_ALL 0x%(all)04xu

struct lv_amqp091_properties {
    uint16_t flags; /* enum lv_amqp091_property; a member without its flag is zero or ignored */
%(members)s
};

/* 0 or -LV_E_BAD_FRAME. The table is not looked into. */
int lv_amqp091_properties_decode(struct lv_bytes raw, struct lv_amqp091_properties *ret_properties,
                                 struct lv_diag *diag) LV_MUST_CHECK;
/* Bytes of the raw form. */
size_t lv_amqp091_properties_size(const struct lv_amqp091_properties *properties);
/* Writes the raw form and returns the byte behind it. */
uint8_t *lv_amqp091_properties_encode(const struct lv_amqp091_properties *properties, uint8_t *p);
'''

PROPERTIES_C_HEAD = '''\
/* Written by tools/codecgen.py from spec/amqp091.json. */
#include "codec/amqp091/properties.h"

#include "codec/amqp091/wire.h"
'''


class Property(Argument):
    def __init__(self, data, position):
        super().__init__(data)
        self.flag = 0x8000 >> position
        self.constant = f'{PREFIX}property_{self.member}'.upper()
        self.reader = PROPERTY_READERS.get(self.type, self.word)


def properties_header(properties):
    return PROPERTIES_H % {
        'flags': '\n'.join(f'    {p.constant} = 0x{p.flag:04x},' for p in properties),
        'all': sum(p.flag for p in properties),
        'members': '\n'.join(members_of(properties)),
    }


def properties_decode(properties):
    lines = [declare('int', f'{PREFIX}properties_decode',
                     ['struct lv_bytes raw', f'struct {PREFIX}properties *ret_properties',
                      'struct lv_diag *diag']), '{',
             f'    struct {PREFIX}reader reader = {PREFIX}reader(raw);',
             f'    struct {PREFIX}properties properties = {{.flags = 0}};',
             '    uint16_t flags;', '    int rc;', '',
             f'    flags = {PREFIX}read_short(&reader) & LV_AMQP091_PROPERTY_ALL;']
    for p in properties:
        lines += [f'    if (flags & {p.constant})',
                  f'        properties.{p.member} = {PREFIX}read_{p.reader}(&reader);']
    return lines + ['    properties.flags = flags;',
                    f'    rc = {PREFIX}reader_end(&reader, raw, diag);',
                    '    if (rc == 0)', '        *ret_properties = properties;', '    return rc;',
                    '}']


def properties_size(properties):
    lines = [f'size_t {PREFIX}properties_size(const struct {PREFIX}properties *properties)', '{',
             '    uint16_t flags = properties->flags;', '    size_t size = 2;', '']
    for p in properties:
        extra = f' + properties->{p.member}.size' if p.type in STRINGS else ''
        lines += [f'    if (flags & {p.constant})', f'        size += {p.fixed_size}{extra};']
    return lines + ['    return size;', '}']


def properties_encode(properties):
    lines = [declare('uint8_t *', f'{PREFIX}properties_encode',
                     [f'const struct {PREFIX}properties *properties', 'uint8_t *p']), '{',
             '    uint16_t flags = properties->flags;', '',
             '    assert((flags & ~LV_AMQP091_PROPERTY_ALL) == 0);', '    p = lv_put16(p, flags);']
    for p in properties:
        lines += [f'    if (flags & {p.constant})',
                  f'        p = {PREFIX}write_{p.word}(p, properties->{p.member});']
    return lines + ['    return p;', '}']


def properties_source(properties):
    makers = (properties_decode, properties_size, properties_encode)
    return '\n\n'.join([PROPERTIES_C_HEAD.rstrip('\n')] +
                       ['\n'.join(make(properties)) for make in makers]) + '\n'


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    spec = json.loads(pathlib.Path(sys.argv[1]).read_text())
    output = pathlib.Path(sys.argv[2])
    methods = [Method(klass, method) for klass in spec['classes'] for method in klass['methods']]
    properties = [Property(data, position) for klass in spec['classes']
                  for position, data in enumerate(klass.get('properties', []))]
    for name, text in (('method.h', method_header(spec['constants'], methods)),
                       ('method.c', method_source(methods)),
                       ('properties.h', properties_header(properties)),
                       ('properties.c', properties_source(properties))):
        (output / name).write_text(text)


if __name__ == '__main__':
    main()
